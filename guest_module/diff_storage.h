/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The difference storage: the ranges of block devices where a snapshot keeps
 * the old data of its originals.
 *
 * One per snapshot, shared by all its devices. Ranges are used up in the order
 * in which they were given. A region for a chunk is gathered from as many ranges
 * as it takes, so that no rest of a range is wasted, however small.
 */
#ifndef BLKSNAP_DIFF_STORAGE_H
#define BLKSNAP_DIFF_STORAGE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "diff_io.h"
#include "storage_core.h"

struct blk_snap_block_range;
struct event;
struct event_queue;

/**
 * struct diff_region - Where a chunk lies in the storage.
 * @count: Number of extents, 0 for none.
 * @one: The extent, if there is but one, which is the rule.
 * @many: The extents, if there are more.
 */
struct diff_region {
	u32 count;
	union {
		struct diff_extent one;
		struct diff_extent *many;
	};
};

static inline const struct diff_extent *
diff_region_extents(const struct diff_region *region)
{
	return region->count > 1 ? region->many : &region->one;
}

/**
 * struct diff_storage - The difference storage of a snapshot.
 * @lock: Protects all that follows; a sleeping lock, never held over I/O, nor
 *	while memory is waited for.
 * @ranges: All ranges, in the order given.
 * @cursor: The range that is being used up, NULL if none is left.
 * @used: Sectors of it that are in use.
 * @devices: Opened devices.
 * @closed: The snapshot is being destroyed.
 * @account: What was asked for, given and used.
 * @events: Where to ask for more.
 * @event: What to ask with, the next time; NULL if it has to be made first.
 */
struct diff_storage {
	struct mutex lock;
	struct list_head ranges;
	struct diff_range *cursor;
	sector_t used;
	struct list_head devices;
	bool closed;
	struct storage_account account;
	struct event_queue *events;
	struct event *event;
};

/* Asks for the first portion, of @portion sectors. Return: 0, -ENOMEM. */
int diff_storage_init(struct diff_storage *storage, struct event_queue *events,
		      u64 portion);
/* No area uses it any more; an append from now on fails. Closes the devices. */
void diff_storage_done(struct diff_storage *storage);

/*
 * Add ranges of a device: all of them, or none with -EINVAL for one that is
 * misaligned, empty, outside, or given before to whatever snapshot. Other
 * errors: -ENOMEM, -ESRCH after diff_storage_done(), those of opening the device.
 */
int diff_storage_append(struct diff_storage *storage, dev_t dev,
			const struct blk_snap_block_range *ranges, u32 count);
bool diff_storage_is_empty(struct diff_storage *storage);

/*
 * Take @sectors, a multiple of STORAGE_UNIT, for good. May ask for more by an
 * event. Return: 0; -ENOSPC, then nothing was taken; -ENOMEM.
 */
int diff_storage_alloc(struct diff_storage *storage, sector_t sectors,
		       struct diff_region *region);
/* Frees the description; the sectors are not used again. */
void diff_region_free(struct diff_region *region);

#endif /* BLKSNAP_DIFF_STORAGE_H */
