/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The class blksnap and the device node in it. Called by main.c only.
 */
#ifndef BLKSNAP_SYSFS_H
#define BLKSNAP_SYSFS_H

int sysfs_node_init(void);
void sysfs_node_done(void);

#endif /* BLKSNAP_SYSFS_H */
