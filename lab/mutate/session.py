"""All mutants of a run: built one after the other, while guests run the scenarios of those built.

A killed mutant means something only if its scenario is green with the module as it is. So the
scenarios that killed are run with that as well, at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.cache import digest_of
from lab.errors import UsageError
from lab.guest.template import Template
from lab.image import DEFAULT_KERNEL
from lab.modbuild import ModuleBuildFailed, module_key
from lab.mutate.mutants import Mutant, make_tree
from lab.mutate.records import Outcome, Record, Records
from lab.mutate.trial import Bench, Trial, packed, try_scenarios
from lab.runner.engine import POLL
from lab.runner.folder import new_run_folder
from lab.runner.resume import lab_digest
from lab.runner.stop import Interrupted, Stop, signals_stop
from lab.scenario.scenario import Scenario

AS_IT_IS = ""
"""The id of what is no mutant."""
Build = Callable[[Path], Path]
"""Builds a source tree; the folder with its modules. Raises ModuleBuildFailed."""
Tell = Callable[[Record, int, int], None]
"""Gets each record as it comes: how many there are by then, and how many there will be."""


@dataclass(frozen=True)
class Plan:
    """What is to be tried. templates: saved guests without a module, by memory (None: the usual).

    source: the module's folder. results: gets a folder for this run. jobs: guests at a time.
    kernel: that of the guests.
    """

    mutants: tuple[Mutant, ...]
    scenarios: dict[str, Scenario]
    source: Path
    templates: dict[int | None, Template]
    results: Path
    jobs: int = 1
    kernel: str = DEFAULT_KERNEL


@dataclass(frozen=True)
class Ending:
    """What a run has come to. as_it_is: of the module without a mistake, by scenario."""

    records: dict[str, Record]
    as_it_is: dict[str, Record]
    interrupted: bool


def used_scenarios(mutants: Iterable[Mutant], scenarios: Sequence[Scenario]) -> dict[str, Scenario]:
    """The scenarios that mutants name. UsageError if one is not there."""
    known = {scenario.name: scenario for scenario in scenarios}
    wanted = {name: one.id for one in mutants for name in one.scenarios}
    missing = [f"{name} (mutant {one})" for name, one in wanted.items() if name not in known]
    if missing:
        raise UsageError(f"mutants name scenarios that are not there: {', '.join(missing)}")
    return {name: known[name] for name in wanted}


def run_mutants(plan: Plan, records: Records, build: Build, tell: Tell) -> Ending:
    """Try all mutants of a plan that have no record yet; then the module as it is."""
    stop = Stop()
    with tempfile.TemporaryDirectory(prefix="mutants.") as scratch:
        session = _Session(plan, records, build, scratch=Path(scratch), stop=stop, tell=tell)
        with signals_stop(stop):
            tried = session.try_all({one.id: session.trial(one) for one in plan.mutants})
            used = {one.scenario for one in tried.values() if one.outcome is Outcome.KILLED}
            names = [name for name in plan.scenarios if name in used]
            green = session.try_all({name: session.trial(None, (name,)) for name in names})
    return Ending(tried, green, stop.requested)


class _Session:
    """A run on its way. Only its own thread touches the records."""

    def __init__(
        self,
        plan: Plan,
        records: Records,
        build: Build,
        *,
        scratch: Path,
        stop: Stop,
        tell: Tell,
    ) -> None:
        self._plan = plan
        self._records = records
        self._build_tree = build
        self._scratch = scratch
        self._stop = stop
        self._tell = tell
        self._trees = 0
        self._built: dict[str, str] = {}
        self._lab = lab_digest()
        folder = new_run_folder(plan.results)
        self._bench = Bench(plan.templates, folder, stop, plan.jobs, plan.kernel)

    def trial(self, mutant: Mutant | None, scenarios: tuple[str, ...] = ()) -> Trial:
        """The trial of a mutant, or of the module as it is.

        What another lab found is not known of it: its checks, or its agent, may be others.
        """
        self._trees += 1
        tree = make_tree(self._plan.source, self._scratch / f"tree-{self._trees}", mutant)
        image = next(iter(self._plan.templates.values())).image
        names = mutant.scenarios if mutant is not None else scenarios
        chosen = tuple(self._plan.scenarios[name] for name in names)
        module = module_key(tree, image)
        texts = (part for one in chosen for part in (one.name, one.source))
        key = digest_of(module, self._lab, *texts)
        return Trial(key, mutant.id if mutant is not None else AS_IT_IS, tree, module, chosen)

    def try_all(self, trials: Mapping[str, Trial]) -> dict[str, Record]:
        """The records of trials, by their name; those known before are told first."""
        found: dict[str, Record] = {}
        todo: dict[str, Trial] = {}

        def done(name: str, record: Record) -> None:
            found[name] = record
            self._tell(record, len(found), len(trials))

        for name, trial in trials.items():
            known = self._records.find(trial.key)
            if known is not None:
                done(name, known)
            else:
                todo[name] = trial
        for name, record in self._run(todo):
            self._records.add(record)
            done(name, record)
        return found

    def _run(self, trials: Mapping[str, Trial]) -> Iterator[tuple[str, Record]]:
        """Build and try; records in the order in which they come. The first error ends all."""
        builder = ThreadPoolExecutor(1, thread_name_prefix="build")
        pool = ThreadPoolExecutor(self._plan.jobs, thread_name_prefix="trial")
        try:
            built = {builder.submit(self._build, trial): name for name, trial in trials.items()}
            going: dict[Future[Record], str] = {}
            while (built or going) and not self._stop.requested:
                done, _ = wait(_all(built, going), timeout=POLL, return_when=FIRST_COMPLETED)
                for ready in [future for future in built if future in done]:
                    name = built.pop(ready)
                    going[pool.submit(self._try, trials[name], ready)] = name
                for ended in [future for future in going if future in done]:
                    name = going.pop(ended)
                    with suppress(Interrupted):
                        yield name, ended.result()
        except BaseException:
            self._stop.request()
            raise
        finally:
            builder.shutdown(cancel_futures=True)
            pool.shutdown(cancel_futures=True)

    def _build(self, trial: Trial) -> str:
        """The modules of a tree, as text. Of trees that are equal one is built."""
        self._stop.check()
        if trial.module not in self._built:
            self._built[trial.module] = packed(self._build_tree(trial.tree))
        return self._built[trial.module]

    def _try(self, trial: Trial, modules: Future[str]) -> Record:
        self._stop.check()
        try:
            text = modules.result()
        except ModuleBuildFailed as error:
            self._stop.check()
            # Its first line says of which folder.
            said = error.what.partition("\n")[2]
            return Record(trial.key, trial.mutant, Outcome.INVALID, reason=said)
        return try_scenarios(trial, text, self._bench)


def _all(*groups: Iterable[Future[Any]]) -> list[Future[Any]]:
    return [future for group in groups for future in group]
