"""The plots of report.html, each drawn from a summary and its run; None where there is nothing to draw.

Detectors keep their colour, line and marker, by their place in the run, in every plot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from benchmarks.report import comparison_rows, cost_words, curves, gate_words, overview, words
from benchmarks.report.calibrations import NOT_CALIBRATED, Calibrations, scores_of
from benchmarks.report.observations import MAX_COLUMNS
from benchmarks.report.panel_parts import drawable, stated_ms
from benchmarks.report.svg import Axis, Plot, linear, logarithmic, rows
from benchmarks.runs import RunResult
from benchmarks.stats import DetectorResult, Shown, names_in, wilson
from kimera.models import CALIBRATION_BINS, equal_mass_bins

Summary = dict[str, Any]

QUALITY = names_in(Shown.PLOT)
SHARE = tuple((value / 4, f"{value / 4:g}") for value in range(5))
NAME_WIDTH = 40
MAX_CASCADES = 3  # local detectors, of which only the best one's cascade is drawn at once, and priced
MIN_OF_A_GROUP = 10  # pairs of a point of the reliability diagram


def _titled(detector: DetectorResult) -> str:
    return words.title(detector.name, detector.simulated, NAME_WIDTH)


def _figures(detector: dict[str, Any], metrics: Sequence[str]) -> str:
    """In one line, such as "accuracy 0.940 (0.838 to 0.979), precision ..."."""
    figures = (comparison_rows.figure(metric) for metric in metrics if metric in detector)
    return ", ".join(f"{label} {cell(detector)}" for label, cell in figures)


def _ranked(summary: Summary, run: RunResult) -> Iterable[tuple[int, DetectorResult, np.ndarray]]:
    """(place, detector, bool (n,): its labelled and answered pairs) of those whose scores rank pairs."""
    for look, detector in enumerate(run.detectors):
        if "roc_auc" in summary["detectors"][detector.name]:
            yield look, detector, (run.labels >= 0) & detector.answered


def quality(summary: Summary) -> Plot | None:
    """Each figure of quality of each detector, with its interval."""
    detectors = summary["detectors"]
    shown = [metric for metric in QUALITY if any(metric in detector for detector in detectors.values())]
    if not shown:
        return None
    points = [(detector, metric) for detector in detectors.values() for metric in shown if metric in detector]
    lows = [detector["intervals"].get(metric, [detector[metric]])[0] for detector, metric in points]
    plot = Plot(
        "Quality with its intervals",
        "Marks are the values, lines are their 95 % intervals. Further right is better.",
        linear("value (1 is perfect)", min(0.0, *lows), 1.0),
        rows(list(map(words.label, shown))),
        height=len(shown) * (14 + (8 if overview.are_many(summary) else 12) * len(detectors)),
        left=150,
    )
    for look, (name, detector) in enumerate(detectors.items()):
        title = words.title(name, detector["simulated"], NAME_WIDTH)
        plot.name(look, title, line=False, dot=True)
        apart = (look - (len(detectors) - 1) / 2) * 0.7 / len(detectors)
        for row, metric in enumerate(shown):
            if metric in detector:
                _value_with_interval(plot, detector, metric, row + apart, look)
        plot.tell(f"{title}: {_figures(detector, shown)}.")
    return plot


def _value_with_interval(plot: Plot, detector: dict[str, Any], metric: str, row: float, look: int) -> None:
    if ends := detector["intervals"].get(metric):
        plot.whisker((ends[0], row), (ends[1], row), look)
    plot.dot(detector[metric], row, look)


def roc(summary: Summary, run: RunResult) -> Plot | None:
    plot = Plot(
        "ROC curve",
        "Recall against the false positive rate at every threshold. The mark shows the verdicts as given; "
        "the diagonal is chance.",
        Axis("false positive rate", 0.0, 1.0, SHARE),
        Axis("recall", 0.0, 1.0, SHARE),
    )
    plot.rule((0, 0), (1, 1))
    for look, detector, used in (ranked := list(_ranked(summary, run))):
        truth, called = run.labels[used] == 1, detector.verdicts[used] == 1
        plot.line(curves.roc(truth, detector.scores[used]), look)
        plot.dot(float(called[~truth].mean()), float(called[truth].mean()), look)
        _name_with(plot, summary, look, detector, "roc_auc")
    return plot if ranked else None


def precision_recall(summary: Summary, run: RunResult) -> Plot | None:
    plot = Plot(
        "Precision and recall",
        "Precision against recall at every threshold. The mark shows the verdicts as given; the flat line is "
        "the share of contradictions.",
        Axis("recall", 0.0, 1.0, SHARE),
        Axis("precision", 0.0, 1.0, SHARE),
    )
    for look, detector, used in (ranked := list(_ranked(summary, run))):
        truth, called = run.labels[used] == 1, detector.verdicts[used] == 1
        plot.rule((0, float(truth.mean())), (1, float(truth.mean())))
        plot.line(curves.precision_recall(truth, detector.scores[used]), look)
        if called.any():
            plot.dot(float(called[truth].mean()), float(truth[called].mean()), look)
        _name_with(plot, summary, look, detector, "average_precision")
    return plot if ranked else None


def _name_with(plot: Plot, summary: Summary, look: int, detector: DetectorResult, figure: str) -> None:
    """The detector in the legend, and this figure of its in the text alternative."""
    plot.name(look, _titled(detector), dot=True)
    plot.tell(f"{_titled(detector)}: {_figures(summary['detectors'][detector.name], [figure])}.")


def reliability(summary: Summary, run: RunResult, calibrations: Calibrations = NOT_CALIBRATED) -> list[Plot]:
    """One plot for as many detectors as a reader can tell apart: their intervals overlap."""
    ranked = list(_ranked(summary, run))
    count = -(-len(ranked) // MAX_COLUMNS)
    each = -(-len(ranked) // max(count, 1))
    return [
        _reliability(
            summary,
            run,
            calibrations,
            ranked[part * each : (part + 1) * each],
            f", {part + 1} of {count}" * (count > 1),
        )
        for part in range(count)
    ]


def _reliability(
    summary: Summary,
    run: RunResult,
    calibrations: Calibrations,
    ranked: Sequence[tuple[int, DetectorResult, np.ndarray]],
    part: str,
) -> Plot:
    plot = Plot(
        f"Reliability of the scores{part}",
        "Share of contradictions among pairs of similar score, in groups of equal size, with 95 % intervals "
        "(pairs are taken as independent). Calibrated scores lie on the diagonal."
        + (" A thin line is of the scores by --calibrate." if calibrations else ""),
        Axis("mean score, P(contradiction)", 0.0, 1.0, SHARE),
        Axis("share of contradictions", 0.0, 1.0, SHARE),
    )
    plot.rule((0, 0), (1, 1))
    for look, detector, used in ranked:
        groups = min(CALIBRATION_BINS, max(1, int(used.sum()) // MIN_OF_A_GROUP))
        bins = equal_mass_bins(detector.scores[used], run.labels[used] == 1, groups)
        plot.line([(score, share) for _, score, share in bins], look)
        for count, score, share in bins:
            low, high = wilson(share, count)
            plot.whisker((score, low), (score, high), look)
            plot.dot(score, share, look)
        if (calibrated := scores_of(calibrations, detector.name)) is not None:
            bins = equal_mass_bins(calibrated[used], run.labels[used] == 1, groups)
            plot.line([(score, share) for _, score, share in bins], look, faint=True)
        plot.name(look, _titled(detector), dot=True)
        error = _figures(summary["detectors"][detector.name], ["calibration_error"])
        plot.tell(f"{_titled(detector)}: {error}.")
    return plot


def latency(run: RunResult) -> Plot | None:
    """A cumulative curve for each judge; the reactor's amortised time is one line."""
    timed = [stated_ms(detector) for detector in run.detectors]
    judged = [
        not detector.info.is_amortised and times.size
        for detector, times in zip(run.detectors, timed, strict=True)
    ]
    if not any(judged):
        return None
    drawn = [drawable(times) for times in timed if times.size]
    ends = [end for times in drawn for end in (times.min(), times.max())]
    plot = Plot(
        "Latency",
        "Share of the pairs that were answered within the time on the axis."
        + ("" if all(judged) else " A local detector computes pairs in batches, so its line is the mean."),
        logarithmic("milliseconds a pair (logarithmic)", float(min(ends)), float(max(ends))),
        Axis("share of timed pairs", 0.0, 1.0, SHARE),
    )
    for look, (detector, times) in enumerate(zip(run.detectors, timed, strict=True)):
        if not times.size:
            continue
        mean = float(times.mean())
        if detector.info.has_batch_times:
            how = f"mean {words.quantity(mean)} ms, amortised"
            at = float(drawable(times.mean()))
            plot.line([(at, 0.0), (at, 1.0)], look)
        else:
            how = f"median {words.quantity(float(np.median(times)))} ms"
            plot.line(curves.distribution(drawable(times)), look)
        plot.name(look, f"{_titled(detector)}: {how}")
        plot.tell(f"{_titled(detector)}: {how}.")
    return plot


