# SPDX-License-Identifier: MIT
"""The command line: options, help, output. The only part of this package that prints."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Callable, Optional

from . import commands
from .commands import (
    Answer,
    event_line,
    event_value,
    file_size,
    image_line,
    sector_range,
    snapshot_id,
    take_number,
    u32,
)
from .control import Control
from .names import NAMES
from .stretch import stretched

_DESCRIPTION = """\
Talk to the blksnap kernel module: every command of its control node by hand.
Devices are paths or MAJOR:MINOR; sectors are 512 bytes."""

_EPILOG = """\
a snapshot by hand:
  %(prog)s snapshot-create /dev/vdb                        (prints the id)
  %(prog)s append-storage ID --file /var/diff --size 1073741824
  %(prog)s take ID                                         (prints the images)
  mount -o ro /dev/blksnap-image0 /mnt
  %(prog)s wait-event ID --timeout 1000
  %(prog)s read-cbt /dev/vdb --changed-since 0             (what to back up)
  %(prog)s snapshot-destroy ID
the same, with storage that grows as needed, until Ctrl-C:
  %(prog)s stretch /dev/vdb --folder /var/blksnap

exit status: 0 done; 1 the module or the system refused (said on stderr); 2 wrong usage;
3 wait-event: no event within the time."""

_INTERRUPTED = 130

Command = Callable[[Control, argparse.Namespace], Answer]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command; its exit status."""
    options = parser()
    args = options.parse_args(arguments)
    mistake = args.check(args) if "check" in args else None
    if mistake:
        options.error(mistake)
    try:
        with Control(args.node) as control:
            if args.run is None:
                return _stretch(control, args)
            answer: Answer = args.run(control, args)
    except (OSError, ValueError) as error:
        print(f"blksnap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    if args.json:
        print(json.dumps(answer.value))
    else:
        for line in answer.lines:
            print(line)
    return answer.status


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="python3 -m " + (__package__ or "blksnap"),
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--json", action="store_true", help="print results as JSON")
    top.add_argument("--node", default=NAMES.node, help="control node (default %(default)s)")
    subs = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add(subs, "version", commands.version, "print the module's version")
    _add_trackers(subs)
    _add_snapshots(subs)
    _add_stretch(subs)
    return top


def _add(
    subs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Optional[Command],
    text: str,
    more: str = "",
) -> argparse.ArgumentParser:
    sub = subs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=more or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run=run)
    # Also after the command, where people look for it.
    sub.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print results as JSON"
    )
    return sub


def _add_trackers(subs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add(subs, "tracker-collect", commands.tracker_collect, "list tracked devices and their maps")
    sub = _add(subs, "tracker-remove", commands.tracker_remove, "stop tracking a device")
    sub.add_argument("device")
    sub = _add(
        subs,
        "read-cbt",
        commands.read_cbt,
        "read the map of changed blocks (while a snapshot of the device is taken)",
        "examples:\n  read-cbt /dev/vdb\n  read-cbt /dev/vdb --changed-since 4 --json\n"
        "  read-cbt /dev/vdb --output map.bin",
    )
    sub.add_argument("device")
    sub.add_argument("--offset", type=u32, default=0, help="first block (default 0)")
    sub.add_argument("--length", type=u32, help="number of blocks (default: to the end)")
    how = sub.add_mutually_exclusive_group()
    how.add_argument("--output", type=Path, help="write the raw bytes to a file")
    how.add_argument(
        "--changed-since",
        type=take_number,
        metavar="NUMBER",
        help="print SECTOR:COUNT of all that changed after take NUMBER of this generation",
    )
    sub.set_defaults(check=_check_map)
    sub = _add(
        subs,
        "mark-dirty",
        commands.mark_dirty,
        "let ranges of an original or an image count as changed",
        "example:\n  mark-dirty /dev/vdb --range 0:8 --range 4096:2048",
    )
    sub.add_argument("device")
    _add_ranges(sub, required=True)


def _add_snapshots(subs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sub = _add(subs, "snapshot-create", commands.snapshot_create, "create a snapshot, print its id")
    sub.add_argument("device", nargs="+")
    sub = _add(
        subs,
        "append-storage",
        commands.append_storage,
        "give a snapshot room for old data: sector ranges or a preallocated file",
        "examples:\n  append-storage ID --device /dev/vdc --range 0:2097152\n"
        "  append-storage ID --file /var/diff --size 1073741824\n"
        "What the ranges hold is overwritten. Ranges are aligned to 8 sectors.",
    )
    sub.add_argument("id", type=snapshot_id)
    where = sub.add_mutually_exclusive_group(required=True)
    where.add_argument("--device", help="device the ranges are on")
    where.add_argument("--file", help="file whose blocks are given")
    _add_ranges(sub, required=False)
    sub.add_argument(
        "--size", type=file_size, help="make and preallocate the file, in bytes, whole 4 KiB"
    )
    sub.set_defaults(check=_check_storage)
    for name, run, text in (
        ("take", commands.take, "take the snapshot; print its images"),
        ("collect-images", commands.collect_images, "print the images of a taken snapshot"),
        ("snapshot-destroy", commands.snapshot_destroy, "destroy a snapshot and its images"),
    ):
        _add(subs, name, run, text).add_argument("id", type=snapshot_id)
    _add(subs, "collect", commands.collect, "print the ids of all snapshots")
    sub = _add(
        subs, "wait-event", commands.wait_event, "wait for one event of a snapshot and print it"
    )
    sub.add_argument("id", type=snapshot_id)
    sub.add_argument("--timeout", type=u32, default=0, metavar="MS", help="milliseconds; 0: look")


def _add_stretch(subs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sub = _add(
        subs,
        "stretch",
        None,
        "create and take a snapshot and answer its events until Ctrl-C, then destroy it",
        "example:\n  stretch /dev/vdb /dev/vdc --folder /var/blksnap\n"
        "Storage files of the sizes asked for are made in the folder and removed at the end. It\n"
        "must not lie on the devices: of a file made there after the take the blocks may have\n"
        "been another's at the take, and the image then shows what is stored in them.",
    )
    sub.add_argument("device", nargs="+")
    sub.add_argument(
        "--folder", type=Path, required=True, help="where storage files are made, on another device"
    )


def _add_ranges(sub: argparse.ArgumentParser, required: bool) -> None:
    sub.add_argument(
        "--range",
        type=sector_range,
        action="append",
        default=[],
        required=required,
        metavar="SECTOR:COUNT",
        help="may be given several times",
    )


def _check_map(args: argparse.Namespace) -> Optional[str]:
    if args.changed_since is not None and (args.offset or args.length is not None):
        return "--changed-since looks at the whole map: no --offset, no --length"
    return None


def _check_storage(args: argparse.Namespace) -> Optional[str]:
    if args.device is not None and (not args.range or args.size is not None):
        return "--device needs --range and takes no --size"
    if args.file is not None and args.range:
        return "--file takes no --range"
    return None


def _stretch(control: Control, args: argparse.Namespace) -> int:
    stop = threading.Event()

    def end(number: int, frame: Optional[FrameType]) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with stretched(control, args.device, args.folder) as held:
        for info in held.images:
            _show(args, {"image": info.path, "original": str(info.original)}, image_line(info))
        _show(args, {"id": str(held.snapshot.id)}, f"snapshot {held.snapshot.id}; Ctrl-C ends it")
        for event in held.events(stop):
            _show(args, event_value(event), event_line(event))
    return 0


def _show(args: argparse.Namespace, value: object, line: str) -> None:
    print(json.dumps(value) if args.json else line, flush=True)
