/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arithmetic of chunks: their size, which ones a range touches, how much room
 * and how many buffers they need.
 *
 * Nothing but numbers: compiles in user space as well, where it is tested.
 * Sizes of devices and ranges are in sectors of 512 bytes.
 */
#ifndef BLKSNAP_CHUNK_CORE_H
#define BLKSNAP_CHUNK_CORE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#define CHUNK_SECTOR_SHIFT 9
/* Room in the difference storage is given in units of 4 KiB. */
#define CHUNK_STORAGE_UNIT 8
/* Buffers that are there before the first write, and the most there can be. */
#define CHUNK_BUFFER_RESERVE_BYTES ((u64)4 << 20)
#define CHUNK_BUFFER_LIMIT_BYTES ((u64)128 << 20)
/* log2 of the largest buffer, bytes: larger chunks are copied in parts. */
#define CHUNK_BUFFER_SHIFT_MAXIMUM 22

/**
 * struct chunk_span - The chunks that a range touches.
 * @first: First chunk.
 * @count: Number of chunks, 0 for none.
 */
struct chunk_span {
	u64 first;
	u64 count;
};

/* Number of chunks of 2^shift bytes, the last may be short; cannot overflow. */
static inline u64 chunk_count_of(u64 capacity, u32 shift)
{
	u32 bits = shift - CHUNK_SECTOR_SHIFT;
	u64 mask = ((u64)1 << bits) - 1;

	return (capacity >> bits) + ((capacity & mask) ? 1 : 0);
}

/*
 * The size of chunks: from the smallest, one step at a time, until the count
 * fits. At the largest the limit of the count gives way: chunks are made when
 * they are needed, so a high count costs nothing by itself.
 */
static inline u32 chunk_shift_choose(u64 capacity, u32 minimum_shift,
				     u32 maximum_shift, u32 maximum_count)
{
	u32 shift = minimum_shift;

	while (shift < maximum_shift &&
	       chunk_count_of(capacity, shift) > maximum_count)
		shift++;
	return shift;
}

/* The chunks of a range, after clipping it to the device. */
static inline struct chunk_span chunk_span_of(u64 capacity, u32 shift,
					      u64 sector, u64 count)
{
	u32 bits = shift - CHUNK_SECTOR_SHIFT;
	struct chunk_span span = { 0, 0 };

	if (!count || sector >= capacity)
		return span;
	if (count > capacity - sector)
		count = capacity - sector;
	span.first = sector >> bits;
	span.count = ((sector + count - 1) >> bits) - span.first + 1;
	return span;
}

static inline u64 chunk_first_sector(u32 shift, u64 number)
{
	return number << (shift - CHUNK_SECTOR_SHIFT);
}

/* Sectors of a chunk of the device: the last one may be short. */
static inline u64 chunk_sectors_of(u64 capacity, u32 shift, u64 number)
{
	u64 size = (u64)1 << (shift - CHUNK_SECTOR_SHIFT);
	u64 left = capacity - chunk_first_sector(shift, number);

	return left < size ? left : size;
}

/* Is that part of the device there, now that it has @capacity sectors? */
static inline bool chunk_range_present(u64 capacity, u64 sector, u64 count)
{
	return sector <= capacity && count <= capacity - sector;
}

/* Room that many sectors take in the difference storage. */
static inline u64 chunk_storage_sectors(u64 sectors)
{
	return (sectors + CHUNK_STORAGE_UNIT - 1) &
	       ~(u64)(CHUNK_STORAGE_UNIT - 1);
}

/* log2 of the size of buffers, for chunks of 2^shift bytes. */
static inline u32 chunk_buffer_shift(u32 shift)
{
	return shift < CHUNK_BUFFER_SHIFT_MAXIMUM ? shift :
						    CHUNK_BUFFER_SHIFT_MAXIMUM;
}

/* Buffers that a chunk of so many sectors needs: the last may be short. */
static inline u32 chunk_buffer_count(u64 sectors, u32 shift)
{
	return (u32)chunk_count_of(sectors, chunk_buffer_shift(shift));
}

/*
 * Buffers of that shift that are never given back: at least one, so that
 * copying goes on.
 */
static inline u32 chunk_buffer_reserve(u32 shift)
{
	u64 count = CHUNK_BUFFER_RESERVE_BYTES >> shift;

	return count < 1 ? 1 : count > 16 ? 16 : (u32)count;
}

/* The most buffers of a device at any time: by number and by bytes. */
static inline u32 chunk_buffer_limit(u32 shift, u32 wanted)
{
	u64 most = CHUNK_BUFFER_LIMIT_BYTES >> shift;
	u32 reserve = chunk_buffer_reserve(shift);

	if (wanted > most)
		wanted = (u32)most;
	return wanted < reserve ? reserve : wanted;
}

#endif /* BLKSNAP_CHUNK_CORE_H */
