// SPDX-License-Identifier: GPL-2.0
/*
 * The writes that a filter has not seen, because they came before it, must not
 * surprise its user later: they are waited for. How depends on the driver.
 *
 * - One that works on requests: each holds the queue, and to freeze that is to
 *   wait for them.
 * - Device mapper works on bios, but can be suspended for a moment; which is to
 *   wait for all that it has been given.
 * - Others that work on bios (md): most count them, for the statistics of the
 *   disk. Writers are kept out while that count falls; so the place begins
 *   closed. A write from inside a driver is let through: it may be the rest of
 *   one that is being waited for. Where those never cease, the wait has an end
 *   too.
 */
#define pr_fmt(fmt) "bdevfilter: " fmt

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/wait_bit.h>

#include "compat_filter.h"
#include "compat_mapper.h"
#include "filter_registry.h"
#include "filter_settle.h"

/* The longest that writers are kept waiting. */
#define FILTER_SETTLE_LIMIT (10 * HZ)
/* There must be none that often, with time between to get to the driver. */
#define FILTER_SETTLE_TIMES 2

static bool filter_settle_count(struct block_device *bdev)
{
	unsigned long end = jiffies + FILTER_SETTLE_LIMIT;
	int none = 0;

	while (none < FILTER_SETTLE_TIMES) {
		if (time_after(jiffies, end))
			return false;
		if (compat_writes_under_way(bdev)) {
			none = 0;
			usleep_range(1000, 2000);
		} else {
			none++;
			synchronize_rcu();
		}
	}
	return true;
}

static void filter_place_open(struct filter_place *place)
{
	WRITE_ONCE(place->closed, false);
	/* Seen before the look for who waits. */
	smp_mb();
	wake_up_var(&place->closed);
}

bool filter_must_close(struct block_device *bdev)
{
	return !queue_is_mq(bdev_get_queue(bdev)) &&
	       !compat_mapper_is(bdev->bd_disk);
}

void filter_settle(struct filter_place *place)
{
	struct block_device *bdev = place->bdev;

	/* All that was on its way is in the queue, and then out of it. */
	synchronize_rcu();
	compat_queue_drain(bdev_get_queue(bdev));
	if (place->closed) {
		if (!filter_settle_count(bdev))
			pr_info("%pg is never without writes: those from before may be under way\n",
				bdev);
		filter_place_open(place);
	} else {
		compat_mapper_drain(bdev->bd_disk);
	}
}
