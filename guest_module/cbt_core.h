/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arithmetic of change tracking: block size, block count, numbers, ranges.
 *
 * Nothing but numbers: compiles in user space as well, where it is tested.
 * Sizes of devices and ranges are in sectors of 512 bytes.
 */
#ifndef BLKSNAP_CBT_CORE_H
#define BLKSNAP_CBT_CORE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
typedef uint8_t u8;
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#define CBT_SECTOR_SHIFT 9
/* A block's size and the number of blocks are reported in 32 bits. */
#define CBT_SHIFT_LIMIT 31
#define CBT_COUNT_LIMIT 0x7fffffffu
/* A number is a byte; the one given to writes is one above the last take's. */
#define CBT_NUMBER_FIRST 1
#define CBT_NUMBER_LAST 254

/**
 * struct cbt_geometry - How a device is divided into tracking blocks.
 * @capacity: Size of the device, sectors.
 * @shift: log2 of the block size in bytes.
 * @count: Number of blocks; the last one may be short.
 */
struct cbt_geometry {
	u64 capacity;
	u32 shift;
	u32 count;
};

/**
 * struct cbt_blocks - A run of blocks.
 * @first: First block.
 * @count: Number of blocks, 0 for none.
 */
struct cbt_blocks {
	u32 first;
	u32 count;
};

/* ceil(capacity / 2^shift bytes) for shift >= 9; cannot overflow. */
static inline u64 cbt_count_blocks(u64 capacity, u32 shift)
{
	u32 bits = shift - CBT_SECTOR_SHIFT;
	u64 mask = ((u64)1 << bits) - 1;

	return (capacity >> bits) + ((capacity & mask) ? 1 : 0);
}

/*
 * Choose the block size: from the smallest, one step at a time, until the count
 * fits; at the largest the limit of the count gives way, so that a device is
 * tracked whatever its size. False if even 32 bits cannot count the blocks.
 */
static inline bool cbt_geometry_choose(struct cbt_geometry *geometry,
				       u64 capacity, u32 minimum_shift,
				       u32 maximum_shift, u32 maximum_count)
{
	u32 shift = minimum_shift;
	u64 count = cbt_count_blocks(capacity, shift);

	while (count > maximum_count && shift < maximum_shift &&
	       shift < CBT_SHIFT_LIMIT)
		count = cbt_count_blocks(capacity, ++shift);
	if (count > CBT_COUNT_LIMIT)
		return false;
	geometry->capacity = capacity;
	geometry->shift = shift;
	geometry->count = (u32)count;
	return true;
}

/* Not empty, not wrapping, inside the device. */
static inline bool cbt_range_valid(u64 capacity, u64 sector, u64 count)
{
	return count && sector < capacity && count <= capacity - sector;
}

/* The blocks that a range touches, after clipping it to the device. */
static inline struct cbt_blocks
cbt_range_blocks(const struct cbt_geometry *geometry, u64 sector, u64 count)
{
	u32 bits = geometry->shift - CBT_SECTOR_SHIFT;
	struct cbt_blocks blocks = { 0, 0 };
	u64 last;

	if (!count || sector >= geometry->capacity)
		return blocks;
	if (count > geometry->capacity - sector)
		count = geometry->capacity - sector;
	last = (sector + count - 1) >> bits;
	blocks.first = (u32)(sector >> bits);
	blocks.count = (u32)(last - blocks.first + 1);
	return blocks;
}

/*
 * Would the next take have to report a number beyond the last? Then it starts a
 * new generation and reports CBT_NUMBER_FIRST.
 */
static inline bool cbt_number_wraps(u8 previous)
{
	return previous >= CBT_NUMBER_LAST;
}

/* Raise @count bytes to at least @number. */
static inline void cbt_raise(u8 *bytes, u64 count, u8 number)
{
	while (count--) {
		if (*bytes < number)
			*bytes = number;
		bytes++;
	}
}

#endif /* BLKSNAP_CBT_CORE_H */
