// SPDX-License-Identifier: GPL-2.0
/*
 * Filters of block devices; <linux/bdevfilter.h> says what they are for.
 *
 * submit_bio_noacct() shows each bio to them before anything else looks at it,
 * so a filter may also send it to another device. A bio comes in by any device of
 * a disk, and is shown to those filters whose devices it touches: see
 * blk-filter-range.h.
 *
 * Recursion stays flat: the walk loops where a filter wants it repeated or sends
 * the bio elsewhere, and current->bio_list is left alone, so what is submitted
 * inside a stacked driver is queued there as ever.
 *
 * Lifetime: a disk gets its list of places with its first filter and keeps it
 * until it is released, so who submits a bio, and therefore has the disk, may
 * follow the pointer. A place holds the list and the filter, not the device: when
 * that goes (a disk is deleted, a partition is), the place is taken off.
 *
 * Locking: blk_filter_mutex for changes, within disk->open_mutex. A bio holds the
 * SRCU of the disk's list while callbacks sleep, so that who detaches a filter
 * waits for bios of the same disk only.
 */
#define pr_fmt(fmt) "blk-filter: " fmt

#include <linux/bdevfilter.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/version.h>

#include "blk-filter-disk.h"
#include "blk-filter-range.h"
#include "blk-filter-settle.h"
#include "blk-filter.h"

/**
 * enum blk_filter_interest - What the filters of a disk want to see.
 * @blk_filter_nothing: There are none.
 * @blk_filter_writes: What changes data.
 * @blk_filter_everything: All bios.
 */
enum blk_filter_interest {
	blk_filter_nothing = 0,
	blk_filter_writes,
	blk_filter_everything,
};

/**
 * struct blk_filters - The filters on the devices of a disk.
 * @kref: One reference is the disk's, and one each place's.
 * @places: The places, by altitude; blk_filter_mutex, SRCU.
 * @srcu: Held by bios on their walk.
 * @interest: What they want to see.
 */
struct blk_filters {
	struct kref kref;
	struct list_head places;
	struct srcu_struct srcu;
	enum blk_filter_interest interest;
};

/**
 * struct blk_filter_place - A filter on a device.
 * @kref: One reference is the lists', one that of who is attaching it.
 * @link: In the list of the disk.
 * @all: In blk_filter_places, or in blk_filter_leaving; blk_filter_mutex.
 * @filters: The list of the disk, referenced.
 * @bdev: The device. Not held: it is there as long as @link is linked, and for
 *	whoever found the place in the list of the disk.
 * @sequence: The disk's sequence number when the filter was attached.
 * @resizes: How often the size was set.
 * @altitude: Altitude.
 * @filter: The filter, referenced.
 * @closed: Bios wait, until those from before the filter have ended.
 * @left: Its device went, and it is in no list any more, no callback runs, and
 *	@filter was given back.
 */
struct blk_filter_place {
	struct kref kref;
	struct list_head link;
	struct list_head all;
	struct blk_filters *filters;
	struct block_device *bdev;
	u64 sequence;
	atomic_t resizes;
	enum bdev_filter_altitudes altitude;
	struct bdev_filter *filter;
	bool closed;
	struct completion left;
};

/* Protects the lists of places, of all disks. */
static DEFINE_MUTEX(blk_filter_mutex);
static LIST_HEAD(blk_filter_places);

/* Places that are being taken off, as their devices have gone. */
static LIST_HEAD(blk_filter_leaving);

/*
 * The list of a disk.
 */

static struct blk_filters *blk_filters_new(void)
{
	struct blk_filters *new = kzalloc(sizeof(*new), GFP_KERNEL);

	if (!new)
		return NULL;
	if (init_srcu_struct(&new->srcu)) {
		kfree(new);
		return NULL;
	}
	kref_init(&new->kref);
	INIT_LIST_HEAD(&new->places);
	return new;
}

