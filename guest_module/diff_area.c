// SPDX-License-Identifier: GPL-2.0
/*
 * The difference area of one original.
 *
 * Context: copying runs in the context of the writer, in the filter's callback,
 * and may find itself inside a stacked driver; reading for such writers and all
 * writing to the storage is done by work items. Completions run in any context.
 * Nothing here waits for memory that could only be had by writing to an original.
 *
 * Locking: the lock of the chunks and queue_lock, never both; no lock is held
 * while waiting.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-diff-area: " fmt

#include <linux/blkdev.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/slab.h>

#include <linux/blksnap.h>

#include "account.h"
#include "chunk.h"
#include "diff_area.h"
#include "event_queue.h"
#include "fault.h"
#include "params.h"

/*
 * Two queues: a read waits for nobody's store, so that a store that hangs does
 * not keep those from going on who only wait for a read. Rescuers, since both
 * may be needed to free memory.
 */
static struct workqueue_struct *diff_area_load_queue;
static struct workqueue_struct *diff_area_store_queue;

int diff_area_init(void)
{
	diff_area_load_queue = alloc_workqueue("blksnap-load",
					       WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!diff_area_load_queue)
		return -ENOMEM;
	diff_area_store_queue = alloc_workqueue("blksnap-store",
						WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!diff_area_store_queue) {
		destroy_workqueue(diff_area_load_queue);
		return -ENOMEM;
	}
	return 0;
}

void diff_area_done(void)
{
	destroy_workqueue(diff_area_store_queue);
	destroy_workqueue(diff_area_load_queue);
}

/* ---- Work ---- */

static void diff_area_enqueue(struct diff_area *area, struct list_head *list,
			      struct diff_buffer *buffer)
{
	unsigned long flags;

	spin_lock_irqsave(&area->queue_lock, flags);
	list_add_tail(&buffer->link, list);
	spin_unlock_irqrestore(&area->queue_lock, flags);
}

/*
 * The work items may still be running when the last chunk is done with the area;
 * diff_area_free() waits for them.
 */
void diff_area_queue_load(struct diff_area *area, struct diff_buffer *buffer)
{
	diff_area_enqueue(area, &area->loads, buffer);
	queue_work(diff_area_load_queue, &area->load_work);
}

void diff_area_queue_store(struct diff_area *area, struct diff_buffer *buffer)
{
	/* The last reference may go with the store, before queue_work() ends. */
	diff_area_get(area);
	diff_area_enqueue(area, &area->stores, buffer);
	queue_work(diff_area_store_queue, &area->store_work);
	diff_area_put(area);
}

static void diff_area_dequeue(struct diff_area *area, struct list_head *from,
			      struct list_head *to)
{
	spin_lock_irq(&area->queue_lock);
	list_splice_tail_init(from, to);
	spin_unlock_irq(&area->queue_lock);
}

static void diff_area_load_all(struct work_struct *work)
{
	struct diff_area *area = container_of(work, struct diff_area,
					      load_work);
	struct diff_buffer *buffer, *next;
	struct blk_plug plug;
	LIST_HEAD(loads);

	diff_area_dequeue(area, &area->loads, &loads);
	blk_start_plug(&plug);
	list_for_each_entry_safe(buffer, next, &loads, link)
		chunk_load(buffer);
	blk_finish_plug(&plug);
}

static void diff_area_store_all(struct work_struct *work)
{
	struct diff_area *area = container_of(work, struct diff_area,
					      store_work);
	struct diff_buffer *buffer, *next;
	struct diff_io_scope scope;
	struct blk_plug plug;
	LIST_HEAD(stores);

	diff_area_dequeue(area, &area->stores, &stores);
	diff_io_scope_enter(&scope);
	blk_start_plug(&plug);
	list_for_each_entry_safe(buffer, next, &stores, link)
		chunk_store(buffer);
	blk_finish_plug(&plug);
	diff_io_scope_leave(&scope);

	diff_buffer_pool_trim(&area->pool);
}

/* ---- Life ---- */

static int diff_area_make_event(struct diff_area *area)
{
	struct blk_snap_event_corrupted data = {
		.orig_dev_id = {
			.mj = MAJOR(area->dev),
			.mn = MINOR(area->dev),
		},
	};

	area->spoiled_event = event_alloc(GFP_KERNEL,
					  blk_snap_event_code_corrupted,
					  &data, sizeof(data));
	return area->spoiled_event ? 0 : -ENOMEM;
}

/* Size, chunks and buffers, for the device that is open now. */
static int diff_area_measure(struct diff_area *area)
{
	struct block_device *bdev = area->original.bdev;
	unsigned int block = bdev_logical_block_size(bdev);
	struct params params;

	params_read(&params);
	area->capacity = compat_bdev_sectors(bdev);
	area->block_sectors = block >> SECTOR_SHIFT;
	/* Chunks are of whole blocks, which may have 64 KiB since 6.15. */
	area->chunk_shift = chunk_shift_choose(area->capacity,
					       max(params.chunk_minimum_shift,
						   (u32)ilog2(block)),
					       params.chunk_maximum_shift,
					       params.chunk_maximum_count);
	/* Chunks are numbered by an unsigned long. */
	if (!area->capacity ||
	    chunk_count_of(area->capacity, area->chunk_shift) > ULONG_MAX)
		return area->capacity ? -EFBIG : -ENXIO;
	pr_debug("chunks of %lu bytes for %u:%u\n", 1UL << area->chunk_shift,
		 MAJOR(area->dev), MINOR(area->dev));
	return diff_buffer_pool_init(&area->pool, area->chunk_shift, &params);
}

