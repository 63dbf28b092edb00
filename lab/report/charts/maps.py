"""The CBT map of a device, a row for each take, as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from lab.report.charts.svg import LEFT, RIGHT, boxes, figure, size_text, text

ROWS = 48
"""Takes that are drawn, the latest."""
ROW, GAP, TOP = 13, 3, 20
SHARE = 92
"""Room for what is written behind a row."""
AGES = (0, 1, 3, 7)
"""Takes ago that a change was made, at most, for each but the oldest colour."""

Row = Mapping[str, Any]


def by_device(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each device, in the order of the takes."""
    devices: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda one: float(one["time"])):
        devices.setdefault(str(row["device"]), []).append(row)
    return devices


def heat_map(device: str, rows: Sequence[Row]) -> Markup:
    """All rows of one device."""
    drawn = rows[-ROWS:]
    end = RIGHT - SHARE
    largest = max(map(_size, drawn))
    shades: dict[int, list[tuple[float, float, float, float]]] = {}
    parts: list[Markup] = []
    for index, row in enumerate(drawn):
        y = TOP + index * (ROW + GAP)
        whole = (end - LEFT) * _size(row) / largest
        width = whole / sum(count for count, _ in row["cells"])
        parts.append(boxes([(LEFT, y, whole, ROW)], "heat0"))
        x = float(LEFT)
        for count, value in row["cells"]:
            if value:
                age = max(0, int(row["number"]) - int(value))
                shades.setdefault(_shade(age), []).append((x, y, count * width, ROW))
            x += count * width
        parts.append(
            text(LEFT - 8, y + 11, _name(row, drawn[index - 1] if index else None), anchor="end")
        )
        parts.append(text(end + 8, y + 11, f"{_changed(row):.3g} % new", class_="soft"))
    shown = [boxes(places, f"heat{shade}") for shade, places in sorted(shades.items())]
    scale = [
        text(LEFT, 13, "0", class_="soft"),
        text(end, 13, size_text(largest), class_="soft", anchor="end"),
    ]
    label = f"CBT map of {device} after each of {len(drawn)} takes"
    return figure(TOP + len(drawn) * (ROW + GAP) + 4, label, [*parts, *shown, *scale])


def caption(rows: Sequence[Row], left_out: int) -> str:
    """What a cell of the heat map is, and which takes are not drawn."""
    last = rows[-1]
    cell = int(last["per_cell"]) * int(last["block_size"])
    said = (
        f"the last one: {last['blocks']} blocks of {size_text(last['block_size'])}; each cell is "
        f"{last['per_cell']} of them ({size_text(cell)}) and shows its newest change"
    )
    missing = max(0, len(rows) - ROWS) + left_out
    return said + (f"; {missing} earlier maps are not drawn" if missing else "")


def _size(row: Row) -> int:
    """Bytes that the blocks of a map cover; more than none."""
    return max(1, int(row["blocks"])) * int(row["block_size"])


def _shade(age: int) -> int:
    """5 for what changed before the last take, down to 1 for what changed long ago."""
    return next((5 - index for index, most in enumerate(AGES) if age <= most), 1)


def _changed(row: Row) -> float:
    """Percent of the cells with a change since the take before."""
    total = sum(count for count, _ in row["cells"])
    new = sum(count for count, value in row["cells"] if value and value == row["number"])
    return 100.0 * new / total if total else 0.0


def _name(row: Row, before: Row | None) -> str:
    """The take's number; a new generation is marked."""
    fresh = before is not None and before["generation"] != row["generation"]
    return f"{'new gen., ' if fresh else ''}take {row['number']}"
