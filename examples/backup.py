#!/usr/bin/env python3
"""A backup of a block device in a file: all of it at first, then only what has changed.

    python3 backup.py /dev/vdb /backup/vdb.img --storage /var/lib/vdb.diff

Beside the backup lies what the next one has to know: vdb.img.json. Needs CAP_SYS_ADMIN, Python 3.9
and the folder blksnap, nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from lab import blksnap  # with a copy of the folder lab/blksnap beside this file: import blksnap

SECTOR = 512
PIECE = 1 << 20


def backup(control: blksnap.Control, device: str, target: Path, storage: Path, room: int) -> int:
    """Bring the backup in `target` up to date; how many bytes were copied.

    storage: a file for the old data of what is overwritten meanwhile, made with `room` bytes, a
    multiple of 4096. It may lie on the device itself, but has to be there before the take.
    FileExistsError if it is there already: a snapshot that somebody left behind may still write
    into it.
    """
    storage.touch(exist_ok=False)
    snapshot = None
    try:
        # Destroyed at the end of the block, whatever happens; tracking goes on.
        with control.create_snapshot([device]) as snapshot:
            snapshot.append_file(storage, room)
            snapshot.take()
            (image,) = snapshot.images()
            with control.tracker(device).cbt_map() as cbt:
                info, ranges = cbt.info, to_copy(cbt, target)
            # If this one is cut short, the next is a full one.
            state(target).unlink(missing_ok=True)
            copied = copy(image.path, target, ranges, info.capacity)
        remember(target, {"generation": str(info.generation), "number": info.number})
        return copied
    finally:
        # Not before the snapshot is gone, or its blocks would be another file's.
        if snapshot is None or snapshot.id not in control.snapshots():
            storage.unlink()


def to_copy(cbt: blksnap.CbtMap, target: Path) -> list[blksnap.SectorRange]:
    """What the backup lacks: what was written since its take, or all if the map cannot say that."""
    if cbt.info.is_gone:
        raise OSError(f"{cbt.info.device} is gone")
    last = recall(target)
    if target.exists() and last.get("generation") == str(cbt.info.generation):
        return cbt.changed_since(last["number"])
    # The first one, or tracking began anew: reboot, module loaded again, device resized.
    return [blksnap.SectorRange(0, cbt.info.capacity // SECTOR)]


def copy(image: str, target: Path, ranges: list[blksnap.SectorRange], size: int) -> int:
    """Copy ranges of the image to the same places of the target.

    OSError EIO if the image was spoiled, for instance since `room` was too little: an image is
    right or cannot be read.
    """
    copied = 0
    source = os.open(image, os.O_RDONLY | os.O_CLOEXEC)
    backup_file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(backup_file, size)
        for one in ranges:
            place, end = one.sector * SECTOR, one.end * SECTOR
            while place < end:
                data = os.pread(source, min(PIECE, end - place), place)
                if not data:
                    raise OSError(f"{image} ends at byte {place}")
                written = os.pwrite(backup_file, data, place)
                place, copied = place + written, copied + written
        os.fsync(backup_file)
    finally:
        os.close(backup_file)
        os.close(source)
    return copied


def state(target: Path) -> Path:
    """Where the generation and the number of a backup are."""
    return target.with_name(target.name + ".json")


def recall(target: Path) -> dict[str, Any]:
    """What is in the state; nothing if it is not there, or was cut off."""
    try:
        return dict(json.loads(state(target).read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def remember(target: Path, values: dict[str, Any]) -> None:
    """Put it into the state, as a whole or not at all."""
    new = target.with_name(target.name + ".json.new")
    with new.open("w") as file:
        file.write(json.dumps(values))
        file.flush()
        os.fsync(file.fileno())
    new.replace(state(target))


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    options.add_argument("device")
    options.add_argument("target", type=Path)
    options.add_argument("--storage", type=Path, required=True)
    options.add_argument(
        "--room", type=int, default=1 << 30, help="bytes, a multiple of 4096 (default: 1 GiB)"
    )
    args = options.parse_args()
    # Else SIGTERM would end it at once, with the snapshot left behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with blksnap.Control() as control:
        copied = backup(control, args.device, args.target, args.storage, args.room)
    print(f"{copied} bytes copied")


if __name__ == "__main__":
    main()
