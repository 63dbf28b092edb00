/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The events of a snapshot: first in, first out, each delivered once.
 *
 * Context: event_wait() from process context; the rest from anywhere, also
 * interrupts, event_alloc() with a fitting gfp.
 * Locking: a spinlock of the queue's own.
 */
#ifndef BLKSNAP_EVENT_QUEUE_H
#define BLKSNAP_EVENT_QUEUE_H

#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

/**
 * struct event - An event.
 * @link: Place in the queue; the queue's lock.
 * @time: When it was posted, CLOCK_MONOTONIC.
 * @code: enum blk_snap_event_codes.
 * @data_size: Size of the payload, bytes.
 * @data: Payload.
 */
struct event {
	struct list_head link;
	ktime_t time;
	u32 code;
	u32 data_size;
	u8 data[];
};

/**
 * struct event_queue - A queue of events.
 * @lock: Protects the two below.
 * @list: The events, oldest first.
 * @closed: No more waiting; see event_queue_close().
 * @wait: Where event_wait() sleeps.
 */
struct event_queue {
	spinlock_t lock;
	struct list_head list;
	bool closed;
	wait_queue_head_t wait;
};

void event_queue_init(struct event_queue *queue);
/* Frees what nobody took. No waiter is left. */
void event_queue_done(struct event_queue *queue);

/*
 * An event can be made beforehand, where memory can be had, and posted later,
 * where it must not fail: event_post() sets its time.
 */
struct event *event_alloc(gfp_t gfp, u32 code, const void *data, u32 data_size);
void event_free(struct event *event);
void event_post(struct event_queue *queue, struct event *event);

/*
 * Take the oldest event, waiting at most @timeout_ms milliseconds for one.
 *
 * Any number of waiters. Return: the event, which the caller frees or gives
 * back; ERR_PTR of -ENOENT (timeout), -EINTR (signal), -ESRCH (queue closed).
 */
struct event *event_wait(struct event_queue *queue, u32 timeout_ms);

/* Give back an event that could not be delivered: it is the oldest again. */
void event_requeue_head(struct event_queue *queue, struct event *event);

/* Wake all waiters; they, and all that come later, get -ESRCH. */
void event_queue_close(struct event_queue *queue);

#endif /* BLKSNAP_EVENT_QUEUE_H */
