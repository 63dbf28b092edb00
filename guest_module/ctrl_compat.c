// SPDX-License-Identifier: GPL-2.0
/*
 * The control node for callers of 32 bits on a kernel of 64.
 *
 * Their pointers are shorter, so structures with one have another size, and
 * their requests another value; and where 64-bit integers are aligned to 4 bytes
 * (x86) the record of a tracker is shorter as well. Everything else is common.
 *
 * Context: process context.
 */
#include <linux/blksnap.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "compat.h"
#include "ctrl.h"
#include "tracker.h"

/* Members as in the structures without "32", which see. */
struct blk_snap_cbt_info32 {
	struct blk_snap_dev_t dev_id;
	u32 blk_size;
	compat_u64 device_capacity;
	u32 blk_count;
	uuid_t generation_id;
	u8 snap_number;
};

struct blk_snap_tracker_collect32 {
	u32 count;
	compat_uptr_t cbt_info_array;
};

struct blk_snap_tracker_read_cbt_bitmap32 {
	struct blk_snap_dev_t dev_id;
	u32 offset;
	u32 length;
	compat_uptr_t buff;
};

struct blk_snap_tracker_mark_dirty_blocks32 {
	struct blk_snap_dev_t dev_id;
	u32 count;
	compat_uptr_t dirty_blocks_array;
};

struct blk_snap_snapshot_create32 {
	u32 count;
	compat_uptr_t dev_id_array;
	uuid_t id;
};

struct blk_snap_snapshot_append_storage32 {
	uuid_t id;
	struct blk_snap_dev_t dev_id;
	u32 count;
	compat_uptr_t ranges;
};

struct blk_snap_snapshot_collect32 {
	u32 count;
	compat_uptr_t ids;
};

struct blk_snap_snapshot_collect_images32 {
	uuid_t id;
	u32 count;
	compat_uptr_t image_info_array;
};

#define IOCTL32_TRACKER_COLLECT \
	_IOW(BLK_SNAP, 2, struct blk_snap_tracker_collect32)
#define IOCTL32_TRACKER_READ_CBT_MAP \
	_IOR(BLK_SNAP, 3, struct blk_snap_tracker_read_cbt_bitmap32)
#define IOCTL32_TRACKER_MARK_DIRTY_BLOCKS \
	_IOR(BLK_SNAP, 4, struct blk_snap_tracker_mark_dirty_blocks32)
#define IOCTL32_SNAPSHOT_CREATE \
	_IOW(BLK_SNAP, 5, struct blk_snap_snapshot_create32)
#define IOCTL32_SNAPSHOT_APPEND_STORAGE \
	_IOW(BLK_SNAP, 7, struct blk_snap_snapshot_append_storage32)
#define IOCTL32_SNAPSHOT_COLLECT \
	_IOW(BLK_SNAP, 9, struct blk_snap_snapshot_collect32)
#define IOCTL32_SNAPSHOT_COLLECT_IMAGES \
	_IOW(BLK_SNAP, 10, struct blk_snap_snapshot_collect_images32)

#ifdef CONFIG_X86_64
static_assert(sizeof(struct blk_snap_cbt_info32) == 44);
#endif
static_assert(IOCTL32_TRACKER_COLLECT == 0x40085602);
static_assert(IOCTL32_TRACKER_READ_CBT_MAP == 0x80145603);
static_assert(IOCTL32_TRACKER_MARK_DIRTY_BLOCKS == 0x80105604);
static_assert(IOCTL32_SNAPSHOT_CREATE == 0x40185605);
static_assert(IOCTL32_SNAPSHOT_APPEND_STORAGE == 0x40205607);
static_assert(IOCTL32_SNAPSHOT_COLLECT == 0x40085609);
static_assert(IOCTL32_SNAPSHOT_COLLECT_IMAGES == 0x4018560A);

