"""The panels of comparison.png for many detectors: a row for each, numbered, instead of bars and curves."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import words
from benchmarks.report.panel_parts import (
    QUALITY,
    drawable,
    heat,
    n_of,
    rates_of,
    say,
    set_time_axis,
    stated_ms,
    widen_to_decades,
)
from benchmarks.runs import RunResult
from benchmarks.stats import DetectorResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW_INCHES = 0.24
COLUMN = 0.72  # of the room between two figures; the rest holds the value
NAME_WIDTH = 34


def heights(detectors: int) -> list[float]:
    """Inches of the panel of quality, and of those below it."""
    return [1.1 + ROW_INCHES * detectors, max(2.6, 0.9 + ROW_INCHES * detectors)]


def draw_quality(axes: Axes, summary: dict[str, Any]) -> None:
    """A band for each figure, from 0 to 1, on which each detector has its value and interval."""
    detectors = summary["detectors"]
    counts = [detector["labelled_answered"] for detector in detectors.values()]
    axes.set_title(f"Quality, 0 to 1, with 95 % intervals, on answered pairs with a label ({n_of(counts)})")
    axes.figure.suptitle(textwrap.fill(words.dataset_sentence(summary), 100), fontsize=8)
    names = [words.title(name, each["simulated"], NAME_WIDTH) for name, each in detectors.items()]
    _set_rows(axes, [f"{name}  {number}" for number, name in enumerate(names, 1)])
    axes.set_xticks(np.arange(len(QUALITY)) + COLUMN / 2, list(map(words.label, QUALITY)))
    axes.set_xlim(-0.04, len(QUALITY))
    axes.tick_params(axis="x", length=0)
    for place, metric in enumerate(QUALITY):
        axes.axvspan(place, place + COLUMN, color="0.95", linewidth=0)
        _draw_figure(axes, place, metric, list(detectors.values()))
    if not any(metric in detector for detector in detectors.values() for metric in QUALITY):
        say(axes, "no labelled pair was answered")


def _set_rows(axes: Axes, names: list[str]) -> None:
    """The first row on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _draw_figure(axes: Axes, place: int, metric: str, detectors: list[dict[str, Any]]) -> None:
    """Values below 0, which MCC may have, stand at the left edge; the number tells them."""
    for row, detector in enumerate(detectors):
        value = detector.get(metric)
        if value is not None:
            low, high = detector["intervals"].get(metric, (value, value))
            left, middle, right = (place + COLUMN * float(np.clip(end, 0, 1)) for end in (low, value, high))
            axes.plot([left, right], [row, row], color="black", linewidth=0.9)
            axes.plot(middle, row, "ko", markersize=3)
        text = words.MISSING if value is None else f"{value:.2f}"
        axes.text(place + COLUMN + 0.04, row, text, va="center", fontsize=6.5)


def draw_latency(axes: Axes, run: RunResult) -> None:
    """The mean where only that is known; else the median, and the middle 90 % as a line."""
    timed = [stated_ms(detector) for detector in run.detectors]
    axes.set_title(f"Latency ({n_of([times.size for times in timed])})")
    set_time_axis(axes)
    _set_rows(axes, [str(number) for number in range(1, len(timed) + 1)])
    for row, (detector, times) in enumerate(zip(run.detectors, timed, strict=True)):
        if times.size:
            _draw_times(axes, row, detector, times)
        else:
            across = axes.get_yaxis_transform()
            axes.text(0.02, row, "not timed", transform=across, va="center", fontsize=6, color="0.35")
    if axes.lines:
        widen_to_decades(axes)
        axes.set_xlabel("latency (ms, logarithmic)\n○ mean, amortised    ● median, 5 to 95 %")
    else:
        say(axes, "no answer was timed")


def _draw_times(axes: Axes, row: int, detector: DetectorResult, times: np.ndarray) -> None:
    if detector.info.has_batch_times:
        middle = float(times.mean())
        at = float(drawable(times.mean()))
        axes.plot(at, row, "ko", markersize=4, markerfacecolor="white")
    else:
        middle = float(np.median(times))
        low, at, high = (float(end) for end in np.quantile(drawable(times), (0.05, 0.5, 0.95)))
        axes.plot([low, high], [row, row], color="black", linewidth=0.9)
        axes.plot(at, row, "ko", markersize=4)
    text = f"{words.quantity(middle)}"
    axes.annotate(text, (at, row), (0, 3), textcoords="offset points", ha="center", fontsize=6)


def draw_agreement(axes: Axes, summary: dict[str, Any]) -> None:
    """The rate for each two of them, in whole percent."""
    rates, counts = rates_of(summary, list(summary["detectors"]))
    axes.set_title(f"Same verdict, % ({n_of(counts)})")
    texts = [[_percent(rate) if i != j else "" for j, rate in enumerate(row)] for i, row in enumerate(rates)]
    heat(axes, np.nan_to_num(rates), texts, size=6)
    numbers = [str(number) for number in range(1, len(rates) + 1)]
    axes.set_xticks(np.arange(len(numbers)) + 0.5, numbers)
    axes.set_yticks(np.arange(len(numbers)) + 0.5, numbers)


def _percent(rate: float) -> str:
    return words.MISSING if np.isnan(rate) else f"{100 * rate:.0f}"
