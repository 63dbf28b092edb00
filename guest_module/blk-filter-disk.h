/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What filters need to know of a disk and of a bio that the block layer does not
 * tell by one function.
 */
#ifndef BLK_FILTER_DISK_H
#define BLK_FILTER_DISK_H

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/part_stat.h>
#include <linux/rcupdate.h>
#include <linux/version.h>
#include <linux/xarray.h>

/* Has the device of this inode been taken off its disk? With or without locks. */
static inline bool blk_filter_is_removed(const struct inode *inode)
{
	return hlist_unhashed_lockless(&inode->i_hash);
}

/* Wait for all that holds the queue. */
static inline void blk_filter_drain_queue(struct request_queue *queue)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 14, 0)
	/* Since 6.14 who freezes keeps the flags of memory allocation. */
	unsigned int flags = blk_mq_freeze_queue(queue);

	blk_mq_unfreeze_queue(queue, flags);
#else
	blk_mq_freeze_queue(queue);
	blk_mq_unfreeze_queue(queue);
#endif
}

/*
 * Writes to a disk, or its partitions, that have not ended. A moment's sum over
 * all CPUs: that it is 0 is only sure if nothing begins meanwhile.
 */
static inline long blk_filter_writes_under_way(struct gendisk *disk)
{
	long sum = 0;
	int cpu;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
	struct block_device *part;
	unsigned long number;

	/* Each is counted where it was sent to. */
	rcu_read_lock();
	xa_for_each(&disk->part_tbl, number, part)
		for_each_possible_cpu(cpu)
			sum += part_stat_local_read_cpu(part, in_flight[1],
							cpu);
	rcu_read_unlock();
#else
	/* Before 5.11 partitions are no devices: all are counted for the disk. */
	for_each_possible_cpu(cpu)
		sum += part_stat_local_read_cpu(&disk->part0, in_flight[1],
						cpu);
#endif
	return sum;
}

/* From where the sectors of a bio count, on its disk. */
static inline sector_t blk_filter_bio_start(struct bio *bio)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 12, 0)
	if (bio_flagged(bio, BIO_REMAPPED))
		return 0;
	return bio->bi_bdev->bd_start_sect;
#else
	/* Before 5.12 a bio has a disk and the number of a partition. */
	const struct disk_part_tbl *table;
	const struct hd_struct *part = NULL;
	sector_t start;

	/* When the sector was made one of the disk, the number became 0. */
	rcu_read_lock();
	table = rcu_dereference(bio->bi_disk->part_tbl);
	if (bio->bi_partno < table->len)
		part = rcu_dereference(table->part[bio->bi_partno]);
	/* If the partition has gone, the bio will fail. */
	start = part ? part->start_sect : 0;
	rcu_read_unlock();
	return start;
#endif
}

#endif /* BLK_FILTER_DISK_H */
