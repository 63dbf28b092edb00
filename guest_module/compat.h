/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases, each with the release that made it.
 *
 * The version of the kernel is asked for in compat*.h only, and in what a kernel
 * with filters of its own has in its block layer (blk-filter-disk.h and
 * kernel/blk-filter.c). Everything else is written for the newest form; older
 * kernels get it by these headers.
 */
#ifndef BLKSNAP_COMPAT_H
#define BLKSNAP_COMPAT_H

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/device/class.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(5, 12, 0)
#error "Linux 5.11 is not known: its partitions are neither those of 5.10 nor of 5.12."
#endif

/*
 * Can a disk get another content without that being seen? 5.15 introduced a
 * number that changes with each.
 */
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
 * The sectors of a device, which its driver may change at this moment. 5.16 counts
 * them without its inode being asked.
 */
static inline sector_t compat_bdev_sectors(const struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
	return READ_ONCE(bdev->bd_nr_sectors);
#else
	return i_size_read(bdev->bd_inode) >> SECTOR_SHIFT;
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

/* It has another name for system_unbound_wq, too. */
static inline struct workqueue_struct *compat_unbound_queue(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
	return system_dfl_wq;
#else
	return system_unbound_wq;
#endif
}

#endif /* BLKSNAP_COMPAT_H */
