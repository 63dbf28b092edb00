"""Mistakes are told in the words of the scenario language, each once and with what is right."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.scenario.check import check
from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError, spell
from lab.scenario.step import VERBS
from lab.scenario.variant import choose
from lab.scenario.yaml_tree import parse

SCENARIOS = Path(__file__).parents[2] / "scenarios"
DISK = "summary: A scenario for a test\ndisks: {a: {size: 1MiB}}\n"
JUNK = ("junk", -5, 5.5, None, [], [{"junk": 1}], {"junk": {}})
FOREIGN = ("Input should", "Tuple", "String", "Dictionary", "valid ", "instance", "validation")
"""Words of pydantic's messages."""


def told(text: str) -> list[tuple[str, str, str]]:
    """Path, what is wrong and what would be right, of every mistake in a text."""
    try:
        parse_scenario(text, "group/name", "name.yaml")
    except ScenarioError as error:
        return [(one.path, one.what, one.right) for one in error.mistakes]
    return []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "requires: {kernel_from: 5.15}",
            (".requires.kernel_from", "a number where a text belongs", 'put it in quotes, e.g. "5'),
        ),
        (
            "requires: {modules: loop}",
            (".requires.modules", "'loop' where a list belongs", "[loop]"),
        ),
        ("devices: [x]", (".devices", "a list where a mapping of keys belongs", "")),
        ("timeout: long", (".timeout", "'long' where a number belongs", "")),
        ("memory: [1]", (".memory", "[1] is not a size; write e.g. 4096, 8s, 64KiB, 16M", "")),
        ("memory: 1MiB", (".memory", "1MiB is no memory of a guest; write whole MiB, 256", "")),
        ("memory: 268435457", (".memory", "268435457B is no memory of a guest; write who", "")),
    ],
)
def test_a_value_of_the_wrong_kind(text: str, wanted: tuple[str, str, str]) -> None:
    ((path, what, right),) = told(f"{DISK}{text}\nsteps:\n  - write: {{device: a}}\n")
    assert (path, what[: len(wanted[1])], right[: len(wanted[2])]) == wanted


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        ("write", ("", "'write' where a mapping of keys belongs", "`write:`")),
        (
            "write: {device: a, ranges: []}",
            (".write.ranges", "too few", "at least 1"),
        ),
        (
            "write: {device: a, random: {count: 1, sizes: [4KiB]}}",
            (".write.random.sizes", "too few", "2 of them"),
        ),
        ("client: {devices: [a], groups: [flow]}", (".client.devices", "too few", "3 of them")),
        (
            "repeat: {times: 0, steps: [{write: {device: a}}]}",
            (".repeat.times", "too small", "at least 1"),
        ),
        ("repeat: {times: 2, steps: []}", (".repeat.steps", "too few", "at least 1")),
        (
            "repeat: {times: {usual: 2}, steps: [{write: {device: a}}]}",
            (".repeat.times", "`long` is missing", "a value that has two has `usual` and `long`"),
        ),
        (
            "write: {device: a, size: {long: 8s}}",
            (".write.size", "`usual` is missing", "a value that has two has `usual` and `long`"),
        ),
    ],
)
def test_a_step_with_one_mistake(step: str, wanted: tuple[str, str, str]) -> None:
    path, what, right = wanted
    assert told(f"{DISK}steps:\n  - {step}\n") == [(f".steps[0]{path}", what, right)]


@pytest.mark.parametrize(
    ("disk", "wanted"),
    [
        (f"{'x' * 21}: {{size: 1MiB}}", (f".{'x' * 21}", "too long", "characters, at most 20")),
        (
            "b: {size: 1MiB, serial: my disk}",
            (".b.serial", "'my disk' is not of the right form", "it must match ^[A-Za-z0-9][A-Z"),
        ),
        (
            f"b: {{size: 1MiB, serial: {'x' * 21}}}",
            (".b.serial", "too long", "characters, at most 20"),
        ),
    ],
)
def test_a_disk_that_no_guest_can_have(disk: str, wanted: tuple[str, str, str]) -> None:
    text = f"summary: A scenario for a test\ndisks:\n  a: {{size: 1MiB}}\n  {disk}\n"
    ((path, what, right),) = told(f"{text}steps:\n  - write: {{device: a}}\n")
    assert (path, what, right[: len(wanted[2])]) == (f".disks{wanted[0]}", *wanted[1:])


