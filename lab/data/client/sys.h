/* SPDX-License-Identifier: MIT */
/*
 * System calls, output and checks of a program without a C library, so that the
 * same sources also make a program of 32 bits where there is no such library.
 *
 * A system call returns what the kernel returns: a result, or minus an errno.
 * Each check prints a line, "ok NAME" or "not ok NAME: got N, must be M".
 */
#ifndef ABI_SYS_H
#define ABI_SYS_H

#include <linux/errno.h>
#include <linux/types.h>

#define NULL ((void *)0)
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE 4096

typedef long word;

#ifdef __x86_64__
enum {
	NR_READ = 0, NR_WRITE = 1, NR_OPEN = 2, NR_CLOSE = 3, NR_LSEEK = 8,
	NR_MMAP = 9, NR_MPROTECT = 10, NR_IOCTL = 16, NR_YIELD = 24,
	NR_NANOSLEEP = 35, NR_FORK = 57, NR_EXIT = 60, NR_WAIT = 61,
	NR_KILL = 62, NR_SETUID = 105, NR_DELETE_MODULE = 176,
	NR_CLOCK = 228, NR_FINIT_MODULE = 313,
};

static inline word sys6(word nr, word a, word b, word c, word d, word e, word f)
{
	register word r10 asm("r10") = d, r8 asm("r8") = e, r9 asm("r9") = f;
	word ret;

	asm volatile("syscall" : "=a"(ret)
		     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	return ret;
}
#else
enum {
	NR_EXIT = 1, NR_FORK = 2, NR_READ = 3, NR_WRITE = 4, NR_OPEN = 5,
	NR_CLOSE = 6, NR_LSEEK = 19, NR_SETUID = 213, NR_KILL = 37,
	NR_IOCTL = 54, NR_WAIT = 114, NR_MPROTECT = 125,
	NR_DELETE_MODULE = 129, NR_YIELD = 158, NR_NANOSLEEP = 162,
	NR_MMAP = 192, NR_CLOCK = 265, NR_FINIT_MODULE = 350,
};

static inline word sys6(word nr, word a, word b, word c, word d, word e, word f)
{
	word ret;

	asm volatile("pushl %7\n\tpushl %%ebp\n\tmovl 4(%%esp), %%ebp\n\t"
		     "int $0x80\n\tpopl %%ebp\n\taddl $4, %%esp" : "=a"(ret)
		     : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), "g"(f)
		     : "memory");
	return ret;
}
#endif

#define sys(nr, a, b, c) sys6(nr, (word)(a), (word)(b), (word)(c), 0, 0, 0)

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_NONBLOCK 04000
#define O_DIRECT 040000
#define PROT_NONE 0
#define PROT_READ 1
#define PROT_WRITE 2
#define SIGKILL 9

/* sys.c */
__u32 text_length(const char *text);
void print(const char *text);
void print_number(word number);

/* Pages of zeros; @shared: also with the children to come. */
void *pages_new(__u32 count, int shared);
void pages_protect(void *pages, __u32 count, int protection);

/* Whole blocks past the page cache. Return: bytes, or an error. */
word device_write(const char *path, __u32 offset, __u32 length, const void *from);
word device_read(const char *path, __u32 offset, __u32 length, void *to);
/* Into a file of sysfs or debugfs. */
word file_write(const char *path, const char *text);

void sleep_ms(__u32 ms);
/* Wraps after 49 days. */
__u32 now_ms(void);

/* Return: 0 in the child. */
word process_new(void);
void process_exit(int status) __attribute__((noreturn));
/* Return: its exit status, or minus the signal that killed it. */
int process_wait(word pid);

extern int checks_failed;
void check(const char *name, word got, word right);
void check_true(const char *name, int holds);

void *memcpy(void *to, const void *from, __SIZE_TYPE__ count);
void *memset(void *to, int byte, __SIZE_TYPE__ count);
int memcmp(const void *one, const void *other, __SIZE_TYPE__ count);

#endif /* ABI_SYS_H */
