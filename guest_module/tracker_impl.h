/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files that make up the trackers share among themselves:
 *
 *	tracker.c		the trackers, their list, claims
 *	tracker_write.c		what happens to a write
 *	tracker_epoch.c		counting of writes under way, per epoch
 *	tracker_switch.c	the take
 *	tracker_command.c	commands of the control node
 */
#ifndef BLKSNAP_TRACKER_IMPL_H
#define BLKSNAP_TRACKER_IMPL_H

#include <linux/bdevfilter.h>
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/percpu-rwsem.h>
#include <linux/workqueue.h>

#include "tracker.h"

/**
 * enum tracker_state - Where the filter of a tracker is.
 * @tracker_attaching: On its way to the device.
 * @tracker_attached: There, unless the device has gone.
 * @tracker_vacated: Its device has gone, and its place is another's.
 * @tracker_ending: It is being taken off, by who set this, or was.
 */
enum tracker_state {
	tracker_attaching,
	tracker_attached,
	tracker_vacated,
	tracker_ending,
};

/**
 * struct tracker - The tracker of a device.
 * @filter: What is attached to the device; its count is the tracker's.
 * @link: In the list; tracker_list_lock.
 * @dev: Number of the device.
 * @claimed: A snapshot holds it; tracker_list_lock.
 * @state: Where its filter is; tracker_list_lock.
 * @detach_lock: Held by who detaches the filter: another one waits until no
 *	callback of it runs any more. Inside: the filter's mutex, and SRCU
 *	of a disk, waited for.
 * @gone: It is in the list no more.
 * @map: The CBT map.
 * @resizes: bdev_filter_resizes() that it has followed; its snapshot's lock.
 * @smallest: See tracker_watch_size().
 * @area: Where old data goes, NULL if no snapshot is taken; the switch lock.
 * @epoch: Counts writes under way; the switch lock, and read without it.
 */
struct tracker {
	struct bdev_filter filter;
	struct list_head link;
	dev_t dev;
	bool claimed;
	enum tracker_state state;
	struct mutex detach_lock;
	struct completion gone;
	struct cbt_map *map;
	unsigned int resizes;
	atomic64_t smallest;
	struct diff_area *area;
	struct tracker_epoch *epoch;
};

/**
 * struct tracker_epoch - The writes between two takes.
 * @writes: The epoch itself until it is over, and each write under way.
 * @tracker: Whose writes; a reference.
 * @drained: The last write has ended, or is about to return from here.
 * @last: Frees the epoch at its end, if nobody waits for it.
 * @nobody_waits: That is so.
 */
struct tracker_epoch {
	struct percpu_ref writes;
	struct tracker *tracker;
	struct completion drained;
	struct work_struct last;
	bool nobody_waits;
};

/*
 * Protects the list of trackers, their claims and states. Not held while a device
 * is waited for: who has made a tracker attaching or ending moves it on.
 */
extern struct mutex tracker_list_lock;
extern struct list_head tracker_list;

/*
 * The switch lock: who decides about a write holds it shared, for a moment; a
 * take exclusively. May be taken with tracker_list_lock held.
 */
extern struct percpu_rw_semaphore tracker_switch_lock;

/* For what must not run, nor wait to run, when the module goes. */
extern struct workqueue_struct *tracker_queue;

/*
 * Trackers and epochs that exist. Their last references may go at any time, by
 * the end of a write; the module's exit waits for that.
 */
void tracker_object_come(void);
void tracker_object_gone(void);
void tracker_objects_wait(void);

/* An epoch holds a reference on its tracker. NULL: no memory. */
struct tracker_epoch *tracker_epoch_new(struct tracker *tracker);
/* No write can join it any more. Free it when the last one has ended. */
void tracker_epoch_abandon(struct tracker_epoch *epoch);
/* The same in two steps, the second of which waits for that. */
void tracker_epoch_close(struct tracker_epoch *epoch);
void tracker_epoch_wait(struct tracker_epoch *epoch);

/* The filter's callback. */
enum bdev_filter_result tracker_submit_bio(struct bio *bio,
					   struct bdev_filter *filter,
					   sector_t sector, sector_t count);
int tracker_write_init(void);
void tracker_write_done(void);

/* The tracker of a number: one that lives rather than one that is dead. */
struct tracker *tracker_list_find(dev_t dev);
/* Is it, or is it about to be, the one of the device behind its number? */
bool tracker_lives(struct tracker *tracker);
/*
 * Take it off its device and out of the list; the caller has made it ending, or
 * nobody else is left. Waits for callbacks of its filter. Writes under way keep the
 * memory for a while.
 */
void tracker_end(struct tracker *tracker);

#endif /* BLKSNAP_TRACKER_IMPL_H */
