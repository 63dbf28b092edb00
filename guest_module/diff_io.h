/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's own bios: between buffers and the original or the storage.
 *
 * Those to the storage come from one set, diff_io_bios, by which the filter knows
 * them: they are neither tracked nor copied, wherever they go.
 */
#ifndef BLKSNAP_DIFF_IO_H
#define BLKSNAP_DIFF_IO_H

#include <linux/bio.h>
#include <linux/list.h>
#include <linux/workqueue.h>

#include "compat_bio.h"

struct diff_area;
struct diff_buffer;

/**
 * struct diff_extent - A piece of a block device.
 * @bdev: The device.
 * @sector: First sector on it.
 * @count: Number of sectors.
 */
struct diff_extent {
	struct block_device *bdev;
	sector_t sector;
	sector_t count;
};

/**
 * struct diff_io - An own bio with what its completion needs.
 * @buffer: Of a transfer.
 * @parent: Of a clone of a part of an image's bio.
 * @area: On which a clone holds a reference.
 * @start: Of a clone: where it begins in @parent, and its size.
 * @work: Of a clone that reads from the original: to read it from elsewhere.
 * @bio: The bio.
 */
struct diff_io {
	union {
		struct diff_buffer *buffer;
		struct bio *parent;
	};
	struct diff_area *area;
	struct bvec_iter start;
	struct work_struct work;
	struct bio bio;
};

static inline struct diff_io *diff_io_of(struct bio *bio)
{
	return container_of(bio, struct diff_io, bio);
}

extern struct bio_set diff_io_bios;

int diff_io_init(void);
void diff_io_done(void);

/*
 * A transfer: begin, then any number of pieces, then finish, all from process
 * context and not inside a driver (current->bio_list). @done is called once,
 * when all pieces have ended, in any context, maybe before finish returns; the
 * first error is in buffer->error. Pages are not waited for, memory neither: bios
 * come from a reserve.
 */
void diff_io_begin(struct diff_buffer *buffer,
		   void (*done)(struct diff_buffer *buffer));
void diff_io_finish(struct diff_buffer *buffer);

/* A piece of the original, to the start of the buffer. */
void diff_io_load(struct diff_buffer *buffer, const struct diff_extent *extent);
/* The pieces of a part of a region: @count sectors of it, from @first on. */
void diff_io_part(struct diff_buffer *buffer, const struct diff_extent *extents,
		  sector_t first, sector_t count, blk_opf_t opf);
/* A transfer of them, begun and finished. Waits. Return: 0, errno. */
int diff_io_part_sync(struct diff_buffer *buffer,
		      const struct diff_extent *extents, sector_t first,
		      sector_t count, blk_opf_t opf);

/**
 * struct diff_io_scope - Marks a task that writes to the storage.
 * @link: In the table of those.
 * @task: The task.
 * @noio: What it could do for memory before. Within, memory is not to be had by
 *	writing: whoever writes then is taken for the module.
 */
struct diff_io_scope {
	struct hlist_node link;
	struct task_struct *task;
	unsigned int noio;
};

/*
 * Writing to a storage that lies on a stacked device (device mapper) makes that
 * device's driver submit bios of its own, in the same task. They too are not to
 * be copied, if what lies below is tracked: each copy would need storage, whose
 * writing would need a copy, without end.
 */
void diff_io_scope_enter(struct diff_io_scope *scope);
void diff_io_scope_leave(struct diff_io_scope *scope);
bool diff_io_in_scope(void);

#endif /* BLKSNAP_DIFF_IO_H */
