// SPDX-License-Identifier: GPL-2.0
/*
 * The arithmetic of chunks, compared with a slow and plain way to find the same.
 * Built for user space with sanitizers; silent and 0 when all is right.
 */
#include <stdio.h>

#include "../chunk_core.h"

#define GIB (1ull << (30 - CHUNK_SECTOR_SHIFT))

static int failures;

#define CHECK(condition)						\
	do {								\
		if (!(condition)) {					\
			failures++;					\
			fprintf(stderr, "line %d: %s\n", __LINE__,	\
				#condition);				\
		}							\
	} while (0)

static u64 random_number(u64 below)
{
	static u64 state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static void size_grows_by_one_step_until_the_count_fits(void)
{
	CHECK(chunk_shift_choose(1, 18, 26, 2097152) == 18);
	CHECK(chunk_shift_choose(512 * GIB, 18, 26, 2097152) == 18);
	CHECK(chunk_shift_choose(512 * GIB + 1, 18, 26, 2097152) == 19);
	CHECK(chunk_shift_choose(1024 * GIB, 18, 26, 2097152) == 19);
	CHECK(chunk_shift_choose(1024 * GIB + 1, 18, 26, 2097152) == 20);
}

static void largest_size_holds_whatever_the_count(void)
{
	CHECK(chunk_shift_choose(1ull << 54, 18, 26, 1) == 26);
	CHECK(chunk_shift_choose(1ull << 54, 18, 18, 1) == 18);
	CHECK(chunk_count_of(~0ull, 9) == ~0ull);
	CHECK(chunk_count_of(~0ull, 18) == (1ull << 55));
}

static void span_is_that_of_a_walk_over_sectors(void)
{
	int i;

	for (i = 0; i < 20000; i++) {
		u32 shift = 9 + (u32)random_number(5);
		u64 capacity = 1 + random_number(300);
		u64 sector = random_number(320), count = random_number(320);
		struct chunk_span span = chunk_span_of(capacity, shift, sector,
						       count);
		u64 s, first = ~0ull, last = 0;

		for (s = sector; s < sector + count && s < capacity; s++) {
			u64 chunk = s >> (shift - 9);

			first = chunk < first ? chunk : first;
			last = chunk;
		}
		CHECK(span.count == (first == ~0ull ? 0 : last - first + 1));
		CHECK(!span.count || span.first == first);
	}
}

static void span_at_the_end_of_numbers_does_not_wrap(void)
{
	struct chunk_span span = chunk_span_of(1000, 12, 992, ~0ull);

	CHECK(span.first == 124 && span.count == 1);
	CHECK(chunk_span_of(1000, 12, 1000, ~0ull).count == 0);
	CHECK(chunk_span_of(1000, 12, ~0ull, 1).count == 0);
	CHECK(chunk_span_of(~0ull, 12, 0, ~0ull).count == 1ull << 61);
}

static void chunks_make_up_the_device(void)
{
	int i;

	for (i = 0; i < 2000; i++) {
		u32 shift = 9 + (u32)random_number(6);
		u64 capacity = 1 + random_number(5000), sum = 0, number;

		for (number = 0; number < chunk_count_of(capacity, shift);
		     number++) {
			CHECK(chunk_first_sector(shift, number) == sum);
			sum += chunk_sectors_of(capacity, shift, number);
		}
		CHECK(sum == capacity);
	}
}

static void room_is_a_multiple_of_the_unit(void)
{
	CHECK(chunk_storage_sectors(1) == 8);
	CHECK(chunk_storage_sectors(8) == 8);
	CHECK(chunk_storage_sectors(9) == 16);
	CHECK(chunk_storage_sectors(1 << 17) == 1 << 17);
}

static void buffers_are_limited_by_bytes_and_never_none(void)
{
	u32 shift;

	for (shift = 12; shift <= 26; shift++) {
		u64 limit = chunk_buffer_limit(shift, 1000000);

		CHECK(chunk_buffer_reserve(shift) >= 1);
		CHECK(limit << shift <= CHUNK_BUFFER_LIMIT_BYTES);
		CHECK(chunk_buffer_limit(shift, 0) ==
		      chunk_buffer_reserve(shift));
	}
	CHECK(chunk_buffer_limit(18, 64) == 64);
	CHECK(chunk_buffer_limit(26, 64) == 2);
}

static void buffers_are_no_larger_than_the_reserve(void)
{
	u32 shift;

	for (shift = 12; shift <= 30; shift++) {
		u32 part = chunk_buffer_shift(shift);
		u64 whole = 1ull << (shift - CHUNK_SECTOR_SHIFT);

		CHECK(part <= shift);
		CHECK(part == shift || 1ull << part == CHUNK_BUFFER_RESERVE_BYTES);
		CHECK((u64)chunk_buffer_reserve(part) << part <=
		      CHUNK_BUFFER_RESERVE_BYTES);
		CHECK(chunk_buffer_count(1, shift) == 1);
		CHECK(chunk_buffer_count(whole, shift) == 1u << (shift - part));
	}
	CHECK(chunk_buffer_count(8192, 26) == 1);
	CHECK(chunk_buffer_count(8193, 26) == 2);
	CHECK(chunk_buffer_count(8193, 22) == 2);
}

static void what_lies_behind_the_end_is_not_present(void)
{
	CHECK(chunk_range_present(100, 0, 100));
	CHECK(!chunk_range_present(100, 0, 101));
	CHECK(!chunk_range_present(100, 101, 0));
	CHECK(!chunk_range_present(100, 50, ~0ull));
	CHECK(!chunk_range_present(0, 0, 1));
}

int main(void)
{
	size_grows_by_one_step_until_the_count_fits();
	largest_size_holds_whatever_the_count();
	span_is_that_of_a_walk_over_sectors();
	span_at_the_end_of_numbers_does_not_wrap();
	chunks_make_up_the_device();
	room_is_a_multiple_of_the_unit();
	buffers_are_limited_by_bytes_and_never_none();
	buffers_are_no_larger_than_the_reserve();
	what_lies_behind_the_end_is_not_present();
	return failures ? 1 : 0;
}