def concurrency(run: RunResult) -> Plot | None:
    """Requests in flight over the run, and the limits that --async auto set."""
    judges = {look: judge for look, judge in enumerate(run.detectors) if judge.info.role == "judge"}
    drawn = {look: curve for look, judge in judges.items() if (curve := _in_flight(judge))}
    limits = {look: _limit_line(judges[look]) for look in drawn if judges[look].limit_changes}
    if not drawn:
        return None
    points = [point for line in (*drawn.values(), *limits.values()) for point in line]
    plot = Plot(
        "Requests in flight",
        "The number of requests in flight over the run, among those that brought a verdict."
        + (" A thin line is the limit that --async auto set." if limits else ""),
        linear("seconds into the run", 0.0, max(x for x, _ in points)),
        linear("requests in flight", 0.0, max(y for _, y in points)),
    )
    for look, line in limits.items():
        plot.line(line, look, faint=True)
    for look, line in drawn.items():
        plot.line(line, look)
        plot.name(look, _titled(judges[look]))
        plot.tell(f"{_titled(judges[look])}: at most {max(y for _, y in line):.0f} in flight.")
    return plot


def _in_flight(judge: DetectorResult) -> curves.Curve:
    """Empty where no answer was timed."""
    if judge.done_s is None:
        return []
    timed = ~np.isnan(judge.done_s) & ~np.isnan(judge.latency_ms)
    if not timed.any():
        return []
    return curves.in_flight(judge.done_s[timed].astype(np.float64), judge.latency_ms[timed], judge.wall_s)


