/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buffers that hold the old data of a chunk on its way to the storage.
 *
 * Each difference area has a pool of its own: some buffers exist from the start,
 * so that copying goes on when no memory can be had; there is an upper limit,
 * so that one huge discard cannot take all memory; and whoever finds the limit
 * reached waits for a buffer to come back.
 *
 * A buffer that is in use needs no other one to come back, also if its chunk has
 * more parts than there are buffers. So one is enough for any chunk.
 */
#ifndef BLKSNAP_DIFF_BUFFER_H
#define BLKSNAP_DIFF_BUFFER_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct chunk;
struct diff_buffer_pool;
struct page;
struct params;

/**
 * struct diff_buffer - Memory for a chunk or a part of one, and the state of its
 * transfer.
 * @link: In the pool, or in a list of the area's work; the owner's lock.
 * @pool: Where it comes from.
 * @chunk: What it holds; set once by who got it.
 * @first: From which sector of the chunk on; likewise.
 * @next: Another one of the chunk; the chunk's lock.
 * @refs: The chunk's, and one for each reader that copies from it.
 * @pending: Bios under way, and one while they are being submitted.
 * @error: First error of the transfer, negative errno.
 * @done: Called when the transfer is complete; any context.
 * @piece_shift: log2 of the size of a piece, bytes: at least a page.
 * @count: Number of pieces.
 * @pieces: The memory.
 */
struct diff_buffer {
	struct list_head link;
	struct diff_buffer_pool *pool;
	struct chunk *chunk;
	sector_t first;
	struct diff_buffer *next;
	refcount_t refs;
	atomic_t pending;
	int error;
	void (*done)(struct diff_buffer *buffer);
	u8 piece_shift;
	unsigned int count;
	struct page *pieces[];
};

/**
 * struct diff_buffer_pool - The buffers of a difference area.
 * @lock: Protects all that follows but @loading; taken in interrupts too.
 * @idle: Buffers not in use.
 * @idle_count: Number of those.
 * @total: Number of all.
 * @limit: Most there may be.
 * @keep: Most that may lie idle.
 * @loading: Number of those that the original fills.
 * @returned: Counts buffers that came back: a sign of progress.
 * @size: Bytes of a buffer.
 * @wait: Who waits for a buffer, first come first served.
 */
struct diff_buffer_pool {
	spinlock_t lock;
	struct list_head idle;
	u32 idle_count;
	u32 total;
	u32 limit;
	u32 keep;
	atomic_t loading;
	unsigned long returned;
	size_t size;
	wait_queue_head_t wait;
};

/* Makes the reserve; may sleep. Return: 0, -ENOMEM. */
int diff_buffer_pool_init(struct diff_buffer_pool *pool, u32 chunk_shift,
			  const struct params *params);
/* All buffers have come back. Sleeps not. */
void diff_buffer_pool_done(struct diff_buffer_pool *pool);
/* Free what lies idle beyond the limit; process context. */
void diff_buffer_pool_trim(struct diff_buffer_pool *pool);

/*
 * Get a buffer, waiting for one if need be, uninterruptible. @error is looked
 * at while waiting: not zero ends it (wake up pool->wait after setting it).
 *
 * Return: a buffer with one reference; ERR_PTR of @error, or of -ETIMEDOUT if
 * not a single buffer came back for a long time: then the storage hangs. Not while
 * all of them wait for reads of the original.
 */
struct diff_buffer *diff_buffer_get(struct diff_buffer_pool *pool,
				    const int *error);
/* The original begins to fill it, and ends; any context. */
void diff_buffer_load(struct diff_buffer *buffer);
void diff_buffer_loaded(struct diff_buffer *buffer);
/* Any context. NULL is nothing. */
void diff_buffer_put(struct diff_buffer *buffer);

void diff_buffer_zero(struct diff_buffer *buffer, size_t from, size_t to);
void diff_buffer_read(const struct diff_buffer *buffer, size_t offset, void *to,
		      size_t length);
void diff_buffer_write(struct diff_buffer *buffer, size_t offset,
		       const void *from, size_t length);

#endif /* BLKSNAP_DIFF_BUFFER_H */
