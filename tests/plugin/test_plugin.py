"""The pytest plugin, as pytest runs it, on a fake guest: items, verdicts, selection, fixtures."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from runner.conftest import CYCLE
from runner.fake_guest import FakeTemplate, Misfortune

from lab.errors import EnvironmentLack
from lab.pytest_plugin import plugin, session
from lab.runner import checks, failures

pytest_plugins = ["pytester"]
Broken = Callable[..., None]

SKIPPED = CYCLE + "requires: {kernel: debug}\n"
WRONG = CYCLE + "  - expect_error: {errno: EIO, step: {read: {device: a}}}\n"
HEAD = """
import pytest
from lab.errors import LabError
pytestmark = pytest.mark.scenario(disks={"a": "1MiB", "store": "4MiB"})
"""


@pytest.fixture(autouse=True)
def broken(monkeypatch: pytest.MonkeyPatch) -> Broken:
    """Guests are fake ones; the function that it gives makes them broken ones."""

    def make(*how: str, misfortunes: tuple[Misfortune, ...] = ()) -> None:
        template = FakeTemplate(frozenset(how), misfortunes)
        monkeypatch.setattr(session, "prepare", lambda _settings, _progress: template)

    monkeypatch.setattr(session, "require_programs", lambda: None)
    monkeypatch.setattr(checks, "SETTLE_LIMIT", 0.0)
    monkeypatch.setattr(failures, "TASKS_PAUSE", 0.0)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    make()
    return make


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Write scenarios (group/name=text) and tests, and run pytest on them."""

    def go(
        scenarios: dict[str, str] | None = None, tests: str = "", options: tuple[str, ...] = ()
    ) -> pytest.RunResult:
        for name, text in (scenarios or {}).items():
            path = pytester.path / "scenarios" / f"{name}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if tests:
            pytester.makepyfile(HEAD + tests)
        return pytester.runpytest_inprocess("--strict-markers", "-p", "no:cacheprovider", *options)

    return go


Run = Callable[..., pytest.RunResult]


def test_it_is_installed_as_a_plugin() -> None:
    (found,) = entry_points(group="pytest11", name="blksnap-lab")
    assert found.load() is plugin


def test_each_scenario_file_is_an_item_with_its_verdict(run: Run) -> None:
    done = run({"cbt/right": CYCLE, "cbt/wrong": WRONG, "fs/later": SKIPPED}, options=("-rs",))
    done.assert_outcomes(passed=1, failed=1, skipped=1)
    done.stdout.fnmatch_lines(
        [
            "failed cbt/wrong",
            "  at steps[[]5] (expect_error): read succeeded; it must fail with EIO",
            "  results: */results/pytest-*/cbt/wrong",
            "  again:   * --scenarios */scenarios cbt/wrong",
            "blksnap-lab results: */results/pytest-*",
            "SKIPPED [[]1] scenarios/fs/later.yaml:1: needs a debug kernel*",
        ]
    )
    assert "Traceback" not in done.stdout.str()
    assert "items.py" not in done.stdout.str()


def test_results_are_kept_as_those_of_a_run(run: Run, pytester: pytest.Pytester) -> None:
    run({"cbt/right": CYCLE}, options=("--lab-results", "kept"))
    (folder,) = (pytester.path / "kept").glob("pytest-*/cbt/right")
    kept = {path.name for path in folder.iterdir()}
    assert {"scenario.yaml", "verdict.json", "events.jsonl", "kernel.log"} <= kept


def test_an_error_of_the_lab_is_an_error_and_a_hang_is_a_failure(
    run: Run, broken: Broken, pytester: pytest.Pytester
) -> None:
    broken(misfortunes=(Misfortune("snapshot_take", "bug in the lab"),))
    done = run({"cbt/right": CYCLE}, options=("--junitxml", "junit.xml"))
    done.assert_outcomes(errors=1)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["error cbt/right", "*ZeroDivisionError*"])
    suite = ET.parse(pytester.path / "junit.xml").getroot()[0]
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    broken(misfortunes=(Misfortune("snapshot_take", "hang"),))
    run().assert_outcomes(failed=1)


