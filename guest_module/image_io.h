/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading and writing of snapshot images: where each piece of a bio goes.
 */
#ifndef BLKSNAP_IMAGE_IO_H
#define BLKSNAP_IMAGE_IO_H

#include <linux/types.h>

struct bio;
struct cbt_map;
struct diff_area;

int image_io_init(void);
void image_io_done(void);

/*
 * Read, in the context of submission, where waiting for I/O is not possible, or
 * in a worker (@may_wait). Return: false if a worker has to do the rest; else the
 * bio is on its way.
 */
bool image_io_read(struct diff_area *area, struct bio *bio, bool may_wait);
/* Write, in a worker: waits until the chunks are in the storage. */
void image_io_write(struct diff_area *area, struct cbt_map *map,
		    struct bio *bio);
/* End the bio with an error. */
void image_io_fail(struct bio *bio);

#endif /* BLKSNAP_IMAGE_IO_H */
