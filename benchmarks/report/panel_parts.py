"""What the panels of comparison.png share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import words
from benchmarks.stats import DetectorResult, Shown, names_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUALITY = names_in(Shown.PICTURE)
NAME_WIDTH = 40


def short(detector: DetectorResult, width: int = NAME_WIDTH) -> str:
    return words.title(detector.name, detector.simulated, width)


def n_of(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"n = {low:,}" if low == high else f"n = {low:,} to {high:,}"


def say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.35")


def stated_ms(detector: DetectorResult) -> np.ndarray:
    """float (k,): the times of its answers; none where all are 0, as those of a file of verdicts may be."""
    times: np.ndarray = detector.latency_ms[~np.isnan(detector.latency_ms)]
    return np.asarray(times if times.any() else times[:0])


def drawable(times_ms: np.ndarray) -> np.ndarray:
    """A clock may read zero, which a logarithmic axis cannot show: that is a microsecond there."""
    return np.asarray(np.maximum(times_ms, 1e-3))


def set_time_axis(axes: Axes) -> None:
    axes.set_xlabel("latency (ms, logarithmic)")
    axes.set_xscale("log")
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")


def widen_to_decades(axes: Axes) -> None:
    """Powers of ten carry the axis's only numbers, so both ends are one."""
    low, high = np.log10(axes.get_xlim())
    axes.set_xlim(10 ** np.floor(low), 10 ** np.ceil(high))


def heat(axes: Axes, shares: np.ndarray, texts: list[list[str]], size: float | None = None) -> None:
    """A square of cells, darker for a larger share (0 to 1), each with its text of that size in points."""
    axes.pcolormesh(shares, cmap="Greys", vmin=0, vmax=1.25, edgecolor="black", linewidth=0.6)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for (i, j), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 else "black"
        text = texts[i][j]
        axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", color=colour, fontsize=size)


def rates_of(summary: dict[str, Any], names: list[str]) -> tuple[np.ndarray, list[int]]:
    """(float (n, n): of each two, the share of pairs with the same verdict, or NaN; how many pairs)."""
    place = {name: index for index, name in enumerate(names)}
    rates = np.full((len(place), len(place)), np.nan)
    entries = summary["agreement"]
    for entry in entries:
        i, j = place[entry["a"]], place[entry["b"]]
        rates[i, j] = rates[j, i] = entry.get("rate", np.nan)
    return rates, [entry["both_answered"] for entry in entries]
