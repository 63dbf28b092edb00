// SPDX-License-Identifier: MIT
/*
 * load: does one kind of I/O on a block device, and prints the nanoseconds that it took.
 *
 *	load PATH read|write direct|cached BLOCK COUNT STRIDE START ORDER DEPTH PASSES
 *
 * COUNT blocks of BLOCK bytes, one in each stride of STRIDE bytes, from byte START on. ORDER 0: at
 * the start of each stride, in order; else a seed: strides in random order, each block anywhere in
 * its stride. DEPTH 1: pread() and pwrite(); more: that many under way, by io_submit().
 *
 * Compiled in the guest. Nothing but the I/O is between the two looks at the clock. Cached: the
 * blocks are read once before that.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HUGE (2ul << 20)

struct load {
	int fd, writes;
	size_t block, count;
	unsigned int depth;
	unsigned char *memory;
	uint64_t *places;
};

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *need(void *memory)
{
	if (!memory)
		fail("memory");
	return memory;
}

/*
 * In huge pages where the kernel has them: how many pieces a bio is made of would else be chance,
 * and with it the time of a long write, by some percent from one process to the next.
 */
static void *allocate(size_t size)
{
	size_t whole = (size + HUGE - 1) / HUGE * HUGE;
	void *memory = need(aligned_alloc(HUGE, whole));

	madvise(memory, whole, MADV_HUGEPAGE);
	memset(memory, 0x5a, size);
	return memory;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void choose_places(struct load *load, size_t stride, uint64_t start, uint64_t seed)
{
	size_t i, other, within = stride / load->block;
	uint64_t place;

	for (i = 0; i < load->count; i++) {
		place = start + i * stride;
		if (seed)
			place += random_next(&seed) % within * load->block;
		load->places[i] = place;
	}
	for (i = load->count; seed && i > 1; i--) {
		other = random_next(&seed) % i;
		place = load->places[i - 1];
		load->places[i - 1] = load->places[other];
		load->places[other] = place;
	}
}

static void one_by_one(struct load *load)
{
	ssize_t ret;
	size_t i;

	for (i = 0; i < load->count; i++) {
		if (load->writes)
			ret = pwrite(load->fd, load->memory, load->block, load->places[i]);
		else
			ret = pread(load->fd, load->memory, load->block, load->places[i]);
		if (ret != (ssize_t)load->block)
			fail(load->writes ? "write" : "read");
	}
}

static void side_by_side(struct load *load, aio_context_t context, struct iocb *blocks)
{
	struct io_event events[64];
	size_t next = 0, done = 0;
	struct iocb *one;
	long got, i;

	while (done < load->count) {
		while (next < load->count && next - done < load->depth) {
			one = &blocks[next % load->depth];
			/* A slot that is still under way: the oldest is waited for below. */
			if (one->aio_data)
				break;
			one->aio_data = 1;
			one->aio_fildes = load->fd;
			one->aio_lio_opcode = load->writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
			one->aio_buf = (uintptr_t)load->memory + next % load->depth * load->block;
			one->aio_nbytes = load->block;
			one->aio_offset = load->places[next++];
			if (syscall(SYS_io_submit, context, 1, &one) != 1)
				fail("io_submit");
		}
		got = syscall(SYS_io_getevents, context, 1, 64, events, NULL);
		if (got < 1)
			fail("io_getevents");
		for (i = 0; i < got; i++) {
			if (events[i].res != (int64_t)load->block) {
				errno = -events[i].res;
				fail(load->writes ? "write" : "read");
			}
			((struct iocb *)(uintptr_t)events[i].obj)->aio_data = 0;
		}
		done += got;
	}
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static uint64_t timed(struct load *load, unsigned int passes)
{
	struct iocb *blocks = need(calloc(load->depth, sizeof(*blocks)));
	aio_context_t context = 0;
	uint64_t begin;

	if (syscall(SYS_io_setup, load->depth, &context))
		fail("io_setup");
	begin = now();
	while (passes--) {
		if (load->depth == 1)
			one_by_one(load);
		else
			side_by_side(load, context, blocks);
	}
	return now() - begin;
}

int main(int argc, char **argv)
{
	struct load load = { 0 };
	int direct;

	if (argc != 11) {
		fprintf(stderr, "load: see its source\n");
		return 2;
	}
	load.writes = !strcmp(argv[2], "write");
	direct = !strcmp(argv[3], "direct");
	load.block = strtoull(argv[4], NULL, 0);
	load.count = strtoull(argv[5], NULL, 0);
	load.depth = strtoul(argv[9], NULL, 0);
	load.fd = open(argv[1], (load.writes ? O_WRONLY : O_RDONLY) | (direct ? O_DIRECT : 0));
	if (load.fd < 0)
		fail(argv[1]);
	load.memory = allocate(load.block * load.depth);
	load.places = need(calloc(load.count, sizeof(*load.places)));
	choose_places(&load, strtoull(argv[6], NULL, 0), strtoull(argv[7], NULL, 0),
		      strtoull(argv[8], NULL, 0));
	if (!direct)
		one_by_one(&load);
	printf("%llu\n", (unsigned long long)timed(&load, strtoul(argv[10], NULL, 0)));
	return 0;
}
