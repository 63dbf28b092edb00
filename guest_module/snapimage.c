// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshot images: the block devices that show an original as it was.
 *
 * What comes before the image is live waits; what comes after its end fails. The
 * rest is done at once if it can be, else by the image's work item.
 *
 * Context: submission in process context, inside submit_bio(), so that waiting
 * for I/O is not possible there; completion in any context.
 *
 * Locking: image->lock for the state and the lists; snapimage_lock for the table
 * of images.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-image: " fmt

#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <linux/blksnap.h>

#include "account.h"
#include "cbt_map.h"
#include "compat_bio.h"
#include "compat_disk.h"
#include "diff_area.h"
#include "fault.h"
#include "image_io.h"
#include "snapimage.h"
#include "tracker.h"

/**
 * enum snapimage_state - What happens to the I/O of an image.
 * @snapimage_waiting: It waits.
 * @snapimage_live: It is done.
 * @snapimage_dead: It fails.
 */
enum snapimage_state {
	snapimage_waiting,
	snapimage_live,
	snapimage_dead,
};

/**
 * struct snapimage - An image.
 * @disk: Its disk.
 * @area: What it shows; outlives the image.
 * @map: CBT map of the original, on which it holds a reference.
 * @minor: Its minor number.
 * @lock: Protects the three below.
 * @state: enum snapimage_state; only forward.
 * @waiting: Bios that came too early.
 * @queue: Bios for @work.
 * @work: Does what cannot be done in submission.
 */
struct snapimage {
	struct gendisk *disk;
	struct diff_area *area;
	struct cbt_map *map;
	u32 minor;
	spinlock_t lock;
	enum snapimage_state state;
	struct bio_list waiting;
	struct bio_list queue;
	struct work_struct work;
};

static DEFINE_MUTEX(snapimage_lock);
static DEFINE_XARRAY_ALLOC(snapimage_table);
static struct workqueue_struct *snapimage_queue;
static int snapimage_major_number;

/* ---- Submission ---- */

static void snapimage_do(struct snapimage *image, struct bio *bio)
{
	if (READ_ONCE(image->state) == snapimage_dead)
		image_io_fail(bio);
	else if (op_is_write(bio_op(bio)))
		image_io_write(image->area, image->map, bio);
	else
		image_io_read(image->area, bio, true);
}

static void snapimage_do_all(struct work_struct *work)
{
	struct snapimage *image = container_of(work, struct snapimage, work);
	unsigned int noio = memalloc_noio_save();
	struct bio *bio;

	for (;;) {
		spin_lock(&image->lock);
		bio = bio_list_pop(&image->queue);
		spin_unlock(&image->lock);
		if (!bio)
			break;
		snapimage_do(image, bio);
		cond_resched();
	}
	memalloc_noio_restore(noio);
}

static void snapimage_enqueue(struct snapimage *image, struct bio *bio)
{
	spin_lock(&image->lock);
	bio_list_add(&image->queue, bio);
	spin_unlock(&image->lock);
	queue_work(snapimage_queue, &image->work);
}

/* Return: what to do with it, unless it waits now. */
static enum snapimage_state snapimage_admit(struct snapimage *image,
					    struct bio *bio)
{
	enum snapimage_state state;

	spin_lock(&image->lock);
	state = image->state;
	if (state == snapimage_waiting)
		bio_list_add(&image->waiting, bio);
	spin_unlock(&image->lock);
	return state;
}

static void snapimage_submit_bio(struct bio *bio)
{
	struct snapimage *image = compat_bio_disk(bio)->private_data;
	unsigned int noio;

	if (bio_op(bio) != REQ_OP_READ && bio_op(bio) != REQ_OP_WRITE) {
		bio->bi_status = BLK_STS_NOTSUPP;
		bio_endio(bio);
		return;
	}
	switch (snapimage_admit(image, bio)) {
	case snapimage_waiting:
		return;
	case snapimage_dead:
		image_io_fail(bio);
		return;
	case snapimage_live:
		break;
	}
	noio = memalloc_noio_save();
	if (op_is_write(bio_op(bio)) ||
	    !image_io_read(image->area, bio, false))
		snapimage_enqueue(image, bio);
	memalloc_noio_restore(noio);
}

COMPAT_DEFINE_SUBMIT_BIO(snapimage_enter, snapimage_submit_bio)

static const struct block_device_operations snapimage_operations = {
	.owner = THIS_MODULE,
	.submit_bio = snapimage_enter,
};

static void snapimage_set_state(struct snapimage *image,
				enum snapimage_state state)
{
	spin_lock(&image->lock);
	if (state > image->state)
		WRITE_ONCE(image->state, state);
	bio_list_merge(&image->queue, &image->waiting);
	bio_list_init(&image->waiting);
	spin_unlock(&image->lock);
	queue_work(snapimage_queue, &image->work);
}

