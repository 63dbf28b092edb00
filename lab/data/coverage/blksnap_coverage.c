// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps and shows how often each branch of instrumented modules was taken.
 *
 * The kernel knows nothing of it and may be any: the compiler (-fprofile-arcs)
 * counts in place, without calls, in the module's own memory; with
 * -fprofile-info-section it leaves pointers to what it counts in a section,
 * between two symbols that coverage.lds adds. A notifier finds them when a module
 * is loaded. When one goes, its counters are kept, for its exit is over then; and
 * are given back to it when it is loaded again. So this has to be loaded before
 * the others, and stay.
 *
 * debugfs blksnap_coverage: reading gives a file (.gcda, as gcov takes it) for
 * each compiled one, after the lengths of name and content (u32 each) and the
 * name.
 *
 * Context: process. Locking: coverage_lock for all but the counters themselves,
 * which are incremented atomically.
 */
#define pr_fmt(fmt) "blksnap_coverage: " fmt

#include <linux/debugfs.h>
#include <linux/kallsyms.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

/* The compiler's own structures: gcc's coverage.c, build_info_type() and so on. */
#if __GNUC__ >= 14
#define GCOV_COUNTERS 9
#else
#define GCOV_COUNTERS 8
#endif

struct gcov_ctr_info {
	unsigned int num;
	u64 *values;
};

struct gcov_fn_info {
	const struct gcov_info *key;
	unsigned int ident;
	unsigned int lineno_checksum;
	unsigned int cfg_checksum;
	struct gcov_ctr_info ctrs[];
};

struct gcov_info {
	unsigned int version;
	struct gcov_info *next;
	unsigned int stamp;
#if __GNUC__ >= 12
	unsigned int checksum;
#endif
	const char *filename;
	void (*merge[GCOV_COUNTERS])(u64 *values, unsigned int count);
	unsigned int n_functions;
	struct gcov_fn_info **functions;
};

/* The file format: gcc's gcov-io.h. Since gcc 12 lengths count bytes. */
#define GCDA_MAGIC 0x67636461
#define GCDA_FUNCTION 0x01000000
#define GCDA_ARCS 0x01a10000
#if __GNUC__ >= 12
#define GCDA_UNIT 4
#else
#define GCDA_UNIT 1
#endif

/**
 * struct coverage - What is known of a module.
 * @list: In coverage_list.
 * @name: The module's name.
 * @infos: Its part of .gcov_info while it is loaded, else NULL.
 * @count: Number of pointers there.
 * @kept: Its part of the file as it was when the module went, or NULL.
 * @size: Bytes of @kept.
 */
struct coverage {
	struct list_head list;
	char name[MODULE_NAME_LEN];
	const struct gcov_info *const *infos;
	size_t count;
	u8 *kept;
	size_t size;
};

static LIST_HEAD(coverage_list);
static DEFINE_MUTEX(coverage_lock);
static struct dentry *coverage_debugfs;

/* Instrumented code points to it, and nobody calls it. */

void __gcov_merge_add(u64 *values, unsigned int count);

void __gcov_merge_add(u64 *values, unsigned int count)
{
}
EXPORT_SYMBOL_GPL(__gcov_merge_add);

/* --- a module's part of the file --------------------------------------------- */

/**
 * enum pass - What is done on a way through all that belongs into the file.
 * @pass_measure: Its size is found out.
 * @pass_save: It is written.
 * @pass_give_back: Counters that were saved are added to those of the module.
 */
enum pass {
	pass_measure,
	pass_save,
	pass_give_back,
};

/**
 * struct walk - A way through all that belongs into the file.
 * @pass: What is done.
 * @buffer: Where the file is, if it is written or read.
 * @at: How far it is, in bytes.
 * @other: The file that is read is that of another build.
 */
struct walk {
	enum pass pass;
	u8 *buffer;
	size_t at;
	bool other;
};

static void walk_bytes(struct walk *walk, const void *bytes, size_t size)
{
	if (walk->pass == pass_save)
		memcpy(walk->buffer + walk->at, bytes, size);
	else if (walk->pass == pass_give_back)
		walk->other |= memcmp(walk->buffer + walk->at, bytes, size);
	walk->at += size;
}

