// SPDX-License-Identifier: GPL-2.0
/*
 * The trackers: what happens to a write to an original.
 *
 * Each write is marked in the CBT map, is counted until it ends, and, while a
 * snapshot is held, waits until the old data is safe.
 *
 * The take is one instant for all devices: the exclusive side of the switch lock.
 * Each write takes the shared side once, for a moment, and is a write from before
 * or after the take accordingly; it never waits for I/O with the lock held. Those
 * from before may still be under way then. So they are counted per epoch, and
 * the take waits for the old epoch to end before images can be read: an image
 * shows each of them, or, where a later write had the chunk copied first, does
 * not, and stays so. Writers are not held up for that; inside stacked drivers
 * that could not work.
 *
 * A write that is under way at the take was marked for the take, but may come
 * too late for the image. At its end it is marked again, for the next take.
 *
 * To learn of its end, the bio's completion is replaced. A bio may be replaced
 * several times: by the trackers of a partition and its disk, by those of the
 * devices of a stack. A bio that comes back to the same tracker (the remainder
 * of a split, the block layer's own retry) is known and passes: all of it was
 * treated when it came first, for the epoch that it belongs to. Waiting then
 * could not be done safely, with the driver in the middle of its work.
 *
 * Context: the callback in process context; completion in any.
 *
 * Locking: tracker_list_lock (a mutex) for the list and for claims. The switch
 * lock for tracker->area, tracker->epoch and the numbers of the maps. The first
 * may be held while taking the second.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-tracker: " fmt

#include <linux/blk-integrity.h>
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/percpu-rwsem.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include <linux/blksnap.h>

#include "account.h"
#include "bdevfilter.h"
#include "cbt_map.h"
#include "compat_bdev.h"
#include "diff_area.h"
#include "diff_io.h"
#include "fault.h"
#include "tracker.h"

#define TRACKER_FILTER_NAME "blksnap"
/* Writes under way that are possible without any free memory. */
#define TRACKER_WRITES_RESERVE 1024

/**
 * struct tracker - The tracker of a device.
 * @filter: What is attached to the device; its count is the tracker's.
 * @link: In the list; tracker_list_lock.
 * @dev: Number of the device.
 * @claimed: A snapshot holds it; tracker_list_lock.
 * @map: The CBT map.
 * @area: Where old data goes, NULL if no snapshot is taken; the switch lock.
 * @epoch: Counts writes under way; the switch lock, and read without it.
 */
struct tracker {
	struct bdev_filter filter;
	struct list_head link;
	dev_t dev;
	bool claimed;
	struct cbt_map *map;
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

/**
 * struct tracker_write - A write under way.
 * @end_io: Completion of its submitter.
 * @private: Data of its submitter.
 * @epoch: Its epoch, counted.
 * @sector: First sector on the tracker's device.
 * @count: Number of sectors.
 */
struct tracker_write {
	bio_end_io_t *end_io;
	void *private;
	struct tracker_epoch *epoch;
	sector_t sector;
	sector_t count;
};

static DEFINE_MUTEX(tracker_list_lock);
static LIST_HEAD(tracker_list);
/* Not a static one: those leave an RCU callback behind at unload. */
static struct percpu_rw_semaphore tracker_switch_lock;
static mempool_t *tracker_writes;
static struct workqueue_struct *tracker_queue;

/* Objects that have not been freed yet; the module's exit waits for none. */
static atomic_t tracker_objects = ATOMIC_INIT(0);

static void tracker_object_gone(void)
{
	if (atomic_dec_and_test(&tracker_objects))
		wake_up_var(&tracker_objects);
}

/* ---- Epochs ---- */

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

static struct tracker_epoch *tracker_epoch_new(struct tracker *tracker)
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
	atomic_inc(&tracker_objects);
	return epoch;
}

/* No write can join it any more. Wait for those that have. */
static void tracker_epoch_wait(struct tracker_epoch *epoch)
{
	wait_for_completion(&epoch->drained);
	tracker_epoch_free(epoch);
}

/* No write can join it any more. It is freed when the last one has ended. */
static void tracker_epoch_abandon(struct tracker_epoch *epoch)
{
	epoch->nobody_waits = true;
	percpu_ref_kill(&epoch->writes);
}

/* ---- Completion ---- */

/*
 * A chain of bios (a large discard, for example) may complete all at once, from
 * the first to the last. bio_endio() does that in a loop, but not if completions
 * are replaced: then each would call the next one, as deep as the chain is long.
 * So the next link of a chain whose turn it is, is completed by a work item.
 */
static bio_end_io_t *tracker_chain_end;
static DEFINE_SPINLOCK(tracker_ended_lock);
static struct bio_list tracker_ended = BIO_EMPTY_LIST;

static void tracker_end_all(struct work_struct *work)
{
	struct bio *bio;

	for (;;) {
		spin_lock_irq(&tracker_ended_lock);
		bio = bio_list_pop(&tracker_ended);
		spin_unlock_irq(&tracker_ended_lock);
		if (!bio)
			break;
		bio->bi_end_io(bio);
		cond_resched();
	}
}