def _limit_line(detector: DetectorResult) -> curves.Curve:
    changes = [(second, float(limit)) for second, limit, _ in detector.limit_changes]
    end = max(changes[-1][0], detector.wall_s)
    return curves.stepped([*changes, (end, changes[-1][1])])


def cascades(summary: Summary) -> tuple[list[Plot], list[Plot]]:
    """For each local detector and judge: accuracy against the share of pairs that the judge is asked.

    Those to look at, where local detectors are many the best one's alone, and the others.
    """
    drawn = [entry for entry in summary.get("cascade") or () if len(entry["curve"]) > 1]
    shown = [entry for entry in drawn if _is_worth_a_look(summary, entry)]
    rest = [entry for entry in drawn if entry not in shown]
    return [_cascade(summary, entry) for entry in shown], [_cascade(summary, entry) for entry in rest]


def _is_worth_a_look(summary: Summary, entry: dict[str, Any]) -> bool:
    local = overview.ranked(summary, "local")
    return entry["reactor"] == local[0] or len(local) < MAX_CASCADES


def _cascade(summary: Summary, entry: dict[str, Any]) -> Plot:
    names = words.titles(summary)
    reactor, judge = names[entry["reactor"]], names[entry["judge"]]
    places = list(summary["detectors"])
    first, second = places.index(entry["reactor"]), places.index(entry["judge"])
    curve = entry["curve"]
    low, high = _accuracy_range(curve)
    plot = Plot(
        f"Cascade: {reactor}, then {judge}",
        f"Accuracy when the pairs that {reactor} is least sure of go to {judge}. The band is the 95 % "
        "interval.",
        Axis("share of the pairs sent to the judge", 0.0, 1.0, SHARE),
        linear("accuracy", low, high),
    )
    _draw_curve(plot, curve, [point["sent"] for point in curve], first)
    plot.dot(curve[0]["sent"], curve[0]["accuracy"], first)
    plot.dot(curve[-1]["sent"], curve[-1]["accuracy"], second)
    plot.name(first, f"{reactor} alone, {curve[0]['accuracy']:.3f}", line=False, dot=True)
    plot.name(second, f"{judge} alone, {curve[-1]['accuracy']:.3f}", line=False, dot=True)
    enough = entry.get("indistinguishable")
    if enough and 0 < enough["sent"] < 1:
        _mark_enough(plot, curve, enough["sent"], first)
    plot.tell(gate_words.cascade_finding(summary, entry).support)
    return plot


