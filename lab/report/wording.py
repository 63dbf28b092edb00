"""How results are put into words for people."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from lab.runner.verdict import ScenarioResult, Verdict

STYLES = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.SPLAT: "bold red",
    Verdict.PANIC: "bold red",
    Verdict.HANG: "bold magenta",
    Verdict.LOST: "bold magenta",
    Verdict.ERROR: "bold yellow",
    Verdict.SKIPPED: "cyan",
    "note": "dim",
}
NAME_WIDTH = 36
REASON_LENGTH = 160


def duration_text(seconds: float) -> str:
    """A duration, e.g. "4.2 s", "12 min 30 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def counts_text(counts: Mapping[Verdict, int]) -> str:
    """How often each verdict occurs, e.g. "3 passed, 1 failed"."""
    told = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return ", ".join(told) or "nothing run"


def guest_line(facts: Mapping[str, str]) -> str:
    """What the scenarios run on, in one line."""
    wanted = (("kernel_release", "kernel"), ("accel", "accel"), ("module", "module"))
    return "guest: " + ", ".join(f"{word} {facts.get(key, '?')}" for key, word in wanted)


def printable(text: str) -> str:
    """`text` without control characters, which a guest's log may hold and a terminal obeys."""
    return "".join(char if char.isprintable() or char == "\t" else "\ufffd" for char in text)


def short(text: str, length: int = REASON_LENGTH) -> str:
    """The first line of a text, cut if need be."""
    line = printable(text.split("\n", 1)[0])
    return line if len(line) <= length else line[: length - 3] + "..."


def result_line(result: ScenarioResult) -> Text:
    """One line: verdict, name, duration, reason."""
    name = result.label if result.repeat == 1 else f"{result.label} ({result.repeat})"
    line = Text(f"{result.verdict.value:<8}", style=STYLES[result.verdict])
    line.append(f" {name:<{NAME_WIDTH}} {duration_text(result.duration):>9}", style="default")
    if result.reason:
        line.append(f"  {short(result.reason)}", style="default")
    return line
