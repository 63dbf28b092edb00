// SPDX-License-Identifier: GPL-2.0
/*
 * The snapshots: create, append storage, take, collect, destroy.
 *
 * created -> taken -> gone; a failed take leaves it as it was created.
 *
 * Each snapshot holds a reference on the module, until it is destroyed.
 *
 * Context: process context.
 *
 * Locking: snapshot_list_lock for the list. snapshot->lock, a mutex held through
 * a whole take and a whole destroy, for the state and all that comes with it.
 * Appending and waiting for events take neither: the storage and the queue have
 * locks of their own, and more storage may be wanted while a take still runs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME "-snapshot: " fmt

#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>

#include <linux/blksnap.h>

#include "account.h"
#include "diff_area.h"
#include "params.h"
#include "snapimage.h"
#include "snapshot.h"
#include "snapshot_impl.h"

static DECLARE_RWSEM(snapshot_list_lock);
static LIST_HEAD(snapshot_list);

/* ---- Objects ---- */

/* Bytes of the arrays with an element for each member. */
static size_t snapshot_arrays(const struct snapshot *snapshot)
{
	return snapshot->count * (sizeof(*snapshot->changes) +
				  sizeof(*snapshot->members) +
				  sizeof(*snapshot->turns));
}

static void snapshot_free(struct kref *kref)
{
	struct snapshot *snapshot = container_of(kref, struct snapshot, kref);

	event_queue_done(&snapshot->events);
	if (snapshot->count)
		account_sub(account_array, snapshot_arrays(snapshot));
	kvfree(snapshot->changes);
	kvfree(snapshot->members);
	kvfree(snapshot->turns);
	account_free(account_snapshot, snapshot, sizeof(*snapshot));
}

static void snapshot_put(struct snapshot *snapshot)
{
	kref_put(&snapshot->kref, snapshot_free);
}

static struct snapshot *snapshot_alloc(u32 count)
{
	struct snapshot *snapshot;

	snapshot = account_zalloc(account_snapshot, sizeof(*snapshot),
				  GFP_KERNEL);
	if (!snapshot)
		return NULL;
	kref_init(&snapshot->kref);
	INIT_LIST_HEAD(&snapshot->link);
	mutex_init(&snapshot->lock);
	event_queue_init(&snapshot->events);
	uuid_gen(&snapshot->id);
	if (!count)
		return snapshot;

	snapshot->changes = kvcalloc(count, sizeof(*snapshot->changes),
				     GFP_KERNEL);
	snapshot->members = kvcalloc(count, sizeof(*snapshot->members),
				     GFP_KERNEL);
	snapshot->turns = kvcalloc(count, sizeof(*snapshot->turns), GFP_KERNEL);
	if (!snapshot->changes || !snapshot->members || !snapshot->turns) {
		snapshot_put(snapshot);
		return NULL;
	}
	snapshot->count = count;
	account_add(account_array, snapshot_arrays(snapshot));
	return snapshot;
}

static struct snapshot *snapshot_find(const uuid_t *id)
{
	struct snapshot *snapshot;

	lockdep_assert_held(&snapshot_list_lock);
	list_for_each_entry(snapshot, &snapshot_list, link)
		if (uuid_equal(&snapshot->id, id))
			return snapshot;
	return NULL;
}

static struct snapshot *snapshot_get(const uuid_t *id)
{
	struct snapshot *snapshot;

	down_read(&snapshot_list_lock);
	snapshot = snapshot_find(id);
	if (snapshot)
		kref_get(&snapshot->kref);
	up_read(&snapshot_list_lock);
	return snapshot;
}

/* ---- Create ---- */

