"""Flavours: names of a build as data, all mistakes told at once; what the guest is told of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.blksnap.names import Names
from lab.errors import UsageError
from lab.flavour import FILE, Flavour, flavour_of, placeholders, read_flavour
from lab.guest.prepare import name_files
from lab.runner.klog import LogLine, module_complaints, spoiled_images
from lab.scenario.load import parse_scenario
from lab.scenario.mistakes import ScenarioError

ACME = """
module: acmesnap
node: /dev/acme-snap
image: acmeimg
log: [acmesnap, acmehook]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / FILE
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_not_in_the_file_has_our_name(tmp_path: Path) -> None:
    flavour = read_flavour(written(tmp_path, ACME))
    assert (flavour.module, flavour.node, flavour.image) == (
        "acmesnap",
        "/dev/acme-snap",
        "acmeimg",
    )
    assert flavour.log == ("acmesnap", "acmehook")
    assert (flavour.filter, flavour.debugfs) == ("bdevfilter", "blksnap")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("modul: x\nmodule: [y]\n", ["unknown key `modul`", "`module` is no name"]),
        ("log: acme\n", ["`log` is no list of names"]),
        ("node: acme\n", ["node is 'acme'", "a path such as /dev/blksnap"]),
        ("module: 'a; rm -rf /'\n", ["module is 'a; rm -rf /'"]),
        ("log: ['a b']\n", ["log is 'a b'"]),
        ("", ["has no names"]),
        ("- a\n", ["has no names"]),
        ("a: [", ["cannot be read"]),
    ],
)
def test_what_is_no_flavour_is_refused(tmp_path: Path, text: str, told: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        read_flavour(written(tmp_path, text))
    for part in told:
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"module: \xff\n", b"module: \0\n", b"[" * 3000])
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"the flavour {path} cannot be read: ") as caught:
        read_flavour(path)
    assert caught.value.remedy == "docs/other-modules.md shows such a file"


@pytest.mark.parametrize("name", ["2001-99-99", "7", "no"])
def test_a_name_may_look_like_something_else(tmp_path: Path, name: str) -> None:
    assert read_flavour(written(tmp_path, f"module: {name}\n")).module == name


def test_the_named_one_goes_before_that_of_the_tree(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    assert flavour_of(tree, None) == flavour_of(None, None) == Flavour()
    written(tree, "module: ofthetree\n")
    named = written(tmp_path, "module: named\n")
    assert flavour_of(tree, None).module == "ofthetree"
    assert flavour_of(tree, named).module == "named"


def test_the_guest_is_told_other_names_only() -> None:
    assert name_files(Flavour()) == ()
    (file,) = name_files(Flavour(node="/dev/acme", image="acmeimg"))
    told = json.loads(file.content)
    assert Names(**told) == Names(node="/dev/acme", image="acmeimg")
    ours = asdict(Flavour())
    assert asdict(Names()) == {name: ours[name] for name in asdict(Names())}


def test_names_in_programs_are_filled_in() -> None:
    flavour = Flavour(node="/dev/acme", module="acmesnap")
    text = "exec 3<>{blksnap:node}; rmmod {blksnap:module}; echo {a} ${b}"
    assert flavour.filled_in(text) == "exec 3<>/dev/acme; rmmod acmesnap; echo {a} ${b}"
    assert placeholders(text) == []
    assert placeholders("{blksnap:nod} {blksnap:log}") == ["nod", "log"]


def test_a_scenario_with_a_name_that_is_none_is_refused() -> None:
    text = "summary: s\ndisks: {a: {size: 1MiB}}\nsteps:\n  - exec: {argv: [ls, '{blksnap:nod}']}\n"
    with pytest.raises(ScenarioError, match=r"there is no name \{blksnap:nod\}"):
        parse_scenario(text, "x/y", "y.yaml")


def test_the_log_of_another_build_is_judged_by_its_names() -> None:
    lines = [
        LogLine("acmesnap: image of 254:16 is spoiled: error 28", 3),
        LogLine("acmehook-x: odd", 4),
        LogLine("blksnap: odd", 4),
    ]
    found = module_complaints(lines, ("acmesnap", "acmehook"))
    assert [line.text for line in found] == [lines[0].text, lines[1].text]
    assert spoiled_images(found) == [(254, 16, 28)]
