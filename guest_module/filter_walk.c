// SPDX-License-Identifier: GPL-2.0
/*
 * The walk of a bio through the filters that it concerns.
 *
 * A bio names the sectors of a disk by any of its devices: by the whole disk, by
 * a partition relative to its start, or - a remainder after a split - by a
 * partition with the sector counted from the start of the disk already. The
 * range on the disk is computed once; each place whose device overlaps it gets
 * the overlap in its own sectors.
 *
 *	    disk     0         100              300                  1000
 *	    vda1               |<---- 200 ----->|
 *	    bio      vda, sectors 90..110
 *	    shown    to a filter on vda: 90, 20; to one on vda1: 0, 10
 *
 * Context: filter_run() in process context, may sleep. The disk's SRCU is held
 * throughout, so that a detach waits for bios of the same disk only.
 */
#include <linux/bdevfilter.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/wait_bit.h>

#include "compat_bio.h"
#include "compat_filter.h"
#include "filter_registry.h"
#include "filter_walk.h"

/**
 * struct filter_range - A range of sectors.
 * @sector: First sector.
 * @count: Number of sectors; 0 for a bio without data.
 */
struct filter_range {
	sector_t sector;
	sector_t count;
};

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

	range.sector += compat_bio_start(bio);
	return range;
}

/* False if the place has nothing to do with this range. */
static bool filter_place_clip(const struct filter_place *place,
			      const struct bio *bio, struct filter_range *range)
{
	sector_t start = place->start;
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

/* False if the bio must not wait, and has been ended therefore. */
static bool filter_place_enter(struct filter_place *place, struct bio *bio)
{
	/* Inside a driver: see filter_settle.c. */
	if (likely(!READ_ONCE(place->closed)) || current->bio_list)
		return true;
	if (bio->bi_opf & REQ_NOWAIT) {
		bio_wouldblock_error(bio);
		return false;
	}
	wait_var_event(&place->closed, !READ_ONCE(place->closed));
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
	filter_place_note_size(place);
	if (!filter_place_clip(place, bio, &range))
		return bdev_filter_pass;
	if (!filter_place_enter(place, bio))
		return bdev_filter_skip;
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

notrace void filter_note_capacity(const struct gendisk *disk, sector_t capacity)
{
	struct filter_disk *found;

	rcu_read_lock_sched_notrace();
	found = filter_disk_find(disk);
	if (found && capacity != get_capacity((struct gendisk *)disk))
		atomic_inc(&found->resizes);
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
