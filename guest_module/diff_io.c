// SPDX-License-Identifier: GPL-2.0
/*
 * The module's own bios: between buffers and the original or the storage.
 *
 * A transfer may need several bios: a bio has at most BIO_MAX_VECS pieces, and
 * a chunk may lie in several pieces of the storage. Reads of the original have
 * bios of their own: those of a storage that hangs do not keep writers waiting.
 *
 * Context: submission in process context, completion in any. Bios come from a
 * mempool and are submitted before the next one is allocated, so an allocation
 * waits, if at all, only for bios that are on their way.
 *
 * Locking: none for transfers; a spinlock for the table of scopes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-diff-io: " fmt

#include <linux/bdevfilter.h>
#include <linux/hash.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <linux/wait_bit.h>

#include "account.h"
#include "diff_buffer.h"
#include "diff_io.h"

#define DIFF_IO_SCOPE_BITS 6

struct bio_set diff_io_bios;
static struct bio_set diff_load_bios;

static DEFINE_SPINLOCK(diff_io_scope_lock);
static struct hlist_head diff_io_scopes[1 << DIFF_IO_SCOPE_BITS];

static int diff_io_init_set(struct bio_set *set)
{
	return bioset_init(set, BIO_POOL_SIZE * 16,
			   offsetof(struct diff_io, bio), BIOSET_NEED_BVECS);
}

int diff_io_init(void)
{
	int ret = diff_io_init_set(&diff_io_bios);

	if (ret)
		return ret;
	ret = diff_io_init_set(&diff_load_bios);
	if (ret)
		bioset_exit(&diff_io_bios);
	return ret;
}

void diff_io_done(void)
{
	bioset_exit(&diff_load_bios);
	bioset_exit(&diff_io_bios);
}

/* ---- Transfers ---- */

static void diff_io_drop(struct diff_buffer *buffer)
{
	/*
	 * Read beforehand: who waits for the count may see it fall to zero, and
	 * the buffer may be in somebody else's transfer by the next line.
	 */
	void (*done)(struct diff_buffer *buffer) = buffer->done;

	if (atomic_dec_and_test(&buffer->pending))
		done(buffer);
}

static void diff_io_end(struct bio *bio)
{
	struct diff_buffer *buffer = diff_io_of(bio)->buffer;
	int error = blk_status_to_errno(bio->bi_status);

	if (error)
		cmpxchg(&buffer->error, 0, error);
	account_sub(account_diff_io, sizeof(struct diff_io));
	bio_put(bio);
	diff_io_drop(buffer);
}

void diff_io_begin(struct diff_buffer *buffer,
		   void (*done)(struct diff_buffer *buffer))
{
	buffer->done = done;
	buffer->error = 0;
	atomic_set(&buffer->pending, 1);
}

/*
 * One bio, with as many pieces as it has room for if none touch. Those that touch
 * are merged, so that it would take more; but then it might be full within a block.
 * Return: bytes in it.
 */
static size_t diff_io_one(struct diff_buffer *buffer, size_t offset,
			  size_t length, struct block_device *bdev,
			  sector_t sector, blk_opf_t opf, struct bio_set *set)
{
	size_t size = (size_t)1 << buffer->piece_shift;
	size_t ahead = offset & (size - 1), done = 0;
	unsigned int pieces = bio_max_segs(DIV_ROUND_UP(ahead + length, size));
	struct bio *bio;

	length = min(length, pieces * size - ahead);
	bio = compat_bio_alloc(bdev, pieces, opf, GFP_NOIO, set);
	bio->bi_iter.bi_sector = sector;
	bio->bi_end_io = diff_io_end;
	compat_bio_disown(bio);
	diff_io_of(bio)->buffer = buffer;
	account_add(account_diff_io, sizeof(struct diff_io));

	while (done < length) {
		size_t at = offset + done, in_piece = at & (size - 1);
		unsigned int part = min(length - done, size - in_piece);

		if (bio_add_page(bio, buffer->pieces[at >> buffer->piece_shift],
				 part, in_piece) != part)
			break;
		done += part;
	}
	atomic_inc(&buffer->pending);
	bdev_filter_submit_own(bio);
	return done;
}

static void diff_io_piece(struct diff_buffer *buffer, size_t offset,
			  const struct diff_extent *extent, blk_opf_t opf,
			  struct bio_set *set)
{
	size_t left = (size_t)extent->count << SECTOR_SHIFT;
	sector_t sector = extent->sector;

	while (left) {
		size_t done = diff_io_one(buffer, offset, left, extent->bdev,
					  sector, opf, set);

		offset += done;
		left -= done;
		sector += done >> SECTOR_SHIFT;
	}
}

void diff_io_load(struct diff_buffer *buffer, const struct diff_extent *extent)
{
	diff_io_piece(buffer, 0, extent, REQ_OP_READ | REQ_SYNC,
		      &diff_load_bios);
}

void diff_io_finish(struct diff_buffer *buffer)
{
	diff_io_drop(buffer);
}

static void diff_io_wake(struct diff_buffer *buffer)
{
	/* The count is visible before the look for the waiter. */
	smp_mb();
	wake_up_var(&buffer->pending);
}

void diff_io_part(struct diff_buffer *buffer, const struct diff_extent *extents,
		  sector_t first, sector_t count, blk_opf_t opf)
{
	size_t offset = 0;

	while (first >= extents->count)
		first -= extents++->count;
	while (count) {
		struct diff_extent extent = {
			.bdev = extents->bdev,
			.sector = extents->sector + first,
			.count = min(count, extents->count - first),
		};

		diff_io_piece(buffer, offset, &extent, opf, &diff_io_bios);
		offset += (size_t)extent.count << SECTOR_SHIFT;
		count -= extent.count;
		first = 0;
		extents++;
	}
}

int diff_io_part_sync(struct diff_buffer *buffer,
		      const struct diff_extent *extents, sector_t first,
		      sector_t count, blk_opf_t opf)
{
	diff_io_begin(buffer, diff_io_wake);
	diff_io_part(buffer, extents, first, count, opf);
	diff_io_finish(buffer);
	/* With what the last of them left: its error, its data. */
	wait_var_event(&buffer->pending, !atomic_read_acquire(&buffer->pending));
	return buffer->error;
}

/* ---- Scopes ---- */

static struct hlist_head *diff_io_scope_head(const struct task_struct *task)
{
	return &diff_io_scopes[hash_ptr(task, DIFF_IO_SCOPE_BITS)];
}

void diff_io_scope_enter(struct diff_io_scope *scope)
{
	scope->task = current;
	scope->noio = memalloc_noio_save();
	spin_lock(&diff_io_scope_lock);
	hlist_add_head(&scope->link, diff_io_scope_head(current));
	spin_unlock(&diff_io_scope_lock);
}

void diff_io_scope_leave(struct diff_io_scope *scope)
{
	spin_lock(&diff_io_scope_lock);
	hlist_del(&scope->link);
	spin_unlock(&diff_io_scope_lock);
	memalloc_noio_restore(scope->noio);
}

bool diff_io_in_scope(void)
{
	struct hlist_head *head = diff_io_scope_head(current);
	struct diff_io_scope *scope;
	bool found = false;

	/* A task sees its own entry without the lock; others do not matter. */
	if (likely(!READ_ONCE(head->first)))
		return false;

	spin_lock(&diff_io_scope_lock);
	hlist_for_each_entry(scope, head, link)
		found |= scope->task == current;
	spin_unlock(&diff_io_scope_lock);
	return found;
}
