"""What the runner knows of disks with a log: what was promised, and what a power cut leaves."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lab.crash.journal import unflushed_commits
from lab.crash.ledger import Ledger, Write
from lab.crash.log import WriteLog, count_entries
from lab.crash.promises import unkept
from lab.crash.states import Rebuilder, copy_sparse, draw, unsafe
from lab.runner.failures import StepFailed
from lab.runner.hostfs import FilePromise, complaints, journal_of
from lab.runner.ports import Disk
from lab.scenario.steps_fs import WriteFiles
from lab.scenario.steps_io import CACHED, DSYNCS
from lab.scenario.steps_io import Write as WriteStep

SHOWN = 40


class Power:
    """Promises of the disks with a log, since it began: at the last start of the machine."""

    def __init__(self) -> None:
        self.ledgers: dict[str, Ledger] = {}
        self.files: list[FilePromise] = []
        self.made: dict[str, int] = {}
        """By disk: entries of its log when its file system had been made."""
        self.at_stake: dict[str, list[int]] = {}
        """By disk: how many writes each power cut could lose."""

    def watch(self, name: str) -> None:
        """A disk has a log."""
        self.ledgers[name] = Ledger()

    def booted(self) -> None:
        """All logs begin anew. What files had to hold they must hold."""
        self.ledgers = {name: Ledger() for name in self.ledgers}
        self.files = [replace(one, since=0) for one in self.files if one.until is None]
        self.made = dict.fromkeys(self.made, 0)

    def nothing_to_lose(self) -> list[str]:
        """Disks with a log of which no power cut could lose anything, in words."""
        return [
            f"none of {len(unsafe)} power cuts could lose a write to {name}: all was flushed; write"
            " to it without fsync before"
            for name, unsafe in self.at_stake.items()
            if not any(unsafe)
        ]

    def wrote(
        self, device: str, plan: Sequence[Write], action: WriteStep, *, done: bool = True
    ) -> None:
        """A step wrote stamps, or was cut short."""
        ledger = self.ledgers.get(device)
        if ledger is None:
            return
        if action.how in DSYNCS:
            ledger.wrote_safely(plan, at_once=_at_once(action), done=done)
            return
        ledger.wrote(plan, done=done)

    def synced(self, device: str) -> None:
        """A step ended with fsync."""
        if device in self.ledgers:
            self.ledgers[device].synced()

    def made_fs(self, device: str, disk: Disk) -> None:
        """A new file system, and safe."""
        self.files = [one for one in self.files if one.device != device]
        if disk.log is not None:
            self.made[device] = count_entries(disk.log)

    def files_of(self, device: str) -> list[FilePromise]:
        """What is promised of the files of a disk."""
        return [one for one in self.files if one.device == device]

    def files_begin(self, device: str, folder: str, disk: Disk) -> None:
        """Files in a folder are written over: no promise about it holds from here on."""
        if disk.log is None:
            return
        now = count_entries(disk.log)
        self.files = [
            replace(one, until=now)
            if (one.device, one.folder, one.until) == (device, folder, None)
            else one
            for one in self.files
        ]

    def files_end(self, device: str, folder: str, action: WriteFiles, disk: Disk) -> None:
        """Files were written and fsync'd, as the guest says."""
        if disk.log is None:
            return
        since = count_entries(disk.log)
        self.files.append(
            FilePromise(device, folder, action.count, action.size, action.seed, since)
        )


def is_synced(action: WriteStep) -> bool:
    """Whether a step that writes ends with fsync."""
    return action.how in CACHED and action.fsync


def _at_once(action: WriteStep) -> int:
    return action.queue_depth if action.how.value.startswith("io_uring") else 1


def judge_log(log: WriteLog, tag: int, ledger: Ledger, name: str) -> None:
    """StepFailed if the log of a disk of stamps breaks a promise, or has what nobody wrote."""
    wrong = unkept(
        log, tag, ledger.promises, ledger.acknowledged, lambda seq: f"write {seq} to {name}"
    )
    if wrong:
        raise StepFailed(f"log of {name}: {wrong[0]}", wrong[:SHOWN])


def judge_journal(disk: Disk, start: int) -> int | None:
    """How many transactions of its ext4's journal were committed from entry `start` of its log on;
    None if there is none that can be judged. StepFailed if one was not flushed before."""
    assert disk.log is not None
    journal = journal_of(disk.host_file)
    if journal is None:
        return None
    with WriteLog(disk.log) as log:
        commits, wrong = unflushed_commits(log, journal, start)
    if wrong:
        raise StepFailed(f"log of {disk.name}: {wrong[0]}", wrong[:SHOWN])
    return commits


def lose(
    disk: Disk, dice: random.Random, folder: Path, files: Sequence[FilePromise] | None
) -> dict[str, int]:
    """The power has failed: make the disk's file hold one of the states that may be left.

    files: what is promised of its ext4, whose journal is replayed on a copy, and the copy checked;
    None: there is none to be judged. StepFailed if it is not whole, or lacks what was promised.
    """
    assert disk.log is not None
    with WriteLog(disk.log) as log:
        cut = draw(log.entries, len(log.entries), dice)
        pending = len(unsafe(log.entries, cut.entries))
        left = {"entries": cut.entries, "unsafe": pending, "kept": len(cut.kept)}
        with Rebuilder(log, disk.base, disk.size, folder) as states:
            state = states.state(cut)
            refill(disk.host_file, state, disk.size)
            if files is None:
                return left
            due = [one for one in files if one.holds_after(cut.entries)]
            wrong = complaints(state, due)
    if wrong:
        raise StepFailed(f"{disk.name}, as the power cut left it: {wrong[0]}", wrong[:SHOWN])
    return {**left, "folders checked": len(due)}


def refill(path: Path, source: Path, size: int) -> None:
    """Make a file that nobody uses hold what another one holds."""
    os.truncate(path, 0)
    os.truncate(path, size)
    copy_sparse(source, path)
