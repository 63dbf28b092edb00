// SPDX-License-Identifier: MIT
/*
 * Requests as nobody makes them on purpose: each is right in most of its parts, so
 * that it gets far, and wrong in any of the others. Several processes make them at
 * once, for a given time, on the same few devices and snapshots. Everything but the
 * time that the kernel takes follows from the seed.
 *
 * An answer is a result, or one of the errors that the header allows for the
 * command; whatever else may be wrong then, others look for: at the kernel's log, at
 * the originals, at the memory. The storage is on one device only, and never is an
 * original of the scenario written.
 */
#include "client.h"

#define WORKERS 3
#define IDS 4
#define ARRAY_PAGES 4
#define GUARD_PAGES 256
#define MOST_ERRORS 7
#define LONGEST_WAIT_MS 20
/* On a slow machine it goes on, so much longer at most, until all was met. */
#define LONGER 6

/* Of what all workers and their parent know. */
static struct {
	uuid_t ids[IDS];
	volatile __u32 done[blk_snap_ioctl_end];
	volatile __u32 refused[blk_snap_ioctl_end];
} *shared;

/* Of this worker. */
static __u32 state;
static struct blk_snap_dev_t image;
static __u8 *arrays, *edge, *read_only;

static __u32 draw(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

static __u32 below(__u32 limit)
{
	return (draw() >> 3) % limit;
}

static int lucky(void)
{
	return below(8) != 0;
}

/* What does not exist has a major number that nobody has, however it is cut off. */
static struct blk_snap_dev_t device_drawn(void)
{
	struct blk_snap_dev_t strange = { (draw() & ~0xfffu) | 0xabc, draw() };

	switch (below(16)) {
	case 0:
		return strange;
	case 1:
		return image;
	case 2:
	case 3:
		return store.id;
	default:
		return below(2) ? a.id : b.id;
	}
}

static __u32 count_drawn(void)
{
	static const __u32 strange[] = {
		0, 0xffffffff, 0x80000000, 0x10000, 0x1000, 0x15555556,
	};

	if (lucky())
		return 1 + below(3);
	return below(4) ? strange[below(ARRAY_SIZE(strange))] : draw();
}

static void *pointer_drawn(void)
{
	if (lucky())
		return arrays;
	switch (below(6)) {
	case 0:
		return NULL;
	case 1:
		return BAD;
	case 2:
		return read_only;
	case 3:
		return (void *)(~(word)0 & ~(word)7);
	case 4:
		return (void *)((word)1 << (sizeof(word) * 8 - 2));
	default:
		/* The end of what can be touched is somewhere in it. */
		return edge - 1 - below(64);
	}
}

static uuid_t id_drawn(void)
{
	uuid_t id = shared->ids[below(IDS)];

	if (!below(16))
		id.b[below(16)] ^= 1 << below(8);
	return id;
}

static void fill_nothing(void *argument)
{
}

static void fill_removal(struct blk_snap_tracker_remove *to)
{
	to->dev_id = device_drawn();
}

static void fill_trackers(struct blk_snap_tracker_collect *to)
{
	to->count = count_drawn() * (1 + below(4));
	to->cbt_info_array = pointer_drawn();
}

static void fill_map(struct blk_snap_tracker_read_cbt_bitmap *to)
{
	to->dev_id = device_drawn();
	to->offset = lucky() ? below(BLOCKS + 2) : draw();
	to->length = lucky() ? below(BLOCKS * 2) : draw();
	to->buff = pointer_drawn();
}

static void ranges_fill(__u32 align, __u32 longest)
{
	struct blk_snap_block_range *ranges = (void *)arrays;
	__u32 i;

	for (i = 0; i < 8; i++) {
		ranges[i].sector_offset = below(SECTORS / align) * align;
		ranges[i].sector_count = (1 + below(longest / align)) * align;
		if (lucky() || lucky())
			continue;
		/* Beyond the end, empty, uneven, or around the whole of numbers. */
		ranges[i].sector_offset |= (__u64)draw() << below(2) * 32;
		ranges[i].sector_count = below(2) ? 0 : -(__u64)below(64);
	}
}

static void fill_mark(struct blk_snap_tracker_mark_dirty_blocks *to)
{
	ranges_fill(1, 300);
	to->dev_id = device_drawn();
	to->count = count_drawn();
	to->dirty_blocks_array = pointer_drawn();
}

static void fill_creation(struct blk_snap_snapshot_create *to)
{
	struct blk_snap_dev_t *devices = (void *)arrays;
	__u32 i;

	/* The tracker of an image outlives it, and nobody could remove it then. */
	for (i = 0; i < 8; i++) {
		devices[i] = device_drawn();
		if (devices[i].mj == image.mj)
			devices[i] = a.id;
	}
	to->count = count_drawn();
	to->dev_id_array = pointer_drawn();
}

static void fill_id(uuid_t *to)
{
	*to = id_drawn();
}

static void fill_storage(struct blk_snap_snapshot_append_storage *to)
{
	ranges_fill(8, 4096);
	to->id = id_drawn();
	/* Never an original: what is written there is not the module's fault. */
	to->dev_id = device_drawn();
	if (to->dev_id.mj == a.id.mj)
		to->dev_id = store.id;
	to->count = count_drawn();
	to->ranges = pointer_drawn();
}

static void fill_list(struct blk_snap_snapshot_collect *to)
{
	to->count = count_drawn() * (1 + below(8));
	to->ids = pointer_drawn();
}

static void fill_images(struct blk_snap_snapshot_collect_images *to)
{
	to->id = id_drawn();
	to->count = count_drawn();
	to->image_info_array = pointer_drawn();
}

static void fill_event(struct blk_snap_snapshot_event *to)
{
	to->id = id_drawn();
	to->timeout_ms = below(LONGEST_WAIT_MS);
}

#define COMMAND(name, type, filler, ...)				\
	{ #name, IOCTL_BLK_SNAP_##name, sizeof(struct type),		\
	  (void (*)(void *))filler, { __VA_ARGS__ } }

/*
 * In the order of their numbers. ENXIO and ENODEV also are errors of opening a
 * device: one may be the image of a snapshot that is gone by then.
 */
static const struct command {
	const char *name;
	__u32 value;
	__u32 size;
	void (*fill)(void *argument);
	__u32 errors[MOST_ERRORS];
} commands[blk_snap_ioctl_end] = {
	COMMAND(VERSION, blk_snap_version, fill_nothing, EFAULT),
	COMMAND(TRACKER_REMOVE, blk_snap_tracker_remove, fill_removal,
		EFAULT, ENODATA, EBUSY, ENXIO, ENODEV),
	COMMAND(TRACKER_COLLECT, blk_snap_tracker_collect, fill_trackers,
		EFAULT, ENOBUFS, EINVAL),
	COMMAND(TRACKER_READ_CBT_MAP, blk_snap_tracker_read_cbt_bitmap, fill_map,
		EFAULT, ENODATA, EPERM, EINVAL, ENXIO, ENODEV),
	COMMAND(TRACKER_MARK_DIRTY_BLOCKS, blk_snap_tracker_mark_dirty_blocks, fill_mark,
		EFAULT, ENODEV, EINVAL, ENXIO),
	COMMAND(SNAPSHOT_CREATE, blk_snap_snapshot_create, fill_creation,
		EFAULT, EINVAL, EALREADY, EOPNOTSUPP, ENXIO, ENODEV),
	COMMAND(SNAPSHOT_DESTROY, blk_snap_snapshot_destroy, fill_id,
		EFAULT, ENODEV),
	COMMAND(SNAPSHOT_APPEND_STORAGE, blk_snap_snapshot_append_storage, fill_storage,
		EFAULT, ESRCH, EINVAL, ENXIO, ENODEV),
	COMMAND(SNAPSHOT_TAKE, blk_snap_snapshot_take, fill_id,
		EFAULT, ESRCH, EALREADY, ENODEV, ENXIO),
	COMMAND(SNAPSHOT_COLLECT, blk_snap_snapshot_collect, fill_list,
		EFAULT, ENODATA, EINVAL),
	COMMAND(SNAPSHOT_COLLECT_IMAGES, blk_snap_snapshot_collect_images, fill_images,
		EFAULT, ESRCH, ENODEV, ENODATA, EINVAL),
	COMMAND(SNAPSHOT_WAIT_EVENT, blk_snap_snapshot_event, fill_event,
		EFAULT, ESRCH, ENOENT),
};

/* Where the argument lies: mostly somewhere good. */
static void *argument_placed(const void *argument, __u32 size)
{
	void *place = edge - size;

	if (!lucky() && !below(4))
		return below(2) ? BAD : read_only;
	if (!lucky() && !below(4))
		place = edge - size / 2;
	memcpy(place, argument, place == edge - size ? size : size / 2);
	return place;
}

static void remember(__u32 number, const void *argument)
{
	const struct blk_snap_snapshot_create *creation = argument;
	const struct blk_snap_snapshot_collect_images *images = argument;
	struct blk_snap_image_info *pairs = (void *)arrays;

	if (number == blk_snap_ioctl_snapshot_create)
		shared->ids[below(IDS)] = creation->id;
	if (number == blk_snap_ioctl_snapshot_collect_images && images->count &&
	    images->image_info_array == pairs)
		image = pairs[0].image_dev_id;
}

static int is_allowed(const struct command *command, word ret)
{
	__u32 i;

	if (ret >= 0)
		return !ret || command->value == IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP;
	for (i = 0; i < MOST_ERRORS; i++)
		if (ret == -(word)command->errors[i])
			return 1;
	return 0;
}

static void flip(void *bytes, __u32 size)
{
	((__u8 *)bytes)[below(size)] ^= 1 << below(8);
}

/* Snapshots should come to be taken, and live for a while then. */
static __u32 number_drawn(void)
{
	static const __u8 often[blk_snap_ioctl_end] = {
		1, 1, 2, 4, 2, 4, 1, 4, 6, 1, 4, 2,
	};
	__u32 left = below(32), number = 0;

	while (left >= often[number])
		left -= often[number++];
	return number;
}

/* Make a request; its answer must be allowed. Return: that answer. */
static word answered(__u32 number, void *argument)
{
	const struct command *command = &commands[number];
	word ret = request(command->value, argument);

	if (!is_allowed(command, ret))
		check(command->name, ret, 0);
	if (ret < 0) {
		shared->refused[number]++;
		return ret;
	}
	shared->done[number]++;
	remember(number, argument);
	return ret;
}

/* By chance alone a snapshot is hardly ever taken: now and then all goes in order. */
static void take_in_order(void)
{
	struct blk_snap_dev_t *devices = (void *)arrays;
	struct blk_snap_block_range *range = (void *)arrays;
	struct blk_snap_snapshot_create creation = { .count = 2 };
	struct blk_snap_snapshot_append_storage storage = { .count = 1 };
	struct blk_snap_snapshot_collect list = {
		.count = PAGE / sizeof(*list.ids), .ids = (void *)arrays,
	};
	__u32 i;

	/* Also those whose ids nobody knows any more: they hold the devices. */
	if (!answered(blk_snap_ioctl_snapshot_collect, &list))
		for (i = 0; i < list.count; i++)
			answered(blk_snap_ioctl_snapshot_destroy, &list.ids[i]);
	devices[0] = a.id;
	devices[1] = b.id;
	creation.dev_id_array = devices;
	if (answered(blk_snap_ioctl_snapshot_create, &creation))
		return;
	range->sector_offset = below(32) * 4096;
	range->sector_count = 4096;
	storage.id = creation.id;
	storage.dev_id = store.id;
	storage.ranges = range;
	answered(blk_snap_ioctl_snapshot_append_storage, &storage);
	answered(blk_snap_ioctl_snapshot_take, &creation.id);
}

static void make_one(void)
{
	__u32 number = number_drawn();
	const struct command *command = &commands[number];
	static __u8 argument[4096];
	void *place;

	if (!below(256)) {
		take_in_order();
		return;
	}
	memset(argument, draw(), command->size);
	command->fill(argument);
	/* In these two it could make a wait long, or an original the storage. */
	if (number != blk_snap_ioctl_snapshot_wait_event &&
	    number != blk_snap_ioctl_snapshot_append_storage && !below(16))
		flip(argument, command->size);
	place = argument_placed(argument, command->size);
	if (!below(32)) {
		__u32 value = command->value;

		flip(&value, sizeof(value));
		/* It may have become another command with an argument of the same kind. */
		if (value != IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE &&
		    value != IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT)
			request(value, place);
		return;
	}
	answered(number, place);
}

/* Every command was done, and every one refused. */
static int all_met(void)
{
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!shared->done[i] || !shared->refused[i])
			return 0;
	return 1;
}

