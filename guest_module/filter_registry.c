// SPDX-License-Identifier: GPL-2.0
/*
 * Which filters are attached where, and the walk of a bio through them.
 *
 * Filters are kept by disk, because a bio names the sectors of a disk by any of
 * its devices: by the whole disk, by a partition relative to its start, or - a
 * remainder after a split - by a partition with the sector counted from the
 * start of the disk already. The range on the disk is computed once; each place
 * whose device overlaps it gets the overlap in its own sectors.
 *
 *	    disk     0         100              300                  1000
 *	    vda1               |<---- 200 ----->|
 *	    bio      vda, sectors 90..110
 *	    shown    to a filter on vda: 90, 20; to one on vda1: 0, 10
 *
 * Keeping nothing alive: a place holds the inodes of its device and of the whole
 * disk. These keep the memory of struct block_device and of struct gendisk, so
 * that their addresses stay unique, but neither the device's registration, nor
 * its queue, nor its driver. A disk that is gone has its inode taken out of the
 * hash; a disk with another content has another sequence number.
 *
 * Locking: filter_mutex for changes. A bio finds its disk under RCU; the walk,
 * during which callbacks sleep, holds the disk's SRCU, so that a detach waits
 * for bios of the same disk only.
 */
#define pr_fmt(fmt) "bdevfilter: " fmt

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "bdevfilter.h"
#include "compat.h"
#include "filter_registry.h"

#define FILTER_HASH_BITS 6

/**
 * struct filter_disk - A disk that has filters.
 * @node: Place in filter_disks; filter_mutex, RCU.
 * @kref: One reference per place.
 * @disk: The key. Followed no further unless it comes from a bio.
 * @whole: Inode of the whole disk, held.
 * @places: The places, by altitude; filter_mutex, SRCU.
 * @srcu: Held by bios on their walk.
 * @all_bios: Some filter wants more than writes.
 */
struct filter_disk {
	struct hlist_node node;
	struct kref kref;
	const struct gendisk *disk;
	struct inode *whole;
	struct list_head places;
	struct srcu_struct srcu;
	bool all_bios;
};

/**
 * struct filter_place - A filter on a device.
 * @link: Place in the disk's list.
 * @disk: The disk, referenced.
 * @bdev: The device, its inode held.
 * @sequence: The disk's sequence number when the filter was attached.
 * @altitude: Altitude.
 * @filter: The filter, referenced.
 */
struct filter_place {
	struct list_head link;
	struct filter_disk *disk;
	struct block_device *bdev;
	u64 sequence;
	enum bdev_filter_altitudes altitude;
	struct bdev_filter *filter;
};

/**
 * struct filter_range - A range of sectors.
 * @sector: First sector.
 * @count: Number of sectors; 0 for a bio without data.
 */
struct filter_range {
	sector_t sector;
	sector_t count;
};

static DEFINE_MUTEX(filter_mutex);
static DEFINE_HASHTABLE(filter_disks, FILTER_HASH_BITS);

/*
 * Disks.
 */

static struct filter_disk *filter_disk_find(const struct gendisk *disk)
{
	struct filter_disk *found;

	hash_for_each_possible_rcu_notrace(filter_disks, found, node,
					   (unsigned long)disk)
		if (found->disk == disk)
			return found;
	return NULL;
}

static struct filter_disk *filter_disk_new(struct gendisk *disk)
{
	struct filter_disk *new = kzalloc(sizeof(*new), GFP_KERNEL);

	if (!new)
		return NULL;
	if (init_srcu_struct(&new->srcu)) {
		kfree(new);
		return NULL;
	}
	kref_init(&new->kref);
	INIT_LIST_HEAD(&new->places);
	new->disk = disk;
	new->whole = compat_bdev_inode(disk->part0);
	ihold(new->whole);
	return new;
}

static void filter_disk_free(struct kref *kref)
{
	struct filter_disk *disk = container_of(kref, struct filter_disk, kref);

	cleanup_srcu_struct(&disk->srcu);
	iput(disk->whole);
	kfree(disk);
}

static void filter_disk_update(struct filter_disk *disk)
{
	struct filter_place *place;
	bool all_bios = false;

	lockdep_assert_held(&filter_mutex);
	list_for_each_entry(place, &disk->places, link)
		if (!place->filter->fops->writes_only)
			all_bios = true;
	WRITE_ONCE(disk->all_bios, all_bios);
}

/*
 * Places.
 */

static struct filter_place *filter_place_find(struct filter_disk *disk,
					      struct block_device *bdev,
					      enum bdev_filter_altitudes altitude)
{
	struct filter_place *place;

	lockdep_assert_held(&filter_mutex);
	list_for_each_entry(place, &disk->places, link)
		if (place->bdev == bdev && place->altitude == altitude)
			return place;
	return NULL;
}

static struct filter_place *filter_place_of(const struct bdev_filter *filter)
{
	struct filter_place *place;
	struct filter_disk *disk;
	int bucket;

