// SPDX-License-Identifier: GPL-2.0
/*
 * Module parameters, see params.h.
 *
 * Each has a range; a value outside is refused, at load as well as later. That
 * two parameters fit together (a minimum below its maximum) is not asked for:
 * it would make the order of writing matter. Who uses them copes.
 */
#define pr_fmt(fmt) "blksnap: " fmt

#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>

#include "params.h"

/* The lab and other builds outside of the kernel tree have no Kconfig. */
#ifndef CONFIG_BLK_SNAP_TRACKING_BLOCK_MINIMUM_SHIFT
#define CONFIG_BLK_SNAP_TRACKING_BLOCK_MINIMUM_SHIFT 16
#endif
#ifndef CONFIG_BLK_SNAP_TRACKING_BLOCK_MAXIMUM_SHIFT
#define CONFIG_BLK_SNAP_TRACKING_BLOCK_MAXIMUM_SHIFT 26
#endif
#ifndef CONFIG_BLK_SNAP_TRACKING_BLOCK_MAXIMUM_COUNT
#define CONFIG_BLK_SNAP_TRACKING_BLOCK_MAXIMUM_COUNT 2097152
#endif
#ifndef CONFIG_BLK_SNAP_CHUNK_MINIMUM_SHIFT
#define CONFIG_BLK_SNAP_CHUNK_MINIMUM_SHIFT 18
#endif
#ifndef CONFIG_BLK_SNAP_CHUNK_MAXIMUM_SHIFT
#define CONFIG_BLK_SNAP_CHUNK_MAXIMUM_SHIFT 26
#endif
#ifndef CONFIG_BLK_SNAP_CHUNK_MAXIMUM_COUNT
#define CONFIG_BLK_SNAP_CHUNK_MAXIMUM_COUNT 2097152
#endif
#ifndef CONFIG_BLK_SNAP_CHUNK_MAXIMUM_IN_CACHE
#define CONFIG_BLK_SNAP_CHUNK_MAXIMUM_IN_CACHE 64
#endif
#ifndef CONFIG_BLK_SNAP_FREE_DIFF_BUFFER_POOL_SIZE
#define CONFIG_BLK_SNAP_FREE_DIFF_BUFFER_POOL_SIZE 128
#endif
#ifndef CONFIG_BLK_SNAP_DIFF_STORAGE_MINIMUM
#define CONFIG_BLK_SNAP_DIFF_STORAGE_MINIMUM 2097152
#endif

/**
 * struct param - A parameter with its range.
 * @value: Value; the kernel's lock of parameters for writing.
 * @lowest: Lowest value allowed.
 * @highest: Highest value allowed.
 */
struct param {
	u32 value;
	u32 lowest;
	u32 highest;
};

static int param_write(const char *text, const struct kernel_param *kp)
{
	struct param *param = kp->arg;
	u32 value;
	int ret = kstrtou32(text, 0, &value);

	if (ret)
		return ret;
	if (value < param->lowest || value > param->highest) {
		pr_info("%s must be %u to %u\n", kp->name, param->lowest,
			param->highest);
		return -EINVAL;
	}
	WRITE_ONCE(param->value, value);
	return 0;
}

static int param_show(char *text, const struct kernel_param *kp)
{
	const struct param *param = kp->arg;

	return sysfs_emit(text, "%u\n", READ_ONCE(param->value));
}

static const struct kernel_param_ops param_ops = {
	.set = param_write,
	.get = param_show,
};

#define PARAMETER(name, initial, from, to, text)			\
	static struct param name = {					\
		.value = (initial), .lowest = (from), .highest = (to),	\
	};								\
	module_param_cb(name, &param_ops, &name, 0644);			\
	__MODULE_PARM_TYPE(name, "int");				\
	MODULE_PARM_DESC(name, text)

/* Below a sector there is nothing; above 2 GiB the size has no 32 bits. */
PARAMETER(tracking_block_minimum_shift,
	  CONFIG_BLK_SNAP_TRACKING_BLOCK_MINIMUM_SHIFT, 9, 31,
	  "log2 of the smallest tracking block in bytes");
PARAMETER(tracking_block_maximum_shift,
	  CONFIG_BLK_SNAP_TRACKING_BLOCK_MAXIMUM_SHIFT, 9, 31,
	  "log2 of the largest tracking block in bytes");
PARAMETER(tracking_block_maximum_count,
	  CONFIG_BLK_SNAP_TRACKING_BLOCK_MAXIMUM_COUNT, 1, INT_MAX,
	  "number of tracking blocks above which they are made larger");
/* The storage is given out in units of 4 KiB. */
PARAMETER(chunk_minimum_shift, CONFIG_BLK_SNAP_CHUNK_MINIMUM_SHIFT, 12, 30,
	  "log2 of the smallest chunk in bytes");
PARAMETER(chunk_maximum_shift, CONFIG_BLK_SNAP_CHUNK_MAXIMUM_SHIFT, 12, 30,
	  "log2 of the largest chunk in bytes");
PARAMETER(chunk_maximum_count, CONFIG_BLK_SNAP_CHUNK_MAXIMUM_COUNT, 1, INT_MAX,
	  "number of chunks of a device above which they are made larger");
PARAMETER(chunk_maximum_in_cache, CONFIG_BLK_SNAP_CHUNK_MAXIMUM_IN_CACHE,
	  1, INT_MAX, "limit of the buffers of a device");
PARAMETER(free_diff_buffer_pool_size, CONFIG_BLK_SNAP_FREE_DIFF_BUFFER_POOL_SIZE,
	  0, INT_MAX, "limit of spare buffers of a device");
PARAMETER(diff_storage_minimum, CONFIG_BLK_SNAP_DIFF_STORAGE_MINIMUM, 1, INT_MAX,
	  "sectors of difference storage that are asked for at a time");

void params_read(struct params *params)
{
	*params = (struct params) {
#define PARAM_READ(name) .name = READ_ONCE(name.value)
		PARAM_READ(tracking_block_minimum_shift),
		PARAM_READ(tracking_block_maximum_shift),
		PARAM_READ(tracking_block_maximum_count),
		PARAM_READ(chunk_minimum_shift),
		PARAM_READ(chunk_maximum_shift),
		PARAM_READ(chunk_maximum_count),
		PARAM_READ(chunk_maximum_in_cache),
		PARAM_READ(free_diff_buffer_pool_size),
		PARAM_READ(diff_storage_minimum),
#undef PARAM_READ
	};
}
