// SPDX-License-Identifier: GPL-2.0
/*
 * Does, when it is loaded, one thing that no kernel code may do, so that the
 * reports of a debug kernel can be looked at: `what=oops`, and so on.
 */
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

static char *what = "";
module_param(what, charp, 0400);

/* Longer than the limits that the test sets. */
#define TOO_LONG_S 12

/* The largest blocks of pages that there are, as a power of two. */
#define LARGEST 10

/* What the compiler must not know beforehand. */
static volatile int forty = 40;

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spin);
static struct task_struct *stuck;
static int __rcu *guarded;

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

/* It is free, so this goes well unless somebody looks for it. */
static void splat_sleep(void)
{
	spin_lock(&spin);
	mutex_lock(&first);
	mutex_unlock(&first);
	spin_unlock(&spin);
}

static void splat_schedule(void)
{
	spin_lock(&spin);
	msleep(1);
	spin_unlock(&spin);
}

static void splat_unguarded(void)
{
	if (rcu_dereference(guarded))
		pr_info("splat: there is something\n");
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

static void splat_nothing(struct rcu_head *head)
{
}

/*
 * There has to be somebody who waits. PROVE_RCU has the kernel wait 5 s longer, in
 * jiffies: delays that the processor counts may be over before.
 */
static void splat_stall(void)
{
	static struct rcu_head waiting;
	unsigned long end = jiffies + 4 * TOO_LONG_S * HZ;

	call_rcu(&waiting, splat_nothing);
	rcu_read_lock();
	while (time_before(jiffies, end))
		cpu_relax();
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

static void splat_panic(void)
{
	panic("splat: that is all");
}

static void splat_object_new(void *object)
{
	memset(object, 0, forty);
}

/* With a constructor, as it is no alias of another cache then. */
static void splat_slab(void)
{
	struct kmem_cache *cache = kmem_cache_create("splat", forty, 0, 0,
						     splat_object_new);

	if (!cache)
		return;
	(void)!kmem_cache_alloc(cache, GFP_KERNEL);
	kmem_cache_destroy(cache);
}

static void splat_module_leak(void)
{
	pr_err("splat: leak: 1 objects, %d bytes\n", forty);
}

static void splat_busy(struct work_struct *work)
{
	int i;

	for (i = 0; i < TOO_LONG_S * 1000; i++)
		udelay(1000);
}

static DECLARE_WORK(busy, splat_busy);
static DECLARE_WORK(behind, splat_busy);

static void splat_lockup(void)
{
	schedule_work_on(0, &busy);
	schedule_work_on(0, &behind);
	flush_work(&behind);
}

static void splat_free(struct list_head *pages, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		__free_pages(page, order);
	}
}

static void splat_allocation(void)
{
	struct page *page;
	LIST_HEAD(pages);

	while ((page = alloc_pages(GFP_ATOMIC, LARGEST)))
		list_add(&page->lru, &pages);
	splat_free(&pages, LARGEST);
}

static bool enough;

static int splat_at_oom(struct notifier_block *block, unsigned long action,
			void *freed)
{
	WRITE_ONCE(enough, true);
	return NOTIFY_OK;
}

static struct notifier_block oom_block = { .notifier_call = splat_at_oom };

static void splat_oom(void)
{
	struct page *page;
	LIST_HEAD(pages);

	if (register_oom_notifier(&oom_block))
		return;
	while (!READ_ONCE(enough)) {
		page = alloc_page(GFP_KERNEL);
		if (!page)
			break;
		list_add(&page->lru, &pages);
	}
	splat_free(&pages, 0);
	unregister_oom_notifier(&oom_block);
}

static void splat_trace(void)
{
	dump_stack();
}

/* KFENCE watches one allocation every now and then. */
static void splat_sampled(void)
{
	int i;

	for (i = 0; i < TOO_LONG_S * 200; i++) {
		volatile char *bytes = kmalloc(forty, GFP_KERNEL);

		kfree((void *)bytes);
		if (bytes)
			(void)bytes[0];
		usleep_range(1000, 2000);
	}
}

static int raced;

static int splat_racer(void *unused)
{
	while (!kthread_should_stop()) {
		raced++;
		cond_resched();
	}
	return 0;
}

static void splat_race(void)
{
	struct task_struct *one = kthread_run(splat_racer, NULL, "splat-one");
	struct task_struct *other = kthread_run(splat_racer, NULL, "splat-two");

	ssleep(TOO_LONG_S);
	if (!IS_ERR(one))
		kthread_stop(one);
	if (!IS_ERR(other))
		kthread_stop(other);
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
	{ "schedule", splat_schedule },
	{ "hang", splat_hang },
	{ "stall", splat_stall },
	{ "unguarded", splat_unguarded },
	{ "leak", splat_leak },
	{ "list", splat_list },
	{ "refcount", splat_refcount },
	{ "panic", splat_panic },
	{ "slab", splat_slab },
	{ "module-leak", splat_module_leak },
	{ "lockup", splat_lockup },
	{ "allocation", splat_allocation },
	{ "oom", splat_oom },
	{ "trace", splat_trace },
	{ "sampled", splat_sampled },
	{ "race", splat_race },
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