	lockdep_assert_held(&filter_mutex);
	hash_for_each(filter_disks, bucket, disk, node)
		list_for_each_entry(place, &disk->places, link)
			if (place->filter == filter)
				return place;
	return NULL;
}

static struct filter_place *filter_place_new(struct block_device *bdev,
					     struct bdev_filter *filter,
					     enum bdev_filter_altitudes altitude)
{
	struct filter_place *place = kzalloc(sizeof(*place), GFP_KERNEL);

	if (!place)
		return NULL;
	place->bdev = bdev;
	place->filter = filter;
	place->altitude = altitude;
	place->sequence = compat_disk_sequence(bdev->bd_disk);
	ihold(compat_bdev_inode(bdev));
	return place;
}

static void filter_place_free(struct filter_place *place)
{
	if (place->disk)
		kref_put(&place->disk->kref, filter_disk_free);
	iput(compat_bdev_inode(place->bdev));
	kfree(place);
}

/* The disk takes the place in, behind those of the same altitude. */
static void filter_place_insert(struct filter_disk *disk,
				struct filter_place *place)
{
	struct list_head *before = &disk->places;
	struct filter_place *other;

	lockdep_assert_held(&filter_mutex);
	list_for_each_entry_reverse(other, &disk->places, link) {
		if (other->altitude <= place->altitude)
			break;
		before = &other->link;
	}
	place->disk = disk;
	list_add_tail_rcu(&place->link, before);
	filter_disk_update(disk);
}

/*
 * Does a bio still concern this place? A disk whose removal has begun is not
 * ruled out here: what is written back at the end counts, what comes too late
 * fails below. But a deleted partition of a living disk is only a memory.
 */
static bool filter_place_stale(const struct filter_place *place)
{
	struct inode *inode = compat_bdev_inode(place->bdev);
	const struct filter_disk *disk = place->disk;

	if (place->sequence != compat_disk_sequence(disk->disk))
		return true;
	return inode_unhashed(inode) && !inode_unhashed(disk->whole);
}

/*
 * The way of a bio.
 */

static bool bio_changes_data(const struct bio *bio)
{
	return op_is_write(bio_op(bio)) && bio->bi_iter.bi_size;
}

static struct filter_range bio_range_on_disk(struct bio *bio)
{
	struct filter_range range = {
		.sector = bio->bi_iter.bi_sector,
		.count = bio_sectors(bio),
	};

	if (!bio_flagged(bio, BIO_REMAPPED))
		range.sector += compat_bio_start(bio);
	return range;
}

/* False if the place has nothing to do with this range. */
static bool filter_place_clip(const struct filter_place *place,
			      const struct bio *bio, struct filter_range *range)
{
	sector_t start = get_start_sect(place->bdev);
	sector_t size = bdev_nr_sectors(place->bdev);
	sector_t from, to;

	if (!range->count) {
		range->sector = 0;
		return compat_bio_is_for(bio, place->bdev);
	}
	from = max(range->sector, start);
	to = min(range->sector + range->count, start + size);
	if (from >= to)
		return false;
	range->sector = from - start;
	range->count = to - from;
	return true;
}

static enum bdev_filter_result filter_place_call(struct filter_place *place,
						 struct bio *bio,
						 struct filter_range range)
{
	const struct bdev_filter_operations *fops = place->filter->fops;
	enum bdev_filter_result result;

	if (fops->own_bios && compat_bio_is_from(bio, fops->own_bios))
		return bdev_filter_pass;
	if (fops->writes_only && !bio_changes_data(bio))
		return bdev_filter_pass;
	if (filter_place_stale(place))
		return bdev_filter_pass;
	if (!filter_place_clip(place, bio, &range))
		return bdev_filter_pass;
	do {
		result = fops->submit_bio_cb(bio, place->filter, range.sector,
					     range.count);
	} while (result == bdev_filter_repeat);
	return result;
}

static enum bdev_filter_result filter_disk_call(struct filter_disk *disk,
						struct bio *bio)
{
	struct filter_range range = bio_range_on_disk(bio);
	enum bdev_filter_result result = bdev_filter_pass;
	struct filter_place *place;

	list_for_each_entry_srcu(place, &disk->places, link,
				 srcu_read_lock_held(&disk->srcu)) {
		result = filter_place_call(place, bio, range);
		if (result != bdev_filter_pass)
			break;
	}
	return result;
}

static enum bdev_filter_result filter_run_once(struct bio *bio)
{
	enum bdev_filter_result result;
	struct filter_disk *disk;
	int idx;

	rcu_read_lock();
	disk = filter_disk_find(compat_bio_disk(bio));
	if (!disk) {
		rcu_read_unlock();
		return bdev_filter_pass;
	}
	idx = srcu_read_lock(&disk->srcu);
	rcu_read_unlock();
	result = filter_disk_call(disk, bio);
	srcu_read_unlock(&disk->srcu, idx);
	return result;
}

bool filter_run(struct bio *bio)
{
	enum bdev_filter_result result;

	do {
		result = filter_run_once(bio);
	} while (result == bdev_filter_redirect);
	return result == bdev_filter_pass;
}

