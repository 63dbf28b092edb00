// SPDX-License-Identifier: GPL-2.0
/*
 * Points of failure, see fault.h, armed by writing to debugfs blksnap/fail:
 *
 *	POINT [SKIP [TIMES]]
 *
 * The point lets SKIP calls pass (0 if left out) and fails the next TIMES (1 if
 * left out; 0 disarms it). Reading lists all points, a line "point skip times"
 * each, with what is left of both.
 *
 * Context: any. Locking: fault_lock, with interrupts off, for all but the flag
 * that says whether any point is armed.
 */
#define pr_fmt(fmt) "blksnap: " fmt

#include <linux/debugfs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "account.h"
#include "fault.h"

/**
 * struct fault - What a point has still to do; fault_lock.
 * @skip: Calls that pass first.
 * @times: Calls that fail then.
 */
struct fault {
	u32 skip;
	u32 times;
};

static const char *const fault_names[] = {
	[fault_map_update] = "map_update",
	[fault_write_new] = "write_new",
	[fault_tracker_new] = "tracker_new",
	[fault_tracker_prepare] = "tracker_prepare",
	[fault_area_new] = "area_new",
	[fault_image_new] = "image_new",
	[fault_freeze] = "freeze",
	[fault_region_new] = "region_new",
	[fault_buffer_get] = "buffer_get",
	[fault_buffer_large] = "buffer_large",
	[fault_id_copy] = "id_copy",
	[fault_event_copy] = "event_copy",
};

static_assert(ARRAY_SIZE(fault_names) == fault_point_end);

/* Longer than any line that makes sense. */
#define FAULT_LINE_SIZE 64

static struct fault faults[fault_point_end];
static DEFINE_SPINLOCK(fault_lock);
static struct dentry *fault_file;

bool fault_armed;

/* Is there anything to be done at any point? */
static void fault_set_armed(void)
{
	bool armed = false;
	int i;

	lockdep_assert_held(&fault_lock);
	for (i = 0; i < fault_point_end; i++)
		armed |= faults[i].times;
	WRITE_ONCE(fault_armed, armed);
}

bool fault_is_due(enum fault_point point)
{
	struct fault *fault = &faults[point];
	unsigned long flags;
	bool due = false;

	spin_lock_irqsave(&fault_lock, flags);
	if (fault->times && fault->skip) {
		fault->skip--;
	} else if (fault->times) {
		fault->times--;
		due = true;
		fault_set_armed();
	}
	spin_unlock_irqrestore(&fault_lock, flags);
	return due;
}

static void fault_arm(enum fault_point point, struct fault fault)
{
	spin_lock_irq(&fault_lock);
	faults[point] = fault;
	fault_set_armed();
	spin_unlock_irq(&fault_lock);
	pr_info("%s: fails %u times after %u\n", fault_names[point],
		fault.times, fault.skip);
}

static ssize_t fault_write(struct file *file, const char __user *buf,
			   size_t length, loff_t *pos)
{
	struct fault fault = { .times = 1 };
	char line[FAULT_LINE_SIZE], name[FAULT_LINE_SIZE];
	int point;

	if (length >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, length))
		return -EFAULT;
	line[length] = '\0';
	/* A name cannot be longer than the line it is in. */
	if (sscanf(line, "%s %u %u", name, &fault.skip, &fault.times) < 1)
		return -EINVAL;
	point = match_string(fault_names, ARRAY_SIZE(fault_names), name);
	if (point < 0)
		return -EINVAL;
	fault_arm(point, fault);
	return length;
}

static int fault_show(struct seq_file *file, void *unused)
{
	int i;

	spin_lock_irq(&fault_lock);
	for (i = 0; i < fault_point_end; i++)
		seq_printf(file, "%s %u %u\n", fault_names[i], faults[i].skip,
			   faults[i].times);
	spin_unlock_irq(&fault_lock);
	return 0;
}

static int fault_open(struct inode *inode, struct file *file)
{
	return single_open(file, fault_show, NULL);
}

static const struct file_operations fault_fops = {
	.owner = THIS_MODULE,
	.open = fault_open,
	.read = seq_read,
	.write = fault_write,
	.llseek = seq_lseek,
	.release = single_release,
};

int fault_init(void)
{
	fault_file = debugfs_create_file("fail", 0600, account_folder(), NULL,
					 &fault_fops);
	return 0;
}

void fault_done(void)
{
	debugfs_remove(fault_file);
}
