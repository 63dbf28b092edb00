// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers that hold the old data of a chunk on its way to the storage.
 *
 * Context: getting may sleep; giving back may happen in an interrupt (at the end
 * of a store), so a buffer that comes back only goes to the list of idle ones,
 * and memory is freed later, in process context.
 *
 * Locking: the pool's spinlock, with interrupts off.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-diff-buffer: " fmt

#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "account.h"
#include "chunk_core.h"
#include "compat_bio.h"
#include "diff_buffer.h"
#include "fault.h"
#include "params.h"

/* The storage is taken for dead if no store at all ends for this long. */
#define DIFF_BUFFER_PATIENCE (60 * HZ)
/* Of the largest pieces: 256 KiB with pages of 4 KiB. */
#define DIFF_BUFFER_ORDER 6

static size_t diff_buffer_bytes(const struct diff_buffer *buffer)
{
	return struct_size(buffer, pieces, buffer->count) +
	       ((size_t)buffer->count << buffer->piece_shift);
}

static void diff_buffer_free_pieces(struct diff_buffer *buffer,
				    unsigned int count)
{
	while (count--)
		__free_pages(buffer->pieces[count],
			     buffer->piece_shift - PAGE_SHIFT);
}

static void diff_buffer_free(struct diff_buffer *buffer)
{
	account_sub(account_diff_buffer, diff_buffer_bytes(buffer));
	diff_buffer_free_pieces(buffer, buffer->count);
	kvfree(buffer);
}

static struct diff_buffer *diff_buffer_of_order(struct diff_buffer_pool *pool,
						unsigned int order, gfp_t gfp)
{
	unsigned int shift = PAGE_SHIFT + order;
	unsigned int count = DIV_ROUND_UP(pool->size, (size_t)1 << shift);
	struct diff_buffer *buffer;
	unsigned int i;

	buffer = kvzalloc(struct_size(buffer, pieces, count), gfp);
	if (!buffer)
		return NULL;
	buffer->pool = pool;
	buffer->piece_shift = shift;
	gfp |= __GFP_ZERO | __GFP_HIGHMEM | (order ? __GFP_COMP : 0);
	for (i = 0; i < count; i++) {
		buffer->pieces[i] = alloc_pages(gfp, order);
		if (!buffer->pieces[i]) {
			diff_buffer_free_pieces(buffer, i);
			kvfree(buffer);
			return NULL;
		}
	}
	buffer->count = count;
	account_add(account_diff_buffer, diff_buffer_bytes(buffer));
	return buffer;
}

/* Only what lies ready: no reclaim for it, and nothing of what reclaim lives on. */
static gfp_t diff_buffer_gfp_large(gfp_t gfp)
{
	return (gfp & ~__GFP_RECLAIM) | __GFP_NOMEMALLOC | __GFP_NOWARN;
}

/*
 * Of a few large pieces, if they lie ready; else of pages. Large ones cost less
 * to allocate, to put into bios and to hand to the device.
 */
static struct diff_buffer *diff_buffer_alloc(struct diff_buffer_pool *pool,
					     gfp_t gfp)
{
	unsigned int order = min(get_order(pool->size), DIFF_BUFFER_ORDER);
	struct diff_buffer *buffer = NULL;

	if (order && !fault_at(fault_buffer_large))
		buffer = diff_buffer_of_order(pool, order,
					      diff_buffer_gfp_large(gfp));
	return buffer ?: diff_buffer_of_order(pool, 0, gfp);
}

static void diff_buffer_give(struct diff_buffer_pool *pool,
			     struct diff_buffer *buffer)
{
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	list_add(&buffer->link, &pool->idle);
	WRITE_ONCE(pool->idle_count, pool->idle_count + 1);
	WRITE_ONCE(pool->returned, pool->returned + 1);
	/* With the lock held: once it is free, the pool may go. */
	wake_up(&pool->wait);
	spin_unlock_irqrestore(&pool->lock, flags);
}

int diff_buffer_pool_init(struct diff_buffer_pool *pool, u32 chunk_shift,
			  const struct params *params)
{
	u32 shift = chunk_buffer_shift(chunk_shift);
	u32 reserve = chunk_buffer_reserve(shift);

	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->idle);
	init_waitqueue_head(&pool->wait);
	pool->idle_count = 0;
	pool->total = 0;
	atomic_set(&pool->loading, 0);
	pool->returned = 0;
	pool->size = (size_t)1 << shift;
	pool->limit = chunk_buffer_limit(shift, params->chunk_maximum_in_cache);
	pool->keep = max(reserve, params->free_diff_buffer_pool_size);

	while (pool->total < reserve) {
		struct diff_buffer *buffer = diff_buffer_alloc(pool, GFP_KERNEL);

		if (!buffer) {
			diff_buffer_pool_done(pool);
			return -ENOMEM;
		}
		pool->total++;
		diff_buffer_give(pool, buffer);
	}
	return 0;
}

static void diff_buffer_pool_shrink(struct diff_buffer_pool *pool, u32 keep)
{
	struct diff_buffer *buffer, *next;
	LIST_HEAD(surplus);

	spin_lock_irq(&pool->lock);
	while (pool->idle_count > keep) {
		list_move(pool->idle.next, &surplus);
		WRITE_ONCE(pool->idle_count, pool->idle_count - 1);
		pool->total--;
	}
	spin_unlock_irq(&pool->lock);

	list_for_each_entry_safe(buffer, next, &surplus, link)
		diff_buffer_free(buffer);
}

void diff_buffer_pool_trim(struct diff_buffer_pool *pool)
{
	if (READ_ONCE(pool->idle_count) > pool->keep)
		diff_buffer_pool_shrink(pool, pool->keep);
}

