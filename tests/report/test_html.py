"""The page of a run: well-formed, complete in itself, escaped, and small enough for a large run."""

from __future__ import annotations

import json
import re
import time
from importlib import resources
from pathlib import Path
from xml.etree.ElementTree import Element

import html5lib
import pytest
from typer.testing import CliRunner

from lab.cli.main import app
from lab.errors import UsageError
from lab.report.html import MARKS, Html, run_page
from lab.report.stored import read_run
from lab.runner.events import RunStarted
from lab.runner.verdict import Verdict

from .results import KEPT, NASTY, TRACE, Made, make_results, unpacked

MADE = [
    Made("cbt/a"),
    Made("cbt/a", Verdict.FAILED, "6.12"),
    Made("cbt/b", Verdict.SPLAT, repeat=2),
    Made("overflow/c", Verdict.SKIPPED),
    Made("overflow/c", Verdict.HANG, "6.12", reports={"swap blocks": 4}),
]
SVG = "{http://www.w3.org/2000/svg}svg"
TARGETS = ("href", "src", "action", "srcset", "data", "poster", "xlink:href")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("results") / "run", MADE)


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return run_page(read_run(folder))


def parsed(text: str) -> Element:
    """The document; any mistake that the HTML standard knows is an error."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    document: Element = parser.parse(text)
    return document


def parsed_part(text: str) -> Element:
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    part: Element = parser.parseFragment(text, container="div")
    return part


def parts_of(page: str) -> dict[str, Element]:
    """The details of each scenario, unpacked and parsed."""
    found = {}
    for one in parsed(page).iter("details"):
        if one.get("class", "").startswith("one "):
            (holder,) = one.iter("script")
            found[one.attrib["id"]] = parsed_part(unpacked(holder.text or ""))
    return found


def words(element: Element) -> str:
    return "".join(element.itertext())


def test_page_and_details_are_without_mistakes(page: str) -> None:
    ids = [one.attrib["id"] for one in parsed(page).iter() if "id" in one.attrib]
    assert len(ids) == len(set(ids))
    assert len(parts_of(page)) == len(MADE)


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    document = parsed(page)
    ids = {one.get("id") for one in document.iter()}
    for element in [document, *parts_of(page).values()]:
        for one in element.iter():
            tag = str(one.tag).rpartition("}")[2]
            assert tag not in ("iframe", "object", "embed", "base", "img", "image", "use"), tag
            for name in TARGETS:
                target = one.get(name)
                assert target is None or target == "data:," or target[:1] == "#", target
                assert not (target or "").startswith("#") or target[1:] in ids, target  # type: ignore[index]
    style = "".join(words(one) for one in document.iter("style"))
    assert "@import" not in style
    assert set(re.findall(r"url\(([^)]*)\)", style)) == {"#hatch"}
    assert not re.search(r"https?:", style)
    policy = [one.get("content", "") for one in document.iter("meta") if one.get("http-equiv")]
    assert policy[0].startswith("default-src 'none'")


def test_logs_and_names_are_text_whatever_they_hold(page: str) -> None:
    document, parts = parsed(page), parts_of(page)
    assert len(list(document.iter("script"))) == len(MADE) + 1
    for part in parts.values():
        assert not list(part.iter("script"))
        assert not [one for one in part.iter() if any(key.startswith("on") for key in one.attrib)]
    shown = NASTY.split("\x1b")[0]
    assert shown in words(document)
    assert shown in words(parts["s-6.12/cbt/a"])
    assert "\x1b" not in page


def test_rules_and_scenarios_link_to_each_other(page: str) -> None:
    document = parsed(page)
    (rule,) = [one for one in document.iter("tr") if one.get("id") == "K18"]
    links = [one.attrib["href"] for one in rule.iter("a")]
    # the worst result of each scenario
    assert links == ["#s-6.12/cbt/a", "#s-6.1/cbt/b.2", "#s-6.12/overflow/c"]
    assert "1/5" in words(rule)
    for part in parts_of(page).values():
        assert "#K18" in [one.get("href") for one in part.iter("a")]


def test_the_summary_counts_by_group_and_kernel(page: str) -> None:
    document = parsed(page)
    cells = {
        (one.attrib["data-group"], one.attrib["data-kernel"]): words(one)
        for one in document.iter("button")
        if "data-group" in one.attrib
    }
    assert cells == {
        ("cbt", "6.1"): f"{MARKS[Verdict.SPLAT]} 1/2",
        ("cbt", "6.12"): f"{MARKS[Verdict.FAILED]} 0/1",
        ("overflow", "6.1"): f"{MARKS[Verdict.SKIPPED]} 1/1",
        ("overflow", "6.12"): f"{MARKS[Verdict.HANG]} 0/1",
    }


def test_the_details_show_all_there_is(page: str) -> None:
    part = parts_of(page)["s-6.12/cbt/a"]
    titles = [words(one) for one in part.iter("h3")]
    assert titles == [
        "Which write is where: image of a in s",
        "Steps",
        "Difference storage of snapshot s",
        "CBT map of a, take by take",
        "Latency of writes, load writers to a",
        "Logs",
    ]
    labels = [one.attrib["aria-label"] for one in part.iter(SVG) if "aria-label" in one.attrib]
    assert len(labels) == 6
    text = words(part)
    assert "ci/scenarios --kernel=6.12 cbt/a" in text
    assert KEPT in text
    copied = [one.attrib["data-copy"] for one in part.iter("button")]
    assert copied == ["ci/scenarios --kernel=6.12 cbt/a", KEPT]
    places = [words(one) for one in part.iter("span") if one.get("class") == "place"]
    assert places == ["snapshot.c:243"] * 3, "in the evidence and in both logs"
    assert f"{TRACE}  snapshot.c:243" in text
    assert "while a snapshot was held" in text
    assert "8 of 1024 sectors are wrong" in text


def test_the_table_of_a_scenario_that_fails_each_io_is_shown(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "run", MADE[:1])
    (folder / "cbt" / "a" / "every-io.txt").write_text("write  sector 8  EIO  passed\n")
    (part,) = parts_of(run_page(read_run(folder))).values()
    assert "sector 8  EIO  passed" in words(part)


def test_a_green_scenario_is_shorter(page: str) -> None:
    parts = parts_of(page)
    red, green = words(parts["s-6.12/cbt/a"]), words(parts["s-6.1/cbt/a"])
    assert "Which write is where" not in green
    assert len(green) < len(red)


def test_a_run_that_ended_suddenly_has_a_page(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "run", MADE[:1], finished=False)
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"event": "StepSta')
    run = read_run(folder)
    assert not run.green
    assert "did not come to its end" in words(parsed(run_page(run)))


def test_results_without_figures_and_logs_have_a_page(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "run", MADE)
    for path in folder.rglob("*"):
        if path.is_file() and path != folder / "events.jsonl":
            path.unlink()
    assert len(parts_of(run_page(read_run(folder)))) == len(MADE)


def test_results_may_have_been_moved(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "run", MADE)
    moved = folder.rename(tmp_path / "elsewhere")
    assert "snapshot.c:243" in words(parts_of(run_page(read_run(moved)))["s-6.12/cbt/a"])


def test_a_folder_without_results_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results of a run"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"time": None},
        {"time": "noon"},
        {"jobs": "x"},
        {"kernels": 5},
        {"basis": "x"},
        {"scenarios": None},
        {"scenarios": 1},
    ],
)
def test_a_run_that_is_not_as_the_lab_writes_it_is_a_usage_error(
    changed: dict[str, object], tmp_path: Path
) -> None:
    folder = make_results(tmp_path / "run", MADE[:1])
    path = folder / "events.jsonl"
    first, _, rest = path.read_text().partition("\n")
    begin = {name: it for name, it in (json.loads(first) | changed).items() if it is not None}
    path.write_text(f"{json.dumps(begin)}\n{rest}")
    with pytest.raises(UsageError) as caught:
        read_run(folder)
    assert caught.value.what.startswith(f"{path} is not as the lab writes it: ")
    assert caught.value.remedy


def test_a_large_run_stays_small_and_is_made_in_seconds(tmp_path: Path) -> None:
    made = [
        Made(f"group{number % 10}/scenario-{number}", Verdict.PASSED, kernel, steps=60)
        for kernel in ("5.10", "6.1")
        for number in range(25)
    ]
    folder = make_results(tmp_path / "run", made)
    began = time.process_time()
    page = run_page(read_run(folder))
    assert (time.process_time() - began) / len(made) < 0.25
    # of 100 scenarios on 4 kernels: 5 MB
    assert len(page) / len(made) < 12_500


def test_a_run_writes_its_page_at_its_end(tmp_path: Path, folder: Path) -> None:
    listener = Html(tmp_path / "pages" / "run.html")
    listener.handle(RunStarted(folder=str(folder), command="", scenarios=()))
    listener.close()
    assert (tmp_path / "pages" / "run.html").read_text() == run_page(read_run(folder))


def test_the_command_writes_the_page_of_a_folder(tmp_path: Path, folder: Path) -> None:
    out = CliRunner().invoke(app, ["report", str(folder), "--html", str(tmp_path / "a.html")])
    assert out.exit_code == 0, out.output
    assert (tmp_path / "a.html").read_text() == run_page(read_run(folder))


def test_the_command_refuses_a_folder_as_its_file(tmp_path: Path, folder: Path) -> None:
    words = ["report", str(folder), "--html", str(folder)]
    with pytest.raises(UsageError, match=r"--html .*: it is a folder"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not list(tmp_path.rglob("*.part"))


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_colour_of_text_can_be_read_in_light_and_dark() -> None:
    style = resources.files("lab.report").joinpath("page", "style.css").read_text()
    first, second = [text.split("}")[0] for text in style.split(":root {")[1:3]]
    for text in (first, second):
        colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", text))
        verdicts = [verdict.value for verdict in Verdict]
        pairs = [(ink, ground) for ink in ("ink", "soft", "accent") for ground in ("bg", "card")]
        pairs += [(one, f"{one}-tint") for one in verdicts]
        pairs += [(one, "card") for one in verdicts]
        pairs += [("ink", "code"), ("accent", "code"), ("failed", "code"), ("error", "code")]
        pairs += [("ink", f"c{number}") for number in range(8)] + [("ink", "zero")]
        wrong = [
            (pair, round(ratio, 2))
            for pair in pairs
            if (ratio := contrast(colours[pair[0]], colours[pair[1]])) < 4.5
        ]
        assert not wrong
