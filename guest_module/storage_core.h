/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arithmetic of the difference storage: what was asked for, given and used, and
 * when more is asked for; which ranges are acceptable.
 *
 * The first portion is asked for when the snapshot is created. Another one is
 * asked for whenever what is left of all that was asked for falls to half a
 * portion - but never while the last request is unanswered, that is, while less
 * has been given than was asked for. All in sectors.
 *
 * Nothing but numbers: compiles in user space as well, where it is tested.
 */
#ifndef BLKSNAP_STORAGE_CORE_H
#define BLKSNAP_STORAGE_CORE_H

#ifdef __KERNEL__
#include <linux/math64.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
typedef uint32_t u32;
typedef uint64_t u64;
#define div64_u64(dividend, divisor) ((dividend) / (divisor))
#endif

#define STORAGE_UNIT 8
/* No counter gets near the end of 64 bits: requests stop here. */
#define STORAGE_REQUESTED_LIMIT ((u64)1 << 62)

/**
 * struct storage_account - Counters of a difference storage, sectors.
 * @capacity: Sum of all ranges given.
 * @filled: Part of it that is in use; at most @capacity.
 * @requested: Sum of all that was asked for.
 * @portion: What one event asks for.
 * @waiting: A request is unanswered.
 */
struct storage_account {
	u64 capacity;
	u64 filled;
	u64 requested;
	u64 portion;
	bool waiting;
};

/* Return: what the first event asks for. */
static inline u64 storage_account_init(struct storage_account *account,
				       u64 portion)
{
	account->capacity = 0;
	account->filled = 0;
	account->requested = portion;
	account->portion = portion;
	account->waiting = false;
	return portion;
}

/*
 * Ask for more if it is time to. Return: sectors to ask for, 0 for nothing. One
 * portion, unless a chunk is larger than that: then as many as it takes, in one.
 */
static inline u64 storage_account_ask(struct storage_account *account)
{
	u64 half = account->portion / 2;
	u64 asked = 0;
	u64 short_by;

	if (account->waiting || account->filled + half < account->requested ||
	    account->requested > STORAGE_REQUESTED_LIMIT)
		return 0;
	short_by = account->filled + half - account->requested;
	asked = (div64_u64(short_by, account->portion) + 1) * account->portion;
	account->requested += asked;
	account->waiting = account->capacity < account->requested;
	return asked;
}

/* The event could not be made: ask again at the next occasion. */
static inline void storage_account_unask(struct storage_account *account,
					 u64 asked)
{
	account->requested -= asked;
	account->waiting = false;
}

/* More was given. Return: as storage_account_ask(). */
static inline u64 storage_account_append(struct storage_account *account,
					 u64 sectors)
{
	account->capacity += sectors;
	if (account->capacity >= account->requested)
		account->waiting = false;
	return storage_account_ask(account);
}

static inline bool storage_account_fits(const struct storage_account *account,
					u64 sectors)
{
	return sectors <= account->capacity - account->filled;
}

/* That many were taken; they fit. Return: as storage_account_ask(). */
static inline u64 storage_account_fill(struct storage_account *account,
				       u64 sectors)
{
	account->filled += sectors;
	return storage_account_ask(account);
}

/* Aligned to the unit, not empty, inside a device of @capacity sectors. */
static inline bool storage_range_valid(u64 capacity, u64 sector, u64 count)
{
	if ((sector | count) & (STORAGE_UNIT - 1))
		return false;
	return count && sector < capacity && count <= capacity - sector;
}

#endif /* BLKSNAP_STORAGE_CORE_H */