static void walk_u32(struct walk *walk, u32 value)
{
	walk_bytes(walk, &value, sizeof(value));
}

static void walk_counter(struct walk *walk, u64 *counter)
{
	u64 value = READ_ONCE(*counter);

	if (walk->pass == pass_save) {
		memcpy(walk->buffer + walk->at, &value, sizeof(value));
	} else if (walk->pass == pass_give_back && !walk->other) {
		memcpy(&value, walk->buffer + walk->at, sizeof(value));
		*counter += value;
	}
	walk->at += sizeof(value);
}

static void walk_function(struct walk *walk,
			  const struct gcov_fn_info *function)
{
	/* Only this kind of counters was asked for. */
	const struct gcov_ctr_info *arcs = function->ctrs;
	unsigned int i;

	walk_u32(walk, GCDA_FUNCTION);
	walk_u32(walk, 3 * GCDA_UNIT);
	walk_u32(walk, function->ident);
	walk_u32(walk, function->lineno_checksum);
	walk_u32(walk, function->cfg_checksum);
	walk_u32(walk, GCDA_ARCS);
	walk_u32(walk, 2 * arcs->num * GCDA_UNIT);
	for (i = 0; i < arcs->num; i++)
		walk_counter(walk, &arcs->values[i]);
}

static void walk_content(struct walk *walk, const struct gcov_info *info)
{
	unsigned int i;

	walk_u32(walk, GCDA_MAGIC);
	walk_u32(walk, info->version);
	walk_u32(walk, info->stamp);
#if __GNUC__ >= 12
	walk_u32(walk, info->checksum);
#endif
	for (i = 0; i < info->n_functions; i++)
		walk_function(walk, info->functions[i]);
}

static void walk_module(struct walk *walk, const struct coverage *one)
{
	size_t i;

	for (i = 0; i < one->count; i++) {
		const struct gcov_info *info = one->infos[i];
		struct walk measure = { .pass = pass_measure };

		walk_content(&measure, info);
		walk_u32(walk, strlen(info->filename));
		walk_u32(walk, measure.at);
		walk_bytes(walk, info->filename, strlen(info->filename));
		walk_content(walk, info);
	}
}

static size_t coverage_size(const struct coverage *one)
{
	struct walk walk = { .pass = pass_measure };

	if (!one->infos)
		return one->size;
	walk_module(&walk, one);
	return walk.at;
}

static void coverage_save(const struct coverage *one, u8 *buffer)
{
	struct walk walk = { .pass = pass_save, .buffer = buffer };

	if (one->infos)
		walk_module(&walk, one);
	else if (one->size)
		memcpy(buffer, one->kept, one->size);
}

static void coverage_drop_kept(struct coverage *one)
{
	vfree(one->kept);
	one->kept = NULL;
	one->size = 0;
}

/* --- modules that come and go ------------------------------------------------- */

static unsigned long symbol_value(const struct module *module, const char *name)
{
	const struct mod_kallsyms *all = rcu_dereference_raw(module->kallsyms);
	unsigned int i;

	for (i = 0; i < all->num_symtab; i++)
		if (!strcmp(all->strtab + all->symtab[i].st_name, name))
			return all->symtab[i].st_value;
	return 0;
}

static struct coverage *coverage_find(const struct module *module)
{
	struct coverage *one;

	list_for_each_entry(one, &coverage_list, list)
		if (!strcmp(one->name, module->name))
			return one;
	return NULL;
}

static struct coverage *coverage_new(const struct module *module)
{
	struct coverage *one = kzalloc(sizeof(*one), GFP_KERNEL);

	if (one) {
		strscpy(one->name, module->name, sizeof(one->name));
		list_add_tail(&one->list, &coverage_list);
	}
	return one;
}

