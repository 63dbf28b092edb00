/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The difference area: what makes the state of one original at one take
 * readable, for as long as the snapshot is held.
 *
 * It knows which chunks have been copied, where to, and copies others before
 * they are written. If that fails the area is spoiled: nothing is copied any
 * more, writes go on, and the image cannot be read from then on.
 */
#ifndef BLKSNAP_DIFF_AREA_H
#define BLKSNAP_DIFF_AREA_H

#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "chunk_core.h"
#include "compat.h"
#include "compat_bdev.h"
#include "compat_bio.h"
#include "diff_buffer.h"

struct diff_storage;
struct event;
struct event_queue;

/**
 * struct diff_area - The difference area of one original.
 * @users: The snapshot, each write being made safe, each buffer on its way to
 *	the storage, each request of image I/O to what lies below.
 * @unused: The last of them is gone.
 * @original: The device, open.
 * @dev: Its number.
 * @since: When its disk got the content that it has, see compat_bdev_since().
 * @smallest: Its smallest size since the take, or a larger one, in sectors.
 * @capacity: Its size at the take, in sectors.
 * @block_sectors: Sectors of a block of the device, which may change later.
 * @chunk_shift: log2 of the size of a chunk, bytes.
 * @chunks: By number the chunks that were written to. Its lock, taken with
 *	interrupts off, protects the states of chunks as well.
 * @pool: Buffers.
 * @storage: Where copies go; the snapshot's.
 * @events: The snapshot's.
 * @error: Not zero: spoiled (or given up, at destroy) with this negative errno.
 *	Set once.
 * @image_writes: Writes to the image on their way to the storage.
 * @spoiled_event: Made beforehand, posted when the area is spoiled.
 * @queue_lock: Protects the two lists; taken with interrupts off.
 * @loads: Buffers whose chunks are to be read, by @load_work.
 * @stores: Buffers whose chunks are to be stored, by @store_work.
 * @load_work: Reads for writers inside a stacked driver.
 * @store_work: Writes to the storage.
 */
struct diff_area {
	refcount_t users;
	struct completion unused;
	struct compat_bdev original;
	dev_t dev;
	u64 since;
	const atomic64_t *smallest;
	sector_t capacity;
	unsigned int block_sectors;
	u32 chunk_shift;
	struct xarray chunks;
	struct diff_buffer_pool pool;
	struct diff_storage *storage;
	struct event_queue *events;
	int error;
	atomic_t image_writes;
	struct event *spoiled_event;
	spinlock_t queue_lock;
	struct list_head loads;
	struct list_head stores;
	struct work_struct load_work;
	struct work_struct store_work;
};

int diff_area_init(void);
void diff_area_done(void);

/*
 * Opens the device. @smallest is its smallest size from now on, in sectors, and
 * has to last as long as the area. ERR_PTR: -ENOMEM, -EFBIG, those of opening.
 */
struct diff_area *diff_area_new(dev_t dev, const atomic64_t *smallest,
				struct diff_storage *storage,
				struct event_queue *events);
/*
 * Stop copying, silently: writers go on at once, the image is unreadable. The
 * first step of taking the area down.
 */
void diff_area_give_up(struct diff_area *area);
/* Waits for all users, then frees. No new ones can come. */
void diff_area_free(struct diff_area *area);

static inline void diff_area_get(struct diff_area *area)
{
	refcount_inc(&area->users);
}

void diff_area_put(struct diff_area *area);	/* any context */

static inline int diff_area_error(const struct diff_area *area)
{
	return READ_ONCE(area->error);
}

/*
 * Has the disk got another medium, or a loop device another file? What writes
 * do to that nobody tells; but the number changes first.
 */
static inline bool diff_area_original_changed(const struct diff_area *area)
{
	return compat_bdev_since(area->original.bdev) != area->since;
}

/*
 * How much of the original has been there all the time since the take, as far as
 * its driver told? What it lost by being smaller does not come back when it grows.
 * To be asked after a read, in any context.
 */
static inline sector_t diff_area_kept(const struct diff_area *area)
{
	return min_t(u64, area->capacity, atomic64_read(area->smallest));
}

/* And how much of that is there now? To be asked before a read. */
static inline sector_t diff_area_present(const struct diff_area *area)
{
	return min(diff_area_kept(area),
		   compat_bdev_sectors(area->original.bdev));
}

/* Sectors of a chunk that go into one buffer. */
static inline sector_t diff_area_part_sectors(const struct diff_area *area)
{
	return area->pool.size >> SECTOR_SHIFT;
}

/* Any context. The first error counts; it is logged and told as an event. */
void diff_area_spoil(struct diff_area *area, int error);

/* Lists of work for the chunks; any context. */
void diff_area_queue_load(struct diff_area *area, struct diff_buffer *buffer);
void diff_area_queue_store(struct diff_area *area, struct diff_buffer *buffer);

/*
 * Make the old data of a range safe, before it is written. Sleeps, not to be
 * interrupted; returns when writing may go on, whatever happened. The range is
 * clipped to the size at the take.
 */
void diff_area_copy(struct diff_area *area, sector_t sector, sector_t count);
/* Is it safe already? Does not sleep. */
bool diff_area_is_safe(struct diff_area *area, sector_t sector, sector_t count);

/*
 * Have the chunks of a range in the storage, before the image is written there.
 * Sleeps. Return: 0, or the error of the area.
 */
int diff_area_store(struct diff_area *area, sector_t sector, sector_t count);

#endif /* BLKSNAP_DIFF_AREA_H */
