/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The writes that a filter has not seen, because they came before it.
 */
#ifndef FILTER_SETTLE_H
#define FILTER_SETTLE_H

#include <linux/types.h>

struct block_device;
struct filter_place;

/* Whether a place has to begin closed, for filter_settle(). */
bool filter_must_close(struct block_device *bdev);

/* Wait for the writes from before the place was seen, and open it. May sleep. */
void filter_settle(struct filter_place *place);

#endif /* FILTER_SETTLE_H */
