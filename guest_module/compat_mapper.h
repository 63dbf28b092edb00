/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device mapper, as far as other modules can know it. It is a module that this
 * one does not need: what it exports is asked for at the moment of use, and is
 * not there if it is not loaded.
 */
#ifndef COMPAT_MAPPER_H
#define COMPAT_MAPPER_H

#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/kdev_t.h>
#include <linux/module.h>

/* Exported, all releases alike, but declared in its own folder only. */
void dm_internal_suspend_fast(struct mapped_device *md);
void dm_internal_resume_fast(struct mapped_device *md);

/* The device of a disk, to be given back with compat_mapper_put(); NULL: none. */
static inline struct mapped_device *compat_mapper_get(struct gendisk *disk)
{
	typeof(dm_get_md) *get = symbol_get(dm_get_md);
	struct mapped_device *md;

	if (!get)
		return NULL;
	md = get(disk_devt(disk));
	if (!md)
		symbol_put(dm_get_md);
	return md;
}

static inline void compat_mapper_put(struct mapped_device *md)
{
	typeof(dm_put) *put = symbol_get(dm_put);

	if (put) {
		put(md);
		symbol_put(dm_put);
	}
	symbol_put(dm_get_md);
}

static inline bool compat_mapper_is(struct gendisk *disk)
{
	struct mapped_device *md = compat_mapper_get(disk);

	if (md)
		compat_mapper_put(md);
	return md;
}

/*
 * Wait for all that a disk of device mapper has been given; other disks are let
 * be. Meanwhile it takes nothing new. Without a limit, as a frozen queue.
 */
static inline void compat_mapper_drain(struct gendisk *disk)
{
	struct mapped_device *md = compat_mapper_get(disk);
	typeof(dm_internal_suspend_fast) *suspend;
	typeof(dm_internal_resume_fast) *resume;

	if (!md)
		return;
	suspend = symbol_get(dm_internal_suspend_fast);
	resume = symbol_get(dm_internal_resume_fast);
	if (suspend && resume) {
		suspend(md);
		resume(md);
	}
	if (resume)
		symbol_put(dm_internal_resume_fast);
	if (suspend)
		symbol_put(dm_internal_suspend_fast);
	compat_mapper_put(md);
}

#endif /* COMPAT_MAPPER_H */