struct diff_area *diff_area_new(dev_t dev, const atomic64_t *smallest,
				struct diff_storage *storage,
				struct event_queue *events)
{
	struct diff_area *area;
	int ret;

	if (fault_at(fault_area_new))
		return ERR_PTR(-ENOMEM);
	area = account_zalloc(account_diff_area, sizeof(*area), GFP_KERNEL);
	if (!area)
		return ERR_PTR(-ENOMEM);
	refcount_set(&area->users, 1);
	init_completion(&area->unused);
	xa_init_flags(&area->chunks, XA_FLAGS_LOCK_IRQ);
	spin_lock_init(&area->queue_lock);
	INIT_LIST_HEAD(&area->loads);
	INIT_LIST_HEAD(&area->stores);
	INIT_WORK(&area->load_work, diff_area_load_all);
	INIT_WORK(&area->store_work, diff_area_store_all);
	area->dev = dev;
	area->smallest = smallest;
	area->storage = storage;
	area->events = events;

	ret = diff_area_make_event(area);
	if (ret)
		goto out_free;
	ret = compat_bdev_open(&area->original, dev);
	if (ret)
		goto out_event;
	area->since = compat_bdev_since(area->original.bdev);
	ret = diff_area_measure(area);
	if (ret)
		goto out_close;
	return area;

out_close:
	compat_bdev_close(&area->original);
out_event:
	event_free(area->spoiled_event);
out_free:
	account_free(account_diff_area, area, sizeof(*area));
	return ERR_PTR(ret);
}

void diff_area_put(struct diff_area *area)
{
	if (refcount_dec_and_test(&area->users))
		complete(&area->unused);
}

void diff_area_free(struct diff_area *area)
{
	diff_area_put(area);
	wait_for_completion(&area->unused);
	/* Whoever held the last reference may be a work item, at its end. */
	flush_work(&area->load_work);
	flush_work(&area->store_work);

	chunk_free_all(area);
	diff_buffer_pool_done(&area->pool);
	compat_bdev_close(&area->original);
	if (area->spoiled_event)
		event_free(area->spoiled_event);
	account_free(account_diff_area, area, sizeof(*area));
}

void diff_area_give_up(struct diff_area *area)
{
	cmpxchg(&area->error, 0, -ESHUTDOWN);
	wake_up_all(&area->pool.wait);
}

void diff_area_spoil(struct diff_area *area, int error)
{
	struct blk_snap_event_corrupted *data;
	struct event *event;

	if (cmpxchg(&area->error, 0, error))
		return;
	wake_up_all(&area->pool.wait);

	pr_err("image of %u:%u is spoiled: error %d\n", MAJOR(area->dev),
	       MINOR(area->dev), -error);
	event = area->spoiled_event;
	area->spoiled_event = NULL;
	data = (struct blk_snap_event_corrupted *)event->data;
	data->err_code = -error;
	event_post(area->events, event);
}

/* ---- Writing to the original ---- */

static struct chunk_span diff_area_span(const struct diff_area *area,
					sector_t sector, sector_t count)
{
	return chunk_span_of(area->capacity, area->chunk_shift, sector, count);
}

/*
 * Start all copies of a range. The number under way is limited by the buffers,
 * for which each start may wait. Return: 0, the error of the area.
 */
static int diff_area_start(struct diff_area *area, struct chunk_span span)
{
	u64 i;
	int ret;

	for (i = 0; i < span.count; i++) {
		ret = diff_area_error(area);
		if (!ret)
			ret = chunk_copy_start(area, span.first + i);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}

void diff_area_copy(struct diff_area *area, sector_t sector, sector_t count)
{
	struct chunk_span span = diff_area_span(area, sector, count);
	u64 i;

	if (diff_area_start(area, span))
		return;
	for (i = 0; i < span.count && !diff_area_error(area); i++) {
		chunk_wait_safe(area, span.first + i);
		cond_resched();
	}
}

bool diff_area_is_safe(struct diff_area *area, sector_t sector, sector_t count)
{
	struct chunk_span span = diff_area_span(area, sector, count);
	u64 i;

	for (i = 0; i < span.count && !diff_area_error(area); i++)
		if (!chunk_is_safe(area, span.first + i))
			return false;
	return true;
}

/* ---- Writing to the image ---- */

int diff_area_store(struct diff_area *area, sector_t sector, sector_t count)
{
	struct chunk_span span = diff_area_span(area, sector, count);
	int ret = diff_area_start(area, span);
	u64 i;

	for (i = 0; i < span.count && !ret; i++)
		ret = chunk_wait_stored(area, span.first + i);
	return ret;
}
