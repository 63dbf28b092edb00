// SPDX-License-Identifier: GPL-2.0
/*
 * The difference storage of a snapshot.
 *
 * No sector is given twice: all ranges of all snapshots are in one tree, by
 * their place on the whole disk, so that a partition and its disk cannot both
 * give the same sectors.
 *
 * Context: process context; allocation happens in the path of a write and does
 * no I/O and no reclaim that needs I/O.
 *
 * Locking: storage->lock, then diff_range_lock for the tree. No memory is asked for
 * with the former: freeing some may mean a write to an original, which takes it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-diff-storage: " fmt

#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>

#include <linux/blksnap.h>

#include "account.h"
#include "compat.h"
#include "compat_bdev.h"
#include "diff_storage.h"
#include "event_queue.h"
#include "fault.h"
#include "snapimage.h"

/**
 * struct diff_device - A device that storage lies on.
 * @link: In diff_storage.devices.
 * @opened: The open device.
 */
struct diff_device {
	struct list_head link;
	struct compat_bdev opened;
};

/**
 * struct diff_range - A range that was given.
 * @link: In diff_storage.ranges, or in the list of those being added.
 * @node: In the tree; diff_range_lock.
 * @disk: The disk, which is held open: first key of the tree.
 * @start: First sector on the whole disk: second key.
 * @extent: The range, as given.
 */
struct diff_range {
	struct list_head link;
	struct rb_node node;
	struct gendisk *disk;
	sector_t start;
	struct diff_extent extent;
};

static DEFINE_MUTEX(diff_range_lock);
static struct rb_root diff_range_tree = RB_ROOT;

/* ---- Ranges ---- */

/* Less than 0: @a lies before @b; 0: they overlap. */
static int diff_range_compare(const struct diff_range *a,
			      const struct diff_range *b)
{
	if (a->disk != b->disk)
		return a->disk < b->disk ? -1 : 1;
	if (a->start + a->extent.count <= b->start)
		return -1;
	if (b->start + b->extent.count <= a->start)
		return 1;
	return 0;
}

static int diff_range_insert(struct diff_range *range)
{
	struct rb_node **place = &diff_range_tree.rb_node;
	struct rb_node *parent = NULL;

	lockdep_assert_held(&diff_range_lock);
	while (*place) {
		struct diff_range *other;
		int order;

		parent = *place;
		other = rb_entry(parent, struct diff_range, node);
		order = diff_range_compare(range, other);
		if (!order)
			return -EINVAL;
		place = order < 0 ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&range->node, parent, place);
	rb_insert_color(&range->node, &diff_range_tree);
	return 0;
}

static int diff_range_insert_all(struct list_head *ranges)
{
	struct diff_range *range;
	int ret = 0;

	mutex_lock(&diff_range_lock);
	list_for_each_entry(range, ranges, link) {
		ret = diff_range_insert(range);
		if (ret)
			break;
		cond_resched();
	}
	if (ret) {
		list_for_each_entry_continue_reverse(range, ranges, link)
			rb_erase(&range->node, &diff_range_tree);
	}
	mutex_unlock(&diff_range_lock);
	return ret;
}

static void diff_ranges_free(struct list_head *ranges)
{
	struct diff_range *range, *next;

	list_for_each_entry_safe(range, next, ranges, link) {
		account_free(account_diff_storage, range, sizeof(*range));
		cond_resched();
	}
	INIT_LIST_HEAD(ranges);
}

/* Make the list of what is to be added, each range good by itself. */
static int diff_ranges_make(struct block_device *bdev, struct list_head *list,
			    const struct blk_snap_block_range *ranges,
			    u32 count)
{
	sector_t capacity = compat_bdev_sectors(bdev);
	u32 i;

	for (i = 0; i < count; i++) {
		struct diff_range *range;

		if (!storage_range_valid(capacity, ranges[i].sector_offset,
					 ranges[i].sector_count))
			return -EINVAL;
		range = account_zalloc(account_diff_storage, sizeof(*range),
				       GFP_KERNEL);
		if (!range)
			return -ENOMEM;
		range->disk = bdev->bd_disk;
		range->start = get_start_sect(bdev) + ranges[i].sector_offset;
		range->extent.bdev = bdev;
		range->extent.sector = ranges[i].sector_offset;
		range->extent.count = ranges[i].sector_count;
		list_add_tail(&range->link, list);
		cond_resched();
	}
	return 0;
}

/*
 * Whoever gives ranges may have wiped them by way of the device's cache, which must
 * not reach the disk after what is stored there. Errors do not matter: what cannot
 * be written does not reach it later either.
 */
static void diff_ranges_settle(struct list_head *ranges)
{
	struct diff_range *range;

	list_for_each_entry(range, ranges, link) {
		const struct diff_extent *extent = &range->extent;
		struct address_space *cache =
			compat_bdev_inode(extent->bdev)->i_mapping;
		loff_t first = (loff_t)extent->sector << SECTOR_SHIFT;
		loff_t last = first + ((loff_t)extent->count << SECTOR_SHIFT) - 1;

		filemap_fdatawrite_range(cache, first, last);
		filemap_fdatawait_range_keep_errors(cache, first, last);
		cond_resched();
	}
}

