// SPDX-License-Identifier: GPL-2.0
/*
 * All arithmetic over generated inputs, compared with another way to find the
 * same: in 128 bits, by dividing where the module shifts and masks, by counting
 * down where it counts up, by adding one portion after the other where it
 * divides. Every second input lies at an edge: nothing, one sector, a device of
 * 64 TiB, the end of 64 bits.
 *
 * Built for user space with sanitizers; silent and 0 when all is right.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../cbt_core.h"
#include "../chunk_core.h"
#include "../storage_core.h"

typedef unsigned __int128 u128;

#ifndef ROUNDS
#define ROUNDS 200000
#endif
#define SHOWN 10
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define SECTORS_OF_64_TIB (1ull << 37)

static int failures;
static const char *unit;

#define CHECK(condition)						\
	do {								\
		if (!(condition) && failures++ < SHOWN)			\
			fprintf(stderr, "%s, line %d: %s\n", unit,	\
				__LINE__, #condition);			\
	} while (0)

/* ---- Inputs ---- */

static u64 random_bits(void)
{
	static u64 state = 0x9e3779b97f4a7c15ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static u64 random_below(u64 limit)
{
	return random_bits() % limit;
}

/* Any 64 bits; each length as likely as the others, edges as likely as the rest. */
static u64 random_number(void)
{
	static const u64 edges[] = {
		0, 8, 512, 1ull << 20, SECTORS_OF_64_TIB, 1ull << 53,
		1ull << 54, 1ull << 55, 1ull << 62, 1ull << 63, ~0ull - 1,
	};

	if (random_bits() & 1)
		return edges[random_below(ARRAY_SIZE(edges))] +
		       random_below(3) - 1;
	return random_bits() >> random_below(64);
}

static u32 random_shift(u32 from, u32 to)
{
	return from + (u32)random_below(to - from + 1);
}

/* ---- References ---- */

static u128 bytes_of(u64 sectors)
{
	return (u128)sectors * 512;
}

static u128 pieces(u64 sectors, u32 shift)
{
	u128 size = (u128)1 << shift;

	return (bytes_of(sectors) + size - 1) / size;
}

/* From the largest size down, for as long as a smaller one still fits. */
static u32 smallest_that_fits(u64 capacity, u32 least, u32 most, u64 limit)
{
	u32 shift = most > least ? most : least;

	while (shift > least && pieces(capacity, shift - 1) <= limit)
		shift--;
	return shift;
}

static bool inside(u64 capacity, u64 sector, u64 count)
{
	return (u128)sector + count <= capacity;
}

/* A limit of the number of pieces; often just what some size makes of it. */
static u32 random_limit(u64 capacity)
{
	u128 exact = pieces(capacity, random_shift(9, 31)) + random_below(3);

	if ((random_bits() & 1) && exact > 1 && exact <= 0x80000000)
		return (u32)exact - 1;
	return 1 + (u32)random_below(0x7fffffff);
}

/* The pieces of a range that is clipped: *@first, and how many. */
static u128 touched(u64 capacity, u32 shift, u64 sector, u64 count, u128 *first)
{
	u128 end = (u128)sector + count;
	u128 size = (u128)1 << shift;

	if (end > capacity)
		end = capacity;
	*first = 0;
	if (end <= sector)
		return 0;
	*first = bytes_of(sector) / size;
	return (end * 512 - 1) / size - *first + 1;
}

/* ---- Change tracking ---- */

static void check_geometry(void)
{
	struct cbt_geometry geometry = { 0 };
	u64 capacity = random_number();
	u32 least = random_shift(9, 31), most = random_shift(9, 40);
	u32 limit = random_limit(capacity);
	u32 shift = smallest_that_fits(capacity, least, most > 31 ? 31 : most,
				       limit);
	u128 count = pieces(capacity, shift), first;
	u64 sector = random_number(), length = random_number();
	struct cbt_blocks blocks;

	CHECK(cbt_count_blocks(capacity, least) == pieces(capacity, least));
	CHECK(cbt_range_valid(capacity, sector, length) ==
	      (length && inside(capacity, sector, length)));
	if (!cbt_geometry_choose(&geometry, capacity, least, most, limit)) {
		CHECK(count > 0x7fffffff);
		return;
	}
	CHECK(count <= 0x7fffffff);
	CHECK(geometry.capacity == capacity);
	CHECK(geometry.shift == shift);
	CHECK(geometry.count == count);
	blocks = cbt_range_blocks(&geometry, sector, length);
	CHECK(blocks.count == touched(capacity, shift, sector, length, &first));
	CHECK(blocks.first == first);
}

static void check_raise(void)
{
	u8 bytes[64], expected[64];
	u64 i, from = random_below(64), count = random_below(65 - from);
	u8 number = (u8)random_bits();

	for (i = 0; i < 64; i++) {
		bytes[i] = (u8)random_bits();
		expected[i] = bytes[i];
		if (i >= from && i < from + count && number > expected[i])
			expected[i] = number;
	}
	cbt_raise(bytes + from, count, number);
	CHECK(!memcmp(bytes, expected, 64));
}

/* What the next take reports, and what writes get after it, fit into a byte. */
static void check_wraps(void)
{
	int previous;

	for (previous = 0; previous <= 255; previous++)
		CHECK(cbt_number_wraps((u8)previous) == (previous + 2 > 255));
}

/* ---- Chunks ---- */

static void check_chunks(void)
{
	u64 capacity = random_number(), sector = random_number();
	u64 length = random_number(), number;
	u32 least = random_shift(12, 30), most = random_shift(12, 30);
	u32 limit = random_limit(capacity);
	u32 shift = chunk_shift_choose(capacity, least, most, limit);
	u128 first, left;
	struct chunk_span span;

	CHECK(shift == smallest_that_fits(capacity, least, most, limit));
	CHECK(chunk_count_of(capacity, shift) == pieces(capacity, shift));
	span = chunk_span_of(capacity, shift, sector, length);
	CHECK(span.count == touched(capacity, shift, sector, length, &first));
	CHECK(span.first == first);
	CHECK(chunk_range_present(capacity, sector, length) ==
	      inside(capacity, sector, length));
	if (!capacity)
		return;
	number = random_below(chunk_count_of(capacity, shift));
	left = bytes_of(capacity) - ((u128)number << shift);
	if (left > (u128)1 << shift)
		left = (u128)1 << shift;
	CHECK(bytes_of(chunk_first_sector(shift, number)) ==
	      (u128)number << shift);
	CHECK(bytes_of(chunk_sectors_of(capacity, shift, number)) == left);
}

static void check_room(void)
{
	u64 sectors = random_number();
	u128 room = ((u128)sectors + 7) / 8 * 8;

	if (room >> 64)
		return;
	CHECK(chunk_storage_sectors(sectors) == room);
}

static void check_buffers(void)
{
	u32 shift = random_shift(12, 30), wanted = (u32)random_number();
	u64 size = 1ull << shift, reserve = (4ull << 20) / size;
	u64 most = (128ull << 20) / size, limit = wanted;

	reserve = reserve > 16 ? 16 : reserve ? reserve : 1;
	limit = limit > most ? most : limit;
	limit = limit < reserve ? reserve : limit;
	CHECK(chunk_buffer_reserve(shift) == reserve);
	CHECK(chunk_buffer_limit(shift, wanted) == limit);

	size = size > 4ull << 20 ? 4ull << 20 : size;
	CHECK(1ull << chunk_buffer_shift(shift) == size);
	wanted &= (1u << (shift - 9)) - 1;
	CHECK(chunk_buffer_count(wanted, shift) ==
	      (wanted + size / 512 - 1) / (size / 512));
}

/* ---- The storage ---- */

/**
 * struct plain - The same account, kept in 128 bits.
 * @given: Sum of all that was given.
 * @used: Part of it in use.
 * @asked: Sum of all that was asked for.
 * @portion: What is asked for at a time.
 * @open: The last request has not been answered in full.
 */
struct plain {
	u128 given;
	u128 used;
	u128 asked;
	u64 portion;
	bool open;
};

/* One portion after the other, until more than half a portion is left. */
static u64 plain_ask(struct plain *plain)
{
	u64 now = 0;

	if (plain->open)
		return 0;
	while (plain->asked <= plain->used + plain->portion / 2) {
		plain->asked += plain->portion;
		now += plain->portion;
	}
	if (now)
		plain->open = plain->given < plain->asked;
	return now;
}

static void check_same(const struct storage_account *account,
		       const struct plain *plain)
{
	CHECK(account->capacity == plain->given);
	CHECK(account->filled == plain->used);
	CHECK(account->requested == plain->asked);
	CHECK(account->waiting == plain->open);
	CHECK(account->filled <= account->capacity);
}

static void step_append(struct storage_account *account, struct plain *plain)
{
	u64 sectors = 8 * (1 + random_below(1 << random_below(22)));

	plain->given += sectors;
	if (plain->given >= plain->asked)
		plain->open = false;
	CHECK(storage_account_append(account, sectors) == plain_ask(plain));
}

static void step_fill(struct storage_account *account, struct plain *plain)
{
	u64 sectors = 8 * (1 + random_below(1 << random_below(18)));
	struct plain before = *plain;
	u64 asked;

	CHECK(storage_account_fits(account, sectors) ==
	      (plain->used + sectors <= plain->given));
	if (plain->used + sectors > plain->given)
		return;
	plain->used += sectors;
	asked = plain_ask(plain);
	CHECK(storage_account_fill(account, sectors) == asked);
	if (asked && random_below(4) == 0) {
		/* There was no memory for the event: as if not asked. */
		storage_account_unask(account, asked);
		plain->asked = before.asked;
		plain->open = false;
	}
}

static void check_account(void)
{
	u64 portion = 1 + (random_bits() >> (33 + random_below(31)));
	struct plain plain = { .asked = portion, .portion = portion };
	struct storage_account account;
	int step;

	CHECK(storage_account_init(&account, portion) == portion);
	for (step = 0; step < 100; step++) {
		check_same(&account, &plain);
		if (random_below(4))
			step_fill(&account, &plain);
		else
			step_append(&account, &plain);
	}
}

/* Whatever was asked for: beyond the limit nothing more, below it no wrap. */
static void check_limit(void)
{
	struct storage_account account;
	u64 portion = 1 + random_below(0x7fffffff);
	u64 requested = STORAGE_REQUESTED_LIMIT + random_below(3) - 1;

	storage_account_init(&account, portion);
	account.requested = requested;
	account.capacity = ~0ull;
	account.filled = requested;
	CHECK(storage_account_ask(&account) ==
	      (requested > STORAGE_REQUESTED_LIMIT ? 0 : portion));
	CHECK(account.requested < STORAGE_REQUESTED_LIMIT * 2);
}

static void check_range(void)
{
	u64 capacity = random_number();
	u64 sector = random_number(), count = random_number();

	if (random_below(4)) {
		sector &= ~7ull;
		count &= ~7ull;
	}
	CHECK(storage_range_valid(capacity, sector, count) ==
	      (sector % 8 == 0 && count % 8 == 0 && count &&
	       inside(capacity, sector, count)));
}

int main(void)
{
	static const struct {
		const char *name;
		void (*check)(void);
		int rounds;
	} units[] = {
		{ "geometry", check_geometry, ROUNDS },
		{ "raise", check_raise, ROUNDS / 10 },
		{ "wraps", check_wraps, 1 },
		{ "chunks", check_chunks, ROUNDS },
		{ "room", check_room, ROUNDS },
		{ "buffers", check_buffers, ROUNDS / 10 },
		{ "account", check_account, ROUNDS / 100 },
		{ "limit", check_limit, 1000 },
		{ "range", check_range, ROUNDS },
	};
	size_t i;
	int round;

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		unit = units[i].name;
		for (round = 0; round < units[i].rounds; round++)
			units[i].check();
	}
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
