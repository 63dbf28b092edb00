// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshot images: the block devices that show an original as it was.
 *
 * A read is cut at the borders of chunks. Each piece goes, as a clone, to where
 * the data is: the original, the storage; or is copied from a buffer. Nothing is
 * cached, any number of reads run side by side, in their submitters' contexts.
 *
 * A write first has its chunks copied to the storage, which waits; so a work item
 * does it. Then it is written there in place. The same work item does what has
 * waited for the image to become live, and reads from a storage whose blocks are
 * larger than the image's.
 *
 * Reads from the original check, after their end, that the area is not spoiled:
 * only then it is sure that no writer has overtaken them.
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
#include "chunk.h"
#include "diff_area.h"
#include "fault.h"
#include "snapimage.h"

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

/**
 * struct snapimage_piece - The part of a bio that lies in one chunk.
 * @number: The chunk.
 * @first: First sector, from the start of the chunk.
 * @count: Number of sectors.
 */
struct snapimage_piece {
	unsigned long number;
	sector_t first;
	sector_t count;
};

static DEFINE_MUTEX(snapimage_lock);
static DEFINE_XARRAY_ALLOC(snapimage_table);
static struct workqueue_struct *snapimage_queue;
static struct bio_set snapimage_bios;
static int snapimage_major_number;

/* ---- Pieces ---- */

/* The piece at the front of what is left of a bio. */
static struct snapimage_piece snapimage_front(const struct diff_area *area,
					      const struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct snapimage_piece piece;
	sector_t left;

	piece.number = sector >> (area->chunk_shift - SECTOR_SHIFT);
	piece.first = sector - chunk_first_sector(area->chunk_shift,
						  piece.number);
	left = chunk_sectors_of(area->capacity, area->chunk_shift,
				piece.number) - piece.first;
	piece.count = min_t(sector_t, left, bio_sectors(bio));
	return piece;
}

static void snapimage_piece_end(struct bio *clone)
{
	struct diff_io *io = diff_io_of(clone);
	struct diff_area *area = io->area;
	struct bio *parent = io->parent;
	struct chunk *chunk = io->chunk;
	blk_status_t status = clone->bi_status;

	/* After the read: see the opening comment. */
	smp_rmb();
	if (!status && diff_area_error(area))
		status = BLK_STS_IOERR;
	if (status)
		cmpxchg(&parent->bi_status, 0, status);
	account_sub(account_diff_io, sizeof(*io));
	bio_put(clone);
	if (chunk)
		chunk_reader_done(chunk);
	diff_area_put(area);
	bio_endio(parent);
}

/* Send @count sectors, @skip behind the front of @bio, to @bdev. */
static void snapimage_send(struct diff_area *area, struct bio *bio,
			   struct chunk *reading, sector_t skip, sector_t count,
			   struct block_device *bdev, sector_t sector)
{
	struct bio_set *set = op_is_write(bio_op(bio)) ? &diff_io_bios :
							 &snapimage_bios;
	struct bio *clone = bio_alloc_clone(bdev, bio, GFP_NOIO, set);
	struct diff_io *io = diff_io_of(clone);

	bio_trim(clone, skip, count);
	clone->bi_iter.bi_sector = sector;
	clone->bi_opf &= ~(REQ_NOWAIT | REQ_PREFLUSH | REQ_FUA);
	clone->bi_end_io = snapimage_piece_end;
	io->parent = bio;
	io->area = area;
	io->chunk = reading;
	account_add(account_diff_io, sizeof(*io));
	diff_area_get(area);
	bio_inc_remaining(bio);
	submit_bio_noacct(clone);
}

/* Send a piece to, or read it from, where its chunk is in the storage. */
static void snapimage_send_stored(struct diff_area *area, struct bio *bio,
				  const struct snapimage_piece *piece,
				  const struct chunk *chunk)
{
	const struct diff_extent *extent = diff_region_extents(&chunk->region);
	sector_t first = piece->first, done = 0;

	while (first >= extent->count)
		first -= extent++->count;
	while (done < piece->count) {
		sector_t count = min(extent->count - first, piece->count - done);

		snapimage_send(area, bio, NULL, done, count, extent->bdev,
			       extent->sector + first);
		done += count;
		first = 0;
		extent++;
	}
}

/* Copy a piece between a buffer that holds its chunk, and the bio. */
static void snapimage_copy(struct bio *bio, const struct snapimage_piece *piece,
			   struct diff_buffer *buffer)
{
	size_t offset = (size_t)piece->first << SECTOR_SHIFT;
	struct bvec_iter iter, start = bio->bi_iter;
	struct bio_vec vec;

	start.bi_size = piece->count << SECTOR_SHIFT;
	__bio_for_each_segment(vec, bio, iter, start) {
		void *bytes = bvec_kmap_local(&vec);

		if (op_is_write(bio_op(bio)))
			diff_buffer_write(buffer, offset, bytes, vec.bv_len);
		else
			diff_buffer_read(buffer, offset, bytes, vec.bv_len);
		kunmap_local(bytes);
		if (!op_is_write(bio_op(bio)))
			flush_dcache_page(vec.bv_page);
		offset += vec.bv_len;
	}
}

