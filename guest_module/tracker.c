// SPDX-License-Identifier: GPL-2.0
/*
 * The trackers: made with the first snapshot of a device, attached to it as a
 * filter, kept until they are removed or the module goes.
 *
 * A tracker holds memory only, never its device. If the device goes away, the
 * tracker is dead: it stays in the list, and is replaced when a device of the
 * same number is to be tracked.
 *
 * Context: process context.
 *
 * Locking: tracker_list_lock for the list and for claims. It is never waited for
 * where bios are submitted.
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
	map = cbt_map_create(bdev_nr_sectors(bdev));
	if (IS_ERR(map))
		return ERR_CAST(map);
	tracker = account_zalloc(account_tracker, sizeof(*tracker), GFP_KERNEL);
	if (!tracker) {
		cbt_map_put(map);
		return ERR_PTR(-ENOMEM);
	}
	tracker_object_come();
	bdev_filter_init(&tracker->filter, &tracker_filter_operations);
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

static int tracker_attach(struct compat_bdev *opened, struct tracker **made)
{
	struct block_device *bdev = opened->bdev;
	const char *why = tracker_refusal(bdev);
	struct tracker *tracker;
	int ret;

	if (why) {
		pr_warn("%pg cannot be tracked: %s\n", bdev, why);
		return -EOPNOTSUPP;
	}
	tracker = tracker_alloc(bdev);
	if (IS_ERR(tracker))
		return PTR_ERR(tracker);

	/* One reference is the list's, the other becomes the filter's place's. */
	bdev_filter_get(&tracker->filter);
	ret = bdev_filter_attach(bdev, TRACKER_FILTER_NAME,
				 bdev_filter_alt_blksnap, &tracker->filter);
	if (ret) {
		bdev_filter_put(&tracker->filter);
		tracker_epoch_abandon(tracker->epoch);
		bdev_filter_put(&tracker->filter);
		return ret;
	}
	tracker_settle(opened);
	pr_info("tracking %u:%u, %llu sectors\n", MAJOR(tracker->dev),
		MINOR(tracker->dev), (u64)bdev_nr_sectors(bdev));
	*made = tracker;
	return 0;
}

void tracker_detach(struct tracker *tracker)
{
	/* -ENOENT: it was detached when its device came back as another one. */
	bdev_filter_detach(&tracker->filter, TRACKER_FILTER_NAME,
			   bdev_filter_alt_blksnap);
	pr_info("no longer tracking %u:%u\n", MAJOR(tracker->dev),
		MINOR(tracker->dev));
	tracker_epoch_abandon(tracker->epoch);
	bdev_filter_put(&tracker->filter);
}

/* ---- The list ---- */

void tracker_list_del(struct tracker *tracker)
{
	lockdep_assert_held(&tracker_list_lock);
	list_del_init(&tracker->link);
}

struct tracker *tracker_list_find(dev_t dev)
{
	struct tracker *tracker, *found = NULL;

	lockdep_assert_held(&tracker_list_lock);
	list_for_each_entry(tracker, &tracker_list, link) {
		if (tracker->dev != dev)
			continue;
		found = tracker;
		if (!bdev_filter_is_dead(&tracker->filter))
			break;
	}
	return found;
}

static struct tracker *tracker_list_find_alive(dev_t dev)
{
	struct tracker *tracker = tracker_list_find(dev);

	if (tracker && bdev_filter_is_dead(&tracker->filter))
		return NULL;
	return tracker;
}

/* Room for a new device of the same number. */
static void tracker_list_reap(dev_t dev)
{
	struct tracker *tracker, *next;

	lockdep_assert_held(&tracker_list_lock);
	list_for_each_entry_safe(tracker, next, &tracker_list, link) {
		if (tracker->dev != dev ||
		    !bdev_filter_is_dead(&tracker->filter))
			continue;
		if (tracker->claimed) {
			/* Its snapshot keeps it, but not its place. */
			bdev_filter_detach(&tracker->filter,
					   TRACKER_FILTER_NAME,
					   bdev_filter_alt_blksnap);
			continue;
		}
		tracker_list_del(tracker);
		tracker_detach(tracker);
	}
}

static int tracker_list_make(dev_t dev, struct tracker **made)
{
	struct compat_bdev opened;
	int ret;

	lockdep_assert_held(&tracker_list_lock);
	tracker_list_reap(dev);
	ret = compat_bdev_open(&opened, dev);
	if (ret)
		return ret;
	ret = tracker_attach(&opened, made);
	compat_bdev_close(&opened);
	if (ret)
		return ret;
	list_add_tail(&(*made)->link, &tracker_list);
	return 0;
}

struct tracker *tracker_claim(dev_t dev, bool *fresh)
{
	struct tracker *tracker;
	int ret = 0;

	mutex_lock(&tracker_list_lock);
	tracker = tracker_list_find_alive(dev);
	*fresh = !tracker;
	if (!tracker)
		ret = tracker_list_make(dev, &tracker);
	else if (tracker->claimed)
		ret = -EALREADY;
	if (!ret)
		tracker->claimed = true;
	mutex_unlock(&tracker_list_lock);
	return ret ? ERR_PTR(ret) : tracker;
}

void tracker_release(struct tracker *tracker, bool remove)
{
	mutex_lock(&tracker_list_lock);
	tracker->claimed = false;
	if (remove) {
		tracker_list_del(tracker);
		tracker_detach(tracker);
	}
	mutex_unlock(&tracker_list_lock);
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

static void tracker_detach_all(void)
{
	struct tracker *tracker, *next;

	mutex_lock(&tracker_list_lock);
	list_for_each_entry_safe(tracker, next, &tracker_list, link) {
		tracker_list_del(tracker);
		tracker_detach(tracker);
	}
	mutex_unlock(&tracker_list_lock);
}

void tracker_done(void)
{
	tracker_detach_all();
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
