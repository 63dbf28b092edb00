/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases that concern bdevfilter.ko only: what it
 * hooks, and how; what it knows a device by, and where a bio goes.
 *
 * A part of compat.h, apart because a kernel with filters of its own needs none
 * of it.
 */
#ifndef BLKSNAP_COMPAT_FILTER_H
#define BLKSNAP_COMPAT_FILTER_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/version.h>

#include "compat.h"

/*
 * 6.3 removed rw_page, the way to a driver that goes around bios.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define COMPAT_HAVE_RW_PAGE
#endif

/*
 * 5.15 introduced a number that changes with each content of a disk.
 */
static inline u64 compat_disk_sequence(const struct gendisk *disk)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
	return READ_ONCE(disk->diskseq);
#else
	return 0;
#endif
}

/*
 * 5.11 gave a disk a block device, with an inode, for as long as its memory
 * lasts; before, there was one while somebody had the disk or a partition open.
 */
static inline struct inode *compat_whole_inode(struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	return compat_bdev_inode(bdev->bd_disk->part0);
#else
	return bdev->bd_contains->bd_inode;
#endif
}

/*
 * Is a disk, which lives, another one than that of this inode of a whole disk,
 * which had the same address? Since 5.11 the inode keeps the disk's memory.
 */
static __always_inline bool compat_disk_is_another(const struct gendisk *disk,
						   const struct inode *whole)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	return false;
#else
	return hlist_unhashed_lockless(&whole->i_hash) &&
	       (disk->flags & GENHD_FL_UP);
#endif
}

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
 * Of two devices of one disk: is it for this one? 5.12 put the block device into
 * the bio; before, it had the number of the partition.
 */
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
 * Who sets the size of a disk: since 5.11 all drivers by one of these two, of
 * which one may be a part of the other. Before, they wrote the disk's down, and
 * then had that of the block device follow (md, zram), or set it too (loop, nbd);
 * device mapper wrote both down.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#define COMPAT_HAVE_SET_CAPACITY
#define compat_set_capacity_notify set_capacity_and_notify
#else
#define compat_set_capacity_notify set_capacity_revalidate_and_notify
#endif

/*
 * ftrace. 5.11 gave callbacks ftrace_regs, and let them (on x86) change where
 * the function goes on without all registers being saved; 6.2 gave accessors
 * of arguments.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#define COMPAT_FTRACE_REGS struct ftrace_regs
#else
#define COMPAT_FTRACE_REGS struct pt_regs
#endif

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
#define COMPAT_FTRACE_REGISTERS 0
#else
#define COMPAT_FTRACE_REGISTERS FTRACE_OPS_FL_SAVE_REGS
#endif

/*
 * 5.11 lets those ask for protection from recursion who want it; before, those
 * said so who did not.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#define COMPAT_FTRACE_RECURSION 0
#else
#define COMPAT_FTRACE_RECURSION FTRACE_OPS_FL_RECURSION_SAFE
#endif

#define COMPAT_FTRACE_FLAGS (COMPAT_FTRACE_REGISTERS | COMPAT_FTRACE_RECURSION)

/*
 * 6.2, and with it the stable series from 6.1 on, lets modules have the call that
 * forgets what a callback is for. To set nothing does the same.
 */
static inline void compat_ftrace_forget(struct ftrace_ops *ops)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 1, 0)
	ftrace_free_filter(ops);
#else
	ftrace_set_filter(ops, NULL, 0, 1);
#endif
}

/* An argument of the function that was entered, counted from 0. */
static __always_inline unsigned long
compat_ftrace_argument(COMPAT_FTRACE_REGS *regs, unsigned int number)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	return ftrace_regs_get_argument(regs, number);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	return regs_get_kernel_argument(&regs->regs, number);
#else
	return regs_get_kernel_argument(regs, number);
#endif
}

/* Let the caller of the function enter another one instead. */
static __always_inline void compat_ftrace_go_on_at(COMPAT_FTRACE_REGS *regs,
						   unsigned long address)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#ifndef CONFIG_HAVE_DYNAMIC_FTRACE_WITH_ARGS
	/* The two below do nothing there. */
	instruction_pointer_set(ftrace_get_regs(regs), address);
#else
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	ftrace_regs_set_instruction_pointer(regs, address);
#else
	ftrace_instruction_pointer_set(regs, address);
#endif
#endif
#else
	instruction_pointer_set(regs, address);
#endif
}

#endif /* BLKSNAP_COMPAT_FILTER_H */
