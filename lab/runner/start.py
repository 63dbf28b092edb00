"""What comes before the first step: requirements, the mark in the kernel log, module, devices."""

from __future__ import annotations

import re
import shlex

from lab.errors import LabError
from lab.image import BUILT_KERNELS, DEFAULT_KERNEL, KERNELS, kernel_named
from lab.runner import races
from lab.runner.context import Context, Device
from lab.runner.verbs import module, stacked
from lab.runner.wire import device_number
from lab.scenario.scenario import Scenario
from lab.units import SECTOR

OTHERS = f"run with --kernel, one of {', '.join(one.name for one in KERNELS)}"


class SkipScenario(LabError):  # noqa: N818 - it is no error
    """The scenario cannot be run here, for the reason that it declares itself."""


def check_kernel(scenario: Scenario, kernel: str, release: str) -> None:
    """Raises SkipScenario for what can be told without a guest.

    kernel: its name among those of the lab. release: e.g. "6.1.0-56-cloud-amd64".
    """
    requires = scenario.requires
    if _numbers(release) < _numbers(requires.kernel_from):
        raise SkipScenario(f"needs Linux {requires.kernel_from}; this is {release}: {OTHERS}")
    if _numbers(release) >= _numbers(requires.kernel_before):
        raise SkipScenario(
            f"needs Linux before {requires.kernel_before}; this is {release}: {OTHERS}"
        )
    if requires.kernel == "debug" and not kernel_named(kernel).is_debug:
        debug = debug_kernel(kernel)
        raise SkipScenario(
            "needs a debug kernel (KASAN, lockdep, fault injection): "
            f"run with --kernel {debug}, after `blksnap-lab kernel build {debug}`"
        )
    if requires.filter == "module" and kernel_named(kernel).has_filters:
        raise SkipScenario(
            f"needs a kernel that a module hooks; this one has filters built in: {OTHERS}"
        )


def debug_kernel(kernel: str) -> str:
    """The debug kernel that is likest to a kernel; that of the default one if it has none."""
    base, _, config = kernel.partition("-")
    patched = "-patched" if config.startswith("patched") else ""
    known = {one.name for one in BUILT_KERNELS}
    likest = f"{base}{patched}-debug"
    return likest if likest in known else f"{DEFAULT_KERNEL}-debug"


def _numbers(release: str) -> tuple[int, ...]:
    """The first two numbers of a kernel release."""
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])


def start(context: Context) -> None:
    """Make the guest ready for the first step. Raises SkipScenario if it lacks something."""
    with context.deadline.step(context.scenario.step_timeout):
        context.log.mark(context.guest, f"blksnap-lab: {context.scenario.name}")
        _check_guest(context)
        races.look_closely(context)
        module.load(context, context.scenario.module)
        for name in context.scenario.disks:
            disk = context.guest.disks[name]
            number = device_number(context, disk.path)
            context.devices[name] = Device(name, disk.path, disk.size, number)
            loses = context.scenario.disks[name].log
            context.model.add_disk(name, disk.size // SECTOR, loses=loses)
            if loses:
                context.power.watch(name)
    for name, device in context.scenario.devices.items():
        with context.deadline.step(context.scenario.step_timeout):
            stacked.build(context, name, device)


def _check_guest(context: Context) -> None:
    """Raises SkipScenario if something of `requires` that is looked for in guests is not there."""
    requires = context.scenario.requires
    lacking = [
        *_lacking(context, "kernel module", "modprobe -n -q {}", requires.modules),
        *_lacking(context, "program", "command -v {} >/dev/null", requires.tools),
        *_lacking(context, "kernel function", "grep -qw {} /proc/kallsyms", requires.functions),
    ]
    if lacking:
        raise SkipScenario(
            f"the guest has no {', no '.join(lacking)}: that of another kernel may, run with "
            "--kernel and one of `blksnap-lab image list`"
        )


def _lacking(context: Context, what: str, test: str, names: tuple[str, ...]) -> list[str]:
    """Those of the names for which a test in the guest's shell fails."""
    if not names:
        return []
    script = "\n".join(
        f"{test.format(shlex.quote(name))} || echo {shlex.quote(name)}" for name in names
    )
    missing = context.run(["sh", "-c", script], check=False).stdout.split()
    return [f"{what} {name}" for name in names if name in missing]