static int snapshot_check_devices(const struct blk_snap_dev_t *devs, u32 count)
{
	u32 i, j;

	for (i = 0; i < count; i++) {
		for (j = 0; j < i; j++)
			if (devs[i].mj == devs[j].mj && devs[i].mn == devs[j].mn)
				return -EINVAL;
		/* So many pairs take minutes, if somebody wants them to. */
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int snapshot_claim(struct snapshot *snapshot, u32 i,
			  const struct blk_snap_dev_t *dev)
{
	struct tracker *tracker;
	dev_t number;
	int ret;

	ret = tracker_dev(dev, &number);
	if (ret)
		return ret;
	tracker = tracker_claim(number, &snapshot->members[i].fresh);
	if (IS_ERR(tracker))
		return PTR_ERR(tracker);
	snapshot->changes[i].tracker = tracker;
	return 0;
}

static int snapshot_claim_all(struct snapshot *snapshot,
			      const struct blk_snap_dev_t *devs)
{
	u32 i;
	int ret;

	for (i = 0; i < snapshot->count; i++) {
		ret = snapshot_claim(snapshot, i, &devs[i]);
		if (ret)
			goto undo;
	}
	return 0;

undo:
	/* No new trackers are left behind. */
	while (i--)
		tracker_release(snapshot->changes[i].tracker,
				snapshot->members[i].fresh);
	return ret;
}

static void snapshot_release_all(struct snapshot *snapshot, bool undo)
{
	u32 i;

	for (i = 0; i < snapshot->count; i++)
		tracker_release(snapshot->changes[i].tracker,
				undo && snapshot->members[i].fresh);
}

static void snapshot_publish(struct snapshot *snapshot)
{
	/* Called by way of the open control node: there is a reference. */
	__module_get(THIS_MODULE);
	down_write(&snapshot_list_lock);
	list_add_tail(&snapshot->link, &snapshot_list);
	up_write(&snapshot_list_lock);
}

int snapshot_create(const struct blk_snap_dev_t *devs, u32 count, uuid_t *id)
{
	struct snapshot *snapshot;
	struct params params;
	int ret;

	ret = snapshot_check_devices(devs, count);
	if (ret)
		return ret;
	snapshot = snapshot_alloc(count);
	if (!snapshot)
		return -ENOMEM;
	params_read(&params);
	ret = diff_storage_init(&snapshot->storage, &snapshot->events,
				params.diff_storage_minimum);
	if (ret)
		goto out_put;
	ret = snapshot_claim_all(snapshot, devs);
	if (ret)
		goto out_storage;

	/* The caller's copy first: the snapshot may be destroyed at once. */
	*id = snapshot->id;
	pr_info("snapshot %pUb of %u devices created\n", id, count);
	snapshot_publish(snapshot);
	return 0;

out_storage:
	diff_storage_done(&snapshot->storage);
out_put:
	snapshot_put(snapshot);
	return ret;
}

/* ---- Take ---- */

static int snapshot_may_take(struct snapshot *snapshot)
{
	lockdep_assert_held(&snapshot->lock);
	if (snapshot->state == snapshot_gone)
		return -ESRCH;
	if (snapshot->state == snapshot_taken)
		return -EALREADY;
	if (!snapshot->count)
		return -ENODEV;
	if (diff_storage_is_empty(&snapshot->storage))
		return -EFAULT;
	return 0;
}

int snapshot_take(const uuid_t *id)
{
	struct snapshot *snapshot = snapshot_get(id);
	int ret;

	if (!snapshot)
		return -ESRCH;
	if (mutex_lock_killable(&snapshot->lock)) {
		ret = -EINTR;
		goto out_put;
	}
	ret = snapshot_may_take(snapshot);
	if (!ret)
		ret = snapshot_take_locked(snapshot);
	if (!ret)
		pr_info("snapshot %pUb taken\n", id);
	mutex_unlock(&snapshot->lock);
out_put:
	snapshot_put(snapshot);
	return ret;
}

/* ---- Destroy ---- */

static void snapshot_take_down(struct snapshot *snapshot, bool undo)
{
	lockdep_assert_held(&snapshot->lock);
	if (snapshot->state == snapshot_taken)
		snapshot_untake(snapshot);
	snapshot_release_all(snapshot, undo);
	diff_storage_done(&snapshot->storage);
	snapshot->state = snapshot_gone;
}

static int snapshot_end(const uuid_t *id, bool undo)
{
	struct snapshot *snapshot;

	down_write(&snapshot_list_lock);
	snapshot = snapshot_find(id);
	if (snapshot)
		list_del_init(&snapshot->link);
	up_write(&snapshot_list_lock);
	if (!snapshot)
		return -ENODEV;

	event_queue_close(&snapshot->events);
	/* A take that is under way comes to its end first. */
	mutex_lock(&snapshot->lock);
	snapshot_take_down(snapshot, undo);
	mutex_unlock(&snapshot->lock);
	pr_info("snapshot %pUb destroyed\n", &snapshot->id);
	snapshot_put(snapshot);
	module_put(THIS_MODULE);
	return 0;
}

int snapshot_destroy(const uuid_t *id)
{
	return snapshot_end(id, false);
}

void snapshot_undo_create(const uuid_t *id)
{
	snapshot_end(id, true);
}

/* ---- The other commands ---- */

int snapshot_append_storage(const uuid_t *id, const struct blk_snap_dev_t *dev,
			    const struct blk_snap_block_range *ranges,
			    u32 count)
{
	struct snapshot *snapshot = snapshot_get(id);
	dev_t number;
	int ret;

	if (!snapshot)
		return -ESRCH;
	ret = tracker_dev(dev, &number);
	if (!ret)
		ret = diff_storage_append(&snapshot->storage, number, ranges,
					  count);
	snapshot_put(snapshot);
	return ret;
}

int snapshot_collect(uuid_t *ids, u32 capacity, u32 *count)
{
	struct snapshot *snapshot;
	u32 needed = 0, i = 0;
	int ret = 0;

	down_read(&snapshot_list_lock);
	list_for_each_entry(snapshot, &snapshot_list, link)
		needed++;
	if (ids && needed > capacity)
		ret = -ENODATA;
	else if (ids)
		list_for_each_entry(snapshot, &snapshot_list, link)
			ids[i++] = snapshot->id;
	up_read(&snapshot_list_lock);
	*count = needed;
	return ret;
}

static void snapshot_fill_images(struct snapshot *snapshot,
				 struct blk_snap_image_info *infos)
{
	u32 i;

	for (i = 0; i < snapshot->count; i++) {
		dev_t dev = tracker_number(snapshot->changes[i].tracker);
		dev_t image = snapimage_dev(snapshot->members[i].image);

		infos[i].orig_dev_id.mj = MAJOR(dev);
		infos[i].orig_dev_id.mn = MINOR(dev);
		infos[i].image_dev_id.mj = MAJOR(image);
		infos[i].image_dev_id.mn = MINOR(image);
	}
}

int snapshot_collect_images(const uuid_t *id, struct blk_snap_image_info *infos,
			    u32 capacity, u32 *count)
{
	struct snapshot *snapshot = snapshot_get(id);
	int ret = 0;

	if (!snapshot)
		return -ESRCH;
	if (mutex_lock_killable(&snapshot->lock)) {
		snapshot_put(snapshot);
		return -EINTR;
	}
	if (snapshot->state == snapshot_gone)
		ret = -ESRCH;
	else
		*count = snapshot->count;
	if (!ret && infos) {
		if (snapshot->state != snapshot_taken)
			ret = -ENODEV;
		else if (snapshot->count > capacity)
			ret = -ENODATA;
		else
			snapshot_fill_images(snapshot, infos);
	}
	mutex_unlock(&snapshot->lock);
	snapshot_put(snapshot);
	return ret;
}

struct event *snapshot_wait_event(const uuid_t *id, u32 timeout_ms,
				  struct snapshot **snapshot)
{
	struct event *event;

	*snapshot = snapshot_get(id);
	if (!*snapshot)
		return ERR_PTR(-ESRCH);
	event = event_wait(&(*snapshot)->events, timeout_ms);
	if (IS_ERR(event))
		snapshot_put(*snapshot);
	return event;
}

void snapshot_event_done(struct snapshot *snapshot, struct event *event,
			 bool delivered)
{
	if (delivered)
		event_free(event);
	else
		event_requeue_head(&snapshot->events, event);
	snapshot_put(snapshot);
}

bool snapshot_is_image(const struct blk_snap_dev_t *dev)
{
	return dev->mj == snapimage_major();
}

int snapshot_mark_dirty_image(const struct blk_snap_dev_t *dev,
			      const struct blk_snap_block_range *ranges,
			      u32 count)
{
	return snapimage_mark_dirty(dev->mn, ranges, count);
}

/* ---- The module's part ---- */

int snapshot_init(void)
{
	int ret;

	ret = diff_io_init();
	if (ret)
		return ret;
	ret = diff_area_init();
	if (ret)
		goto out_io;
	ret = snapimage_init();
	if (ret)
		goto out_area;
	return 0;

out_area:
	diff_area_done();
out_io:
	diff_io_done();
	return ret;
}

void snapshot_done(void)
{
	WARN_ON(!list_empty(&snapshot_list));
	snapimage_done();
	diff_area_done();
	diff_io_done();
}
