"""comparison.png: quality, latency and agreement in one page-wide picture, readable in black and white."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.report import words
from benchmarks.runs import RunResult
from benchmarks.stats import DetectorResult, Shown, names_in
from kimera.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUALITY = names_in(Shown.PICTURE)
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
NAME_WIDTH = 40


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
    with rc_context(STYLE), replacing(path) as part:
        figure = Figure(
            (7.2, 3.1 * len(rows)), dpi=200, layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.06)
        )
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplot_mosaic(rows)
        _draw_quality(axes["quality"], summary)
        _draw_latency(axes["latency"], run)
        _draw_agreement(axes["agreement"], summary, run)
        if adaptive:
            _draw_limits(axes["limit"], adaptive)
        with part.open("wb") as file:
            canvas.print_png(file)


def _short(detector: DetectorResult, width: int = NAME_WIDTH) -> str:
    return words.title(detector.name, detector.simulated, width)


def _n(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return f"n = {low:,}" if low == high else f"n = {low:,} to {high:,}"


def _style(index: int) -> dict[str, Any]:
    return {
        "facecolor": COLOURS[index % 4],
        "hatch": HATCHES[index % 4],
        "edgecolor": "black",
        "linewidth": 0.6,
    }


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color="0.35")


def _draw_quality(axes: Axes, summary: dict[str, Any]) -> None:
    detectors = summary["detectors"]
    counts = [detector["labelled_answered"] for detector in detectors.values()]
    axes.set_title(f"Quality with 95 % intervals, on answered pairs with a label ({_n(counts)})")
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
        _say(axes, "no labelled pair was answered")


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
    timed = [detector.latency_ms[~np.isnan(detector.latency_ms)] for detector in run.detectors]
    axes.set_title(f"Latency ({_n([times.size for times in timed])})")
    axes.set_xlabel("latency (ms, logarithmic)")
    axes.set_ylabel("share of timed pairs")
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    for index, (detector, times) in enumerate(zip(run.detectors, timed, strict=True)):
        if times.size:
            # A clock may read zero, which a logarithmic axis cannot show.
            _draw_times(axes, index, detector, np.maximum(times, 1e-3))
    if axes.lines:
        _widen_to_decades(axes)
        axes.legend(loc="upper center", bbox_to_anchor=(0.45, 0), borderaxespad=5, fontsize=7, handlelength=3)
    else:
        _say(axes, "no answer was timed")


def _widen_to_decades(axes: Axes) -> None:
    """Powers of ten carry the axis's only numbers, so both ends are one."""
    low, high = np.log10(axes.get_xlim())
    axes.set_xlim(10 ** np.floor(low), 10 ** np.ceil(high))


def _draw_times(axes: Axes, index: int, detector: DetectorResult, times: np.ndarray) -> None:
    name = _short(detector)
    look: dict[str, Any] = {"color": "black", "linestyle": LINES[index % 4], "linewidth": 1.4}
    if detector.info.has_batch_times:
        mean = float(times.mean())
        how = "amortised, texts cached" if detector.settings.get("from_cache") else "amortised"
        axes.axvline(mean, label=f"{name}: {words.quantity(mean)} ms, {how}", **look)
    else:
        axes.ecdf(times, label=name, **look)


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
        ("dataset says", f"{_short(detector)} says"),
    )


def _draw_two(
    axes: Axes, agreement: dict[str, Any], a: DetectorResult, b: DetectorResult, labels: np.ndarray
) -> None:
    """Who was right if the dataset says, otherwise who said what."""
    names = (_short(a), _short(b))
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
    _heat(axes, share, texts)
    axes.set_xticks((0.5, 1.5), ticks)
    axes.set_yticks((0.5, 1.5), ticks, rotation=90, va="center")
    axes.set_ylabel(names[0])
    axes.set_xlabel(names[1])


def _draw_rates(axes: Axes, summary: dict[str, Any], detectors: tuple[DetectorResult, ...]) -> None:
    place = {detector.name: index for index, detector in enumerate(detectors)}
    rates = np.full((len(place), len(place)), np.nan)
    for entry in summary["agreement"]:
        i, j = place[entry["a"]], place[entry["b"]]
        rates[i, j] = rates[j, i] = entry.get("rate", np.nan)
    counts = [entry["both_answered"] for entry in summary["agreement"]]
    axes.set_title(f"Same verdict ({_n(counts)})")
    texts = [["" if i == j else _rate(rates[i, j]) for j in place.values()] for i in place.values()]
    _heat(axes, np.nan_to_num(rates), texts)
    numbers = range(1, len(detectors) + 1)
    names = [_short(name, 24) for name in detectors]
    axes.set_xticks(np.arange(len(names)) + 0.5, [str(number) for number in numbers])
    axes.set_yticks(
        np.arange(len(names)) + 0.5,
        [f"{name}  {number}" for number, name in zip(numbers, names, strict=True)],
    )


def _rate(rate: float) -> str:
    return words.MISSING if np.isnan(rate) else f"{rate:.1%}"


def _heat(axes: Axes, shares: np.ndarray, texts: list[list[str]]) -> None:
    """A square of cells, darker for a larger share (0 to 1), each with its text."""
    axes.pcolormesh(shares, cmap="Greys", vmin=0, vmax=1.25, edgecolor="black", linewidth=0.6)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.tick_params(length=0)
    for (i, j), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 else "black"
        axes.text(j + 0.5, i + 0.5, texts[i][j], ha="center", va="center", color=colour)


def _no_table(axes: Axes, reason: str) -> None:
    axes.set_axis_off()
    _say(axes, reason)


def _draw_limits(axes: Axes, detectors: list[DetectorResult]) -> None:
    for index, detector in enumerate(detectors):
        seconds, limits, _ = zip(*detector.limit_changes, strict=True)
        end = max(seconds[-1], detector.wall_s)
        name = _short(detector)
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
