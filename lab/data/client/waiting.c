// SPDX-License-Identifier: MIT
/* K24, K25: waiting for events. K26 and others: commands at the same time. */
#include "client.h"

#define WAITERS 6
#define CALLERS 4
#define ROUNDS 50

static struct blk_snap_snapshot_event event;

/* Least time of several, as others may have kept the machine from coming back. */
static __u32 time_without_event(const uuid_t *id, __u32 timeout)
{
	__u32 least = ~0u, i;

	for (i = 0; i < 5; i++) {
		__u32 began = now_ms(), took;

		if (wait_event(id, timeout, &event) != -ENOENT)
			return 0;
		took = now_ms() - began;
		/* Too early is wrong whatever else there is to do. */
		if (took < timeout)
			return took;
		if (took < least)
			least = took;
	}
	return least;
}

static void check_timeouts(const uuid_t *id)
{
	static const struct {
		const char *name;
		__u32 timeout;
	} all[] = {
		{ "K25 0 ms", 0 }, { "K25 100 ms", 100 }, { "K25 1000 ms", 1000 },
	};
	__u32 i;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		__u32 took = time_without_event(id, all[i].timeout);

		/* A fifth; and what a process switch takes under emulation. */
		check_true(all[i].name, took >= all[i].timeout &&
			   took <= all[i].timeout * 12 / 10 + 20);
	}
}

/* Exit status: 0 an event, 1 none, 2 the snapshot was destroyed, 3 anything else. */
static void wait_once(const uuid_t *id, __u32 timeout)
{
	word ret = wait_event(id, timeout, &event);

	process_exit(!ret ? 0 : ret == -ENOENT ? 1 : ret == -ESRCH ? 2 : 3);
}

static void waiters_new(word *pids, const uuid_t *id, __u32 timeout)
{
	__u32 i;

	for (i = 0; i < WAITERS; i++) {
		pids[i] = process_new();
		if (!pids[i])
			wait_once(id, timeout);
	}
}

/* How many ended so. */
static __u32 waiters_count(const word *pids, int status)
{
	static int statuses[WAITERS];
	__u32 i, count = 0;

	for (i = 0; i < WAITERS; i++) {
		if (pids)
			statuses[i] = process_wait(pids[i]);
		count += statuses[i] == status;
	}
	return count;
}

void check_waiting(void)
{
	word pids[WAITERS], killed;
	uuid_t id;
	__u32 i;

	check("K25 create", create(&id, &a, NULL), 0);
	waiters_new(pids, &id, 1500);
	check("K25 one waiter has the event", waiters_count(pids, 0), 1);
	check("K25 the others have none", waiters_count(NULL, 1), WAITERS - 1);
	check_timeouts(&id);

	killed = process_new();
	if (!killed)
		wait_once(&id, 60000);
	sleep_ms(200);
	sys(NR_KILL, killed, SIGKILL, 0);
	check("K25 a waiter can be killed", process_wait(killed), -SIGKILL);

	/* The longest times must not be taken for none, or for negative ones. */
	waiters_new(pids, &id, 0xffffffff);
	sleep_ms(500);
	check("K24 destroy", destroy(&id), 0);
	sleep_ms(1000);
	/* Whoever has ended by then cannot be killed any more. */
	for (i = 0; i < WAITERS; i++)
		sys(NR_KILL, pids[i], SIGKILL, 0);
	check("K24 waiters are told within a second", waiters_count(pids, 2), WAITERS);
	check("K24 destroy again", destroy(&id), -ENODEV);
	check("K24 wait again", wait_event(&id, 0, &event), -ESRCH);
	check("K24 remove", untrack(&a), 0);
}

/*
 * The same command from several processes at the same moment.
 */

static struct {
	volatile int ready;
	volatile int go;
	volatile word results[CALLERS];
} *shared;

typedef word (*command)(const uuid_t *id);

/* @commands[i] by caller i. */
static void call_at_once(const command *commands, const uuid_t *id)
{
	word pids[CALLERS];
	__u32 i;

	shared->ready = shared->go = 0;
	for (i = 0; i < CALLERS; i++) {
		pids[i] = process_new();
		if (pids[i])
			continue;
		__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
		while (!shared->go)
			sys(NR_YIELD, 0, 0, 0);
		shared->results[i] = commands[i](id);
		process_exit(0);
	}
	while (shared->ready < CALLERS)
		sys(NR_YIELD, 0, 0, 0);
	shared->go = 1;
	for (i = 0; i < CALLERS; i++)
		process_wait(pids[i]);
}

static __u32 results_count(word result)
{
	__u32 i, count = 0;

	for (i = 0; i < CALLERS; i++)
		count += shared->results[i] == result;
	return count;
}

static void check_double_take(void)
{
	static const command commands[CALLERS] = { take, take, take, take };
	__u32 round, once = 0, refused = 0, ready = 0, number = 0;
	uuid_t id;

	for (round = 0; round < ROUNDS; round++) {
		struct blk_snap_cbt_info info;
		struct blk_snap_tracker_collect collect = {
			.count = 1, .cbt_info_array = &info,
		};

		ready += !create(&id, &a, NULL) && !append(&id, 0);
		call_at_once(commands, &id);
		once += results_count(0) == 1;
		refused += results_count(-EALREADY) == CALLERS - 1;
		request(IOCTL_BLK_SNAP_TRACKER_COLLECT, &collect);
		number += info.snap_number == round + 1;
		ready += !destroy(&id);
	}
	check("K26 created and destroyed", ready, 2 * ROUNDS);
	check("K26 exactly one take succeeds", once, ROUNDS);
	check("K26 the others get EALREADY", refused, ROUNDS);
	check("K26 the number goes up by one", number, ROUNDS);
}

static void check_take_against_destroy(void)
{
	static const command commands[CALLERS] = { take, destroy, take, destroy };
	__u32 round, right = 0, gone = 0;
	uuid_t id;

	for (round = 0; round < ROUNDS; round++) {
		if (create(&id, &a, &b) || append(&id, 0))
			break;
		call_at_once(commands, &id);
		/* One destroy; a take or none; whoever comes too late is told. */
		right += results_count(0) + results_count(-ESRCH) +
			 results_count(-EALREADY) + results_count(-ENODEV) == CALLERS &&
			 results_count(-ENODEV) == 1;
		gone += !snapshots();
	}
	check("K26 take against destroy", right, ROUNDS);
	check("K26 it is gone then", gone, ROUNDS);
}

void check_races(void)
{
	shared = pages_new(1, 1);
	check_double_take();
	check_take_against_destroy();
	check("K26 remove", untrack(&a) || untrack(&b), 0);
}
