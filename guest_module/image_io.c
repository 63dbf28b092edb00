// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing of snapshot images.
 *
 * A read is cut at the borders of chunks, and of what of a large chunk goes into
 * one buffer. Each piece comes from where the data is: the original, the storage,
 * a buffer. Pieces that lie side by side there go as one clone, so that a device
 * below sees requests as large as the image's. Nothing is cached, any number of
 * reads run side by side, in their submitters' contexts.
 *
 * A read from the original makes no writer wait, whatever holds it up. When it has
 * ended, a chunk that nobody may overwrite yet still was old, and what was read of
 * it is right. Of others the copy is there by now: a work item reads that.
 *
 * A write first has its chunks copied to the storage, which waits; so a worker
 * does it. Then it is written there in place. A worker also does reads from a
 * storage whose blocks are larger than the image's.
 *
 * Reads also check, after their end, that the area is not spoiled: writers go on
 * without a copy then.
 *
 * Context: reading inside submit_bio() or in a worker; completion in any.
 *
 * Locking: none of its own.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-image: " fmt

#include <linux/blkdev.h>
#include <linux/sched/mm.h>
#include <linux/wait_bit.h>
#include <linux/workqueue.h>

#include "account.h"
#include "cbt_map.h"
#include "chunk.h"
#include "compat.h"
#include "diff_area.h"
#include "image_io.h"

/**
 * struct image_piece - The part of a bio that lies in one buffer's part of a chunk.
 * @number: The chunk.
 * @first: First sector, from the start of the chunk.
 * @count: Number of sectors.
 */
struct image_piece {
	unsigned long number;
	sector_t first;
	sector_t count;
};

/**
 * struct image_run - Pieces of a bio that go below as one clone, not sent yet.
 * @area: The area.
 * @bio: The bio, already advanced behind them.
 * @start: Where they begin in it.
 * @bdev: Where they lie.
 * @sector: First sector there.
 * @count: Number of sectors; 0 if there are none.
 * @original: Are they read from the original?
 */
struct image_run {
	struct diff_area *area;
	struct bio *bio;
	struct bvec_iter start;
	struct block_device *bdev;
	sector_t sector;
	sector_t count;
	bool original;
};

static struct bio_set image_bios;
static struct workqueue_struct *image_reread_queue;

/* ---- Pieces ---- */

/* The piece at the front of what is left of a bio of the image. */
static struct image_piece image_front(const struct diff_area *area,
				      struct bvec_iter iter)
{
	sector_t part = diff_area_part_sectors(area);
	sector_t sector = iter.bi_sector;
	struct image_piece piece;
	sector_t left;

	piece.number = sector >> (area->chunk_shift - SECTOR_SHIFT);
	piece.first = sector - chunk_first_sector(area->chunk_shift,
						  piece.number);
	left = chunk_sectors_of(area->capacity, area->chunk_shift,
				piece.number) - piece.first;
	left = min(left, part - (piece.first & (part - 1)));
	piece.count = min_t(sector_t, left, iter.bi_size >> SECTOR_SHIFT);
	return piece;
}

