/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the hook of bdevfilter.ko asks the registry of filters.
 */
#ifndef FILTER_REGISTRY_H
#define FILTER_REGISTRY_H

#include <linux/types.h>

struct bio;
struct block_device;

/* Quick: could a filter want this bio? Neither sleeps nor takes a lock. */
bool filter_wants_bio(const struct bio *bio);

/* Has the disk of this device any filter? Neither sleeps nor takes a lock. */
bool filter_on_disk(const struct block_device *bdev);

/*
 * Show the bio to all filters that it concerns. May sleep. True if the bio is
 * to be submitted now; otherwise it must not be touched any more.
 */
bool filter_run(struct bio *bio);

/* At unload: every user of the module is gone, so nothing must be left. */
bool filter_registry_empty(void);

#endif /* FILTER_REGISTRY_H */
