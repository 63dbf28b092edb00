/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control node.
 */
#ifndef BLKSNAP_CTRL_H
#define BLKSNAP_CTRL_H

#include <linux/blksnap.h>
#include <linux/types.h>

struct file;

/* Called by main.c only. */
int ctrl_init(void);
void ctrl_done(void);

/* Major number of the control node. */
int ctrl_major(void);

/* Copies one record to element @index of a user's array. Return: 0, -EFAULT. */
typedef int (*ctrl_put_cbt_info)(void __user *array, u32 index,
				 const struct blk_snap_cbt_info *info);

/**
 * struct ctrl_command - A request of the control node.
 * @request: The whole request value.
 * @run: What it does with its argument.
 * @unprivileged: Does not need CAP_SYS_ADMIN.
 */
struct ctrl_command {
	unsigned int request;
	long (*run)(void __user *argument);
	bool unprivileged;
};

/* Finds the request in the table and runs it. -ENOTTY, -EPERM, or its result. */
long ctrl_dispatch(const struct ctrl_command *commands, size_t count,
		   unsigned int request, void __user *argument);

/*
 * The commands whose structures hold a pointer, once these have been read from
 * whatever layout. What is written back goes where the @user_... pointers say.
 */
long ctrl_tracker_collect(u32 capacity, void __user *array,
			  u32 __user *user_count, ctrl_put_cbt_info put);
long ctrl_mark_dirty(const struct blk_snap_dev_t *dev, u32 count,
		     const struct blk_snap_block_range __user *array);
long ctrl_snapshot_create(u32 count, const struct blk_snap_dev_t __user *array,
			  uuid_t __user *user_id);
long ctrl_append_storage(const uuid_t *id, const struct blk_snap_dev_t *dev,
			 u32 count,
			 const struct blk_snap_block_range __user *array);
long ctrl_snapshot_collect(u32 capacity, uuid_t __user *array,
			   u32 __user *user_count);
long ctrl_collect_images(const uuid_t *id, u32 capacity,
			 struct blk_snap_image_info __user *array,
			 u32 __user *user_count);

/* The commands without a pointer: the same for callers of any word size. */
long ctrl_version(void __user *argument);
long ctrl_tracker_remove(void __user *argument);
long ctrl_snapshot_destroy(void __user *argument);
long ctrl_snapshot_take(void __user *argument);
long ctrl_wait_event(void __user *argument);

#ifdef CONFIG_COMPAT
long ctrl_compat_ioctl(struct file *file, unsigned int request,
		       unsigned long argument);
#endif

#endif /* BLKSNAP_CTRL_H */