static DECLARE_WORK(tracker_end_work, tracker_end_all);

static void tracker_end_later(struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&tracker_ended_lock, flags);
	bio_list_add(&tracker_ended, bio);
	spin_unlock_irqrestore(&tracker_ended_lock, flags);
	queue_work(tracker_queue, &tracker_end_work);
}

static void tracker_write_end(struct bio *bio);

/* Would its submitter's completion complete a chained write in turn? */
static bool tracker_would_nest(const struct bio *bio)
{
	const struct bio *parent = bio->bi_private;

	return bio->bi_end_io == tracker_chain_end &&
	       READ_ONCE(parent->bi_end_io) == tracker_write_end &&
	       atomic_read(&parent->__bi_remaining) <= 1;
}

/* The completion of bio_chain() is not exported: ask it. */
static void tracker_learn_chain_end(void)
{
	struct bio child, parent;

	bio_init(&child, NULL, NULL, 0, 0);
	bio_init(&parent, NULL, NULL, 0, 0);
	bio_chain(&child, &parent);
	tracker_chain_end = child.bi_end_io;
	bio_uninit(&child);
	bio_uninit(&parent);
}

static struct tracker_write *tracker_write_new(sector_t sector, sector_t count,
					       bool nowait)
{
	struct tracker_write *write;

	write = mempool_alloc(tracker_writes, nowait ? GFP_NOWAIT : GFP_NOIO);
	if (write) {
		write->sector = sector;
		write->count = count;
		account_add(account_write, sizeof(*write));
	}
	return write;
}

static void tracker_write_free(struct tracker_write *write)
{
	account_sub(account_write, sizeof(*write));
	mempool_free(write, tracker_writes);
}

