// SPDX-License-Identifier: MIT
/* The commands as functions, and the program itself: client PLACE... GROUP, see main. */
#include "client.h"

struct device a, b, store;
const char *module_folder;
int control;

void control_open(void)
{
	control = sys(NR_OPEN, NODE, O_RDWR, 0);
}

void control_close(void)
{
	sys(NR_CLOSE, control, 0, 0);
}

word request(__u32 value, void *argument)
{
	return sys(NR_IOCTL, control, (word)value, argument);
}

word create(uuid_t *id, const struct device *first, const struct device *second)
{
	struct blk_snap_dev_t devices[2] = { first->id };
	struct blk_snap_snapshot_create argument = {
		.count = second ? 2 : 1,
		.dev_id_array = devices,
	};
	word ret;

	if (second)
		devices[1] = second->id;
	ret = request(IOCTL_BLK_SNAP_SNAPSHOT_CREATE, &argument);
	if (!ret)
		*id = argument.id;
	return ret;
}

word append(const uuid_t *id, __u32 index)
{
	struct blk_snap_block_range range = {
		.sector_offset = SECTORS / 8 * index,
		.sector_count = SECTORS / 8,
	};
	struct blk_snap_snapshot_append_storage argument = {
		.id = *id,
		.dev_id = store.id,
		.count = 1,
		.ranges = &range,
	};

	return request(IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE, &argument);
}

word take(const uuid_t *id)
{
	struct blk_snap_snapshot_take argument = { .id = *id };

	return request(IOCTL_BLK_SNAP_SNAPSHOT_TAKE, &argument);
}

word destroy(const uuid_t *id)
{
	struct blk_snap_snapshot_destroy argument = { .id = *id };

	return request(IOCTL_BLK_SNAP_SNAPSHOT_DESTROY, &argument);
}

word untrack(const struct device *device)
{
	struct blk_snap_tracker_remove argument = { .dev_id = device->id };

	return request(IOCTL_BLK_SNAP_TRACKER_REMOVE, &argument);
}

word wait_event(const uuid_t *id, __u32 timeout_ms,
		struct blk_snap_snapshot_event *event)
{
	event->id = *id;
	event->timeout_ms = timeout_ms;
	return request(IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT, event);
}

word spoil(const uuid_t *id, struct blk_snap_snapshot_event *event)
{
	void *data = pages_new(BLOCK_SIZE / PAGE, 0);
	word ret = 0;
	__u32 i;

	for (i = 0; i < BLOCKS / 4 && ret >= 0; i++)
		ret = device_write(a.path, i * BLOCK_SIZE, BLOCK_SIZE, data);
	if (ret < 0)
		return ret;
	do {
		memset(event, POISON, sizeof(*event));
		ret = wait_event(id, 1000, event);
	} while (!ret && event->code != blk_snap_event_code_corrupted);
	return ret;
}

word read_map(const struct device *device, __u32 offset, __u32 length, void *to)
{
	struct blk_snap_tracker_read_cbt_bitmap argument = {
		.dev_id = device->id,
		.offset = offset,
		.length = length,
		.buff = to,
	};

	return request(IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP, &argument);
}

word snapshots(void)
{
	struct blk_snap_snapshot_collect argument = { .count = 0 };

	if (request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, &argument))
		return -1;
	return argument.count;
}

word trackers(void)
{
	struct blk_snap_tracker_collect argument = { .count = 0 };

	if (request(IOCTL_BLK_SNAP_TRACKER_COLLECT, &argument))
		return -1;
	return argument.count;
}

word hold(uuid_t *id, const struct device *first, const struct device *second)
{
	word ret = create(id, first, second);

	if (!ret)
		ret = append(id, 0);
	return ret ? ret : take(id);
}

void check_exist(const char *name, word snapshots_right, word trackers_right)
{
	word right = snapshots_right * 100 + trackers_right;

	check(name, snapshots() * 100 + trackers(), right);
}

static const struct group {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "layout", check_layout },	  { "leak", check_leak },
	{ "owner", check_owner },	  { "requests", check_requests },
	{ "counts", check_counts },	  { "privilege", check_privilege },
	{ "pointers", check_pointers },
	{ "map", check_map },		  { "mark", check_mark },
	{ "flow", check_flow },		  { "waiting", check_waiting },
	{ "races", check_races },	  { "unload", check_unload },
};

static __u32 number_of(const char **text)
{
	__u32 number = 0;

	for (; **text >= '0' && **text <= '9'; ++*text)
		number = number * 10 + (**text - '0');
	return number;
}

/* Of "PATH=MAJOR:MINOR"; the path ends at the sign afterwards. */
static void device_parse(struct device *device, char *text)
{
	const char *rest;

	device->path = text;
	while (*text != '=')
		text++;
	*text = '\0';
	rest = text + 1;
	device->id.mj = number_of(&rest);
	rest++;
	device->id.mn = number_of(&rest);
}

static const struct group *group_named(const char *name)
{
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		if (!memcmp(groups[i].name, name, text_length(name) + 1))
			return &groups[i];
	return NULL;
}

static void run(const char *name, __u32 seed, __u32 seconds)
{
	const struct group *group = group_named(name);

	if (!group && !seconds) {
		print("no such group\n");
		return;
	}
	control_open();
	if (sizeof(word) == 4)
		check("K4 a caller of 32 bits", sizeof(void *), 4);
	check_exist("nothing is there at the beginning", 0, 0);
	if (group)
		group->run();
	else
		check_fuzz(seed, seconds);
	check_exist("nothing is left at the end", 0, 0);
	control_close();
	/* What ends earlier has not checked everything. */
	print("done\n");
}

/*
 * client MODULE_FOLDER ORIGINAL ORIGINAL STORE GROUP, or ... fuzz SEED SECONDS; devices
 * as PATH=MAJOR:MINOR.
 */
__attribute__((noreturn, used)) void client_main(word *stack)
{
	char **arguments = (char **)(stack + 1);

	const char *seed, *seconds;

	if (*stack != 6 && *stack != 8)
		process_exit(2);
	seed = *stack == 8 ? arguments[6] : "";
	seconds = *stack == 8 ? arguments[7] : "";
	module_folder = arguments[1];
	device_parse(&a, arguments[2]);
	device_parse(&b, arguments[3]);
	device_parse(&store, arguments[4]);
	run(arguments[5], number_of(&seed), number_of(&seconds));
	process_exit(checks_failed ? 1 : 0);
}

asm(".globl _start\n_start:\n"
#ifdef __x86_64__
    "mov %rsp, %rdi\n\tand $-16, %rsp\n\tcall client_main\n"
#else
    "mov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush %eax\n\tcall client_main\n"
#endif
);
