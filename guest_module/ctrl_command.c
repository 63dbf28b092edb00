// SPDX-License-Identifier: GPL-2.0
/*
 * The commands of the control node, behind any layout of their arguments.
 *
 * Purpose: everything between user memory and the calls of tracker.h and
 * snapshot.h: copying, bounds of counts, and that nothing is lost when a result
 * cannot be copied out. Where a command makes or takes away something, it first
 * makes sure that the place for its result can be written, and undoes the
 * command if it is then gone after all.
 *
 * Context: process context of the caller. No state, no locks.
 */
#include <linux/blksnap.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "ctrl.h"
#include "event_queue.h"
#include "fault.h"
#include "snapshot.h"
#include "tracker.h"

/* Elements of an array: 16 MiB of ranges. More is a mistake. */
#define CTRL_COUNT_LIMIT 1048576u

/* Room for records that come into being between the question and the answer. */
#define CTRL_SPARE_RECORDS 16

/* NULL for no elements. ERR_PTR: -EINVAL, -EFAULT, -ENOMEM. */
static void *ctrl_get_array(const void __user *array, u32 count, size_t size)
{
	if (count > CTRL_COUNT_LIMIT)
		return ERR_PTR(-EINVAL);
	return count ? vmemdup_user(array, array_size(count, size)) : NULL;
}

/* How much to allocate for @needed records when the caller has room for more. */
static u32 ctrl_records(u32 capacity, u32 needed)
{
	return min(capacity, needed + CTRL_SPARE_RECORDS);
}

static void *ctrl_new_records(u32 count, size_t size)
{
	/* One at least: the calls take NULL for a mere question. */
	return kvcalloc(max(count, 1u), size, GFP_KERNEL);
}

/* The count goes back both with success and when there was too little room. */
static long ctrl_put_count(u32 count, u32 __user *user_count, long ret)
{
	return put_user(count, user_count) ? -EFAULT : ret;
}

long ctrl_version(void __user *argument)
{
	static const struct blk_snap_version version = { .major = 1 };

	return copy_to_user(argument, &version, sizeof(version)) ? -EFAULT : 0;
}

/*
 * Trackers.
 */

long ctrl_tracker_remove(void __user *argument)
{
	struct blk_snap_tracker_remove arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return tracker_remove(&arg.dev_id);
}

static long ctrl_put_cbt_infos(const struct blk_snap_cbt_info *infos, u32 count,
			       void __user *array, ctrl_put_cbt_info put)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (put(array, i, &infos[i]))
			return -EFAULT;
	return 0;
}

long ctrl_tracker_collect(u32 capacity, void __user *array,
			  u32 __user *user_count, ctrl_put_cbt_info put)
{
	struct blk_snap_cbt_info *infos;
	u32 room, count = 0;
	long ret;

	if (!array) {
		ret = tracker_collect(NULL, 0, &count);
		return ret ? ret : ctrl_put_count(count, user_count, 0);
	}
	if (capacity > CTRL_COUNT_LIMIT)
		return -EINVAL;
	do {
		room = ctrl_records(capacity, count);
		infos = ctrl_new_records(room, sizeof(*infos));
		if (!infos)
			return -ENOMEM;
		ret = tracker_collect(infos, room, &count);
		if (!ret)
			ret = ctrl_put_cbt_infos(infos, count, array, put);
		kvfree(infos);
	} while (ret == -ENOBUFS && count <= capacity);
	if (ret && ret != -ENOBUFS)
		return ret;
	return ctrl_put_count(count, user_count, ret);
}

static bool ctrl_ranges_empty(const struct blk_snap_block_range *ranges,
			      u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (!ranges[i].sector_count)
			return true;
	return !count;
}

long ctrl_mark_dirty(const struct blk_snap_dev_t *dev, u32 count,
		     const struct blk_snap_block_range __user *array)
{
	struct blk_snap_block_range *ranges;
	long ret;

	ranges = ctrl_get_array(array, count, sizeof(*ranges));
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	if (ctrl_ranges_empty(ranges, count))
		ret = -EINVAL;
	else if (snapshot_is_image(dev))
		ret = snapshot_mark_dirty_image(dev, ranges, count);
	else
		ret = tracker_mark_dirty(dev, ranges, count);
	kvfree(ranges);
	return ret;
}

/*
 * Snapshots.
 */

