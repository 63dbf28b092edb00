// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks: copying before a write, and where a reader finds the data.
 *
 * The way of a chunk, with who moves it:
 *
 *	loading			a writer made it
 *	loading -> in_memory	completion of the last read; the writer may go on
 *	in_memory -> stored	completion of the last write to the storage
 *
 * A chunk is one buffer, or, if it is a large one, several, which are read and
 * stored independently, the first ones maybe stored while others still wait for
 * a buffer. Each holds a reference on the area.
 *
 * An image reader of a chunk that was not written to, or is loading, reads from
 * the original. No writer waits for that: the reader looks afterwards whether one
 * may have overtaken it, and reads the copy then.
 *
 * A chunk is made by the first write to it, and stays till the area is freed.
 *
 * Context: starting and waiting in process context, the rest in any.
 *
 * Locking: the lock of area->chunks, with interrupts off. Lookup needs none.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-chunk: " fmt

#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "account.h"
#include "chunk.h"
#include "diff_area.h"

/* The bound of memory in README.md counts on these. */
static_assert(sizeof(struct chunk) <= 64);
static_assert(sizeof(struct diff_extent) <= 24);

/* ---- States ---- */

static const u8 chunk_may_follow[] = {
	[chunk_loading] = BIT(chunk_in_memory) | BIT(chunk_failed),
	[chunk_in_memory] = BIT(chunk_stored) | BIT(chunk_failed),
	[chunk_stored] = 0,
	[chunk_failed] = 0,
};

static void chunk_set_state(struct chunk *chunk, enum chunk_state state)
{
	lockdep_assert_held(&chunk->area->chunks.xa_lock);
	WARN_ON_ONCE(!(chunk_may_follow[chunk->state] & BIT(state)));
	/* Pairs with chunk_state(): the region is seen as it is. */
	smp_store_release(&chunk->state, state);
}

static enum chunk_state chunk_state(const struct chunk *chunk)
{
	/* Pairs with chunk_set_state(). */
	return smp_load_acquire(&chunk->state);
}

static void chunk_wake(struct chunk *chunk)
{
	/* The state is visible before the look for waiters. */
	smp_mb();
	wake_up_var(chunk);
}

static bool chunk_may_overwrite(const struct chunk *chunk)
{
	return chunk_state(chunk) >= chunk_in_memory;
}

static bool chunk_is_settled(const struct chunk *chunk)
{
	return chunk_state(chunk) >= chunk_stored;
}

static sector_t chunk_sectors(const struct chunk *chunk)
{
	const struct diff_area *area = chunk->area;

	return chunk_sectors_of(area->capacity, area->chunk_shift,
				chunk->number);
}

/* Of the part that begins at @first: what goes into one buffer. */
static sector_t chunk_part_sectors(const struct chunk *chunk, sector_t first)
{
	return min(chunk_sectors(chunk) - first,
		   diff_area_part_sectors(chunk->area));
}

/* Does it lie in the first @size sectors of the device? */
static bool chunk_part_in(const struct chunk *chunk, sector_t first,
			  sector_t size)
{
	u32 shift = chunk->area->chunk_shift;

	return chunk_range_present(size,
				   chunk_first_sector(shift, chunk->number) +
					   first,
				   chunk_part_sectors(chunk, first));
}

/* ---- Objects ---- */

static void chunk_discard(struct chunk *chunk)
{
	account_free(account_chunk, chunk, sizeof(*chunk));
}

struct chunk *chunk_find(struct diff_area *area, unsigned long number)
{
	return xa_load(&area->chunks, number);
}

bool chunk_is_safe(struct diff_area *area, unsigned long number)
{
	struct chunk *chunk = chunk_find(area, number);

	return chunk && chunk_may_overwrite(chunk);
}

void chunk_free_all(struct diff_area *area)
{
	struct chunk *chunk;
	unsigned long number;

	xa_for_each(&area->chunks, number, chunk) {
		WARN_ON_ONCE(chunk->buffers);
		diff_region_free(&chunk->region);
		chunk_discard(chunk);
		cond_resched();
	}
	xa_destroy(&area->chunks);
}

/* ---- Copying ---- */

/* The copy failed. The area is not gone before this returns. */
static void chunk_fail(struct chunk *chunk, int error)
{
	struct diff_area *area = chunk->area;
	unsigned long flags;

	/* First: who sees a failed chunk must find the area spoiled. */
	diff_area_spoil(area, error);

	xa_lock_irqsave(&area->chunks, flags);
	if (chunk->state != chunk_failed)
		chunk_set_state(chunk, chunk_failed);
	xa_unlock_irqrestore(&area->chunks, flags);
	chunk_wake(chunk);
}

