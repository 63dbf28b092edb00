// SPDX-License-Identifier: MIT
/*
 * K24: a snapshot belongs to nobody. Whoever made it is killed, in every state;
 * somebody else finds it in the list and destroys it.
 */
#include "client.h"

enum stage { CREATED, APPENDED, TAKEN, WAITING, READING, SPOILED, STAGES };

static const struct {
	const char *killed;
	const char *found;
	const char *destroyed;
} names[STAGES] = {
	{ "K24 killed: created", "K24 found: created", "K24 destroyed: created" },
	{ "K24 killed: storage", "K24 found: storage", "K24 destroyed: storage" },
	{ "K24 killed: taken", "K24 found: taken", "K24 destroyed: taken" },
	{ "K24 killed: waiting", "K24 found: waiting", "K24 destroyed: waiting" },
	{ "K24 killed: image open", "K24 found: image open",
	  "K24 destroyed: image open" },
	{ "K24 killed: spoiled", "K24 found: spoiled", "K24 destroyed: spoiled" },
};

/* What the owner tells before it is killed. */
static struct {
	volatile int ready;
	uuid_t id;
} *told;

static __attribute__((noreturn)) void own(enum stage stage)
{
	static struct blk_snap_snapshot_event event;
	word ret;

	/* A node of its own: the parent's stays open. */
	control_close();
	control_open();
	ret = create(&told->id, &a, &b);
	if (!ret && stage > CREATED)
		ret = append(&told->id, 0);
	if (!ret && stage > APPENDED)
		ret = take(&told->id);
	if (!ret && stage == WAITING)
		ret = wait_event(&told->id, 0, &event);
	if (!ret && stage == READING)
		ret = sys(NR_OPEN, "/dev/" IMAGE "1", O_RDWR, 0) < 0;
	if (!ret && stage == SPOILED)
		ret = spoil(&told->id, &event);
	told->ready = ret ? -1 : 1;
	if (stage == WAITING)
		wait_event(&told->id, 60000, &event);
	for (;;)
		sleep_ms(1000);
}

static word first_of_list(uuid_t *id)
{
	struct blk_snap_snapshot_collect list = { .count = 1, .ids = id };
	word ret = request(IOCTL_BLK_SNAP_SNAPSHOT_COLLECT, &list);

	return ret ? ret : (word)list.count;
}

static void check_stage(enum stage stage)
{
	uuid_t id;
	word pid;

	told->ready = 0;
	pid = process_new();
	if (!pid)
		own(stage);
	while (!told->ready)
		sleep_ms(10);
	/* It may still be on its way into the wait. */
	sleep_ms(stage == WAITING ? 300 : 0);
	sys(NR_KILL, pid, SIGKILL, 0);
	check(names[stage].killed, process_wait(pid), -SIGKILL);
	check(names[stage].killed, told->ready, 1);
	check(names[stage].found, first_of_list(&id), 1);
	check(names[stage].found, memcmp(&id, &told->id, sizeof(id)), 0);
	check(names[stage].destroyed, destroy(&id), 0);
	check_exist(names[stage].destroyed, 0, 2);
	check_true(names[stage].destroyed,
		   sys(NR_OPEN, "/dev/" IMAGE "0", O_RDONLY, 0) < 0);
}

void check_owner(void)
{
	enum stage stage;

	told = pages_new(1, 1);
	for (stage = CREATED; stage < STAGES; stage++)
		check_stage(stage);
	check("K24 remove", untrack(&a) || untrack(&b), 0);
}
