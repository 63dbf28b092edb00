"""A run as one page of HTML, complete in itself: it loads nothing, and works from a file.

What is seen at once is written as it is; the details of each scenario are a deflated fragment that
the page unpacks when the scenario is opened. So a run of hundreds of scenarios stays small and
opens at once. All text goes through jinja2's escaping: logs may hold anything.
"""

from __future__ import annotations

import base64
import re
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from lab.progress import Progress, ProgressSink, silent
from lab.report import overview
from lab.report.details import scenario_values
from lab.report.stored import StoredRun, read_run
from lab.report.wording import counts_text, duration_text
from lab.runner.events import Event, RunStarted
from lab.runner.folder import write_whole
from lab.runner.verdict import Verdict, count_verdicts

MARKS = {
    Verdict.PASSED: "✓",
    Verdict.FAILED: "✗",
    Verdict.SPLAT: "✱",
    Verdict.PANIC: "‼",
    Verdict.HANG: "∞",
    Verdict.LOST: "?",
    Verdict.ERROR: "!",
    Verdict.SKIPPED: "–",
}
"""Tells verdicts apart for who sees no colours."""
_NOT_HTML = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


Shown = Callable[[], AbstractContextManager[ProgressSink]]
"""Shows, while the context lasts, how far the work is."""


def _unshown() -> AbstractContextManager[ProgressSink]:
    return nullcontext(silent)


class Html:
    """Writes the page of a run to a file when the run is over, also after an interrupted one."""

    def __init__(self, path: Path, shown: Shown = _unshown) -> None:
        self._path = path
        self._shown = shown
        self._folder: Path | None = None

    def handle(self, event: Event) -> None:
        """Remember where the results are."""
        if isinstance(event, RunStarted):
            self._folder = Path(event.folder)

    def close(self) -> None:
        """Write the page."""
        if self._folder is not None:
            with self._shown() as progress:
                write_page(self._path, run_page(read_run(self._folder), progress))


def write_page(path: Path, text: str) -> None:
    """Write a page in one step. Raises HostDiskFull and LabError."""
    write_whole(path, text.encode(errors="replace"))


def environment() -> jinja2.Environment:
    """The templates, escaping everything; style and script are ours and go in as they are."""
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        style=Markup(_source("style.css")),
        script=Markup(_source("page.js")),
        duration=duration_text,
        marks=MARKS,
    )
    return made


def _clean(value: object) -> object:
    """A text without the characters that HTML cannot hold; they are shown as U+FFFD."""
    if isinstance(value, Markup):
        return Markup(_NOT_HTML.sub("\ufffd", value))
    return _NOT_HTML.sub("\ufffd", value) if isinstance(value, str) else value


def _source(name: str) -> str:
    return resources.files("lab.report").joinpath("page", name).read_text(encoding="utf-8")


def run_page(run: StoredRun, progress: ProgressSink = silent) -> str:
    """The whole page."""
    templates = environment()
    details = templates.get_template("scenario.html.j2")
    entries = []
    for number, one in enumerate(run.scenarios):
        progress(Progress("page", one.key, number / len(run.scenarios)))
        part = packed(details.render(scenario_values(one, run)))
        entries.append(overview.Entry(one, overview.words(one), part))
    counts = count_verdicts(run.scenarios)
    kernels = run.kernels or tuple(dict.fromkeys(one.kernel for one in run.scenarios))
    return templates.get_template("run.html.j2").render(
        run=run,
        when=time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started)),
        headline=overview.headline(run),
        totals=counts_text(counts),
        kernels=kernels,
        counts=counts,
        matrix=overview.matrix(entries, kernels),
        rules=overview.rules(run.scenarios),
    )


def packed(text: str) -> str:
    """Deflated (raw) and in base64."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return base64.b64encode(deflate.compress(text.encode()) + deflate.flush()).decode()
