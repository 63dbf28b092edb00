/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The trackers: one per device whose changes are recorded.
 *
 * Purpose: owns the filter that is attached to a device, its CBT map and, while
 * a snapshot is taken, the way from a write to the difference area.
 *
 * Context: everything here is called from process context and may sleep, except
 * what runs in tracker.c's own bio callback and completion.
 */
#ifndef BLKSNAP_TRACKER_H
#define BLKSNAP_TRACKER_H

#include <linux/types.h>

struct blk_snap_dev_t;
struct blk_snap_cbt_info;
struct blk_snap_block_range;
struct tracker;

/* Set up and tear down; called by main.c only. */
int tracker_init(void);
void tracker_done(void);

/*
 * Commands of the control node. All arrays are in kernel memory but the buffer
 * that a CBT map is read into.
 *
 * tracker_remove	-ENODATA not tracked, -EBUSY a snapshot holds it
 * tracker_collect	@infos NULL: only *@count is set. Too small: -ENOBUFS,
 *			*@count is the number needed, nothing is written
 * tracker_read_cbt	bytes copied, 0 at the end; -ENODATA not tracked, -EPERM
 *			no snapshot taken, -EINVAL beyond the map, -EFAULT
 * tracker_mark_dirty	-ENODEV not tracked, -EINVAL (nothing is marked then)
 */
int tracker_remove(const struct blk_snap_dev_t *dev);
int tracker_collect(struct blk_snap_cbt_info *infos, u32 capacity, u32 *count);
ssize_t tracker_read_cbt(const struct blk_snap_dev_t *dev, u32 offset,
			 u32 length, char __user *buf);
int tracker_mark_dirty(const struct blk_snap_dev_t *dev,
		       const struct blk_snap_block_range *ranges, u32 count);

#endif /* BLKSNAP_TRACKER_H */
