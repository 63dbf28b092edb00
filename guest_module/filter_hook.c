// SPDX-License-Identifier: GPL-2.0
/*
 * The hook: block device filters for a kernel that has none.
 *
 * Every bio that is submitted goes through submit_bio_noacct(). An ftrace
 * callback there looks whether a filter might want the bio, and only if so
 * makes the call go on in hook_submit_bio() instead, which shows the bio to the
 * filters and then calls the real function. To other bios the hook costs the
 * look, and no stack.
 *
 *	submit_bio()
 *	  submit_bio_noacct()		callback: wanted -> continue in
 *	    hook_submit_bio()		filters run, may sleep
 *	      submit_bio_noacct()	callback: called from here -> let be
 *
 * The call from here is told by its return address. So it has to be a call,
 * never a jump: this file is compiled without sibling calls.
 *
 * The callback needs no protection from recursion, because nothing in it can
 * submit a bio - and must not have it: what that refuses would be lost.
 * FTRACE_OPS_FL_PERMANENT, because the sysctl kernel.ftrace_enabled must not
 * silently take the hook away.
 *
 * The setting of a disk's size is only looked at: a size that comes back to what
 * it was is not what it was.
 *
 * Until 6.3 a few drivers of memory-like disks offer rw_page, a way for pages
 * that goes around bios. On a filtered disk it is closed: bdev_write_page() says
 * that there is no such thing, and its callers make a bio.
 *
 * Unloading, also under I/O: the callback counts each task that it sends into
 * hook_submit_bio(). When ftrace has let go of the functions, the count can only
 * fall; at zero, all that may be left are tasks on their last instructions of
 * this module, or preempted there, which is what synchronize_rcu_tasks() is for.
 */
#define pr_fmt(fmt) "bdevfilter: " fmt

#include <linux/bdevfilter.h>
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "compat_bio.h"
#include "compat_filter.h"
#include "filter_registry.h"
#include "filter_walk.h"

/* Tasks in hook_submit_bio(); only the sum over all CPUs means anything. */
static DEFINE_PER_CPU(long, hook_tasks);

static blk_qc_t notrace hook_submit_bio(struct bio *bio)
{
	blk_qc_t cookie = BLK_QC_T_NONE;

	if (filter_run(bio))
		cookie = compat_submit_bio_noacct(bio);
	this_cpu_dec(hook_tasks);
	return cookie;
}

static void notrace hook_on_submit(unsigned long ip, unsigned long parent_ip,
				   struct ftrace_ops *ops,
				   COMPAT_FTRACE_REGS *regs)
{
	struct bio *bio = (struct bio *)compat_ftrace_argument(regs, 0);

	if (!filter_wants_bio(bio) || within_module(parent_ip, THIS_MODULE))
		return;
	this_cpu_inc(hook_tasks);
	compat_ftrace_go_on_at(regs, (unsigned long)hook_submit_bio);
}

static struct ftrace_ops hook_submit_ops = {
	.func = hook_on_submit,
	.flags = COMPAT_FTRACE_FLAGS | FTRACE_OPS_FL_IPMODIFY |
		 FTRACE_OPS_FL_PERMANENT,
};

static void notrace hook_on_resize(unsigned long ip, unsigned long parent_ip,
				   struct ftrace_ops *ops,
				   COMPAT_FTRACE_REGS *regs)
{
	filter_note_capacity((struct gendisk *)compat_ftrace_argument(regs, 0),
			     compat_ftrace_argument(regs, 1));
}

#ifdef COMPAT_HAVE_SET_CAPACITY
static struct ftrace_ops hook_capacity_ops = {
	.func = hook_on_resize,
	.flags = COMPAT_FTRACE_FLAGS | FTRACE_OPS_FL_PERMANENT,
};
#else
static void notrace hook_on_revalidate(unsigned long ip,
				       unsigned long parent_ip,
				       struct ftrace_ops *ops,
				       COMPAT_FTRACE_REGS *regs)
{
	struct gendisk *disk = (struct gendisk *)compat_ftrace_argument(regs, 0);

	filter_note_capacity(disk, get_capacity(disk));
}

static void notrace hook_on_bdev_size(unsigned long ip, unsigned long parent_ip,
				      struct ftrace_ops *ops,
				      COMPAT_FTRACE_REGS *regs)
{
	struct block_device *bdev =
		(struct block_device *)compat_ftrace_argument(regs, 0);

	if (!bdev_is_partition(bdev))
		filter_note_capacity(bdev->bd_disk,
				     compat_ftrace_argument(regs, 1));
}

