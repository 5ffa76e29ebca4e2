"""comparison.png: quality, latency and agreement in one page-wide picture, readable in black and white.

More detectors than bars stay readable for have the panels of `wide_picture`.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import overview, wide_picture, words
from benchmarks.report.panel_parts import (
    NAME_WIDTH,
    QUALITY,
    drawable,
    heat,
    n_of,
    rates_of,
    say,
    set_time_axis,
    short,
    stated_ms,
    widen_to_decades,
)
from benchmarks.runs import RunResult
from benchmarks.stats import DetectorResult
from kimera.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#1f4e79", "#f2b134", "#7fb7be", "#d9d9d9")
HATCHES = ("", "///", "...", "xxx")
LINES = ("-", "--", "-.", ":")
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold dollar signs
}


def draw_comparison(summary: dict[str, Any], run: RunResult, path: Path) -> None:
    """Writes the PNG, 7.2 inches wide at 200 dpi. Works without labels, answers or a second detector.

    Where --async auto ran, a row below shows how many requests might be in flight, over time.
    """
    # Here, since it takes long, and --no-viz needs none.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    adaptive = [detector for detector in run.detectors if detector.limit_changes]
    rows: list[Any] = [["quality", "quality"], ["latency", "agreement"]]
    rows += [["limit", "limit"]] if adaptive else []
    are_many = overview.are_many(summary)
    heights = [3.1] * len(rows)
    if are_many:
        heights[:2] = wide_picture.heights(len(run.detectors))
    with rc_context(STYLE), replacing(path) as part:
        figure = Figure((7.2, sum(heights)), dpi=200, layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.06))
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplot_mosaic(rows, height_ratios=heights)
        if are_many:
            wide_picture.draw_quality(axes["quality"], summary)
            wide_picture.draw_latency(axes["latency"], run)
            wide_picture.draw_agreement(axes["agreement"], summary)
        else:
            _draw_quality(axes["quality"], summary)
            _draw_latency(axes["latency"], run)
            _draw_agreement(axes["agreement"], summary, run)
        if adaptive:
            _draw_limits(axes["limit"], adaptive)
        with part.open("wb") as file:
            canvas.print_png(file)


def _style(index: int) -> dict[str, Any]:
    return {
        "facecolor": COLOURS[index % 4],
        "hatch": HATCHES[index % 4],
        "edgecolor": "black",
        "linewidth": 0.6,
    }


def _draw_quality(axes: Axes, summary: dict[str, Any]) -> None:
    detectors = summary["detectors"]
    counts = [detector["labelled_answered"] for detector in detectors.values()]
    axes.set_title(f"Quality with 95 % intervals, on answered pairs with a label ({n_of(counts)})")
    axes.set_ylabel("value (1 is perfect)")
    axes.set_xticks(range(len(QUALITY)), list(map(words.label, QUALITY)))
    values = [detector[metric] for detector in detectors.values() for metric in QUALITY if metric in detector]
    axes.set_ylim(min([0.0, *(value - 0.15 for value in values if value < 0)]), 1.15)
    axes.axhline(0, color="black", linewidth=0.6)
    width = 0.84 / len(detectors)
    for index, (name, detector) in enumerate(detectors.items()):
        places = np.arange(len(QUALITY)) + (index - (len(detectors) - 1) / 2) * width
        heights = [detector.get(metric, 0.0) for metric in QUALITY]
        label = words.title(name, detector["simulated"], NAME_WIDTH)
        axes.bar(places, heights, width, label=label, **_style(index))
        for place, metric in zip(places, QUALITY, strict=True):
            _label_bar(axes, place, metric, detector, 7 if len(detectors) < 4 else 6)
    dataset = textwrap.fill(words.dataset_sentence(summary), 100)
    axes.figure.legend(loc="outside upper center", ncols=2, title=dataset)
    if not values:
        say(axes, "no labelled pair was answered")


def _label_bar(axes: Axes, place: float, metric: str, detector: dict[str, Any], size: int) -> None:
    """The value above its bar, or above its interval where there is one."""
    value = detector.get(metric)
    height = value or 0.0
    low, high = detector["intervals"].get(metric, (height, height))
    if high > low:
        reach = [[max(0.0, height - low)], [max(0.0, high - height)]]
        axes.errorbar(place, height, yerr=reach, color="black", linewidth=0.8, capsize=1.5)
    text = words.MISSING if value is None else f"{value:.2f}"
    above = max(0.0, height, high)
    axes.annotate(text, (place, above), (0, 2), textcoords="offset points", ha="center", fontsize=size)


def _draw_latency(axes: Axes, run: RunResult) -> None:
    """A cumulative curve for each judge; the reactor's amortised time is one line."""
    timed = [stated_ms(detector) for detector in run.detectors]
    axes.set_title(f"Latency ({n_of([times.size for times in timed])})")
    axes.set_ylabel("share of timed pairs")
    axes.set_ylim(0, 1.02)
    set_time_axis(axes)
    for index, (detector, times) in enumerate(zip(run.detectors, timed, strict=True)):
        if times.size:
            _draw_times(axes, index, detector, times)
    if axes.lines:
        widen_to_decades(axes)
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, 0), borderaxespad=5, fontsize=7, handlelength=3)
    else:
        say(axes, "no answer was timed")