/* Copy a piece between the bio, from @start on, and a buffer that holds it. */
static void image_copy(struct bio *bio, struct bvec_iter start,
		       const struct image_piece *piece,
		       struct diff_buffer *buffer)
{
	size_t offset = (size_t)(piece->first - buffer->first) << SECTOR_SHIFT;
	struct bvec_iter iter;
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

/*
 * Is the piece, and each part of it in memory, of whole blocks? A driver that
 * takes no gaps has the parts split, and a part of a block is no request.
 */
static bool image_piece_fits(struct bio *bio, const struct image_piece *piece,
			     unsigned int block)
{
	u64 edges = (u64)(piece->first | piece->count) << SECTOR_SHIFT;
	struct bvec_iter iter, start = bio->bi_iter;
	struct bio_vec vec;

	start.bi_size = piece->count << SECTOR_SHIFT;
	__bio_for_each_segment(vec, bio, iter, start)
		edges |= vec.bv_offset | vec.bv_len;
	return !(edges & (block - 1));
}

static bool image_needs_bounce(struct bio *bio, const struct image_piece *piece,
			       const struct chunk *chunk)
{
	const struct diff_extent *extents = diff_region_extents(&chunk->region);
	u32 i;

	for (i = 0; i < chunk->region.count; i++) {
		unsigned int block;

		/* A loop device may change it; if it grew, the store fails. */
		block = data_race(bdev_logical_block_size(extents[i].bdev));
		if (block > SECTOR_SIZE && !image_piece_fits(bio, piece, block))
			return true;
	}
	return false;
}

/*
 * Read or write a piece, from @start on in the bio, by way of a buffer for all that
 * goes into one. Writing is only done by the image's work item, which also sends
 * all other writes: none of those may be on its way while a chunk is read to be
 * written back. Return: 0, errno.
 */
static int image_bounce(struct diff_area *area, struct bio *bio,
			struct bvec_iter start, const struct image_piece *piece,
			const struct chunk *chunk)
{
	const struct diff_extent *extents = diff_region_extents(&chunk->region);
	sector_t part = diff_area_part_sectors(area);
	sector_t first = piece->first & ~(part - 1);
	sector_t count = chunk_sectors_of(area->capacity, area->chunk_shift,
					  piece->number) - first;
	struct diff_buffer *buffer;
	int ret;

	count = chunk_storage_sectors(min(count, part));
	buffer = diff_buffer_get(&area->pool, &area->error);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	buffer->first = first;
	if (op_is_write(bio_op(bio)))
		wait_var_event(&area->image_writes,
			       !atomic_read_acquire(&area->image_writes));
	ret = diff_io_part_sync(buffer, extents, first, count,
				REQ_OP_READ | REQ_SYNC);
	if (!ret) {
		image_copy(bio, start, piece, buffer);
		if (op_is_write(bio_op(bio)))
			ret = diff_io_part_sync(buffer, extents, first, count,
						REQ_OP_WRITE | REQ_SYNC);
	}
	diff_buffer_put(buffer);
	return ret ?: diff_area_error(area);
}

/*
 * The original was read, or could not be. If the device was pulled out, or has
 * got another medium, no copy will ever fail, as nobody tells of writes to that:
 * the reader is the one who finds out.
 */
static void image_check_original(struct diff_area *area, bool failed)
{
	struct inode *inode = compat_bdev_inode(area->original.bdev);

	if (diff_area_original_changed(area) ||
	    (failed && hlist_unhashed_lockless(&inode->i_hash)))
		diff_area_spoil(area, -EIO);
}

/* A clone has ended, with this status. */
static void image_clone_done(struct bio *clone, blk_status_t status)
{
	struct diff_io *io = diff_io_of(clone);
	struct diff_area *area = io->area;
	struct bio *parent = io->parent;

	if (!status && diff_area_error(area))
		status = BLK_STS_IOERR;
	if (status)
		cmpxchg(&parent->bi_status, 0, status);
	if (op_is_write(bio_op(clone)) &&
	    atomic_dec_and_test(&area->image_writes))
		wake_up_var(&area->image_writes);
	account_sub(account_diff_io, sizeof(*io));
	bio_put(clone);
	diff_area_put(area);
	bio_endio(parent);
}

static void image_clone_end(struct bio *clone)
{
	image_clone_done(clone, clone->bi_status);
}

/* ---- Reading from the original ---- */

/* Read a piece again, if it has been copied. Return: 0, errno. */
static int image_reread_piece(struct diff_area *area, struct bio *bio,
			      struct bvec_iter start,
			      const struct image_piece *piece)
{
	struct chunk_view view;
	int ret;

	if (!chunk_is_safe(area, piece->number))
		return 0;
	ret = chunk_view_get(area, piece->number, piece->first, &view);
	if (ret)
		return ret;
	if (view.source == chunk_from_storage)
		return image_bounce(area, bio, start, piece, view.chunk);
	image_copy(bio, start, piece, view.buffer);
	diff_buffer_put(view.buffer);
	return 0;
}

static void image_reread(struct work_struct *work)
{
	struct diff_io *io = container_of(work, struct diff_io, work);
	struct diff_area *area = io->area;
	struct bvec_iter left = io->start;
	unsigned int noio = memalloc_noio_save();
	int ret = 0;

	while (!ret && left.bi_size) {
		struct image_piece piece = image_front(area, left);

		ret = image_reread_piece(area, io->parent, left, &piece);
		bio_advance_iter(io->parent, &left,
				 piece.count << SECTOR_SHIFT);
	}
	image_clone_done(&io->bio, errno_to_blk_status(ret));
	memalloc_noio_restore(noio);
}

/* May a writer have overtaken the read? */
static bool image_is_overtaken(const struct diff_io *io)
{
	struct diff_area *area = io->area;
	struct chunk_span span =
		chunk_span_of(area->capacity, area->chunk_shift,
			      io->start.bi_sector,
			      io->start.bi_size >> SECTOR_SHIFT);
	u64 i;

	for (i = 0; i < span.count; i++)
		if (chunk_is_safe(area, span.first + i))
			return true;
	return false;
}

static void image_original_end(struct bio *clone)
{
	struct diff_io *io = diff_io_of(clone);
	struct diff_area *area = io->area;
	blk_status_t status = clone->bi_status;

	/* After the read: see the opening comment. */
	smp_rmb();
	image_check_original(area, status);
	if (io->start.bi_sector + (io->start.bi_size >> SECTOR_SHIFT) >
	    diff_area_kept(area))
		status = BLK_STS_IOERR;
	if (!status && image_is_overtaken(io)) {
		INIT_WORK(&io->work, image_reread);
		queue_work(image_reread_queue, &io->work);
		return;
	}
	image_clone_done(clone, status);
}

/* ---- Runs ---- */

/* Send what has gathered, if anything has. */
static void image_run_send(struct image_run *run)
{
	struct diff_area *area = run->area;
	struct bio_set *set = op_is_write(bio_op(run->bio)) ? &diff_io_bios :
							      &image_bios;
	struct bio *clone;
	struct diff_io *io;

	if (!run->count)
		return;
	clone = compat_bio_clone(run->bdev, run->bio, GFP_NOIO, set);
	clone->bi_iter = run->start;
	clone->bi_iter.bi_sector = run->sector;
	clone->bi_iter.bi_size = run->count << SECTOR_SHIFT;
	clone->bi_opf &= ~(REQ_NOWAIT | REQ_PREFLUSH | REQ_FUA);
	clone->bi_end_io = run->original ? image_original_end : image_clone_end;
	/* A destroy waits for it. Its owner can be held back at the image. */
	compat_bio_disown(clone);
	io = diff_io_of(clone);
	io->parent = run->bio;
	io->area = area;
	io->start = run->start;
	io->start.bi_size = clone->bi_iter.bi_size;
	run->count = 0;
	account_add(account_diff_io, sizeof(*io));
	if (op_is_write(bio_op(clone)))
		atomic_inc(&area->image_writes);
	diff_area_get(area);
	bio_inc_remaining(run->bio);
	submit_bio_noacct(clone);
}

/*
 * The next @count sectors of the bio lie there; they gather, or begin anew. What
 * has gathered may end right before them there and not in the bio: a piece between
 * them may have come from a buffer.
 */
static void image_run_add(struct image_run *run, bool original,
			  struct block_device *bdev, sector_t sector,
			  sector_t count)
{
	/* The storage may be on the device of the original, right before it. */
	if (run->original != original || run->bdev != bdev ||
	    run->sector + run->count != sector ||
	    run->start.bi_sector + run->count != run->bio->bi_iter.bi_sector)
		image_run_send(run);
	if (!run->count) {
		run->start = run->bio->bi_iter;
		run->bdev = bdev;
		run->sector = sector;
		run->original = original;
	}
	run->count += count;
	bio_advance(run->bio, count << SECTOR_SHIFT);
}

/* A piece that is, or is to be, where its chunk is in the storage. */
static void image_run_add_stored(struct image_run *run,
				 const struct image_piece *piece,
				 const struct chunk *chunk)
{
	const struct diff_extent *extent = diff_region_extents(&chunk->region);
	sector_t first = piece->first, left = piece->count;

	while (first >= extent->count)
		first -= extent++->count;
	while (left) {
		sector_t count = min(extent->count - first, left);

		image_run_add(run, false, extent->bdev, extent->sector + first,
			      count);
		left -= count;
		first = 0;
		extent++;
	}
}

static int image_run_bounce(struct image_run *run,
			    const struct image_piece *piece,
			    const struct chunk *chunk)
{
	int ret;

	image_run_send(run);
	ret = image_bounce(run->area, run->bio, run->bio->bi_iter, piece,
			   chunk);
	if (!ret)
		bio_advance(run->bio, piece->count << SECTOR_SHIFT);
	return ret;
}

/* ---- Reading ---- */

static int image_read_original(struct image_run *run,
			       const struct image_piece *piece)
{
	struct diff_area *area = run->area;
	sector_t sector = run->bio->bi_iter.bi_sector;

	/* The device may have become smaller, or be gone. */
	if (!chunk_range_present(diff_area_present(area), sector,
				 piece->count)) {
		image_check_original(area, true);
		return -EIO;
	}
	image_run_add(run, true, area->original.bdev, sector, piece->count);
	return 0;
}

static int image_read_buffer(struct image_run *run,
			     const struct image_piece *piece,
			     struct diff_buffer *buffer)
{
	image_copy(run->bio, run->bio->bi_iter, piece, buffer);
	diff_buffer_put(buffer);
	bio_advance(run->bio, piece->count << SECTOR_SHIFT);
	return diff_area_error(run->area);
}

/* Return: 0; 1 if only the work item can do it; errno. */
static int image_read_piece(struct image_run *run, bool may_wait)
{
	struct image_piece piece = image_front(run->area, run->bio->bi_iter);
	struct chunk_view view;
	int ret;

	ret = chunk_view_get(run->area, piece.number, piece.first, &view);
	if (ret)
		return ret;
	switch (view.source) {
	case chunk_from_original:
		return image_read_original(run, &piece);
	case chunk_from_buffer:
		return image_read_buffer(run, &piece, view.buffer);
	case chunk_from_storage:
		break;
	}
	if (image_needs_bounce(run->bio, &piece, view.chunk)) {
		if (!may_wait)
			return 1;
		return image_run_bounce(run, &piece, view.chunk);
	}
	image_run_add_stored(run, &piece, view.chunk);
	return 0;
}

void image_io_fail(struct bio *bio)
{
	cmpxchg(&bio->bi_status, 0, BLK_STS_IOERR);
	bio_endio(bio);
}

bool image_io_read(struct diff_area *area, struct bio *bio, bool may_wait)
{
	struct image_run run = { .area = area, .bio = bio };
	int ret = diff_area_error(area);

	while (!ret && bio->bi_iter.bi_size)
		ret = image_read_piece(&run, may_wait);
	image_run_send(&run);
	if (ret == 1)
		return false;
	if (ret)
		image_io_fail(bio);
	else
		bio_endio(bio);
	return true;
}

/* ---- Writing ---- */

/* The chunks are in the storage. Return: 0, errno. */
static int image_write_pieces(struct diff_area *area, struct bio *bio)
{
	struct image_run run = { .area = area, .bio = bio };
	struct diff_io_scope scope;
	int ret = 0;

	diff_io_scope_enter(&scope);
	while (!ret && bio->bi_iter.bi_size) {
		struct image_piece piece = image_front(area, bio->bi_iter);
		struct chunk *chunk = chunk_find(area, piece.number);

		if (image_needs_bounce(bio, &piece, chunk))
			ret = image_run_bounce(&run, &piece, chunk);
		else
			image_run_add_stored(&run, &piece, chunk);
	}
	image_run_send(&run);
	diff_io_scope_leave(&scope);
	return ret;
}

void image_io_write(struct diff_area *area, struct cbt_map *map,
		    struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	int ret;

	ret = diff_area_store(area, sector, bio_sectors(bio));
	if (!ret) {
		cbt_map_set_both(map, sector, bio_sectors(bio));
		ret = image_write_pieces(area, bio);
	}
	if (ret)
		image_io_fail(bio);
	else
		bio_endio(bio);
}

/* ---- The module's part ---- */

int image_io_init(void)
{
	int ret;

	image_reread_queue = alloc_workqueue("blksnap-reread",
					     WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!image_reread_queue)
		return -ENOMEM;
	/* Several clones are made in one submission: a rescuer sends them off. */
	ret = bioset_init(&image_bios, BIO_POOL_SIZE * 16,
			  offsetof(struct diff_io, bio), BIOSET_NEED_RESCUER);
	if (ret)
		destroy_workqueue(image_reread_queue);
	return ret;
}

void image_io_done(void)
{
	/* Its work items end what is of the set, and is back in it then. */
	destroy_workqueue(image_reread_queue);
	bioset_exit(&image_bios);
}