def test_a_machine_that_lacks_something_is_told_with_the_remedy(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def lacks(*_: object) -> None:
        asked.append(1)
        raise EnvironmentLack("there is no QEMU", "apt-get install it")

    monkeypatch.setattr(session, "prepare", lacks)
    tests = """
def test_it(disk): pass
def test_by_hand(lab): lab.run("abi/unknown")
"""
    done = run({"cbt/one": CYCLE, "cbt/two": CYCLE}, tests)
    done.assert_outcomes(errors=3, failed=1)
    done.stdout.fnmatch_lines(["there is no QEMU", "  remedy: apt-get install it"])
    done.stdout.fnmatch_lines([">*lab.run*", "E *there is no QEMU", "*.py:6: EnvironmentLack"])
    for file in ("plugin.py", "live.py", "session.py", "test_plugin.py"):
        assert file not in done.stdout.str(), "no traceback of the lab's"
    assert len(asked) == 1


def test_a_bad_file_is_told_with_its_line_and_the_others_are_collected(run: Run) -> None:
    bad = CYCLE.replace("  - take:", "  - tak:")
    done = run({"cbt/bad": bad, "cbt/right": CYCLE}, options=("--continue-on-collection-errors",))
    done.assert_outcomes(passed=1, errors=1)
    line = bad.split("\n").index("  - tak:") + 1
    done.stdout.fnmatch_lines(
        [f"*scenarios/cbt/bad.yaml:{line}: .steps[[]3].tak: unknown key `tak`; did you mean*"]
    )
    assert "Traceback" not in done.stdout.str()


def test_only_folders_of_scenarios_are_looked_into(run: Run, pytester: pytest.Pytester) -> None:
    for place in ("other/a.yaml", "cases/g/a.yaml"):
        path = pytester.path / place
        path.parent.mkdir(parents=True)
        path.write_text(CYCLE)
    assert run().ret == pytest.ExitCode.NO_TESTS_COLLECTED
    done = run(options=("-o", "blksnap_scenarios=cases", "-v"))
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["cases/g/a.yaml::g/a PASSED*"])


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (("-m", "cbt"), {"cbt/a", "cbt/second"}),
        (("-m", "proves and not cbt"), {"fs/a"}),
        (("-m", "guest and not proves"), {"cbt/second"}),
        (("-m", "regression_for"), {"cbt/second"}),
        (("-m", "not guest"), set()),
        (("-k", "second"), {"cbt/second"}),
        (("--rule", "k18"), {"cbt/a", "fs/a"}),
        (("--rule", "K19", "--rule", "W-05"), {"cbt/second"}),
        (("--rule", "K37"), set()),
        (("scenarios/fs",), {"fs/a"}),
    ],
)
def test_selection(run: Run, options: tuple[str, ...], chosen: set[str]) -> None:
    other = CYCLE.replace("proves: [K18]", "regression_for: [W-05]")
    scenarios = {"cbt/a": CYCLE, "cbt/second": other, "fs/a": CYCLE}
    done = run(scenarios, options=("--co", "-q", *options))
    listed = [line for line in done.outlines if "::" in line]
    assert {line.split("::")[1] for line in listed} == chosen


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (("scenarios",), {"cbt/usual"}),
        (("scenarios/cbt/soak.yaml",), {"cbt/soak"}),
        (("scenarios/cbt",), {"cbt/usual", "cbt/soak"}),
        (("scenarios", "--lab-long"), {"cbt/usual"}),
        (("scenarios/cbt", "--lab-long"), {"cbt/usual", "cbt/soak"}),
    ],
)
def test_what_runs_only_when_asked_for(
    run: Run, options: tuple[str, ...], chosen: set[str]
) -> None:
    done = run(
        {"cbt/usual": CYCLE, "cbt/soak": CYCLE + "default: false\n"},
        options=("--co", "-q", *options),
    )
    assert {line.split("::")[1] for line in done.outlines if "::" in line} == chosen


