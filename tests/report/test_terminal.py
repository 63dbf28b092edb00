"""A pipe gets plain lines, a terminal live ones; both say what did not pass, and why."""

from __future__ import annotations

import io
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from lab.estimates import Estimates
from lab.report.terminal import Terminal
from lab.runner.events import (
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    ScenarioFinished,
    StageProgress,
)
from lab.runner.verdict import ScenarioResult, Verdict, count_verdicts


def told(
    events: list[Event],
    *,
    terminal: bool = False,
    slowest: int | None = None,
    estimates: Estimates | None = None,
) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, soft_wrap=True)
    report = Terminal(console, slowest, estimates)
    for event in events:
        report.handle(event)
    report.close()
    return text.getvalue()


def run_of(results: list[ScenarioResult], *, repeat: int = 1) -> list[Event]:
    """A run that gave these results."""
    names = tuple(dict.fromkeys(one.name for one in results))
    end = RunFinished(
        duration=1.0,
        counts=count_verdicts(results),
        green=False,
        interrupted=False,
        not_run=(),
        exit_status=1,
        folder="here",
    )
    finished = [
        ScenarioFinished(scenario=one.name, repeat=one.repeat, result=one) for one in results
    ]
    return [RunStarted(folder="here", command="", scenarios=names, repeat=repeat), *finished, end]


def test_a_pipe_gets_one_plain_line_for_each_scenario(events: list[Event]) -> None:
    text = told(events)
    assert "\x1b" not in text
    lines = text.split("\n")
    (line,) = (line for line in lines if line.startswith("skipped"))
    assert line.split() == ["skipped", "cbt/skipped", "8.8", "s", "needs", "the", "debug", "kernel"]
    verdicts = ["passed", "failed", "splat", "panic", "hang", "lost", "error", "skipped"]
    starts = [line.split()[0] for line in lines if "/" in line and " s" in line]
    assert [word for word in starts if word in verdicts][:8] == verdicts


def test_a_stage_is_told_when_it_begins_and_not_for_every_step(events: list[Event]) -> None:
    text = told(events)
    assert "module: compiling a.c" in text
    assert "compiling b.c" not in text


def test_a_stage_that_lasts_is_told_each_minute() -> None:
    stages: list[Event] = [
        StageProgress(stage="kernel", detail=f"file {second}", fraction=None, time=float(second))
        for second in range(0, 150, 10)
    ]
    assert told(stages).splitlines() == ["kernel: file 0", "kernel: file 60", "kernel: file 120"]


def test_the_summary_explains_what_did_not_pass(events: list[Event]) -> None:
    text = told(events)
    end = text[text.index("error    ") :]
    assert "at steps[3]: steps[3] (read_image): image of a in s, sector 64" in end
    assert "    line 1\n" in end
    assert "then, failed at module unloaded: EBUSY" in end
    assert "again:   blksnap-lab run x/failed" in end
    assert end.count("guest:   ") == 1
    assert "guest:   blksnap-lab shell --kept x" in end
    assert "interrupted: 1 not run: power/clean-reboot" in end
    assert "NOT GREEN: 1 passed, 1 failed, 1 splat" in end


def test_the_slowest_are_named_when_asked_for(events: list[Event]) -> None:
    assert "slowest:" not in told(events)
    part = told(events, slowest=2).split("slowest:\n")[1].split("\n")
    assert part[0].split() == ["8.8", "s", "cbt/skipped"]
    assert part[1].split() == ["7.5", "s", "overflow/error"]
    assert part[2] == ""


def test_ten_slowest_are_named_of_more_than_ten() -> None:
    results = [
        ScenarioResult(f"g/s{number}", Verdict.PASSED, repeat=repeat, duration=number + repeat / 2)
        for number in range(11)
        for repeat in (1, 2)
    ]
    part = told(run_of(results, repeat=2)).split("slowest:\n")[1].split("\n\n")[0].split("\n")
    assert [line.split()[-1] for line in part] == [f"g/s{number}" for number in range(10, 0, -1)]
    assert part[0].split()[:2] == ["11.0", "s"]
    assert "slowest:" not in told(run_of(results[:20], repeat=2))
    assert "slowest:" not in told(run_of(results, repeat=2), slowest=0)


def test_a_terminal_shows_what_runs_now_and_is_left_clean(events: list[Event]) -> None:
    text = told(events, terminal=True)
    assert "cbt/failed" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_the_summary_of_several_kernels_has_a_line_for_each() -> None:
    kernels = ("5.10", "6.1", "6.12")
    results = [
        ScenarioResult("cbt/a", Verdict.FAILED, "5.10", label="5.10/cbt/a"),
        ScenarioResult("cbt/a", Verdict.PASSED, "6.1", label="6.1/cbt/a"),
    ]
    finished = [
        ScenarioFinished(scenario=one.name, kernel=one.kernel, result=one) for one in results
    ]
    end = RunFinished(
        duration=1.0,
        counts=count_verdicts(results),
        green=False,
        interrupted=True,
        not_run=("6.12/cbt/a",),
        exit_status=1,
        folder="here",
    )
    begin = RunStarted(folder="here", command="", scenarios=("cbt/a",), kernels=kernels)
    lines = told([begin, *finished, end]).split("\n")
    assert lines[0] == "1 scenarios on 5.10, 6.1, 6.12, results in here"
    assert "5.10   1 failed" in lines
    assert "6.1    1 passed" in lines
    assert "6.12   nothing run" in lines
    assert "failed 5.10/cbt/a" in lines
    assert "NOT GREEN: 1 passed, 1 failed in 1.0 s" in lines


