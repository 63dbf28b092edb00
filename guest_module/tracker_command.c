// SPDX-License-Identifier: GPL-2.0
/*
 * The commands of the control node that concern a tracker.
 *
 * Context: process context.
 *
 * Locking: tracker_list_lock to find a tracker; a reference keeps it then.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-tracker: " fmt

#include <linux/sched/signal.h>

#include <linux/blksnap.h>

#include "cbt_map.h"
#include "tracker_impl.h"

int tracker_dev(const struct blk_snap_dev_t *dev, dev_t *number)
{
	if (dev->mj >= 1U << (32 - MINORBITS) || dev->mn > MINORMASK)
		return -ENXIO;
	*number = MKDEV(dev->mj, dev->mn);
	return 0;
}

int tracker_remove(const struct blk_snap_dev_t *dev)
{
	struct tracker *tracker;
	dev_t number;
	int ret = 0;

	if (tracker_dev(dev, &number))
		return -ENODATA;
	mutex_lock(&tracker_list_lock);
	tracker = tracker_list_find(number);
	if (!tracker)
		ret = -ENODATA;
	else if (tracker->claimed)
		ret = -EBUSY;
	else
		tracker->state = tracker_ending;
	mutex_unlock(&tracker_list_lock);
	if (!ret)
		tracker_end(tracker);
	return ret;
}

static void tracker_info(struct tracker *tracker,
			 struct blk_snap_cbt_info *info)
{
	memset(info, 0, sizeof(*info));
	if (tracker_lives(tracker))
		cbt_map_info(tracker->map, info);
	info->dev_id.mj = MAJOR(tracker->dev);
	info->dev_id.mn = MINOR(tracker->dev);
}

int tracker_collect(struct blk_snap_cbt_info *infos, u32 capacity, u32 *count)
{
	struct tracker *tracker;
	u32 needed = 0, i = 0;
	int ret = 0;

	mutex_lock(&tracker_list_lock);
	list_for_each_entry(tracker, &tracker_list, link)
		needed += tracker->state != tracker_ending;
	if (infos && needed > capacity)
		ret = -ENOBUFS;
	else if (infos)
		list_for_each_entry(tracker, &tracker_list, link)
			if (tracker->state != tracker_ending)
				tracker_info(tracker, &infos[i++]);
	mutex_unlock(&tracker_list_lock);
	*count = needed;
	return ret;
}

/* The tracker behind a number, with a reference; NULL if there is none. */
static struct tracker *tracker_get(const struct blk_snap_dev_t *dev)
{
	struct tracker *tracker = NULL;
	dev_t number;

	if (tracker_dev(dev, &number))
		return NULL;
	mutex_lock(&tracker_list_lock);
	tracker = tracker_list_find(number);
	if (tracker)
		bdev_filter_get(&tracker->filter);
	mutex_unlock(&tracker_list_lock);
	return tracker;
}

static bool tracker_is_taken(struct tracker *tracker)
{
	bool taken;

	percpu_down_read(&tracker_switch_lock);
	taken = tracker->area;
	percpu_up_read(&tracker_switch_lock);
	return taken;
}

ssize_t tracker_read_cbt(const struct blk_snap_dev_t *dev, u32 offset,
			 u32 length, char __user *buf)
{
	struct tracker *tracker = tracker_get(dev);
	ssize_t ret = -EPERM;

	if (!tracker)
		return -ENODATA;
	if (tracker_is_taken(tracker))
		ret = cbt_map_read_to_user(tracker->map, buf, offset, length);
	bdev_filter_put(&tracker->filter);
	return ret;
}

int tracker_mark_map(struct cbt_map *map,
		     const struct blk_snap_block_range *ranges, u32 count)
{
	u32 i;
	int ret;

	for (i = 0; i < count; i++) {
		ret = cbt_map_check_range(map, ranges[i].sector_offset,
					  ranges[i].sector_count);
		if (ret)
			return ret;
	}
	/*
	 * One side of a take for each of them, but not for all: a take would
	 * wait for so many, and writers would wait for the take. On either
	 * side a range is in the map that is read next, and in the one after.
	 */
	for (i = 0; i < count; i++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		percpu_down_read(&tracker_switch_lock);
		cbt_map_set_both(map, ranges[i].sector_offset,
				 ranges[i].sector_count);
		percpu_up_read(&tracker_switch_lock);
		cond_resched();
	}
	return 0;
}

int tracker_mark_dirty(const struct blk_snap_dev_t *dev,
		       const struct blk_snap_block_range *ranges, u32 count)
{
	struct tracker *tracker = tracker_get(dev);
	int ret = -ENODEV;

	if (!tracker)
		return -ENODEV;
	if (!bdev_filter_is_dead(&tracker->filter))
		ret = tracker_mark_map(tracker->map, ranges, count);
	bdev_filter_put(&tracker->filter);
	return ret;
}