static __attribute__((noreturn)) void work(__u32 seed, __u32 seconds)
{
	__u32 began = now_ms();

	state = seed * 2654435769u | 1;
	control_close();
	control_open();
	arrays = pages_new(ARRAY_PAGES, 0);
	read_only = pages_new(1, 0);
	edge = (__u8 *)pages_new(3, 0) + 2 * PAGE;
	pages_protect(edge, 1, PROT_NONE);
	pages_protect(read_only, 1, PROT_READ);
	while (!checks_failed && now_ms() - began < seconds * 1000 * LONGER &&
	       (now_ms() - began < seconds * 1000 || !all_met()))
		make_one();
	process_exit(checks_failed ? 1 : 0);
}

static void take_down(void)
{
	struct blk_snap_snapshot_collect list = { .count = 0 };
	struct blk_snap_tracker_collect trackers = { .count = 0 };
	struct blk_snap_cbt_info *tracked = pages_new(64, 0);
	uuid_t *ids = pages_new(64, 0);
	word ret = 0;
	__u32 i;

	list.count = 64 * PAGE / sizeof(*ids);
	list.ids = ids;
	check("fuzz: what is left is listed",
	      request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, &list), 0);
	for (i = 0; i < list.count && !ret; i++)
		ret = destroy(&ids[i]);
	check("fuzz: what is left can be destroyed", ret, 0);

	/* By chance it may be any disk that there is. */
	trackers.count = 64 * PAGE / sizeof(*tracked);
	trackers.cbt_info_array = tracked;
	check("fuzz: what is tracked is listed",
	      request(IOCTL_BLK_SNAP_TRACKER_COLLECT, &trackers), 0);
	for (i = 0; i < trackers.count; i++) {
		struct blk_snap_tracker_remove removal = {
			.dev_id = tracked[i].dev_id,
		};

		check("fuzz: what is tracked can be removed",
		      request(IOCTL_BLK_SNAP_TRACKER_REMOVE, &removal), 0);
	}
}

static void check_tallies(void)
{
	__u32 i, all = 0;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		print(commands[i].name);
		print(" done ");
		print_number(shared->done[i]);
		print(" refused ");
		print_number(shared->refused[i]);
		print("\n");
		all += shared->done[i] + shared->refused[i];
		if (!shared->done[i] || !shared->refused[i])
			check_true(commands[i].name, 0);
	}
	print("requests ");
	print_number(all);
	print("\n");
}

void check_fuzz(__u32 seed, __u32 seconds)
{
	word workers[WORKERS];
	__u32 i;

	shared = pages_new(1, 1);
	/* Below it, where an answer too long for the arrays would go on into it. */
	pages_protect(pages_new(GUARD_PAGES, 0), GUARD_PAGES, PROT_NONE);
	for (i = 0; i < WORKERS; i++) {
		workers[i] = process_new();
		if (!workers[i])
			work(seed + i, seconds);
	}
	for (i = 0; i < WORKERS; i++)
		check("fuzz: a worker has got allowed answers only",
		      process_wait(workers[i]), 0);
	take_down();
	check_tallies();
}
