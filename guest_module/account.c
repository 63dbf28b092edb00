// SPDX-License-Identifier: GPL-2.0
/*
 * Objects and bytes per kind, see account.h.
 *
 * Context: any. No lock: each counter is right by itself, and all of them are
 * when nothing moves.
 */
#define pr_fmt(fmt) "blksnap: " fmt

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "account.h"

/**
 * struct account - The counters of one kind.
 * @objects: Number of objects.
 * @bytes: Number of bytes.
 */
struct account {
	atomic_long_t objects;
	atomic_long_t bytes;
};

static struct account accounts[account_kind_end];

static const char *const account_names[] = {
	[account_page_array] = "page_array",
	[account_cbt_map] = "cbt_map",
	[account_event] = "event",
	[account_tracker] = "tracker",
	[account_epoch] = "epoch",
	[account_write] = "write",
	[account_chunk] = "chunk",
	[account_diff_area] = "diff_area",
	[account_diff_buffer] = "diff_buffer",
	[account_diff_io] = "diff_io",
	[account_diff_region] = "diff_region",
	[account_diff_storage] = "diff_storage",
	[account_snapshot] = "snapshot",
	[account_snapimage] = "snapimage",
	[account_array] = "array",
};

static_assert(ARRAY_SIZE(account_names) == account_kind_end);

static struct dentry *account_debugfs;

void account_add(enum account_kind kind, size_t bytes)
{
	atomic_long_inc(&accounts[kind].objects);
	atomic_long_add(bytes, &accounts[kind].bytes);
}

void account_sub(enum account_kind kind, size_t bytes)
{
	atomic_long_dec(&accounts[kind].objects);
	atomic_long_sub(bytes, &accounts[kind].bytes);
}

static int memory_show(struct seq_file *file, void *unused)
{
	int kind;

	for (kind = 0; kind < account_kind_end; kind++)
		seq_printf(file, "%s %ld %ld\n", account_names[kind],
			   atomic_long_read(&accounts[kind].objects),
			   atomic_long_read(&accounts[kind].bytes));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(memory);

struct dentry *account_folder(void)
{
	return account_debugfs;
}

/* A kernel without debugfs does without the file: errors are of no interest. */
int account_init(void)
{
	account_debugfs = debugfs_create_dir("blksnap", NULL);
	debugfs_create_file("memory", 0400, account_debugfs, NULL, &memory_fops);
	return 0;
}

void account_done(void)
{
	int kind;

	debugfs_remove(account_debugfs);
	for (kind = 0; kind < account_kind_end; kind++) {
		long objects = atomic_long_read(&accounts[kind].objects);
		long bytes = atomic_long_read(&accounts[kind].bytes);

		if (objects || bytes)
			pr_err("leak: %s: %ld objects, %ld bytes\n",
			       account_names[kind], objects, bytes);
	}
}