static int compat_put_cbt_info(void __user *array, u32 index,
			       const struct blk_snap_cbt_info *info)
{
	struct blk_snap_cbt_info32 __user *to = array;
	struct blk_snap_cbt_info32 info32;

	/* The padding goes to the user as well. */
	memset(&info32, 0, sizeof(info32));
	info32.dev_id = info->dev_id;
	info32.blk_size = info->blk_size;
	info32.device_capacity = info->device_capacity;
	info32.blk_count = info->blk_count;
	info32.generation_id = info->generation_id;
	info32.snap_number = info->snap_number;
	return copy_to_user(&to[index], &info32, sizeof(info32)) ? -EFAULT : 0;
}

static long compat_tracker_collect(void __user *argument)
{
	struct blk_snap_tracker_collect32 __user *user = argument;
	struct blk_snap_tracker_collect32 arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_tracker_collect(arg.count, compat_ptr(arg.cbt_info_array),
				    &user->count, compat_put_cbt_info);
}

static long compat_tracker_read_cbt_map(void __user *argument)
{
	struct blk_snap_tracker_read_cbt_bitmap32 arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return tracker_read_cbt(&arg.dev_id, arg.offset, arg.length,
				compat_ptr(arg.buff));
}

static long compat_mark_dirty(void __user *argument)
{
	struct blk_snap_tracker_mark_dirty_blocks32 arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return ctrl_mark_dirty(&arg.dev_id, arg.count,
			       compat_ptr(arg.dirty_blocks_array));
}

static long compat_snapshot_create(void __user *argument)
{
	struct blk_snap_snapshot_create32 __user *user = argument;
	struct blk_snap_snapshot_create32 arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_snapshot_create(arg.count, compat_ptr(arg.dev_id_array),
				    &user->id);
}

static long compat_append_storage(void __user *argument)
{
	struct blk_snap_snapshot_append_storage32 arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return ctrl_append_storage(&arg.id, &arg.dev_id, arg.count,
				   compat_ptr(arg.ranges));
}

static long compat_snapshot_collect(void __user *argument)
{
	struct blk_snap_snapshot_collect32 __user *user = argument;
	struct blk_snap_snapshot_collect32 arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_snapshot_collect(arg.count, compat_ptr(arg.ids),
				     &user->count);
}

static long compat_collect_images(void __user *argument)
{
	struct blk_snap_snapshot_collect_images32 __user *user = argument;
	struct blk_snap_snapshot_collect_images32 arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_collect_images(&arg.id, arg.count,
				   compat_ptr(arg.image_info_array),
				   &user->count);
}

static const struct ctrl_command compat_commands[] = {
	{ IOCTL_BLK_SNAP_VERSION, ctrl_version, .unprivileged = true },
	{ IOCTL_BLK_SNAP_TRACKER_REMOVE, ctrl_tracker_remove },
	{ IOCTL32_TRACKER_COLLECT, compat_tracker_collect },
	{ IOCTL32_TRACKER_READ_CBT_MAP, compat_tracker_read_cbt_map },
	{ IOCTL32_TRACKER_MARK_DIRTY_BLOCKS, compat_mark_dirty },
	{ IOCTL32_SNAPSHOT_CREATE, compat_snapshot_create },
	{ IOCTL_BLK_SNAP_SNAPSHOT_DESTROY, ctrl_snapshot_destroy },
	{ IOCTL32_SNAPSHOT_APPEND_STORAGE, compat_append_storage },
	{ IOCTL_BLK_SNAP_SNAPSHOT_TAKE, ctrl_snapshot_take },
	{ IOCTL32_SNAPSHOT_COLLECT, compat_snapshot_collect },
	{ IOCTL32_SNAPSHOT_COLLECT_IMAGES, compat_collect_images },
	{ IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT, ctrl_wait_event },
};

static_assert(ARRAY_SIZE(compat_commands) == blk_snap_ioctl_end);

long ctrl_compat_ioctl(struct file *file, unsigned int request,
		       unsigned long argument)
{
	/* x32 has the requests of 32 bits with the alignment of 64. */
	if (compat_caller_is_x32())
		return -ENOTTY;
	return ctrl_dispatch(compat_commands, ARRAY_SIZE(compat_commands),
			     request, compat_ptr(argument));
}
