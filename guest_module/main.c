// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading of blksnap.
 *
 * The parts come up from below: what counts memory first, the way in from user
 * space last; and go down in the opposite order. While a snapshot exists, an
 * image or the control node is open, the module is in use and stays.
 */
#define pr_fmt(fmt) "blksnap: " fmt

#include <linux/blksnap.h>
#include <linux/kernel.h>
#include <linux/module.h>

#include "account.h"
#include "ctrl.h"
#include "fault.h"
#include "snapshot.h"
#include "sysfs.h"
#include "tracker.h"

/**
 * struct part - A part of the module.
 * @name: Name for messages.
 * @init: Brings it up. Return: 0 or an error.
 * @done: Takes it down.
 */
struct part {
	const char *name;
	int (*init)(void);
	void (*done)(void);
};

static const struct part parts[] = {
	{ "memory accounting", account_init, account_done },
	{ "points of failure", fault_init, fault_done },
	{ "trackers", tracker_init, tracker_done },
	{ "snapshots", snapshot_init, snapshot_done },
	{ "control device", ctrl_init, ctrl_done },
	{ "device node", sysfs_node_init, sysfs_node_done },
};

static void parts_done(size_t count)
{
	while (count--)
		parts[count].done();
}

static int __init blksnap_init(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		int ret = parts[i].init();

		if (ret) {
			pr_err("cannot bring up the %s: error %d\n",
			       parts[i].name, ret);
			parts_done(i);
			return ret;
		}
	}
	pr_info("loaded\n");
	return 0;
}

static void __exit blksnap_exit(void)
{
	parts_done(ARRAY_SIZE(parts));
	pr_info("unloaded\n");
}

module_init(blksnap_init);
module_exit(blksnap_exit);

MODULE_DESCRIPTION("Snapshots of block devices, with tracking of changes");
MODULE_VERSION("1.0.0.0");
MODULE_LICENSE("GPL");
