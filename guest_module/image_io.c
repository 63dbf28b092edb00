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
 * A write first has its chunks copied to the storage, which waits; so a worker
 * does it. Then it is written there in place. A worker also does reads from a
 * storage whose blocks are larger than the image's.
 *
 * Reads check, after their end, that the area is not spoiled: only then it is
 * sure that no writer has overtaken a read from the original.
 *
 * Context: reading inside submit_bio() or in a worker; completion in any.
 *
 * Locking: none of its own.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-image: " fmt

#include <linux/blkdev.h>
#include <linux/sizes.h>
#include <linux/wait_bit.h>

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
 * @first: First chunk, if they are read from the original.
 * @chunks: Number of chunks read from the original, each with a reader counted.
 */
struct image_run {
	struct diff_area *area;
	struct bio *bio;
	struct bvec_iter start;
	struct block_device *bdev;
	sector_t sector;
	sector_t count;
	unsigned long first;
	unsigned long chunks;
};

/* A write waits for the readers of its chunk: for no longer than so much takes. */
#define IMAGE_RUN_SECTORS (SZ_4M >> SECTOR_SHIFT)

static struct bio_set image_bios;

/* ---- Pieces ---- */

/* The piece at the front of what is left of a bio. */
static struct image_piece image_front(const struct diff_area *area,
				      const struct bio *bio)
{
	sector_t part = diff_area_part_sectors(area);
	sector_t sector = bio->bi_iter.bi_sector;
	struct image_piece piece;
	sector_t left;

	piece.number = sector >> (area->chunk_shift - SECTOR_SHIFT);
	piece.first = sector - chunk_first_sector(area->chunk_shift,
						  piece.number);
	left = chunk_sectors_of(area->capacity, area->chunk_shift,
				piece.number) - piece.first;
	left = min(left, part - (piece.first & (part - 1)));
	piece.count = min_t(sector_t, left, bio_sectors(bio));
	return piece;
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

static void image_clone_end(struct bio *clone)
{
	struct diff_io *io = diff_io_of(clone);
	struct diff_area *area = io->area;
	struct bio *parent = io->parent;
	unsigned long first = io->first, chunks = io->chunks, i;
	blk_status_t status = clone->bi_status;

	/* After the read: see the opening comment. */
	smp_rmb();
	if (chunks) {
		image_check_original(area, status);
		if (io->end > diff_area_kept(area))
			status = BLK_STS_IOERR;
	}
	if (!status && diff_area_error(area))
		status = BLK_STS_IOERR;
	if (status)
		cmpxchg(&parent->bi_status, 0, status);
	if (op_is_write(bio_op(clone)) &&
	    atomic_dec_and_test(&area->image_writes))
		wake_up_var(&area->image_writes);
	account_sub(account_diff_io, sizeof(*io));
	bio_put(clone);
	for (i = 0; i < chunks; i++)
		chunk_reader_done(area, first + i);
	diff_area_put(area);
	bio_endio(parent);
}

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
	clone->bi_end_io = image_clone_end;
	/*
	 * Others wait for it: writers of its chunks, a destroy. What holds back
	 * its owner can do so at the image.
	 */
	compat_bio_disown(clone);
	io = diff_io_of(clone);
	io->parent = run->bio;
	io->area = area;
	io->first = run->first;
	io->chunks = run->chunks;
	io->end = run->sector + run->count;
	run->count = 0;
	run->chunks = 0;
	account_add(account_diff_io, sizeof(*io));
	if (op_is_write(bio_op(clone)))
		atomic_inc(&area->image_writes);
	diff_area_get(area);
	bio_inc_remaining(run->bio);
	submit_bio_noacct(clone);
}

/*
 * Do these sectors lie behind what has gathered, there as in the bio, and may
 * they join it? A piece between them may have come from a buffer.
 */
static bool image_run_continues(const struct image_run *run,
				const struct block_device *bdev,
				sector_t sector, sector_t count)
{
	return run->bdev == bdev && run->sector + run->count == sector &&
	       run->start.bi_sector + run->count ==
		       run->bio->bi_iter.bi_sector &&
	       run->count + count <= IMAGE_RUN_SECTORS;
}

/* The next @count sectors of the bio lie there; they gather, or begin anew. */
static void image_run_add(struct image_run *run, struct block_device *bdev,
			  sector_t sector, sector_t count)
{
	if (!image_run_continues(run, bdev, sector, count))
		image_run_send(run);
	if (!run->count) {
		run->start = run->bio->bi_iter;
		run->bdev = bdev;
		run->sector = sector;
	}
	run->count += count;
	bio_advance(run->bio, count << SECTOR_SHIFT);
}

