// SPDX-License-Identifier: GPL-2.0
/*
 * A large array of bytes made of single pages, see page_array.h.
 *
 * Single pages, because a map of megabytes must also be had when memory is
 * fragmented; only the table of the pages may be larger than a page.
 */
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "account.h"
#include "page_array.h"

/**
 * struct page_array - A large array of bytes.
 * @size: Number of bytes.
 * @count: Number of pages.
 * @pages: The pages.
 */
struct page_array {
	size_t size;
	size_t count;
	u8 *pages[];
};

static size_t page_array_weight(const struct page_array *array)
{
	return struct_size(array, pages, array->count) +
	       array->count * PAGE_SIZE;
}

static void page_array_free_pages(struct page_array *array)
{
	size_t i;

	for (i = 0; i < array->count; i++) {
		free_page((unsigned long)array->pages[i]);
		cond_resched();
	}
	kvfree(array);
}

struct page_array *page_array_alloc(size_t size, gfp_t gfp)
{
	size_t count = DIV_ROUND_UP(size, PAGE_SIZE);
	struct page_array *array;
	size_t i;

	array = kvzalloc(struct_size(array, pages, count), gfp);
	if (!array)
		return NULL;
	array->size = size;
	array->count = count;
	for (i = 0; i < count; i++) {
		array->pages[i] = (u8 *)get_zeroed_page(gfp);
		if (!array->pages[i]) {
			page_array_free_pages(array);
			return NULL;
		}
		cond_resched();
	}
	account_add(account_page_array, page_array_weight(array));
	return array;
}

void page_array_free(struct page_array *array)
{
	if (!array)
		return;
	account_sub(account_page_array, page_array_weight(array));
	page_array_free_pages(array);
}

size_t page_array_size(const struct page_array *array)
{
	return array->size;
}

u8 *page_array_piece(const struct page_array *array, size_t offset,
		     size_t *length)
{
	size_t in_page = offset_in_page(offset);

	*length = min_t(size_t, PAGE_SIZE - in_page, array->size - offset);
	return array->pages[offset >> PAGE_SHIFT] + in_page;
}

void page_array_copy(struct page_array *to, const struct page_array *from)
{
	size_t i;

	for (i = 0; i < to->count; i++)
		memcpy(to->pages[i], from->pages[i], PAGE_SIZE);
}

void page_array_clear(struct page_array *array)
{
	size_t i;

	for (i = 0; i < array->count; i++)
		clear_page(array->pages[i]);
}

void page_array_read(const struct page_array *array, size_t offset, u8 *to,
		     size_t length)
{
	size_t part;

	while (length) {
		const u8 *from = page_array_piece(array, offset, &part);

		part = min(part, length);
		memcpy(to, from, part);
		to += part;
		offset += part;
		length -= part;
	}
}
