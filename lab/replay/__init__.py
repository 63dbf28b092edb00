"""Scenarios recorded to the instruction, and replayed as often as wanted, forwards and backwards.

QEMU's record/replay: all that does not follow from the start (packets, when requests to disks end,
clocks of the host, random numbers) is in a log. A recorded guest boots from its kernel, has one
emulated processor whose time is the number of its instructions, and hears from the lab over the
network, since that is what QEMU can record.
"""

from lab.replay.play import Comparison, compare_console, opened
from lab.replay.record import record
from lab.replay.recording import FOLDER, Mark, NotRecorded, Recording, find_recording
from lab.replay.refuse import refuse

__all__ = [
    "FOLDER",
    "Comparison",
    "Mark",
    "NotRecorded",
    "Recording",
    "compare_console",
    "find_recording",
    "opened",
    "record",
    "refuse",
]