/* ---- Devices ---- */

static int diff_device_check(struct block_device *bdev)
{
	if (MAJOR(bdev->bd_dev) == snapimage_major())
		return -EINVAL;
	/* A unit of storage must be something that can be written, anywhere. */
	if (bdev_logical_block_size(bdev) > STORAGE_UNIT << SECTOR_SHIFT ||
	    bdev_is_zoned(bdev))
		return -EINVAL;
	return bdev_read_only(bdev) ? -EROFS : 0;
}

static struct diff_device *diff_device_open(dev_t dev)
{
	struct diff_device *device;
	int ret;

	device = account_zalloc(account_diff_storage, sizeof(*device),
				GFP_KERNEL);
	if (!device)
		return ERR_PTR(-ENOMEM);
	ret = compat_bdev_open(&device->opened, dev);
	if (ret)
		goto out_free;
	ret = diff_device_check(device->opened.bdev);
	if (ret)
		goto out_close;
	return device;

out_close:
	compat_bdev_close(&device->opened);
out_free:
	account_free(account_diff_storage, device, sizeof(*device));
	return ERR_PTR(ret);
}

static void diff_device_close(struct diff_device *device)
{
	compat_bdev_close(&device->opened);
	account_free(account_diff_storage, device, sizeof(*device));
}

static bool diff_device_is_there(struct diff_storage *storage,
				 const struct block_device *bdev)
{
	struct diff_device *device;

	lockdep_assert_held(&storage->lock);
	list_for_each_entry(device, &storage->devices, link)
		if (device->opened.bdev == bdev)
			return true;
	return false;
}

/* ---- The storage ---- */

/* The next event is made beforehand, without the lock. */
static void diff_storage_provide_event(struct diff_storage *storage)
{
	static const struct blk_snap_event_low_free_space empty;
	struct event *event;

	if (READ_ONCE(storage->event))
		return;
	event = event_alloc(GFP_KERNEL, blk_snap_event_code_low_free_space,
			    &empty, sizeof(empty));
	mutex_lock(&storage->lock);
	if (!storage->event && !storage->closed) {
		WRITE_ONCE(storage->event, event);
		event = NULL;
	}
	mutex_unlock(&storage->lock);
	event_free(event);
}

/* Ask for so much, or, if there is no event for it, at the next opportunity. */
static void diff_storage_ask(struct diff_storage *storage, u64 sectors)
{
	struct blk_snap_event_low_free_space *data;
	struct event *event = storage->event;

	lockdep_assert_held(&storage->lock);
	if (!sectors)
		return;
	if (!event) {
		storage_account_unask(&storage->account, sectors);
		return;
	}
	WRITE_ONCE(storage->event, NULL);
	data = (struct blk_snap_event_low_free_space *)event->data;
	data->requested_nr_sect = sectors;
	event_post(storage->events, event);
}

int diff_storage_init(struct diff_storage *storage, struct event_queue *events,
		      u64 portion)
{
	mutex_init(&storage->lock);
	INIT_LIST_HEAD(&storage->ranges);
	INIT_LIST_HEAD(&storage->devices);
	storage->cursor = NULL;
	storage->used = 0;
	storage->closed = false;
	storage->events = events;
	storage->event = NULL;
	diff_storage_provide_event(storage);
	if (!storage->event)
		return -ENOMEM;
	mutex_lock(&storage->lock);
	diff_storage_ask(storage, storage_account_init(&storage->account,
						       portion));
	mutex_unlock(&storage->lock);
	return 0;
}

void diff_storage_done(struct diff_storage *storage)
{
	struct diff_device *device, *next;
	struct diff_range *range;

	mutex_lock(&storage->lock);
	storage->closed = true;
	mutex_unlock(&storage->lock);
	event_free(storage->event);

	mutex_lock(&diff_range_lock);
	list_for_each_entry(range, &storage->ranges, link) {
		rb_erase(&range->node, &diff_range_tree);
		cond_resched();
	}
	mutex_unlock(&diff_range_lock);
	diff_ranges_free(&storage->ranges);

	list_for_each_entry_safe(device, next, &storage->devices, link)
		diff_device_close(device);
	INIT_LIST_HEAD(&storage->devices);
}

/* Add what is good; the list is empty then. */
static int diff_storage_add(struct diff_storage *storage,
			    struct list_head *ranges)
{
	struct diff_range *range;
	u64 sectors = 0;
	int ret;

	lockdep_assert_held(&storage->lock);
	ret = diff_range_insert_all(ranges);
	if (ret)
		return ret;

	list_for_each_entry(range, ranges, link)
		sectors += range->extent.count;
	if (!storage->cursor && !list_empty(ranges)) {
		storage->cursor = list_first_entry(ranges, struct diff_range,
						   link);
		storage->used = 0;
	}
	list_splice_tail_init(ranges, &storage->ranges);
	diff_storage_ask(storage, storage_account_append(&storage->account,
							 sectors));
	return 0;
}

