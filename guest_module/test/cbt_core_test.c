// SPDX-License-Identifier: GPL-2.0
/*
 * The arithmetic of change tracking, compared with a slow and plain way to find
 * the same. Built for user space with sanitizers; silent and 0 when all is right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cbt_core.h"

#define GIB (1ull << (30 - CBT_SECTOR_SHIFT))
#define TIB (1024 * GIB)

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

/* Block size and count with the default parameters. */
static void block_size_grows_by_one_step_until_the_count_fits(void)
{
	static const struct {
		u64 capacity;
		u32 shift;
		u32 count;
	} expected[] = {
		{ 1, 16, 1 },
		{ 128, 16, 1 },
		{ 129, 16, 2 },
		{ 128 * GIB, 16, 2097152 },
		{ 128 * GIB + 1, 17, 1048577 },
		{ 129 * GIB, 17, 1056768 },
		{ 6 * TIB, 22, 1572864 },
		{ 64 * TIB, 25, 2097152 },
		{ 128 * TIB, 26, 2097152 },
	};
	struct cbt_geometry geometry;
	size_t i;

	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		CHECK(cbt_geometry_choose(&geometry, expected[i].capacity, 16,
					  26, 2097152));
		CHECK(geometry.capacity == expected[i].capacity);
		CHECK(geometry.shift == expected[i].shift);
		CHECK(geometry.count == expected[i].count);
	}
}

static void at_the_largest_block_size_the_count_gives_way(void)
{
	struct cbt_geometry geometry;

	CHECK(cbt_geometry_choose(&geometry, 256 * TIB, 16, 26, 2097152));
	CHECK(geometry.shift == 26 && geometry.count == 2 * 2097152);
	/* A maximum below the minimum: the minimum counts. */
	CHECK(cbt_geometry_choose(&geometry, 1024, 16, 9, 1));
	CHECK(geometry.shift == 16 && geometry.count == 8);
	CHECK(!cbt_geometry_choose(&geometry, ~0ull, 9, 26, 2097152));
	CHECK(!cbt_geometry_choose(&geometry, ~0ull, 31, 31, 2097152));
}

static void blocks_of_a_range_are_those_that_it_touches(void)
{
	struct cbt_geometry geometry = { .capacity = 100, .shift = 12,
					 .count = 13 };
	int round;

	for (round = 0; round < 20000; round++) {
		u64 sector = random_number(120);
		u64 count = random_number(130);
		struct cbt_blocks blocks;
		char touched[13] = { 0 };
		u64 s;
		u32 b;

		for (s = sector; s < sector + count && s < 100; s++)
			touched[s / 8] = 1;
		blocks = cbt_range_blocks(&geometry, sector, count);
		for (b = 0; b < 13; b++)
			CHECK(touched[b] ==
			      (b >= blocks.first &&
			       b < blocks.first + blocks.count));
	}
}

static void ranges_at_the_edge_of_numbers_do_not_wrap(void)
{
	struct cbt_geometry geometry;
	struct cbt_blocks blocks;

	CHECK(cbt_geometry_choose(&geometry, 64 * TIB, 16, 26, 2097152));
	blocks = cbt_range_blocks(&geometry, 64 * TIB - 1, ~0ull);
	CHECK(blocks.first == 2097151 && blocks.count == 1);
	blocks = cbt_range_blocks(&geometry, ~0ull, ~0ull);
	CHECK(blocks.count == 0);
	blocks = cbt_range_blocks(&geometry, 0, ~0ull);
	CHECK(blocks.first == 0 && blocks.count == 2097152);

	CHECK(cbt_range_valid(100, 0, 100));
	CHECK(cbt_range_valid(100, 99, 1));
	CHECK(!cbt_range_valid(100, 0, 0));
	CHECK(!cbt_range_valid(100, 100, 1));
	CHECK(!cbt_range_valid(100, 99, 2));
	CHECK(!cbt_range_valid(100, 1, ~0ull));
	CHECK(!cbt_range_valid(100, ~0ull, 1));
}

static void numbers_end_before_a_byte_does(void)
{
	u8 previous = 0;
	int take, generations = 0;

	for (take = 1; take <= 600; take++) {
		if (cbt_number_wraps(previous)) {
			generations++;
			previous = CBT_NUMBER_FIRST;
		} else {
			previous++;
		}
		/* What is given to writes from now on fits, and is above. */
		CHECK(previous >= 1 && previous + 1 <= 255);
		if (take == 254)
			CHECK(previous == 254 && !generations);
		if (take == 255)
			CHECK(previous == 1 && generations == 1);
	}
	CHECK(generations == 2);
}

static void raising_never_lowers(void)
{
	u8 bytes[5] = { 0, 1, 2, 3, 255 };

	cbt_raise(bytes + 1, 4, 2);
	CHECK(!memcmp(bytes, "\0\2\2\3\377", 5));
}

int main(void)
{
	block_size_grows_by_one_step_until_the_count_fits();
	at_the_largest_block_size_the_count_gives_way();
	blocks_of_a_range_are_those_that_it_touches();
	ranges_at_the_edge_of_numbers_do_not_wrap();
	numbers_end_before_a_byte_does();
	raising_never_lowers();
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