void diff_buffer_pool_done(struct diff_buffer_pool *pool)
{
	diff_buffer_pool_shrink(pool, 0);
	WARN_ON(pool->total);
}

/* One that lies idle; or leave to make another, by counting it already. */
static struct diff_buffer *diff_buffer_take_idle(struct diff_buffer_pool *pool,
						 bool *may_alloc)
{
	struct diff_buffer *buffer;

	spin_lock_irq(&pool->lock);
	buffer = list_first_entry_or_null(&pool->idle, struct diff_buffer, link);
	if (buffer) {
		list_del_init(&buffer->link);
		WRITE_ONCE(pool->idle_count, pool->idle_count - 1);
	}
	*may_alloc = !buffer && pool->total < pool->limit;
	if (*may_alloc)
		pool->total++;
	spin_unlock_irq(&pool->lock);
	return buffer;
}

static struct diff_buffer *diff_buffer_try_get(struct diff_buffer_pool *pool)
{
	struct diff_buffer *buffer;
	unsigned int noio;
	bool may_alloc;

	buffer = diff_buffer_take_idle(pool, &may_alloc);
	if (!may_alloc)
		return buffer;

	/*
	 * Others are in use and will come back: no need to try hard, nor, if
	 * the writer is freeing memory, to take of what that goes on with.
	 */
	noio = memalloc_noio_save();
	buffer = diff_buffer_alloc(pool, GFP_KERNEL | __GFP_NORETRY |
					 __GFP_NOWARN | __GFP_NOMEMALLOC);
	memalloc_noio_restore(noio);
	if (!buffer) {
		spin_lock_irq(&pool->lock);
		pool->total--;
		spin_unlock_irq(&pool->lock);
	}
	return buffer;
}

/* Are there buffers in use that are not the original's to fill? */
static bool diff_buffer_any_stored(struct diff_buffer_pool *pool)
{
	bool any;

	spin_lock_irq(&pool->lock);
	any = pool->total - pool->idle_count > atomic_read(&pool->loading);
	spin_unlock_irq(&pool->lock);
	return any;
}

/*
 * Is there any hope in waiting on? There is if it is the original that does not
 * answer: what is written there waits as well. Looked at twice, as it may just have
 * answered, and nothing had been stored before.
 */
static int diff_buffer_sleep(struct diff_buffer_pool *pool, const int *error)
{
	unsigned long returned = READ_ONCE(pool->returned);
	bool stored = diff_buffer_any_stored(pool);
	DEFINE_WAIT(wait);
	long left = 1;

	prepare_to_wait_exclusive(&pool->wait, &wait, TASK_UNINTERRUPTIBLE);
	if (!READ_ONCE(*error) && !READ_ONCE(pool->idle_count))
		left = io_schedule_timeout(DIFF_BUFFER_PATIENCE);
	finish_wait(&pool->wait, &wait);

	if (!left && returned == READ_ONCE(pool->returned) && stored &&
	    diff_buffer_any_stored(pool))
		return -ETIMEDOUT;
	return 0;
}

struct diff_buffer *diff_buffer_get(struct diff_buffer_pool *pool,
				    const int *error)
{
	struct diff_buffer *buffer;
	int ret = fault_at(fault_buffer_get) ? -ENOMEM : 0;

	for (;;) {
		if (!ret)
			ret = READ_ONCE(*error);
		if (ret)
			break;
		buffer = diff_buffer_try_get(pool);
		if (buffer) {
			refcount_set(&buffer->refs, 1);
			buffer->chunk = NULL;
			return buffer;
		}
		ret = diff_buffer_sleep(pool, error);
	}
	/* A wake-up that this waiter got and does not use is the next one's. */
	wake_up(&pool->wait);
	return ERR_PTR(ret);
}

void diff_buffer_load(struct diff_buffer *buffer)
{
	atomic_inc(&buffer->pool->loading);
}

void diff_buffer_loaded(struct diff_buffer *buffer)
{
	atomic_dec(&buffer->pool->loading);
}

void diff_buffer_put(struct diff_buffer *buffer)
{
	if (buffer && refcount_dec_and_test(&buffer->refs))
		diff_buffer_give(buffer->pool, buffer);
}

/* The bytes from @offset to the end of their page: at most *@length. */
static void *diff_buffer_map(const struct diff_buffer *buffer, size_t offset,
			     size_t *length)
{
	size_t in_page = offset_in_page(offset);
	size_t in_piece = offset & (((size_t)1 << buffer->piece_shift) - 1);
	struct page *piece = buffer->pieces[offset >> buffer->piece_shift];

	*length = min_t(size_t, *length, PAGE_SIZE - in_page);
	return kmap_local_page(piece + (in_piece >> PAGE_SHIFT)) + in_page;
}

void diff_buffer_zero(struct diff_buffer *buffer, size_t from, size_t to)
{
	while (from < to) {
		size_t length = to - from;
		void *bytes = diff_buffer_map(buffer, from, &length);

		memset(bytes, 0, length);
		kunmap_local(bytes);
		from += length;
	}
}

void diff_buffer_read(const struct diff_buffer *buffer, size_t offset, void *to,
		      size_t length)
{
	while (length) {
		size_t piece = length;
		void *bytes = diff_buffer_map(buffer, offset, &piece);

		memcpy(to, bytes, piece);
		kunmap_local(bytes);
		to += piece;
		offset += piece;
		length -= piece;
	}
}

void diff_buffer_write(struct diff_buffer *buffer, size_t offset,
		       const void *from, size_t length)
{
	while (length) {
		size_t piece = length;
		void *bytes = diff_buffer_map(buffer, offset, &piece);

		memcpy(bytes, from, piece);
		kunmap_local(bytes);
		from += piece;
		offset += piece;
		length -= piece;
	}
}
