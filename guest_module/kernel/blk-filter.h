/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the block layer asks the filters of block devices for, see blk-filter.c.
 */
#ifndef BLK_FILTER_H
#define BLK_FILTER_H

#include <linux/blkdev.h>

#ifdef CONFIG_BLK_FILTER
bool blk_filter_walk(struct bio *bio);
bool blk_filter_on_disk(const struct gendisk *disk);
void blk_filter_resized(struct block_device *bdev, sector_t size);
void blk_filter_bdev_gone(struct block_device *bdev);
void blk_filter_disk_release(struct gendisk *disk);

/*
 * Show a bio to the filters that it concerns. May sleep. True if it is to go on
 * to its device, which may be another one now; otherwise it must not be touched
 * any more.
 *
 * A disk that never had a filter costs the look at one pointer.
 */
static inline bool blk_filter_bio(struct bio *bio)
{
	if (likely(!READ_ONCE(bio->bi_bdev->bd_disk->filters)))
		return true;
	return blk_filter_walk(bio);
}
#else
static inline bool blk_filter_bio(struct bio *bio)
{
	return true;
}

static inline bool blk_filter_on_disk(const struct gendisk *disk)
{
	return false;
}

static inline void blk_filter_resized(struct block_device *bdev, sector_t size)
{
}

static inline void blk_filter_bdev_gone(struct block_device *bdev)
{
}

static inline void blk_filter_disk_release(struct gendisk *disk)
{
}
#endif /* CONFIG_BLK_FILTER */

#endif /* BLK_FILTER_H */