static void blk_filters_free(struct kref *kref)
{
	struct blk_filters *filters = container_of(kref, struct blk_filters,
						   kref);

	cleanup_srcu_struct(&filters->srcu);
	kfree(filters);
}

/* The list of a disk that somebody has open. NULL: no memory. */
static struct blk_filters *blk_filters_of(struct gendisk *disk)
{
	struct blk_filters *there = READ_ONCE(disk->filters);
	struct blk_filters *new;

	if (there)
		return there;
	new = blk_filters_new();
	if (!new)
		return NULL;
	there = cmpxchg(&disk->filters, NULL, new);
	if (!there)
		return new;
	kref_put(&new->kref, blk_filters_free);
	return there;
}

static void blk_filters_update(struct blk_filters *filters)
{
	enum blk_filter_interest interest = blk_filter_nothing;
	struct blk_filter_place *place;

	lockdep_assert_held(&blk_filter_mutex);
	list_for_each_entry(place, &filters->places, link)
		interest = max(interest, place->filter->fops->writes_only ?
						 blk_filter_writes :
						 blk_filter_everything);
	WRITE_ONCE(filters->interest, interest);
}

/* The disk is released. */
void blk_filter_disk_release(struct gendisk *disk)
{
	if (disk->filters)
		kref_put(&disk->filters->kref, blk_filters_free);
}

/*
 * Places.
 */

static struct inode *blk_filter_inode(struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	/* Since 6.10 struct block_device has its mapping, and no inode. */
	return bdev->bd_mapping->host;
#else
	return bdev->bd_inode;
#endif
}

/* The sectors of a device, which its driver may change at this moment. */
static sector_t blk_filter_sectors(const struct block_device *bdev)
{
	return READ_ONCE(bdev->bd_nr_sectors);
}

static struct blk_filter_place *
blk_filter_find(struct blk_filters *filters, struct block_device *bdev,
		enum bdev_filter_altitudes altitude)
{
	struct blk_filter_place *place;

	lockdep_assert_held(&blk_filter_mutex);
	list_for_each_entry(place, &filters->places, link)
		if (place->bdev == bdev && place->altitude == altitude)
			return place;
	return NULL;
}

static struct blk_filter_place *blk_filter_place_of(struct list_head *places,
						    struct bdev_filter *filter)
{
	struct blk_filter_place *place;

	lockdep_assert_held(&blk_filter_mutex);
	list_for_each_entry(place, places, all)
		if (place->filter == filter)
			return place;
	return NULL;
}

static struct blk_filter_place *
blk_filter_place_new(struct block_device *bdev, struct bdev_filter *filter,
		     enum bdev_filter_altitudes altitude)
{
	struct blk_filter_place *place = kzalloc(sizeof(*place), GFP_KERNEL);

	if (!place)
		return NULL;
	place->filters = blk_filters_of(bdev->bd_disk);
	if (!place->filters) {
		kfree(place);
		return NULL;
	}
	kref_get(&place->filters->kref);
	kref_init(&place->kref);
	place->bdev = bdev;
	place->filter = filter;
	place->altitude = altitude;
	place->closed = blk_filter_must_close(bdev->bd_disk);
	init_completion(&place->left);
	return place;
}

static void blk_filter_place_free(struct kref *kref)
{
	struct blk_filter_place *place = container_of(kref,
						      struct blk_filter_place,
						      kref);

	kref_put(&place->filters->kref, blk_filters_free);
	kfree(place);
}

/* The disk takes the place in, behind those of the same altitude. */
static int blk_filter_link(struct blk_filter_place *place)
{
	struct blk_filters *filters = place->filters;
	struct list_head *before = &filters->places;
	struct block_device *bdev = place->bdev;
	struct blk_filter_place *other;

	lockdep_assert_held(&blk_filter_mutex);
	if (blk_filter_is_removed(blk_filter_inode(bdev)))
		return -ENODEV;
	if (blk_filter_find(filters, bdev, place->altitude))
		return -EALREADY;
	list_for_each_entry_reverse(other, &filters->places, link) {
		if (other->altitude <= place->altitude)
			break;
		before = &other->link;
	}
	kref_get(&place->kref);
	place->sequence = READ_ONCE(bdev->bd_disk->diskseq);
	list_add_tail_rcu(&place->link, before);
	list_add(&place->all, &blk_filter_places);
	blk_filters_update(filters);
	return 0;
}

