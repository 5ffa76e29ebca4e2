"""Small plots as inline SVG: a frame with two axes, and marks on it. Colours are the page's (page.css)."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kimera.console import printable

WIDTH = 460
TOP, RIGHT, LEGEND_ROW, BELOW = 10, 14, 20, 46  # BELOW: numbers and label of the x axis
NAME_WIDTH = 52  # characters that a row of the legend holds
DASHES = ("", "7 4", "2 3", "9 3 2 3", "14 4", "4 2", "9 3 2 3 2 3", "1 5")
LOOKS = 8
# From the point above or below the middle on: a triangle, a diamond, a triangle on its point, a cross, an
# hourglass, a star of four.
OUTLINES = {
    2: (-5.5, "l5.2 9.4h-10.4Z"),
    3: (-6, "l5.5 6l-5.5 6l-5.5 -6Z"),
    4: (5.5, "l5.2 -9.4h-10.4Z"),
    5: (-5.5, "h2v3.5h3.5v4h-3.5v3.5h-4v-3.5h-3.5v-4h3.5v-3.5Z"),
    6: (-5, "h4.5l-9 10h9l-9 -10Z"),
    7: (-7, "l1.8 5.2l5.2 1.8l-5.2 1.8l-1.8 5.2l-1.8 -5.2l-5.2 -1.8l5.2 -1.8Z"),
}
Point = tuple[float, float]
Tick = tuple[float, str]


@dataclass(frozen=True)
class Axis:
    """ticks: where numbers stand, and what is written there. log: a logarithmic scale, for ends above 0."""

    label: str
    low: float
    high: float
    ticks: tuple[Tick, ...]
    log: bool = False

    def share(self, value: float) -> float:
        """0 at the low end, 1 at the high end."""
        low, high, at = (
            math.log(coordinate) if self.log else coordinate for coordinate in (self.low, self.high, value)
        )
        return (at - low) / (high - low)


def number(value: float) -> str:
    """As short as it can be: 0, 0.25, 1,000."""
    return f"{value:,.10g}"


def linear(label: str, low: float, high: float, parts: int = 5) -> Axis:
    """From `low` to `high`, widened to whole steps of 1, 2, 2.5 or 5 times a power of ten."""
    raw = (high - low) / parts or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = tuple((round(i * step, 10), number(round(i * step, 10))) for i in range(first, last + 1))
    return Axis(label, ticks[0][0], ticks[-1][0], ticks)


def logarithmic(label: str, low: float, high: float) -> Axis:
    """Widened to powers of ten; within two of them, 2 and 5 times a power have numbers too."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    between = (1, 2, 5) if last - first <= 2 else (1,)
    values = [10.0**power * times for power in range(first, last) for times in between] + [10.0**last]
    return Axis(label, 10.0**first, 10.0**last, tuple((value, number(value)) for value in values), log=True)


def rows(names: Sequence[str]) -> Axis:
    """A row for each name, the first on top; row i is at i."""
    return Axis("", len(names) - 0.5, -0.5, tuple(enumerate(names)))


