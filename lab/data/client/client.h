/* SPDX-License-Identifier: MIT */
/*
 * A client of the control interface, written against its header alone.
 *
 * The devices are given on the command line and are 64 MiB each: two originals
 * and one for the storage. Every group of checks begins with no snapshot and no
 * tracker, and ends so.
 */
#ifndef ABI_CLIENT_H
#define ABI_CLIENT_H

#include "sys.h"

#define BLK_SNAP_HAVE_UUID_T
typedef struct {
	__u8 b[16];
} uuid_t;
#include <linux/blksnap.h>
/* What the build's flavour says: MODULE_NAME, FILTER_NAME, NODE, IMAGE, DEBUGFS. */
#include <names.h>

#define SIZE_MIB 64
#define SECTORS (SIZE_MIB << 11)
#define BLOCK_SIZE 65536
#define BLOCKS (SIZE_MIB << 4)
#define BAD ((void *)16)
#define POISON 0xee
#define FAULTS "/sys/kernel/debug/" DEBUGFS "/fail"
#define PARAMETERS "/sys/module/" MODULE_NAME "/parameters/"

struct device {
	const char *path;
	struct blk_snap_dev_t id;
};

extern struct device a, b, store;
extern const char *module_folder;
/* The open control node. */
extern int control;

/* client.c; all return what the kernel returns. */
void control_open(void);
void control_close(void);
word request(__u32 value, void *argument);
word create(uuid_t *id, const struct device *first, const struct device *second);
/* The @index-th eighth of the storage device. */
word append(const uuid_t *id, __u32 index);
word take(const uuid_t *id);
word destroy(const uuid_t *id);
word untrack(const struct device *device);
word wait_event(const uuid_t *id, __u32 timeout_ms,
		struct blk_snap_snapshot_event *event);
word read_map(const struct device *device, __u32 offset, __u32 length, void *to);
/*
 * Overwrite twice what an append gives, of a; the event that tells of it, with
 * what is no result POISON.
 */
word spoil(const uuid_t *id, struct blk_snap_snapshot_event *event);
/* Numbers of snapshots and trackers; -1 if they cannot be had. */
word snapshots(void);
word trackers(void);
/* Create, append, take. */
word hold(uuid_t *id, const struct device *first, const struct device *second);
/* "a snapshot, b trackers": nothing more, nothing less. */
void check_exist(const char *name, word snapshots_right, word trackers_right);

/* The groups. */
void check_layout(void);
void check_leak(void);
void check_owner(void);
void check_requests(void);
void check_counts(void);
void check_privilege(void);
void check_pointers(void);
void check_map(void);
void check_mark(void);
void check_flow(void);
void check_waiting(void);
void check_races(void);
void check_unload(void);
/* Makes requests for so many seconds; the same ones for the same seed. */
void check_fuzz(__u32 seed, __u32 seconds);

#endif /* ABI_CLIENT_H */
