/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases, each with the release that made it.
 *
 * The only place where the version of the kernel is asked for. Everything is
 * written for the newest form; older kernels get it by this header.
 */
#ifndef BLKSNAP_COMPAT_H
#define BLKSNAP_COMPAT_H

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/device/class.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/major.h>
#include <linux/version.h>
#include <linux/workqueue.h>

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

/* Can such a disk get another content without that being seen? */
static inline bool compat_disk_changes_unseen(const struct gendisk *disk)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
	return false;
#else
	return disk->major == LOOP_MAJOR || (disk->flags & GENHD_FL_REMOVABLE);
#endif
}

/*
 * 6.10 put the inode of a block device out of struct block_device's sight.
 */
static inline struct inode *compat_bdev_inode(struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	return bdev->bd_mapping->host;
#else
	return bdev->bd_inode;
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
	return inode_unhashed((struct inode *)whole) &&
	       (disk->flags & GENHD_FL_UP);
#endif
}

/*
 * 6.4 made the class and the attribute const in an attribute of a class, and
 * took the owner from a class.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define COMPAT_CLASS const struct class
#define COMPAT_CLASS_ATTRIBUTE const struct class_attribute
#else
#define COMPAT_CLASS struct class
#define COMPAT_CLASS_ATTRIBUTE struct class_attribute
#endif

/* x32 exists on x86 only. */
#ifdef CONFIG_X86_X32_ABI
#include <asm/compat.h>
#define compat_caller_is_x32() in_x32_syscall()
#else
#define compat_caller_is_x32() false
#endif

/*
 * 6.17 wants to be told that a work queue is one for each processor.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define COMPAT_WQ_PERCPU WQ_PERCPU
#else
#define COMPAT_WQ_PERCPU 0
#endif

/*
 * 6.14 lets the freezer of a queue return the flags for the thaw.
 */
static inline void compat_queue_drain(struct request_queue *queue)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	unsigned int flags = blk_mq_freeze_queue(queue);

	blk_mq_unfreeze_queue(queue, flags);
#else
	blk_mq_freeze_queue(queue);
	blk_mq_unfreeze_queue(queue);
#endif
}

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

#define COMPAT_FTRACE_FLAGS \
	(FTRACE_OPS_FL_IPMODIFY | COMPAT_FTRACE_REGISTERS | \
	 COMPAT_FTRACE_RECURSION)

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

/* The first argument of the function that was entered. */
static __always_inline unsigned long
compat_ftrace_argument(COMPAT_FTRACE_REGS *regs)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	return ftrace_regs_get_argument(regs, 0);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	return regs_get_kernel_argument(&regs->regs, 0);
#else
	return regs_get_kernel_argument(regs, 0);
#endif
}

/* Let the caller of the function enter another one instead. */
static __always_inline void compat_ftrace_go_on_at(COMPAT_FTRACE_REGS *regs,
						   unsigned long address)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	ftrace_regs_set_instruction_pointer(regs, address);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	ftrace_instruction_pointer_set(regs, address);
#else
	instruction_pointer_set(regs, address);
#endif
}

#endif /* BLKSNAP_COMPAT_H */
