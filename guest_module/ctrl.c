// SPDX-License-Identifier: GPL-2.0
/*
 * The control node: a character device whose requests are commands.
 *
 * Purpose: finds the command of a request by its whole value, checks the
 * caller's privilege, and reads the arguments in the layout of this kernel's
 * word size. ctrl_compat.c does the same for callers of 32 bits; ctrl_command.c
 * is what both then call.
 *
 * Context: process context. An open node holds the module; nothing is bound to
 * an open file, so there is nothing to release.
 */
#define pr_fmt(fmt) "blksnap-ctrl: " fmt

#include <linux/blksnap.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "ctrl.h"
#include "tracker.h"

static_assert(sizeof(uuid_t) == 16);
static_assert(sizeof(struct blk_snap_version) == 8);
static_assert(sizeof(struct blk_snap_dev_t) == 8);
static_assert(sizeof(struct blk_snap_tracker_remove) == 8);
static_assert(sizeof(struct blk_snap_block_range) == 16);
static_assert(sizeof(struct blk_snap_snapshot_destroy) == 16);
static_assert(sizeof(struct blk_snap_snapshot_take) == 16);
static_assert(sizeof(struct blk_snap_image_info) == 16);
static_assert(sizeof(struct blk_snap_snapshot_event) == 4096);
static_assert(sizeof(struct blk_snap_event_low_free_space) == 8);
static_assert(sizeof(struct blk_snap_event_corrupted) == 12);
#ifdef CONFIG_64BIT
static_assert(sizeof(struct blk_snap_cbt_info) == 48);
static_assert(offsetof(struct blk_snap_cbt_info, generation_id) == 28);
static_assert(offsetof(struct blk_snap_cbt_info, snap_number) == 44);
static_assert(sizeof(struct blk_snap_tracker_collect) == 16);
static_assert(sizeof(struct blk_snap_tracker_read_cbt_bitmap) == 24);
static_assert(sizeof(struct blk_snap_tracker_mark_dirty_blocks) == 24);
static_assert(sizeof(struct blk_snap_snapshot_create) == 32);
static_assert(sizeof(struct blk_snap_snapshot_append_storage) == 40);
static_assert(sizeof(struct blk_snap_snapshot_collect) == 16);
static_assert(sizeof(struct blk_snap_snapshot_collect_images) == 32);
#endif
static_assert(IOCTL_BLK_SNAP_VERSION == 0x40085600);
static_assert(IOCTL_BLK_SNAP_TRACKER_REMOVE == 0x40085601);
static_assert(IOCTL_BLK_SNAP_SNAPSHOT_DESTROY == 0x80105606);
static_assert(IOCTL_BLK_SNAP_SNAPSHOT_TAKE == 0x80105608);
static_assert(IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT == 0x5000560B);
static_assert(blk_snap_ioctl_end == 12);

static int ctrl_put_cbt_info_native(void __user *array, u32 index,
				    const struct blk_snap_cbt_info *info)
{
	struct blk_snap_cbt_info __user *to = array;

	return copy_to_user(&to[index], info, sizeof(*info)) ? -EFAULT : 0;
}

static long native_tracker_collect(void __user *argument)
{
	struct blk_snap_tracker_collect __user *user = argument;
	struct blk_snap_tracker_collect arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_tracker_collect(arg.count, arg.cbt_info_array, &user->count,
				    ctrl_put_cbt_info_native);
}

static long native_tracker_read_cbt_map(void __user *argument)
{
	struct blk_snap_tracker_read_cbt_bitmap arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return tracker_read_cbt(&arg.dev_id, arg.offset, arg.length,
				(char __user *)arg.buff);
}

static long native_mark_dirty(void __user *argument)
{
	struct blk_snap_tracker_mark_dirty_blocks arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return ctrl_mark_dirty(&arg.dev_id, arg.count, arg.dirty_blocks_array);
}

static long native_snapshot_create(void __user *argument)
{
	struct blk_snap_snapshot_create __user *user = argument;
	struct blk_snap_snapshot_create arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_snapshot_create(arg.count, arg.dev_id_array, &user->id);
}

static long native_append_storage(void __user *argument)
{
	struct blk_snap_snapshot_append_storage arg;

	if (copy_from_user(&arg, argument, sizeof(arg)))
		return -EFAULT;
	return ctrl_append_storage(&arg.id, &arg.dev_id, arg.count, arg.ranges);
}

static long native_snapshot_collect(void __user *argument)
{
	struct blk_snap_snapshot_collect __user *user = argument;
	struct blk_snap_snapshot_collect arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_snapshot_collect(arg.count, arg.ids, &user->count);
}

static long native_collect_images(void __user *argument)
{
	struct blk_snap_snapshot_collect_images __user *user = argument;
	struct blk_snap_snapshot_collect_images arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return ctrl_collect_images(&arg.id, arg.count, arg.image_info_array,
				   &user->count);
}

static const struct ctrl_command native_commands[] = {
	{ IOCTL_BLK_SNAP_VERSION, ctrl_version, .unprivileged = true },
	{ IOCTL_BLK_SNAP_TRACKER_REMOVE, ctrl_tracker_remove },
	{ IOCTL_BLK_SNAP_TRACKER_COLLECT, native_tracker_collect },
	{ IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP, native_tracker_read_cbt_map },
	{ IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS, native_mark_dirty },
	{ IOCTL_BLK_SNAP_SNAPSHOT_CREATE, native_snapshot_create },
	{ IOCTL_BLK_SNAP_SNAPSHOT_DESTROY, ctrl_snapshot_destroy },
	{ IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE, native_append_storage },
	{ IOCTL_BLK_SNAP_SNAPSHOT_TAKE, ctrl_snapshot_take },
	{ IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, native_snapshot_collect },
	{ IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, native_collect_images },
	{ IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT, ctrl_wait_event },
};

static_assert(ARRAY_SIZE(native_commands) == blk_snap_ioctl_end);

long ctrl_dispatch(const struct ctrl_command *commands, size_t count,
		   unsigned int request, void __user *argument)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (commands[i].request != request)
			continue;
		if (!commands[i].unprivileged && !capable(CAP_SYS_ADMIN))
			return -EPERM;
		return commands[i].run(argument);
	}
	return -ENOTTY;
}

static long ctrl_ioctl(struct file *file, unsigned int request,
		       unsigned long argument)
{
	return ctrl_dispatch(native_commands, ARRAY_SIZE(native_commands),
			     request, (void __user *)argument);
}

static const struct file_operations ctrl_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = ctrl_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = ctrl_compat_ioctl,
#endif
	.llseek = noop_llseek,
};

static int ctrl_major_number;

int ctrl_major(void)
{
	return ctrl_major_number;
}

int ctrl_init(void)
{
	int major = register_chrdev(0, BLK_SNAP_MODULE_NAME, &ctrl_fops);

	if (major < 0)
		return major;
	ctrl_major_number = major;
	pr_info("control device %d:0\n", major);
	return 0;
}

void ctrl_done(void)
{
	unregister_chrdev(ctrl_major_number, BLK_SNAP_MODULE_NAME);
}