/* The same for a piece in the original, whose chunk has a reader counted. */
static void image_run_add_original(struct image_run *run,
				   const struct image_piece *piece)
{
	struct block_device *bdev = run->area->original.bdev;
	sector_t sector = run->bio->bi_iter.bi_sector;

	/* The storage may be on the same device, right before it. */
	if (!run->chunks ||
	    !image_run_continues(run, bdev, sector, piece->count))
		image_run_send(run);
	if (!run->chunks)
		run->first = piece->number;
	/* One reader of the chunk is enough for all parts of it. */
	if (run->first + run->chunks == piece->number)
		run->chunks++;
	else
		chunk_reader_done(run->area, piece->number);
	image_run_add(run, bdev, sector, piece->count);
}

/* A piece that is, or is to be, where its chunk is in the storage. */
static void image_run_add_stored(struct image_run *run,
				 const struct image_piece *piece,
				 const struct chunk *chunk)
{
	const struct diff_extent *extent = diff_region_extents(&chunk->region);
	sector_t first = piece->first, left = piece->count;

	if (run->chunks)
		image_run_send(run);
	while (first >= extent->count)
		first -= extent++->count;
	while (left) {
		sector_t count = min(extent->count - first, left);

		image_run_add(run, extent->bdev, extent->sector + first, count);
		left -= count;
		first = 0;
		extent++;
	}
}

/* Copy a piece between a buffer that holds its chunk, and the bio. */
static void image_copy(struct bio *bio, const struct image_piece *piece,
		       struct diff_buffer *buffer)
{
	size_t offset = (size_t)(piece->first - buffer->first) << SECTOR_SHIFT;
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
 * Read or write a piece by way of a buffer for all that goes into one. Only done
 * by the work item, which also sends all other writes: none of those may be on
 * its way while a chunk is read to be written back. Return: 0, errno.
 */
static int image_bounce(struct diff_area *area, struct bio *bio,
			const struct image_piece *piece,
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
		image_copy(bio, piece, buffer);
		if (op_is_write(bio_op(bio)))
			ret = diff_io_part_sync(buffer, extents, first, count,
						REQ_OP_WRITE | REQ_SYNC);
	}
	diff_buffer_put(buffer);
	return ret ?: diff_area_error(area);
}

static int image_run_bounce(struct image_run *run,
			    const struct image_piece *piece,
			    const struct chunk *chunk)
{
	int ret;

	image_run_send(run);
	ret = image_bounce(run->area, run->bio, piece, chunk);
	if (!ret)
		bio_advance(run->bio, piece->count << SECTOR_SHIFT);
	return ret;
}

/* ---- Reading ---- */

static int image_read_original(struct image_run *run,
			       const struct image_piece *piece)
{
	struct diff_area *area = run->area;

	/* The device may have become smaller, or be gone. */
	if (!chunk_range_present(diff_area_present(area),
				 run->bio->bi_iter.bi_sector, piece->count)) {
		image_check_original(area, true);
		chunk_reader_done(area, piece->number);
		return -EIO;
	}
	image_run_add_original(run, piece);
	return 0;
}

static int image_read_buffer(struct image_run *run,
			     const struct image_piece *piece,
			     struct diff_buffer *buffer)
{
	image_copy(run->bio, piece, buffer);
	diff_buffer_put(buffer);
	bio_advance(run->bio, piece->count << SECTOR_SHIFT);
	return diff_area_error(run->area);
}

/* Return: 0; 1 if only the work item can do it; errno. */
static int image_read_piece(struct image_run *run, bool may_wait)
{
	struct image_piece piece = image_front(run->area, run->bio);
	struct chunk_view view;
	int ret;

	/* Nobody waits for memory with chunks that are being read, see below. */
	ret = chunk_view_get(run->area, piece.number, piece.first,
			     may_wait ? GFP_NOIO : GFP_NOWAIT | __GFP_NOWARN,
			     &view);
	if (ret)
		return ret == -ENOMEM && !may_wait ? 1 : ret;
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

	while (!ret && bio->bi_iter.bi_size) {
		ret = image_read_piece(&run, may_wait);
		/* No chunk keeps its writer waiting while memory is waited for. */
		if (may_wait)
			image_run_send(&run);
	}
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
		struct image_piece piece = image_front(area, bio);
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
	/* Several clones are made in one submission: a rescuer sends them off. */
	return bioset_init(&image_bios, BIO_POOL_SIZE * 16,
			   offsetof(struct diff_io, bio), BIOSET_NEED_RESCUER);
}

void image_io_done(void)
{
	bioset_exit(&image_bios);
}
