"""Scenario files: what is accepted, and that every mistake is told, at once and where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scenario.load import load_all, load_scenario, parse_scenario
from lab.scenario.mistakes import Mistake, ScenarioError
from lab.scenario.scenario import Scenario

HEAD = """\
summary: A scenario for a test
disks:
  a: {size: 64MiB}
  store: {size: 16MiB}
steps:
"""

WHOLE = (
    HEAD
    + """\
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take:
  - write: {device: a, at: 8s, size: 1MiB}
  - destroy:
"""
)


def parse(text: str) -> Scenario:
    return parse_scenario(text, "group/name", "group/name.yaml")


def mistakes(text: str) -> tuple[Mistake, ...]:
    with pytest.raises(ScenarioError) as caught:
        parse(text)
    return caught.value.mistakes


def only(text: str) -> Mistake:
    found = mistakes(text)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


def test_a_right_scenario_is_read_with_sizes_in_bytes() -> None:
    scenario = parse(WHOLE)
    write = scenario.steps[3].write
    assert write is not None
    assert (write.at, write.size) == (4096, 1 << 20)
    assert [step.verb for step in scenario.steps] == [
        "create",
        "append_storage",
        "take",
        "write",
        "destroy",
    ]
    assert (scenario.name, scenario.group, scenario.source) == ("group/name", "group", WHOLE)


def test_five_mistakes_of_five_kinds_are_told_together_in_the_order_of_lines() -> None:
    found = mistakes(
        """\
summary: A scenario for a test
colour: red
disks:
  a: {size: 64MiB}
  store: {size: 16 potatoes}
steps:
  - create: {devices: [a]}
  - append_storage: {device: store}
  - take: {}
  - wirte: {device: a}
  - write: {device: b, size: 1MiB}
  - read_image: {device: a, expect: perfect}
  - destroy: {}
"""
    )
    assert [(one.line, one.path) for one in found] == [
        (2, ".colour"),
        (5, ".disks.store.size"),
        (10, ".steps[3].wirte"),
        (11, ".steps[4].write.device"),
        (12, ".steps[5].read_image.expect"),
    ]
    assert "did you mean `write`?" in found[2].right
    assert "did you mean `a`?" in found[3].right or "known are" in found[3].right
    assert "model, eio or model_or_eio" in found[4].right


@pytest.mark.parametrize(
    ("name", "size", "what"),
    [
        ("volume", "100", "100B is not whole blocks"),
        ("volume", "1TiB", "0B + 1TiB runs over the end"),
        ("l", "0", "0B is no whole disk"),
        ("part", "512KiB", "`part` cannot get another size"),
        ("over", "512KiB", "`over` cannot get another size"),
    ],
)
def test_of_devices_only_some_can_get_another_size(name: str, size: str, what: str) -> None:
    devices = """\
devices:
  part: {partition: {on: a, size: 1MiB}}
  volume: {linear: {on: a}}
  l: {loop: {file: /run/l, size: 1MiB}}
  over: {loop: {on: store}}
