// SPDX-License-Identifier: MIT
/* K7: reading the map. K8: marking. */
#include "client.h"

/* Blocks of 4 KiB: the map has four pages. */
#define FINE_SHIFT "12"
#define USUAL_SHIFT "16"
#define FINE_BLOCKS (SIZE_MIB << 8)
#define FINE_BLOCK 4096
#define LAST_PAGE (FINE_BLOCKS - PAGE)
#define TAKES 30

/* Room for one block more than there are, and a page that cannot be touched. */
static __u8 *buffer;

static int is_poison(const __u8 *bytes, __u32 count)
{
	while (count--)
		if (*bytes++ != 0xee)
			return 0;
	return 1;
}

static word read_poisoned(__u32 offset, __u32 length)
{
	memset(buffer, 0xee, 2 * PAGE);
	return read_map(&a, offset, length, buffer);
}

static void check_ranges(void)
{
	check("K7 all", read_poisoned(0, BLOCKS), BLOCKS);
	check("K7 more than all", read_poisoned(0, BLOCKS + 1), BLOCKS);
	check_true("K7 nothing beyond the map", is_poison(buffer + BLOCKS, PAGE));
	check("K7 far more than all", read_poisoned(0, 0xffffffff), BLOCKS);
	check_true("K7 nothing beyond the map", is_poison(buffer + BLOCKS, PAGE));
	check("K7 the end", read_poisoned(1000, 0xffffffff), BLOCKS - 1000);
	check_true("K7 nothing beyond the end",
		   is_poison(buffer + BLOCKS - 1000, PAGE));
	check("K7 the last block", read_poisoned(BLOCKS - 1, 2), 1);
	check("K7 at the end", read_poisoned(BLOCKS, 1), 0);
	check("K7 much at the end", read_poisoned(BLOCKS, 0xffffffff), 0);
	check("K7 over the end", read_poisoned(BLOCKS + 1, 1), -EINVAL);
	check("K7 over the end, unaligned", read_poisoned(BLOCKS + 4097, 8), -EINVAL);
	check("K7 far over the end", read_poisoned(0xffffffff, 1), -EINVAL);
	check("K7 it wraps", read_poisoned(0xffffffff, 0xffffffff), -EINVAL);
	check("K7 it wraps onto the map", read_poisoned(0xfffffff0, 32), -EINVAL);
	check_true("K7 a refused read writes nothing", is_poison(buffer, 2 * PAGE));
	check("K7 nothing of it", read_poisoned(17, 0), 0);
	check_true("K7 an empty read writes nothing", is_poison(buffer, 2 * PAGE));
}

static void check_faults(void)
{
	__u8 *edge = buffer + 2 * PAGE;

	check("K7 bad pointer", read_map(&a, 0, BLOCKS, BAD), -EFAULT);
	check("K7 at the page that is not there", read_map(&a, 0, 1, edge), -EFAULT);
	check("K7 bytes before the fault", read_map(&a, 0, BLOCKS, edge - 100), 100);
	check("K7 from there on", read_map(&a, 100, BLOCKS, edge - 1), 1);
	check("K7 bad pointer, nothing to write", read_map(&a, BLOCKS, 8, BAD), 0);
}

/*
 * Take n has n blocks changed at the start of the map and n at the start of its
 * last page. A reader that gets both from one map finds them alike; a piece of
 * another map, or of freed memory, it would notice.
 */
static int map_is_of_one_take(const __u8 *map)
{
	__u32 n = 0, i;

	while (n < PAGE && map[n])
		n++;
	for (i = 0; i < FINE_BLOCKS; i++) {
		__u32 place = i < PAGE ? i : i - LAST_PAGE;
		__u8 right = (i < PAGE || i >= LAST_PAGE) && place < n ? place + 1 : 0;

		if (map[i] != right)
			return 0;
	}
	return 1;
}

/* Until told to stop. Exit status: 1 if a read was wrong, 2 if none was whole. */
static void read_meanwhile(volatile int *stop, __u8 *map)
{
	int whole = 0;

	while (!*stop) {
		word ret = read_map(&a, 0, FINE_BLOCKS, map);

		if (ret == -EPERM)
			continue;
		if (ret == FINE_BLOCKS && map_is_of_one_take(map))
			whole++;
		else if (ret <= 0 || ret >= FINE_BLOCKS || ret % PAGE)
			process_exit(1);
	}
	process_exit(whole ? 0 : 2);
}

static word take_once(__u32 n, const void *data)
{
	uuid_t id;
	word ret = create(&id, &a, NULL);

	if (ret)
		return ret;
	ret = device_write(a.path, n * FINE_BLOCK, FINE_BLOCK, data);
	if (ret == FINE_BLOCK)
		ret = device_write(a.path, (LAST_PAGE + n) * FINE_BLOCK,
				   FINE_BLOCK, data);
	if (ret == FINE_BLOCK)
		ret = append(&id, 0);
	if (!ret)
		ret = take(&id);
	/* Readers have something to read. */
	sleep_ms(5);
	return destroy(&id) ?: ret;
}

