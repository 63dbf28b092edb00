/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases in making a disk that works on bios.
 *
 * A part of compat.h, apart because only few files need it.
 */
#ifndef BLKSNAP_COMPAT_DISK_H
#define BLKSNAP_COMPAT_DISK_H

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/version.h>

/*
 * 5.17 renamed what says that a disk is never looked through for partitions.
 */
#ifdef GENHD_FL_NO_PART_SCAN
#define COMPAT_NO_PARTITIONS GENHD_FL_NO_PART_SCAN
#else
#define COMPAT_NO_PARTITIONS GENHD_FL_NO_PART
#endif

/*
 * 5.16 took the result from the submission of a bio.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
#define COMPAT_DEFINE_SUBMIT_BIO(name, function)	\
static void name(struct bio *bio)			\
{							\
	function(bio);					\
}
#else
#define COMPAT_DEFINE_SUBMIT_BIO(name, function)	\
static blk_qc_t name(struct bio *bio)			\
{							\
	function(bio);					\
	return BLK_QC_T_NONE;				\
}
#endif

static inline void compat_disk_limits(struct queue_limits *limits,
				      struct block_device *original)
{
	struct request_queue *from = bdev_get_queue(original);

	limits->logical_block_size = queue_logical_block_size(from);
	limits->physical_block_size = queue_physical_block_size(from);
	limits->io_min = queue_io_min(from);
	limits->io_opt = queue_io_opt(from);
}

/*
 * A disk of one minor number for the image of a device: with the limits of the
 * device, but without what only concerns a driver below. Data that is being
 * written to it must not change, since the storage may check it.
 *
 * 6.9 wants the limits beforehand (those that are 0 are the usual ones, or mean
 * that it cannot be done), and 6.11 made the flags a part of them. 5.14 began to
 * make queue and disk in one go.
 *
 * Return: the disk, or ERR_PTR.
 */
static inline struct gendisk *compat_disk_alloc(struct block_device *original)
{
	/*
	 * Buffers of the readers go to the drivers of the original and of the
	 * storage as they are. Which storage that will be is not known yet: a
	 * sector is what any driver can do.
	 */
	unsigned int dma = max_t(unsigned int, SECTOR_SIZE - 1,
				 queue_dma_alignment(bdev_get_queue(original)));
	struct gendisk *disk;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	struct queue_limits limits = {
		.max_hw_sectors = UINT_MAX,
		.max_segments = USHRT_MAX,
		.max_segment_size = UINT_MAX,
	};

	compat_disk_limits(&limits, original);
	limits.dma_alignment = dma;
#ifdef BLK_FEAT_STABLE_WRITES
	limits.features |= BLK_FEAT_STABLE_WRITES;
#endif
	disk = blk_alloc_disk(&limits, NUMA_NO_NODE);
	if (IS_ERR(disk))
		return disk;
#else
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
	disk = blk_alloc_disk(NUMA_NO_NODE);
	if (!disk)
		return ERR_PTR(-ENOMEM);
#else
	disk = alloc_disk(1);
	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->queue = blk_alloc_queue(NUMA_NO_NODE);
	if (!disk->queue) {
		put_disk(disk);
		return ERR_PTR(-ENOMEM);
	}
#endif
	blk_set_stacking_limits(&disk->queue->limits);
	disk->queue->limits.max_write_zeroes_sectors = 0;
	compat_disk_limits(&disk->queue->limits, original);
	blk_queue_dma_alignment(disk->queue, dma);
#endif
#ifndef BLK_FEAT_STABLE_WRITES
	blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, disk->queue);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, disk->queue);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, disk->queue);
#endif
	disk->minors = 1;
	disk->flags |= COMPAT_NO_PARTITIONS;
	return disk;
}

/*
 * Announce a disk, which 5.15 lets fail: then the disk is gone. 6.0 lets the
 * queue of a disk go with it; 5.14 to 5.19 had a call for both.
 */
static inline int compat_disk_add(struct gendisk *disk)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
	int ret = add_disk(disk);

	if (!ret)
		return 0;
	/* It takes a name that could not be allocated for one that is wrong. */
	if (!dev_name(disk_to_dev(disk)))
		ret = -ENOMEM;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 0, 0)
	put_disk(disk);
#else
	blk_cleanup_disk(disk);
#endif
	return ret;
#else
	add_disk(disk);
	return 0;
#endif
}

/* From now on no bio can come any more. 5.16 lets del_gendisk() see to that. */
static inline void compat_disk_del(struct gendisk *disk)
{
	del_gendisk(disk);
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
	blk_cleanup_queue(disk->queue);
#endif
}

/* The end of a disk that had been announced. */
static inline void compat_disk_free(struct gendisk *disk)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)
	blk_cleanup_disk(disk);
#else
	put_disk(disk);
#endif
}

#endif /* BLKSNAP_COMPAT_DISK_H */