/* ---- A storage with larger blocks ---- */

static bool snapimage_needs_bounce(const struct chunk *chunk,
				   const struct snapimage_piece *piece)
{
	const struct diff_extent *extents = diff_region_extents(&chunk->region);
	u32 i;

	if (!((piece->first | piece->count) & (STORAGE_UNIT - 1)))
		return false;
	for (i = 0; i < chunk->region.count; i++) {
		unsigned int block = bdev_logical_block_size(extents[i].bdev) >>
				     SECTOR_SHIFT;

		if ((piece->first | piece->count) & (block - 1))
			return true;
	}
	return false;
}

/*
 * Read or write a piece by way of a buffer for the whole chunk. Only done by the
 * work item, so two writes to a chunk cannot meet. Return: 0, errno.
 */
static int snapimage_bounce(struct diff_area *area, struct bio *bio,
			    const struct snapimage_piece *piece,
			    const struct chunk *chunk)
{
	const struct diff_extent *extents = diff_region_extents(&chunk->region);
	u32 count = chunk->region.count;
	struct diff_buffer *buffer;
	int ret;

	buffer = diff_buffer_get(&area->pool, &area->error);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	ret = diff_io_region(buffer, extents, count, REQ_OP_READ | REQ_SYNC);
	if (!ret) {
		snapimage_copy(bio, piece, buffer);
		if (op_is_write(bio_op(bio)))
			ret = diff_io_region(buffer, extents, count,
					     REQ_OP_WRITE | REQ_SYNC);
	}
	diff_buffer_put(buffer);
	return ret ?: diff_area_error(area);
}

/* ---- Reading ---- */

static int snapimage_read_original(struct diff_area *area, struct bio *bio,
				   const struct snapimage_piece *piece,
				   struct chunk *chunk)
{
	struct block_device *bdev = area->original.bdev;

	/* The device may have become smaller. */
	if (!chunk_range_present(bdev_nr_sectors(bdev), bio->bi_iter.bi_sector,
				 piece->count)) {
		chunk_reader_done(chunk);
		return -EIO;
	}
	snapimage_send(area, bio, chunk, 0, piece->count, bdev,
		       bio->bi_iter.bi_sector);
	return 0;
}

/* Return: 0; 1 if only the work item can do it; errno. */
static int snapimage_read_piece(struct diff_area *area, struct bio *bio,
				const struct snapimage_piece *piece,
				bool may_wait)
{
	struct chunk_view view;
	int ret;

	ret = chunk_view_get(area, piece->number, &view);
	if (ret)
		return ret;
	switch (view.source) {
	case chunk_from_original:
		return snapimage_read_original(area, bio, piece, view.chunk);
	case chunk_from_buffer:
		snapimage_copy(bio, piece, view.buffer);
		diff_buffer_put(view.buffer);
		return diff_area_error(area);
	case chunk_from_storage:
		break;
	}
	if (snapimage_needs_bounce(view.chunk, piece)) {
		if (!may_wait)
			return 1;
		return snapimage_bounce(area, bio, piece, view.chunk);
	}
	snapimage_send_stored(area, bio, piece, view.chunk);
	return 0;
}

static void snapimage_fail(struct bio *bio)
{
	cmpxchg(&bio->bi_status, 0, BLK_STS_IOERR);
	bio_endio(bio);
}

/* Return: false if the work item has to do the rest. */
static bool snapimage_read(struct snapimage *image, struct bio *bio,
			   bool may_wait)
{
	struct diff_area *area = image->area;
	int ret = diff_area_error(area);

	while (!ret && bio->bi_iter.bi_size) {
		struct snapimage_piece piece = snapimage_front(area, bio);

		ret = snapimage_read_piece(area, bio, &piece, may_wait);
		if (ret == 1)
			return false;
		if (!ret)
			bio_advance(bio, piece.count << SECTOR_SHIFT);
	}
	if (ret)
		snapimage_fail(bio);
	else
		bio_endio(bio);
	return true;
}

/* ---- Writing ---- */

/* The chunks are in the storage. Return: 0, errno. */
static int snapimage_write_pieces(struct diff_area *area, struct bio *bio)
{
	struct diff_io_scope scope;
	int ret = 0;

	diff_io_scope_enter(&scope);
	while (!ret && bio->bi_iter.bi_size) {
		struct snapimage_piece piece = snapimage_front(area, bio);
		struct chunk *chunk = chunk_find(area, piece.number);

		if (snapimage_needs_bounce(chunk, &piece))
			ret = snapimage_bounce(area, bio, &piece, chunk);
		else
			snapimage_send_stored(area, bio, &piece, chunk);
		if (!ret)
			bio_advance(bio, piece.count << SECTOR_SHIFT);
	}
	diff_io_scope_leave(&scope);
	return ret;
}

