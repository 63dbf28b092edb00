// SPDX-License-Identifier: GPL-2.0
/*
 * A device-mapper target that can do a secure erase: the device below, which need
 * not be able to do that; what is erased is overwritten with zeros there.
 *
 * Table: START LENGTH erasable DEVICE
 *
 * Context: as any target.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/module.h>

/* Sectors of one erase: 4 MiB. */
#define ERASABLE_MOST 8192

static int erasable_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_dev *dev;
	int ret;

	if (argc != 1) {
		ti->error = "needs a device, and nothing else";
		return -EINVAL;
	}
	ret = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &dev);
	if (ret) {
		ti->error = "cannot open the device";
		return ret;
	}
	ti->private = dev;
	ti->num_flush_bios = 1;
	ti->num_secure_erase_bios = 1;
	return 0;
}

static void erasable_dtr(struct dm_target *ti)
{
	dm_put_device(ti, ti->private);
}

static int erasable_map(struct dm_target *ti, struct bio *bio)
{
	const struct dm_dev *dev = ti->private;

	bio_set_dev(bio, dev->bdev);
	if (bio_op(bio) == REQ_OP_SECURE_ERASE) {
		bio->bi_opf &= ~REQ_OP_MASK;
		bio->bi_opf |= REQ_OP_WRITE_ZEROES;
	}
	return DM_MAPIO_REMAPPED;
}

/*
 * Nobody is to ask the device below what it can do. Without this function device
 * mapper takes the target for one that cannot erase.
 */
static int erasable_iterate_devices(struct dm_target *ti,
				    iterate_devices_callout_fn fn, void *data)
{
	return 0;
}

static void erasable_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	limits->max_secure_erase_sectors = ERASABLE_MOST;
}

static struct target_type erasable_target = {
	.name = "erasable",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = erasable_ctr,
	.dtr = erasable_dtr,
	.map = erasable_map,
	.iterate_devices = erasable_iterate_devices,
	.io_hints = erasable_io_hints,
};

static int __init erasable_init(void)
{
	return dm_register_target(&erasable_target);
}
module_init(erasable_init);

static void __exit erasable_exit(void)
{
	dm_unregister_target(&erasable_target);
}
module_exit(erasable_exit);

MODULE_DESCRIPTION("Device-mapper target with secure erase");
MODULE_LICENSE("GPL");
