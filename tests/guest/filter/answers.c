// SPDX-License-Identifier: GPL-2.0
/*
 * A filter that answers what it is told to, and a second one on the device that
 * it sends bios to. What they saw are parameters to read.
 *
 * For kernels with filters in the block layer: ours are 6.1 and 6.12.
 */
#include <linux/bdevfilter.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/version.h>

#define REPEATS 3
#define HOLD_MS 20

static char *answer = "pass";
module_param(answer, charp, 0444);
MODULE_PARM_DESC(answer, "pass, repeat, skip, redirect or hold");
static unsigned int major, minor, to_major, to_minor;
module_param(major, uint, 0444);
module_param(minor, uint, 0444);
module_param(to_major, uint, 0444);
module_param(to_minor, uint, 0444);

/* Calls; calls while a list of bios was gathered; after the detach; releases. */
static unsigned long calls, nested, late, released, seen_by_target;
module_param(calls, ulong, 0444);
module_param(nested, ulong, 0444);
module_param(late, ulong, 0444);
module_param(released, ulong, 0444);
module_param(seen_by_target, ulong, 0444);
static int detached = 1;
module_param(detached, int, 0444);

/* A device that is open. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 9, 0)
static struct file *answers_open(dev_t dev)
{
	return bdev_file_open_by_dev(dev, BLK_OPEN_READ, NULL, NULL);
}

static struct block_device *answers_bdev(struct file *opened)
{
	return file_bdev(opened);
}

static void answers_close(struct file *opened)
{
	bdev_fput(opened);
}

static struct file *target;
#else
static struct block_device *answers_open(dev_t dev)
{
	return blkdev_get_by_dev(dev, FMODE_READ, NULL);
}

static struct block_device *answers_bdev(struct block_device *opened)
{
	return opened;
}

static void answers_close(struct block_device *opened)
{
	blkdev_put(opened, FMODE_READ);
}

static struct block_device *target;
#endif

static bool gone;
static DEFINE_SPINLOCK(count_lock);

static unsigned long count_up(unsigned long *counter)
{
	unsigned long flags, count;

	spin_lock_irqsave(&count_lock, flags);
	count = ++*counter;
	spin_unlock_irqrestore(&count_lock, flags);
	return count;
}

static enum bdev_filter_result answers_submit_bio(struct bio *bio,
						  struct bdev_filter *filter,
						  sector_t sector,
						  sector_t count)
{
	unsigned long call = count_up(&calls);
	struct bio_list *before = current->bio_list;

	if (READ_ONCE(gone))
		count_up(&late);
	if (before)
		count_up(&nested);
	if (!strcmp(answer, "repeat") && call % REPEATS)
		return bdev_filter_repeat;
	if (!strcmp(answer, "skip")) {
		bio->bi_status = BLK_STS_NOSPC;
		bio_endio(bio);
		return bdev_filter_skip;
	}
	if (!strcmp(answer, "redirect")) {
		bio_set_dev(bio, answers_bdev(target));
		return bdev_filter_redirect;
	}
	if (!strcmp(answer, "hold"))
		msleep(HOLD_MS);
	return bdev_filter_pass;
}

static enum bdev_filter_result target_submit_bio(struct bio *bio,
						 struct bdev_filter *filter,
						 sector_t sector,
						 sector_t count)
{
	count_up(&seen_by_target);
	return bdev_filter_pass;
}

static void answers_release(struct kref *kref)
{
	count_up(&released);
}

static const struct bdev_filter_operations answers_operations = {
	.submit_bio_cb = answers_submit_bio,
	.detach_cb = answers_release,
	.writes_only = true,
};

static const struct bdev_filter_operations target_operations = {
	.submit_bio_cb = target_submit_bio,
	.detach_cb = answers_release,
	.writes_only = true,
};

static struct bdev_filter answers, at_target;

/* Writing to the parameter "detach" detaches; what came of it is "detached". */
static int detach_set(const char *text, const struct kernel_param *kp)
{
	detached = bdev_filter_detach(&answers, KBUILD_MODNAME,
				      bdev_filter_alt_second);
	WRITE_ONCE(gone, true);
	return 0;
}

static const struct kernel_param_ops detach_ops = { .set = detach_set };
module_param_cb(detach, &detach_ops, NULL, 0200);

static int attach_target(void)
{
	int ret;

	if (!to_major)
		return 0;
	target = answers_open(MKDEV(to_major, to_minor));
	if (IS_ERR(target))
		return PTR_ERR(target);
	bdev_filter_init(&at_target, &target_operations);
	ret = bdev_filter_attach(answers_bdev(target), KBUILD_MODNAME,
				 bdev_filter_alt_second, &at_target);
	if (ret)
		answers_close(target);
	return ret;
}

static void detach_target(void)
{
	if (!to_major)
		return;
	bdev_filter_detach(&at_target, KBUILD_MODNAME, bdev_filter_alt_second);
	answers_close(target);
}

static int attach(void)
{
	typeof(target) opened = answers_open(MKDEV(major, minor));
	int ret;

	if (IS_ERR(opened))
		return PTR_ERR(opened);
	bdev_filter_init(&answers, &answers_operations);
	ret = bdev_filter_attach(answers_bdev(opened), KBUILD_MODNAME,
				 bdev_filter_alt_second, &answers);
	answers_close(opened);
	return ret;
}

static int __init answers_init(void)
{
	int ret = attach_target();

	if (ret)
		return ret;
	ret = attach();
	if (ret)
		detach_target();
	return ret;
}
module_init(answers_init);

static void __exit answers_exit(void)
{
	bdev_filter_detach(&answers, KBUILD_MODNAME, bdev_filter_alt_second);
	detach_target();
}
module_exit(answers_exit);

MODULE_DESCRIPTION("Answers of a block device filter");
MODULE_LICENSE("GPL");
