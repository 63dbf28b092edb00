// SPDX-License-Identifier: GPL-2.0
/*
 * Epochs: counting the writes of a tracker that are under way, from one take to
 * the next.
 *
 * An epoch ends when no write can join it any more. The take waits then for the
 * last of its writes to end; at the end of a tracker nobody waits, and the epoch
 * frees itself and gives back the tracker.
 *
 * Context: the last write may end in an interrupt, so freeing is done by who
 * waits, or by a work item.
 *
 * Locking: none; a percpu_ref.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-tracker: " fmt

#include <linux/wait_bit.h>

#include "account.h"
#include "tracker_impl.h"

static atomic_t tracker_objects = ATOMIC_INIT(0);

void tracker_object_come(void)
{
	atomic_inc(&tracker_objects);
}

void tracker_object_gone(void)
{
	if (atomic_dec_and_test(&tracker_objects))
		wake_up_var(&tracker_objects);
}

void tracker_objects_wait(void)
{
	wait_var_event(&tracker_objects,
		       !atomic_read_acquire(&tracker_objects));
}

static void tracker_epoch_free(struct tracker_epoch *epoch)
{
	percpu_ref_exit(&epoch->writes);
	bdev_filter_put(&epoch->tracker->filter);
	account_free(account_epoch, epoch, sizeof(*epoch));
	tracker_object_gone();
}

static void tracker_epoch_last(struct work_struct *work)
{
	tracker_epoch_free(container_of(work, struct tracker_epoch, last));
}

static void tracker_epoch_drained(struct percpu_ref *ref)
{
	struct tracker_epoch *epoch = container_of(ref, struct tracker_epoch,
						   writes);

	if (epoch->nobody_waits)
		queue_work(tracker_queue, &epoch->last);
	else
		complete(&epoch->drained);
}

struct tracker_epoch *tracker_epoch_new(struct tracker *tracker)
{
	struct tracker_epoch *epoch;

	epoch = account_zalloc(account_epoch, sizeof(*epoch), GFP_KERNEL);
	if (!epoch)
		return NULL;
	if (percpu_ref_init(&epoch->writes, tracker_epoch_drained, 0,
			    GFP_KERNEL)) {
		account_free(account_epoch, epoch, sizeof(*epoch));
		return NULL;
	}
	init_completion(&epoch->drained);
	INIT_WORK(&epoch->last, tracker_epoch_last);
	epoch->tracker = tracker;
	bdev_filter_get(&tracker->filter);
	tracker_object_come();
	return epoch;
}

void tracker_epoch_close(struct tracker_epoch *epoch)
{
	percpu_ref_kill(&epoch->writes);
}

void tracker_epoch_wait(struct tracker_epoch *epoch)
{
	wait_for_completion(&epoch->drained);
	tracker_epoch_free(epoch);
}

void tracker_epoch_abandon(struct tracker_epoch *epoch)
{
	epoch->nobody_waits = true;
	tracker_epoch_close(epoch);
}
