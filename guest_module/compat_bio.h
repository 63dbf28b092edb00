/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases in bios and what they point to.
 *
 * A part of compat.h, apart because only few files need it.
 */
#ifndef BLKSNAP_COMPAT_BIO_H
#define BLKSNAP_COMPAT_BIO_H

#include <linux/bio.h>
#include <linux/blk-cgroup.h>
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/ioprio.h>
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

/*
 * A bio that others wait for is nobody's: neither the limit of the control group
 * that happens to submit it nor its I/O priority holds it back, where these are
 * asked of the bio (BFQ asks the task).
 */
static inline void compat_bio_disown(struct bio *bio)
{
	bio_associate_blkg_from_css(bio, blkcg_root_css);
	bio->bi_ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 4);
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
 * 5.12 bounds the segments of a bio by this.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
static inline unsigned int bio_max_segs(unsigned int segments)
{
	return min_t(unsigned int, segments, BIO_MAX_PAGES);
}
#endif

/*
 * 5.12 put the block device into the bio; before, it had the disk.
 */
static inline struct gendisk *compat_bio_disk(const struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
	return bio->bi_bdev->bd_disk;
#else
	return bio->bi_disk;
#endif
}

/*
 * 5.16 let the submitter of any bio poll for its end; before, polling changed
 * nothing in a bio.
 */
static inline bool compat_bio_is_polled(const struct bio *bio)
{
#ifdef REQ_POLLED
	return bio->bi_opf & REQ_POLLED;
#else
	return false;
#endif
}

/*
 * Must a bio fail rather than wait? Before 6.3 those that are polled for say so
 * whatever their submitter says, who tries again and again if they fail.
 */
static inline bool compat_bio_is_nowait(const struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	return bio->bi_opf & REQ_NOWAIT;
#elif defined(REQ_POLLED)
	return (bio->bi_opf & REQ_NOWAIT) && !(bio->bi_opf & REQ_POLLED);
#else
	return (bio->bi_opf & REQ_NOWAIT) && !(bio->bi_opf & REQ_HIPRI);
#endif
}

static inline void compat_bio_end_unpolled(struct bio *bio)
{
#ifdef REQ_POLLED
	/* Whom it passes next cannot tell any more that it may wait. */
	if (compat_bio_is_polled(bio) && !compat_bio_is_nowait(bio))
		bio->bi_opf &= ~REQ_NOWAIT;
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
