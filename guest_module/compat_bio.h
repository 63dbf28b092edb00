/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases in bios and what they point to.
 *
 * A part of compat.h, apart because only few files need it.
 */
#ifndef BLKSNAP_COMPAT_BIO_H
#define BLKSNAP_COMPAT_BIO_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/rcupdate.h>
#include <linux/version.h>

/*
 * 6.0 gave operation and flags of a bio a type of their own.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 0, 0)
#define blk_opf_t unsigned int
#endif

/*
 * 5.18 wants device and operation with the allocation of a bio.
 */
static inline struct bio *compat_bio_alloc(struct block_device *bdev,
					   unsigned int segments, blk_opf_t opf,
					   gfp_t gfp, struct bio_set *set)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
	return bio_alloc_bioset(bdev, segments, opf, gfp, set);
#else
	struct bio *bio = bio_alloc_bioset(gfp, segments, set);

	bio_set_dev(bio, bdev);
	bio->bi_opf = opf;
	return bio;
#endif
}

static inline struct bio *compat_bio_clone(struct block_device *bdev,
					   struct bio *from, gfp_t gfp,
					   struct bio_set *set)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
	return bio_alloc_clone(bdev, from, gfp, set);
#else
	struct bio *bio = bio_clone_fast(from, gfp, set);

	bio_set_dev(bio, bdev);
	return bio;
#endif
}

/* A bio of its own, without pages, for no device. */
static inline void compat_bio_init(struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
	bio_init(bio, NULL, NULL, 0, 0);
#else
	bio_init(bio, NULL, 0);
#endif
}

/*
 * 5.16 counts the sectors of a device without its inode being asked.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 16, 0)
static inline sector_t bdev_nr_sectors(struct block_device *bdev)
{
	return i_size_read(bdev->bd_inode) >> SECTOR_SHIFT;
}
#endif

/*
 * 5.16 took the result from the submission of a bio. One that nobody expects
 * does no harm, so who stands in for submit_bio_noacct() returns one always.
 */
static __always_inline blk_qc_t compat_submit_bio_noacct(struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
	submit_bio_noacct(bio);
	return BLK_QC_T_NONE;
#else
	return submit_bio_noacct(bio);
#endif
}

/*
 * 5.12 bounds the segments of a bio by this.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
static inline unsigned int bio_max_segs(unsigned int segments)
{
	return min_t(unsigned int, segments, BIO_MAX_PAGES);
}
#endif

/*
 * 5.12 put the block device into the bio; before, it had the disk and the number
 * of the partition, which became 0 when the sector was made one of the disk. Now
 * a flag says that.
 */
static inline struct gendisk *compat_bio_disk(const struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
	return bio->bi_bdev->bd_disk;
#else
	return bio->bi_disk;
#endif
}

/* From where the sectors of the bio count, on its disk. */
static inline sector_t compat_bio_start(const struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
	if (bio_flagged((struct bio *)bio, BIO_REMAPPED))
		return 0;
	return bio->bi_bdev->bd_start_sect;
#else
	const struct disk_part_tbl *table;
	const struct hd_struct *part = NULL;
	sector_t start;

	rcu_read_lock();
	table = rcu_dereference(bio->bi_disk->part_tbl);
	if (bio->bi_partno < table->len)
		part = rcu_dereference(table->part[bio->bi_partno]);
	/* If the partition has gone, the bio will fail. */
	start = part ? part->start_sect : 0;
	rcu_read_unlock();
	return start;
#endif
}

/* Of two devices of one disk: is it for this one? */
static inline bool compat_bio_is_for(const struct bio *bio,
				     const struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
	return bio->bi_bdev == bdev;
#else
	return bio->bi_partno == bdev->bd_partno;
#endif
}

/* Was the bio allocated from this set? */
static inline bool compat_bio_is_from(const struct bio *bio,
				      const struct bio_set *set)
{
	return bio->bi_pool == set;
}

/*
 * 5.16 let the submitter of any bio poll for its end; before, polling changed
 * nothing in a bio.
 */
static inline void compat_bio_end_unpolled(struct bio *bio)
{
#ifdef REQ_POLLED
	bio_clear_polled(bio);
#endif
}

/*
 * 5.11 introduced mappings that belong to a task, 5.15 one of a piece of a bio.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define kmap_local_page(page) kmap_atomic(page)
#define kunmap_local(address) kunmap_atomic(address)
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 15, 0)
static inline void *bvec_kmap_local(struct bio_vec *vec)
{
	return kmap_local_page(vec->bv_page) + vec->bv_offset;
}
#endif

#endif /* BLKSNAP_COMPAT_BIO_H */