"""
    assert only(f"{HEAD}  - resize: {{device: {name}, size: {size}}}\n{devices}").what == what


def test_a_key_given_twice_is_a_mistake() -> None:
    found = only(WHOLE.replace("size: 1MiB}", "size: 1MiB, at: 0}"))
    assert (found.line, found.path) == (9, ".steps[3].write.at")
    assert "twice" in found.what


def test_text_that_is_no_yaml_is_told_with_its_line() -> None:
    found = only("summary: [unclosed\nsteps: {}\n")
    assert found.line >= 1
    assert found.what.startswith("not YAML")


@pytest.mark.parametrize("text", ["  - &a [*a]\n", "  - &a {repeat: {times: 2, steps: [*a]}}\n"])
def test_an_anchor_that_contains_itself_is_a_mistake(text: str) -> None:
    found = only(HEAD + text)
    assert (found.what, found.line) == ("not YAML: an anchor that contains itself", 6)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("!!int x", "int"),
        ("!!int ''", "int"),
        ("!!float x", "float"),
        ("!!bool x", "bool"),
        ("!!timestamp 99999-99-99", "timestamp"),
        ("1" * 5000, "int"),
    ],
)
@pytest.mark.parametrize("form", ["steps: {}\n", "? {}\n: 1\n"])
def test_a_value_that_is_not_of_its_type_is_a_mistake(form: str, value: str, kind: str) -> None:
    found = only("summary: s\n" + form.format(value))
    assert found.line == 2
    assert f"can be read as no {kind}" in found.what
    assert len(found.what) < 100


@pytest.mark.parametrize("depth", [101, 300, 3000])
def test_what_is_nested_too_deeply_is_a_mistake(depth: int) -> None:
    assert "nested" in only("summary: s\nsteps: " + "[" * depth + "]" * depth).what


def test_aliases_that_stand_for_too_much_are_a_mistake() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 9)]
    found = only("\n".join(["l0: &l0 [x]", *levels]))
    assert "more than 100000 values" in found.what
    assert found.line == 6


def test_a_sign_that_yaml_does_not_have_is_a_mistake() -> None:
    assert only("summary: \x00\n").what.startswith("not YAML")


def test_an_alias_may_stand_for_what_is_elsewhere() -> None:
    steps = "  - &a {write: {device: a, size: &b 8s}}\n  - *a\n  - read: {device: a, size: *b}\n"
    assert [step.verb for step in parse(HEAD + steps).steps] == ["write", "write", "read"]


def test_an_empty_file_is_no_scenario() -> None:
    assert "no mapping" in only("").what


def test_a_misspelt_key_of_a_named_disk_gets_a_suggestion() -> None:
    found = only(WHOLE.replace("a: {size: 64MiB}", "a: {size: 64MiB, dicsard: true}"))
    assert found.path == ".disks.a.dicsard"
    assert found.right == "did you mean `discard`?"


def test_on_is_a_word_and_not_a_boolean() -> None:
    text = WHOLE.replace("steps:", "devices:\n  p: {partition: {on: a, size: 8MiB}}\nsteps:")
    assert parse(text).devices["p"].below == ("a",)


@pytest.mark.parametrize(
    ("step", "path", "words"),
    [
        ("write: {device: a, at: 63MiB, size: 2MiB}", ".write.size", "over the end"),
        ("write: {device: a, at: 100, size: 512}", ".write.at", "whole blocks"),
        ("write: {device: a, at: -1, size: 512}", ".write.at", "negative"),
        ("write: {device: a, at: 64MiB}", ".write.at", "beyond the end"),
        ("write: {device: a, size: 0}", ".write.size", "nothing"),
        ("write: {device: a, size: 1MiB, random: {count: 3}}", ".write", "one of"),
        ("write: {device: a, random: {count: 3, sizes: [8KiB, 4KiB]}}", ".sizes", "from 8KiB"),
        ("write: {device: a, random: {count: 3, align: 100}}", ".align", "100B"),
        ("write: {device: a, random: {count: 17, sizes: [4MiB, 8MiB]}}", ".count", "do not fit"),
        ("write: {device: a, random: {count: 1, sizes: [65MiB, 99MiB]}}", ".count", "do not fit"),
        (
            "write: {device: a, random: {count: 2, sizes: [4KiB, 8KiB], within: {size: 15s}}}",
            ".count",
            "do not fit",
        ),
        (
            "write: {device: a, random: {count: 1, sizes: [4KiB, 4KiB], align: 4KiB,"
            " within: {size: 7s}}}",
            ".count",
            "do not fit",
        ),
        ("take: {snapshot: t}", ".take.snapshot", "not created yet"),
        ("take: {}", ".take.snapshot", "taken already"),
        ("create: {snapshot: t, devices: [a]}", ".create.devices", "holds a"),
        ("create: {snapshot: t, devices: [store, store]}", ".create.devices", "twice"),
        ("read_image: {device: store}", ".read_image.device", "not in snapshot"),
        ("append_storage: {}", ".append_storage", "one of"),
        (
            "append_storage: {device: store, ranges: [{at: 1s, size: 4KiB}]}",
            ".ranges[0]",
            "8 sectors",
        ),
        (
            "append_storage: {pieces: {devices: [store], total: 16MiB, count: 9}}",
            ".pieces.total",
            "do not fit",
        ),
        ("wait_event: {expect: none, errno: EIO}", ".wait_event", "belong to"),
        ("wait_event: {expect: corrupted, errno: EFOO}", ".errno", "EFOO"),
        ("stop_load: {load: w}", ".stop_load.load", "no load"),
        ("umount: {at: /mnt/a}", ".umount.at", "mounted"),
        ("module_unload: {}", ".module_unload", "snapshots exist"),
        ("set_parameters: {parameters: {chunk_shift: 18}}", ".chunk_shift", "no parameter"),
        (
            "set_parameters: {parameters: {chunk_minimum_shift: 99}}",
            ".chunk_minimum_shift",
            "out of range",
        ),
        (
            "module_load: {parameters: {chunk_maximum_shift: 31}}",
            ".chunk_maximum_shift",
            "out of range",
        ),
        ("exec: {argv: [cat, '{b}']}", ".exec.argv[1]", "no device `b`"),
        ("read: {device: a}\n    write: {device: a}", "", "exactly one verb"),
        ("name: nothing", "", "needs a verb"),
        ("exec: {argv: [cat, '{s/store}']}", ".exec.argv[1]", "not in snapshot `s`"),
        ("backup: {device: a, to: store}", ".backup.to", "smaller"),
        ("backup: {device: a, to: a}", ".backup.to", "is the original"),
        ("resize: {device: a, size: 100}", ".resize.size", "100B is no whole disk"),
        ("resize: {device: a, size: 0}", ".resize.size", "0B is no whole disk"),
        ("check_memory: {growth: 1MiB}", ".since", "no mark"),
        ("wait_event: {expect: low_space, on_time: true}", ".wait_event", "belongs to"),
        ("repeat: {times: 19, slowdown: 2, steps: [{take: }]}", ".repeat", "20 or more"),
        ("expect_error: {errno: EINVAL, step: {write: {device: nix}}}", ".device", "no device"),
        ("write: {device: a, refused: [1, 1]}", ".write", "belongs to how"),
        (
            "write_image: {device: a, how: nowait, refused: [1, 1]}",
            ".write_image",
            "for writes to originals",
        ),
        (
            "add_device: {device: n, make: {null_blk: {size: 100KiB}}}",
            ".null_blk.size",
            "100KiB",
        ),
        (
            "start_load: {name: c, take_cycle: {devices: [a], storage: store, within: {size: 1s}}}",
            ".devices[0]",
            "snapshot `s` holds `a`",
        ),
        (
            "start_load: {name: c, take_cycle: {devices: [store], storage: a, within: {size: 8s}}}",
            ".devices[0]",
            "`store` is not tracked",
        ),
        ("start_load: {name: f, freeze: {at: /mnt/a}}", ".freeze.at", "mounted"),
        ("repeat: {times: 2, steps: [{create: {snapshot: t, devices: [store]}}]}", "", "exists"),
    ],
)
def test_a_step_that_cannot_be_is_told_with_its_path(step: str, path: str, words: str) -> None:
    text = WHOLE.replace("  - destroy:\n", f"  - {step}\n")
    found = mistakes(text)
    assert any(path in one.path and words in one.what for one in found), "\n".join(map(str, found))
    assert all(one.path.startswith(".steps[4]") for one in found)
    assert all(one.line in {10, 11} for one in found)


def test_random_ranges_may_fill_all_the_room() -> None:
    for wanted in ("count: 16, sizes: [4MiB, 8MiB]", "count: 1, sizes: [64MiB, 1TiB]"):
        assert parse(WHOLE + f"  - write: {{device: a, random: {{{wanted}}}}}\n")


def test_an_image_outlives_its_original() -> None:
    gone = WHOLE.replace("  - destroy:\n", "  - unplug: {disk: a}\n")
    assert parse(gone + "  - read_image: {device: a, size: 8s, expect: eio}\n")
    assert parse(gone + "  - wait_event: {expect: corrupted, device: a}\n")
    assert ".write.device" in only(gone + "  - write: {device: a}\n").path
    assert "over the end" in only(gone + "  - read_image: {device: a, size: 65MiB}\n").what


def test_the_image_of_an_original_that_is_gone_may_be_given_to_a_program() -> None:
    gone = WHOLE.replace("  - destroy:\n", "  - unplug: {disk: a}\n")
    assert parse(gone + "  - exec: {argv: [cat, '{s/a}']}\n")


def disks(*counts: tuple[int, str]) -> str:
    made = [
        f"d{i}x{j}: {{size: 1MiB{keys}}}" for i, (n, keys) in enumerate(counts) for j in range(n)
    ]
    return f"""\
