"""The modules that guests load have their debugging information in the cache, and it fits."""

from __future__ import annotations

import re

import pytest

from lab.process import run
from lab.pytest_plugin.session import Lab
from lab.runner.ports import debug_folder
from lab.runner.traces import Traces


@pytest.mark.guest
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("module", "function", "file"),
    [
        ("blksnap", "snapshot_take", "snapshot.c"),
        ("bdevfilter", "bdev_filter_attach", "filter_registry.c"),
    ],
)
def test_places_in_the_real_modules_are_lines_of_their_sources(
    lab: Lab, module: str, function: str, file: str
) -> None:
    folder = debug_folder(lab.template())
    assert folder is not None
    told = run(["readelf", "-sW", str(folder / f"{module}.ko")], timeout=60)
    (size,) = set(re.findall(rf"(\d+) FUNC .* {function}$", told, re.MULTILINE))
    (line,) = Traces(folder).decoded([f" {function}+0x20/{int(size):#x} [{module}]"])
    assert re.search(rf"  {file}:\d+", line), line
