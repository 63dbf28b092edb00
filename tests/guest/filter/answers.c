// SPDX-License-Identifier: GPL-2.0
/*
 * A filter that answers what it is told to, and a second one on the device that
 * it sends bios to. What they saw are parameters to read; what is to happen later
 * are parameters to write, none of which waits: all share one lock.
 *
 * For kernels with filters in the block layer, and for those that bdevfilter.ko
 * hooks: from 6.1 on.
 */
#include <linux/bdevfilter.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/version.h>
#include <linux/wait.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#define REPEATS 3
#define HOLD_MS 20

static char *answer = "pass";
module_param(answer, charp, 0444);
MODULE_PARM_DESC(answer,
		 "pass, repeat, skip, redirect; hold (for some time), wait (until open is written), more (submit a bio, then pass), keep (skip, and submit it later)");
static bool everything;
module_param(everything, bool, 0444);
MODULE_PARM_DESC(everything, "Reads and bios without data too");
static unsigned int keep_ms = 20;
module_param(keep_ms, uint, 0444);
static unsigned int major, minor, to_major, to_minor;
module_param(major, uint, 0444);
module_param(minor, uint, 0444);
module_param(to_major, uint, 0444);
module_param(to_minor, uint, 0444);

/* Calls; reads and bios without data among them. */
static unsigned long calls, reads, empties;
module_param(calls, ulong, 0444);
module_param(reads, ulong, 0444);
module_param(empties, ulong, 0444);
/* Calls while a list of bios was gathered; on more stack than the one before. */
static unsigned long nested, deeper;
module_param(nested, ulong, 0444);
module_param(deeper, ulong, 0444);
/* Bios of the callback's own: gathered; that changed the list; that ended. */
static unsigned long queued, strayed, ended;
module_param(queued, ulong, 0444);
module_param(strayed, ulong, 0444);
module_param(ended, ulong, 0444);
/* Bios that were kept; that came again. */
static unsigned long kept, returned;
module_param(kept, ulong, 0444);
module_param(returned, ulong, 0444);
/* Callbacks that run; that did when it was detached, and when it was released. */
static unsigned long inside, left_inside, released_inside;
module_param(inside, ulong, 0444);
module_param(left_inside, ulong, 0444);
module_param(released_inside, ulong, 0444);
/* Callbacks that began or ended after the detach; releases. */
static unsigned long late, released;
module_param(late, ulong, 0444);
module_param(released, ulong, 0444);
static unsigned long seen_by_target, target_empties;
module_param(seen_by_target, ulong, 0444);
module_param(target_empties, ulong, 0444);
/* What detaching it returned; 1: it was not, or not yet. */
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

static unsigned long count_by(unsigned long *counter, long step)
{
	unsigned long flags, count;

	spin_lock_irqsave(&count_lock, flags);
	*counter += step;
	count = *counter;
	spin_unlock_irqrestore(&count_lock, flags);
	return count;
}

static unsigned long count_up(unsigned long *counter)
{
	return count_by(counter, 1);
}

/*
 * How deep the walk of a bio is. Each callback of one walk is called from the same
 * place, so its frame is where that of the one before was. For one bio at a time.
 */
static void note_depth(const struct bio *bio, void *frame)
{
	static const struct bio *walked;
	static void *walked_at;

	if (bio == walked && frame < walked_at)
		count_up(&deeper);
	walked = bio;
	walked_at = frame;
}

/*
 * The answer "wait".
 */

static DECLARE_WAIT_QUEUE_HEAD(gate);
static bool gate_open;

static void open_gate(void)
{
	WRITE_ONCE(gate_open, true);
	wake_up_all(&gate);
}

static int open_set(const char *text, const struct kernel_param *kp)
{
	open_gate();
	return 0;
}

static const struct kernel_param_ops open_ops = { .set = open_set };
module_param_cb(open, &open_ops, NULL, 0200);

/*
 * The answer "more": a bio of the callback's own. Inside a stacked driver it is
 * only gathered, and the list of those is left alone.
 */

static atomic_t under_way = ATOMIC_INIT(0);

static void more_end_io(struct bio *bio)
{
	if (!bio->bi_status)
		count_up(&ended);
	__free_page(bio_first_page_all(bio));
	bio_put(bio);
	if (atomic_dec_and_test(&under_way))
		wake_up_var(&under_way);
}