void snapimage_set_live(struct snapimage *image)
{
	snapimage_set_state(image, snapimage_live);
}

void snapimage_set_dead(struct snapimage *image)
{
	snapimage_set_state(image, snapimage_dead);
}

/* ---- Life ---- */

static int snapimage_make_disk(struct snapimage *image)
{
	struct gendisk *disk = compat_disk_alloc(image->area->original.bdev);

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->major = snapimage_major_number;
	disk->first_minor = image->minor;
	disk->fops = &snapimage_operations;
	disk->private_data = image;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "%s%u",
		 BLK_SNAP_IMAGE_NAME, image->minor);
	set_capacity(disk, image->area->capacity);
	image->disk = disk;

	return compat_disk_add(disk);
}

static int snapimage_register(struct snapimage *image)
{
	int ret;

	/* The lowest free number. */
	mutex_lock(&snapimage_lock);
	ret = xa_alloc(&snapimage_table, &image->minor, image,
		       XA_LIMIT(0, MINORMASK), GFP_KERNEL);
	mutex_unlock(&snapimage_lock);
	return ret == -EBUSY ? -ENOSPC : ret;
}

static void snapimage_unregister(struct snapimage *image)
{
	mutex_lock(&snapimage_lock);
	xa_erase(&snapimage_table, image->minor);
	mutex_unlock(&snapimage_lock);
}

struct snapimage *snapimage_new(struct diff_area *area, struct cbt_map *map)
{
	struct snapimage *image;
	int ret;

	if (fault_at(fault_image_new))
		return ERR_PTR(-ENOMEM);
	image = account_zalloc(account_snapimage, sizeof(*image), GFP_KERNEL);
	if (!image)
		return ERR_PTR(-ENOMEM);
	image->area = area;
	image->map = map;
	spin_lock_init(&image->lock);
	bio_list_init(&image->waiting);
	bio_list_init(&image->queue);
	INIT_WORK(&image->work, snapimage_do_all);

	ret = snapimage_register(image);
	if (ret)
		goto out_free;
	ret = snapimage_make_disk(image);
	if (ret)
		goto out_unregister;
	cbt_map_get(map);
	return image;

out_unregister:
	snapimage_unregister(image);
out_free:
	account_free(account_snapimage, image, sizeof(*image));
	return ERR_PTR(ret);
}

void snapimage_free(struct snapimage *image)
{
	/* Syncs a file system that is mounted: its writes fail by now. */
	compat_disk_del(image->disk);
	/* No bio can come any more; those that came are failed by the work. */
	flush_work(&image->work);
	compat_disk_free(image->disk);
	snapimage_unregister(image);
	cbt_map_put(image->map);
	account_free(account_snapimage, image, sizeof(*image));
}

dev_t snapimage_dev(const struct snapimage *image)
{
	return MKDEV(snapimage_major_number, image->minor);
}

unsigned int snapimage_major(void)
{
	return snapimage_major_number;
}

/* ---- Marking ---- */

int snapimage_mark_dirty(u32 minor, const struct blk_snap_block_range *ranges,
			 u32 count)
{
	struct snapimage *image;
	struct cbt_map *map = NULL;
	int ret;

	mutex_lock(&snapimage_lock);
	image = xa_load(&snapimage_table, minor);
	if (image && READ_ONCE(image->state) == snapimage_live) {
		map = image->map;
		cbt_map_get(map);
	}
	mutex_unlock(&snapimage_lock);
	if (!map)
		return -ENODEV;
	/* It may take long: takes and destroys do not wait for it. */
	ret = tracker_mark_map(map, ranges, count);
	cbt_map_put(map);
	return ret;
}

/* ---- The module's part ---- */

int snapimage_init(void)
{
	int ret;

	snapimage_queue = alloc_workqueue("blksnap-image",
					  WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!snapimage_queue)
		return -ENOMEM;
	ret = image_io_init();
	if (ret)
		goto out_queue;
	ret = register_blkdev(0, BLK_SNAP_IMAGE_NAME);
	if (ret < 0)
		goto out_io;
	snapimage_major_number = ret;
	pr_info("major number of images is %d\n", ret);
	return 0;

out_io:
	image_io_done();
out_queue:
	destroy_workqueue(snapimage_queue);
	return ret;
}

void snapimage_done(void)
{
	unregister_blkdev(snapimage_major_number, BLK_SNAP_IMAGE_NAME);
	image_io_done();
	destroy_workqueue(snapimage_queue);
	WARN_ON(!xa_empty(&snapimage_table));
}