static void blk_filter_unlink(struct blk_filter_place *place)
{
	lockdep_assert_held(&blk_filter_mutex);
	list_del_rcu(&place->link);
	list_del(&place->all);
	blk_filters_update(place->filters);
}

/* It is linked no more. Wait for those who saw it, and give it up. */
static void blk_filter_give_up(struct blk_filter_place *place)
{
	synchronize_srcu(&place->filters->srcu);
	bdev_filter_put(place->filter);
	kref_put(&place->kref, blk_filter_place_free);
}

/* All places of a device that is gone; they are leaving then. */
static void blk_filter_leave(struct blk_filters *filters,
			     struct block_device *bdev)
{
	struct blk_filter_place *place, *next;

	lockdep_assert_held(&blk_filter_mutex);
	list_for_each_entry_safe(place, next, &filters->places, link) {
		if (place->bdev != bdev)
			continue;
		blk_filter_unlink(place);
		list_add(&place->all, &blk_filter_leaving);
		pr_info("filter taken off %u:%u, which is gone\n",
			MAJOR(bdev->bd_dev), MINOR(bdev->bd_dev));
	}
}

static struct blk_filter_place *
blk_filter_find_leaving(struct block_device *bdev)
{
	struct blk_filter_place *place, *found = NULL;

	mutex_lock(&blk_filter_mutex);
	list_for_each_entry(place, &blk_filter_leaving, all)
		if (place->bdev == bdev)
			found = place;
	mutex_unlock(&blk_filter_mutex);
	return found;
}

static void blk_filter_taken_off(struct blk_filter_place *place)
{
	/* First, as who waits for the place may free the filter's code then. */
	bdev_filter_put(place->filter);
	mutex_lock(&blk_filter_mutex);
	list_del(&place->all);
	mutex_unlock(&blk_filter_mutex);
	complete_all(&place->left);
	kref_put(&place->kref, blk_filter_place_free);
}

/*
 * The device is gone, so its filters are taken off. Who detaches one of them at
 * the same time waits until that one is, see bdev_filter_detach().
 */
void blk_filter_bdev_gone(struct block_device *bdev)
{
	struct blk_filters *filters;
	struct blk_filter_place *place;

	mutex_lock(&blk_filter_mutex);
	filters = READ_ONCE(bdev->bd_disk->filters);
	if (filters)
		blk_filter_leave(filters, bdev);
	mutex_unlock(&blk_filter_mutex);
	if (!filters)
		return;

	/* Even if there was none: one that is being detached may still be seen. */
	synchronize_srcu(&filters->srcu);
	while ((place = blk_filter_find_leaving(bdev)))
		blk_filter_taken_off(place);
}

/* A device of the same disk, @size is the smaller of its old and new ones. */
static void blk_filter_place_resized(struct blk_filter_place *place,
				     struct block_device *bdev, sector_t size)
{
	if (place->bdev != bdev) {
		sector_t before = blk_filter_sectors(place->bdev);

		if (bdev_is_partition(bdev))
			return;
		size = blk_filter_left_of(size, place->bdev->bd_start_sect);
		if (!blk_filter_is_resized(place->bdev, before, size))
			return;
	}
	atomic_inc(&place->resizes);
	bdev_filter_resized(place->filter, size);
}

/*
 * The size of the device was set; @size is the smaller of the old and the new one.
 * Neither sleeps nor takes a lock.
 */
