/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The snapshots: create, append storage, take, collect, destroy.
 *
 * Context: process context, all functions may sleep. Arguments are in kernel
 * memory; ctrl.c does the copying from and to user space.
 */
#ifndef BLKSNAP_SNAPSHOT_H
#define BLKSNAP_SNAPSHOT_H

#include <linux/types.h>
#include <linux/uuid.h>

struct blk_snap_dev_t;
struct blk_snap_block_range;
struct blk_snap_image_info;
struct event;
struct snapshot;

/*
 * Set up and tear down the snapshots and everything below them (images,
 * difference areas, storage, copying). Called by main.c only: init after
 * tracker_init(), done before tracker_done(). Each snapshot holds a reference
 * on the module, so none is left when snapshot_done() runs.
 */
int snapshot_init(void);
void snapshot_done(void);

/* -EINVAL: the same device twice. -EALREADY: another snapshot holds one. */
int snapshot_create(const struct blk_snap_dev_t *devs, u32 count, uuid_t *id);
/* -ENODEV: unknown id. */
int snapshot_destroy(const uuid_t *id);
/* As if it had never been created: trackers made for it go, too. */
void snapshot_undo_create(const uuid_t *id);
/* -ESRCH: unknown id. -EINVAL: bad range, then none of the call's is added. */
int snapshot_append_storage(const uuid_t *id, const struct blk_snap_dev_t *dev,
			    const struct blk_snap_block_range *ranges,
			    u32 count);
/* -ESRCH: unknown id. -EALREADY: taken or being taken. -ENODEV: no devices. */
int snapshot_take(const uuid_t *id);
/*
 * @ids / @infos NULL: only *@count is set. Too small: -ENODATA, *@count is the
 * number needed, nothing is written. snapshot_collect_images: -ESRCH unknown
 * id (*@count unchanged), -ENODEV not taken (*@count is the number of devices).
 */
int snapshot_collect(uuid_t *ids, u32 capacity, u32 *count);
int snapshot_collect_images(const uuid_t *id, struct blk_snap_image_info *infos,
			    u32 capacity, u32 *count);
/*
 * Waits for one event and takes it off the queue. -ENOENT: timeout. -EINTR: a
 * signal. -ESRCH: unknown id, or destroyed meanwhile. A returned event must be
 * given to snapshot_event_done() with the *@snapshot that came with it: an
 * event that was not delivered goes back to the head of the queue, others are
 * freed.
 */
struct event *snapshot_wait_event(const uuid_t *id, u32 timeout_ms,
				  struct snapshot **snapshot);
void snapshot_event_done(struct snapshot *snapshot, struct event *event,
			 bool delivered);

/* Is this the number of a snapshot image (present or not)? */
bool snapshot_is_image(const struct blk_snap_dev_t *dev);
/* As tracker_mark_dirty(), for the original behind an image. */
int snapshot_mark_dirty_image(const struct blk_snap_dev_t *dev,
			      const struct blk_snap_block_range *ranges,
			      u32 count);

#endif /* BLKSNAP_SNAPSHOT_H */