/*
 * Called for every bio of the system. Preemption off is a read side of RCU, and
 * needs no call.
 */
notrace bool filter_wants_bio(const struct bio *bio)
{
	struct filter_disk *disk;
	bool wants;

	rcu_read_lock_sched_notrace();
	disk = filter_disk_find(compat_bio_disk(bio));
	wants = disk && (bio_changes_data(bio) || READ_ONCE(disk->all_bios));
	rcu_read_unlock_sched_notrace();
	return wants;
}

notrace bool filter_on_disk(const struct block_device *bdev)
{
	bool found;

	rcu_read_lock_sched_notrace();
	found = filter_disk_find(bdev->bd_disk);
	rcu_read_unlock_sched_notrace();
	return found;
}

/*
 * The interface.
 */

static int filter_attach_locked(struct filter_place *place)
{
	struct block_device *bdev = place->bdev;
	struct filter_disk *disk = filter_disk_find(bdev->bd_disk);

	lockdep_assert_held(&filter_mutex);
	if (inode_unhashed(compat_bdev_inode(bdev)))
		return -ENODEV;
	if (disk) {
		if (filter_place_find(disk, bdev, place->altitude))
			return -EALREADY;
		kref_get(&disk->kref);
		filter_place_insert(disk, place);
		return 0;
	}
	disk = filter_disk_new(bdev->bd_disk);
	if (!disk)
		return -ENOMEM;
	filter_place_insert(disk, place);
	hash_add_rcu(filter_disks, &disk->node, (unsigned long)disk->disk);
	return 0;
}

int bdev_filter_attach(struct block_device *bdev, const char *name,
		       enum bdev_filter_altitudes altitude,
		       struct bdev_filter *flt)
{
	struct filter_place *place;
	int ret;

	if ((unsigned int)altitude >= bdev_filter_alt_end)
		return -EINVAL;
	place = filter_place_new(bdev, flt, altitude);
	if (!place)
		return -ENOMEM;
	mutex_lock(&filter_mutex);
	ret = filter_attach_locked(place);
	mutex_unlock(&filter_mutex);
	if (ret) {
		filter_place_free(place);
		return ret;
	}
	/*
	 * What was on its way when the filter came must not surprise its user
	 * later: wait until all is in the queue, and then until it is done.
	 */
	synchronize_rcu();
	compat_queue_drain(bdev_get_queue(bdev));
	pr_info("filter %s attached to %u:%u\n", name, MAJOR(bdev->bd_dev),
		MINOR(bdev->bd_dev));
	return 0;
}
EXPORT_SYMBOL_GPL(bdev_filter_attach);

int bdev_filter_detach(struct bdev_filter *flt, const char *name,
		       enum bdev_filter_altitudes altitude)
{
	struct filter_place *place;
	struct filter_disk *disk;

	mutex_lock(&filter_mutex);
	place = filter_place_of(flt);
	if (!place || place->altitude != altitude) {
		mutex_unlock(&filter_mutex);
		return -ENOENT;
	}
	disk = place->disk;
	list_del_rcu(&place->link);
	if (list_empty(&disk->places))
		hash_del_rcu(&disk->node);
	else
		filter_disk_update(disk);
	mutex_unlock(&filter_mutex);

	/* First those that have the disk but not its SRCU yet, then the rest. */
	synchronize_rcu();
	synchronize_srcu(&disk->srcu);
	pr_info("filter %s detached from %u:%u\n", name,
		MAJOR(place->bdev->bd_dev), MINOR(place->bdev->bd_dev));
	filter_place_free(place);
	bdev_filter_put(flt);
	return 0;
}
EXPORT_SYMBOL_GPL(bdev_filter_detach);

struct bdev_filter *bdev_filter_get_by_altitude(struct block_device *bdev,
						enum bdev_filter_altitudes altitude)
{
	struct filter_place *place = NULL;
	struct bdev_filter *filter = NULL;
	struct filter_disk *disk;

	mutex_lock(&filter_mutex);
	disk = filter_disk_find(bdev->bd_disk);
	if (disk)
		place = filter_place_find(disk, bdev, altitude);
	if (place) {
		filter = place->filter;
		bdev_filter_get(filter);
	}
	mutex_unlock(&filter_mutex);
	return filter;
}
EXPORT_SYMBOL_GPL(bdev_filter_get_by_altitude);

bool bdev_filter_is_dead(struct bdev_filter *flt)
{
	struct filter_place *place;
	bool dead = true;

	mutex_lock(&filter_mutex);
	place = filter_place_of(flt);
	if (place)
		dead = inode_unhashed(compat_bdev_inode(place->bdev)) ||
		       filter_place_stale(place);
	mutex_unlock(&filter_mutex);
	return dead;
}
EXPORT_SYMBOL_GPL(bdev_filter_is_dead);

bool filter_registry_empty(void)
{
	return hash_empty(filter_disks);
}
