/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The change tracking map of one device.
 *
 * One byte per tracking block, twice: the write copy takes the number of the
 * coming take for each block that is written; the read copy is the write copy
 * as it was at the last take. Within one generation, the blocks changed after
 * take number N are those whose byte is above N.
 *
 * Context and locking: a spinlock per map, taken with interrupts off, so that
 * cbt_map_set() and cbt_map_set_both() may be called from anywhere. The others
 * may sleep. cbt_map_switch() does not fail, nor ask for memory.
 */
#ifndef BLKSNAP_CBT_MAP_H
#define BLKSNAP_CBT_MAP_H

#include <linux/kref.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uuid.h>

#include "cbt_core.h"

struct blk_snap_cbt_info;
struct page_array;

/**
 * struct cbt_map - A CBT map.
 * @kref: References.
 * @lock: Protects everything below.
 * @geometry: Division of the device; changes at a switch only.
 * @write_copy: Numbers of the blocks, as of now.
 * @read_copy: The same, as of the last take.
 * @generation: Random; new whenever the numbers start anew.
 * @previous: Number of the last take, 0 before the first.
 * @version: Counts the switches; tells a reader that the map is another.
 * @switching: A switch is at work on the copies.
 * @damaged: An update failed; the next switch starts a new generation.
 */
struct cbt_map {
	struct kref kref;
	spinlock_t lock;
	struct cbt_geometry geometry;
	struct page_array *write_copy;
	struct page_array *read_copy;
	uuid_t generation;
	u8 previous;
	u64 version;
	bool switching;
	bool damaged;
};

/**
 * struct cbt_spare - Memory for a map of another size; later, the old memory.
 * @geometry: Division of the device, of its new size.
 * @write_copy: All zero, then the old one.
 * @read_copy: All zero, then the old one.
 */
struct cbt_spare {
	struct cbt_geometry geometry;
	struct page_array *write_copy;
	struct page_array *read_copy;
};

/*
 * A new map, generation and numbers fresh, for a device of @capacity sectors.
 * The parameters are read here (and by cbt_map_prepare() for a new size).
 * ERR_PTR: -ENOMEM; -EFBIG; -EINVAL for a device without sectors.
 */
struct cbt_map *cbt_map_create(sector_t capacity);
void cbt_map_get(struct cbt_map *map);
void cbt_map_put(struct cbt_map *map);	/* NULL is nothing */

/*
 * What a switch to @capacity sectors will need, @resized: also if it was as large
 * before. NULL if nothing: a wrap or a damaged map of the right size is zeroed in
 * place. ERR_PTR as cbt_map_create().
 */
struct cbt_spare *cbt_map_prepare(struct cbt_map *map, sector_t capacity,
				  bool resized);
void cbt_map_spare_free(struct cbt_spare *spare);	/* NULL is nothing */

/*
 * The take: the write copy becomes the read copy and writes get the next number
 * from now on. With @spare, or if the map is damaged, or the numbers are used
 * up, a new generation starts instead: both copies zero, reported number 1. The
 * caller keeps out whoever marks, and frees @spare afterwards.
 */
void cbt_map_switch(struct cbt_map *map, struct cbt_spare *spare);

/*
 * A write: raise its blocks in the write copy. What lies beyond the capacity
 * is left out silently. Return: 0; -EFAULT if the map is (or becomes) damaged.
 */
int cbt_map_set(struct cbt_map *map, sector_t sector, sector_t count);

/*
 * A write to the image, or marking by hand: raise the blocks in the read copy to
 * the last take's number and in the write copy to the coming one's. Clips and
 * returns as cbt_map_set().
 */
int cbt_map_set_both(struct cbt_map *map, sector_t sector, sector_t count);

/* -EINVAL: the range is empty or not inside the device, or the map damaged. */
int cbt_map_check_range(struct cbt_map *map, sector_t sector, sector_t count);

/*
 * Read from the read copy. Return: bytes copied, short at the end of the map
 * (0 there), on a fault after some bytes, and when a take came in between;
 * -EINVAL beyond the end; -EFAULT bad buffer at the first byte, or map damaged;
 * -EPERM in the middle of a take.
 */
ssize_t cbt_map_read_to_user(struct cbt_map *map, char __user *buf, u32 offset,
			     u32 length);

/* Fills all but dev_id, padding zeroed. */
void cbt_map_info(struct cbt_map *map, struct blk_snap_cbt_info *info);

#endif /* BLKSNAP_CBT_MAP_H */