long ctrl_snapshot_create(u32 count, const struct blk_snap_dev_t __user *array,
			  uuid_t __user *user_id)
{
	struct blk_snap_dev_t *devs;
	uuid_t id;
	long ret;

	devs = ctrl_get_array(array, count, sizeof(*devs));
	if (IS_ERR(devs))
		return PTR_ERR(devs);
	/* Writable? Then it is written with what is there. */
	ret = -EFAULT;
	if (copy_from_user(&id, user_id, sizeof(id)) ||
	    copy_to_user(user_id, &id, sizeof(id)))
		goto out;
	ret = snapshot_create(devs, count, &id);
	if (!ret && (fault_at(fault_id_copy) ||
		     copy_to_user(user_id, &id, sizeof(id)))) {
		snapshot_undo_create(&id);
		ret = -EFAULT;
	}
out:
	kvfree(devs);
	return ret;
}

long ctrl_snapshot_destroy(void __user *argument)
{
	struct blk_snap_snapshot_destroy arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return snapshot_destroy(&arg.id);
}

long ctrl_append_storage(const uuid_t *id, const struct blk_snap_dev_t *dev,
			 u32 count,
			 const struct blk_snap_block_range __user *array)
{
	struct blk_snap_block_range *ranges;
	long ret;

	ranges = ctrl_get_array(array, count, sizeof(*ranges));
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	ret = snapshot_append_storage(id, dev, ranges, count);
	kvfree(ranges);
	return ret;
}

long ctrl_snapshot_take(void __user *argument)
{
	struct blk_snap_snapshot_take arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return snapshot_take(&arg.id);
}

long ctrl_snapshot_collect(u32 capacity, uuid_t __user *array,
			   u32 __user *user_count)
{
	u32 room, count = 0;
	uuid_t *ids;
	long ret;

	if (!array) {
		ret = snapshot_collect(NULL, 0, &count);
		return ret ? ret : ctrl_put_count(count, user_count, 0);
	}
	if (capacity > CTRL_COUNT_LIMIT)
		return -EINVAL;
	do {
		room = ctrl_records(capacity, count);
		ids = ctrl_new_records(room, sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		ret = snapshot_collect(ids, room, &count);
		if (!ret && copy_to_user(array, ids, count * sizeof(*ids)))
			ret = -EFAULT;
		kvfree(ids);
	} while (ret == -ENODATA && count <= capacity);
	if (ret && ret != -ENODATA)
		return ret;
	return ctrl_put_count(count, user_count, ret);
}

long ctrl_collect_images(const uuid_t *id, u32 capacity,
			 struct blk_snap_image_info __user *array,
			 u32 __user *user_count)
{
	struct blk_snap_image_info *infos;
	u32 room, count = 0;
	long ret;

	if (!array) {
		ret = snapshot_collect_images(id, NULL, 0, &count);
		if (ret && ret != -ENODEV)
			return ret;
		return ctrl_put_count(count, user_count, ret);
	}
	if (capacity > CTRL_COUNT_LIMIT)
		return -EINVAL;
	do {
		room = ctrl_records(capacity, count);
		infos = ctrl_new_records(room, sizeof(*infos));
		if (!infos)
			return -ENOMEM;
		ret = snapshot_collect_images(id, infos, room, &count);
		if (!ret && copy_to_user(array, infos, count * sizeof(*infos)))
			ret = -EFAULT;
		kvfree(infos);
	} while (ret == -ENODATA && count <= capacity);
	if (ret && ret != -ENODATA && ret != -ENODEV)
		return ret;
	return ctrl_put_count(count, user_count, ret);
}

/*
 * Events.
 */

static long ctrl_put_event(const struct event *event,
			   struct blk_snap_snapshot_event __user *user)
{
	if (fault_at(fault_event_copy) ||
	    put_user(event->code, &user->code) ||
	    put_user(ktime_to_ns(event->time), &user->time_label) ||
	    copy_to_user(user->data, event->data, event->data_size))
		return -EFAULT;
	return 0;
}

long ctrl_wait_event(void __user *argument)
{
	struct blk_snap_snapshot_event __user *user = argument;
	struct snapshot *snapshot;
	struct event *event;
	u32 timeout_ms;
	uuid_t id;
	long ret;

	if (copy_from_user(&id, &user->id, sizeof(id)) ||
	    get_user(timeout_ms, &user->timeout_ms))
		return -EFAULT;
	event = snapshot_wait_event(&id, timeout_ms, &snapshot);
	if (IS_ERR(event))
		return PTR_ERR(event);
	ret = ctrl_put_event(event, user);
	snapshot_event_done(snapshot, event, !ret);
	return ret;
}
