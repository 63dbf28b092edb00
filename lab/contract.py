"""The rules of the module's contract, K1 to K37, and the traps of v0, W-01 to W-41, in words.

The one place that says them is the module's CONTRACT.md.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from lab.data import data_folder

FILE = "CONTRACT.md"
_ROW = re.compile(r"\| (K\d+|W-\d\d) \| (.+) \|")


@functools.cache
def contract() -> Mapping[str, str]:
    """What each rule promises and what each trap is, by its id, in the file's order."""
    lines = (data_folder("guest_module") / FILE).read_text(encoding="utf-8").splitlines()
    return {row[1]: row[2] for row in map(_ROW.fullmatch, lines) if row}
