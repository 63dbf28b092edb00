/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside of bdevfilter.ko: what the hook asks about bios.
 */
#ifndef FILTER_WALK_H
#define FILTER_WALK_H

#include <linux/types.h>

struct bio;
struct block_device;
struct gendisk;

/* Quick: could a filter want this bio? Neither sleeps nor takes a lock. */
bool filter_wants_bio(const struct bio *bio);

/* Has the disk of this device any filter? Neither sleeps nor takes a lock. */
bool filter_on_disk(const struct block_device *bdev);

/* The disk is about to get this size. Neither sleeps nor takes a lock. */
void filter_note_capacity(const struct gendisk *disk, sector_t capacity);

/*
 * Show the bio to all filters that it concerns. May sleep. True if the bio is
 * to be submitted now; otherwise it must not be touched any more.
 */
bool filter_run(struct bio *bio);

#endif /* FILTER_WALK_H */