summary: A scenario for a test
disks: {{{", ".join(made)}}}
steps:
  - check_snapshots: {{snapshots: []}}
"""


@pytest.mark.parametrize(
    ("counts", "left"),
    [
        ([(22, "")], 0),
        ([(23, "")], 5),
        ([(60, "")], 42),
        ([(4, ", discard: false"), (18, "")], 0),
        ([(5, ", discard: false")], 5),
        ([(2, ", logical_block_size: 4096"), (4, ", logical_block_size: 16384")], 0),
        ([(3, ", logical_block_size: 4096"), (4, ", logical_block_size: 16384")], 5),
    ],
)
def test_a_guest_has_places_for_so_many_disks(counts: list[tuple[int, str]], left: int) -> None:
    if left == 0:
        assert parse(disks(*counts))
        return
    found = only(disks(*counts))
    assert (found.path, found.what) == (".disks", f"{left} disks are in no slot of the guest")


def test_there_is_one_scsi_debug_at_a_time() -> None:
    one, another = "{scsi_debug: {size: 16MiB}}", "{scsi_debug: {size: 8MiB}}"
    text = WHOLE.replace("steps:", f"devices:\n  p: {one}\nsteps:")
    found = only(text.replace(one, f"{one}\n  q: {another}"))
    assert (found.path, found.what) == (".devices.q.scsi_debug", "`p` is one already")
    add = f"  - add_device: {{device: q, make: {another}}}\n"
    assert only(text + add).path == ".steps[5].add_device.make.scsi_debug"
    assert parse(text + "  - remove_device: {device: p}\n" + add)


def test_there_is_a_kernel_from_one_release_on_and_before_another() -> None:
    between = 'requires: {{kernel_from: "{}", kernel_before: "{}"}}\n'
    assert parse(between.format("5.15", "6.8") + WHOLE)
    for first, last in (("6.12", "6.8"), ("6.8", "6.8")):
        found = only(between.format(first, last) + WHOLE)
        assert found.what == f"no kernel is from {first} on and before {last}"


def test_writers_are_stopped_after_who_takes_snapshots_of_their_device() -> None:
    cycle = "take_cycle: {devices: [a], storage: store, within: {size: 8MiB}}"
    begun = (
        WHOLE + "  - start_load: {name: w, writers: {device: a}}\n"
        f"  - start_load: {{name: c, {cycle}}}\n"
    )
    stops = ["  - stop_load: {load: c}\n", "  - stop_load: {load: w}\n"]
    assert parse(begun + "".join(stops))
    assert "still takes snapshots of `a`" in only(begun + "".join(reversed(stops))).what


def test_a_ring_may_have_ended_when_its_order_is_checked() -> None:
    ring = "ring: {devices: [a, store]}"
    begun = WHOLE.replace("  - destroy:\n", f"  - start_load: {{name: r, {ring}}}\n")
    end, check = "  - stop_load: {load: r}\n", "  - check_order: {load: r}\n"
    assert parse(begun + check + end)
    assert parse(begun + end + check)
    assert only(begun + end + end).what == "no load `r` is running"
    assert only(WHOLE.replace("  - destroy:\n", check)).what == "no load `r` is running"


@pytest.mark.parametrize(
    ("load", "right"), [("readers: {device: a}", True), ("memory: {growth: 0}", False)]
)
def test_only_loads_that_take_times_report_one(load: str, right: bool) -> None:
    begun = WHOLE + f"  - start_load: {{name: l, {load}}}\n"
    text = begun + "  - stop_load: {load: l, report: latency}\n"
    if right:
        parse(text)
    else:
        assert only(text).what == "`l` is a memory load"


@pytest.mark.parametrize(
    ("size", "at", "right"), [("32MiB", "48MiB", True), ("96MiB", "72MiB", False)]
)
def test_an_image_keeps_its_size_when_the_original_gets_another(
    size: str, at: str, right: bool
) -> None:
    text = WHOLE.replace(
        "  - destroy:\n",
        f"  - resize: {{device: a, size: {size}}}\n  - read_image: {{device: a, at: {at}}}\n",
    )
    if right:
        parse(text)
    else:
        assert only(text).what == f"{at} is beyond the end"


def test_a_step_within_expect_error_may_be_wrong_in_what_it_does() -> None:
    text = WHOLE + (
        "  - expect_error: {errno: [ENODEV, ESRCH], step: {destroy: {}}}\n"
        "  - expect_error: {errno: EINVAL, step: {create: {snapshot: t, devices: [a, a]}}}\n"
        "  - expect_error:\n"
        "      {errno: EINVAL, step: {module_load: {parameters: {chunk_maximum_shift: 31}}}}\n"
    )
    assert parse(text).steps[-1].verb == "expect_error"


def test_mistakes_of_several_files_are_told_together(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(WHOLE.replace("take:", "tkae:"))
    paths = sorted(tmp_path.glob("*.yaml"))
    with pytest.raises(ScenarioError) as caught:
        load_all(paths, tmp_path)
    assert [Path(one.file).name for one in caught.value.mistakes] == ["one.yaml", "two.yaml"]


SCENARIOS = Path(__file__).parents[2] / "scenarios"


@pytest.mark.parametrize("path", sorted(SCENARIOS.rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_scenario_of_the_lab_is_right(path: Path) -> None:
    scenario = load_scenario(path, SCENARIOS)
    # Figures are no rules: what only measures is not run by default.
    assert scenario.proves or scenario.regression_for or not scenario.default
