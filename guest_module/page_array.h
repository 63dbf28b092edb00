/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A large array of bytes made of single pages.
 *
 * Context: alloc, free, copy and clear may sleep. The others only touch memory; their
 * caller keeps writers and readers apart.
 */
#ifndef BLKSNAP_PAGE_ARRAY_H
#define BLKSNAP_PAGE_ARRAY_H

#include <linux/types.h>

struct page_array;

/* All zero. NULL if there is not enough memory. */
struct page_array *page_array_alloc(size_t size, gfp_t gfp);
void page_array_free(struct page_array *array);

size_t page_array_size(const struct page_array *array);

/* The bytes from @offset to the end of their page or of the array: *@length. */
u8 *page_array_piece(const struct page_array *array, size_t offset,
		     size_t *length);

/* Both of the same size. Writers wait for these two: the task goes on till the end. */
void page_array_copy(struct page_array *to, const struct page_array *from);
void page_array_clear(struct page_array *array);

/* Copies [offset, offset + length), which lies inside, to kernel memory. */
void page_array_read(const struct page_array *array, size_t offset, u8 *to,
		     size_t length);

#endif /* BLKSNAP_PAGE_ARRAY_H */
