/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Chunks: the pieces of an original that are copied as a whole.
 *
 * A chunk object exists from the first write that touches the chunk.
 */
#ifndef BLKSNAP_CHUNK_H
#define BLKSNAP_CHUNK_H

#include <linux/types.h>

#include "diff_storage.h"

struct diff_area;
struct diff_buffer;

/**
 * enum chunk_state - How far the copy of a chunk is.
 * @chunk_loading: Being read from the original; what is there is still old.
 * @chunk_in_memory: All old data is in buffers, or parts of it in the storage
 *	already: the original may be written.
 * @chunk_stored: The old data is in the storage, for good.
 * @chunk_failed: It is nowhere; the area is spoiled.
 *
 * Only forward; from loading and in_memory also to failed.
 */
enum chunk_state {
	chunk_loading,
	chunk_in_memory,
	chunk_stored,
	chunk_failed,
};

/**
 * struct chunk - A chunk.
 * @area: Its area.
 * @number: Which one.
 * @state: enum chunk_state; written with the lock of area->chunks held.
 * @loads: Buffers that are not loaded yet; same lock.
 * @buffers: The copy, as far as it is not stored; same lock.
 * @region: Where it is stored; set before the state says so.
 */
struct chunk {
	struct diff_area *area;
	unsigned long number;
	u8 state;
	u16 loads;
	struct diff_buffer *buffers;
	struct diff_region region;
};

/**
 * enum chunk_source - Where an image reader finds its data.
 * @chunk_from_original: In the original, unless, when it has been read,
 *	chunk_is_safe(): a writer may have overtaken the read then.
 * @chunk_from_buffer: In a buffer, until diff_buffer_put().
 * @chunk_from_storage: In the region of the chunk.
 */
enum chunk_source {
	chunk_from_original,
	chunk_from_buffer,
	chunk_from_storage,
};

/**
 * struct chunk_view - What an image reader gets.
 * @source: Where the data is.
 * @chunk: The chunk; not set from the original.
 * @buffer: The buffer, if it is there.
 */
struct chunk_view {
	enum chunk_source source;
	struct chunk *chunk;
	struct diff_buffer *buffer;
};

/*
 * Where is sector @first of the chunk, and what lies in the same buffer? Process
 * context. Return: 0, -EIO.
 */
int chunk_view_get(struct diff_area *area, unsigned long number, sector_t first,
		   struct chunk_view *view);

/*
 * See to it that the chunk is copied: start if nobody has. Sleeps for a buffer.
 * Return: 0; or the area's error, which it may just have got.
 */
int chunk_copy_start(struct diff_area *area, unsigned long number);
/* Wait until the original may be written there. After chunk_copy_start(). */
void chunk_wait_safe(struct diff_area *area, unsigned long number);
/* Wait until it is in the storage. Return: 0, the area's error. */
int chunk_wait_stored(struct diff_area *area, unsigned long number);
/* May the original be written there? It stays so. Any context. */
bool chunk_is_safe(struct diff_area *area, unsigned long number);

/* The chunk that is being copied, or was; NULL if none. */
struct chunk *chunk_find(struct diff_area *area, unsigned long number);

/* For the area's work: read from the original, write to the storage. */
void chunk_load(struct diff_buffer *buffer);
void chunk_store(struct diff_buffer *buffer);

/* Free all; nobody uses the area any more. */
void chunk_free_all(struct diff_area *area);

#endif /* BLKSNAP_CHUNK_H */
