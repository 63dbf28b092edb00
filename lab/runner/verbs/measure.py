"""The verb that measures, with the measurements of lab.bench."""

from __future__ import annotations

from collections.abc import Mapping

from lab.bench.bench_guest import BenchGuest
from lab.bench.figures import IO, Comparison, Pattern, Ratio, State, ratios
from lab.bench.module import null_disks
from lab.bench.rounds import Bench, Disks, measure
from lab.runner.context import Context, Executor
from lab.runner.failures import StepFailed
from lab.runner.verbs import module
from lab.scenario import steps_measure as verbs

Detail = Mapping[str, object]
UNLOAD_LIMIT = 60.0
"""Seconds; a guest that counts its instructions is slow, and how prompt it is, is not measured."""
TAKES = frozenset({State.TAKE_SMALL, State.TAKE_LARGE})


def measured(context: Context, action: verbs.Measure) -> Detail:
    """Measure; every ratio is reported. StepFailed if one is below its bound."""
    folder = context.guest.module_dir
    if folder is None:
        raise StepFailed("the guest has no kernel module")
    bounds = {comparison(one): one.at_least for one in action.ratios}
    wanted = frozenset(state for one in bounds for state in (one.of, one.to))
    module.unload(context, UNLOAD_LIMIT)
    guest = BenchGuest(context.guest.channel, folder, context.flavour)
    guest.compile_load()
    with null_disks(guest) as paths:
        bench = Bench(guest, Disks(**paths), action.depth, keeps=False, wanted=wanted)
        found = ratios(measure(bench, action.rounds), tuple(bounds))
    module.load(context, context.scenario.module)
    told = {label(one, action.depth): round(one.spread.median, 3) for one in found}
    context.reports.update(told)
    missed = [
        f"{label(one, action.depth)} is {one.spread.median:.3f}; at least {bound:g}"
        for one in found
        if (bound := bounds[one.comparison]) is not None and one.spread.median < bound
    ]
    if missed:
        raise StepFailed(missed[0], missed)
    return told


def comparison(ratio: verbs.SpeedRatio) -> Comparison:
    """What a ratio of the scenario compares, as the measurements know it."""
    of, to = State[ratio.of.name], State[ratio.to.name]
    return Comparison(of, to, None, (Pattern.NONE,) if of in TAKES else IO)


def label(ratio: Ratio, depth: int) -> str:
    """What a figure is called in reports."""
    pattern = f", {ratio.pattern}" if ratio.pattern else ""
    beside = f", {depth} at a time" if depth > 1 else ""
    return f"{ratio.comparison.of} / {ratio.comparison.to}{pattern}{beside}"


EXECUTORS: dict[str, Executor] = {"measure": measured}