static void chunk_unlink(struct chunk *chunk, struct diff_buffer *buffer)
{
	struct diff_buffer **place = &chunk->buffers;

	lockdep_assert_held(&chunk->area->chunks.xa_lock);
	while (*place != buffer)
		place = &(*place)->next;
	*place = buffer->next;
}

/*
 * A buffer is stored, or not needed any more. With the last one all is stored,
 * unless something failed. The chunk may be gone after this.
 */
static void chunk_buffer_done(struct diff_buffer *buffer)
{
	struct chunk *chunk = buffer->chunk;
	struct diff_area *area = chunk->area;
	unsigned long flags;
	bool stored;

	xa_lock_irqsave(&area->chunks, flags);
	chunk_unlink(chunk, buffer);
	stored = chunk->state == chunk_in_memory && !chunk->buffers;
	if (stored)
		chunk_set_state(chunk, chunk_stored);
	xa_unlock_irqrestore(&area->chunks, flags);

	if (stored)
		chunk_wake(chunk);
	diff_buffer_put(buffer);
	diff_area_put(area);
}

static void chunk_stored_done(struct diff_buffer *buffer)
{
	if (buffer->error)
		chunk_fail(buffer->chunk, buffer->error);
	chunk_buffer_done(buffer);
}

void chunk_store(struct diff_buffer *buffer)
{
	struct chunk *chunk = buffer->chunk;
	int error = diff_area_error(chunk->area);

	if (error) {
		chunk_fail(chunk, error);
		chunk_buffer_done(buffer);
		return;
	}
	diff_io_begin(buffer, chunk_stored_done);
	diff_io_part(buffer, diff_region_extents(&chunk->region), buffer->first,
		     chunk_storage_sectors(chunk_part_sectors(chunk,
							      buffer->first)),
		     REQ_OP_WRITE | REQ_SYNC);
	/* The chunk may be gone after this. */
	diff_io_finish(buffer);
}

static void chunk_loaded_done(struct diff_buffer *buffer)
{
	struct chunk *chunk = buffer->chunk;
	struct diff_area *area = chunk->area;
	int error = buffer->error ?: diff_area_error(area);
	unsigned long flags;
	bool last;

	diff_buffer_loaded(buffer);
	if (!error && (diff_area_original_changed(area) ||
		       !chunk_part_in(chunk, buffer->first,
				      diff_area_kept(area))))
		error = -EIO;
	if (error) {
		chunk_fail(chunk, error);
		chunk_buffer_done(buffer);
		return;
	}
	xa_lock_irqsave(&area->chunks, flags);
	last = !--chunk->loads && chunk->state == chunk_loading;
	if (last)
		chunk_set_state(chunk, chunk_in_memory);
	xa_unlock_irqrestore(&area->chunks, flags);

	if (last)
		chunk_wake(chunk);
	diff_area_queue_store(area, buffer);
}

/* Sectors of a part that can be read: a device may end within a block. */
static sector_t chunk_part_readable(const struct chunk *chunk, sector_t first)
{
	return round_down(chunk_part_sectors(chunk, first),
			  chunk->area->block_sectors);
}

void chunk_load(struct diff_buffer *buffer)
{
	struct chunk *chunk = buffer->chunk;
	struct diff_area *area = chunk->area;
	struct diff_extent extent = {
		.bdev = area->original.bdev,
		.sector = chunk_first_sector(area->chunk_shift, chunk->number) +
			  buffer->first,
		.count = chunk_part_readable(chunk, buffer->first),
	};

	diff_io_begin(buffer, chunk_loaded_done);
	/* What the device lost by shrinking is not there to be saved. */
	if (chunk_part_in(chunk, buffer->first, diff_area_present(area)))
		diff_io_load(buffer, &extent);
	else
		buffer->error = -EIO;
	diff_io_finish(buffer);
}

/* A buffer for the part of the chunk that begins at @first, its tail zeroed. */
static struct diff_buffer *chunk_provide(struct chunk *chunk, sector_t first)
{
	struct diff_area *area = chunk->area;
	sector_t sectors = chunk_part_sectors(chunk, first);
	struct diff_buffer *buffer;

	buffer = diff_buffer_get(&area->pool, &area->error);
	if (IS_ERR(buffer))
		return buffer;
	/* Nothing from before reaches the disk behind a short last chunk. */
	diff_buffer_zero(buffer,
			 (size_t)chunk_part_readable(chunk, first) << SECTOR_SHIFT,
			 (size_t)chunk_storage_sectors(sectors) << SECTOR_SHIFT);
	buffer->chunk = chunk;
	buffer->first = first;
	diff_area_get(area);

