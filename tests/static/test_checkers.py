"""Each checker sees what it is there for, in a module with one mistake for each."""

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.image import Toolbox, recipe
from lab.static import Checker, check_module, judge, prepare_toolbox, read_reviews
from lab.static.toolbox import KERNEL_PACKAGES

MODULE = Path(__file__).resolve().parents[2] / "guest_module"

# REUSE-IgnoreStart
SOURCE = """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/uaccess.h>

int not_declared(int *number, void __user *user)
{
	if (!number)
		return *number;
	return copy_from_user(number, (void *)user, sizeof(*number)) ? -EFAULT: 0;
}

MODULE_DESCRIPTION("Mistakes");
MODULE_LICENSE("GPL");
"""
# REUSE-IgnoreEnd


@pytest.mark.toolbox
def test_each_checker_finds_its_mistake(tmp_path: Path) -> None:
    (tmp_path / "Kbuild").write_text("obj-m := mistakes.o\n")
    (tmp_path / "mistakes.c").write_text(SOURCE)
    found = {(one.checker, one.kind): one.line for one in check_module(tmp_path, toolbox())}
    assert found[Checker.COMPILER, "-Wmissing-prototypes"] == 5
    assert found[Checker.ANALYZER, "-Wanalyzer-null-dereference"] == 8
    assert found[Checker.CHECKPATCH, "SPACING"] == 9
    assert sorted(at for (who, _), at in found.items() if who is Checker.SPARSE) == [5, 9, 9]


@pytest.mark.toolbox
def test_module_is_clean_but_for_what_was_reviewed() -> None:
    reviews = read_reviews(MODULE / "test" / "reviewed-findings.txt")
    judgement = judge(check_module(MODULE, toolbox()), reviews)
    assert judgement.new == ()
    assert judgement.stale == ()


def test_headers_are_those_of_the_guests() -> None:
    assert KERNEL_PACKAGES[0] in recipe.KERNEL


def toolbox() -> Toolbox:
    return prepare_toolbox(Cache())
