// SPDX-License-Identifier: GPL-2.0
/*
 * The events of a snapshot, see event_queue.h.
 *
 * Any number of waiters may sleep; all are woken by each event, and the first
 * that takes the lock has it. The others go on waiting for the rest of their
 * time.
 */
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "account.h"
#include "event_queue.h"

static size_t event_size(u32 data_size)
{
	return sizeof(struct event) + data_size;
}

struct event *event_alloc(gfp_t gfp, u32 code, const void *data, u32 data_size)
{
	struct event *event;

	event = account_zalloc(account_event, event_size(data_size), gfp);
	if (!event)
		return NULL;
	INIT_LIST_HEAD(&event->link);
	event->code = code;
	event->data_size = data_size;
	memcpy(event->data, data, data_size);
	return event;
}

void event_free(struct event *event)
{
	if (event)
		account_free(account_event, event,
			     event_size(event->data_size));
}

/* At the end, or at the head of the queue; a closed queue takes none. */
static void event_put_in(struct event_queue *queue, struct event *event,
			 bool at_head)
{
	unsigned long flags;
	bool closed;

	spin_lock_irqsave(&queue->lock, flags);
	closed = queue->closed;
	if (!closed && at_head)
		list_add(&event->link, &queue->list);
	else if (!closed)
		list_add_tail(&event->link, &queue->list);
	spin_unlock_irqrestore(&queue->lock, flags);
	if (closed)
		event_free(event);
	else
		wake_up(&queue->wait);
}

void event_post(struct event_queue *queue, struct event *event)
{
	event->time = ktime_get();
	event_put_in(queue, event, false);
}

void event_requeue_head(struct event_queue *queue, struct event *event)
{
	event_put_in(queue, event, true);
}

/* NULL: there is none now. */
static struct event *event_take(struct event_queue *queue)
{
	struct event *event;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	event = list_first_entry_or_null(&queue->list, struct event, link);
	if (queue->closed)
		event = ERR_PTR(-ESRCH);
	else if (event)
		list_del_init(&event->link);
	spin_unlock_irqrestore(&queue->lock, flags);
	return event;
}

static bool event_is_there(struct event_queue *queue)
{
	unsigned long flags;
	bool there;

	spin_lock_irqsave(&queue->lock, flags);
	there = queue->closed || !list_empty(&queue->list);
	spin_unlock_irqrestore(&queue->lock, flags);
	return there;
}

struct event *event_wait(struct event_queue *queue, u32 timeout_ms)
{
	/* Not in jiffies, which lag behind on a machine that is short of time. */
	ktime_t end = ktime_add_ms(ktime_get(), timeout_ms);
	struct event *event;
	int ret;

	while (!(event = event_take(queue))) {
		ktime_t left = ktime_sub(end, ktime_get());

		if (left <= 0)
			return ERR_PTR(-ENOENT);
		ret = wait_event_interruptible_hrtimeout(queue->wait,
							 event_is_there(queue),
							 left);
		if (ret == -ERESTARTSYS)
			return ERR_PTR(-EINTR);
	}
	return event;
}

void event_queue_init(struct event_queue *queue)
{
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->list);
	queue->closed = false;
	init_waitqueue_head(&queue->wait);
}

void event_queue_done(struct event_queue *queue)
{
	struct event *event, *next;

	list_for_each_entry_safe(event, next, &queue->list, link)
		event_free(event);
	INIT_LIST_HEAD(&queue->list);
}

void event_queue_close(struct event_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->closed = true;
	spin_unlock_irqrestore(&queue->lock, flags);
	wake_up_all(&queue->wait);
}