def test_full_numbers_are_those_of_run_long(run: Run, pytester: pytest.Pytester) -> None:
    rounds = "  - repeat: {times: {usual: 1, long: 3}, steps: [{read: {device: a}}]}\n"
    for option, number in ((), 1), (("--lab-long",), 3):
        run({"cbt/a": CYCLE + rounds}, options=option).assert_outcomes(passed=1)
        found = (pytester.path / "results").glob("*/cbt/a*/events.jsonl")
        newest = max(found, key=lambda path: path.stat().st_mtime_ns)
        assert newest.read_text().count('"StepFinished"') == 6 + number
        assert ("--long" in newest.with_name("command.txt").read_text()) == bool(option)


def test_what_is_no_rule_is_refused(run: Run) -> None:
    done = run({"cbt/a": CYCLE}, options=("--rule", "K18x"))
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["ERROR: --rule K18x: no rule; e.g. K18, W-05, blksnap#46"])


def test_processes_of_xdist_share_a_folder(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without guests: each process tells where it would put its results."""
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_it(n, pytestconfig):\n"
        "    with open('places', 'a') as f: print(pytestconfig.option.lab_results, file=f)\n"
    )
    done = pytester.runpytest_subprocess("-n", "2", "--dist", "each")
    assert done.ret == 0
    places = (pytester.path / "places").read_text().split()
    assert len(places) == 4
    assert len(set(places)) == 1


FIVE_LINES = """
def test_an_image_keeps_what_was_there(disk, snapshot):
    disk.write(size="64KiB")
    snapshot.read(disk)
    assert set(disk.cbt()) == {0}
"""


def test_five_lines_are_a_test(run: Run) -> None:
    run(tests=FIVE_LINES, options=("-m", "guest")).assert_outcomes(passed=1)


def test_a_broken_module_fails_them_with_the_evidence(run: Run, broken: Broken) -> None:
    broken("no copy before write")
    done = run(tests=FIVE_LINES)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "*StepFailed: image of a in s, sector 0*must be zeros*",
            "failed test_a_broken_module_fails_them_with_the_evidence.py::test_an_image*",
            "  at *.py:7 (read_image): image of a in s, sector 0*",
            "  again:   pytest test_a_broken*.py::test_an_image_keeps_what_was_there",
        ]
    )
    assert "stepper.py" not in done.stdout.str()


@pytest.mark.parametrize("how", ["module busy", "left behind"])
def test_the_checks_after_a_test_are_part_of_it(run: Run, broken: Broken, how: str) -> None:
    broken(how)
    done = run(tests="def test_nothing(guest): pass")
    done.assert_outcomes(failed=1)
    assert "plugin.py" not in done.stdout.str()


def test_a_kernel_report_fails_a_test_that_did_not_look(run: Run, broken: Broken) -> None:
    broken(misfortunes=(Misfortune("write", "splat"),))
    done = run(tests="def test_it(disk): disk.write(size='4KiB')")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["splat *::test_it", "  at kernel log, by *"])


def test_a_panic_is_told_as_one(run: Run, broken: Broken) -> None:
    broken(misfortunes=(Misfortune("snapshot_take", "panic"),))
    done = run(tests="def test_it(guest, disk): guest.snapshot(disk)")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["panic *::test_it", "  at *NULL pointer*"])


def test_what_fails_in_the_test_itself_comes_with_the_checks(run: Run, broken: Broken) -> None:
    done = run(tests="def test_it(guest): assert 1 == 2")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["E*assert 1 == 2", "all checks after it held", "  results: */*"])
    (kept,) = {path.read_text() for path in Path.cwd().rglob("verdict.json")}
    assert '"failed"' in kept
    assert "assert 1 == 2" in kept
    broken("module busy")
    done = run()
    done.stdout.fnmatch_lines(["E*assert 1 == 2", "failed *::test_it", "*does not unload*"])


def test_a_skip_in_a_test_stays_one(run: Run, broken: Broken) -> None:
    broken("module busy")
    run(tests="def test_it(guest): pytest.skip('no')").assert_outcomes(skipped=1)


def test_a_module_that_cannot_be_loaded_is_an_error(run: Run, broken: Broken) -> None:
    broken(misfortunes=(Misfortune("module_load", "8"),))
    done = run(tests="def test_it(guest): pass")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["failed *::test_it", "  at start: module_load: ENOEXEC:*"])


def test_markers_make_the_guest(run: Run) -> None:
    done = run(
        tests="""
@pytest.mark.scenario(disks={"b": {"size": "64KiB"}}, module={"chunk_minimum_shift": 12})
def test_its_own(guest):
    assert [guest.disk(one).size >> 10 for one in ("a", "b", "store")] == [262144, 64, 262144]
    assert guest.context.parameters == {"chunk_minimum_shift": 12}

def test_that_of_the_file(disk):
    assert disk.size == 1 << 20

@pytest.mark.scenario(requires={"kernel": "debug"})
def test_not_here(guest):
    assert False
"""
    )
    done.assert_outcomes(passed=2, skipped=1)


@pytest.mark.parametrize(
    ("marker", "told"),
    [
        ("steps=[]", " takes disks, devices, *"),
        ("disks={'a': '1MB'}", ":\n  .disks.a.size: '1MB' is not a size*"),
        ("disks=['a']", ":\n  .disks: a list where a mapping of keys belongs"),
        ("disks={'c': {'of': 1}}", ":\n  .disks.c: `size` is missing"),
    ],
)
def test_a_wrong_marker_is_told(run: Run, marker: str, told: str) -> None:
    done = run(tests=f"@pytest.mark.scenario({marker})\ndef test_it(guest): pass")
    done.assert_outcomes(errors=1)
    name = "test_a_wrong_marker_is_told.py::test_it"
    lines = f"{name}: the marker `scenario`{told}".split("\n")
    done.stdout.fnmatch_lines(lines, consecutive=True)
    assert ".py:" not in done.stdout.str().replace(name, ""), "no traceback of the lab's"


def test_steps_of_the_language_in_python(run: Run) -> None:
    done = run(
        tests="""
def test_it(guest, disk, snapshot):
    again = {"take": {"snapshot": snapshot}}
    assert guest.do("expect_error", errno="EALREADY", step=again)["errno"] == "EALREADY"
    snapshot.write(disk, size="4KiB")
    snapshot.read(disk)
    snapshot.destroy()
    second = guest.snapshot(disk)
    assert (second.name, second.image(disk)) == ("s1", "/dev/blksnap-image0")
    assert guest.sh("echo ${HOME} {a}", changes=[disk]) == ""
    assert guest.request("hello", nonce="x") == {"nonce": "x"}
    with pytest.raises(LabError, match="(?s)no verb is called 'rite'.*write"):
        guest.do("rite")
"""
    )
    done.assert_outcomes(passed=1)


def test_what_a_tool_of_ones_own_leaves_is_taken_away_by_the_test(run: Run) -> None:
    done = run(
        tests="""
def tool(guest, disk):
    guest.copy(__file__, "/root/tool.py")
    made = guest.request("snapshot_create", devices=[disk.path])
    guest.request("snapshot_destroy", id=made["id"])

def test_left(guest, disk):
    tool(guest, disk)

def test_removed(guest, disk):
    tool(guest, disk)
    guest.request("tracker_remove", device=disk.path)

def test_a_step_does_not_remove_what_no_step_made(guest, disk):
    tool(guest, disk)
    guest.do("tracker_remove", device=disk)
"""
    )
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(["  at trackers removed: a is tracked; it must not be"])
    done.stdout.fnmatch_lines(["*a was tracked; no step has had it tracked"])


def test_wrong_arguments_of_a_step_are_told_as_in_a_scenario_file(run: Run) -> None:
    done = run(
        tests="""
def test_it(guest):
    with pytest.raises(LabError) as caught:
        guest.do("write", devce="a", size="1MB")
    print(caught.value)
    guest.do("expect_error", errno="EIO", step={"take": {"snapshot": 1}})
"""
    )
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(
        [
            "*UsageError: no step can be like this:",
            "E * .expect_error.step.take.snapshot: a number where a text belongs; put it in quotes",
            "no step can be like this:",
            "  .write: `device` is missing",
            "  .write.size: '1MB' is not a size*",
            "  .write.devce: unknown key `devce`; did you mean `device`?",
        ]
    )
    assert "guest.py" not in done.stdout.str()
    assert "pydantic" not in done.stdout.str()


def test_a_scenario_is_run_by_its_name_or_its_file(run: Run) -> None:
    done = run(
        {"cbt/own": CYCLE, "cbt/wrong": WRONG},
        """
from pathlib import Path

def test_own(lab, pytestconfig):
    for path in ("scenarios/cbt/own.yaml", Path("scenarios/cbt/own.yaml")):
        result = lab.run(path)
        assert (result.name, str(result.verdict), result.kernel) == ("cbt/own", "passed", "6.1")
        assert result.command.endswith("/scenarios cbt/own")
    result = lab.run("scenarios/cbt/wrong.yaml", kernel="6.12")
    assert (str(result.verdict), result.kernel) == ("failed", "6.12")
    assert "must fail with EIO" in result.reason

def test_of_the_lab(lab):
    result = lab.run("abi/unknown")
    assert result.name == "abi/unknown"
    assert "--scenarios" not in result.command

def test_none(lab):
    with pytest.raises(LabError, match="no scenario is called 'abi/unknwon'.*\\n.*abi/unknown"):
        lab.run("abi/unknwon")
    with pytest.raises(LabError, match="scenarios/no.yaml"):
        lab.run("scenarios/no.yaml")
""",
        options=("-k", "test_own or test_of_the_lab or test_none"),
    )
    done.assert_outcomes(passed=3, deselected=2)


def test_two_tests_of_one_name_keep_both_results(run: Run, pytester: pytest.Pytester) -> None:
    tests = "@pytest.mark.parametrize('x', ['/', '.'])\ndef test_it(guest, x): pass"
    run(tests=tests).assert_outcomes(passed=2)
    assert len(list((pytester.path / "results").rglob("verdict.json"))) == 2


def test_the_results_folder_is_not_made_for_nothing(run: Run, pytester: pytest.Pytester) -> None:
    run(tests="def test_it(): pass").assert_outcomes(passed=1)
    assert not Path(pytester.path / "results").exists()


def test_a_guest_may_have_to_be_built_first(run: Callable[..., pytest.RunResult]) -> None:
    tests = """
def limit(request):
    return [one.args[0] for one in request.node.iter_markers("timeout")]

def test_guest(guest, request):
    assert limit(request) == [1800 + 7]

@pytest.mark.timeout(30)
def test_own(guest, request):
    assert limit(request) == [30]

def test_other(request):
    assert limit(request) == []
"""
    run(tests=tests, options=("--timeout", "7")).assert_outcomes(passed=3)


def test_who_switches_the_limit_off_has_none_for_guests(
    run: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\ntimeout = 900\n")
    tests = """
def test_guest(guest, request):
    assert not list(request.node.iter_markers("timeout"))
"""
    run(tests=tests, options=("--timeout", "0")).assert_outcomes(passed=1)
