// SPDX-License-Identifier: MIT
/* K1: what is no request. K3: who may ask. K5, K6: counts. */
#include "client.h"

static const __u32 requests[] = {
	IOCTL_BLK_SNAP_VERSION,
	IOCTL_BLK_SNAP_TRACKER_REMOVE,
	IOCTL_BLK_SNAP_TRACKER_COLLECT,
	IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP,
	IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS,
	IOCTL_BLK_SNAP_SNAPSHOT_CREATE,
	IOCTL_BLK_SNAP_SNAPSHOT_DESTROY,
	IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE,
	IOCTL_BLK_SNAP_SNAPSHOT_TAKE,
	IOCTL_BLK_SNAP_SNAPSHOT_COLLECT,
	IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES,
	IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT,
};

/*
 * The argument would do harm if only the number were looked at: it begins with
 * the id of a snapshot. Return: 1 if it is refused, and untouched.
 */
static int is_refused(__u32 value, const uuid_t *id)
{
	static __u8 argument[PAGE], before[PAGE];
	__u32 i;

	for (i = 0; i < PAGE; i++)
		argument[i] = 0xee;
	memcpy(argument, id, sizeof(*id));
	memcpy(before, argument, PAGE);
	return request(value, argument) == -ENOTTY &&
	       !memcmp(argument, before, PAGE);
}

/* All values that differ from a right one in one part only. */
static int variants_refused(const uuid_t *id)
{
	int refused = 1;
	__u32 i, size;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		refused &= is_refused(requests[i] ^ 0xc0000000, id);
		refused &= is_refused(requests[i] & 0x3fffffff, id);
		refused &= is_refused(requests[i] | 0xc0000000, id);
		refused &= is_refused(requests[i] ^ 'V' << 8 ^ 'W' << 8, id);
		/* Bare, 2 is FIGETBSZ, which the kernel answers for any file. */
		if ((requests[i] & 0xff) != 2)
			refused &= is_refused(requests[i] & 0xff, id);
		for (size = 1; size < 1 << 14; size <<= 1)
			refused &= is_refused(requests[i] ^ size << 16, id);
	}
	return refused;
}

static int numbers_refused(const uuid_t *id)
{
	int refused = 1;
	__u32 number, i;

	for (number = ARRAY_SIZE(requests); number < 256; number++)
		for (i = 0; i < ARRAY_SIZE(requests); i++)
			refused &= is_refused((requests[i] & ~0xffu) | number, id);
	return refused;
}

void check_requests(void)
{
	struct blk_snap_tracker_remove removal = { .dev_id = a.id };
	struct blk_snap_version version;
	uuid_t id;
	__u32 i;

	memset(&version, 0xff, sizeof(version));
	check("K1 version", request(IOCTL_BLK_SNAP_VERSION, &version), 0);
	check_true("K1 it is 1.0.0.0", version.major == 1 && !version.minor &&
				       !version.revision && !version.build);
	check("K1 a tracker without snapshot", create(&id, &a, NULL) ||
					       destroy(&id), 0);
	check("K1 a tty query", request(0x5401, &removal), -ENOTTY);
	for (i = 0x5401; i < 0x5421; i++)
		if (request(i, &removal) != -ENOTTY)
			break;
	check("K1 all tty queries", i, 0x5421);
	check_exist("K1 a tty query removes no tracker", 0, 1);
	check("K1 create", create(&id, &a, &b), 0);
	check("K1 number 12", is_refused(_IOW('V', 12, struct blk_snap_version),
					 &id), 1);
	check("K1 numbers 12 to 255", numbers_refused(&id), 1);
	check("K1 other direction, letter, size", variants_refused(&id), 1);
	check_exist("K1 nothing was done by what was refused", 1, 2);
	check("K1 destroy", destroy(&id), 0);
	check("K1 remove", untrack(&a) || untrack(&b), 0);
}

static void check_too_small(const uuid_t *id)
{
	struct blk_snap_tracker_collect collect = { .count = 1 };
	struct blk_snap_snapshot_collect list = { .count = 0 };
	struct blk_snap_snapshot_collect_images images = { .id = *id, .count = 1 };
	struct blk_snap_image_info pairs[4];
	struct blk_snap_cbt_info infos[4];
	uuid_t ids[4];

	memset(infos, 0xee, sizeof(infos));
	collect.cbt_info_array = infos;
	check("K6 trackers: too small", request(IOCTL_BLK_SNAP_TRACKER_COLLECT,
						&collect), -ENOBUFS);
	check("K6 trackers: needed", collect.count, 2);
	check("K6 trackers: untouched", *(__u8 *)infos, 0xee);
	collect.count = 4;
	check("K6 trackers", request(IOCTL_BLK_SNAP_TRACKER_COLLECT, &collect), 0);
	check("K6 trackers: written", collect.count, 2);
	check("K6 trackers: no more than that", *(__u8 *)&infos[2], 0xee);

	list.ids = ids;
	check("K6 snapshots: too small", request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT,
						 &list), -ENODATA);
	check("K6 snapshots: needed", list.count, 1);
	list.count = 4;
	check("K6 snapshots", request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, &list), 0);
	check_true("K6 snapshots: this one", list.count == 1 &&
					     !memcmp(ids, id, sizeof(*id)));

	images.image_info_array = pairs;
	check("K6 images: too small",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), -ENODATA);
	check("K6 images: needed", images.count, 2);
	images.count = 4;
	check("K6 images",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), 0);
	check("K6 images: written", images.count, 2);
}