int diff_storage_append(struct diff_storage *storage, dev_t dev,
			const struct blk_snap_block_range *ranges, u32 count)
{
	struct diff_device *device;
	LIST_HEAD(list);
	int ret;

	/* Opening may write to the device: all this without the lock. */
	device = diff_device_open(dev);
	if (IS_ERR(device))
		return PTR_ERR(device);
	ret = diff_ranges_make(device->opened.bdev, &list, ranges, count);
	if (!ret)
		diff_ranges_settle(&list);
	diff_storage_provide_event(storage);

	mutex_lock(&storage->lock);
	/* Then the devices are being closed, without the lock. */
	if (!ret && storage->closed)
		ret = -ESRCH;
	if (!ret)
		ret = diff_storage_add(storage, &list);
	if (!ret && !diff_device_is_there(storage, device->opened.bdev)) {
		list_add_tail(&device->link, &storage->devices);
		device = NULL;
	}
	mutex_unlock(&storage->lock);

	diff_ranges_free(&list);
	if (device)
		diff_device_close(device);
	return ret;
}

bool diff_storage_is_empty(struct diff_storage *storage)
{
	bool empty;

	mutex_lock(&storage->lock);
	empty = !storage->account.capacity;
	mutex_unlock(&storage->lock);
	return empty;
}

/* ---- Regions ---- */

static struct diff_range *diff_range_next(struct diff_storage *storage,
					  struct diff_range *range)
{
	if (list_is_last(&range->link, &storage->ranges))
		return NULL;
	return list_next_entry(range, link);
}

/* How many extents will it be? They fit. */
static u32 diff_storage_count(struct diff_storage *storage, sector_t sectors)
{
	struct diff_range *range = storage->cursor;
	sector_t found = range->extent.count - storage->used;
	u32 count = 1;

	while (found < sectors) {
		range = diff_range_next(storage, range);
		found += range->extent.count;
		count++;
	}
	return count;
}

/* Take the next piece, @sectors at most, off the front. */
static struct diff_extent diff_storage_cut(struct diff_storage *storage,
					   sector_t sectors)
{
	struct diff_range *range = storage->cursor;
	struct diff_extent extent = range->extent;

	extent.sector += storage->used;
	extent.count = min(sectors, extent.count - storage->used);
	storage->used += extent.count;
	if (storage->used == range->extent.count) {
		storage->cursor = diff_range_next(storage, range);
		storage->used = 0;
	}
	return extent;
}

/*
 * Take the region, if there is room for the description of its extents. Return: 0;
 * -ENOSPC; -E2BIG, then region->count says how many there will be.
 */
static int diff_storage_gather(struct diff_storage *storage, sector_t sectors,
			       struct diff_extent *many, u32 room,
			       struct diff_region *region)
{
	u32 i;

	lockdep_assert_held(&storage->lock);
	if (!storage_account_fits(&storage->account, sectors))
		return -ENOSPC;
	region->count = diff_storage_count(storage, sectors);
	if (region->count > 1 && region->count > room)
		return -E2BIG;
	if (region->count > 1)
		region->many = many;
	else
		many = &region->one;
	for (i = 0; i < region->count; i++) {
		many[i] = diff_storage_cut(storage, sectors);
		sectors -= many[i].count;
	}
	return 0;
}

static int diff_storage_try(struct diff_storage *storage, sector_t sectors,
			    struct diff_extent *many, u32 room,
			    struct diff_region *region)
{
	int ret;

	mutex_lock(&storage->lock);
	ret = diff_storage_gather(storage, sectors, many, room, region);
	if (!ret)
		diff_storage_ask(storage, storage_account_fill(&storage->account,
							       sectors));
	mutex_unlock(&storage->lock);
	return ret;
}

int diff_storage_alloc(struct diff_storage *storage, sector_t sectors,
		       struct diff_region *region)
{
	unsigned int noio = memalloc_noio_save();
	struct diff_extent *many = NULL;
	int ret = -ENOMEM;

	diff_storage_provide_event(storage);
	if (!fault_at(fault_region_new))
		ret = diff_storage_try(storage, sectors, NULL, 0, region);
	/* Memory comes without the lock: meanwhile there may be more of them. */
	while (ret == -E2BIG) {
		u32 room = region->count;

		kvfree(many);
		many = kvcalloc(room, sizeof(*many), GFP_KERNEL);
		ret = many ? diff_storage_try(storage, sectors, many, room,
					      region) : -ENOMEM;
	}
	if (ret)
		region->count = 0;
	if (region->count > 1)
		account_add(account_diff_region,
			    region->count * sizeof(*region->many));
	else
		kvfree(many);
	memalloc_noio_restore(noio);
	return ret;
}

void diff_region_free(struct diff_region *region)
{
	if (region->count > 1) {
		account_sub(account_diff_region,
			    region->count * sizeof(*region->many));
		kvfree(region->many);
	}
	region->count = 0;
}
