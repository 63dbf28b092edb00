"""A pipe gets plain lines, a terminal live ones; both say what did not pass, and why."""

from __future__ import annotations

import io

from rich.console import Console

from lab.report.terminal import Terminal
from lab.runner.events import Event, RunFinished, RunStarted, ScenarioFinished
from lab.runner.verdict import ScenarioResult, Verdict, count_verdicts


def told(events: list[Event], *, terminal: bool = False, slowest: int = 0) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, soft_wrap=True)
    report = Terminal(console, slowest)
    for event in events:
        report.handle(event)
    report.close()
    return text.getvalue()


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


def test_the_summary_explains_what_did_not_pass(events: list[Event]) -> None:
    text = told(events)
    end = text[text.index("error    ") :]
    assert "at steps[3]: steps[3] (read_image): image of a in s, sector 64" in end
    assert "    line 1\n" in end
    assert "then, failed at module unloaded: EBUSY" in end
    assert "again:   blksnap-lab run x/failed" in end
    assert "interrupted: 1 not run: power/clean-reboot" in end
    assert "NOT GREEN: 1 passed, 1 failed, 1 splat" in end


def test_the_slowest_are_named_when_asked_for(events: list[Event]) -> None:
    assert "slowest:" not in told(events)
    part = told(events, slowest=2).split("slowest:\n")[1].split("\n")
    assert part[0].split() == ["8.8", "s", "cbt/skipped"]
    assert part[1].split() == ["7.5", "s", "overflow/error"]
    assert part[2] == ""


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
