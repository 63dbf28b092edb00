// SPDX-License-Identifier: GPL-2.0
/*
 * The change tracking map of one device, see cbt_map.h; its arithmetic is in
 * cbt_core.h.
 *
 * An example with four blocks, write copy / read copy, "taken" = @previous:
 *
 *	created			0 0 0 0 / 0 0 0 0	taken 0
 *	block 1 written		0 1 0 0 / 0 0 0 0
 *	take			0 1 0 0 / 0 1 0 0	taken 1
 *	block 2 written		0 1 2 0 / 0 1 0 0
 *	take			0 1 2 0 / 0 1 2 0	taken 2: above 1 is block 2
 *
 * The lock is held for one page of the map at a time, so that a discard of a
 * whole large device does not keep interrupts off for long. The switch needs both
 * copies at once, for as long as it takes to copy megabytes, and without the lock:
 * nobody marks anything then. Whoever wants to read is told that it is no time for
 * that (as there is none before the take).
 */
#define pr_fmt(fmt) "blksnap-cbt_map: " fmt

#include <linux/blkdev.h>
#include <linux/blksnap.h>
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "account.h"
#include "cbt_map.h"
#include "fault.h"
#include "page_array.h"
#include "params.h"

static_assert(CBT_SECTOR_SHIFT == SECTOR_SHIFT);

/* A map may be large: rather none than somebody killed for it. */
#define CBT_GFP (GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/*
 * Memory.
 */

static int cbt_geometry_for(struct cbt_geometry *geometry, sector_t capacity)
{
	struct params params;

	if (!capacity)
		return -EINVAL;
	params_read(&params);
	if (!cbt_geometry_choose(geometry, capacity,
				 params.tracking_block_minimum_shift,
				 params.tracking_block_maximum_shift,
				 params.tracking_block_maximum_count))
		return -EFBIG;
	if (geometry->count > params.tracking_block_maximum_count)
		pr_info("%u tracking blocks: the largest block size is reached\n",
			geometry->count);
	return 0;
}

static struct cbt_spare *cbt_spare_new(sector_t capacity)
{
	struct cbt_spare *spare;
	int ret;

	spare = account_zalloc(account_cbt_map, sizeof(*spare), GFP_KERNEL);
	if (!spare)
		return ERR_PTR(-ENOMEM);
	ret = cbt_geometry_for(&spare->geometry, capacity);
	if (ret)
		goto fail;
	ret = -ENOMEM;
	spare->write_copy = page_array_alloc(spare->geometry.count, CBT_GFP);
	if (!spare->write_copy)
		goto fail;
	spare->read_copy = page_array_alloc(spare->geometry.count, CBT_GFP);
	if (!spare->read_copy)
		goto fail;
	return spare;
fail:
	cbt_map_spare_free(spare);
	return ERR_PTR(ret);
}

void cbt_map_spare_free(struct cbt_spare *spare)
{
	if (!spare)
		return;
	page_array_free(spare->read_copy);
	page_array_free(spare->write_copy);
	account_free(account_cbt_map, spare, sizeof(*spare));
}

static void cbt_map_swap(struct cbt_map *map, struct cbt_spare *spare)
{
	swap(map->geometry, spare->geometry);
	swap(map->write_copy, spare->write_copy);
	swap(map->read_copy, spare->read_copy);
}

struct cbt_map *cbt_map_create(sector_t capacity)
{
	struct cbt_spare *spare = cbt_spare_new(capacity);
	struct cbt_map *map;

	if (IS_ERR(spare))
		return ERR_CAST(spare);
	map = account_zalloc(account_cbt_map, sizeof(*map), GFP_KERNEL);
	if (map) {
		kref_init(&map->kref);
		spin_lock_init(&map->lock);
		uuid_gen(&map->generation);
		cbt_map_swap(map, spare);
	}
	cbt_map_spare_free(spare);
	return map ?: ERR_PTR(-ENOMEM);
}

void cbt_map_get(struct cbt_map *map)
{
	kref_get(&map->kref);
}

static void cbt_map_release(struct kref *kref)
{
	struct cbt_map *map = container_of(kref, struct cbt_map, kref);

	page_array_free(map->read_copy);
	page_array_free(map->write_copy);
	account_free(account_cbt_map, map, sizeof(*map));
}

void cbt_map_put(struct cbt_map *map)
{
	if (map)
		kref_put(&map->kref, cbt_map_release);
}

/*
 * The take.
 */

struct cbt_spare *cbt_map_prepare(struct cbt_map *map, sector_t capacity,
				  bool resized)
{
	u64 known;

	spin_lock_irq(&map->lock);
	known = map->geometry.capacity;
	spin_unlock_irq(&map->lock);
	if (known == capacity && !resized)
		return NULL;
	return cbt_spare_new(capacity);
}

static void cbt_map_start_generation(struct cbt_map *map,
				     struct cbt_spare *spare,
				     const uuid_t *generation)
{
	lockdep_assert_held(&map->lock);
	if (spare)
		cbt_map_swap(map, spare);
	uuid_copy(&map->generation, generation);
	map->previous = CBT_NUMBER_FIRST;
	map->damaged = false;
}

