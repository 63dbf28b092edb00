"""Verbs for the kernel module and its memory."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping

from lab.guest import sections
from lab.guest.channel import AgentFailure
from lab.runner import coverage, leaks
from lab.runner.context import Context, Executor, Memory
from lab.runner.failures import StepFailed
from lab.scenario import steps_machine as verbs

Detail = Mapping[str, object]
LOAD_LIMIT = 60.0
PAUSE = 0.05
UNLOAD_LIMIT = 10.0
"""Seconds in which an unload counts as prompt (K28)."""
IN_FLIGHT = "write"
"""Kind of the writes under way: a mounted file system has some at any moment, and no mark fits."""


def _faults(context: Context) -> str:
    """Takes "POINT SKIP TIMES", lists what is left (guest_module/fault.c)."""
    return f"/sys/kernel/debug/{context.flavour.debugfs}/fail"


def load(context: Context, parameters: Mapping[str, int]) -> None:
    """Load the filter, if the source tree has one that is not loaded yet, and the module."""
    folder, names = context.guest.module_dir, context.flavour
    if folder is None:
        raise StepFailed("the guest has no kernel module")
    coverage.load(context)
    try:
        if not context.request("module_info", {"name": names.filter})["loaded"]:
            context.request("module_load", {"path": f"{folder}/{names.filter}.ko"}, LOAD_LIMIT)
    except AgentFailure as error:
        if error.errno != errno.ENOENT:
            raise
    context.request(
        "module_load",
        {"path": f"{folder}/{names.module}.ko", "params": dict(parameters)},
        LOAD_LIMIT,
    )
    context.module_loaded = True
    context.model.module_loaded(parameters)
    if context.kernel.is_debug:
        leaks.note_code(context)
    if context.keepable:
        asked = sections.question((names.filter, names.module))
        context.sections = context.run(["sh", "-c", asked]).stdout


def unload(context: Context, limit: float = UNLOAD_LIMIT) -> float:
    """Unload both; seconds it took. AgentFailure EBUSY, ETIMEDOUT if it is not prompt."""
    began = time.monotonic()
    limit *= context.deadline.patience
    names = context.flavour
    for name in (names.module, names.filter):
        if context.request("module_info", {"name": name})["loaded"]:
            left = max(0.1, limit - (time.monotonic() - began))
            context.request("module_unload", {"name": name, "timeout": left}, left + LOAD_LIMIT)
            if name == names.module:
                context.module_loaded = False
                context.model.trackers_lost()
                context.snapshots.clear()
    return time.monotonic() - began


def module_load(context: Context, action: verbs.ModuleLoad) -> Detail:
    """Load the module."""
    parameters = context.scenario.module if action.parameters is None else action.parameters
    load(context, parameters)
    return {"parameters": dict(parameters)}


def module_unload(context: Context, action: verbs.ModuleUnload) -> Detail:
    """Unload the module. StepFailed if a failure that was injected has not happened: it has proven
    nothing, and goes with the module."""
    left = faults_left(context) if context.module_loaded else []
    if left:
        raise StepFailed(f"never happened: injected {left[0]}", left)
    return {"seconds": round(unload(context, action.within), 3)}


def set_parameters(context: Context, action: verbs.SetParameters) -> Detail:
    """Change parameters of the loaded module."""
    for name, value in action.parameters.items():
        args = {"name": context.flavour.module, "param": name, "value": value}
        context.request("module_param", args)
        context.model.set_parameters({name: value})
    return {"parameters": dict(action.parameters)}


def inject(context: Context, action: verbs.Inject) -> Detail:
    """Arm a point of failure. StepFailed if the module has none."""
    text = f"{action.point.value} {action.skip} {action.times}\n"
    try:
        context.request("write_file", {"path": _faults(context), "text": text})
    except AgentFailure as error:
        raise StepFailed(f"{_faults(context)} does not take {text!r}: {error.message}") from error
    if action.device is not None:
        context.model.map_update_fails(action.device)
    return {"point": action.point.value}


def ioctl(context: Context, action: verbs.Ioctl) -> Detail:
    """Make a bare request."""
    args: dict[str, object] = {"request": action.request}
    if action.address is not None:
        args["address"] = action.address
    else:
        number = context.device(action.device).number if action.device is not None else (0, 0)
        start = b"".join(part.to_bytes(4, "little") for part in number)
        args["hex"] = start.ljust(action.size, b"\0").hex()
    if action.user is not None:
        args["euid"] = action.user
    return {"returned": context.request("raw_ioctl", args)["ret"]}


def faults_left(context: Context) -> list[str]:
    """Points that were made to fail and have not failed as often yet, "point skip times" each."""
    try:
        text = str(context.request("read_file", {"path": _faults(context)})["text"])
    except AgentFailure as error:
        if error.errno != errno.ENOENT:
            raise
        return []
    return [line for line in text.splitlines() if not line.endswith(" 0")]


def memory(context: Context) -> Memory:
    """What the module accounts for, and what the guest has in use; bytes."""
    held = sum(size for kind, (_, size) in counters(context).items() if kind != IN_FLIGHT)
    info = context.request("sysinfo")["mem"]
    used = int(info["MemTotal"]) - int(info["MemAvailable"])
    return Memory(held, used)


def counters(context: Context) -> dict[str, tuple[int, int]]:
    """The module's own counters: (objects, bytes) by kind. StepFailed if it has none (K35)."""
    try:
        answer = context.request("memory_counters")
    except AgentFailure as error:
        raise StepFailed(f"the module's memory counters cannot be read: {error.message}") from error
    found = {kind: (int(pair[0]), int(pair[1])) for kind, pair in answer["counters"].items()}
    if not found:
        raise StepFailed("the module has no memory counters")
    return found


def wait_counters_zero(
    context: Context, limit: float, kept: frozenset[str]
) -> dict[str, tuple[int, int]]:
    """Counters, but of kinds that are `kept`, that are not zero yet after `limit` seconds.

    Empty as soon as all are.
    """
    end = time.monotonic() + limit
    while True:
        now = {kind: pair for kind, pair in counters(context).items() if kind not in kept}
        held = {kind: pair for kind, pair in now.items() if any(pair)}
        if not held or time.monotonic() >= end:
            return held
        time.sleep(PAUSE)


def mark_memory(context: Context, action: verbs.MarkMemory) -> Detail:
    """Remember."""
    mark = memory(context)
    context.memory_marks[action.name] = mark
    return {"module": mark.module, "guest": mark.guest}


def check_memory(context: Context, action: verbs.CheckMemory) -> Detail:
    """Compare with the mark."""
    before, now = context.memory_marks[action.since], memory(context)
    end = time.monotonic() + action.settle * context.deadline.patience
    while now.module - before.module > action.growth and time.monotonic() < end:
        time.sleep(PAUSE)
        now = memory(context)
    growth = now.module - before.module
    if action.report is not None:
        context.reports[action.report] = growth
    if growth > action.growth:
        kinds = [
            f"{kind}: {n} objects, {size} bytes" for kind, (n, size) in counters(context).items()
        ]
        raise StepFailed(
            f"the module holds {growth} bytes more than at {action.since!r}; "
            f"at most {action.growth} allowed",
            kinds,
        )
    return {"growth": growth, "guest growth": now.guest - before.guest}


EXECUTORS: dict[str, Executor] = {
    "module_load": module_load,
    "module_unload": module_unload,
    "set_parameters": set_parameters,
    "inject": inject,
    "ioctl": ioctl,
    "mark_memory": mark_memory,
    "check_memory": check_memory,
}
