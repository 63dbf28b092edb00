/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Module parameters.
 *
 * They can be written at any time. So each object reads those that it depends
 * on once, when it is made, by params_read(), and keeps what it read.
 */
#ifndef BLKSNAP_PARAMS_H
#define BLKSNAP_PARAMS_H

#include <linux/types.h>

/**
 * struct params - The parameters at one moment. Always within their ranges.
 * @tracking_block_minimum_shift: log2 of the smallest tracking block, bytes.
 * @tracking_block_maximum_shift: log2 of the largest tracking block, bytes.
 * @tracking_block_maximum_count: Wanted upper limit of the length of a CBT map.
 * @chunk_minimum_shift: log2 of the smallest chunk, bytes.
 * @chunk_maximum_shift: log2 of the largest chunk, bytes.
 * @chunk_maximum_count: Wanted upper limit of chunks of a device.
 * @chunk_maximum_in_cache: Limit of chunks of a device held in memory.
 * @free_diff_buffer_pool_size: Limit of spare buffers of a device.
 * @diff_storage_minimum: Portion that a low-space event asks for, sectors.
 */
struct params {
	u32 tracking_block_minimum_shift;
	u32 tracking_block_maximum_shift;
	u32 tracking_block_maximum_count;
	u32 chunk_minimum_shift;
	u32 chunk_maximum_shift;
	u32 chunk_maximum_count;
	u32 chunk_maximum_in_cache;
	u32 free_diff_buffer_pool_size;
	u32 diff_storage_minimum;
};

void params_read(struct params *params);

#endif /* BLKSNAP_PARAMS_H */