static void tracker_write_end(struct bio *bio)
{
	struct tracker_write *write = bio->bi_private;
	struct tracker_epoch *epoch = write->epoch;
	struct tracker *tracker = epoch->tracker;

	bio->bi_end_io = write->end_io;
	bio->bi_private = write->private;

	/* The data has landed; was there a take since the write began? */
	smp_mb();
	if (READ_ONCE(tracker->epoch) != epoch)
		cbt_map_set(tracker->map, write->sector, write->count);
	tracker_write_free(write);
	/* This may be the last thing that kept the tracker. */
	percpu_ref_put(&epoch->writes);

	if (tracker_would_nest(bio))
		tracker_end_later(bio);
	else if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

/* ---- Writes ---- */

static void tracker_write_wrap(struct tracker_write *write, struct bio *bio)
{
	write->end_io = bio->bi_end_io;
	write->private = bio->bi_private;
	bio->bi_private = write;
	bio->bi_end_io = tracker_write_end;
}

/* Has this bio been here before, with at least this range? */
static bool tracker_write_known(const struct tracker *tracker,
				const struct bio *bio, sector_t sector,
				sector_t count)
{
	bio_end_io_t *end_io = bio->bi_end_io;
	const void *private = bio->bi_private;

	while (end_io == tracker_write_end) {
		const struct tracker_write *write = private;

		if (write->epoch->tracker == tracker &&
		    sector >= write->sector &&
		    sector + count <= write->sector + write->count)
			return true;
		end_io = write->end_io;
		private = write->private;
	}
	return false;
}

static bool tracker_switch_enter(bool nowait)
{
	if (nowait)
		return percpu_down_read_trylock(&tracker_switch_lock);
	percpu_down_read(&tracker_switch_lock);
	return true;
}

/*
 * Decide on which side of the next take the write is. Return: 0, with the area
 * to copy to, referenced, or NULL; -EAGAIN if it would have to wait, but must not.
 */
static int tracker_write_begin(struct tracker *tracker, struct bio *bio,
			       struct tracker_write *write, bool nowait,
			       struct diff_area **area)
{
	int ret = 0;

	if (!tracker_switch_enter(nowait))
		return -EAGAIN;
	*area = tracker->area;
	if (nowait && *area &&
	    !diff_area_is_safe(*area, write->sector, write->count)) {
		ret = -EAGAIN;
		goto out;
	}
	if (*area)
		diff_area_get(*area);
	/* Not decisive: a map that fails is told apart, copying goes on. */
	cbt_map_set(tracker->map, write->sector, write->count);
	write->epoch = tracker->epoch;
	percpu_ref_get(&write->epoch->writes);
	tracker_write_wrap(write, bio);
out:
	percpu_up_read(&tracker_switch_lock);
	return ret;
}

static enum bdev_filter_result tracker_submit_bio(struct bio *bio,
						  struct bdev_filter *filter,
						  sector_t sector,
						  sector_t count)
{
	struct tracker *tracker = container_of(filter, struct tracker, filter);
	bool nowait = bio->bi_opf & REQ_NOWAIT;
	struct tracker_write *write;
	struct diff_area *area;

	if (!count || !op_is_write(bio_op(bio)) || diff_io_in_scope() ||
	    tracker_write_known(tracker, bio, sector, count))
		return bdev_filter_pass;

	write = tracker_write_new(sector, count, nowait);
	if (!write)
		goto again;
	if (tracker_write_begin(tracker, bio, write, nowait, &area)) {
		tracker_write_free(write);
		goto again;
	}
	if (area) {
		diff_area_copy(area, sector, count);
		diff_area_put(area);
	}
	return bdev_filter_pass;

again:
	bio_wouldblock_error(bio);
	return bdev_filter_skip;
}

/* ---- Trackers ---- */

static void tracker_free(struct kref *kref)
{
	struct tracker *tracker = container_of(kref, struct tracker,
					       filter.kref);

	cbt_map_put(tracker->map);
	account_free(account_tracker, tracker, sizeof(*tracker));
	tracker_object_gone();
}

static const struct bdev_filter_operations tracker_filter_operations = {
	.submit_bio_cb = tracker_submit_bio,
	.detach_cb = tracker_free,
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
	atomic_inc(&tracker_objects);
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
	return NULL;
}

static int tracker_attach(struct block_device *bdev, struct tracker **made)
{
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
	pr_info("tracking %u:%u, %llu sectors\n", MAJOR(tracker->dev),
		MINOR(tracker->dev), (u64)bdev_nr_sectors(bdev));
	*made = tracker;
	return 0;
}

/* It is not in the list any more. Writes under way keep it for a while. */
static void tracker_detach(struct tracker *tracker)
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

static void tracker_list_del(struct tracker *tracker)
{
	lockdep_assert_held(&tracker_list_lock);
	list_del_init(&tracker->link);
}

/* The tracker of a number: one that lives rather than one that is dead. */
static struct tracker *tracker_list_find(dev_t dev)
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
	ret = compat_bdev_open(&opened, dev, false);
	if (ret)
		return ret;
	ret = tracker_attach(opened.bdev, made);
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

/* ---- The take ---- */

int tracker_prepare(struct tracker_switch *change)
{
	struct tracker *tracker = change->tracker;

	if (fault_at(fault_tracker_prepare))
		return -ENOMEM;
	change->spare = cbt_map_prepare(tracker->map, change->area->capacity);
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
	tracker_epoch_abandon(change->epoch);
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
		percpu_ref_kill(&changes[i].epoch->writes);
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

/* ---- Commands ---- */

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
		tracker_list_del(tracker);
	mutex_unlock(&tracker_list_lock);
	if (!ret)
		tracker_detach(tracker);
	return ret;
}

static void tracker_info(struct tracker *tracker,
			 struct blk_snap_cbt_info *info)
{
	memset(info, 0, sizeof(*info));
	if (!bdev_filter_is_dead(&tracker->filter))
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
		needed++;
	if (infos && needed > capacity)
		ret = -ENOBUFS;
	else if (infos)
		list_for_each_entry(tracker, &tracker_list, link)
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

static int tracker_mark(struct tracker *tracker,
			const struct blk_snap_block_range *ranges, u32 count)
{
	u32 i;
	int ret;

	for (i = 0; i < count; i++) {
		ret = cbt_map_check_range(tracker->map, ranges[i].sector_offset,
					  ranges[i].sector_count);
		if (ret)
			return ret;
	}
	/* One side of a take for all of them. */
	percpu_down_read(&tracker_switch_lock);
	for (i = 0; i < count; i++)
		cbt_map_set_both(tracker->map, ranges[i].sector_offset,
				 ranges[i].sector_count);
	percpu_up_read(&tracker_switch_lock);
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
		ret = tracker_mark(tracker, ranges, count);
	bdev_filter_put(&tracker->filter);
	return ret;
}

/* ---- The module's part ---- */

int tracker_init(void)
{
	int ret = percpu_init_rwsem(&tracker_switch_lock);

	if (ret)
		return ret;
	tracker_learn_chain_end();
	tracker_queue = alloc_workqueue("blksnap-tracker",
					WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
	if (!tracker_queue)
		goto out_lock;
	tracker_writes = mempool_create_kmalloc_pool(TRACKER_WRITES_RESERVE,
					sizeof(struct tracker_write));
	if (!tracker_writes)
		goto out_queue;
	return 0;

out_queue:
	destroy_workqueue(tracker_queue);
out_lock:
	percpu_free_rwsem(&tracker_switch_lock);
	return -ENOMEM;
}

void tracker_done(void)
{
	struct tracker *tracker, *next;

	mutex_lock(&tracker_list_lock);
	list_for_each_entry_safe(tracker, next, &tracker_list, link) {
		tracker_list_del(tracker);
		tracker_detach(tracker);
	}
	mutex_unlock(&tracker_list_lock);

	/* Writes under way still have to come back to us. */
	wait_var_event(&tracker_objects, !atomic_read(&tracker_objects));
	destroy_workqueue(tracker_queue);
	mempool_destroy(tracker_writes);
	percpu_free_rwsem(&tracker_switch_lock);
	/*
	 * A completion, or who freed the last object, may still be in the last
	 * instructions of this module's text: in an interrupt, or preempted.
	 */
	synchronize_rcu();
	synchronize_rcu_tasks();
}
