// SPDX-License-Identifier: MIT
/* K28: the module goes only when nobody needs it, and then at once. */
#include "client.h"

#define ROUNDS 20
#define PROMPT_MS (5000 * PATIENCE)
#define WRITERS 2

/* The kernel says EAGAIN of a module in use, to those who do not want to wait. */
static word unload(const char *name)
{
	return sys(NR_DELETE_MODULE, name, O_NONBLOCK, 0);
}

/* The file of a module, or an error. */
static word module_open(const char *name)
{
	char path[256];
	__u32 length = text_length(module_folder), name_length = text_length(name);

	memcpy(path, module_folder, length);
	path[length] = '/';
	memcpy(path + length + 1, name, name_length);
	memcpy(path + length + 1 + name_length, ".ko", 4);
	return sys(NR_OPEN, path, O_RDONLY, 0);
}

static word load(const char *name)
{
	word fd = module_open(name), ret;

	if (fd < 0)
		return fd;
	ret = sys(NR_FINIT_MODULE, fd, "", 0);
	sys(NR_CLOSE, fd, 0, 0);
	return ret;
}

/* A kernel with filters of its own needs no module for that. */
static int filter_is_module(void)
{
	word fd = module_open(FILTER_NAME);

	if (fd >= 0)
		sys(NR_CLOSE, fd, 0, 0);
	return fd != -ENOENT;
}

static void check_busy(void)
{
	word image;
	uuid_t id;

	check("K28 with the control node open", unload(MODULE_NAME), -EAGAIN);
	check("K28 create", create(&id, &a, NULL), 0);
	control_close();
	check("K28 with a snapshot", unload(MODULE_NAME), -EAGAIN);
	control_open();
	check("K28 it is still there", append(&id, 0), 0);
	check("K28 take", take(&id), 0);
	control_close();
	check("K28 with a taken snapshot", unload(MODULE_NAME), -EAGAIN);
	control_open();
	image = sys(NR_OPEN, "/dev/" IMAGE "0", O_RDONLY, 0);
	check_true("K28 image", image > 0);
	check("K28 destroy", destroy(&id), 0);
	control_close();
	check("K28 with an image open", unload(MODULE_NAME), -EAGAIN);
	sys(NR_CLOSE, image, 0, 0);
	check("K28 the filter is needed by the module", unload(FILTER_NAME),
	      filter_is_module() ? -EAGAIN : -ENOENT);
}

/* Until killed. */
static void write_without_end(const struct device *device)
{
	void *data = pages_new(16, 0);
	__u32 i;

	for (i = 0;; i = (i + 17) % (BLOCKS - 1))
		device_write(device->path, i * BLOCK_SIZE, BLOCK_SIZE, data);
}

/* With the control node closed before and after. Return: 0, or the first error. */
static word load_and_use(void)
{
	word ret = filter_is_module() ? load(FILTER_NAME) : 0;
	uuid_t id;

	ret = ret ?: load(MODULE_NAME);
	if (ret)
		return ret;
	control_open();
	ret = create(&id, &a, &b);
	if (!ret)
		ret = append(&id, 0) ?: take(&id) ?: destroy(&id);
	control_close();
	return ret;
}

static void check_under_writes(void)
{
	word writers[WRITERS], ret = 0;
	__u32 longest = 0;
	__u32 i;

	for (i = 0; i < WRITERS; i++) {
		writers[i] = process_new();
		if (!writers[i])
			write_without_end(i ? &b : &a);
	}
	for (i = 0; i < ROUNDS && !ret; i++) {
		__u32 began = now_ms();

		ret = unload(MODULE_NAME);
		if (!ret && filter_is_module())
			ret = unload(FILTER_NAME);
		began = now_ms() - began;
		if (began > longest)
			longest = began;
		ret = ret ?: load_and_use();
	}
	check("K28 unloaded and loaded under writes", ret, 0);
	check("K28 as often", i, ROUNDS);
	check_true("K28 promptly", longest <= PROMPT_MS);
	for (i = 0; i < WRITERS; i++) {
		sys(NR_KILL, writers[i], SIGKILL, 0);
		check("K28 a writer never ended by itself", process_wait(writers[i]),
		      -SIGKILL);
	}
}

void check_unload(void)
{
	check_busy();
	check_under_writes();
	control_open();
	check("K28 remove", untrack(&a) || untrack(&b), 0);
}
