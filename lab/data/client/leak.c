// SPDX-License-Identifier: MIT
/*
 * What is no result comes back as it was, or as zeros: nothing of the kernel's
 * memory, nothing behind the end.
 */
#include "client.h"

/* Records more than there are. */
#define ROOM 4

static int is_all(const void *bytes, __SIZE_TYPE__ count, __u8 byte)
{
	const __u8 *byte_at = bytes;

	while (count--)
		if (*byte_at++ != byte)
			return 0;
	return 1;
}

/* Nobody's bytes: untouched as a whole, or zeroed as a whole. */
static int is_clean(const void *bytes, __SIZE_TYPE__ count)
{
	return is_all(bytes, count, 0) || is_all(bytes, count, POISON);
}

#define GAP(record, member, next)					\
	is_clean((const __u8 *)&(record)->member + sizeof((record)->member), \
		 (const __u8 *)(next) - (const __u8 *)&(record)->member - \
			 sizeof((record)->member))

static void check_trackers(void)
{
	struct blk_snap_cbt_info infos[ROOM];
	struct blk_snap_tracker_collect collect;
	__u32 i;

	memset(infos, POISON, sizeof(infos));
	memset(&collect, POISON, sizeof(collect));
	collect.count = ROOM;
	collect.cbt_info_array = infos;
	check("B.2 leak: trackers", request(IOCTL_BLK_SNAP_TRACKER_COLLECT, &collect), 0);
	check("B.2 leak: two of them", collect.count, 2);
	check_true("B.2 leak: padding of the argument", GAP(&collect, count,
							   &collect.cbt_info_array));
	check_true("B.2 leak: the pointer is as it was", collect.cbt_info_array == infos);
	for (i = 0; i < 2; i++) {
		check_true("B.2 leak: padding before the capacity",
			   GAP(&infos[i], blk_size, &infos[i].device_capacity));
		check_true("B.2 leak: padding behind the number",
			   GAP(&infos[i], snap_number, &infos[i + 1]));
	}
	check_true("B.2 leak: records that are not there",
		   is_all(&infos[2], 2 * sizeof(*infos), POISON));
}

static void check_lists(const uuid_t *id)
{
	struct blk_snap_snapshot_collect list;
	struct blk_snap_snapshot_collect_images images;
	struct blk_snap_image_info pairs[ROOM];
	uuid_t ids[ROOM];

	memset(&list, POISON, sizeof(list));
	memset(ids, POISON, sizeof(ids));
	list.count = ROOM;
	list.ids = ids;
	check("B.2 leak: snapshots", request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, &list), 0);
	check_true("B.2 leak: padding of the list", GAP(&list, count, &list.ids));
	check_true("B.2 leak: ids that are not there",
		   is_all(&ids[1], 3 * sizeof(*ids), POISON));

	memset(&images, POISON, sizeof(images));
	memset(pairs, POISON, sizeof(pairs));
	images.id = *id;
	images.count = ROOM;
	images.image_info_array = pairs;
	check("B.2 leak: images",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), 0);
	check_true("B.2 leak: padding of the images",
		   GAP(&images, count, &images.image_info_array));
	check_true("B.2 leak: the id of the images", !memcmp(&images.id, id, sizeof(*id)));
	check_true("B.2 leak: pairs that are not there",
		   is_all(&pairs[2], 2 * sizeof(*pairs), POISON));
}

static void check_event(const uuid_t *id)
{
	static struct blk_snap_snapshot_event event, before;

	memset(&event, POISON, sizeof(event));
	check("B.2 leak: event", wait_event(id, 1000, &event), 0);
	check_true("B.2 leak: the rest of the event's data",
		   is_all(event.data + sizeof(struct blk_snap_event_low_free_space),
			  sizeof(event.data) -
				  sizeof(struct blk_snap_event_low_free_space),
			  POISON));
	check_true("B.2 leak: id and time-out of the event",
		   !memcmp(&event.id, id, sizeof(*id)) && event.timeout_ms == 1000);
	memset(&event, POISON, sizeof(event));
	event.id = *id;
	event.timeout_ms = 0;
	before = event;
	check("B.2 leak: no event", wait_event(id, 0, &event), -ENOENT);
	check("B.2 leak: nothing written then", memcmp(&event, &before, sizeof(event)), 0);
}

/* Its payload is no multiple of eight bytes. */
static void check_corrupted(const uuid_t *id)
{
	static struct blk_snap_snapshot_event event;
	struct blk_snap_event_corrupted corrupted;

	check("B.2 leak: corrupted event", spoil(id, &event), 0);
	memcpy(&corrupted, event.data, sizeof(corrupted));
	check_true("B.2 leak: its payload",
		   corrupted.orig_dev_id.mj == a.id.mj &&
		   corrupted.orig_dev_id.mn == a.id.mn &&
		   corrupted.err_code == ENOSPC);
	check_true("B.2 leak: the rest of the corrupted event's data",
		   is_all(event.data + sizeof(corrupted),
			  sizeof(event.data) - sizeof(corrupted), POISON));
}

static void check_create(uuid_t *id)
{
	struct blk_snap_dev_t devices[2] = { a.id, b.id };
	struct blk_snap_snapshot_create creation;

	memset(&creation, POISON, sizeof(creation));
	creation.count = 2;
	creation.dev_id_array = devices;
	check("B.2 leak: create", request(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, &creation), 0);
	check_true("B.2 leak: padding of create", GAP(&creation, count,
						     &creation.dev_id_array));
	check_true("B.2 leak: the devices are as they were",
		   creation.count == 2 && creation.dev_id_array == devices);
	*id = creation.id;
	creation.count = 0xffffffff;
	memset(&creation.id, POISON, sizeof(creation.id));
	check("B.2 leak: create refused",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, &creation), -EINVAL);
	check_true("B.2 leak: no id then", is_clean(&creation.id, sizeof(creation.id)));
}

void check_leak(void)
{
	uuid_t id;

	check_create(&id);
	check_event(&id);
	check("B.2 leak: take", append(&id, 0) ?: take(&id), 0);
	check_trackers();
	check_lists(&id);
	check_corrupted(&id);
	check("B.2 leak: destroy", destroy(&id), 0);
	check("B.2 leak: remove", untrack(&a) || untrack(&b), 0);
}
