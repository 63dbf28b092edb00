/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Points at which the module can be made to fail, to prove what it does then.
 *
 * What a kernel with fault injection does for memory, these do on any kernel,
 * and for one place at a time. They are armed through debugfs (blksnap/fail),
 * see fault.c; as long as none is, a point costs the reading of one variable.
 *
 * Context: fault_at() from anywhere, also interrupts.
 */
#ifndef BLKSNAP_FAULT_H
#define BLKSNAP_FAULT_H

#include <linux/compiler.h>
#include <linux/types.h>

/* A new point needs a name in fault.c. */
enum fault_point {
	fault_map_update,
	fault_write_new,
	fault_tracker_new,
	fault_tracker_prepare,
	fault_area_new,
	fault_image_new,
	fault_freeze,
	fault_region_new,
	fault_buffer_get,
	fault_buffer_large,
	fault_id_copy,
	fault_event_copy,
	fault_point_end,
};

extern bool fault_armed;

bool fault_is_due(enum fault_point point);

/* Shall the caller fail here, with the error that is usual at this place? */
static inline bool fault_at(enum fault_point point)
{
	return unlikely(READ_ONCE(fault_armed)) && fault_is_due(point);
}

/* Called by main.c only, after the accounting, whose folder it uses. */
int fault_init(void);
void fault_done(void);

#endif /* BLKSNAP_FAULT_H */
