/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Block device filters: see and hold the bios that are sent to a block device.
 *
 * Purpose: the one interface that blksnap needs from below, whether it comes
 * from bdevfilter.ko (which hooks bio submission of a stock kernel) or from a
 * kernel that has the hooks built in.
 *
 * A filter is attached to a block device, a whole disk or a partition, at an
 * altitude. Its callback then runs for every bio that touches a sector of that
 * device, by whichever device of the same disk the bio comes in, with the range
 * translated to the filter's own device and clipped to it. One bio may so be
 * seen by several filters, of a disk and of partitions on it; and more than
 * once by the same filter, when the block layer splits it and submits the
 * remainder again (the range is right in each case).
 *
 * The result is for the whole bio, also if the filter's device has only a part of
 * it. Where the bio is for another device of the disk, bi_sector is a sector of
 * that, and not the one that the callback is told.
 *
 * A filter never keeps its device: it holds memory only. When the device goes
 * away, or (loop, removable media) gets another content, the filter is dead:
 * its callback is not run any more, and what remains to be done is to detach it.
 * A kernel that has the hooks built in detaches it itself when the device goes.
 *
 * Context: everything may sleep and must be called from process context.
 */
#ifndef BDEVFILTER_H
#define BDEVFILTER_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/kref.h>

struct bdev_filter;

/**
 * enum bdev_filter_result - What becomes of the bio.
 * @bdev_filter_skip: The filter has completed the bio or keeps it. Nobody else
 *	touches it any more.
 * @bdev_filter_pass: On to the next filter, then to the device.
 * @bdev_filter_repeat: Call the same filter again. That this comes to an end is
 *	the filter's business.
 * @bdev_filter_redirect: The bio goes to another device now, by bio_set_dev() and
 *	bi_sector; start again with the filters of that one. The filter has that
 *	device open until the bio has ended, which may be after the filter was
 *	detached. That it does not go round in circles is the filters' business.
 */
enum bdev_filter_result {
	bdev_filter_skip = 0,
	bdev_filter_pass,
	bdev_filter_repeat,
	bdev_filter_redirect,
};

/**
 * enum bdev_filter_altitudes - Places for filters on a device, in calling order.
 * @bdev_filter_alt_blksnap: blksnap.
 * @bdev_filter_alt_second: Another user.
 * @bdev_filter_alt_end: Number of altitudes.
 */
enum bdev_filter_altitudes {
	bdev_filter_alt_blksnap = 0,
	bdev_filter_alt_second,
	bdev_filter_alt_end,
};

/**
 * struct bdev_filter_operations - What a filter does.
 * @submit_bio_cb: Called for each bio before it is submitted, with the range
 *	(in sectors of the filter's device, clipped to it) that the bio touches;
 *	@count is 0 for a bio without data, such as a flush. May sleep, may
 *	submit bios and wait for them - but if current->bio_list is set the
 *	caller is inside the driver of a stacked device and a bio submitted here
 *	is only queued: hand it to a worker then, and do not wait for one to the
 *	same disk, whose queue the caller may hold so that no other bio gets in
 *	while somebody waits to freeze it.
 * @detach_cb: Releases the filter when its last reference is given back. Never
 *	called in bio submission; with no lock held but, where the device has
 *	gone, those of its removal. Must not call anything of this interface.
 * @resized_cb: The size of the device changes, or has changed; the smaller one of
 *	the two is at most this, in sectors. May be told late for a partition:
 *	before the next write to its disk. Runs in any context, must not sleep,
 *	nor call anything of this interface. May be NULL.
 * @own_bios: Bios from this set are the filter's own: they are not shown to the
 *	filters that have this set. May be NULL.
 * @writes_only: Only bios that change data (any kind of write or discard) and
 *	have a size are of interest. Others then cost next to nothing.
 */
