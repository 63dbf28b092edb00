// SPDX-License-Identifier: GPL-2.0
/*
 * The take, as the trackers see it.
 *
 * It is one instant for all devices: the exclusive side of the switch lock. Each
 * write takes the shared side once, for a moment, and is a write from before or
 * after the take accordingly. Those from before may still be under way then. So
 * they are counted per epoch, and the take waits for the old epoch to end before
 * images can be read: an image shows each of them, or, where a later write had
 * the chunk copied first, does not, and stays so. Writers are not held up for
 * that; inside stacked drivers that could not work.
 *
 * Context: process context.
 *
 * Locking: the switch lock.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-tracker: " fmt

#include "cbt_map.h"
#include "diff_area.h"
#include "fault.h"
#include "tracker_impl.h"

/* Not a static one: those leave an RCU callback behind at unload. */
struct percpu_rw_semaphore tracker_switch_lock;

int tracker_prepare(struct tracker_switch *change)
{
	struct tracker *tracker = change->tracker;

	if (fault_at(fault_tracker_prepare))
		return -ENOMEM;
	/* The size was asked for before this: a change since is in the number. */
	change->resizes = bdev_filter_resizes(&tracker->filter);
	change->spare = cbt_map_prepare(tracker->map, change->area->capacity,
					change->resizes != tracker->resizes);
	if (IS_ERR(change->spare)) {
		int ret = PTR_ERR(change->spare);

		change->spare = NULL;
		return ret;
	}
	change->epoch = tracker_epoch_new(tracker);
	if (!change->epoch) {
		cbt_map_spare_free(change->spare);
		change->spare = NULL;
		return -ENOMEM;
	}
	return 0;
}

void tracker_cancel(struct tracker_switch *change)
{
	cbt_map_spare_free(change->spare);
	change->spare = NULL;
	/*
	 * No write has joined it, so that this waits for RCU only; and when the
	 * take has failed, nothing of it is left (K27).
	 */
	tracker_epoch_close(change->epoch);
	tracker_epoch_wait(change->epoch);
	change->epoch = NULL;
}

void tracker_switch_all(struct tracker_switch *changes, u32 count)
{
	u32 i;

	percpu_down_write(&tracker_switch_lock);
	for (i = 0; i < count; i++) {
		struct tracker *tracker = changes[i].tracker;
		struct tracker_epoch *before = tracker->epoch;

		cbt_map_switch(tracker->map, changes[i].spare);
		tracker->resizes = changes[i].resizes;
		tracker->area = changes[i].area;
		WRITE_ONCE(tracker->epoch, changes[i].epoch);
		changes[i].epoch = before;
	}
	percpu_up_write(&tracker_switch_lock);
}

void tracker_drain_all(struct tracker_switch *changes, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		tracker_epoch_close(changes[i].epoch);
	for (i = 0; i < count; i++) {
		tracker_epoch_wait(changes[i].epoch);
		changes[i].epoch = NULL;
		cbt_map_spare_free(changes[i].spare);
		changes[i].spare = NULL;
	}
}

void tracker_unswitch_all(struct tracker_switch *changes, u32 count)
{
	u32 i;

	percpu_down_write(&tracker_switch_lock);
	for (i = 0; i < count; i++)
		changes[i].tracker->area = NULL;
	percpu_up_write(&tracker_switch_lock);
}
