"""The layout against the numbers of v0, which stay (guest_module/CONTRACT.md), and the C header."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.blksnap import abi

# Sizes and offsets of v0's structures on x86-64.
LAYOUT: dict[str, tuple[int, dict[str, tuple[int, int]]]] = {
    "blk_snap_version": (
        8,
        {"major": (0, 2), "minor": (2, 2), "revision": (4, 2), "build": (6, 2)},
    ),
    "blk_snap_dev_t": (8, {"mj": (0, 4), "mn": (4, 4)}),
    "blk_snap_tracker_remove": (8, {"dev_id": (0, 8)}),
    "blk_snap_cbt_info": (
        48,
        {
            "dev_id": (0, 8),
            "blk_size": (8, 4),
            "device_capacity": (16, 8),
            "blk_count": (24, 4),
            "generation_id": (28, 16),
            "snap_number": (44, 1),
        },
    ),
    "blk_snap_tracker_collect": (16, {"count": (0, 4), "cbt_info_array": (8, 8)}),
    "blk_snap_tracker_read_cbt_bitmap": (
        24,
        {"dev_id": (0, 8), "offset": (8, 4), "length": (12, 4), "buff": (16, 8)},
    ),
    "blk_snap_block_range": (16, {"sector_offset": (0, 8), "sector_count": (8, 8)}),
    "blk_snap_tracker_mark_dirty_blocks": (
        24,
        {"dev_id": (0, 8), "count": (8, 4), "dirty_blocks_array": (16, 8)},
    ),
    "blk_snap_snapshot_create": (
        32,
        {"count": (0, 4), "dev_id_array": (8, 8), "id": (16, 16)},
    ),
    "blk_snap_snapshot_destroy": (16, {"id": (0, 16)}),
    "blk_snap_snapshot_append_storage": (
        40,
        {"id": (0, 16), "dev_id": (16, 8), "count": (24, 4), "ranges": (32, 8)},
    ),
    "blk_snap_snapshot_take": (16, {"id": (0, 16)}),
    "blk_snap_snapshot_collect": (16, {"count": (0, 4), "ids": (8, 8)}),
    "blk_snap_image_info": (16, {"orig_dev_id": (0, 8), "image_dev_id": (8, 8)}),
    "blk_snap_snapshot_collect_images": (
        32,
        {"id": (0, 16), "count": (16, 4), "image_info_array": (24, 8)},
    ),
    "blk_snap_snapshot_event": (
        4096,
        {
            "id": (0, 16),
            "timeout_ms": (16, 4),
            "code": (20, 4),
            "time_label": (24, 8),
            "data": (32, 4064),
        },
    ),
    "blk_snap_event_low_free_space": (8, {"requested_nr_sect": (0, 8)}),
    "blk_snap_event_corrupted": (12, {"orig_dev_id": (0, 8), "err_code": (8, 4)}),
}
REQUESTS = {
    "IOCTL_BLK_SNAP_VERSION": 0x40085600,
    "IOCTL_BLK_SNAP_TRACKER_REMOVE": 0x40085601,
    "IOCTL_BLK_SNAP_TRACKER_COLLECT": 0x40105602,
    "IOCTL_BLK_SNAP_TRACKER_READ_CBT_MAP": 0x80185603,
    "IOCTL_BLK_SNAP_TRACKER_MARK_DIRTY_BLOCKS": 0x80185604,
    "IOCTL_BLK_SNAP_SNAPSHOT_CREATE": 0x40205605,
    "IOCTL_BLK_SNAP_SNAPSHOT_DESTROY": 0x80105606,
    "IOCTL_BLK_SNAP_SNAPSHOT_APPEND_STORAGE": 0x40285607,
    "IOCTL_BLK_SNAP_SNAPSHOT_TAKE": 0x80105608,
    "IOCTL_BLK_SNAP_SNAPSHOT_COLLECT": 0x40105609,
    "IOCTL_BLK_SNAP_SNAPSHOT_COLLECT_IMAGES": 0x4020560A,
    "IOCTL_BLK_SNAP_SNAPSHOT_WAIT_EVENT": 0x5000560B,
}
HEADER = Path(__file__).parents[2] / "guest_module" / "include"


@pytest.mark.parametrize("name", LAYOUT)
def test_structure_has_the_size_and_offsets_of_the_reference(name: str) -> None:
    structure = getattr(abi, name)
    size, fields = LAYOUT[name]
    assert ctypes.sizeof(structure) == size
    found = {
        field: (getattr(structure, field).offset, getattr(structure, field).size)
        for field, *_ in structure._fields_
    }
    assert found == fields


@pytest.mark.parametrize("name", REQUESTS)
def test_request_has_the_value_of_the_reference(name: str) -> None:
    assert getattr(abi, name) == REQUESTS[name]


def test_every_structure_and_request_is_checked() -> None:
    structures = {
        name
        for name, value in vars(abi).items()
        if isinstance(value, type) and issubclass(value, ctypes.Structure)
    }
    requests = {name for name in vars(abi) if name.startswith("IOCTL_")}
    assert structures == LAYOUT.keys()
    assert requests == REQUESTS.keys()


def c_program() -> str:
    lines = ["#include <stdio.h>", "#include <stddef.h>", "#include <linux/blksnap.h>"]
    lines.append("int main(void) {")
    for name, (_, fields) in LAYOUT.items():
        lines.append(f'printf("{name} %zu\\n", sizeof(struct {name}));')
        for field in fields:
            lines.append(
                f'printf("{name}.{field} %zu %zu\\n", offsetof(struct {name}, {field}),'
                f" sizeof(((struct {name} *)0)->{field}));"
            )
    lines += [f'printf("{name} %lu\\n", (unsigned long){name});' for name in REQUESTS]
    return "\n".join([*lines, "return 0;", "}"])


def python_side() -> list[str]:
    lines = []
    for name, (_, fields) in LAYOUT.items():
        structure = getattr(abi, name)
        lines.append(f"{name} {ctypes.sizeof(structure)}")
        for field in fields:
            place = getattr(structure, field)
            lines.append(f"{name}.{field} {place.offset} {place.size}")
    return lines + [f"{name} {getattr(abi, name)}" for name in REQUESTS]


def test_the_c_header_agrees(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc on this machine")
    if not (HEADER / "uapi" / "linux" / "blksnap.h").exists():
        pytest.skip("the module's header is not there")
    source = tmp_path / "layout.c"
    source.write_text(c_program(), encoding="ascii")
    program = tmp_path / "layout"
    # After the system's own headers, so that only blksnap.h comes from there.
    subprocess.run(
        [compiler, "-Wall", "-Werror", f"-idirafter{HEADER / 'uapi'}", "-o", program, source],
        check=True,
    )
    said = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == python_side()


def test_the_c_header_names_the_same_events_and_nodes() -> None:
    header = HEADER / "uapi" / "linux" / "blksnap.h"
    if not header.exists():
        pytest.skip("the module's header is not there")
    text = header.read_text(encoding="utf-8")
    assert f'"{abi.BLK_SNAP_CTL}"' in text
    assert f'"{abi.BLK_SNAP_IMAGE_NAME}"' in text
    codes = re.search(r"enum blk_snap_event_codes \{([^}]*)\}", text)
    assert codes is not None
    names = re.findall(
        r"blk_snap_event_code_(\w+)", re.sub(r"/\*.*?\*/", "", codes.group(1), flags=re.S)
    )
    assert names[:2] == ["low_free_space", "corrupted"]
    assert (abi.BLK_SNAP_EVENT_CODE_LOW_FREE_SPACE, abi.BLK_SNAP_EVENT_CODE_CORRUPTED) == (0, 1)
