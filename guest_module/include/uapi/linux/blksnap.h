/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The control interface of blksnap: requests on /dev/blksnap.
 *
 * Binary compatible with the first proposal of the module: request values,
 * structure sizes and offsets never change. The direction bits of the requests
 * do not follow the flow of the data; they are part of the numbers all the same.
 *
 * All integers are in native byte order. A sector is 512 bytes. Every request
 * but IOCTL_BLK_SNAP_VERSION needs CAP_SYS_ADMIN (EPERM). A bad pointer gives
 * EFAULT, and then nothing has been created, changed or lost. Any other request
 * value gives ENOTTY.
 */
#ifndef _UAPI_LINUX_BLKSNAP_H
#define _UAPI_LINUX_BLKSNAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#ifdef __KERNEL__
#include <linux/uuid.h>
#else
#ifndef __user
#define __user
#endif
/*
 * 16 bytes: libuuid's uuid_t where there is a libuuid, a structure elsewhere. A
 * program with a type of its own by this name defines BLK_SNAP_HAVE_UUID_T.
 */
#ifndef BLK_SNAP_HAVE_UUID_T
#define BLK_SNAP_HAVE_UUID_T
#if defined(__has_include)
#if __has_include(<uuid/uuid.h>)
#include <uuid/uuid.h>
#define BLK_SNAP_LIBUUID
#endif
#endif
#ifndef BLK_SNAP_LIBUUID
typedef struct {
	__u8 b[16];
} uuid_t;
#endif
#endif
#endif /* __KERNEL__ */

#define BLK_SNAP_CTL "/dev/blksnap"
#define BLK_SNAP_MODULE_NAME "blksnap"
#define BLK_SNAP_IMAGE_NAME "blksnap-image"
#define BLK_SNAP 'V'

enum blk_snap_ioctl {
	blk_snap_ioctl_version,
	blk_snap_ioctl_tracker_remove,
	blk_snap_ioctl_tracker_collect,
	blk_snap_ioctl_tracker_read_cbt_map,
	blk_snap_ioctl_tracker_mark_dirty_blocks,
	blk_snap_ioctl_snapshot_create,
	blk_snap_ioctl_snapshot_destroy,
	blk_snap_ioctl_snapshot_append_storage,
	blk_snap_ioctl_snapshot_take,
	blk_snap_ioctl_snapshot_collect,
	blk_snap_ioctl_snapshot_collect_images,
	blk_snap_ioctl_snapshot_wait_event,
	blk_snap_ioctl_end,
};

/**
 * struct blk_snap_version - Version of the module.
 * @major: 1.
 * @minor: 0.
 * @revision: 0.
 * @build: 0.
 */
struct blk_snap_version {
	__u16 major;
	__u16 minor;
	__u16 revision;
	__u16 build;
};

/*
 * IOCTL_BLK_SNAP_VERSION - Get the version.
 *
 * Out: struct blk_snap_version. Needs no privilege. Never sleeps long.
 */
#define IOCTL_BLK_SNAP_VERSION \
	_IOW(BLK_SNAP, blk_snap_ioctl_version, struct blk_snap_version)

/**
 * struct blk_snap_dev_t - Number of a block device.
 * @mj: Major number.
 * @mn: Minor number.
 */
struct blk_snap_dev_t {
	__u32 mj;
	__u32 mn;
};

/**
 * struct blk_snap_tracker_remove - In: the device to stop tracking.
 * @dev_id: Device number.
 */
struct blk_snap_tracker_remove {
	struct blk_snap_dev_t dev_id;
};

/*
 * IOCTL_BLK_SNAP_TRACKER_REMOVE - Stop tracking a device.
 *
 * Refused: ENODATA (not tracked), EBUSY (a snapshot, created or taken, holds
 * the device).
 */
#define IOCTL_BLK_SNAP_TRACKER_REMOVE                   \
	_IOW(BLK_SNAP, blk_snap_ioctl_tracker_remove,   \
	     struct blk_snap_tracker_remove)

/**
 * struct blk_snap_cbt_info - State of the change tracking of one device.
 * @dev_id: Device number. All other fields are zero if the device is gone.
 * @blk_size: Size of a tracking block in bytes.
 * @device_capacity: Size of the device in bytes, as the map knows it.
 * @blk_count: Number of tracking blocks, which is the map's size in bytes.
 * @generation_id: Changes when the numbers start anew.
 * @snap_number: Number of the last take, 0 before the first.
 */
struct blk_snap_cbt_info {
	struct blk_snap_dev_t dev_id;
	__u32 blk_size;
	__u64 device_capacity;
	__u32 blk_count;
	uuid_t generation_id;
	__u8 snap_number;
};

/**
 * struct blk_snap_tracker_collect - Array for the state of all trackers.
 * @count: In: number of elements of the array. Out: number of elements filled,
 *	or needed if the array is NULL or too small.
 * @cbt_info_array: The array, or NULL.
 */
