/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the module's objects weigh: numbers of objects and bytes per kind.
 *
 * Shown at any time in debugfs (blksnap/memory), one line "kind objects bytes"
 * per kind; whatever is not zero at unload is reported as a leak.
 *
 * Context: account_add() and account_sub() from anywhere, also interrupts.
 */
#ifndef BLKSNAP_ACCOUNT_H
#define BLKSNAP_ACCOUNT_H

#include <linux/slab.h>
#include <linux/types.h>

struct dentry;

/* A new kind needs a name in account.c. */
enum account_kind {
	account_page_array,
	account_cbt_map,
	account_event,
	account_tracker,
	account_epoch,
	account_write,
	account_chunk,
	account_diff_area,
	account_diff_buffer,
	account_diff_io,
	account_diff_region,
	account_diff_storage,
	account_snapshot,
	account_snapimage,
	account_array,
	account_kind_end,
};

void account_add(enum account_kind kind, size_t bytes);
void account_sub(enum account_kind kind, size_t bytes);

/* An accounted kzalloc(). */
static inline void *account_zalloc(enum account_kind kind, size_t bytes,
				   gfp_t gfp)
{
	void *object = kzalloc(bytes, gfp);

	if (object)
		account_add(kind, bytes);
	return object;
}

/* Its kfree(); @bytes as given to account_zalloc(). NULL is nothing. */
static inline void account_free(enum account_kind kind, void *object,
				size_t bytes)
{
	if (!object)
		return;
	account_sub(kind, bytes);
	kfree(object);
}

/* The module's folder in debugfs, for the files of others. */
struct dentry *account_folder(void);

/* Called by main.c only: first in, last out. */
int account_init(void);
void account_done(void);

#endif /* BLKSNAP_ACCOUNT_H */
