// SPDX-License-Identifier: GPL-2.0
/*
 * The walk of a bio through the filters that it concerns.
 *
 * A bio comes in by any device of a disk, so it is shown to those filters whose
 * devices it touches: see blk-filter-range.h.
 *
 * Context: filter_run() in process context, may sleep. The disk's SRCU is held
 * throughout, so that a detach waits for bios of the same disk only.
 */
#include <linux/bdevfilter.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "blk-filter-range.h"
#include "blk-filter-settle.h"
#include "compat_bio.h"
#include "compat_filter.h"
#include "filter_registry.h"
#include "filter_walk.h"

/*
 * False if the place has nothing to do with this bio, whose range on the disk
 * becomes one of the place's device.
 */
static bool filter_place_clip(struct filter_place *place,
			      const struct bio *bio,
			      struct blk_filter_range *range)
{
	sector_t size = filter_place_note_size(place);

	if (!range->count) {
		range->sector = 0;
		return compat_bio_is_for(bio, place->bdev);
	}
	return blk_filter_clip(range, place->start, size);
}

static enum bdev_filter_result filter_place_call(struct filter_place *place,
						 struct bio *bio,
						 struct blk_filter_range range)
{
	const struct bdev_filter_operations *fops = place->filter->fops;
	enum bdev_filter_result result;

	if (fops->own_bios && compat_bio_is_from(bio, fops->own_bios))
		return bdev_filter_pass;
	if (fops->writes_only && !blk_filter_changes_data(bio))
		return bdev_filter_pass;
	if (filter_place_stale(place))
		return bdev_filter_pass;
	if (!filter_place_clip(place, bio, &range))
		return bdev_filter_pass;
	if (!blk_filter_enter(&place->closed, bio))
		return bdev_filter_skip;
	/* Again, as that may have taken long. */
	if (filter_place_stale(place))
		return bdev_filter_pass;
	for (;;) {
		result = fops->submit_bio_cb(bio, place->filter, range.sector,
					     range.count);
		if (result != bdev_filter_repeat)
			return result;
		cond_resched();
	}
}

static enum bdev_filter_result filter_disk_call(struct filter_disk *disk,
						struct bio *bio)
{
	struct blk_filter_range range = blk_filter_range_of(bio);
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

	for (;;) {
		result = filter_run_once(bio);
		if (result != bdev_filter_redirect)
			break;
		cond_resched();
	}
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
	wants = disk && (blk_filter_changes_data(bio) ||
			 READ_ONCE(disk->all_bios));
	rcu_read_unlock_sched_notrace();
	return wants;
}

/* Who detaches a filter waits for RCU too. */
static void filter_disk_resized(struct filter_disk *disk, sector_t size)
{
	struct filter_place *place;

	list_for_each_entry_rcu(place, &disk->places, link) {
		sector_t left = blk_filter_left_of(size, place->start);

		if (blk_filter_is_resized(place->bdev, READ_ONCE(place->size),
					  left))
			filter_place_resized(place, left);
	}
}

notrace void filter_note_capacity(const struct gendisk *disk, sector_t capacity)
{
	struct filter_disk *found;
	sector_t before;

	rcu_read_lock_sched_notrace();
	found = filter_disk_find(disk);
	if (found) {
		/* Two who set the size at once have no order anyway. */
		before = data_race(i_size_read(found->whole)) >> SECTOR_SHIFT;
		if (capacity != before)
			filter_disk_resized(found, min(capacity, before));
	}
	rcu_read_unlock_sched_notrace();
}

notrace bool filter_on_disk(const struct block_device *bdev)
{
	bool found;

	rcu_read_lock_sched_notrace();
	found = filter_disk_find(bdev->bd_disk);
	rcu_read_unlock_sched_notrace();
	return found;
}
