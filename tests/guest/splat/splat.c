// SPDX-License-Identifier: GPL-2.0
/*
 * Does, when it is loaded, one thing that no kernel code may do, so that the
 * reports of a debug kernel can be looked at: `what=oops`, and so on.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *what = "";
module_param(what, charp, 0400);

/* Longer than the limits that the test sets. */
#define TOO_LONG_S 12

/* What the compiler must not know beforehand. */
static volatile int forty = 40;

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static struct task_struct *stuck;

static void splat_warning(void)
{
	WARN(1, "splat: a warning\n");
}

static int splat_null(void *unused)
{
	/* Not in C: KASAN would see it first. */
	asm volatile("movl $1, 0" ::: "memory");
	return 0;
}

static int splat_bug(void *unused)
{
	BUG();
	return 0;
}

static void splat_oops(void)
{
	kthread_run(splat_null, NULL, "splat-null");
	msleep(1000);
}

static void splat_bug_on(void)
{
	kthread_run(splat_bug, NULL, "splat-bug");
	msleep(1000);
}

static void splat_out_of_bounds(void)
{
	volatile char *bytes = kmalloc(forty, GFP_KERNEL);

	if (bytes)
		bytes[forty] = 1;
	kfree((void *)bytes);
}

static void splat_after_free(void)
{
	volatile char *bytes = kmalloc(forty, GFP_KERNEL);

	kfree((void *)bytes);
	if (bytes)
		bytes[0] = 1;
}

static void splat_shift(void)
{
	pr_info("splat: %d\n", 1 << forty);
}

static void splat_inversion(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void splat_sleep(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static int splat_wait(void *unused)
{
	mutex_lock(&second);
	mutex_unlock(&second);
	while (!kthread_should_stop())
		msleep(100);
	return 0;
}

static void splat_hang(void)
{
	mutex_lock(&second);
	stuck = kthread_run(splat_wait, NULL, "splat-wait");
	ssleep(2 * TOO_LONG_S);
	mutex_unlock(&second);
	if (!IS_ERR(stuck))
		kthread_stop(stuck);
}

static void splat_stall(void)
{
	int i;

	rcu_read_lock();
	for (i = 0; i < TOO_LONG_S * 1000; i++)
		udelay(1000);
	rcu_read_unlock();
}

static void splat_leak(void)
{
	int i;

	/* Several, because a pointer may be left in some register or stack. */
	for (i = 0; i < 10; i++)
		(void)!kmalloc(forty, GFP_KERNEL);
}

static void splat_list(void)
{
	LIST_HEAD(list);
	struct list_head one;

	list_add(&one, &list);
	one.prev = &one;
	list_del(&one);
}

static void splat_refcount(void)
{
	refcount_t count = REFCOUNT_INIT(0);

	refcount_inc(&count);
}

static const struct {
	const char *name;
	void (*does)(void);
} splats[] = {
	{ "warning", splat_warning },
	{ "oops", splat_oops },
	{ "bug", splat_bug_on },
	{ "out-of-bounds", splat_out_of_bounds },
	{ "after-free", splat_after_free },
	{ "shift", splat_shift },
	{ "inversion", splat_inversion },
	{ "sleep", splat_sleep },
	{ "hang", splat_hang },
	{ "stall", splat_stall },
	{ "leak", splat_leak },
	{ "list", splat_list },
	{ "refcount", splat_refcount },
};

static int __init splat_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(splats); i++) {
		if (strcmp(splats[i].name, what) == 0) {
			splats[i].does();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit splat_exit(void)
{
}

module_init(splat_init);
module_exit(splat_exit);
MODULE_DESCRIPTION("Mistakes on request");
MODULE_LICENSE("GPL");