@pytest.mark.parametrize(
    ("errno", "what"),
    [
        ("28", "28 is a number; write the name, ENOSPC"),
        ("true", "True is not the name of an errno; write e.g. ENOSPC, EIO, EINVAL"),
        ("'28'", "28 is a number; write the name, ENOSPC"),
        ("[EIO, 28]", "28 is a number; write the name, ENOSPC"),
        ("9999", "9999 is not the name of an errno; write e.g. ENOSPC, EIO, EINVAL"),
        ("ENOSPACE", "'ENOSPACE' is not the name of an errno; write e.g. ENOSPC, EIO, EINVAL"),
    ],
)
def test_a_wrong_errno_is_put_right_in_one_step(errno: str, what: str) -> None:
    step = f"expect_error: {{errno: {errno}, step: {{write: {{device: a}}}}}}"
    assert [one[1] for one in told(f"{DISK}steps:\n  - {step}\n")] == [what]


def test_a_short_summary() -> None:
    text = "summary: short\nsteps:\n  - check_snapshots: {snapshots: []}\n"
    assert told(text) == [(".summary", "too short", "characters, at least 10")]


def test_a_wrong_item_is_not_told_again_as_a_lack_of_items() -> None:
    found = told(f"{DISK}steps:\n  - client: {{devices: [a, a, a], groups: [foo]}}\n")
    assert [path for path, _, _ in found] == [".steps[0].client.groups[0]"]
    found = told(
        f"{DISK}devices: {{s: {{stripe: {{over: [5]}}}}}}\nsteps: [{{exec: {{argv: [a]}}}}]"
    )
    assert found == [
        (".devices.s.stripe.over", "too few", "at least 2"),
        (".devices.s.stripe.over[0]", "a number where a text belongs", "put it in quotes"),
    ]


@pytest.mark.parametrize("size", ["1000", "4KiB", "[512]"])
def test_a_wrong_block_size_is_told_once(size: str) -> None:
    disk = f"disks: {{a: {{size: 1MiB, logical_block_size: {size}}}}}\n"
    found = told(f"summary: A scenario for a test\n{disk}steps:\n  - write: {{device: a}}\n")
    assert [path for path, _, _ in found] == [".disks.a.logical_block_size"]


def test_what_a_wrong_part_has_named_is_not_told_as_unknown() -> None:
    found = told("summary: A scenario for a test\ndisks: [a]\nsteps:\n  - write: {device: a}\n")
    assert [path for path, _, _ in found] == [".disks"]


SNAPSHOT = f"""{DISK.replace("}}", "}, store: {size: 1MiB}}")}
steps:
  - create: {{devices: [a]}}
  - append_storage: {{device: store}}
  - take:
"""


@pytest.mark.parametrize(
    ("before", "wrong", "after"),
    [
        ("read: {device: a}", "destory:", "create: {devices: [a]}"),
        ("read: {device: a}", "destory:", "create: {snapshot: t, devices: [a]}"),
        ("unplug: {disk: store}", "plugg: {disk: store}", "read: {device: store}"),
        ("read: {device: a}", "resiez: {disk: a, size: 2MiB}", "write: {device: a, at: 1MiB}"),
        ("read: {device: a}", "resize: {device: a, size: [2]}", "write: {device: a, at: 1MiB}"),
        ("resize: {device: a, size: 8s}", "destory:", "read_image: {device: a, at: 8s}"),
        (
            "read: {device: a}",
            "repeat: {times: 0, steps: [{resize: {device: a, size: 2MiB}}]}",
            "write: {device: a, at: 1MiB, size: 8s}",
        ),
        ("read: {device: a}", "mark_memroy:", "check_memory: {growth: 0}"),
        ("mount: {device: store, at: /m}", "umuont: {at: /m}", "mount: {device: store, at: /m}"),
        (
            "start_load: {name: w, writers: {device: a}}",
            "stop_laod: {load: w}",
            "start_load: {name: w, writers: {device: a}}",
        ),
    ],
)
def test_what_a_wrong_step_may_have_done_makes_no_other_mistake(
    before: str, wrong: str, after: str
) -> None:
    ((path, _, _),) = told(f"{SNAPSHOT}  - {before}\n  - {wrong}\n  - {after}\n")
    assert path.startswith(".steps[4].")