void blk_filter_resized(struct block_device *bdev, sector_t size)
{
	struct blk_filters *filters = READ_ONCE(bdev->bd_disk->filters);
	struct blk_filter_place *place;
	int idx;

	if (!filters)
		return;
	idx = srcu_read_lock(&filters->srcu);
	list_for_each_entry_srcu(place, &filters->places, link,
				 srcu_read_lock_held(&filters->srcu))
		blk_filter_place_resized(place, bdev, size);
	srcu_read_unlock(&filters->srcu, idx);
}

/*
 * The walk of a bio.
 */

/* A disk with another content has another sequence number. */
static bool blk_filter_is_stale(const struct blk_filter_place *place)
{
	return place->sequence != READ_ONCE(place->bdev->bd_disk->diskseq);
}

/*
 * False if the place has nothing to do with this bio, whose range on the disk
 * becomes one of the place's device.
 */
static bool blk_filter_place_clip(const struct blk_filter_place *place,
				  const struct bio *bio,
				  struct blk_filter_range *range)
{
	struct block_device *bdev = place->bdev;

	if (!range->count) {
		range->sector = 0;
		return bio->bi_bdev == bdev;
	}
	return blk_filter_clip(range, bdev->bd_start_sect,
			       blk_filter_sectors(bdev));
}

static enum bdev_filter_result blk_filter_call(struct blk_filter_place *place,
					       struct bio *bio,
					       struct blk_filter_range range)
{
	const struct bdev_filter_operations *fops = place->filter->fops;
	enum bdev_filter_result result;

	if (fops->own_bios && bio->bi_pool == fops->own_bios)
		return bdev_filter_pass;
	if (fops->writes_only && !blk_filter_changes_data(bio))
		return bdev_filter_pass;
	if (!blk_filter_place_clip(place, bio, &range))
		return bdev_filter_pass;
	if (!blk_filter_enter(&place->closed, bio))
		return bdev_filter_skip;
	/* Only now, as that may have taken long. */
	if (blk_filter_is_stale(place))
		return bdev_filter_pass;
	for (;;) {
		result = fops->submit_bio_cb(bio, place->filter, range.sector,
					     range.count);
		if (result != bdev_filter_repeat)
			return result;
		cond_resched();
	}
}

static enum bdev_filter_result blk_filters_call(struct blk_filters *filters,
						struct bio *bio)
{
	struct blk_filter_range range = blk_filter_range_of(bio);
	enum bdev_filter_result result = bdev_filter_pass;
	struct blk_filter_place *place;
	int idx;

	idx = srcu_read_lock(&filters->srcu);
	list_for_each_entry_srcu(place, &filters->places, link,
				 srcu_read_lock_held(&filters->srcu)) {
		result = blk_filter_call(place, bio, range);
		if (result != bdev_filter_pass)
			break;
	}
	srcu_read_unlock(&filters->srcu, idx);
	return result;
}

static bool blk_filters_want(const struct blk_filters *filters,
			     const struct bio *bio)
{
	switch (READ_ONCE(filters->interest)) {
	case blk_filter_everything:
		return true;
	case blk_filter_writes:
		return blk_filter_changes_data(bio);
	default:
		return false;
	}
}

/* For a bio to a disk that has, or had, filters. See blk_filter_bio(). */
bool blk_filter_walk(struct bio *bio)
{
	enum bdev_filter_result result = bdev_filter_redirect;

	while (result == bdev_filter_redirect) {
		struct blk_filters *filters =
			READ_ONCE(bio->bi_bdev->bd_disk->filters);

		if (!filters || !blk_filters_want(filters, bio))
			return true;
		result = blk_filters_call(filters, bio);
		if (result == bdev_filter_redirect)
			cond_resched();
	}
	return result == bdev_filter_pass;
}

/* Has the disk filters, so that nothing must go around bios? */
bool blk_filter_on_disk(const struct gendisk *disk)
{
	const struct blk_filters *filters = READ_ONCE(disk->filters);

	return filters && READ_ONCE(filters->interest) != blk_filter_nothing;
}

