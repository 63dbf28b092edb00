"""Hooks, options and fixtures.

pytest loads this at every start, so it imports the rest only when it is needed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lab.pytest_plugin.guest import LabDisk, LabGuest, LabSnapshot
    from lab.pytest_plugin.live import LiveGuest
    from lab.pytest_plugin.session import Lab

MARKERS = (
    "guest: boots a guest; every scenario and every test with the fixture `guest` has it",
    "proves(*rules): rules of the module's contract that it proves; --rule selects by them",
    "regression_for(*traps): traps and public issues that a scenario guards against; --rule too",
    "scenario(**keys): what the guest of a test is made of, by the keys of scenario files:"
    ' disks={"a": "1GiB"}, devices, module, memory, requires, timeout, step_timeout',
)
RULE = re.compile(r"K\d+|W-\d+|[a-z][a-z-]*#\d+", re.IGNORECASE)
FOLDERS = "blksnap_scenarios"
LAB: pytest.StashKey[Lab] = pytest.StashKey()
LIVE: pytest.StashKey[LiveGuest] = pytest.StashKey()
RESULTS = "lab_results"
BUILD = 1800.0
"""Seconds in which image, module and template are made, if they are not there yet."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, and the ini value that says which folders hold scenarios."""
    group = parser.getgroup("blksnap-lab")
    add = group.addoption
    add("--rule", action="append", default=[], metavar="K18", help="only what proves these rules")
    add("--lab-kernel", metavar="NAME", help="kernel of the guests, as in `blksnap-lab image list`")
    add("--lab-module", type=Path, metavar="DIR", help="folder of the module's sources")
    add("--lab-long", action="store_true", help="the full numbers, where usually fewer must do")
    add("--lab-results", type=Path, metavar="DIR", help="gets a folder for each session: ./results")
    words = "names of folders: each *.yaml below one is a scenario"
    parser.addini(FOLDERS, words, type="args", default=["scenarios"])


def pytest_configure(config: pytest.Config) -> None:
    """Markers and options."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    for rule in config.getoption("--rule"):
        if not RULE.fullmatch(rule):
            raise pytest.UsageError(f"--rule {rule}: no rule; e.g. K18, W-05, blksnap#46")
    given = getattr(config, "workerinput", {}).get(RESULTS)
    if given is None:
        stamp = time.strftime("pytest-%Y-%m-%dT%H-%M-%S")
        given = (config.getoption("--lab-results") or Path("results")) / stamp
    config.option.lab_results = Path(given).absolute()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """The processes of pytest-xdist keep their results in one folder."""
    node.workerinput[RESULTS] = str(node.config.option.lab_results)


def pytest_unconfigure(config: pytest.Config) -> None:
    """What was prepared may be pruned again."""
    if (lab := config.stash.get(LAB, None)) is not None:
        lab.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Scenario files."""
    root = scenarios_root(file_path, parent.config)
    if root is None or file_path.suffix != ".yaml":
        return None
    from lab.pytest_plugin.items import ScenarioFile

    file: pytest.Collector = ScenarioFile.from_parent(parent, path=file_path, root=root)
    return file


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The marker of tests that boot a guest, and time to build it; selection by rule."""
    limit = _limit(config)
    for item in items:
        if {"guest", "lab"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("guest")
            if limit and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(BUILD + limit))
    wanted = {rule.casefold() for rule in config.getoption("--rule")}
    if not wanted:
        return
    others = [item for item in items if not wanted & _rules(item)]
    items[:] = [item for item in items if wanted & _rules(item)]
    config.hook.pytest_deselected(items=others)


def _limit(config: pytest.Config) -> float:
    """What pytest-timeout gives a test that does not say itself, seconds; 0: no limit."""
    if not config.pluginmanager.has_plugin("timeout"):
        return 0.0
    given = config.getoption("timeout")
    return float((config.getini("timeout") if given is None else given) or 0)


def _rules(item: pytest.Item) -> set[str]:
    """Rules, traps and issues that the markers of an item name."""
    markers = (*item.iter_markers("proves"), *item.iter_markers("regression_for"))
    return {str(rule).casefold() for marker in markers for rule in marker.args}


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """After the body of a test with a guest come the checks that every scenario ends with; they
    are part of the test, and a failed one fails it."""
    live = pyfuncitem.stash.get(LIVE, None)
    if live is None:
        return (yield)
    try:
        returned = yield
    except (pytest.skip.Exception, pytest.exit.Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        pyfuncitem.add_report_section("call", "blksnap-lab", live.finish(error))
        raise
    if wrong := live.finish():
        pytest.fail(wrong, pytrace=False)
    return returned


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """An error of the lab is an error and no failure; skips are told where the scenario is."""
    report = yield
    explain = getattr(item, "lab_explain", None)
    if explain is not None and call.excinfo is not None:
        explain(report, call.excinfo.value)
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Where the results are, if there are any."""
    if config.option.lab_results.is_dir():
        terminalreporter.write_line(f"blksnap-lab results: {config.option.lab_results}")


def scenarios_root(path: Path, config: pytest.Config) -> Path | None:
    """The folder of scenarios that a file (from the root) is below; None if it is below none."""
    folders = config.getini(FOLDERS)
    return next((one for one in path.parents if one.name in folders), None)


def lab_of(config: pytest.Config) -> Lab:
    """The lab of this session, made when it is first asked for."""
    if LAB not in config.stash:
        from lab.pytest_plugin.session import Lab

        config.stash[LAB] = Lab(config)
    return config.stash[LAB]


@pytest.fixture(scope="session")
def lab(pytestconfig: pytest.Config) -> Lab:
    """Runs scenarios by name, makes templates of guests: see lab.pytest_plugin.session.Lab."""
    return lab_of(pytestconfig)


@pytest.fixture
def guest(request: pytest.FixtureRequest) -> Iterator[LabGuest]:
    """A fresh guest with the module loaded and two disks, `a` and `store`.

    After the test everything is checked that is checked after a scenario: data, maps, kernel log,
    memory, what is left behind. The marker `scenario` says what else the guest has.
    """
    from lab.errors import LabError
    from lab.pytest_plugin.live import open_guest

    try:
        with open_guest(lab_of(request.config), request.node) as live:
            request.node.stash[LIVE] = live
            yield live.guest
    except LabError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def disk(guest: LabGuest) -> LabDisk:
    """Disk `a` of the guest: 256 MiB, all zeros, or as the marker `scenario` says."""
    return guest.disk("a")


@pytest.fixture
def snapshot(guest: LabGuest, disk: LabDisk) -> LabSnapshot:
    """A snapshot of disk `a`, taken, with disk `store` for its difference storage."""
    return guest.snapshot(disk)