struct blk_snap_tracker_collect {
	__u32 count;
	struct blk_snap_cbt_info __user *cbt_info_array;
};

/*
 * IOCTL_BLK_SNAP_TRACKER_COLLECT - State of all trackers, oldest first.
 *
 * Refused: ENOBUFS (too small; count is the number needed, nothing is copied),
 * EINVAL (absurd count).
 */
#define IOCTL_BLK_SNAP_TRACKER_COLLECT                  \
	_IOW(BLK_SNAP, blk_snap_ioctl_tracker_collect,  \
	     struct blk_snap_tracker_collect)

/**
 * struct blk_snap_tracker_read_cbt_bitmap - In: piece of a CBT map to read.
 * @dev_id: Device number of the original.
 * @offset: First byte, which is a block number.
 * @length: Number of bytes.
 * @buff: Where to put them.
 */
struct blk_snap_tracker_read_cbt_bitmap {
	struct blk_snap_dev_t dev_id;
	__u32 offset;
	__u32 length;
	__u8 __user *buff;
};

/*
 * IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP - Read the map as frozen at the last take.
 *
 * Returns the number of bytes copied, 0 at the end of the map.
 * Refused: ENODATA (not tracked), EPERM (no snapshot is taken), EINVAL (offset
 * beyond the map), EFAULT (the map is damaged, or the buffer is bad).
 */
#define IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP                  \
	_IOR(BLK_SNAP, blk_snap_ioctl_tracker_read_cbt_map,  \
	     struct blk_snap_tracker_read_cbt_bitmap)

/**
 * struct blk_snap_block_range - A range of a block device.
 * @sector_offset: First sector, from the start of this device or partition.
 * @sector_count: Number of sectors.
 */
struct blk_snap_block_range {
	__u64 sector_offset;
	__u64 sector_count;
};

/**
 * struct blk_snap_tracker_mark_dirty_blocks - In: ranges to mark as changed.
 * @dev_id: Device number of an original or of an image.
 * @count: Number of ranges.
 * @dirty_blocks_array: The ranges.
 */
struct blk_snap_tracker_mark_dirty_blocks {
	struct blk_snap_dev_t dev_id;
	__u32 count;
	struct blk_snap_block_range __user *dirty_blocks_array;
};

/*
 * IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS - Mark ranges as changed.
 *
 * They show in the frozen map and in the next increment. All or nothing.
 * Refused: ENODEV (not tracked, no such image), EINVAL (no ranges, an empty
 * range, a range beyond the device).
 */
#define IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS                  \
	_IOR(BLK_SNAP, blk_snap_ioctl_tracker_mark_dirty_blocks,  \
	     struct blk_snap_tracker_mark_dirty_blocks)

/**
 * struct blk_snap_snapshot_create - Create a snapshot.
 * @count: In: number of devices.
 * @dev_id_array: In: the devices.
 * @id: Out: the new snapshot.
 */
struct blk_snap_snapshot_create {
	__u32 count;
	struct blk_snap_dev_t __user *dev_id_array;
	uuid_t id;
};

/*
 * IOCTL_BLK_SNAP_SNAPSHOT_CREATE - Create a snapshot; tracking begins.
 *
 * Refused: EINVAL (a device twice, absurd count), EALREADY (another snapshot
 * holds a device), EOPNOTSUPP (a kind of device that cannot be done right),
 * errors of opening a device.
 */
#define IOCTL_BLK_SNAP_SNAPSHOT_CREATE                  \
	_IOW(BLK_SNAP, blk_snap_ioctl_snapshot_create,  \
	     struct blk_snap_snapshot_create)

/**
 * struct blk_snap_snapshot_destroy - In: the snapshot to destroy.
 * @id: Snapshot.
 */
struct blk_snap_snapshot_destroy {
	uuid_t id;
};

/*
 * IOCTL_BLK_SNAP_SNAPSHOT_DESTROY - Release a snapshot with all that it has.
 *
 * Works with images open and with waiters. Refused: ENODEV (unknown).
 */
#define IOCTL_BLK_SNAP_SNAPSHOT_DESTROY                  \
	_IOR(BLK_SNAP, blk_snap_ioctl_snapshot_destroy,  \
	     struct blk_snap_snapshot_destroy)

/**
 * struct blk_snap_snapshot_append_storage - In: more room for old data.
 * @id: Snapshot.
 * @dev_id: Device that the ranges lie on.
 * @count: Number of ranges.
 * @ranges: The ranges.
 */
struct blk_snap_snapshot_append_storage {
	uuid_t id;
	struct blk_snap_dev_t dev_id;
	__u32 count;
	struct blk_snap_block_range __user *ranges;
};

