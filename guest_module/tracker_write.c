// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to a write to an original.
 *
 * Each write is marked in the CBT map, is counted until it ends, and, while a
 * snapshot is held, waits until the old data is safe. A write that is under way
 * at a take was marked for that take, but may come too late for the image. At
 * its end it is marked again, for the next take.
 *
 * To learn of its end, the bio's completion is replaced. A bio may be replaced
 * several times: by the trackers of a partition and its disk, by those of the
 * devices of a stack. A bio that comes back to the same tracker (the remainder
 * of a split, the block layer's own retry) is known and passes: all of it was
 * treated when it came first, for the epoch that it belongs to. So is the part
 * that was split off, which some drivers submit again (NVMe for another path,
 * RAID 10 a discard): it ends its parent, which is known, or the module's own.
 * Waiting then could not be done safely, with the driver in the middle of its
 * work.
 *
 * Context: the callback in process context; completion in any.
 *
 * Locking: the switch lock, shared and for a moment; never over I/O.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-tracker: " fmt

#include <linux/mempool.h>

#include "account.h"
#include "cbt_map.h"
#include "compat_bio.h"
#include "diff_area.h"
#include "diff_io.h"
#include "fault.h"
#include "tracker_impl.h"

/* Writes under way that are possible without any free memory. */
#define TRACKER_WRITES_RESERVE 1024

/**
 * struct tracker_write - A write under way.
 * @end_io: Completion of its submitter.
 * @private: Data of its submitter.
 * @epoch: Its epoch, counted.
 * @sector: First sector on the tracker's device.
 * @count: Number of sectors.
 */
struct tracker_write {
	bio_end_io_t *end_io;
	void *private;
	struct tracker_epoch *epoch;
	sector_t sector;
	sector_t count;
};

/* The bound of memory in README.md counts on it. */
static_assert(sizeof(struct tracker_write) <= 40);

static mempool_t *tracker_writes;

/* ---- Completion ---- */

static bio_end_io_t *tracker_chain_end;

/* The completion of bio_chain() is not exported: ask it. */
static void tracker_learn_chain_end(void)
{
	struct bio child, parent;

	compat_bio_init(&child);
	compat_bio_init(&parent);
	bio_chain(&child, &parent);
	tracker_chain_end = child.bi_end_io;
	bio_uninit(&child);
	bio_uninit(&parent);
}

/* Where a record comes from while there is memory. */
static void *tracker_write_alloc(gfp_t gfp, void *size)
{
	return fault_at(fault_write_new) ? NULL : mempool_kmalloc(gfp, size);
}

static struct tracker_write *tracker_write_new(sector_t sector, sector_t count,
					       bool nowait)
{
	struct tracker_write *write;

	write = mempool_alloc(tracker_writes, nowait ? GFP_NOWAIT : GFP_NOIO);
	if (write) {
		write->sector = sector;
		write->count = count;
		account_add(account_write, sizeof(*write));
	}
	return write;
}

static void tracker_write_free(struct tracker_write *write)
{
	account_sub(account_write, sizeof(*write));
	mempool_free(write, tracker_writes);
}

static void tracker_write_end(struct bio *bio);

/* The write has landed, and its bio is its submitter's again. Return: its epoch. */
static struct tracker_epoch *tracker_write_landed(struct bio *bio)
{
	struct tracker_write *write = bio->bi_private;
	struct tracker_epoch *epoch = write->epoch;
	struct tracker *tracker = epoch->tracker;

	bio->bi_end_io = write->end_io;
	bio->bi_private = write->private;

	/* The data has landed; was there a take since the write began? */
	smp_mb();
	if (READ_ONCE(tracker->epoch) != epoch)
		cbt_map_set(tracker->map, write->sector, write->count);
	tracker_write_free(write);
	return epoch;
}

/* The next link of a chain, if it ends with this one: nobody else has it then. */
static struct bio *tracker_chain_next(const struct bio *bio)
{
	struct bio *next = bio->bi_private;

	if (bio->bi_end_io != tracker_chain_end ||
	    atomic_read_acquire(&next->__bi_remaining) > 1)
		return NULL;
	return next;
}

/*
 * A chain of bios (a large discard, for example) may complete all at once, from
 * the first to the last. bio_endio() does that in a loop, but not if completions
 * are replaced: then each would call the next one, as deep as the chain is long.
 * So the links that end with this one are given their own completions back first;
 * bio_endio() then does them in its loop.
 */
static void tracker_chain_landed(const struct bio *bio)
{
	struct bio *next;

	for (next = tracker_chain_next(bio); next;
	     next = tracker_chain_next(next))
		while (next->bi_end_io == tracker_write_end)
			percpu_ref_put(&tracker_write_landed(next)->writes);
}

/*
 * The submitter's own completion. That of a chained bio may be called by nobody
 * but bio_endio(), since 6.19; which finds nothing left to do before it.
 */
static void tracker_end_submitter(struct bio *bio)
{
	if (bio->bi_end_io == tracker_chain_end)
		bio_endio(bio);
	else if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

static void tracker_write_end(struct bio *bio)
{
	struct tracker_epoch *epoch = tracker_write_landed(bio);

	tracker_chain_landed(bio);
	tracker_end_submitter(bio);
	/* At last: the module may go with the last write of its last tracker. */
	percpu_ref_put(&epoch->writes);
}

/* ---- Writes ---- */

/* The completion of a bio between two of them. Nobody ends such a bio. */
static void tracker_write_wrapping(struct bio *bio)
{
}

static void tracker_write_wrap(struct tracker_write *write, struct bio *bio)
{
	/*
	 * Device mapper keeps a list in the bi_private of a bio that is polled
	 * for, also while it submits the rest of it: what is known would not be
	 * found there. Polling finds such a bio all the same, when it has ended.
	 */
	compat_bio_end_unpolled(bio);
	write->end_io = bio->bi_end_io;
	write->private = bio->bi_private;
	/* Who submits a part of it may look: see tracker_completion_of(). */
	preempt_disable();
	WRITE_ONCE(bio->bi_end_io, tracker_write_wrapping);
	/* Before its data changes. */
	smp_wmb();
	WRITE_ONCE(bio->bi_private, write);
	/* After that, and after all that is in @write. */
	smp_store_release(&bio->bi_end_io, tracker_write_end);
	preempt_enable();
}

/**
 * struct tracker_completion - What the end of a bio calls.
 * @end_io: The function.
 * @private: Its data.
 */
struct tracker_completion {
	bio_end_io_t *end_io;
	void *private;
};

/*
 * Of a bio that cannot end now: it is the caller's, or has a part that is. But it
 * may be wrapped now, on its way to another device; function and data must both be
 * from before, or after.
 */
static struct tracker_completion tracker_completion_of(const struct bio *bio)
{
	struct tracker_completion found;

	do {
		/* Before its data, and what that points to. */
		found.end_io = smp_load_acquire(&bio->bi_end_io);
		found.private = READ_ONCE(bio->bi_private);
		/* Before the function is looked at again. */
		smp_rmb();
	} while (found.end_io == tracker_write_wrapping ||
		 found.end_io != READ_ONCE(bio->bi_end_io));
	return found;
}

/*
 * Has this bio been here before, or what it is a part of, with this range? Parts
 * of the module's own count too; those themselves are not shown to it.
 */
static bool tracker_write_known(const struct tracker *tracker,
				const struct bio *bio, sector_t sector,
				sector_t count)
{
	struct tracker_completion end = tracker_completion_of(bio);

	for (;;) {
		if (end.end_io == tracker_write_end) {
			const struct tracker_write *write = end.private;

			if (write->epoch->tracker == tracker &&
			    sector >= write->sector &&
			    sector + count <= write->sector + write->count)
				return true;
			end.end_io = write->end_io;
			end.private = write->private;
		} else if (end.end_io == tracker_chain_end) {
			const struct bio *parent = end.private;

			if (parent->bi_pool == &diff_io_bios)
				return true;
			end = tracker_completion_of(parent);
		} else {
			return false;
		}
	}
}

static bool tracker_switch_enter(bool nowait)
{
	if (nowait)
		return percpu_down_read_trylock(&tracker_switch_lock);
	percpu_down_read(&tracker_switch_lock);
	return true;
}

/*
 * Decide on which side of the next take the write is. Return: 0, with the area
 * to copy to, referenced, or NULL; -EAGAIN if it would have to wait, but must not.
 */
static int tracker_write_begin(struct tracker *tracker, struct bio *bio,
			       struct tracker_write *write, bool nowait,
			       struct diff_area **area)
{
	int ret = 0;

	if (!tracker_switch_enter(nowait))
		return -EAGAIN;
	*area = tracker->area;
	if (nowait && *area &&
	    !diff_area_is_safe(*area, write->sector, write->count)) {
		ret = -EAGAIN;
		goto out;
	}
	if (*area)
		diff_area_get(*area);
	/* Not decisive: a map that fails is told apart, copying goes on. */
	cbt_map_set(tracker->map, write->sector, write->count);
	write->epoch = tracker->epoch;
	percpu_ref_get(&write->epoch->writes);
	tracker_write_wrap(write, bio);
out:
	percpu_up_read(&tracker_switch_lock);
	return ret;
}

/*
 * Device mapper keeps a list in the bi_private of a bio that is polled for, from
 * its first part on, and goes on with the rest. Had it been seen here before that,
 * it would not be polled for any more. So it is from before the filter, and who
 * attached that waits for its end; nothing of it can be changed any more.
 */
static bool tracker_write_is_older(struct bio *bio)
{
	return compat_bio_is_polled(bio) && bio_flagged(bio, BIO_CHAIN);
}

enum bdev_filter_result tracker_submit_bio(struct bio *bio,
					   struct bdev_filter *filter,
					   sector_t sector, sector_t count)
{
	struct tracker *tracker = container_of(filter, struct tracker, filter);
	bool nowait = compat_bio_is_nowait(bio);
	struct tracker_write *write;
	struct diff_area *area;

	if (!count || !op_is_write(bio_op(bio)) || diff_io_in_scope() ||
	    tracker_write_is_older(bio) ||
	    tracker_write_known(tracker, bio, sector, count))
		return bdev_filter_pass;

	write = tracker_write_new(sector, count, nowait);
	if (!write)
		goto again;
	if (tracker_write_begin(tracker, bio, write, nowait, &area)) {
		tracker_write_free(write);
		goto again;
	}
	if (area) {
		diff_area_copy(area, sector, count);
		diff_area_put(area);
	}
	return bdev_filter_pass;

again:
	bio_wouldblock_error(bio);
	return bdev_filter_skip;
}

/* ---- The module's part ---- */

int tracker_write_init(void)
{
	tracker_learn_chain_end();
	tracker_writes = mempool_create(TRACKER_WRITES_RESERVE,
					tracker_write_alloc, mempool_kfree,
					(void *)sizeof(struct tracker_write));
	return tracker_writes ? 0 : -ENOMEM;
}

void tracker_write_done(void)
{
	mempool_destroy(tracker_writes);
}
