"""A disagreement with the model as a map of sectors: which write is where, and which must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lab.report.charts.svg import LEFT, RIGHT, boxes, element, figure, text

COLUMNS, ROWS = 64, 16
"""Cells of the map; each is as many sectors (a power of two) as it takes for all to fit."""
ROW, GAP, TOP = 15, 2, 30
COLOURS = 8
"""Contents with a colour of their own; the others share one, and all have their letter."""
LETTER_WIDTH = 7.0

Picture = Mapping[str, Any]


@dataclass(frozen=True)
class Content:
    """Something that sectors hold: its letter, and the class of its colour."""

    letter: str
    class_: str
    words: str


@dataclass(frozen=True)
class Cell:
    """What is drawn for a cell."""

    content: Content
    wrong: bool


class SectorMap:
    """The drawings of one picture, and the key to them."""

    def __init__(self, picture: Picture) -> None:
        self._parts: Sequence[Mapping[str, Any]] = picture["parts"]
        self._picture = picture
        self.first = int(self._parts[0]["first"])
        self.end = int(self._parts[-1]["first"]) + int(self._parts[-1]["count"])
        cells = -(-(self.end - self.first) // (COLUMNS * ROWS))
        self.per_cell = 1 << (cells - 1).bit_length()
        self._contents: dict[str, Content] = {}
        for part in self._parts:
            self._content(str(part["found"]))
            if part["allowed"]:
                self._content(str(part["allowed"]))

    @property
    def key(self) -> list[Content]:
        """What the letters stand for."""
        return list(self._contents.values())

    @property
    def wrong_parts(self) -> list[Mapping[str, Any]]:
        """The runs that are wrong, in order."""
        return [part for part in self._parts if part["allowed"]]

    def whole(self) -> Markup:
        """The device as one strip: where anything is wrong."""
        columns: Sequence[int] = self._picture["columns"]
        width = (RIGHT - LEFT) / len(columns)
        places = [
            (LEFT + index * width, 6.0, max(width, 2.0), 16.0)
            for index, count in enumerate(columns)
            if count
        ]
        unit, size = self._picture["unit"], self._picture["size"]
        parts = [
            boxes([(LEFT, 6, RIGHT - LEFT, 16)], "heat0"),
            boxes(places, "wrong-area"),
            text(LEFT - 8, 18, "device", anchor="end"),
            text(LEFT, 36, f"{unit} 0", class_="soft"),
            text(RIGHT, 36, f"{size}", class_="soft", anchor="end"),
        ]
        return figure(42, f"Where on the device {unit}s are wrong", parts)

    def found(self) -> Markup:
        """What was found in the window."""
        return self._grid("found", "found", "found")

    def allowed(self) -> Markup:
        """What must be there; where it is right, what was found."""
        return self._grid("allowed", "must be", "must be")

    def _content(self, words: str) -> Content:
        if words not in self._contents:
            number = len(self._contents)
            letter = chr(ord("A") + number) if number < 26 else f"{number}"
            plain = "content-zero" if words == "zeros" else f"content{number % COLOURS}"
            self._contents[words] = Content(letter, plain, words)
        return self._contents[words]

    def _cells(self, side: str) -> list[Cell]:
        """A cell with anything wrong shows that; else the first thing in it."""
        cells: list[Cell | None] = [None] * -(-(self.end - self.first) // self.per_cell)
        for part in self._parts:
            wrong = bool(part["allowed"])
            words = str(part["allowed"] if wrong and side == "allowed" else part["found"])
            start = (int(part["first"]) - self.first) // self.per_cell
            stop = -(-(int(part["first"]) + int(part["count"]) - self.first) // self.per_cell)
            for index in range(start, min(stop, len(cells))):
                old = cells[index]
                if old is None or (wrong and not old.wrong):
                    cells[index] = Cell(self._content(words), wrong)
        nothing = Cell(Content("", "heat0", ""), False)
        return [cell or nothing for cell in cells]

    def _grid(self, side: str, name: str, label: str) -> Markup:
        cells = self._cells(side)
        width = (RIGHT - LEFT) / COLUMNS
        parts = [text(LEFT, TOP - 6, name, class_="mark")]
        wrong: list[tuple[float, float, float, float]] = []
        rows = -(-len(cells) // COLUMNS)
        for row in range(rows):
            y = TOP + row * (ROW + GAP)
            sector = self.first + row * COLUMNS * self.per_cell
            parts.append(text(LEFT - 8, y + 11, str(sector), anchor="end"))
            for start, count, cell in _runs(cells[row * COLUMNS : (row + 1) * COLUMNS]):
                place = (LEFT + start * width, float(y), count * width, float(ROW))
                parts.append(_run(place, cell))
                if cell.wrong:
                    wrong.append(place)
        parts.append(boxes(wrong, "wrong-mark" if side == "found" else "right-mark"))
        unit = self._picture["unit"]
        words = f"{label}: {unit}s {self.first} to {self.end - 1} of {self._picture['where']}"
        return figure(TOP + rows * (ROW + GAP) + 2, words, parts)


def _runs(cells: Sequence[Cell]) -> list[tuple[int, int, Cell]]:
    runs: list[tuple[int, int, Cell]] = []
    for index, cell in enumerate(cells):
        if runs and runs[-1][2] == cell:
            start, count, _ = runs[-1]
            runs[-1] = (start, count + 1, cell)
        else:
            runs.append((index, 1, cell))
    return runs


def _run(place: tuple[float, float, float, float], cell: Cell) -> Markup:
    """A run of equal cells, with its letter where there is room."""
    x, y, width, height = place
    drawn = boxes([place], cell.content.class_)
    if width < LETTER_WIDTH * len(cell.content.letter) + 2 or not cell.content.letter:
        return drawn
    letter = text(
        x + width / 2, y + height - 4, cell.content.letter, class_="letter", anchor="middle"
    )
    return element("g", drawn, letter)
