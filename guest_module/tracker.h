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
struct cbt_map;
struct cbt_spare;
struct diff_area;
struct tracker;
struct tracker_epoch;

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
 * tracker_mark_dirty	-ENODEV not tracked, -EINVAL (nothing is marked then),
 *			-EINTR killed (some are marked)
 */
int tracker_remove(const struct blk_snap_dev_t *dev);
int tracker_collect(struct blk_snap_cbt_info *infos, u32 capacity, u32 *count);
ssize_t tracker_read_cbt(const struct blk_snap_dev_t *dev, u32 offset,
			 u32 length, char __user *buf);
int tracker_mark_dirty(const struct blk_snap_dev_t *dev,
		       const struct blk_snap_block_range *ranges, u32 count);
/* The same with a map that the caller has a reference on. */
int tracker_mark_map(struct cbt_map *map,
		     const struct blk_snap_block_range *ranges, u32 count);

/* A device number, or -ENXIO if there can be no such device. */
int tracker_dev(const struct blk_snap_dev_t *dev, dev_t *number);

/*
 * For a snapshot: claim the tracker of a device, making it if there is none. It
 * stays until it is released. @fresh: it was made.
 *
 * ERR_PTR: -EALREADY another snapshot holds it, -EOPNOTSUPP a kind of device
 * that cannot be done right, -ENOMEM, -EINTR killed, those of opening the device.
 */
struct tracker *tracker_claim(dev_t dev, bool *fresh);
/* Give it back; @remove: and stop tracking. */
void tracker_release(struct tracker *tracker, bool remove);

dev_t tracker_number(const struct tracker *tracker);
struct cbt_map *tracker_map(const struct tracker *tracker);
bool tracker_is_dead(struct tracker *tracker);
/*
 * The smallest size that the device has, or has had, since this was called, in
 * sectors; it is there while the tracker is claimed. Sizes that are told late,
 * see bdevfilter.h, have lost nothing yet.
 */
const atomic64_t *tracker_watch_size(struct tracker *tracker);

/**
 * struct tracker_switch - What one tracker changes to at a take.
 * @tracker: The tracker, claimed.
 * @area: The difference area it copies to from then on.
 * @spare: Memory for a map of another size, NULL if not needed.
 * @resizes: bdev_filter_resizes() that @spare was made for.
 * @epoch: Of the writes after the take; afterwards that of those before.
 */
struct tracker_switch {
	struct tracker *tracker;
	struct diff_area *area;
	struct cbt_spare *spare;
	unsigned int resizes;
	struct tracker_epoch *epoch;
};

/*
 * A take: prepare all (may fail; cancel those that succeeded), switch all at one
 * instant, then drain: wait until all writes that came before have ended.
 */
int tracker_prepare(struct tracker_switch *change);
void tracker_cancel(struct tracker_switch *change);
void tracker_switch_all(struct tracker_switch *changes, u32 count);
void tracker_drain_all(struct tracker_switch *changes, u32 count);
/* The end of a snapshot: writes no longer go to the difference areas. */
void tracker_unswitch_all(struct tracker_switch *changes, u32 count);

#endif /* BLKSNAP_TRACKER_H */