def _draw_times(axes: Axes, index: int, detector: DetectorResult, times: np.ndarray) -> None:
    name = short(detector)
    look: dict[str, Any] = {"color": "black", "linestyle": LINES[index % 4], "linewidth": 1.4}
    if detector.info.has_batch_times:
        mean = float(times.mean())
        how = "amortised, texts cached" if detector.settings.get("from_cache") else "amortised"
        axes.axvline(float(drawable(times.mean())), label=f"{name}: {words.quantity(mean)} ms, {how}", **look)
    else:
        axes.ecdf(drawable(times), label=name, **look)


def _draw_agreement(axes: Axes, summary: dict[str, Any], run: RunResult) -> None:
    """One detector against the labels, two as who was right, more as the rate for each two of them."""
    if len(run.detectors) == 1:
        _draw_against_labels(axes, run.detectors[0], run.labels)
    elif len(run.detectors) == 2:
        _draw_two(axes, summary["agreement"][0], *run.detectors, run.labels)
    else:
        _draw_rates(axes, summary, run.detectors)


def _draw_against_labels(axes: Axes, detector: DetectorResult, labels: np.ndarray) -> None:
    scored = (labels >= 0) & detector.answered
    axes.set_title(f"Verdicts against labels (n = {scored.sum():,})")
    if not scored.any():
        return _no_table(axes, "no labelled pair was answered")
    return _draw_crossed(
        axes,
        _crossed(labels[scored], detector.verdicts[scored]),
        ("contradiction", "not"),
        ("dataset says", f"{short(detector)} says"),
    )


def _draw_two(
    axes: Axes, agreement: dict[str, Any], a: DetectorResult, b: DetectorResult, labels: np.ndarray
) -> None:
    """Who was right if the dataset says, otherwise who said what."""
    names = (short(a), short(b))
    if "both_right" in agreement:
        table = np.array(
            [[agreement["both_right"], agreement["only_a"]], [agreement["only_b"], agreement["both_wrong"]]]
        )
        axes.set_title(f"Who was right (n = {table.sum():,})")
        return _draw_crossed(axes, table, ("right", "wrong"), names)
    both = a.answered & b.answered
    axes.set_title(f"Who said what (n = {both.sum():,})")
    if not both.any():
        return _no_table(axes, "no pair was answered by both")
    table = _crossed(a.verdicts[both], b.verdicts[both])
    return _draw_crossed(axes, table, ("contradiction", "not"), names)


def _crossed(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """int (2, 2): how often (row, column) is (1, 1), (1, 0); (0, 1), (0, 0)."""
    return np.array([[((rows == row) & (columns == column)).sum() for column in (1, 0)] for row in (1, 0)])


def _draw_crossed(axes: Axes, table: np.ndarray, ticks: tuple[str, str], names: tuple[str, str]) -> None:
    share = table / table.sum()
    texts = [[f"{table[i, j]:,}\n{share[i, j]:.1%}" for j in (0, 1)] for i in (0, 1)]
    heat(axes, share, texts)
    axes.set_xticks((0.5, 1.5), ticks)
    axes.set_yticks((0.5, 1.5), ticks, rotation=90, va="center")
    axes.set_ylabel(names[0])
    axes.set_xlabel(names[1])


def _draw_rates(axes: Axes, summary: dict[str, Any], detectors: tuple[DetectorResult, ...]) -> None:
    rates, counts = rates_of(summary, [detector.name for detector in detectors])
    axes.set_title(f"Same verdict ({n_of(counts)})")
    texts = [
        ["" if i == j else _rate(rate) for j, rate in enumerate(row)] for i, row in enumerate(rates.tolist())
    ]
    heat(axes, np.nan_to_num(rates), texts)
    numbers = range(1, len(detectors) + 1)
    names = [short(name, 24) for name in detectors]
    axes.set_xticks(np.arange(len(names)) + 0.5, [str(number) for number in numbers])
    axes.set_yticks(
        np.arange(len(names)) + 0.5,
        [f"{name}  {number}" for number, name in zip(numbers, names, strict=True)],
    )


def _rate(rate: float) -> str:
    return words.MISSING if np.isnan(rate) else f"{rate:.1%}"


def _no_table(axes: Axes, reason: str) -> None:
    axes.set_axis_off()
    say(axes, reason)


def _draw_limits(axes: Axes, detectors: list[DetectorResult]) -> None:
    for index, detector in enumerate(detectors):
        seconds, limits, _ = zip(*detector.limit_changes, strict=True)
        end = max(seconds[-1], detector.wall_s)
        name = short(detector)
        axes.step(
            [*seconds, end],
            [*limits, limits[-1]],
            where="post",
            color="black",
            ls=LINES[index % 4],
            label=name,
        )
        cuts = [
            (second, limit) for second, limit, reason in detector.limit_changes if reason.startswith("429")
        ]
        if cuts:
            axes.plot(*zip(*cuts, strict=True), "kv", ms=5, label=f"cut after a 429 ({len(cuts)}), {name}")
    axes.set_title(
        f"Requests allowed in flight, set by --async auto (n = {sum(map(_changes, detectors)):,} changes)"
    )
    axes.set_xlabel("seconds into the run")
    axes.set_ylabel("requests in flight")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")


def _changes(detector: DetectorResult) -> int:
    return len(detector.limit_changes) - 1