/* Two counts that are too large; the product of the second wraps in 32 bits. */
#define CHECK_HUGE(what, value, argument)				\
	do {								\
		(argument).count = 0xffffffff;				\
		check("K5 " what ": the most", request(value, &(argument)), \
		      -EINVAL);						\
		(argument).count = 0x10000001;				\
		check("K5 " what ": wraps", request(value, &(argument)), \
		      -EINVAL);						\
	} while (0)

void check_counts(void)
{
	struct blk_snap_block_range range = { 0, 8 };
	struct blk_snap_image_info pair;
	struct blk_snap_cbt_info info;
	struct blk_snap_dev_t devices[2] = { a.id, a.id };
	struct blk_snap_snapshot_create creation = { .dev_id_array = devices };
	struct blk_snap_tracker_mark_dirty_blocks mark = {
		.dev_id = a.id, .dirty_blocks_array = &range,
	};
	struct blk_snap_snapshot_append_storage appending = {
		.dev_id = store.id, .ranges = &range,
	};
	struct blk_snap_tracker_collect collect = { .cbt_info_array = &info };
	struct blk_snap_snapshot_collect_images images = {
		.image_info_array = &pair,
	};
	struct blk_snap_snapshot_collect list;
	uuid_t id;

	CHECK_HUGE("create", IOCTL_BLK_SNAP_SNAPSHOT_CREATE, creation);
	check_exist("K5 nothing created", 0, 0);
	check("K5 hold", hold(&id, &a, &b), 0);
	list.ids = &id;
	appending.id = images.id = id;
	CHECK_HUGE("mark", IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS, mark);
	CHECK_HUGE("append", IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE, appending);
	CHECK_HUGE("trackers", IOCTL_BLK_SNAP_TRACKER_COLLECT, collect);
	CHECK_HUGE("snapshots", IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, list);
	CHECK_HUGE("images", IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, images);
	id = appending.id;
	check_too_small(&id);
	check("K5 destroy", destroy(&id), 0);
	check("K5 remove", untrack(&a) || untrack(&b), 0);
}

/* In a child, as there is no way back. */
static void check_unprivileged(const uuid_t *id)
{
	static struct blk_snap_snapshot_event event;
	struct blk_snap_version version;
	struct blk_snap_block_range range = { 0, 8 };
	struct blk_snap_tracker_mark_dirty_blocks mark = {
		.dev_id = a.id, .count = 1, .dirty_blocks_array = &range,
	};
	struct blk_snap_snapshot_collect_images images = { .id = *id };
	static __u8 map[BLOCKS];
	uuid_t other;
	word ret;

	check("K3 another user", sys(NR_SETUID, 1000, 0, 0), 0);
	check("K3 version", request(IOCTL_BLK_SNAP_VERSION, &version), 0);
	check("K3 unknown request", request(0x5401, &version), -ENOTTY);
	check("K3 tracker_remove", untrack(&a), -EPERM);
	check("K3 tracker_collect", trackers(), -1);
	check("K3 read_cbt_map", read_map(&a, 0, BLOCKS, map), -EPERM);
	ret = request(IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS, &mark);
	check("K3 mark_dirty_blocks", ret, -EPERM);
	check("K3 create", create(&other, &b, NULL), -EPERM);
	check("K3 append_storage", append(id, 1), -EPERM);
	check("K3 take", take(id), -EPERM);
	check("K3 collect", snapshots(), -1);
	ret = request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images);
	check("K3 collect_images", ret, -EPERM);
	check("K3 wait_event", wait_event(id, 0, &event), -EPERM);
	check("K3 destroy", destroy(id), -EPERM);
	/* A bad pointer must not be looked at either. */
	check("K3 bad pointer", request(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, BAD),
	      -EPERM);
	process_exit(checks_failed);
}

void check_privilege(void)
{
	uuid_t id;
	word pid;

	check("K3 hold", hold(&id, &a, NULL), 0);
	pid = process_new();
	if (!pid)
		check_unprivileged(&id);
	check("K3 the other user's checks", process_wait(pid), 0);
	check_exist("K3 nothing changed", 1, 1);
	check("K3 destroy", destroy(&id), 0);
	check("K3 remove", untrack(&a), 0);
}
