// SPDX-License-Identifier: GPL-2.0
/*
 * The writes that a filter has not seen, because they came before it, must not
 * surprise its user later: they are waited for. How depends on the driver.
 *
 * - One that works on requests: each holds the queue, and to freeze that is to
 *   wait for them.
 * - Device mapper works on bios, but can be suspended for a moment; which is to
 *   wait for all that it has been given. It may be a module.
 * - Others that work on bios (md): most count them, for the statistics of the
 *   disk. Writers are kept out while that count falls; so the place begins
 *   closed. A write from inside a driver is let through: it may be the rest of
 *   one that is being waited for. Where those never cease, the wait has an end
 *   too.
 */
#define pr_fmt(fmt) "blk-filter: " fmt

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/device-mapper.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/part_stat.h>
#include <linux/rcupdate.h>
#include <linux/wait_bit.h>

#include "../drivers/md/dm.h"
#include "blk-filter.h"

/* The longest that writers are kept waiting. */
#define BLK_FILTER_SETTLE_LIMIT (10 * HZ)
/* There must be none that often, with time between to get to the driver. */
#define BLK_FILTER_SETTLE_TIMES 2

/*
 * Device mapper.
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

/* Wait for all that it has been given. Other disks are let be. */
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

/*
 * Writes that have not ended. A moment's sum over all CPUs: that it is 0 is only
 * sure if nothing begins meanwhile.
 */
static long writes_under_way(struct gendisk *disk)
{
	struct block_device *part;
	unsigned long number;
	long sum = 0;
	int cpu;

	rcu_read_lock();
	xa_for_each(&disk->part_tbl, number, part)
		for_each_possible_cpu(cpu)
			sum += part_stat_local_read_cpu(part, in_flight[1], cpu);
	rcu_read_unlock();
	return sum;
}

static bool writes_drain(struct gendisk *disk)
{
	unsigned long end = jiffies + BLK_FILTER_SETTLE_LIMIT;
	int none = 0;

	while (none < BLK_FILTER_SETTLE_TIMES) {
		if (time_after(jiffies, end))
			return false;
		if (writes_under_way(disk)) {
			none = 0;
			usleep_range(1000, 2000);
		} else {
			none++;
			synchronize_rcu();
		}
	}
	return true;
}

/* Whether a place has to begin closed, for blk_filter_settle(). */
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

/* Wait for the writes from before the place was seen, and open it. May sleep. */
void blk_filter_settle(struct gendisk *disk, bool *closed)
{
	/* All that was on its way is in the queue, and then out of it. */
	synchronize_rcu();
	blk_mq_freeze_queue(disk->queue);
	blk_mq_unfreeze_queue(disk->queue);
	if (!*closed) {
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
