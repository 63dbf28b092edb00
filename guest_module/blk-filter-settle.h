/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The writes that a filter has not seen, because they came before it: see
 * blk-filter-settle.c. A place, which is a filter on a device, has a flag for
 * them: while it is set, the place is closed, and bios wait.
 */
#ifndef BLK_FILTER_SETTLE_H
#define BLK_FILTER_SETTLE_H

#include <linux/types.h>

struct bio;
struct gendisk;
struct mapped_device;

/* Whether a place has to begin closed, for blk_filter_settle(). */
bool blk_filter_must_close(struct gendisk *disk);

/* Wait for the writes from before the place was seen, and open it. May sleep. */
void blk_filter_settle(struct gendisk *disk, bool *closed);

/*
 * Wait until the place is open. False if the bio must not wait, and has been
 * ended therefore.
 */
bool blk_filter_enter(bool *closed, struct bio *bio);

/* Device mapper exports these, but declares them in drivers/md/dm.h only. */
void dm_internal_suspend_fast(struct mapped_device *md);
void dm_internal_resume_fast(struct mapped_device *md);

#endif /* BLK_FILTER_SETTLE_H */
