// SPDX-License-Identifier: GPL-2.0
/*
 * The take of a snapshot, and its undoing.
 *
 * The order: all that can fail, images included; file systems frozen; the switch,
 * one instant for all devices; file systems thawed; the writes from before the
 * switch have ended; the images go live.
 *
 * Context: process context. While file systems are frozen no memory is asked for.
 *
 * Locking: snapshot->lock is held throughout.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-snapshot: " fmt

#include <linux/sched/mm.h>
#include <linux/sort.h>

#include "compat_bdev.h"
#include "diff_area.h"
#include "fault.h"
#include "snapimage.h"
#include "snapshot_impl.h"

/* All that one member needs. */
static int snapshot_prepare(struct snapshot *snapshot, u32 i)
{
	struct tracker_switch *change = &snapshot->changes[i];
	struct tracker *tracker = change->tracker;
	struct diff_area *area;
	struct snapimage *image;
	int ret;

	area = diff_area_new(tracker_number(tracker),
			     tracker_watch_size(tracker), &snapshot->storage,
			     &snapshot->events);
	if (IS_ERR(area))
		return PTR_ERR(area);
	change->area = area;
	/* Is what was opened what is tracked? */
	ret = tracker_is_dead(tracker) ? -ENXIO : tracker_prepare(change);
	if (ret)
		goto out_area;
	image = snapimage_new(area, tracker_map(tracker));
	if (IS_ERR(image)) {
		ret = PTR_ERR(image);
		goto out_cancel;
	}
	snapshot->members[i].image = image;
	return 0;

out_cancel:
	tracker_cancel(change);
out_area:
	change->area = NULL;
	diff_area_free(area);
	return ret;
}

/* Images and areas; nothing is switched to them. */
static void snapshot_dismantle(struct snapshot *snapshot, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		snapimage_free(snapshot->members[i].image);
	for (i = 0; i < count; i++) {
		diff_area_free(snapshot->changes[i].area);
		snapshot->members[i].image = NULL;
		snapshot->changes[i].area = NULL;
	}
}

/* From now on nobody waits for them any more. */
static void snapshot_silence(struct snapshot *snapshot, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++) {
		diff_area_give_up(snapshot->changes[i].area);
		snapimage_set_dead(snapshot->members[i].image);
	}
}

static void snapshot_unprepare_all(struct snapshot *snapshot, u32 count)
{
	u32 i;

	snapshot_silence(snapshot, count);
	for (i = 0; i < count; i++)
		tracker_cancel(&snapshot->changes[i]);
	snapshot_dismantle(snapshot, count);
}

static int snapshot_prepare_all(struct snapshot *snapshot)
{
	u32 i;
	int ret;

	for (i = 0; i < snapshot->count; i++) {
		ret = snapshot_prepare(snapshot, i);
		if (ret) {
			snapshot_unprepare_all(snapshot, i);
			return ret;
		}
	}
	return 0;
}

static struct compat_bdev *snapshot_original(struct snapshot *snapshot, u32 i)
{
	return &snapshot->changes[i].area->original;
}

/*
 * What lies on a device became what it is after that device did: a device mapper
 * device after its disks, a loop device after the file system with its file.
 */
static int snapshot_compare_turns(const void *a, const void *b)
{
	const struct snapshot_turn *one = a, *other = b;

	if (one->since != other->since)
		return one->since > other->since ? -1 : 1;
	return one->member < other->member ? -1 : 1;
}

static void snapshot_set_turns(struct snapshot *snapshot)
{
	u32 i;

	for (i = 0; i < snapshot->count; i++) {
		snapshot->turns[i].since =
			compat_bdev_since(snapshot_original(snapshot, i)->bdev);
		snapshot->turns[i].member = i;
	}
	sort(snapshot->turns, snapshot->count, sizeof(*snapshot->turns),
	     snapshot_compare_turns, NULL);
}

static int snapshot_freeze_member(struct snapshot *snapshot, u32 i)
{
	struct compat_bdev *original = snapshot_original(snapshot, i);
	int ret = fault_at(fault_freeze) ? -EIO : compat_bdev_freeze(original);

	if (ret)
		pr_info("%pg cannot be frozen: error %d\n", original->bdev, -ret);
	else
		snapshot->members[i].frozen = true;
	return ret;
}

static void snapshot_thaw_member(struct snapshot *snapshot, u32 i)
{
	struct compat_bdev *original = snapshot_original(snapshot, i);

	if (!snapshot->members[i].frozen)
		return;
	snapshot->members[i].frozen = false;
	if (compat_bdev_thaw(original))
		pr_warn("%pg cannot be thawed\n", original->bdev);
}

static void snapshot_thaw(struct snapshot *snapshot)
{
	u32 i = snapshot->count;

	while (i--)
		snapshot_thaw_member(snapshot, snapshot->turns[i].member);
}

/*
 * Freeze all file systems, or none. Those that lie on others first: what they
 * still have to write goes, for example, into a file, and nobody writes into a
 * file of a file system that is frozen.
 */
static int snapshot_freeze(struct snapshot *snapshot)
{
	int ret = 0;
	u32 i;

	snapshot_set_turns(snapshot);
	for (i = 0; !ret && i < snapshot->count; i++)
		ret = snapshot_freeze_member(snapshot,
					     snapshot->turns[i].member);
	if (ret)
		snapshot_thaw(snapshot);
	return ret;
}

int snapshot_take_locked(struct snapshot *snapshot)
{
	unsigned int noio;
	u32 i;
	int ret;

	lockdep_assert_held(&snapshot->lock);
	ret = snapshot_prepare_all(snapshot);
	if (ret)
		return ret;

	/* With file systems frozen, no memory is to be had by writing to them. */
	noio = memalloc_noio_save();
	ret = snapshot_freeze(snapshot);
	if (!ret) {
		tracker_switch_all(snapshot->changes, snapshot->count);
		snapshot_thaw(snapshot);
	}
	memalloc_noio_restore(noio);
	if (ret) {
		snapshot_unprepare_all(snapshot, snapshot->count);
		return ret;
	}

	tracker_drain_all(snapshot->changes, snapshot->count);
	for (i = 0; i < snapshot->count; i++)
		snapimage_set_live(snapshot->members[i].image);
	snapshot->state = snapshot_taken;
	return 0;
}

void snapshot_untake(struct snapshot *snapshot)
{
	lockdep_assert_held(&snapshot->lock);
	snapshot_silence(snapshot, snapshot->count);
	tracker_unswitch_all(snapshot->changes, snapshot->count);
	snapshot_dismantle(snapshot, snapshot->count);
}
