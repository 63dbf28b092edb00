// SPDX-License-Identifier: MIT
/* The layout, as a compiler sees it through the header: one line for each fact. */
#include "client.h"

#define offset_of(type, member) __builtin_offsetof(struct type, member)

static void layout_print(const char *what, word number)
{
	print(what);
	print(" ");
	print_number(number);
	print("\n");
}

#define SIZE(type) layout_print("size " #type, sizeof(struct type))
#define MEMBER(type, member)						\
	do {								\
		layout_print("offset " #type "." #member,		\
			     offset_of(type, member));			\
		layout_print("size " #type "." #member,			\
			     sizeof(((struct type *)0)->member));	\
	} while (0)
/* In 32 bits half of them are negative. */
#define REQUEST(name) layout_print("request " #name, (word)(__u32)(name))

static void layout_of_trackers(void)
{
	SIZE(blk_snap_version);
	MEMBER(blk_snap_version, major);
	MEMBER(blk_snap_version, minor);
	MEMBER(blk_snap_version, revision);
	MEMBER(blk_snap_version, build);
	SIZE(blk_snap_dev_t);
	MEMBER(blk_snap_dev_t, mj);
	MEMBER(blk_snap_dev_t, mn);
	SIZE(blk_snap_tracker_remove);
	MEMBER(blk_snap_tracker_remove, dev_id);
	SIZE(blk_snap_cbt_info);
	MEMBER(blk_snap_cbt_info, dev_id);
	MEMBER(blk_snap_cbt_info, blk_size);
	MEMBER(blk_snap_cbt_info, device_capacity);
	MEMBER(blk_snap_cbt_info, blk_count);
	MEMBER(blk_snap_cbt_info, generation_id);
	MEMBER(blk_snap_cbt_info, snap_number);
	SIZE(blk_snap_tracker_collect);
	MEMBER(blk_snap_tracker_collect, count);
	MEMBER(blk_snap_tracker_collect, cbt_info_array);
	SIZE(blk_snap_tracker_read_cbt_bitmap);
	MEMBER(blk_snap_tracker_read_cbt_bitmap, dev_id);
	MEMBER(blk_snap_tracker_read_cbt_bitmap, offset);
	MEMBER(blk_snap_tracker_read_cbt_bitmap, length);
	MEMBER(blk_snap_tracker_read_cbt_bitmap, buff);
	SIZE(blk_snap_block_range);
	MEMBER(blk_snap_block_range, sector_offset);
	MEMBER(blk_snap_block_range, sector_count);
	SIZE(blk_snap_tracker_mark_dirty_blocks);
	MEMBER(blk_snap_tracker_mark_dirty_blocks, dev_id);
	MEMBER(blk_snap_tracker_mark_dirty_blocks, count);
	MEMBER(blk_snap_tracker_mark_dirty_blocks, dirty_blocks_array);
}

static void layout_of_snapshots(void)
{
	SIZE(blk_snap_snapshot_create);
	MEMBER(blk_snap_snapshot_create, count);
	MEMBER(blk_snap_snapshot_create, dev_id_array);
	MEMBER(blk_snap_snapshot_create, id);
	SIZE(blk_snap_snapshot_destroy);
	MEMBER(blk_snap_snapshot_destroy, id);
	SIZE(blk_snap_snapshot_append_storage);
	MEMBER(blk_snap_snapshot_append_storage, id);
	MEMBER(blk_snap_snapshot_append_storage, dev_id);
	MEMBER(blk_snap_snapshot_append_storage, count);
	MEMBER(blk_snap_snapshot_append_storage, ranges);
	SIZE(blk_snap_snapshot_take);
	MEMBER(blk_snap_snapshot_take, id);
	SIZE(blk_snap_snapshot_collect);
	MEMBER(blk_snap_snapshot_collect, count);
	MEMBER(blk_snap_snapshot_collect, ids);
	SIZE(blk_snap_image_info);
	MEMBER(blk_snap_image_info, orig_dev_id);
	MEMBER(blk_snap_image_info, image_dev_id);
	SIZE(blk_snap_snapshot_collect_images);
	MEMBER(blk_snap_snapshot_collect_images, id);
	MEMBER(blk_snap_snapshot_collect_images, count);
	MEMBER(blk_snap_snapshot_collect_images, image_info_array);
	SIZE(blk_snap_snapshot_event);
	MEMBER(blk_snap_snapshot_event, id);
	MEMBER(blk_snap_snapshot_event, timeout_ms);
	MEMBER(blk_snap_snapshot_event, code);
	MEMBER(blk_snap_snapshot_event, time_label);
	MEMBER(blk_snap_snapshot_event, data);
	SIZE(blk_snap_event_low_free_space);
	MEMBER(blk_snap_event_low_free_space, requested_nr_sect);
	SIZE(blk_snap_event_corrupted);
	MEMBER(blk_snap_event_corrupted, orig_dev_id);
	MEMBER(blk_snap_event_corrupted, err_code);
}

void check_layout(void)
{
	layout_of_trackers();
	layout_of_snapshots();
	REQUEST(IOCTL_BLK_SNAP_VERSION);
	REQUEST(IOCTL_BLK_SNAP_TRACKER_REMOVE);
	REQUEST(IOCTL_BLK_SNAP_TRACKER_COLLECT);
	REQUEST(IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP);
	REQUEST(IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS);
	REQUEST(IOCTL_BLK_SNAP_SNAPSHOT_CREATE);
	REQUEST(IOCTL_BLK_SNAP_SNAPSHOT_DESTROY);
	REQUEST(IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE);
	REQUEST(IOCTL_BLK_SNAP_SNAPSHOT_TAKE);
	REQUEST(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT);
	REQUEST(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES);
	REQUEST(IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT);
}
