// SPDX-License-Identifier: MIT
/*
 * The life of a snapshot as a client sees it, by guest_module/CONTRACT.md: K20,
 * K22, K24, K27; the states of a snapshot, called B.5.4 here; and what clients
 * of v0 may rely on, A.1.
 */
#include "client.h"

static const uuid_t unknown = { { 5 } };

static void check_unknown(void)
{
	static struct blk_snap_snapshot_event event;
	struct blk_snap_snapshot_collect_images images = { .id = unknown };

	check("B.5.4 unknown: append", append(&unknown, 0), -ESRCH);
	check("B.5.4 unknown: take", take(&unknown), -ESRCH);
	check("B.5.4 unknown: images",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), -ESRCH);
	check("B.5.4 unknown: event", wait_event(&unknown, 0, &event), -ESRCH);
	check("B.5.4 unknown: destroy", destroy(&unknown), -ENODEV);
	check("B.5.4 unknown: remove", untrack(&a), -ENODATA);
}

static void check_creation(uuid_t *id)
{
	struct device nowhere = { .path = "", .id = { 0xfff, 0 } };
	struct device strange = { .path = "", .id = { 1u << 20, 1u << 20 } };
	uuid_t other;

	check("K22 a device twice", create(&other, &a, &a), -EINVAL);
	check("K22 no such device", create(&other, &nowhere, NULL), -ENXIO);
	check("K22 no such number", create(&other, &strange, NULL), -ENXIO);
	check("K22 a device and one that is not there",
	      create(&other, &a, &nowhere), -ENXIO);
	check_exist("K22 nothing is left of those", 0, 0);
	check("K22 create", create(id, &a, &b), 0);
	check("K22 held by another", create(&other, &b, NULL), -EALREADY);
	check("K22 one free, one held", create(&other, &store, &b), -EALREADY);
	check_exist("K22 no tracker is left behind", 1, 2);
	check("K23 remove what is held", untrack(&a), -EBUSY);
}

/* Three ranges, of which the last is given. */
static word append_third(const uuid_t *id, __u64 sector, __u64 count)
{
	struct blk_snap_block_range ranges[3] = {
		{ 8, 4096 }, { 8192, 16384 }, { sector, count },
	};
	struct blk_snap_snapshot_append_storage argument = {
		.id = *id, .dev_id = store.id, .count = 3, .ranges = ranges,
	};

	return request(IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE, &argument);
}

static void check_storage(const uuid_t *id)
{
	check("K20 start misaligned", append_third(id, 32772, 8), -EINVAL);
	check("K20 length misaligned", append_third(id, 32768, 12), -EINVAL);
	check("K20 empty", append_third(id, 32768, 0), -EINVAL);
	check("K20 overlaps one of the same call", append_third(id, 16, 8), -EINVAL);
	check("K20 over the end", append_third(id, SECTORS - 8, 16), -EINVAL);
	check("K20 beyond the end", append_third(id, SECTORS, 8), -EINVAL);
	check("K20 it wraps", append_third(id, ~0ull - 7, 16), -EINVAL);
	check("K27 still empty", take(id), -EFAULT);
	check("K20 append", append_third(id, 4112, 8), 0);
	check("K20 overlaps what was given", append_third(id, 32768, 8), -EINVAL);
}

static void check_images_before(const uuid_t *id)
{
	struct blk_snap_image_info pairs[4];
	struct blk_snap_snapshot_collect_images images = { .id = *id };

	check("B.5.4 created: how many images",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), 0);
	images.count = 4;
	images.image_info_array = pairs;
	check("B.5.4 created: images",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), -ENODEV);
	check("B.5.4 created: as many", images.count, 2);
}

static void check_images(const uuid_t *id)
{
	struct blk_snap_image_info pairs[2];
	struct blk_snap_snapshot_collect_images images = {
		.id = *id, .count = 2, .image_info_array = pairs,
	};

	check("A.1 images",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES, &images), 0);
	check_true("A.1 in the order of the devices",
		   pairs[0].orig_dev_id.mj == a.id.mj &&
		   pairs[0].orig_dev_id.mn == a.id.mn &&
		   pairs[1].orig_dev_id.mj == b.id.mj &&
		   pairs[1].orig_dev_id.mn == b.id.mn);
	check_true("A.1 the lowest minors", pairs[0].image_dev_id.mn == 0 &&
					    pairs[1].image_dev_id.mn == 1);
}

static void check_data(const uuid_t *id, __u8 *old)
{
	__u8 *new = pages_new(BLOCK_SIZE / PAGE, 0);
	__u8 *seen = pages_new(BLOCK_SIZE / PAGE, 0);
	word fd;

	memset(new, 0x5a, BLOCK_SIZE);
	check("A.1 overwrite half", device_write(a.path, 1 << 20, BLOCK_SIZE / 2,
						 new), BLOCK_SIZE / 2);
	check("A.1 image", device_read("/dev/" IMAGE "0", 1 << 20, BLOCK_SIZE,
				       seen), BLOCK_SIZE);
	check("A.1 it has the old data", memcmp(seen, old, BLOCK_SIZE), 0);
	fd = sys(NR_OPEN, "/dev/" IMAGE "0", O_RDONLY, 0);
	check_true("K24 image open", fd > 0);
	check("K24 destroy", destroy(id), 0);
	check("K24 destroy again", destroy(id), -ENODEV);
	check_true("K24 the open image fails", sys(NR_READ, fd, seen, PAGE) <= 0);
	sys(NR_CLOSE, fd, 0, 0);
	check("A.1 original", device_read(a.path, 1 << 20, BLOCK_SIZE, seen),
	      BLOCK_SIZE);
	memcpy(new + BLOCK_SIZE / 2, old + BLOCK_SIZE / 2, BLOCK_SIZE / 2);
	check("A.1 it has the new data", memcmp(seen, new, BLOCK_SIZE), 0);
}

void check_flow(void)
{
	__u8 *old = pages_new(BLOCK_SIZE / PAGE, 0);
	struct blk_snap_snapshot_create none = { .count = 0 };
	uuid_t id;
	__u32 i;

	for (i = 0; i < BLOCK_SIZE; i++)
		old[i] = i * 7 + i / 256;
	check_unknown();
	check("B.5.4 of no device",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, &none), 0);
	check("B.5.4 of no device: take", append(&none.id, 0) ?: take(&none.id),
	      -ENODEV);
	check("B.5.4 of no device: destroy", destroy(&none.id), 0);
	check_creation(&id);
	check_storage(&id);
	check_images_before(&id);
	check("A.1 write", device_write(a.path, 1 << 20, BLOCK_SIZE, old), BLOCK_SIZE);
	check("B.5.4 take", take(&id), 0);
	check("B.5.4 take again", take(&id), -EALREADY);
	check("K23 remove what is taken", untrack(&b), -EBUSY);
	check_images(&id);
	check_data(&id, old);
	check("B.5.4 destroyed: take", take(&id), -ESRCH);
	check("B.5.4 remove", untrack(&a) || untrack(&b), 0);
}
