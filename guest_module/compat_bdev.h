/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernel releases in opening and freezing block devices.
 *
 * A part of compat.h, apart because only few files need it.
 */
#ifndef BLKSNAP_COMPAT_BDEV_H
#define BLKSNAP_COMPAT_BDEV_H

#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/version.h>
/* 5.16 took these out of blkdev.h. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
#include <linux/blk-integrity.h>
#endif

/**
 * struct compat_bdev - An open block device.
 * @bdev: The device.
 * @handle: What closes it, where that is not @bdev.
 * @frozen: The file system that was frozen, before 5.11.
 */
struct compat_bdev {
	struct block_device *bdev;
	void *handle;
#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
	struct super_block *frozen;
#endif
};

/*
 * Open by number, not exclusively, and only to read: a mounted device may refuse
 * to be opened for writing (6.8), which bios do not ask for. 6.5 replaced fmode_t
 * by blk_mode_t, 6.7 made the result of an open a handle, 6.9 made that a file.
 */
static inline int compat_bdev_open(struct compat_bdev *opened, dev_t dev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	struct file *file = bdev_file_open_by_dev(dev, BLK_OPEN_READ, NULL,
						  NULL);

	if (IS_ERR(file))
		return PTR_ERR(file);
	opened->bdev = file_bdev(file);
	opened->handle = file;
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	struct bdev_handle *handle = bdev_open_by_dev(dev, BLK_OPEN_READ, NULL,
						      NULL);

	if (IS_ERR(handle))
		return PTR_ERR(handle);
	opened->bdev = handle->bdev;
	opened->handle = handle;
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	struct block_device *bdev = blkdev_get_by_dev(dev, BLK_OPEN_READ, NULL,
						      NULL);

	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	opened->bdev = bdev;
	opened->handle = NULL;
#else
	struct block_device *bdev = blkdev_get_by_dev(dev, FMODE_READ, NULL);

	if (IS_ERR(bdev))
		return PTR_ERR(bdev);
	opened->bdev = bdev;
	opened->handle = NULL;
#endif
	return 0;
}

static inline void compat_bdev_close(struct compat_bdev *opened)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
	fput(opened->handle);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	bdev_release(opened->handle);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	blkdev_put(opened->bdev, NULL);
#else
	blkdev_put(opened->bdev, FMODE_READ);
#endif
	opened->bdev = NULL;
}

/*
 * Freeze the file system on a device, if there is one. 6.8 renamed the pair;
 * 5.11 let it return an error number instead of the super block.
 */
static inline int compat_bdev_freeze(struct compat_bdev *opened)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return bdev_freeze(opened->bdev);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	return freeze_bdev(opened->bdev);
#else
	opened->frozen = freeze_bdev(opened->bdev);
	return PTR_ERR_OR_ZERO(opened->frozen);
#endif
}

static inline int compat_bdev_thaw(struct compat_bdev *opened)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
	return bdev_thaw(opened->bdev);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	return thaw_bdev(opened->bdev);
#else
	return thaw_bdev(opened->bdev, opened->frozen);
#endif
}

/*
 * When the disk of a device became what it is; a greater number is later. 5.15
 * numbers disks whenever they get their content, a loop device its file. Before,
 * what they are numbered by as they are announced has to do.
 */
static inline u64 compat_bdev_since(const struct block_device *bdev)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 15, 0)
	return READ_ONCE(bdev->bd_disk->diskseq);
#else
	return bdev->bd_disk->queue->backing_dev_info->id;
#endif
}

/*
 * 5.18 renamed what says that a queue encrypts inline.
 */
static inline bool compat_has_inline_encryption(struct request_queue *queue)
{
#ifndef CONFIG_BLK_INLINE_ENCRYPTION
	return false;
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
	return queue->crypto_profile;
#else
	return queue->ksm;
#endif
}

#endif /* BLKSNAP_COMPAT_BDEV_H */
