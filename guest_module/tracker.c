// SPDX-License-Identifier: GPL-2.0
/*
 * The trackers: made with the first snapshot of a device, attached to it as a
 * filter, kept until they are removed or the module goes.
 *
 * A tracker holds memory only, never its device. If the device goes away, the
 * tracker is dead: it stays in the list until it is removed, or the next one is
 * claimed.
 *
 * Context: process context.
 *
 * Locking: tracker_list_lock for the list, claims and states. It is never waited
 * for where bios are submitted, and no device is waited for with it: one that
 * hangs holds up who creates a snapshot of it, and nobody else.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-tracker: " fmt

#include <linux/blkdev.h>

#include <linux/blksnap.h>

#include "account.h"
#include "cbt_map.h"
#include "compat.h"
#include "compat_bdev.h"
#include "compat_bio.h"
#include "diff_io.h"
#include "fault.h"
#include "tracker_impl.h"

#define TRACKER_FILTER_NAME "blksnap"

DEFINE_MUTEX(tracker_list_lock);
LIST_HEAD(tracker_list);
struct workqueue_struct *tracker_queue;

/* ---- Trackers ---- */

static void tracker_free(struct kref *kref)
{
	struct tracker *tracker = container_of(kref, struct tracker,
					       filter.kref);

	cbt_map_put(tracker->map);
	account_free(account_tracker, tracker, sizeof(*tracker));
	tracker_object_gone();
}

static void tracker_resized(struct bdev_filter *filter, sector_t size)
{
	struct tracker *tracker = container_of(filter, struct tracker, filter);
	s64 smallest = atomic64_read(&tracker->smallest);

	while (smallest > (s64)size &&
	       !atomic64_try_cmpxchg(&tracker->smallest, &smallest, size))
		;
}

static const struct bdev_filter_operations tracker_filter_operations = {
	.submit_bio_cb = tracker_submit_bio,
	.detach_cb = tracker_free,
	.resized_cb = tracker_resized,
	.own_bios = &diff_io_bios,
	.writes_only = true,
};

static struct tracker *tracker_alloc(struct block_device *bdev)
{
	struct tracker *tracker;
	struct cbt_map *map;

	if (fault_at(fault_tracker_new))
		return ERR_PTR(-ENOMEM);
	map = cbt_map_create(compat_bdev_sectors(bdev));
	if (IS_ERR(map))
		return ERR_CAST(map);
	tracker = account_zalloc(account_tracker, sizeof(*tracker), GFP_KERNEL);
	if (!tracker) {
		cbt_map_put(map);
		return ERR_PTR(-ENOMEM);
	}
	tracker_object_come();
	bdev_filter_init(&tracker->filter, &tracker_filter_operations);
	mutex_init(&tracker->detach_lock);
	init_completion(&tracker->gone);
	tracker->state = tracker_attaching;
	tracker->claimed = true;
	tracker->dev = bdev->bd_dev;
	tracker->map = map;
	tracker->epoch = tracker_epoch_new(tracker);
	if (!tracker->epoch) {
		bdev_filter_put(&tracker->filter);
		return ERR_PTR(-ENOMEM);
	}
	return tracker;
}

/* What we cannot do right, we do not do. */
static const char *tracker_refusal(struct block_device *bdev)
{
	struct request_queue *queue = bdev_get_queue(bdev);

	if (bdev_is_zoned(bdev))
		return "it is zoned";
	if (blk_queue_dax(queue))
		return "it can be written to without the block layer (DAX)";
	if (bdev_get_integrity(bdev))
		return "it has an integrity profile";
	if (compat_has_inline_encryption(queue))
		return "it has inline encryption";
	if (compat_disk_changes_unseen(bdev->bd_disk))
		return "this kernel does not tell when it gets another content";
	return NULL;
}

/*
 * Writes that were under way before the filter came are not counted, and would be
 * missed by a take that is quicker than they are. Attaching has waited for all
 * requests of the queue; but a driver that works on bios has no requests. The
 * file system can wait for its writes, by being frozen. If it cannot be frozen,
 * because it is frozen already, there is nothing to wait for.
 */
