// SPDX-License-Identifier: GPL-2.0
/* A module of which anybody can tell how often each line is reached. */
#include <linux/module.h>

static int times;
module_param(times, int, 0444);
MODULE_PARM_DESC(times, "How often the loop goes round");
static int answer;
module_param(answer, int, 0444);
MODULE_PARM_DESC(answer, "What loading ends with");

static int mostly, seldom;

static void counted_step(int number)
{
	if (number % 3)
		WRITE_ONCE(mostly, number); /* twice of three */
	else
		WRITE_ONCE(seldom, number); /* once of three */
}

static int __init counted_init(void)
{
	int i;

	for (i = 0; i < times; i++)
		counted_step(i);
	pr_info("counted: %d\n", times); /* each time */
	if (answer)
		pr_info("counted: no\n"); /* when it fails */
	return answer;
}

static void __exit counted_exit(void)
{
	pr_info("counted: over\n"); /* when it goes */
}

module_init(counted_init);
module_exit(counted_exit);

MODULE_DESCRIPTION("Known to be counted");
MODULE_LICENSE("GPL");
