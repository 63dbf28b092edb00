"""The few pieces of SVG that the plots are made of, everything escaped; and axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

WIDTH = 760
"""Width of every plot in its own units; it is scaled to the page."""
LEFT = 84
"""Where the plot begins; labels are left of it."""
RIGHT = WIDTH - 14


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """One element. Attributes: `class_` for class, `_` for `-`; numbers are rounded."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>")


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def number(value: float) -> str:
    """Short, with at most one decimal place."""
    return f"{value:.1f}".removesuffix(".0")


def figure(height: float, label: str, parts: Iterable[Markup]) -> Markup:
    """A whole plot; `label` is for those who do not see it."""
    svg = element(
        "svg",
        *parts,
        class_="plot",
        viewBox=f"0 0 {WIDTH} {number(height)}",
        role="img",
        aria_label=label,
    )
    return element("div", svg, class_="scroll", tabindex=0, role="group", aria_label=label)


def text(x: float, y: float, words: str, *, class_: str = "", anchor: str = "start") -> Markup:
    """A line of text."""
    return element("text", words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def boxes(places: Iterable[tuple[float, float, float, float]], class_: str) -> Markup:
    """Many rectangles (x, y, width, height) as one path; nothing if there are none."""
    path = "".join(
        f"M{number(x)} {number(y)}h{number(w)}v{number(h)}h-{number(w)}z" for x, y, w, h in places
    )
    return element("path", d=path, class_=class_) if path else Markup("")


def polyline(points: Sequence[tuple[float, float]], class_: str, *, closed: bool = False) -> Markup:
    """A line through points, or the area within."""
    path = "L".join(f"{number(x)} {number(y)}" for x, y in points)
    return element("path", d=f"M{path}{'z' if closed else ''}", class_=class_)


class Scale:
    """From values to places on a line."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high = low, high if high > low else low + 1.0
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self._start + min(max(share, 0.0), 1.0) * (self._end - self._start)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Round values within the scale."""
        raw = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(index * step, 9) for index in range(first, last + 1)]


def time_axis(scale: Scale, top: float, bottom: float) -> Markup:
    """Seconds below a plot."""
    parts = [line(LEFT, bottom, RIGHT, bottom, "axis")]
    for tick in scale.ticks():
        x = scale(tick)
        parts.append(line(x, top, x, bottom, "grid"))
        parts.append(text(x, bottom + 15, f"{tick:g} s", anchor="middle"))
    return Markup("").join(parts)


def size_text(size: float) -> str:
    """Bytes in words, e.g. "16 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"
