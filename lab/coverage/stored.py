"""The coverage of a run, from its results folder: of each scenario, and of all together."""

from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.cache import Cache
from lab.coverage.gcov import prepare_gcov, reached_by
from lab.coverage.lines import Place, Reached, added
from lab.coverage.readings import counter_files, read_counters
from lab.errors import LabError, UsageError
from lab.image import kernel_named
from lab.progress import ProgressSink, silent
from lab.report.stored import StoredRun
from lab.runner.coverage import notes_name


@dataclass(frozen=True)
class RunCoverage:
    """What a run has reached on one kernel.

    compiled: all lines that there are, reached or not. scenarios: by name, in the order of the run.
    without: those of which nothing is known, as they were skipped or their guest was lost. sources:
    texts of the module's files, as they were compiled.
    """

    kernel: str
    compiled: Reached
    scenarios: Mapping[str, Reached]
    without: tuple[str, ...]
    sources: Mapping[str, str]

    @cached_property
    def total(self) -> Reached:
        """Of all scenarios together."""
        return added([self.compiled, *self.scenarios.values()])

    @cached_property
    def _by_place(self) -> dict[Place, list[str]]:
        found: dict[Place, list[str]] = {}
        for name, one in self.scenarios.items():
            for place, count in one.lines.items():
                if count:
                    found.setdefault(place, []).append(name)
        return found

    def who(self, place: Place) -> list[str]:
        """The scenarios that reach a line."""
        return self._by_place.get(place, [])


def read_coverage(
    run: StoredRun, kernel: str | None = None, progress: ProgressSink = silent
) -> RunCoverage:
    """The coverage of a run; of its first kernel if none is named.

    UsageError if the run did not count; LabError for results that are damaged.
    """
    kernel = kernel or next(iter(run.kernels), "")
    archive = run.folder / notes_name(kernel)
    if not archive.is_file():
        has = [name for name in run.kernels if (run.folder / notes_name(name)).is_file()]
        raise UsageError(
            f"{run.folder} has no coverage of kernel {kernel!r}",
            f"it has that of: {', '.join(has)}" if has else "`blksnap-lab run --coverage`",
        )
    names: list[str] = [""]
    readings: list[dict[str, bytes]] = [{}]
    of_kernel = [one for one in run.scenarios if one.kernel == kernel]
    for one in of_kernel:
        for path in counter_files(one.folder):
            names.append(one.name)
            readings.append(read_counters(path))
    cache = Cache()
    toolbox = prepare_gcov(kernel_named(kernel), cache, progress)
    with _unpacked(archive, cache) as notes:
        found = reached_by(readings, notes, toolbox, cache, progress)
        sources = {
            path.relative_to(notes).as_posix(): path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(notes.rglob("*.[ch]"))
        }
    scenarios = {
        name: added(reached for label, reached in zip(names, found, strict=True) if label == name)
        for name in dict.fromkeys(names[1:])
    }
    without = tuple(dict.fromkeys(o.name for o in of_kernel if o.name not in scenarios))
    return RunCoverage(kernel, found[0], scenarios, without, sources)


def joined(several: Sequence[RunCoverage]) -> RunCoverage:
    """Of several runs, shards for instance. UsageError if they are of different sources."""
    first = several[0]
    if any(one.sources != first.sources or one.kernel != first.kernel for one in several):
        raise UsageError("the runs are of different sources or kernels", "name one of them")
    scenarios = {
        name: added(one.scenarios[name] for one in several if name in one.scenarios)
        for name in dict.fromkeys(name for one in several for name in one.scenarios)
    }
    without = dict.fromkeys(name for one in several for name in one.without)
    return RunCoverage(
        first.kernel,
        first.compiled,
        scenarios,
        tuple(name for name in without if name not in scenarios),
        first.sources,
    )


@contextlib.contextmanager
def _unpacked(archive: Path, cache: Cache) -> Iterator[Path]:
    with cache.scratch("coverage") as folder:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise LabError(f"{archive} cannot be read: {error}") from error
        yield folder
