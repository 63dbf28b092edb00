"""JUnit XML, as CI systems read it.

The structure is that of the Jenkins xunit schema: testsuites > testsuite (one per group, and per
kernel if the run has several) > testcase with properties (in a testsuite), failure, error or
skipped, system-out. Of the verdicts, `failed`, `splat` and `panic` are failures of what is tested;
`hang`, `lost` and `error` are errors; the type attribute keeps the very word, so nothing is folded.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from lab.runner.events import (
    Event,
    RunFinished,
    RunResumed,
    RunStarted,
    ScenarioFinished,
)
from lab.runner.folder import write_whole
from lab.runner.verdict import Finding, ScenarioResult, Verdict

FAILURES = frozenset({Verdict.FAILED, Verdict.SPLAT, Verdict.PANIC})
ERRORS = frozenset({Verdict.HANG, Verdict.LOST, Verdict.ERROR})
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


class JUnit:
    """Collects results and writes the file at the end, also of an interrupted run.

    To `path`, or "junit.xml" in the folder of the run; none of a run that never began.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._wanted = path
        self._path: Path | None = None
        self._results: list[ScenarioResult] = []
        self._not_run: tuple[str, ...] = ()
        self._time = 0.0
        self._duration = 0.0

    def handle(self, event: Event) -> None:
        """Remember what the file will say."""
        if isinstance(event, RunStarted):
            self._path = self._wanted or Path(event.folder) / "junit.xml"
            self._time = event.time
            if isinstance(event, RunResumed):
                self._time = event.began
                self._results += event.earlier
        elif isinstance(event, ScenarioFinished):
            self._results.append(event.result)
        elif isinstance(event, RunFinished):
            self._not_run = event.not_run
            self._duration = event.duration

    def close(self) -> None:
        """Write the file."""
        if self._path is not None:
            made = document(self._results, self._not_run, self._time, self._duration)
            write_whole(self._path, made)


def write_empty(path: Path) -> None:
    """Write the file of a run in which there is nothing to run."""
    write_whole(path, document((), (), 0.0, 0.0))


def document(
    results: Sequence[ScenarioResult], not_run: Sequence[str], begin: float, duration: float
) -> bytes:
    """The whole file: one test suite per group, in the order of the run."""
    root = ET.Element("testsuites", {"name": "blksnap-lab"})
    groups = dict.fromkeys(
        [*(_group(result.label) for result in results), *(_group(name) for name in not_run)]
    )
    for group in groups:
        mine = [result for result in results if _group(result.label) == group]
        left = [name for name in not_run if _group(name) == group]
        root.append(_suite(group, mine, left, begin))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", f"{duration:.3f}")
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _suite(
    group: str, results: Sequence[ScenarioResult], not_run: Sequence[str], begin: float
) -> ET.Element[str]:
    verdicts = [result.verdict for result in results]
    suite = ET.Element(
        "testsuite",
        {
            "name": group or "scenarios",
            "tests": str(len(results) + len(not_run)),
            "failures": str(sum(verdict in FAILURES for verdict in verdicts)),
            "errors": str(sum(verdict in ERRORS for verdict in verdicts) + len(not_run)),
            "skipped": str(sum(verdict is Verdict.SKIPPED for verdict in verdicts)),
            "time": f"{sum(result.duration for result in results):.3f}",
            "timestamp": datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        },
    )
    for result in results:
        suite.append(_case(result))
    for name in not_run:
        case = ET.SubElement(suite, "testcase", _place(name, 1) | {"time": "0"})
        ET.SubElement(case, "error", {"type": "not run", "message": "the run was interrupted"})
    return suite


def _case(result: ScenarioResult) -> ET.Element[str]:
    case = ET.Element(
        "testcase", _place(result.label, result.repeat) | {"time": f"{result.duration:.3f}"}
    )
    properties = ET.SubElement(case, "properties")
    pairs = [("verdict", result.verdict.value), ("kernel", result.kernel)]
    pairs += [("proves", rule) for rule in result.proves]
    for name, value in pairs:
        ET.SubElement(properties, "property", {"name": name, "value": value})
    if result.verdict is Verdict.SKIPPED:
        ET.SubElement(case, "skipped", {"message": clean(result.reason)})
    elif result.verdict in FAILURES | ERRORS:
        tag = "failure" if result.verdict in FAILURES else "error"
        attributes = {"type": result.verdict.value, "message": clean(result.reason)}
        ET.SubElement(case, tag, attributes).text = clean("\n".join(_evidence(result.findings)))
    if result.folder is not None:
        ET.SubElement(case, "system-out").text = clean(f"results: {result.folder}")
    return case


def _evidence(findings: Iterable[Finding]) -> Iterable[str]:
    for number, finding in enumerate(findings):
        yield f"{'then, ' if number else ''}{finding.verdict} at {finding.where}: {finding.what}"
        yield from (f"    {line}" for line in finding.detail)


def _place(name: str, repeat: int) -> dict[str, str]:
    group, _, short = name.rpartition("/")
    shown = short if repeat == 1 else f"{short} ({repeat})"
    return {"classname": group.replace("/", ".") or "scenarios", "name": shown}


def _group(name: str) -> str:
    return name.rpartition("/")[0]


def clean(text: str) -> str:
    """`text` without the characters that XML cannot hold; they are shown as U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)
