"""The page in a real browser: without complaints, with a filter that filters, on any screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.report.difference import difference
from lab.report.difference_text import page as difference_page
from lab.report.html import run_page
from lab.report.stored import read_run
from lab.runner.verdict import Verdict

from .browser import DESKTOP, PHONE, Page, browser, find_browser
from .results import Made, make_results

MADE = [
    Made("cbt/a"),
    Made("cbt/a", Verdict.FAILED, "6.12"),
    Made("cbt/b", Verdict.SPLAT),
    Made("overflow/c", Verdict.SKIPPED),
    Made("overflow/c", Verdict.HANG, "6.12"),
    Made("overflow/d"),
]
VISIBLE = """[...document.querySelectorAll('details.one')]
    .filter((one) => one.offsetParent !== null).map((one) => one.id)"""
OPENED = """(async () => {
    for (let n = 0; n < 200; n++) {
        const bodies = [...document.querySelectorAll('details.one[open] .body')];
        if (bodies.length && bodies.every((one) => one.querySelector('table.steps'))) return true;
        await new Promise((done) => setTimeout(done, 20));
    }
    return false;
})()"""

FITTING = """[...document.querySelectorAll('details.one[open] .body')]
    .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.innerText.slice(0, 80))"""
"""Details that stick out of their box, which clips them: what sticks out could not be seen."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium (Debian package chromium)"),
]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A page of a run, and one of the difference to another."""
    folder = tmp_path_factory.mktemp("pages")
    one = read_run(make_results(folder / "one", MADE))
    two = read_run(make_results(folder / "two", MADE[1:]))
    (folder / "run.html").write_text(run_page(one))
    (folder / "difference.html").write_text(difference_page(difference(two, one)))
    return folder / "run.html", folder / "difference.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(find_browser() or "", tmp_path_factory.mktemp("profile")) as made:
        yield made


@pytest.fixture
def page(tab: Page, paths: tuple[Path, Path]) -> Iterator[Page]:
    """The page of a run, freshly loaded; it must not have complained, nor asked for anything."""
    tab.look(DESKTOP)
    tab.complaints.clear()
    tab.requested.clear()
    tab.open(paths[0])
    yield tab
    assert tab.complaints == []
    assert {url.split("#")[0] for url in tab.requested} == {paths[0].as_uri()}


def test_no_text_of_a_log_is_obeyed(page: Page) -> None:
    page.evaluate("document.getElementById('open-all').click()")
    assert page.evaluate(OPENED)
    assert page.evaluate("document.title").startswith("NOT GREEN")
    assert page.evaluate("document.images.length") == 0
    assert page.evaluate("document.querySelectorAll('details.one[open] svg.plot').length") > 10


def test_the_filter_shows_what_is_asked_for(page: Page) -> None:
    assert len(page.evaluate(VISIBLE)) == len(MADE)
    page.evaluate("document.querySelector('input[value=passed]').click()")
    left = ["s-6.12/cbt/a", "s-6.1/cbt/b", "s-6.1/overflow/c", "s-6.12/overflow/c"]
    assert page.evaluate(VISIBLE) == left
    assert page.evaluate("document.getElementById('shown').textContent") == "4 of 6 shown"
    page.evaluate("document.querySelector('input[value=hang]').click()")
    assert page.evaluate(VISIBLE) == left[:3]
    page.evaluate("document.getElementById('reset').click()")
    assert len(page.evaluate(VISIBLE)) == len(MADE)


@pytest.mark.parametrize(
    ("words", "count"), [("k18", 6), ("k1", 0), ("w-13 overflow", 3), ("overflow/d", 1), ("zz", 0)]
)
def test_words_and_rules_are_found(page: Page, words: str, count: int) -> None:
    page.evaluate(f"""(() => {{
        const field = document.querySelector('input[type=search]');
        field.value = {words!r};
        field.dispatchEvent(new Event('input', {{ bubbles: true }}));
    }})()""")
    assert len(page.evaluate(VISIBLE)) == count


def test_a_cell_of_the_summary_shows_its_scenarios(page: Page) -> None:
    page.evaluate(
        "document.querySelector('button[data-group=overflow][data-kernel=\"6.12\"]').click()"
    )
    assert page.evaluate(VISIBLE) == ["s-6.12/overflow/c"]


def test_a_link_to_a_scenario_opens_it_though_it_was_filtered_away(page: Page) -> None:
    page.evaluate("document.querySelector('input[value=failed]').click()")
    assert "s-6.12/cbt/a" not in page.evaluate(VISIBLE)
    page.evaluate("document.querySelector('#K18 a[href=\"#s-6.12/cbt/a\"]').click()")
    assert page.evaluate(OPENED)
    assert page.evaluate("document.querySelector('details.one[open]').id") == "s-6.12/cbt/a"
    page.evaluate("document.querySelector('details.one[open] .rules a').click()")
    assert page.evaluate("location.hash") == "#K18"


def test_the_keyboard_reaches_and_opens_a_scenario(page: Page) -> None:
    for _ in range(60):
        page.key("Tab")
        if page.evaluate("document.activeElement.matches('details.one > summary')"):
            break
    page.key("Enter")
    assert page.evaluate(OPENED)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nothing_is_wider_than_the_screen(
    page: Page, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    page.look(size, dark=dark)
    page.evaluate("document.getElementById('open-all').click()")
    assert page.evaluate(OPENED)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(FITTING) == []
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(20, 23, 26)" if dark else "rgb(247, 246, 243)")
    page.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_printed_it_is_light_and_has_no_controls(page: Page) -> None:
    page.look(DESKTOP, dark=True, media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.getElementById('filter').offsetParent === null")
    assert page.print().startswith(b"%PDF")


def test_the_page_of_a_difference_has_no_complaints(tab: Page, paths: tuple[Path, Path]) -> None:
    tab.complaints.clear()
    tab.look(PHONE)
    tab.open(paths[1])
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.complaints == []
