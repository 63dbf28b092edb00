/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which sectors a bio is about, and which of them are a device's.
 *
 * A bio names the sectors of a disk by any of its devices: by the whole disk, by
 * a partition relative to its start, or - what is left after a split - by a
 * partition with the sector counted from the start of the disk already. The
 * range on the disk is computed once; each filter whose device overlaps it gets
 * the overlap in its own sectors.
 *
 *	    disk     0         100              300                  1000
 *	    vda1               |<---- 200 ----->|
 *	    bio      vda, sectors 90..110
 *	    shown    to a filter on vda: 90, 20; to one on vda1: 0, 10
 */
#ifndef BLK_FILTER_RANGE_H
#define BLK_FILTER_RANGE_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/minmax.h>

#include "blk-filter-disk.h"

/**
 * struct blk_filter_range - A range of sectors.
 * @sector: First sector.
 * @count: Number of sectors; 0 for a bio without data.
 */
struct blk_filter_range {
	sector_t sector;
	sector_t count;
};

static inline bool blk_filter_changes_data(const struct bio *bio)
{
	return op_is_write(bio_op(bio)) && bio->bi_iter.bi_size;
}

/* How much of a disk of this size there is from a sector on. */
static inline sector_t blk_filter_left_of(sector_t capacity, sector_t start)
{
	return capacity > start ? capacity - start : 0;
}

/*
 * Does it concern a device of @size sectors that so much of its disk is left from
 * its start on? A partition that all of is left does not mind.
 */
static inline bool blk_filter_is_resized(struct block_device *bdev,
					 sector_t size, sector_t left)
{
	return !bdev_is_partition(bdev) || left < size;
}

/* The range of a bio, on its disk. */
static inline struct blk_filter_range blk_filter_range_of(struct bio *bio)
{
	return (struct blk_filter_range){
		.sector = bio->bi_iter.bi_sector + blk_filter_bio_start(bio),
		.count = bio_sectors(bio),
	};
}

/*
 * Make a range of a disk the part of it that is on a device with this start and
 * size, in sectors of that. False, and the range is as it was, if none is.
 */
static inline bool blk_filter_clip(struct blk_filter_range *range,
				   sector_t start, sector_t size)
{
	sector_t from = max(range->sector, start);
	sector_t to = min(range->sector + range->count, start + size);

	if (from >= to)
		return false;
	range->sector = from - start;
	range->count = to - from;
	return true;
}

#endif /* BLK_FILTER_RANGE_H */