static void module_comes(const struct module *module)
{
	unsigned long begin = symbol_value(module, "blksnap_coverage_begin");
	unsigned long end = symbol_value(module, "blksnap_coverage_end");
	struct walk walk = { .pass = pass_give_back };
	struct coverage *one;

	if (!begin)
		return;
	one = coverage_find(module) ?: coverage_new(module);
	if (!one) {
		pr_err("no memory for the coverage of %s\n", module->name);
		return;
	}
	one->infos = (const struct gcov_info *const *)begin;
	one->count = (end - begin) / sizeof(*one->infos);
	if (one->size && one->size == coverage_size(one)) {
		walk.buffer = one->kept;
		walk_module(&walk, one);
	}
	if (walk.other || (one->size && !walk.at))
		pr_err("another build of %s was here before\n", module->name);
	coverage_drop_kept(one);
}

static void module_goes(const struct module *module)
{
	struct coverage *one = coverage_find(module);
	size_t size;

	if (!one || !one->infos)
		return;
	size = coverage_size(one);
	one->kept = vmalloc(size);
	if (one->kept) {
		coverage_save(one, one->kept);
		one->size = size;
	} else {
		pr_err("no memory to keep the coverage of %s\n", module->name);
	}
	one->infos = NULL;
}

/* A module that goes has run its exit; one that failed to load goes, too. */
static int coverage_notify(struct notifier_block *block, unsigned long event,
			   void *data)
{
	mutex_lock(&coverage_lock);
	if (event == MODULE_STATE_COMING)
		module_comes(data);
	else if (event == MODULE_STATE_GOING)
		module_goes(data);
	mutex_unlock(&coverage_lock);
	return NOTIFY_OK;
}

static struct notifier_block coverage_notifier = {
	.notifier_call = coverage_notify,
};

/* --- debugfs -------------------------------------------------------------------- */

/**
 * struct snapshot - The file as it was when it was opened.
 * @size: Bytes.
 * @bytes: Its content.
 */
struct snapshot {
	size_t size;
	u8 bytes[];
};

static struct snapshot *snapshot_new(void)
{
	struct snapshot *snapshot;
	struct coverage *one;
	size_t size = 0;

	lockdep_assert_held(&coverage_lock);
	list_for_each_entry(one, &coverage_list, list)
		size += coverage_size(one);
	snapshot = vmalloc(sizeof(*snapshot) + size);
	if (!snapshot)
		return NULL;
	snapshot->size = 0;
	list_for_each_entry(one, &coverage_list, list) {
		coverage_save(one, snapshot->bytes + snapshot->size);
		snapshot->size += coverage_size(one);
	}
	return snapshot;
}

static int coverage_open(struct inode *inode, struct file *file)
{
	mutex_lock(&coverage_lock);
	file->private_data = snapshot_new();
	mutex_unlock(&coverage_lock);
	return file->private_data ? 0 : -ENOMEM;
}

static ssize_t coverage_read(struct file *file, char __user *to, size_t length,
			     loff_t *pos)
{
	const struct snapshot *snapshot = file->private_data;

	return simple_read_from_buffer(to, length, pos, snapshot->bytes,
				       snapshot->size);
}

static int coverage_release(struct inode *inode, struct file *file)
{
	vfree(file->private_data);
	return 0;
}

static const struct file_operations coverage_fops = {
	.owner = THIS_MODULE,
	.open = coverage_open,
	.read = coverage_read,
	.llseek = default_llseek,
	.release = coverage_release,
};

static int __init coverage_init(void)
{
	int ret = register_module_notifier(&coverage_notifier);

	if (!ret)
		coverage_debugfs = debugfs_create_file("blksnap_coverage", 0400,
						       NULL, NULL,
						       &coverage_fops);
	return ret;
}

static void __exit coverage_exit(void)
{
	struct coverage *one, *next;

	debugfs_remove(coverage_debugfs);
	unregister_module_notifier(&coverage_notifier);
	list_for_each_entry_safe(one, next, &coverage_list, list) {
		vfree(one->kept);
		kfree(one);
	}
}

module_init(coverage_init);
module_exit(coverage_exit);

MODULE_DESCRIPTION("Shows how often each branch of instrumented modules was taken");
MODULE_LICENSE("GPL");