def test_a_run_of_repeats_tells_how_often_which_was_red() -> None:
    verdicts = [Verdict.PASSED, Verdict.FAILED, Verdict.PASSED, Verdict.PASSED]
    results = [
        ScenarioResult(name, verdict, repeat=n + 1, folder=Path(f"here/{name}.{n + 1}"), reason="x")
        for name, all_of in (("g/flaky", verdicts), ("g/good", [Verdict.PASSED] * 4))
        for n, verdict in enumerate(all_of)
    ]
    lines = told(run_of(results, repeat=4)).split("\n")
    (flaky,) = (line.split() for line in lines if line.startswith("g/flaky ") and "%" in line)
    assert flaky[1:] == ["3", "1", "0", "75.1", "%"]
    assert "g/flaky did not always end alike: 3 passed, 1 failed" in lines
    assert "  failed in run 2: x" in lines
    assert "    results: here/g/flaky.2" in lines
    assert not any("g/good did not" in line for line in lines)
    assert any(line.startswith("flake rate: 1 of 8 runs were red;") for line in lines)
    assert not any("flake rate" in line for line in told(run_of(results[4:5])).split("\n"))


def test_what_passed_is_learnt_and_tells_how_long_the_next_run_takes(events: list[Event]) -> None:
    times = Estimates()
    assert "about" not in told(events, estimates=times).split("\n")[0]
    names = next(event for event in events if isinstance(event, RunStarted)).scenarios
    assert [name for name in names if times.usual(name) is not None] == ["overflow/passed"]
    times = known(events)
    assert told(events, estimates=times).startswith("8 scenarios, about 13 min, results in")


def test_long_runs_and_usual_ones_have_times_of_their_own(events: list[Event]) -> None:
    times = known(events)
    long = [replace(one, long=True) if isinstance(one, RunStarted) else one for one in events]
    assert "about" not in told(long, estimates=times).split("\n")[0]
    assert times.usual("overflow/passed --long") is not None
    assert times.usual("overflow/passed") == 100.0, "it has learnt nothing of the usual run"


def test_kernels_have_times_of_their_own() -> None:
    times = Estimates()
    for kernel, seconds in (("6.1", 10.0), ("6.1-debug", 100.0)):
        result = ScenarioResult("cbt/a", Verdict.PASSED, kernel, duration=seconds)
        begin = RunStarted(folder="here", command="", scenarios=("cbt/a",), kernels=(kernel,))
        assert "about" not in told([begin], estimates=times)
        end = ScenarioFinished(scenario="cbt/a", kernel=kernel, result=result)
        told([begin, end], estimates=times)
    both = RunStarted(
        folder="here", command="", scenarios=("cbt/a",), kernels=("6.1", "6.1-debug"), repeat=3
    )
    assert told([both], estimates=times).startswith("1 scenarios on 6.1, 6.1-debug, about 6 min")


def test_a_live_board_says_how_much_is_left(events: list[Event]) -> None:
    begun = next(n for n, event in enumerate(events) if isinstance(event, ScenarioFinished))
    text = io.StringIO()
    report = Terminal(Console(file=text, force_terminal=True), 0, known(events))
    for event in events[: begun + 2]:
        report.handle(event)
    time.sleep(1.0)  # it is drawn four times a second
    report.close()
    assert re.search(r"1 of 8 done, about 12 min left", text.getvalue())


def test_what_is_made_first_is_in_the_time_that_is_told(events: list[Event]) -> None:
    times = known(events)
    parts = ("image 6.1", "module 6.1", "template 6.1")
    begin = next(event for event in events if isinstance(event, RunStarted))

    def first_line() -> str:
        line = told([replace(begin, to_make=parts)], estimates=times)
        return line.partition(", results in")[0].removeprefix("8 scenarios")

    assert first_line() == (
        ", about 13 min, and what it takes to make image 6.1, module 6.1, template 6.1"
    )
    times.took("module 6.1", 200.0)
    times.took("template 6.1", 40.0)
    assert first_line() == (
        ", about 17 min with module 6.1, template 6.1 to make, and what it takes to make image 6.1"
    )
    times.took("image 6.1", 120.0)
    assert first_line() == ", about 19 min with image 6.1, module 6.1, template 6.1 to make"


def test_a_run_that_goes_on_counts_what_it_has(events: list[Event]) -> None:
    begin = next(event for event in events if isinstance(event, RunStarted))
    results = tuple(event.result for event in events if isinstance(event, ScenarioFinished))
    common: dict[str, Any] = {"folder": "here", "command": "", "scenarios": begin.scenarios}
    part = RunResumed(**common, repeat=2, earlier=results[:4], under_way=("cbt/x", "cbt/y (2)"))
    lines = told([part], estimates=known(events)).splitlines()
    assert lines[0] == (
        "going on: 8 scenarios, 4 of 16 runs are done, about 20 min, results in here"
    )
    assert lines[1] == "under way when it ended, run again: cbt/x, cbt/y (2)"
    whole = RunResumed(**common, earlier=results, to_make=("image 6.1",))
    assert told([whole]) == "going on: 8 scenarios, 8 of 8 runs are done, results in here\n"


def known(events: list[Event]) -> Estimates:
    """Estimates that know 100 s for each scenario."""
    times = Estimates()
    for name in next(event for event in events if isinstance(event, RunStarted)).scenarios:
        times.took(name, 100.0)
    return times
