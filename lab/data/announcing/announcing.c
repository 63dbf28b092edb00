// SPDX-License-Identifier: GPL-2.0
/*
 * Device-mapper targets that announce what the device below need not be able to do.
 *
 * secure_erase  what is erased is overwritten with zeros there
 * dax           no memory is ever given out
 * encryption    any cipher, inline; no bio with a key is sent to it
 *
 * Table: START LENGTH NAME DEVICE
 *
 * Context: as any target.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/version.h>

/* Sectors of one erase: 4 MiB. */
#define ANNOUNCING_MOST 8192

/* 6.17 took the type of its own from page frame numbers. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 17, 0)
#define ANNOUNCING_PFN unsigned long
#else
#define ANNOUNCING_PFN pfn_t
#endif

static int announcing_ctr(struct dm_target *ti, unsigned int argc, char **argv)
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

static void announcing_dtr(struct dm_target *ti)
{
	dm_put_device(ti, ti->private);
}

static int announcing_map(struct dm_target *ti, struct bio *bio)
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
 * mapper takes a target for one that can do nothing of all this.
 */
static int announcing_iterate_devices(struct dm_target *ti,
				      iterate_devices_callout_fn fn, void *data)
{
	return 0;
}

static void announcing_erase_hints(struct dm_target *ti,
				   struct queue_limits *limits)
{
	limits->max_secure_erase_sectors = ANNOUNCING_MOST;
}

/* That it is there makes the disk one with DAX. */
static long announcing_direct_access(struct dm_target *ti, pgoff_t pgoff,
				     long nr_pages, enum dax_access_mode mode,
				     void **kaddr, ANNOUNCING_PFN *pfn)
{
	return -EOPNOTSUPP;
}

#define ANNOUNCING_TYPE(what)				\
	.name = what,					\
	.version = { 1, 0, 0 },				\
	.module = THIS_MODULE,				\
	.ctr = announcing_ctr,				\
	.dtr = announcing_dtr,				\
	.map = announcing_map,				\
	.iterate_devices = announcing_iterate_devices

static struct target_type announcing_types[] = {
	{
		ANNOUNCING_TYPE("secure_erase"),
		.io_hints = announcing_erase_hints,
	},
	{
		ANNOUNCING_TYPE("dax"),
		.direct_access = announcing_direct_access,
	},
	{
		/* Device mapper makes a profile of what all devices below can do. */
		ANNOUNCING_TYPE("encryption"),
		.features = DM_TARGET_PASSES_CRYPTO,
	},
};

static void announcing_unregister(unsigned int count)
{
	while (count--)
		dm_unregister_target(&announcing_types[count]);
}

static int __init announcing_init(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(announcing_types); i++) {
		ret = dm_register_target(&announcing_types[i]);
		if (ret) {
			announcing_unregister(i);
			return ret;
		}
	}
	return 0;
}
module_init(announcing_init);

static void __exit announcing_exit(void)
{
	announcing_unregister(ARRAY_SIZE(announcing_types));
}
module_exit(announcing_exit);

MODULE_DESCRIPTION("Device-mapper targets that announce what they cannot do");
MODULE_LICENSE("GPL");
