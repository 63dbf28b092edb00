/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Snapshot images: the block devices that show an original as it was.
 *
 * An image exists a little before the take and is not live then: what is sent to
 * it waits. It is written to like any disk; that goes to the difference storage.
 */
#ifndef BLKSNAP_SNAPIMAGE_H
#define BLKSNAP_SNAPIMAGE_H

#include <linux/types.h>

struct blk_snap_block_range;
struct cbt_map;
struct diff_area;
struct snapimage;

int snapimage_init(void);
void snapimage_done(void);

/* The major number of all images. */
unsigned int snapimage_major(void);

/* Makes the disk. ERR_PTR: -ENOMEM, -ENOSPC, those of adding a disk. */
struct snapimage *snapimage_new(struct diff_area *area, struct cbt_map *map);
/* From now on its I/O is done, also what has waited so far. */
void snapimage_set_live(struct snapimage *image);
/*
 * From now on its I/O fails, also what has waited so far. Does not wait. The
 * first step of taking it down.
 */
void snapimage_set_dead(struct snapimage *image);
/* Removes the disk and frees the image; after snapimage_set_dead(). */
void snapimage_free(struct snapimage *image);

dev_t snapimage_dev(const struct snapimage *image);

/*
 * -ENODEV: no such image; -EINVAL: a bad range, nothing is marked then; -EINTR:
 * killed, some are marked.
 */
int snapimage_mark_dirty(u32 minor, const struct blk_snap_block_range *ranges,
			 u32 count);

#endif /* BLKSNAP_SNAPIMAGE_H */