static void tracker_settle(struct compat_bdev *opened)
{
	if (!queue_is_mq(bdev_get_queue(opened->bdev)) &&
	    !compat_bdev_freeze(opened))
		compat_bdev_thaw(opened);
}

static struct tracker *tracker_new(struct compat_bdev *opened)
{
	struct block_device *bdev = opened->bdev;
	const char *why = tracker_refusal(bdev);

	if (why) {
		pr_warn("%pg cannot be tracked: %s\n", bdev, why);
		return ERR_PTR(-EOPNOTSUPP);
	}
	return tracker_alloc(bdev);
}

/* It has no filter on a device, or never had one, and is in no list. */
static void tracker_discard(struct tracker *tracker)
{
	tracker_epoch_abandon(tracker->epoch);
	bdev_filter_put(&tracker->filter);
}

/* Return: 0; -ENOENT: it was not attached, or is not any more. */
static int tracker_detach(struct tracker *tracker)
{
	int ret;

	mutex_lock(&tracker->detach_lock);
	ret = bdev_filter_detach(&tracker->filter, TRACKER_FILTER_NAME,
				 bdev_filter_alt_blksnap);
	mutex_unlock(&tracker->detach_lock);
	return ret;
}

static int tracker_attach(struct tracker *tracker, struct compat_bdev *opened)
{
	struct block_device *bdev = opened->bdev;
	int ret;

	/* One reference is the list's, the other becomes the filter's place's. */
	bdev_filter_get(&tracker->filter);
	ret = bdev_filter_attach(bdev, TRACKER_FILTER_NAME,
				 bdev_filter_alt_blksnap, &tracker->filter);
	if (ret) {
		bdev_filter_put(&tracker->filter);
		return ret;
	}
	tracker_settle(opened);
	pr_info("tracking %u:%u, %llu sectors\n", MAJOR(tracker->dev),
		MINOR(tracker->dev), (u64)compat_bdev_sectors(bdev));
	return 0;
}

/* ---- The list ---- */

bool tracker_lives(struct tracker *tracker)
{
	lockdep_assert_held(&tracker_list_lock);
	switch (tracker->state) {
	case tracker_attaching:
		return true;
	case tracker_attached:
		return !bdev_filter_is_dead(&tracker->filter);
	case tracker_vacated:
	case tracker_ending:
		break;
	}
	return false;
}

struct tracker *tracker_list_find(dev_t dev)
{
	struct tracker *tracker, *found = NULL;

	lockdep_assert_held(&tracker_list_lock);
	list_for_each_entry(tracker, &tracker_list, link) {
		if (tracker->dev != dev || tracker->state == tracker_ending)
			continue;
		found = tracker;
		if (tracker_lives(tracker))
			break;
	}
	return found;
}

static struct tracker *tracker_list_find_alive(dev_t dev)
{
	struct tracker *tracker = tracker_list_find(dev);

	return tracker && tracker_lives(tracker) ? tracker : NULL;
}

static struct tracker *tracker_list_find_ending(dev_t dev)
{
	struct tracker *tracker;

	lockdep_assert_held(&tracker_list_lock);
	list_for_each_entry(tracker, &tracker_list, link)
		if (tracker->dev == dev && tracker->state == tracker_ending)
			return tracker;
	return NULL;
}

/* One whose device is gone, and that no snapshot holds; of this number, or any. */
static struct tracker *tracker_list_find_left(const dev_t *dev)
{
	struct tracker *tracker;

	lockdep_assert_held(&tracker_list_lock);
	list_for_each_entry(tracker, &tracker_list, link)
		if ((!dev || tracker->dev == *dev) && !tracker->claimed &&
		    tracker->state != tracker_ending && !tracker_lives(tracker))
			return tracker;
	return NULL;
}

