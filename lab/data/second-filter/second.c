// SPDX-License-Identifier: GPL-2.0
/*
 * Another user of the block device filter: counts the writes to a device, and
 * changes nothing. Loaded with the device and the altitude; what it has seen, and
 * whether there was a filter at the other altitude when it came, are parameters to
 * read.
 *
 * Context: counting in the submitter's context.
 */
#include <linux/bdevfilter.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat_bdev.h"

static unsigned int major, minor;
module_param(major, uint, 0444);
module_param(minor, uint, 0444);
static int altitude = bdev_filter_alt_second;
module_param(altitude, int, 0444);

static DEFINE_SPINLOCK(second_lock);
static unsigned long bios, sectors;
module_param(bios, ulong, 0444);
module_param(sectors, ulong, 0444);
static bool met;
module_param(met, bool, 0444);

static enum bdev_filter_result second_submit_bio(struct bio *bio,
						 struct bdev_filter *filter,
						 sector_t sector, sector_t count)
{
	unsigned long flags;

	spin_lock_irqsave(&second_lock, flags);
	bios++;
	sectors += count;
	spin_unlock_irqrestore(&second_lock, flags);
	return bdev_filter_pass;
}

static void second_free(struct kref *kref)
{
	kfree(container_of(kref, struct bdev_filter, kref));
}

static const struct bdev_filter_operations second_operations = {
	.submit_bio_cb = second_submit_bio,
	.detach_cb = second_free,
	.writes_only = true,
};

static struct bdev_filter *second;

static bool second_meets(struct block_device *bdev)
{
	enum bdev_filter_altitudes place =
		altitude == bdev_filter_alt_blksnap ? bdev_filter_alt_second :
						      bdev_filter_alt_blksnap;
	struct bdev_filter *other = bdev_filter_get_by_altitude(bdev, place);

	bdev_filter_put(other);
	return other;
}

static int __init second_init(void)
{
	struct compat_bdev opened;
	int ret;

	ret = compat_bdev_open(&opened, MKDEV(major, minor));
	if (ret)
		return ret;
	met = second_meets(opened.bdev);
	ret = -ENOMEM;
	second = kzalloc(sizeof(*second), GFP_KERNEL);
	if (!second)
		goto out_close;
	bdev_filter_init(second, &second_operations);
	ret = bdev_filter_attach(opened.bdev, KBUILD_MODNAME, altitude, second);
	if (ret)
		bdev_filter_put(second);
out_close:
	compat_bdev_close(&opened);
	return ret;
}
module_init(second_init);

static void __exit second_exit(void)
{
	bdev_filter_detach(second, KBUILD_MODNAME, altitude);
}
module_exit(second_exit);

MODULE_DESCRIPTION("Another user of the block device filter");
MODULE_LICENSE("GPL");
