// SPDX-License-Identifier: GPL-2.0
/*
 * The accounting of the difference storage: when more is asked for, and which
 * ranges are acceptable. Built for user space with sanitizers; silent and 0 when
 * all is right.
 */
#include <stdio.h>

#include "../storage_core.h"

static int failures;

#define CHECK(condition)						\
	do {								\
		if (!(condition)) {					\
			failures++;					\
			fprintf(stderr, "line %d: %s\n", __LINE__,	\
				#condition);				\
		}							\
	} while (0)

#define PORTION 1000

/* Fills in steps of 8; the fill at which more is asked for, or 0. */
static u64 fill_until_asked(struct storage_account *account)
{
	while (storage_account_fits(account, 8))
		if (storage_account_fill(account, 8))
			return account->filled;
	return 0;
}

static void first_portion_is_asked_for_at_once(void)
{
	struct storage_account account;

	CHECK(storage_account_init(&account, PORTION) == PORTION);
	CHECK(storage_account_append(&account, PORTION) == 0);
}

static void answered_requests_repeat_at_each_half_portion(void)
{
	struct storage_account account;
	u64 i;

	storage_account_init(&account, PORTION);
	storage_account_append(&account, PORTION);
	for (i = 0; i < 50; i++) {
		CHECK(fill_until_asked(&account) ==
		      (i * PORTION + PORTION / 2 + 7) / 8 * 8);
		CHECK(account.requested == (i + 2) * PORTION);
		CHECK(storage_account_append(&account, PORTION) == 0);
	}
}

static void nothing_is_asked_for_while_a_request_is_unanswered(void)
{
	struct storage_account account;

	storage_account_init(&account, PORTION);
	storage_account_append(&account, PORTION);
	CHECK(fill_until_asked(&account) == 504);
	CHECK(fill_until_asked(&account) == 0);
	CHECK(account.filled == 1000);
	/* Half an answer is none. */
	CHECK(storage_account_append(&account, 496) == 0);
	CHECK(account.waiting);
	/* The whole answer comes late: it is time to ask again already. */
	CHECK(storage_account_append(&account, 504) == 0);
	CHECK(!account.waiting);
	CHECK(fill_until_asked(&account) == 1504);
}

static void late_answer_is_followed_by_the_next_request(void)
{
	struct storage_account account;

	storage_account_init(&account, PORTION);
	storage_account_append(&account, 1904);
	CHECK(fill_until_asked(&account) == 504);
	CHECK(account.waiting);
	CHECK(fill_until_asked(&account) == 0);
	CHECK(account.filled == 1904);
	CHECK(storage_account_append(&account, 96) == PORTION);
	CHECK(account.requested == 3 * PORTION && account.waiting);
}

/* As much as will ever be needed is given at first: warned before the end. */
static void large_first_answer_is_used_up_with_a_warning(void)
{
	struct storage_account account;
	int asked = 0;

	storage_account_init(&account, PORTION);
	storage_account_append(&account, 10 * PORTION);
	while (fill_until_asked(&account))
		asked++;
	CHECK(asked == 10);
	CHECK(account.filled == 10 * PORTION);
}

static void chunk_larger_than_a_portion_is_asked_for_in_one(void)
{
	struct storage_account account;
	u64 asked;

	storage_account_init(&account, 8);
	storage_account_append(&account, 100000);
	asked = storage_account_fill(&account, 512);
	CHECK(asked && asked % 8 == 0);
	CHECK(account.requested > account.filled + 4);
	CHECK(account.requested <= account.filled + 16);
}

static void failed_event_is_asked_for_again(void)
{
	struct storage_account account;

	storage_account_init(&account, PORTION);
	storage_account_append(&account, PORTION);
	CHECK(storage_account_fill(&account, 504) == PORTION);
	storage_account_unask(&account, PORTION);
	CHECK(storage_account_fill(&account, 8) == PORTION);
}

static void smallest_and_largest_portions_do_not_wrap(void)
{
	struct storage_account account;

	storage_account_init(&account, 1);
	storage_account_append(&account, 1ull << 55);
	CHECK(storage_account_fill(&account, 8));
	CHECK(account.requested > account.filled);

	storage_account_init(&account, 0xffffffffull);
	storage_account_append(&account, 8);
	CHECK(storage_account_fill(&account, 8) == 0);
	CHECK(!storage_account_fits(&account, 8));
	CHECK(!storage_account_fits(&account, ~0ull));
}

static void ranges_are_aligned_inside_and_not_empty(void)
{
	CHECK(storage_range_valid(16, 0, 16));
	CHECK(storage_range_valid(17, 8, 8));
	CHECK(!storage_range_valid(17, 8, 9));
	CHECK(!storage_range_valid(16, 4, 8));
	CHECK(!storage_range_valid(16, 0, 0));
	CHECK(!storage_range_valid(16, 8, 16));
	CHECK(!storage_range_valid(16, 16, 8));
	CHECK(!storage_range_valid(16, 8, ~7ull));
	CHECK(!storage_range_valid(16, ~7ull, 16));
	CHECK(!storage_range_valid(0, 0, 8));
}

int main(void)
{
	first_portion_is_asked_for_at_once();
	answered_requests_repeat_at_each_half_portion();
	nothing_is_asked_for_while_a_request_is_unanswered();
	late_answer_is_followed_by_the_next_request();
	large_first_answer_is_used_up_with_a_warning();
	chunk_larger_than_a_portion_is_asked_for_in_one();
	failed_event_is_asked_for_again();
	smallest_and_largest_portions_do_not_wrap();
	ranges_are_aligned_inside_and_not_empty();
	return failures ? 1 : 0;
}