class Plot:
    """Marks are added, then `render` gives the whole element. look: which detector's colour and shape.

    caption: how to read it, for everyone. height: of the frame, without what stands below it.
    """

    def __init__(
        self, title: str, caption: str, x: Axis, y: Axis, *, height: int = 220, left: int = 64
    ) -> None:
        self.title, self.caption = title, caption
        self.x, self.y = x, y
        self.height, self.left = height, left
        self._told: list[str] = []
        self._marks: list[str] = []
        self._legend: list[tuple[int, bool, bool, str]] = []

    def _at(self, x: float, y: float) -> Point:
        across, up = (min(max(share, -0.02), 1.02) for share in (self.x.share(x), self.y.share(y)))
        width = WIDTH - RIGHT - self.left
        return self.left + width * across, TOP + self.height * (1 - up)

    def _path(self, points: Iterable[Point]) -> str:
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (self._at(*point) for point in points))

    def tell(self, sentence: str) -> None:
        """What the marks show, for whoever does not see them."""
        self._told.append(sentence)

    def line(self, points: Sequence[Point], look: int, *, faint: bool = False) -> None:
        kind = f"line{' faint' if faint else ''} s{look % LOOKS}"
        self._marks.append(f'<path class="{kind}" d="{self._path(points)}"{_dashes(look)}/>')

    def band(self, lows: Sequence[Point], highs: Sequence[Point], look: int) -> None:
        outline = self._path([*lows, *reversed(highs)])
        self._marks.append(f'<path class="band s{look % LOOKS}" d="{outline}Z"/>')

    def whisker(self, start: Point, end: Point, look: int) -> None:
        self._marks.append(f'<path class="whisker s{look % LOOKS}" d="{self._path((start, end))}"/>')

    def rule(self, start: Point, end: Point) -> None:
        """A faint line to compare with."""
        self._marks.append(f'<path class="rule" d="{self._path((start, end))}"/>')

    def dot(self, x: float, y: float, look: int, *, hollow: bool = False) -> None:
        self._marks.append(_shape(*self._at(x, y), look, hollow))

    def note(self, x: float, y: float, text: str, anchor: str = "start", lift: float = -8) -> None:
        left, top = self._at(x, y)
        self._marks.append(_text(left, top + lift, text, "note", anchor))

    def name(self, look: int, text: str, *, line: bool = True, dot: bool = False) -> None:
        """A row of the legend."""
        self._legend.append((look, line, dot, text))

    def render(self) -> str:
        total = TOP + self.height + BELOW + LEGEND_ROW * len(self._legend)
        description = f"<title>{_escape(self.title)}</title><desc>{_escape(' '.join(self._told))}</desc>"
        parts = [*self._axes(), *self._marks, *self._rows_of_legend()]
        return f'<svg role="img" viewBox="0 0 {WIDTH} {total}">{description}{"".join(parts)}</svg>'

    def _axes(self) -> list[str]:
        bottom, right = TOP + self.height, WIDTH - RIGHT
        parts = []
        for value, text in self.x.ticks:
            at = self._at(value, self.y.low)[0]
            parts.append(f'<path class="grid" d="M{at:.1f} {TOP}V{bottom}"/>')
            parts.append(_text(at, bottom + 17, text, "tick", "middle"))
        for value, text in self.y.ticks:
            at = self._at(self.x.low, value)[1]
            if self.y.label:
                parts.append(f'<path class="grid" d="M{self.left} {at:.1f}H{right}"/>')
            parts.append(_text(self.left - 8, at + 4.5, text, "tick", "end"))
        parts.append(f'<path class="axis" d="M{self.left} {bottom}H{right}"/>')
        parts.append(_text((self.left + right) / 2, bottom + 37, self.x.label, "label", "middle"))
        if self.y.label:
            turned = f' transform="rotate(-90 14 {TOP + self.height / 2:.0f})"'
            parts.append(_text(14, TOP + self.height / 2, self.y.label, "label", "middle", turned))
        return parts

    def _rows_of_legend(self) -> list[str]:
        parts = []
        for place, (look, line, dot, text) in enumerate(self._legend):
            middle = TOP + self.height + BELOW + LEGEND_ROW * (place + 0.5)
            if line:
                parts.append(f'<path class="line s{look % LOOKS}" d="M14 {middle:.1f}h32"{_dashes(look)}/>')
            if dot:
                parts.append(_shape(30, middle, look, False))
            short = text if len(text) <= NAME_WIDTH else f"{text[: NAME_WIDTH - 1]}…"
            parts.append(_text(54, middle + 4.5, short, "name", "start"))
        return parts


def _text(x: float, y: float, text: str, kind: str, anchor: str, more: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{_escape(text)}</text>'


def _escape(text: str) -> str:
    return html.escape(printable(text))


def _dashes(look: int) -> str:
    """Another one when colours come round again."""
    dash = DASHES[(look + look // LOOKS) % len(DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _shape(x: float, y: float, look: int, hollow: bool) -> str:
    """Eight shapes, so that colour is not needed to tell them apart; another one when colours come again."""
    kind = f'class="dot{" hollow" if hollow else ""} s{look % LOOKS}"'
    match (look + look // LOOKS) % LOOKS:
        case 0:
            return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
        case 1:
            return f'<rect {kind} x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
        case outlined:
            start, outline = OUTLINES[outlined]
            return f'<path {kind} d="M{x:.1f} {y + start:.1f}{outline}"/>'