static struct ftrace_ops hook_revalidate_ops = {
	.func = hook_on_revalidate,
	.flags = COMPAT_FTRACE_FLAGS | FTRACE_OPS_FL_PERMANENT,
};

static struct ftrace_ops hook_bdev_size_ops = {
	.func = hook_on_bdev_size,
	.flags = COMPAT_FTRACE_FLAGS | FTRACE_OPS_FL_PERMANENT,
};
#endif

static struct ftrace_ops hook_capacity_notify_ops = {
	.func = hook_on_resize,
	.flags = COMPAT_FTRACE_FLAGS | FTRACE_OPS_FL_PERMANENT,
};

#ifdef COMPAT_HAVE_RW_PAGE
static int notrace hook_write_page(struct block_device *bdev, sector_t sector,
				   struct page *page,
				   struct writeback_control *wbc)
{
	return -EOPNOTSUPP;
}

static void notrace hook_on_write_page(unsigned long ip,
				       unsigned long parent_ip,
				       struct ftrace_ops *ops,
				       COMPAT_FTRACE_REGS *regs)
{
	const struct block_device *bdev =
		(struct block_device *)compat_ftrace_argument(regs, 0);

	if (filter_on_disk(bdev))
		compat_ftrace_go_on_at(regs, (unsigned long)hook_write_page);
}

static struct ftrace_ops hook_write_page_ops = {
	.func = hook_on_write_page,
	.flags = COMPAT_FTRACE_FLAGS | FTRACE_OPS_FL_IPMODIFY |
		 FTRACE_OPS_FL_PERMANENT,
};
#endif

/**
 * struct hook - A function that is hooked.
 * @name: Its name.
 * @address: Its address; 0 if it is not exported, and looked for by its name.
 * @ops: The hook.
 */
struct hook {
	char name[32];
	unsigned long address;
	struct ftrace_ops *ops;
};

/* Not const: ftrace parses names in place. */
static struct hook hooks[] = {
	{ "submit_bio_noacct", (unsigned long)submit_bio_noacct,
	  &hook_submit_ops },
#ifdef COMPAT_HAVE_SET_CAPACITY
	{ "set_capacity", (unsigned long)set_capacity, &hook_capacity_ops },
#else
	{ "revalidate_disk_size", (unsigned long)revalidate_disk_size,
	  &hook_revalidate_ops },
	{ "bd_set_nr_sectors", (unsigned long)bd_set_nr_sectors,
	  &hook_bdev_size_ops },
#endif
	{ "set_capacity_and_notify", (unsigned long)compat_set_capacity_notify,
	  &hook_capacity_notify_ops },
#ifdef COMPAT_HAVE_RW_PAGE
	{ "bdev_write_page", 0, &hook_write_page_ops },
#endif
};

static int hook_find(struct hook *hook)
{
	if (hook->address)
		return ftrace_set_filter_ip(hook->ops, hook->address, 0, 1);
	return ftrace_set_filter(hook->ops, hook->name, strlen(hook->name), 1);
}

static int hook_install(struct hook *hook)
{
	int ret = hook_find(hook);

	if (!ret)
		ret = register_ftrace_function(hook->ops);
	if (ret) {
		compat_ftrace_forget(hook->ops);
		pr_err("cannot hook %s: error %d%s\n", hook->name, ret,
		       ret == -EBUSY ? ": in use, or ftrace is disabled" : "");
	}
	return ret;
}

static void hook_remove(struct hook *hook)
{
	int ret = unregister_ftrace_function(hook->ops);

	WARN(ret, "bdevfilter: cannot unhook %s: error %d\n", hook->name, ret);
	compat_ftrace_forget(hook->ops);
}

static long hook_tasks_sum(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(hook_tasks, cpu));
	return sum;
}

static void hooks_quiesce(void)
{
	while (hook_tasks_sum())
		msleep(20);
	synchronize_rcu_tasks();
	synchronize_rcu();
}

static int __init bdevfilter_init(void)
{
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		ret = hook_install(&hooks[i]);
		if (ret)
			goto remove;
	}
	pr_info("bio submission is hooked\n");
	return 0;
remove:
	while (i--)
		hook_remove(&hooks[i]);
	hooks_quiesce();
	return ret;
}

static void __exit bdevfilter_exit(void)
{
	size_t i;

	for (i = ARRAY_SIZE(hooks); i--;)
		hook_remove(&hooks[i]);
	hooks_quiesce();
	filter_registry_done();
	pr_info("bio submission is as it was\n");
}

module_init(bdevfilter_init);
module_exit(bdevfilter_exit);

MODULE_DESCRIPTION("Block device filters by a hook of bio submission");
MODULE_VERSION("1.0.0.0");
MODULE_LICENSE("GPL");
