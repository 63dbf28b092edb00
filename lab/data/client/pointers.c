// SPDX-License-Identifier: MIT
/* K2: bad pointers. Nothing is created, changed or lost. */
#include "client.h"

static void check_arguments(void)
{
	static const struct {
		const char *name;
		__u32 value;
	} all[] = {
		{ "K2 version", IOCTL_BLK_SNAP_VERSION },
		{ "K2 tracker_remove", IOCTL_BLK_SNAP_TRACKER_REMOVE },
		{ "K2 tracker_collect", IOCTL_BLK_SNAP_TRACKER_COLLECT },
		{ "K2 read_cbt_map", IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP },
		{ "K2 mark_dirty", IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS },
		{ "K2 create", IOCTL_BLK_SNAP_SNAPSHOT_CREATE },
		{ "K2 destroy", IOCTL_BLK_SNAP_SNAPSHOT_DESTROY },
		{ "K2 append_storage", IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE },
		{ "K2 take", IOCTL_BLK_SNAP_SNAPSHOT_TAKE },
		{ "K2 collect", IOCTL_BLK_SNAP_SNAPSHOT_COLLECT },
		{ "K2 collect_images", IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES },
		{ "K2 wait_event", IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT },
	};
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		check(all[i].name, request(all[i].value, BAD), -EFAULT);
}

/* The page holds what the kernel shall read, and cannot be written to. */
static word request_read_only(__u32 value, const void *argument, __u32 size)
{
	void *page = pages_new(1, 0);

	memcpy(page, argument, size);
	pages_protect(page, 1, PROT_READ);
	return request(value, page);
}

static void check_creation(void)
{
	struct blk_snap_dev_t *edge = pages_new(2, 0);
	struct blk_snap_snapshot_create creation = { .count = 2 };
	struct blk_snap_dev_t devices[2] = { a.id, b.id };
	uuid_t id;

	creation.dev_id_array = BAD;
	check("K2 create: bad array",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, &creation), -EFAULT);
	edge += PAGE / sizeof(*edge) - 1;
	*edge = a.id;
	pages_protect(edge + 1, 1, PROT_NONE);
	creation.dev_id_array = edge;
	check("K2 create: half an array",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, &creation), -EFAULT);
	creation.dev_id_array = devices;
	check("K2 create: no place for the id",
	      request_read_only(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, &creation,
				sizeof(creation)), -EFAULT);
	check_exist("K2 create: nothing created", 0, 0);

	check("K2 the tracker of b is there already",
	      create(&id, &b, NULL) || destroy(&id), 0);
	check_true("K2 the place goes away meanwhile", file_write(FAULTS, "id_copy") > 0);
	check("K2 create: the id is not returned", create(&id, &a, &b), -EFAULT);
	check_exist("K2 create: only what was there before", 0, 1);
	check("K2 remove", untrack(&b), 0);
}

static void check_events(const uuid_t *id)
{
	static struct blk_snap_snapshot_event event;

	memset(&event, 0xaa, sizeof(event));
	event.id = *id;
	event.timeout_ms = 0;
	check("K2 event: no place",
	      request_read_only(IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT, &event,
				sizeof(event)), -EFAULT);
	check_true("K2 its place goes away", file_write(FAULTS, "event_copy") > 0);
	check("K2 event: not returned", wait_event(id, 0, &event), -EFAULT);
	check("K2 event: it is still there", wait_event(id, 0, &event), 0);
	check("K2 event: the first one", event.code,
	      blk_snap_event_code_low_free_space);
	check_true("K2 event: bytes behind the payload are untouched",
		   event.data[8] == 0xaa && event.data[4063] == 0xaa);
	check("K2 event: only one", wait_event(id, 0, &event), -ENOENT);
}

static void check_arrays(const uuid_t *id)
{
	struct blk_snap_tracker_mark_dirty_blocks mark = {
		.dev_id = a.id, .count = 1, .dirty_blocks_array = BAD,
	};
	struct blk_snap_snapshot_append_storage appending = {
		.id = *id, .dev_id = store.id, .count = 1, .ranges = BAD,
	};
	struct blk_snap_tracker_collect collect = {
		.count = 4, .cbt_info_array = BAD,
	};
	struct blk_snap_snapshot_collect list = { .count = 4, .ids = BAD };
	struct blk_snap_snapshot_collect_images images = {
		.id = *id, .count = 4, .image_info_array = BAD,
	};

	check("K2 mark: bad array",
	      request(IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS, &mark), -EFAULT);
	check("K2 append: bad array",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE, &appending), -EFAULT);
	check("K2 trackers: bad array",
	      request(IOCTL_BLK_SNAP_TRACKER_COLLECT, &collect), -EFAULT);
	check("K2 snapshots: bad array",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, &list), -EFAULT);
	check("K2 images: bad array",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), -EFAULT);
	collect.cbt_info_array = NULL;
	list.ids = NULL;
	images.image_info_array = NULL;
	check("K2 trackers: no place",
	      request_read_only(IOCTL_BLK_SNAP_TRACKER_COLLECT, &collect,
				sizeof(collect)), -EFAULT);
	check("K2 snapshots: no place",
	      request_read_only(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, &list,
				sizeof(list)), -EFAULT);
	check("K2 images: no place",
	      request_read_only(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images,
				sizeof(images)), -EFAULT);
}

void check_pointers(void)
{
	__u8 map[BLOCKS];
	uuid_t id;
	word i, marked = 0;

	check_arguments();
	check_creation();
	check("K2 create", create(&id, &a, NULL), 0);
	check_events(&id);
	check("K2 append", append(&id, 0), 0);
	check("K2 take", take(&id), 0);
	check_arrays(&id);
	check_arguments();
	check_exist("K2 all is there", 1, 1);
	check("K2 map", read_map(&a, 0, BLOCKS, map), BLOCKS);
	for (i = 0; i < BLOCKS; i++)
		marked += map[i];
	check("K2 nothing is marked", marked, 0);
	check("K2 a whole append still works", append(&id, 1), 0);
	check("K2 destroy", destroy(&id), 0);
	check("K2 remove", untrack(&a), 0);
}