static void submit_more(struct block_device *bdev)
{
	struct bio_list *gathered = current->bio_list;
	unsigned int before = gathered ? bio_list_size(gathered) : 0;
	struct page *page = alloc_page(GFP_NOIO);
	struct bio *bio;

	if (!page)
		return;
	bio = bio_alloc(bdev, 1, REQ_OP_READ, GFP_NOIO);
	if (!bio) {
		__free_page(page);
		return;
	}
	__bio_add_page(bio, page, PAGE_SIZE, 0);
	bio->bi_end_io = more_end_io;
	atomic_inc(&under_way);
	submit_bio_noacct(bio);
	if (current->bio_list != gathered)
		count_up(&strayed);
	if (gathered && bio_list_size(gathered) == before + 1)
		count_up(&queued);
}

/*
 * The answer "keep". A bio that is submitted again is shown again: it is known by
 * who submits it.
 */

static struct bio_list kept_bios;
static struct task_struct *returner;

static void keep_do(struct work_struct *work)
{
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&count_lock);
	bios = kept_bios;
	bio_list_init(&kept_bios);
	spin_unlock_irq(&count_lock);
	WRITE_ONCE(returner, current);
	while ((bio = bio_list_pop(&bios)))
		submit_bio_noacct(bio);
	WRITE_ONCE(returner, NULL);
}

static DECLARE_DELAYED_WORK(keep_work, keep_do);

static void keep(struct bio *bio)
{
	spin_lock_irq(&count_lock);
	bio_list_add(&kept_bios, bio);
	kept++;
	spin_unlock_irq(&count_lock);
	schedule_delayed_work(&keep_work, msecs_to_jiffies(keep_ms));
}

/*
 * The filters.
 */

static enum bdev_filter_result answer_to(struct bio *bio, unsigned long call)
{
	if (READ_ONCE(returner) == current) {
		count_up(&returned);
		return bdev_filter_pass;
	}
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
	if (!strcmp(answer, "keep")) {
		keep(bio);
		return bdev_filter_skip;
	}
	if (!strcmp(answer, "hold"))
		msleep(HOLD_MS);
	if (!strcmp(answer, "wait"))
		wait_event_idle(gate, READ_ONCE(gate_open));
	if (!strcmp(answer, "more"))
		submit_more(bio->bi_bdev);
	return bdev_filter_pass;
}

static enum bdev_filter_result answers_submit_bio(struct bio *bio,
						  struct bdev_filter *filter,
						  sector_t sector,
						  sector_t count)
{
	enum bdev_filter_result result;
	unsigned long call;

	count_up(&inside);
	call = count_up(&calls);
	if (READ_ONCE(gone))
		count_up(&late);
	if (!count)
		count_up(&empties);
	else if (bio_op(bio) == REQ_OP_READ)
		count_up(&reads);
	if (current->bio_list)
		count_up(&nested);
	note_depth(bio, __builtin_frame_address(0));
	result = answer_to(bio, call);
	/* Again, as that may have taken long. */
	if (READ_ONCE(gone))
		count_up(&late);
	count_by(&inside, -1);
	return result;
}

static enum bdev_filter_result target_submit_bio(struct bio *bio,
						 struct bdev_filter *filter,
						 sector_t sector,
						 sector_t count)
{
	note_depth(bio, __builtin_frame_address(0));
	count_up(&seen_by_target);
	if (!count)
		count_up(&target_empties);
	return bdev_filter_pass;
}

static void answers_release(struct kref *kref)
{
	released_inside = READ_ONCE(inside);
	count_up(&released);
}

static void target_release(struct kref *kref)
{
}

static struct bdev_filter_operations answers_operations = {
	.submit_bio_cb = answers_submit_bio,
	.detach_cb = answers_release,
};

static struct bdev_filter_operations target_operations = {
	.submit_bio_cb = target_submit_bio,
	.detach_cb = target_release,
};

static struct bdev_filter answers, at_target;

/* Writing to the parameter "detach" detaches; what came of it is "detached". */
static void detach_do(struct work_struct *work)
{
	int ret = bdev_filter_detach(&answers, KBUILD_MODNAME,
				     bdev_filter_alt_second);

	left_inside = READ_ONCE(inside);
	WRITE_ONCE(gone, true);
	WRITE_ONCE(detached, ret);
}

static DECLARE_WORK(detach_work, detach_do);

static int detach_set(const char *text, const struct kernel_param *kp)
{
	schedule_work(&detach_work);
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
	int ret;

	answers_operations.writes_only = !everything;
	target_operations.writes_only = !everything;
	ret = attach_target();
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
	open_gate();
	flush_work(&detach_work);
	bdev_filter_detach(&answers, KBUILD_MODNAME, bdev_filter_alt_second);
	flush_delayed_work(&keep_work);
	wait_var_event(&under_way, !atomic_read(&under_way));
	/* The last of them may still be about to leave more_end_io(). */
	synchronize_rcu();
	detach_target();
}
module_exit(answers_exit);

MODULE_DESCRIPTION("Answers of a block device filter");
MODULE_LICENSE("GPL");