/* One of this number whose device is gone, and whose place is taken nonetheless. */
static struct tracker *tracker_list_find_dead(dev_t dev)
{
	struct tracker *tracker;

	lockdep_assert_held(&tracker_list_lock);
	list_for_each_entry(tracker, &tracker_list, link)
		if (tracker->dev == dev && tracker->state == tracker_attached &&
		    bdev_filter_is_dead(&tracker->filter))
			return tracker;
	return NULL;
}

/* ---- The end of trackers ---- */

void tracker_end(struct tracker *tracker)
{
	/* -ENOENT: it was vacated when its device came back as another one. */
	tracker_detach(tracker);
	pr_info("no longer tracking %u:%u\n", MAJOR(tracker->dev),
		MINOR(tracker->dev));
	/* Its place is free before a create can find that it is not there. */
	mutex_lock(&tracker_list_lock);
	list_del_init(&tracker->link);
	mutex_unlock(&tracker_list_lock);
	complete_all(&tracker->gone);
	tracker_discard(tracker);
}

static void tracker_reap(const dev_t *dev)
{
	struct tracker *tracker;

	do {
		mutex_lock(&tracker_list_lock);
		tracker = tracker_list_find_left(dev);
		if (tracker)
			tracker->state = tracker_ending;
		mutex_unlock(&tracker_list_lock);
		if (tracker)
			tracker_end(tracker);
	} while (tracker);
}

/* Those of other devices: nobody waits for what may hang with these. */
static void tracker_reap_all(struct work_struct *work)
{
	tracker_reap(NULL);
}

static DECLARE_WORK(tracker_reap_work, tracker_reap_all);

/* Free the places of those that snapshots keep. */
static void tracker_vacate(dev_t dev)
{
	struct tracker *tracker;

	do {
		mutex_lock(&tracker_list_lock);
		tracker = tracker_list_find_dead(dev);
		if (tracker)
			bdev_filter_get(&tracker->filter);
		mutex_unlock(&tracker_list_lock);
		if (!tracker)
			break;
		tracker_detach(tracker);
		mutex_lock(&tracker_list_lock);
		if (tracker->state == tracker_attached)
			tracker->state = tracker_vacated;
		mutex_unlock(&tracker_list_lock);
		bdev_filter_put(&tracker->filter);
	} while (tracker);
}

/* Until none of this number is being taken off. Return: 0, -EINTR if killed. */
static int tracker_wait_ends(dev_t dev)
{
	struct tracker *tracker;
	int ret = 0;

	do {
		mutex_lock(&tracker_list_lock);
		tracker = tracker_list_find_ending(dev);
		if (tracker)
			bdev_filter_get(&tracker->filter);
		mutex_unlock(&tracker_list_lock);
		if (tracker) {
			if (wait_for_completion_killable(&tracker->gone))
				ret = -EINTR;
			bdev_filter_put(&tracker->filter);
		}
	} while (tracker && !ret);
	return ret;
}

/* ---- Claims ---- */

/*
 * Into the list, for who made it. False if there is one of this number by now, or
 * one in its place whose device became another meanwhile.
 */
static bool tracker_list_add(struct tracker *tracker)
{
	bool added;

	mutex_lock(&tracker_list_lock);
	added = !tracker_list_find_alive(tracker->dev) &&
		!tracker_list_find_ending(tracker->dev) &&
		!tracker_list_find_dead(tracker->dev);
	if (added)
		list_add_tail(&tracker->link, &tracker_list);
	mutex_unlock(&tracker_list_lock);
	return added;
}

static void tracker_list_attached(struct tracker *tracker, bool failed)
{
	mutex_lock(&tracker_list_lock);
	tracker->state = tracker_attached;
	if (failed)
		list_del_init(&tracker->link);
	mutex_unlock(&tracker_list_lock);
}

/* The tracker of an open device, claimed. NULL if somebody else was quicker. */
static struct tracker *tracker_start(struct compat_bdev *opened)
{
	struct tracker *tracker = tracker_new(opened);
	int ret;

