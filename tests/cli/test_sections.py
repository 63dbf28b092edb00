"""gdb is told where the modules are by what the guest says of their sections."""

from __future__ import annotations

import subprocess

from lab.guest.sections import question, symbol_options

TOLD = """\
/sys/module/acme_hook/sections/.text:0xffffffffc0278000
/sys/module/blksnap/sections/.bss:0xffffffffc029d800
/sys/module/blksnap/sections/.init.text:0xffffffffc0290000
/sys/module/blksnap/sections/.note.gnu.build-id:0xffffffffc0295000
/sys/module/blksnap/sections/.text.unlikely:0xffffffffc028c000
/sys/module/blksnap/sections/.text:0xffffffffc028a000
/sys/module/half/sections/.data:0xffffffffc0111000
"""


def test_the_text_comes_first_and_then_what_else_has_symbols() -> None:
    others = " -s .bss 0xffffffffc029d800 -s .text.unlikely 0xffffffffc028c000"
    assert symbol_options(TOLD, "blksnap") == f" 0xffffffffc028a000{others}"
    assert symbol_options(TOLD, "acme-hook") == " 0xffffffffc0278000"


def test_a_module_that_is_not_loaded_gets_no_symbols() -> None:
    assert symbol_options(TOLD, "half") == ""
    assert symbol_options("", "blksnap") == ""


def test_a_guest_without_the_modules_says_nothing_and_it_is_no_failure() -> None:
    done = subprocess.run(
        ["sh", "-c", question(["no-such", "module"])], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