/*
 * The interface.
 */

int bdev_filter_attach(struct block_device *bdev, const char *name,
		       enum bdev_filter_altitudes altitude,
		       struct bdev_filter *flt)
{
	struct blk_filter_place *place;
	int ret;

	if ((unsigned int)altitude >= bdev_filter_alt_end)
		return -EINVAL;
	place = blk_filter_place_new(bdev, flt, altitude);
	if (!place)
		return -ENOMEM;
	mutex_lock(&blk_filter_mutex);
	ret = blk_filter_link(place);
	mutex_unlock(&blk_filter_mutex);
	if (!ret) {
		/* It may be detached already: that waits for open places. */
		blk_filter_settle(bdev->bd_disk, &place->closed);
		pr_info("filter %s attached to %u:%u\n", name,
			MAJOR(bdev->bd_dev), MINOR(bdev->bd_dev));
	}
	kref_put(&place->kref, blk_filter_place_free);
	return ret;
}
EXPORT_SYMBOL_GPL(bdev_filter_attach);

int bdev_filter_detach(struct bdev_filter *flt, const char *name,
		       enum bdev_filter_altitudes altitude)
{
	struct blk_filter_place *place, *leaving = NULL;
	dev_t dev = 0;

	mutex_lock(&blk_filter_mutex);
	place = blk_filter_place_of(&blk_filter_places, flt);
	if (place && place->altitude != altitude)
		place = NULL;
	if (place) {
		dev = place->bdev->bd_dev;
		blk_filter_unlink(place);
	} else {
		leaving = blk_filter_place_of(&blk_filter_leaving, flt);
		if (leaving)
			kref_get(&leaving->kref);
	}
	mutex_unlock(&blk_filter_mutex);
	if (leaving) {
		/* Its device is about to take it off: not later than now. */
		wait_for_completion(&leaving->left);
		kref_put(&leaving->kref, blk_filter_place_free);
	}
	if (!place)
		return -ENOENT;
	blk_filter_give_up(place);
	pr_info("filter %s detached from %u:%u\n", name, MAJOR(dev),
		MINOR(dev));
	return 0;
}
EXPORT_SYMBOL_GPL(bdev_filter_detach);

struct bdev_filter *bdev_filter_get_by_altitude(struct block_device *bdev,
						enum bdev_filter_altitudes altitude)
{
	struct blk_filters *filters = READ_ONCE(bdev->bd_disk->filters);
	struct blk_filter_place *place = NULL;
	struct bdev_filter *filter = NULL;

	mutex_lock(&blk_filter_mutex);
	if (filters)
		place = blk_filter_find(filters, bdev, altitude);
	if (place) {
		filter = place->filter;
		bdev_filter_get(filter);
	}
	mutex_unlock(&blk_filter_mutex);
	return filter;
}
EXPORT_SYMBOL_GPL(bdev_filter_get_by_altitude);

bool bdev_filter_is_dead(struct bdev_filter *flt)
{
	struct blk_filter_place *place;
	bool dead;

	mutex_lock(&blk_filter_mutex);
	place = blk_filter_place_of(&blk_filter_places, flt);
	dead = !place || blk_filter_is_removed(blk_filter_inode(place->bdev)) ||
	       blk_filter_is_stale(place);
	mutex_unlock(&blk_filter_mutex);
	return dead;
}
EXPORT_SYMBOL_GPL(bdev_filter_is_dead);

unsigned int bdev_filter_resizes(struct bdev_filter *flt)
{
	struct blk_filter_place *place;
	unsigned int resizes;

	mutex_lock(&blk_filter_mutex);
	place = blk_filter_place_of(&blk_filter_places, flt);
	resizes = place ? atomic_read(&place->resizes) : 0;
	mutex_unlock(&blk_filter_mutex);
	return resizes;
}
EXPORT_SYMBOL_GPL(bdev_filter_resizes);