void cbt_map_switch(struct cbt_map *map, struct cbt_spare *spare)
{
	unsigned long flags;
	uuid_t generation;
	bool anew;

	uuid_gen(&generation);
	spin_lock_irqsave(&map->lock, flags);
	anew = spare || map->damaged || cbt_number_wraps(map->previous);
	map->switching = true;
	map->version++;
	spin_unlock_irqrestore(&map->lock, flags);

	if (!anew) {
		page_array_copy(map->read_copy, map->write_copy);
	} else if (!spare) {
		page_array_clear(map->write_copy);
		page_array_clear(map->read_copy);
	}

	spin_lock_irqsave(&map->lock, flags);
	if (anew)
		cbt_map_start_generation(map, spare, &generation);
	else
		map->previous++;
	map->switching = false;
	spin_unlock_irqrestore(&map->lock, flags);
}

/*
 * Writes.
 */

static void cbt_copy_raise(struct page_array *copy, struct cbt_blocks piece,
			   u8 number)
{
	size_t length;
	u8 *bytes = page_array_piece(copy, piece.first, &length);

	cbt_raise(bytes, piece.count, number);
}

/* The piece lies in one page. */
static int cbt_map_raise_piece(struct cbt_map *map, struct cbt_blocks piece,
			       bool both)
{
	lockdep_assert_held(&map->lock);
	if (piece.first + piece.count > page_array_size(map->write_copy) ||
	    fault_at(fault_map_update))
		return -EFAULT;
	if (both)
		cbt_copy_raise(map->read_copy, piece, map->previous);
	cbt_copy_raise(map->write_copy, piece, map->previous + 1);
	return 0;
}

/*
 * Raise the first blocks of the range, as many as lie in one page, and take
 * them off the range.
 */
static int cbt_map_raise_first(struct cbt_map *map, u64 *sector, u64 *count,
			       bool both)
{
	struct cbt_blocks piece;
	size_t length;
	u64 next;

	lockdep_assert_held(&map->lock);
	if (map->damaged)
		return -EFAULT;
	piece = cbt_range_blocks(&map->geometry, *sector, *count);
	if (!piece.count) {
		*count = 0;
		return 0;
	}
	page_array_piece(map->write_copy, piece.first, &length);
	piece.count = min_t(size_t, piece.count, length);
	next = (u64)(piece.first + piece.count)
	       << (map->geometry.shift - CBT_SECTOR_SHIFT);
	*count -= min(*count, next - *sector);
	*sector = next;
	if (!cbt_map_raise_piece(map, piece, both))
		return 0;
	map->damaged = true;
	return -EFAULT;
}

static int cbt_map_raise(struct cbt_map *map, u64 sector, u64 count, bool both)
{
	unsigned long flags;
	int ret = 0;

	while (count && !ret) {
		spin_lock_irqsave(&map->lock, flags);
		ret = cbt_map_raise_first(map, &sector, &count, both);
		spin_unlock_irqrestore(&map->lock, flags);
	}
	return ret;
}

int cbt_map_set(struct cbt_map *map, sector_t sector, sector_t count)
{
	return cbt_map_raise(map, sector, count, false);
}

int cbt_map_set_both(struct cbt_map *map, sector_t sector, sector_t count)
{
	return cbt_map_raise(map, sector, count, true);
}

/*
 * Questions.
 */

int cbt_map_check_range(struct cbt_map *map, sector_t sector, sector_t count)
{
	unsigned long flags;
	bool valid;

	spin_lock_irqsave(&map->lock, flags);
	valid = !map->damaged &&
		cbt_range_valid(map->geometry.capacity, sector, count);
	spin_unlock_irqrestore(&map->lock, flags);
	return valid ? 0 : -EINVAL;
}

/*
 * One piece, at most a page, into @to. Return: bytes, 0 at the end, -EFAULT,
 * -EINVAL, -EPERM. *@version is that of the first piece; a later one from another
 * version is not mixed with it.
 */
static ssize_t cbt_map_read_piece(struct cbt_map *map, u8 *to, u64 offset,
				  u32 length, bool first, u64 *version)
{
	u32 blocks;
	ssize_t ret;

	spin_lock_irq(&map->lock);
	blocks = map->geometry.count;
	if (first)
		*version = map->version;
	if (map->damaged)
		ret = -EFAULT;
	else if (offset > blocks)
		ret = -EINVAL;
	else if (*version != map->version)
		ret = 0;
	else if (map->switching)
		ret = -EPERM;
	else
		ret = min3((u64)length, blocks - offset, (u64)PAGE_SIZE);
	if (ret > 0)
		page_array_read(map->read_copy, offset, to, ret);
	spin_unlock_irq(&map->lock);
	return ret;
}

ssize_t cbt_map_read_to_user(struct cbt_map *map, char __user *buf, u32 offset,
			     u32 length)
{
	u8 *piece = (u8 *)__get_free_page(GFP_KERNEL);
	size_t done = 0, faulted = 0;
	u64 version;
	ssize_t ret;

	if (!piece)
		return -ENOMEM;
	do {
		ret = cbt_map_read_piece(map, piece, (u64)offset + done,
					 length - done, !done, &version);
		if (ret <= 0)
			break;
		faulted = copy_to_user(buf + done, piece, ret);
		done += ret - faulted;
		ret = faulted ? -EFAULT : 0;
		cond_resched();
	} while (!ret && done < length);
	free_page((unsigned long)piece);
	return done ? done : ret;
}

void cbt_map_info(struct cbt_map *map, struct blk_snap_cbt_info *info)
{
	memset(info, 0, sizeof(*info));
	spin_lock_irq(&map->lock);
	info->blk_size = 1u << map->geometry.shift;
	info->device_capacity = map->geometry.capacity << SECTOR_SHIFT;
	info->blk_count = map->geometry.count;
	uuid_copy(&info->generation_id, &map->generation);
	info->snap_number = map->previous;
	spin_unlock_irq(&map->lock);
}
