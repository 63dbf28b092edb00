// SPDX-License-Identifier: MIT
/* What a C library would have, see sys.h. */
#include "sys.h"

int checks_failed;

struct time {
	word seconds;
	word nanoseconds;
};

void *memcpy(void *to, const void *from, __SIZE_TYPE__ count)
{
	const char *source = from;
	char *target = to;

	while (count--)
		*target++ = *source++;
	return to;
}

void *memset(void *to, int byte, __SIZE_TYPE__ count)
{
	char *target = to;

	while (count--)
		*target++ = byte;
	return to;
}

int memcmp(const void *one, const void *other, __SIZE_TYPE__ count)
{
	const __u8 *a = one, *b = other;

	for (; count; count--, a++, b++)
		if (*a != *b)
			return *a < *b ? -1 : 1;
	return 0;
}

__u32 text_length(const char *text)
{
	__u32 length = 0;

	while (text[length])
		length++;
	return length;
}

void print(const char *text)
{
	sys(NR_WRITE, 1, text, text_length(text));
}

void print_number(word number)
{
	unsigned long rest = number < 0 ? -(unsigned long)number : (unsigned long)number;
	char digits[24], *first = &digits[sizeof(digits) - 1];

	*first = '\0';
	do {
		*--first = '0' + rest % 10;
		rest /= 10;
	} while (rest);
	if (number < 0)
		*--first = '-';
	print(first);
}

void check(const char *name, word got, word right)
{
	print(got == right ? "ok " : "not ok ");
	print(name);
	if (got != right) {
		checks_failed++;
		print(": got ");
		print_number(got);
		print(", must be ");
		print_number(right);
	}
	print("\n");
}

void check_true(const char *name, int holds)
{
	check(name, !!holds, 1);
}

void *pages_new(__u32 count, int shared)
{
	/* Private is 2, shared is 1; 0x20 is anonymous. */
	return (void *)sys6(NR_MMAP, 0, (word)count * PAGE,
			    PROT_READ | PROT_WRITE, shared ? 0x21 : 0x22, -1, 0);
}

void pages_protect(void *pages, __u32 count, int protection)
{
	sys(NR_MPROTECT, pages, (word)count * PAGE, protection);
}

static word device_io(word nr, const char *path, __u32 offset, __u32 length,
		      const void *buffer)
{
	int how = nr == NR_WRITE ? O_RDWR | O_DIRECT : O_RDONLY | O_DIRECT;
	word fd = sys(NR_OPEN, path, how, 0);
	word ret;

	if (fd < 0)
		return fd;
	ret = sys(NR_LSEEK, fd, offset, 0);
	if (ret >= 0)
		ret = sys(nr, fd, buffer, length);
	sys(NR_CLOSE, fd, 0, 0);
	return ret;
}

word device_write(const char *path, __u32 offset, __u32 length, const void *from)
{
	return device_io(NR_WRITE, path, offset, length, from);
}

word device_read(const char *path, __u32 offset, __u32 length, void *to)
{
	return device_io(NR_READ, path, offset, length, to);
}

word file_write(const char *path, const char *text)
{
	word fd = sys(NR_OPEN, path, O_WRONLY, 0);
	word ret;

	if (fd < 0)
		return fd;
	ret = sys(NR_WRITE, fd, text, text_length(text));
	sys(NR_CLOSE, fd, 0, 0);
	return ret;
}

void sleep_ms(__u32 ms)
{
	struct time time = { ms / 1000, (word)(ms % 1000) * 1000000 };

	sys(NR_NANOSLEEP, &time, NULL, 0);
}

__u32 now_ms(void)
{
	struct time time;

	/* The monotonic clock is 1. */
	sys(NR_CLOCK, 1, &time, 0);
	return (__u32)time.seconds * 1000 + (__u32)time.nanoseconds / 1000000;
}

word process_new(void)
{
	return sys(NR_FORK, 0, 0, 0);
}

void process_exit(int status)
{
	for (;;)
		sys(NR_EXIT, status, 0, 0);
}

int process_wait(word pid)
{
	int status = -1;

	sys6(NR_WAIT, pid, (word)&status, 0, 0, 0, 0);
	return status & 0x7f ? -(status & 0x7f) : (status >> 8) & 0xff;
}