static void check_takes_go_on(void)
{
	volatile int *stop = pages_new(1, 1);
	void *data = pages_new(1, 0);
	word readers[2], ret = 0;
	uuid_t id;
	__u32 n;

	check_true("K7 fine blocks",
		   file_write(PARAMETERS "tracking_block_minimum_shift", FINE_SHIFT) > 0);
	check("K7 tracker", create(&id, &a, NULL) || destroy(&id), 0);
	for (n = 0; n < ARRAY_SIZE(readers); n++) {
		readers[n] = process_new();
		if (!readers[n])
			read_meanwhile(stop, pages_new(FINE_BLOCKS / PAGE, 0));
	}
	for (n = 0; n < TAKES && !ret; n++)
		ret = take_once(n, data);
	check("K7 takes", ret, 0);
	*stop = 1;
	for (n = 0; n < ARRAY_SIZE(readers); n++)
		check("K7 reads while takes go on", process_wait(readers[n]), 0);
	check("K7 remove", untrack(&a), 0);
	check_true("K7 usual blocks",
		   file_write(PARAMETERS "tracking_block_minimum_shift", USUAL_SHIFT) > 0);
}

void check_map(void)
{
	uuid_t id;

	buffer = pages_new(3, 0);
	pages_protect(buffer + 2 * PAGE, 1, PROT_NONE);
	check("K7 untracked", read_poisoned(0, 1), -ENODATA);
	check("K7 create", create(&id, &a, NULL), 0);
	check("K7 not taken", read_poisoned(0, 1), -EPERM);
	check("K7 append", append(&id, 0), 0);
	check("K7 write", device_write(a.path, 16 * BLOCK_SIZE, PAGE, buffer), PAGE);
	check("K7 take", take(&id), 0);
	check_ranges();
	check("K7 around the write", read_poisoned(15, 3), 3);
	check_true("K7 its block", !buffer[0] && buffer[1] == 1 && !buffer[2]);
	check_faults();
	check("K7 destroy", destroy(&id), 0);
	check("K7 not taken any more", read_poisoned(0, 1), -EPERM);
	check("K7 remove", untrack(&a), 0);
	check_takes_go_on();
}

static word mark(struct blk_snap_dev_t device, __u32 count,
		 struct blk_snap_block_range *ranges)
{
	struct blk_snap_tracker_mark_dirty_blocks argument = {
		.dev_id = device, .count = count, .dirty_blocks_array = ranges,
	};

	return request(IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS, &argument);
}

void check_mark(void)
{
	struct blk_snap_block_range ranges[2] = { { 0, 1 }, { SECTORS - 1, 1 } };
	struct blk_snap_image_info pair;
	struct blk_snap_snapshot_collect_images images = {
		.count = 1, .image_info_array = &pair,
	};
	__u8 map[BLOCKS];
	uuid_t id;

	check("K8 untracked", mark(a.id, 1, ranges), -ENODEV);
	check("K8 hold", hold(&id, &a, NULL), 0);
	images.id = id;
	check("K8 image", request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), 0);
	check("K8 no range", mark(a.id, 0, ranges), -EINVAL);
	ranges[1].sector_count = 0;
	check("K8 an empty range", mark(a.id, 2, ranges), -EINVAL);
	ranges[1].sector_count = 2;
	check("K8 over the end", mark(a.id, 2, ranges), -EINVAL);
	check("K8 image: over the end", mark(pair.image_dev_id, 2, ranges), -EINVAL);
	ranges[1] = (struct blk_snap_block_range){ ~0ull - 3, 8 };
	check("K8 it wraps", mark(a.id, 2, ranges), -EINVAL);
	check("K8 map", read_map(&a, 0, BLOCKS, map), BLOCKS);
	check("K8 what came before the mistake is not marked", map[0], 0);
	ranges[1] = (struct blk_snap_block_range){ SECTORS - 1, 1 };
	check("K8 mark", mark(a.id, 2, ranges), 0);
	ranges[0].sector_offset = 256;
	check("K8 image: mark", mark(pair.image_dev_id, 1, ranges), 0);
	pair.image_dev_id.mn += 77;
	check("K8 no such image", mark(pair.image_dev_id, 1, ranges), -ENODEV);
	check("K8 not tracked", mark(store.id, 1, ranges), -ENODEV);
	check("K8 map", read_map(&a, 0, BLOCKS, map), BLOCKS);
	check_true("K8 exactly these", map[0] == 1 && !map[1] && map[2] == 1 &&
				       !map[BLOCKS - 2] && map[BLOCKS - 1] == 1);
	check("K8 destroy", destroy(&id), 0);
	check("K8 remove", untrack(&a), 0);
}
