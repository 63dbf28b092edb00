// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/class/blksnap with the attribute "major", and the device from which
 * devtmpfs makes /dev/blksnap.
 *
 * Context: load and unload of the module.
 */
#define pr_fmt(fmt) "blksnap-sysfs: " fmt

#include <linux/blksnap.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/kdev_t.h>
#include <linux/sysfs.h>

#include "compat.h"
#include "ctrl.h"
#include "sysfs.h"

static ssize_t major_show(COMPAT_CLASS *class, COMPAT_CLASS_ATTRIBUTE *attr,
			  char *text)
{
	return sysfs_emit(text, "%d\n", ctrl_major());
}
static CLASS_ATTR_RO(major);

static struct attribute *blksnap_class_attrs[] = {
	&class_attr_major.attr,
	NULL,
};
ATTRIBUTE_GROUPS(blksnap_class);

static struct class blksnap_class = {
	.name = BLK_SNAP_MODULE_NAME,
	.class_groups = blksnap_class_groups,
};

int sysfs_node_init(void)
{
	struct device *device;
	int ret = class_register(&blksnap_class);

	if (ret)
		return ret;
	device = device_create(&blksnap_class, NULL, MKDEV(ctrl_major(), 0),
			       NULL, BLK_SNAP_MODULE_NAME);
	if (IS_ERR(device)) {
		class_unregister(&blksnap_class);
		return PTR_ERR(device);
	}
	return 0;
}

void sysfs_node_done(void)
{
	device_destroy(&blksnap_class, MKDEV(ctrl_major(), 0));
	class_unregister(&blksnap_class);
}
