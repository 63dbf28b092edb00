// SPDX-License-Identifier: GPL-2.0
/*
 * Which filters are attached where.
 *
 * Filters are kept by disk, because a bio may come in by any device of a disk;
 * see filter_walk.c.
 *
 * Keeping nothing alive: a place holds the inodes of its device and of the whole
 * disk. These keep the memory of struct block_device and of struct gendisk, so
 * that their addresses stay unique, but neither the device's registration, nor
 * its queue, nor its driver. (Before 5.11 not the disk's: its address may come
 * again, see compat_disk_is_another().) A disk that is gone has its inode taken
 * out of the hash; a disk with another content has another sequence number.
 *
 * Locking: filter_mutex for changes. A bio finds its disk under RCU and then
 * holds the disk's SRCU while callbacks sleep.
 */
#define pr_fmt(fmt) "bdevfilter: " fmt

#include <linux/atomic.h>
#include <linux/bdevfilter.h>
#include <linux/blkdev.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "blk-filter-disk.h"
#include "blk-filter-settle.h"
#include "compat_filter.h"
#include "filter_registry.h"

static DEFINE_MUTEX(filter_mutex);
DEFINE_HASHTABLE(filter_disks, FILTER_HASH_BITS);

/* How many there are, on their lists or not; for filter_registry_done(). */
static atomic_t filter_disk_count = ATOMIC_INIT(0);
static atomic_t filter_place_count = ATOMIC_INIT(0);

/*
 * Disks.
 */

static struct filter_disk *filter_disk_new(struct block_device *bdev)
{
	struct filter_disk *new = kzalloc(sizeof(*new), GFP_KERNEL);

	if (!new)
		return NULL;
	if (init_srcu_struct(&new->srcu)) {
		kfree(new);
		return NULL;
	}
	atomic_inc(&filter_disk_count);
	kref_init(&new->kref);
	INIT_LIST_HEAD(&new->places);
	new->disk = bdev->bd_disk;
	new->whole = compat_whole_inode(bdev);
	ihold(new->whole);
	return new;
}

static void filter_disk_free(struct kref *kref)
{
	struct filter_disk *disk = container_of(kref, struct filter_disk, kref);

	cleanup_srcu_struct(&disk->srcu);
	iput(disk->whole);
	kfree(disk);
	atomic_dec(&filter_disk_count);
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
	atomic_inc(&filter_place_count);
	place->bdev = bdev;
	place->filter = filter;
	place->altitude = altitude;
	place->start = get_start_sect(bdev);
	place->sequence = compat_disk_sequence(bdev->bd_disk);
	place->size = compat_bdev_sectors(bdev);
	place->closed = blk_filter_must_close(bdev->bd_disk);
	ihold(compat_bdev_inode(bdev));
	return place;
}

static void filter_place_free(struct filter_place *place)
{
	if (place->disk)
		kref_put(&place->disk->kref, filter_disk_free);
	iput(compat_bdev_inode(place->bdev));
	kfree(place);
	atomic_dec(&filter_place_count);
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

bool filter_place_stale(const struct filter_place *place)
{
	const struct filter_disk *disk = place->disk;

	if (place->sequence != compat_disk_sequence(disk->disk))
		return true;
	if (likely(!blk_filter_is_removed(compat_bdev_inode(place->bdev))))
		return false;
	/*
	 * A disk that goes is unhashed before its partitions, each with the hash
	 * locked. Before 5.15 after them: then they are stale for a moment early.
	 */
	smp_rmb();
	return !blk_filter_is_removed(disk->whole);
}

/*
 * The interface.
 */

/* @new becomes the disk, and is NULL then, if there is none yet. */
static int filter_attach_locked(struct filter_place *place,
				struct filter_disk **new)
{
	struct block_device *bdev = place->bdev;
	struct filter_disk *disk = filter_disk_find(bdev->bd_disk);

	lockdep_assert_held(&filter_mutex);
	if (blk_filter_is_removed(compat_bdev_inode(bdev)))
		return -ENODEV;
	if (disk) {
		if (filter_place_find(disk, bdev, place->altitude))
			return -EALREADY;
		kref_get(&disk->kref);
		filter_place_insert(disk, place);
		return 0;
	}
	disk = *new;
	*new = NULL;
	filter_place_insert(disk, place);
	hash_add_rcu(filter_disks, &disk->node, (unsigned long)disk->disk);
	return 0;
}

int bdev_filter_attach(struct block_device *bdev, const char *name,
		       enum bdev_filter_altitudes altitude,
		       struct bdev_filter *flt)
{
	struct filter_place *place;
	struct filter_disk *disk;
	int ret;

	if ((unsigned int)altitude >= bdev_filter_alt_end)
		return -EINVAL;
	place = filter_place_new(bdev, flt, altitude);
	if (!place)
		return -ENOMEM;
	disk = filter_disk_new(bdev);
	if (!disk) {
		filter_place_free(place);
		return -ENOMEM;
	}
	mutex_lock(&filter_mutex);
	ret = filter_attach_locked(place, &disk);
	mutex_unlock(&filter_mutex);
	if (disk)
		kref_put(&disk->kref, filter_disk_free);
	if (ret) {
		filter_place_free(place);
		return ret;
	}
	blk_filter_settle(bdev->bd_disk, &place->closed);
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
		dead = blk_filter_is_removed(compat_bdev_inode(place->bdev)) ||
		       filter_place_stale(place);
	mutex_unlock(&filter_mutex);
	return dead;
}
EXPORT_SYMBOL_GPL(bdev_filter_is_dead);

unsigned int bdev_filter_resizes(struct bdev_filter *flt)
{
	struct filter_place *place;
	unsigned int resizes = 0;

	mutex_lock(&filter_mutex);
	place = filter_place_of(flt);
	if (place) {
		filter_place_note_size(place);
		resizes = atomic_read(&place->resizes);
	}
	mutex_unlock(&filter_mutex);
	return resizes;
}
EXPORT_SYMBOL_GPL(bdev_filter_resizes);

void filter_registry_done(void)
{
	int disks = atomic_read(&filter_disk_count);
	int places = atomic_read(&filter_place_count);

	WARN_ON(!hash_empty(filter_disks));
	if (disks || places)
		pr_err("leak: %d disks, %d places of filters\n", disks, places);
}
