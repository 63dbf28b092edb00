/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's own bios: between buffers and the original or the storage.
 *
 * They come from one set, diff_io_bios, by which the filter knows them: they are
 * neither tracked nor copied, wherever they go.
 */
#ifndef BLKSNAP_DIFF_IO_H
#define BLKSNAP_DIFF_IO_H

#include <linux/bio.h>
#include <linux/list.h>

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
 * @first: First chunk that a clone reads from the original.
 * @chunks: Number of those; 0 if it reads from elsewhere.
 * @end: The sector behind the last one that it reads from there.
 * @bio: The bio.
 */
struct diff_io {
	union {
		struct diff_buffer *buffer;
		struct bio *parent;
	};
	struct diff_area *area;
	unsigned long first;
	unsigned long chunks;
	sector_t end;
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
void diff_io_piece(struct diff_buffer *buffer, size_t offset,
		   const struct diff_extent *extent, blk_opf_t opf);
void diff_io_finish(struct diff_buffer *buffer);

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
 */
struct diff_io_scope {
	struct hlist_node link;
	struct task_struct *task;
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