static void snapimage_write(struct snapimage *image, struct bio *bio)
{
	struct diff_area *area = image->area;
	sector_t sector = bio->bi_iter.bi_sector;
	int ret;

	ret = diff_area_store(area, sector, bio_sectors(bio));
	if (!ret) {
		cbt_map_set_both(image->map, sector, bio_sectors(bio));
		ret = snapimage_write_pieces(area, bio);
	}
	if (ret)
		snapimage_fail(bio);
	else
		bio_endio(bio);
}

/* ---- Submission ---- */

static void snapimage_do(struct snapimage *image, struct bio *bio)
{
	if (READ_ONCE(image->state) == snapimage_dead)
		snapimage_fail(bio);
	else if (op_is_write(bio_op(bio)))
		snapimage_write(image, bio);
	else
		snapimage_read(image, bio, true);
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
	struct snapimage *image = bio->bi_bdev->bd_disk->private_data;
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
		snapimage_fail(bio);
		return;
	case snapimage_live:
		break;
	}
	noio = memalloc_noio_save();
	if (op_is_write(bio_op(bio)) || !snapimage_read(image, bio, false))
		snapimage_enqueue(image, bio);
	memalloc_noio_restore(noio);
}

static const struct block_device_operations snapimage_operations = {
	.owner = THIS_MODULE,
	.submit_bio = snapimage_submit_bio,
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

/* As the original, but without what only concerns a driver below. */
static void snapimage_set_limits(struct request_queue *queue,
				 struct block_device *original)
{
	struct request_queue *from = bdev_get_queue(original);

	blk_set_stacking_limits(&queue->limits);
	blk_queue_max_write_zeroes_sectors(queue, 0);
	blk_queue_logical_block_size(queue, queue_logical_block_size(from));
	blk_queue_physical_block_size(queue, queue_physical_block_size(from));
	blk_queue_io_min(queue, queue_io_min(from));
	blk_queue_io_opt(queue, queue_io_opt(from));
	/* Buffers of the readers go to the driver of the original as they are. */
	blk_queue_dma_alignment(queue, queue_dma_alignment(from));
	/* Data being written must not change: the storage may check it. */
	blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, queue);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, queue);
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, queue);
}

static int snapimage_make_disk(struct snapimage *image)
{
	struct gendisk *disk = blk_alloc_disk(NUMA_NO_NODE);
	int ret;

	if (!disk)
		return -ENOMEM;
	snapimage_set_limits(disk->queue, image->area->original.bdev);
	disk->major = snapimage_major_number;
	disk->first_minor = image->minor;
	disk->minors = 1;
	disk->flags |= GENHD_FL_NO_PART;
	disk->fops = &snapimage_operations;
	disk->private_data = image;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "%s%u",
		 BLK_SNAP_IMAGE_NAME, image->minor);
	set_capacity(disk, image->area->capacity);
	image->disk = disk;

	ret = add_disk(disk);
	if (ret)
		put_disk(disk);
	return ret;
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
	del_gendisk(image->disk);
	/* No bio can come any more; those that came are failed by the work. */
	flush_work(&image->work);
	put_disk(image->disk);
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

static int snapimage_mark(struct snapimage *image,
			  const struct blk_snap_block_range *ranges, u32 count)
{
	u32 i;
	int ret;

	for (i = 0; i < count; i++) {
		ret = cbt_map_check_range(image->map, ranges[i].sector_offset,
					  ranges[i].sector_count);
		if (ret)
			return ret;
	}
	for (i = 0; i < count; i++)
		cbt_map_set_both(image->map, ranges[i].sector_offset,
				 ranges[i].sector_count);
	return 0;
}

int snapimage_mark_dirty(u32 minor, const struct blk_snap_block_range *ranges,
			 u32 count)
{
	struct snapimage *image;
	int ret = -ENODEV;

	mutex_lock(&snapimage_lock);
	image = xa_load(&snapimage_table, minor);
	if (image && READ_ONCE(image->state) == snapimage_live)
		ret = snapimage_mark(image, ranges, count);
	mutex_unlock(&snapimage_lock);
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
	/* Several clones are made in one submission: a rescuer sends them off. */
	ret = bioset_init(&snapimage_bios, BIO_POOL_SIZE * 16,
			  offsetof(struct diff_io, bio), BIOSET_NEED_RESCUER);
	if (ret)
		goto out_queue;
	ret = register_blkdev(0, BLK_SNAP_IMAGE_NAME);
	if (ret < 0)
		goto out_bios;
	snapimage_major_number = ret;
	pr_info("major number of images is %d\n", ret);
	return 0;

out_bios:
	bioset_exit(&snapimage_bios);
out_queue:
	destroy_workqueue(snapimage_queue);
	return ret;
}

void snapimage_done(void)
{
	unregister_blkdev(snapimage_major_number, BLK_SNAP_IMAGE_NAME);
	bioset_exit(&snapimage_bios);
	destroy_workqueue(snapimage_queue);
	WARN_ON(!xa_empty(&snapimage_table));
}