	xa_lock_irq(&area->chunks);
	buffer->next = chunk->buffers;
	chunk->buffers = buffer;
	xa_unlock_irq(&area->chunks);
	return buffer;
}

/* Have a part of the chunk read; other parts may be stored meanwhile. */
static int chunk_copy_part(struct chunk *chunk, sector_t first)
{
	struct diff_buffer *buffer = chunk_provide(chunk, first);

	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	diff_buffer_load(buffer);
	/*
	 * Inside a stacked driver a bio would only be queued, behind the back
	 * of the one who is about to wait for it.
	 */
	if (current->bio_list)
		diff_area_queue_load(chunk->area, buffer);
	else
		chunk_load(buffer);
	return 0;
}

/* The chunk is ours to copy: we made it. */
static int chunk_copy(struct chunk *chunk)
{
	struct diff_area *area = chunk->area;
	sector_t sectors = chunk_sectors(chunk), first;
	int ret;

	chunk->loads = chunk_buffer_count(sectors, area->chunk_shift);
	ret = diff_storage_alloc(area->storage, chunk_storage_sectors(sectors),
				 &chunk->region);
	for (first = 0; !ret && first < sectors;
	     first += diff_area_part_sectors(area))
		ret = chunk_copy_part(chunk, first);
	if (ret)
		chunk_fail(chunk, ret);
	return ret;
}

/* Make a chunk, and have it copied. Return: 0, also if it was there; errno. */
static int chunk_begin(struct diff_area *area, unsigned long number)
{
	struct chunk *chunk;
	int ret = -ENOMEM;

	chunk = account_zalloc(account_chunk, sizeof(*chunk), GFP_NOIO);
	if (chunk) {
		chunk->area = area;
		chunk->number = number;
		chunk->state = chunk_loading;
		ret = xa_insert_irq(&area->chunks, number, chunk, GFP_NOIO);
		if (!ret)
			return chunk_copy(chunk);
		chunk_discard(chunk);
	}
	/* Another writer was first. */
	if (ret == -EBUSY)
		return 0;
	diff_area_spoil(area, ret);
	return ret;
}

int chunk_copy_start(struct diff_area *area, unsigned long number)
{
	unsigned int noio;
	int ret;

	if (chunk_find(area, number))
		return diff_area_error(area);

	noio = memalloc_noio_save();
	ret = chunk_begin(area, number);
	memalloc_noio_restore(noio);
	return ret ?: diff_area_error(area);
}

void chunk_wait_safe(struct diff_area *area, unsigned long number)
{
	struct chunk *chunk = chunk_find(area, number);

	if (WARN_ON_ONCE(!chunk))
		return;
	wait_var_event(chunk, chunk_may_overwrite(chunk));
}

int chunk_wait_stored(struct diff_area *area, unsigned long number)
{
	struct chunk *chunk = chunk_find(area, number);

	if (WARN_ON_ONCE(!chunk))
		return -EIO;
	wait_var_event(chunk, chunk_is_settled(chunk));
	return diff_area_error(area);
}

/* ---- Reading ---- */

static struct diff_buffer *chunk_buffer_at(const struct chunk *chunk,
					   sector_t first)
{
	struct diff_buffer *buffer = chunk->buffers;

	while (buffer && (first < buffer->first ||
			  first - buffer->first >=
				  diff_area_part_sectors(chunk->area)))
		buffer = buffer->next;
	return buffer;
}

static int chunk_view_of(struct chunk *chunk, sector_t first,
			 struct chunk_view *view)
{
	lockdep_assert_held(&chunk->area->chunks.xa_lock);
	view->chunk = chunk;
	switch ((enum chunk_state)chunk->state) {
	case chunk_loading:
		view->source = chunk_from_original;
		return 0;
	case chunk_in_memory:
		view->buffer = chunk_buffer_at(chunk, first);
		if (view->buffer) {
			view->source = chunk_from_buffer;
			refcount_inc(&view->buffer->refs);
			return 0;
		}
		/* This part of it is stored already. */
		fallthrough;
	case chunk_stored:
		view->source = chunk_from_storage;
		return 0;
	case chunk_failed:
		break;
	}
	return -EIO;
}

int chunk_view_get(struct diff_area *area, unsigned long number, sector_t first,
		   struct chunk_view *view)
{
	struct chunk *chunk = chunk_find(area, number);
	int ret;

	if (!chunk) {
		view->source = chunk_from_original;
		return 0;
	}
	xa_lock_irq(&area->chunks);
	ret = chunk_view_of(chunk, first, view);
	xa_unlock_irq(&area->chunks);
	return ret;
}