def test_what_a_wrong_step_cannot_have_done_is_still_told() -> None:
    wrong = "wirte: {device: a}"
    for after, what in (
        ("write: {device: a, at: 1MiB}", "1MiB is beyond the end"),
        ("write: {device: b}", "there is no device `b`"),
        ("read_image: {device: a, at: 1MiB}", "1MiB is beyond the end"),
    ):
        found = told(f"{SNAPSHOT}  - {wrong}\n  - {after}\n")
        assert [(path, what) for path, what, _ in found] == [
            (".steps[3].wirte", "unknown key `wirte`"),
            (found[1][0], what),
        ]


def test_one_misspelt_verb_is_one_mistake_in_any_scenario() -> None:
    wrong = []
    for file in sorted(SCENARIOS.rglob("*.yaml")):
        tree = choose(parse(file.read_text(encoding="utf-8"), str(file)), long=False)
        seen = set()
        for place in _places(tree.data["steps"], ("steps",)):
            verb = place[-1]
            if verb in VERBS and verb not in seen and isinstance(place[-2], int):
                seen.add(verb)
                _, found = check(replace(tree, data=_misspelt(tree.data, place)), file.name)
                wrong += [found] if [one.path for one in found] != [f"{spell(place)}x"] else []
    assert wrong == []


def test_only_what_is_declared_is_said_to_be() -> None:
    text = DISK + "devices: {d: {delay: {on: e}}}\nsteps:\n  - wirte: {device: b, at: c}\n"
    missing, _ = told(text)
    assert missing[1:] == ("there is no device `e` before this one", "declared are: a")


def test_a_device_that_is_called_like_a_disk_is_told_whatever_else_is_wrong() -> None:
    text = DISK + "devices: {a: {zram: {size: 1MiB}}}\nsteps:\n  - wirte: {device: a}\n"
    assert [what for _, what, _ in told(text)] == ["`a` is also a disk", "unknown key `wirte`"]


def test_no_mistake_of_any_key_speaks_another_language() -> None:
    seen: set[tuple[str, ...]] = set()
    wrong = []
    for file in sorted(SCENARIOS.rglob("*.yaml")):
        tree = choose(parse(file.read_text(encoding="utf-8"), str(file)), long=False)
        for place in _places(tree.data):
            shape = tuple(str(part) for part in place if not isinstance(part, int))[-2:]
            if shape not in seen:
                seen.add(shape)
                for junk in JUNK:
                    _, found = check(replace(tree, data=_with(tree.data, place, junk)), "")
                    wrong += [one for one in found if any(word in one.what for word in FOREIGN)]
    assert len(seen) > 250
    assert wrong == []


def _places(data: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in pairs:
        yield (*place, key)
        if isinstance(value, (dict, list)):
            yield from _places(value, (*place, key))


def _misspelt(data: Any, place: tuple[str | int, ...]) -> Any:
    """The same with one letter more in the key at a place."""
    made = copy.deepcopy(data)
    inner = made
    for part in place[:-1]:
        inner = inner[part]
    inner[f"{place[-1]}x"] = inner.pop(place[-1])
    return made


def _with(data: Any, place: tuple[str | int, ...], junk: object) -> Any:
    made = copy.deepcopy(data)
    inner = made
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = junk
    return made
