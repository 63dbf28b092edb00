/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What snapshot.c (life and commands) and snapshot_take.c (the take, and its
 * undoing) share.
 */
#ifndef BLKSNAP_SNAPSHOT_IMPL_H
#define BLKSNAP_SNAPSHOT_IMPL_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/uuid.h>

#include "diff_storage.h"
#include "event_queue.h"
#include "tracker.h"

struct snapimage;

/**
 * enum snapshot_state - Where a snapshot is in its life.
 * @snapshot_created: Devices are tracked and claimed.
 * @snapshot_taken: The images can be read.
 * @snapshot_gone: Destroyed; somebody still has a reference.
 */
enum snapshot_state {
	snapshot_created,
	snapshot_taken,
	snapshot_gone,
};

/**
 * struct snapshot_member - A device of a snapshot.
 * @image: Its image, if taken.
 * @fresh: Its tracker was made for this snapshot.
 * @frozen: Its file system is frozen, in the middle of a take.
 */
struct snapshot_member {
	struct snapimage *image;
	bool fresh;
	bool frozen;
};

/**
 * struct snapshot_turn - When the file system of a member is frozen.
 * @since: The later a device became what it is, the sooner.
 * @member: Which member it is.
 */
struct snapshot_turn {
	u64 since;
	u32 member;
};

/**
 * struct snapshot - A snapshot.
 * @kref: References: the list's, and those of commands under way.
 * @link: In the list.
 * @id: Random.
 * @lock: Protects the state, and the members' images and areas.
 * @state: enum snapshot_state.
 * @events: What clients wait for.
 * @storage: Difference storage of all members.
 * @count: Number of members.
 * @changes: Trackers and, if taken, areas; one for each member.
 * @members: The rest of the members.
 * @turns: In which order they are frozen; made by a take.
 */
struct snapshot {
	struct kref kref;
	struct list_head link;
	uuid_t id;
	struct mutex lock;
	enum snapshot_state state;
	struct event_queue events;
	struct diff_storage storage;
	u32 count;
	struct tracker_switch *changes;
	struct snapshot_member *members;
	struct snapshot_turn *turns;
};

/* Both with snapshot->lock held. */

/* Return: 0 and the snapshot is taken; or an error, and it is as before. */
int snapshot_take_locked(struct snapshot *snapshot);
/* The end of a taken snapshot: images and areas go. */
void snapshot_untake(struct snapshot *snapshot);

#endif /* BLKSNAP_SNAPSHOT_IMPL_H */