	if (IS_ERR(tracker))
		return tracker;
	if (!tracker_list_add(tracker)) {
		tracker_discard(tracker);
		return NULL;
	}
	ret = tracker_attach(tracker, opened);
	tracker_list_attached(tracker, ret);
	if (ret) {
		tracker_discard(tracker);
		return ERR_PTR(ret);
	}
	return tracker;
}

static struct tracker *tracker_make(dev_t dev)
{
	struct compat_bdev opened;
	struct tracker *tracker;
	int ret;

	ret = compat_bdev_open(&opened, dev);
	if (ret)
		return ERR_PTR(ret);
	tracker = tracker_start(&opened);
	compat_bdev_close(&opened);
	return tracker;
}

/* NULL: look again. */
static struct tracker *tracker_claim_once(dev_t dev, bool *fresh)
{
	struct tracker *tracker;
	bool held;
	int ret;

	tracker_reap(&dev);
	tracker_vacate(dev);
	ret = tracker_wait_ends(dev);
	if (ret)
		return ERR_PTR(ret);
	mutex_lock(&tracker_list_lock);
	tracker = tracker_list_find_alive(dev);
	held = tracker && tracker->claimed;
	if (tracker)
		tracker->claimed = true;
	mutex_unlock(&tracker_list_lock);
	*fresh = !tracker;
	if (held)
		return ERR_PTR(-EALREADY);
	return tracker ?: tracker_make(dev);
}

struct tracker *tracker_claim(dev_t dev, bool *fresh)
{
	struct tracker *tracker;

	queue_work(compat_unbound_queue(), &tracker_reap_work);
	do {
		tracker = tracker_claim_once(dev, fresh);
	} while (!tracker);
	return tracker;
}

void tracker_release(struct tracker *tracker, bool remove)
{
	mutex_lock(&tracker_list_lock);
	if (remove)
		tracker->state = tracker_ending;
	tracker->claimed = false;
	mutex_unlock(&tracker_list_lock);
	if (remove)
		tracker_end(tracker);
}

dev_t tracker_number(const struct tracker *tracker)
{
	return tracker->dev;
}

struct cbt_map *tracker_map(const struct tracker *tracker)
{
	return tracker->map;
}

bool tracker_is_dead(struct tracker *tracker)
{
	return bdev_filter_is_dead(&tracker->filter);
}

const atomic64_t *tracker_watch_size(struct tracker *tracker)
{
	atomic64_set(&tracker->smallest, S64_MAX);
	return &tracker->smallest;
}

/* ---- The module's part ---- */

int tracker_init(void)
{
	int ret = percpu_init_rwsem(&tracker_switch_lock);

	if (ret)
		return ret;
	tracker_queue = alloc_workqueue("blksnap-tracker",
					WQ_MEM_RECLAIM | WQ_HIGHPRI |
					COMPAT_WQ_PERCPU, 0);
	if (!tracker_queue) {
		ret = -ENOMEM;
		goto out_lock;
	}
	ret = tracker_write_init();
	if (ret)
		goto out_queue;
	return 0;

out_queue:
	destroy_workqueue(tracker_queue);
out_lock:
	percpu_free_rwsem(&tracker_switch_lock);
	return ret;
}

/* Nobody has a claim any more, nor comes with one. */
static void tracker_remove_all(void)
{
	struct tracker *tracker, *next;

	cancel_work_sync(&tracker_reap_work);
	list_for_each_entry_safe(tracker, next, &tracker_list, link)
		tracker_end(tracker);
}

void tracker_done(void)
{
	tracker_remove_all();
	/* Writes under way still have to come back to us. */
	tracker_objects_wait();
	destroy_workqueue(tracker_queue);
	tracker_write_done();
	percpu_free_rwsem(&tracker_switch_lock);
	/*
	 * A completion, or who freed the last object, may still be in the last
	 * instructions of this module's text: in an interrupt, or preempted.
	 */
	synchronize_rcu();
	synchronize_rcu_tasks();
}
