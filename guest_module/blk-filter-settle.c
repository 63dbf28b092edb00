// SPDX-License-Identifier: GPL-2.0
/*
 * The writes that a filter has not seen, because they came before it, must not
 * surprise its user later: they are waited for. How depends on the driver of the
 * disk.
 *
 * - One that works on requests, request-based device mapper (multipath) too: each
 *   holds the queue, and to freeze that is to wait for them.
 * - Device mapper works on bios, but can be suspended for a moment; which is to
 *   wait for all that it has been given. It may be a module.
 * - Others that work on bios (md): most count them, for the statistics of the
 *   disk. Writers are kept out while that count falls; so the place begins
 *   closed. A write from inside a driver is let through: it may be the rest of
 *   one that is being waited for. Where those never cease, the wait has an end
 *   too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/wait_bit.h>

#include "blk-filter-disk.h"
#include "blk-filter-settle.h"

/* The longest that writers are kept waiting. */
#define BLK_FILTER_SETTLE_LIMIT (10 * HZ)
/* There must be none that often, with time between to get to the driver. */
#define BLK_FILTER_SETTLE_TIMES 2

/*
 * Device mapper. What it exports is asked for at the moment of use, and is not
 * there if it is a module that is not loaded.
 */

/* The device of a disk, to be given back with mapped_put(); NULL: none. */
static struct mapped_device *mapped_get(struct gendisk *disk)
{
	typeof(dm_get_md) *get = symbol_get(dm_get_md);
	struct mapped_device *md;

	if (!get)
		return NULL;
	md = get(disk_devt(disk));
	if (!md)
		symbol_put(dm_get_md);
	return md;
}

static void mapped_put(struct mapped_device *md)
{
	typeof(dm_put) *put = symbol_get(dm_put);

	if (put) {
		put(md);
		symbol_put(dm_put);
	}
	symbol_put(dm_get_md);
}

/*
 * Wait for all that it has been given; other disks are let be. Meanwhile it takes
 * nothing new. Without a limit, as a frozen queue.
 */
static void mapped_drain(struct gendisk *disk)
{
	struct mapped_device *md = mapped_get(disk);
	typeof(dm_internal_suspend_fast) *suspend;
	typeof(dm_internal_resume_fast) *resume;

	if (!md)
		return;
	suspend = symbol_get(dm_internal_suspend_fast);
	resume = symbol_get(dm_internal_resume_fast);
	if (suspend && resume) {
		suspend(md);
		resume(md);
	}
	if (resume)
		symbol_put(dm_internal_resume_fast);
	if (suspend)
		symbol_put(dm_internal_suspend_fast);
	mapped_put(md);
}

/*
 * Drivers that count.
 */

static bool writes_drain(struct gendisk *disk)
{
	unsigned long end = jiffies + BLK_FILTER_SETTLE_LIMIT;
	int none = 0;

	while (none < BLK_FILTER_SETTLE_TIMES) {
		if (time_after(jiffies, end))
			return false;
		if (blk_filter_writes_under_way(disk)) {
			none = 0;
			usleep_range(1000, 2000);
		} else {
			none++;
			synchronize_rcu();
		}
	}
	return true;
}

/*
 * The interface.
 */

bool blk_filter_must_close(struct gendisk *disk)
{
	struct mapped_device *md;

	if (queue_is_mq(disk->queue))
		return false;
	md = mapped_get(disk);
	if (md)
		mapped_put(md);
	return !md;
}

void blk_filter_settle(struct gendisk *disk, bool *closed)
{
	/* All that was on its way is in the queue, and then out of it. */
	synchronize_rcu();
	blk_filter_drain_queue(disk->queue);
	if (!*closed) {
		/* With requests it would wait for a moment without any. */
		if (!queue_is_mq(disk->queue))
			mapped_drain(disk);
		return;
	}
	if (!writes_drain(disk))
		pr_info("%s is never without writes: those from before may be under way\n",
			disk->disk_name);
	WRITE_ONCE(*closed, false);
	/* Seen before the look for who waits. */
	smp_mb();
	wake_up_var(closed);
}

bool blk_filter_enter(bool *closed, struct bio *bio)
{
	/* A bio from inside a driver may be a part of one that is waited for. */
	if (likely(!READ_ONCE(*closed)) || current->bio_list)
		return true;
	if (bio->bi_opf & REQ_NOWAIT) {
		bio_wouldblock_error(bio);
		return false;
	}
	wait_var_event(closed, !READ_ONCE(*closed));
	return true;
}
