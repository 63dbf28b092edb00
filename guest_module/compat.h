/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases, each with the release that made it.
 *
 * The only place where the version of the kernel is asked for. Everything is
 * written for the newest form; older kernels get it by this header.
 */
#ifndef BLKSNAP_COMPAT_H
#define BLKSNAP_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device/class.h>
#include <linux/ftrace.h>
#include <linux/version.h>

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
 * 5.11 (x86) lets an ftrace callback change where the function goes on without
 * all registers being saved; 6.2 gave the accessors of arguments.
 */
#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
#define COMPAT_FTRACE_FLAGS FTRACE_OPS_FL_IPMODIFY
#else
#define COMPAT_FTRACE_FLAGS (FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_SAVE_REGS)
#endif

#endif /* BLKSNAP_COMPAT_H */