def _mark_enough(plot: Plot, curve: list[dict[str, Any]], sent: float, look: int) -> None:
    at = min(curve, key=lambda point: abs(point["sent"] - sent))
    plot.rule((sent, plot.y.low), (sent, plot.y.high))
    plot.dot(at["sent"], at["accuracy"], look, hollow=True)
    plot.note(
        sent,
        plot.y.low,
        f" {sent:.0%}: no significant difference from the judge ",
        "end" if sent > 0.5 else "start",
    )


def _accuracy_range(curve: list[dict[str, Any]]) -> tuple[float, float]:
    ends = [end for point in curve for end in point.get("intervals", {}).get("accuracy", [point["accuracy"]])]
    return min(ends), max(ends)


def _draw_curve(plot: Plot, curve: list[dict[str, Any]], xs: list[float], look: int) -> None:
    with_band = [
        (x, point["intervals"]["accuracy"])
        for x, point in zip(xs, curve, strict=True)
        if "accuracy" in point.get("intervals", {})
    ]
    if with_band:
        plot.band([(x, ends[0]) for x, ends in with_band], [(x, ends[1]) for x, ends in with_band], look)
    plot.line([(x, point["accuracy"]) for x, point in zip(xs, curve, strict=True)], look)


def cost(summary: Summary) -> Plot | None:
    """Accuracy against dollars, of each detector whose cost is known, and of each cascade between them."""
    costs = {
        name: cost_words.dollars_per_thousand(detector) for name, detector in summary["detectors"].items()
    }
    shown = {
        name: dollars
        for name, dollars in costs.items()
        if dollars is not None and "accuracy" in summary["detectors"][name]
    }
    if not any(shown.values()):
        return None
    lows = [summary["detectors"][name]["intervals"].get("accuracy", [0.0])[0] for name in shown]
    if_real = any(summary["detectors"][name]["simulated"] for name in shown)
    plot = Plot(
        "Cost and quality",
        "Accuracy with its 95 % interval against what a thousand pairs cost in requests."
        + (" A simulated judge is priced as if it were real." if if_real else ""),
        linear("dollars for 1,000 pairs", 0.0, max(shown.values())),
        linear("accuracy", min(lows), 1.0),
    )
    for entry in summary.get("cascade") or ():
        if _is_worth_a_look(summary, entry):
            _draw_cascade_cost(plot, summary, entry)
    for look, (name, detector) in enumerate(summary["detectors"].items()):
        if name in shown:
            _draw_cost(plot, detector, shown[name], words.titles(summary)[name], look)
    return plot


def _draw_cascade_cost(plot: Plot, summary: Summary, entry: dict[str, Any]) -> None:
    priced = [point for point in entry["curve"] if point.get("dollars") is not None]
    if len(priced) > 1 and entry["pairs"]:
        xs = [1000 * point["dollars"] / entry["pairs"] for point in priced]
        look = list(summary["detectors"]).index(entry["judge"])
        _draw_curve(plot, priced, xs, look)
        names = words.titles(summary)
        is_one_of_many = len(overview.ranked(summary, "local")) > 1
        through = f"of {names[entry['reactor']]} and" if is_one_of_many else "with"
        plot.name(look, f"cascade {through} {names[entry['judge']]}")


def _draw_cost(plot: Plot, detector: dict[str, Any], dollars: float, title: str, look: int) -> None:
    if ends := detector["intervals"].get("accuracy"):
        plot.whisker((dollars, ends[0]), (dollars, ends[1]), look)
    plot.dot(dollars, detector["accuracy"], look)
    fee = cost_words.written_dollars(dollars)
    plot.name(look, f"{title}: {fee}", line=False, dot=True)
    plot.tell(f"{title}: {fee} for 1,000 pairs, accuracy {detector['accuracy']:.3f}.")
