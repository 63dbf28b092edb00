/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside of bdevfilter.ko: the disks that have filters, and the places of these.
 */
#ifndef FILTER_REGISTRY_H
#define FILTER_REGISTRY_H

#include <linux/bdevfilter.h>
#include <linux/hashtable.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/rculist.h>
#include <linux/srcu.h>
#include <linux/types.h>

#include "compat_bio.h"
#include "compat_filter.h"

#define FILTER_HASH_BITS 6

/**
 * struct filter_disk - A disk that has filters.
 * @node: Place in filter_disks; filter_mutex, RCU.
 * @kref: One reference per place.
 * @disk: The key. Followed no further unless it comes from a bio.
 * @whole: Inode of the whole disk, held.
 * @places: The places, by altitude; filter_mutex, SRCU.
 * @srcu: Held by bios on their walk.
 * @all_bios: Some filter wants more than writes.
 */
struct filter_disk {
	struct hlist_node node;
	struct kref kref;
	const struct gendisk *disk;
	struct inode *whole;
	struct list_head places;
	struct srcu_struct srcu;
	bool all_bios;
};

/**
 * struct filter_place - A filter on a device.
 * @link: Place in the disk's list.
 * @disk: The disk, referenced.
 * @bdev: The device, its inode held.
 * @start: First sector of the device on the disk; partitions do not move.
 * @sequence: The disk's sequence number when the filter was attached.
 * @size: Sectors of the device when somebody looked.
 * @resizes: How often that was another number than the last time, or the disk
 *	got a size that concerns it.
 * @altitude: Altitude.
 * @filter: The filter, referenced.
 * @closed: Bios wait, until those from before the filter have ended.
 */
struct filter_place {
	struct list_head link;
	struct filter_disk *disk;
	struct block_device *bdev;
	sector_t start;
	u64 sequence;
	sector_t size;
	atomic_t resizes;
	enum bdev_filter_altitudes altitude;
	struct bdev_filter *filter;
	bool closed;
};

/* All disks that have filters, by address; see filter_registry.c. */
extern struct hlist_head filter_disks[1 << FILTER_HASH_BITS];

/* With RCU, or preemption off, or filter_mutex held. NULL if it has none. */
static inline struct filter_disk *
filter_disk_find(const struct gendisk *disk)
{
	struct filter_disk *found;

	hash_for_each_possible_rcu_notrace(filter_disks, found, node,
					   (unsigned long)disk)
		if (found->disk == disk &&
		    !compat_disk_is_another(disk, found->whole))
			return found;
	return NULL;
}

/*
 * Does a bio still concern this place? A disk whose removal has begun is not
 * ruled out here: what is written back at the end counts, what comes too late
 * fails below. But a deleted partition of a living disk is only a memory.
 */
bool filter_place_stale(const struct filter_place *place);

/* Of the place's device: see bdevfilter.h. */
static inline void filter_place_resized(struct filter_place *place,
					sector_t size)
{
	atomic_inc(&place->resizes);
	bdev_filter_resized(place->filter, size);
}

/*
 * The size of the device, in sectors. Asked for by every write to the disk that is
 * not the filter's own: a partition that is smaller for a while cannot get another
 * content beyond its end without one.
 */
static inline sector_t filter_place_note_size(struct filter_place *place)
{
	sector_t size = compat_bdev_sectors(place->bdev);

	if (unlikely(size != READ_ONCE(place->size))) {
		WRITE_ONCE(place->size, size);
		filter_place_resized(place, size);
	}
	return size;
}

/* At unload: every user of the module is gone; tells what is left all the same. */
void filter_registry_done(void);

#endif /* FILTER_REGISTRY_H */