/*
 * IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE - Add ranges to the difference storage.
 *
 * All or nothing. Refused: ESRCH (unknown), EINVAL (misaligned to 8 sectors,
 * empty, beyond the device, overlapping one given before, on an image, on a device
 * of zones or of blocks above 4096 bytes, absurd count), errors of opening the
 * device.
 */
#define IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE                  \
	_IOW(BLK_SNAP, blk_snap_ioctl_snapshot_append_storage,  \
	     struct blk_snap_snapshot_append_storage)

/**
 * struct blk_snap_snapshot_take - In: the snapshot to take.
 * @id: Snapshot.
 */
struct blk_snap_snapshot_take {
	uuid_t id;
};

/*
 * IOCTL_BLK_SNAP_SNAPSHOT_TAKE - Freeze the state of all devices at one instant.
 *
 * Refused: ESRCH (unknown), EALREADY (taken), ENODEV (no devices), EFAULT (no
 * storage); after any error everything is as before.
 */
#define IOCTL_BLK_SNAP_SNAPSHOT_TAKE                  \
	_IOR(BLK_SNAP, blk_snap_ioctl_snapshot_take,  \
	     struct blk_snap_snapshot_take)

/**
 * struct blk_snap_snapshot_collect - Array for the ids of all snapshots.
 * @count: In: number of elements of the array. Out: number of elements filled,
 *	or needed if the array is NULL or too small.
 * @ids: The array, or NULL.
 */
struct blk_snap_snapshot_collect {
	__u32 count;
	uuid_t __user *ids;
};

/*
 * IOCTL_BLK_SNAP_SNAPSHOT_COLLECT - Ids of all snapshots.
 *
 * Refused: ENODATA (too small; count is the number needed), EINVAL (absurd
 * count).
 */
#define IOCTL_BLK_SNAP_SNAPSHOT_COLLECT                  \
	_IOW(BLK_SNAP, blk_snap_ioctl_snapshot_collect,  \
	     struct blk_snap_snapshot_collect)

/**
 * struct blk_snap_image_info - An original and its image.
 * @orig_dev_id: Device number of the original.
 * @image_dev_id: Device number of the image; N of /dev/blksnap-imageN is the
 *	minor.
 */
struct blk_snap_image_info {
	struct blk_snap_dev_t orig_dev_id;
	struct blk_snap_dev_t image_dev_id;
};

/**
 * struct blk_snap_snapshot_collect_images - Array for the images of a snapshot.
 * @id: In: snapshot.
 * @count: In: number of elements of the array. Out: number of elements filled,
 *	or needed if the array is NULL or too small.
 * @image_info_array: The array, or NULL.
 */
struct blk_snap_snapshot_collect_images {
	uuid_t id;
	__u32 count;
	struct blk_snap_image_info __user *image_info_array;
};

/*
 * IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES - Images, in the order of create.
 *
 * Refused: ESRCH (unknown), ENODEV (not taken; count is the number of devices),
 * ENODATA (too small; count is the number needed), EINVAL (absurd count).
 */
#define IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES                  \
	_IOW(BLK_SNAP, blk_snap_ioctl_snapshot_collect_images,  \
	     struct blk_snap_snapshot_collect_images)

enum blk_snap_event_codes {
	blk_snap_event_code_low_free_space,
	blk_snap_event_code_corrupted,
};

/**
 * struct blk_snap_snapshot_event - Wait for an event.
 * @id: In: snapshot.
 * @timeout_ms: In: limit in milliseconds; 0 only looks.
 * @code: Out: enum blk_snap_event_codes.
 * @time_label: Out: CLOCK_MONOTONIC in nanoseconds.
 * @data: Out: payload in the first bytes; the others are left as they were.
 */
struct blk_snap_snapshot_event {
	uuid_t id;
	__u32 timeout_ms;
	__u32 code;
	__s64 time_label;
	__u8 data[4096 - 32];
};

/*
 * IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT - Take the oldest event off the queue.
 *
 * Refused: ESRCH (unknown, or destroyed while waiting), ENOENT (none came in
 * time), EINTR (a signal).
 */
#define IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT                  \
	_IOW(BLK_SNAP, blk_snap_ioctl_snapshot_wait_event,  \
	     struct blk_snap_snapshot_event)

/**
 * struct blk_snap_event_low_free_space - Payload: storage is wanted.
 * @requested_nr_sect: Size of the portion wanted, in sectors.
 */
struct blk_snap_event_low_free_space {
	__u64 requested_nr_sect;
};

/**
 * struct blk_snap_event_corrupted - Payload: an image can no longer be read.
 * @orig_dev_id: Device number of its original.
 * @err_code: Why, a positive errno.
 */
struct blk_snap_event_corrupted {
	struct blk_snap_dev_t orig_dev_id;
	__s32 err_code;
};

#endif /* _UAPI_LINUX_BLKSNAP_H */