struct bdev_filter_operations {
	enum bdev_filter_result (*submit_bio_cb)(struct bio *bio,
						 struct bdev_filter *flt,
						 sector_t sector,
						 sector_t count);
	void (*detach_cb)(struct kref *kref);
	void (*resized_cb)(struct bdev_filter *flt, sector_t size);
	const struct bio_set *own_bios;
	bool writes_only;
};

/**
 * struct bdev_filter - To be embedded in the user's object.
 * @kref: References.
 * @fops: Operations.
 */
struct bdev_filter {
	struct kref kref;
	const struct bdev_filter_operations *fops;
};

static inline void bdev_filter_init(struct bdev_filter *flt,
				    const struct bdev_filter_operations *fops)
{
	kref_init(&flt->kref);
	flt->fops = fops;
}

static inline void bdev_filter_get(struct bdev_filter *flt)
{
	kref_get(&flt->kref);
}

static inline void bdev_filter_put(struct bdev_filter *flt)
{
	if (flt)
		kref_put(&flt->kref, flt->fops->detach_cb);
}

static inline void bdev_filter_resized(struct bdev_filter *flt, sector_t size)
{
	if (flt->fops->resized_cb)
		flt->fops->resized_cb(flt, size);
}

/*
 * bdev_filter_attach - Put a filter on a device.
 *
 * The caller has the device open, for this call only. The filter's place takes
 * over the caller's initial reference; the module that the filter is of is not
 * held, so it detaches its filters before it goes. When this returns, all writes that had
 * entered the device before the filter saw its first bio have been completed, if
 * the device lets that be known: see blk-filter-settle.c. Bios may be kept
 * waiting for that.
 *
 * Return: 0; -EALREADY if the altitude is occupied, by a dead filter too;
 * -EINVAL for no such altitude; -ENODEV if the device is gone; -ENOMEM. With an
 * error the reference remains the caller's.
 */
int bdev_filter_attach(struct block_device *bdev, const char *name,
		       enum bdev_filter_altitudes altitude,
		       struct bdev_filter *flt);

/*
 * bdev_filter_detach - Take a filter off its device.
 *
 * When this returns, the callback is not running and will not run again. The
 * place's reference has been given back (which may have freed the filter). The
 * device need not be open, and may be gone long since.
 *
 * Must not be called in the callback, nor with anything held that the callback
 * waits for; nor by two at the same time for the same filter, nor before its attach
 * has returned.
 *
 * Return: 0, or -ENOENT if @flt is not attached at @altitude, perhaps because its
 * device has gone; then too the callback will not run again, and the place's
 * reference has been given back.
 */
int bdev_filter_detach(struct bdev_filter *flt, const char *name,
		       enum bdev_filter_altitudes altitude);

/*
 * bdev_filter_get_by_altitude - The filter at this place, with a reference.
 *
 * Return: the filter, dead or not, or NULL.
 */
struct bdev_filter *bdev_filter_get_by_altitude(struct block_device *bdev,
						enum bdev_filter_altitudes altitude);

/*
 * bdev_filter_is_dead - Is the device of this filter gone, or another one now?
 *
 * Return: also true if the filter is not attached.
 */
bool bdev_filter_is_dead(struct bdev_filter *flt);

/*
 * bdev_filter_resizes - Another number whenever the size of the device was set.
 *
 * Also if it is now what it was: what lies beyond the smaller size may have got
 * another content meanwhile. A change may count twice.
 *
 * Not seen before 5.11, nor told by resized_cb: a device mapper device that becomes
 * smaller and larger again without a write in between.
 *
 * Return: the number; 0 if the filter is not attached.
 */
unsigned int bdev_filter_resizes(struct bdev_filter *flt);

/*
 * bdev_filter_submit_own - Submit a bio that was allocated from own_bios.
 */
static inline void bdev_filter_submit_own(struct bio *bio)
{
	submit_bio_noacct(bio);
}

#endif /* BDEVFILTER_H */
