"""The summary in words: the rows and sentences that the terminal and the Markdown report lay out.

Names come from data and models: here they are made printable; escaping is left to whoever lays them out.
Every sentence starts with words of ours, so that no name can open a heading or a list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.pricing import in_dollars
from benchmarks.results import NO_FEE, NO_PRICE

Detector = dict[str, Any]
Row = tuple[str, ...]

LABELS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "brier": "Brier score",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "mcc": "MCC",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "accuracy_failed_as_wrong": "accuracy, failures as wrong",
    "latency_ms.mean": "mean latency",
    "latency_ms.p50": "median latency",
    "latency_ms.p95": "p95 latency",
    "latency_ms.p99": "p99 latency",
    "pair_ms.mean": "mean with retries",
    "pair_ms.p95": "p95 with retries",
    "pairs_per_s": "pairs a second",
    "mean_in_flight": "mean in flight",
    "stability.flip_rate": "share of verdicts that changed",
    "stability.order_disagreement": "disagreement between the orders of the texts",
    "calibration.brier": "Brier score from logprobs",
    "calibration.brier_stated": "Brier score as stated",
    "dollars": "cost",
    "tokens.prompt": "prompt tokens",
    "tokens.completion": "completion tokens",
    "tokens.cached": "cached tokens",
    "tokens.reasoning": "reasoning tokens",
    "cost.per_correct": "dollars per correct verdict",
    "cost.per_contradiction": "dollars per contradiction found",
    "thresholds.cross_validated": "cross-validated threshold",
    "thresholds.accuracy": "accuracy at that threshold",
    "thresholds.f1": "F1 at that threshold",
    "thresholds.mcc": "MCC at that threshold",
    "at_prevalence.accuracy": "restated accuracy",
    "at_prevalence.precision": "restated precision",
    "at_prevalence.f1": "restated F1",
    "at_prevalence.dollars_per_contradiction": "restated dollars per contradiction",
    "rate": "same verdict",
    "kappa": "kappa",
    "both_right": "both right",
    "only_a": "only first right",
    "only_b": "only second right",
    "both_wrong": "both wrong",
}
MISSING = "-"


def label(figure: str) -> str:
    """What people call a figure; of one without a label, its name in the summary as words."""
    return LABELS.get(figure) or figure.replace("_", " ").replace(".", ": ")


def printable(text: str) -> str:
    """`text` on one line, with spaces for what a terminal would obey: escapes, line ends, bidi marks."""
    return "".join(character if character.isprintable() else " " for character in text)


def title(name: str, simulated: bool, width: int | None = None) -> str:
    """The name as people see it, cut to `width`; a simulated judge is called so, even then."""
    suffix = " (simulated)" if simulated else ""
    shown = printable(name)
    if width and len(shown) + len(suffix) > width:
        shown = f"{shown[: width - len(suffix) - 1]}…"
    return shown + suffix


def titles(summary: dict[str, Any]) -> dict[str, str]:
    return {name: title(name, detector["simulated"]) for name, detector in summary["detectors"].items()}


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def quantity(value: float) -> str:
    """Three digits, or whole from 100 up: 0.92, 45.1, 812, 12,345."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def dataset_sentence(summary: dict[str, Any]) -> str:
    dataset = summary["dataset"]
    pairs, labelled = dataset["pairs"], dataset["labelled"]
    sampled = (
        f" of {dataset['available']:,}, sampled with seed {dataset['seed']}" if "seed" in dataset else ""
    )
    if "shard" in dataset:
        sampled += f", shard {dataset['shard']}"
    how_many = {pairs: "all labelled", 0: "none labelled"}.get(labelled, f"{labelled:,} labelled")
    contradictions = f", {counted(dataset['contradictions'], 'contradiction')}" if labelled else ""
    return printable(
        f"Dataset: {dataset['name']}, {counted(pairs, 'pair')}{sampled}, {how_many}{contradictions}"
        f"{_dropped(dataset)}"
    )


def _dropped(dataset: dict[str, Any]) -> str:
    reasons = {"bad_rows": "that could not be used", "no_gold_label": "without a gold label"}
    told = (f"{counted(dataset[key], 'row')} {why}" for key, why in reasons.items() if dataset.get(key))
    dropped = " and ".join(told)
    return f"; dropped: {dropped}" if dropped else ""


def mode(detector: Detector) -> str:
    """How the detector ran: "4 processes", "async, 8 in flight (16 requested)", "not run"."""
    if detector["mode"] == "none":
        return "not run"
    if detector["role"] == "combination":
        return "judge only where unsure"
    return _processes(detector) if "workers" in detector else _in_flight(detector)


def _processes(detector: Detector) -> str:
    asked, used = detector["workers"], detector["workers_used"]
    where = " on Ray" if detector["mode"] == "ray" else ""
    if not used:  # the pass was cut off before it could say
        return f"{_process_count(asked) if asked else 'all processes'}{where} requested"
    reason = "no more CPUs, or not enough work" if detector["mode"] == "ray" else "not enough work for more"
    why = f" ({asked} requested: {reason})" if asked and used != asked else ""
    return f"{_process_count(used)}{where}{why}"


def _process_count(number: int) -> str:
    return "one process" if number == 1 else f"{number} processes"


def _in_flight(detector: Detector) -> str:
    asked, used = detector["concurrency"], detector["concurrency_used"]
    if detector["mode"] == "sync":
        return "sync, one at a time" + (f" ({asked} requested)" if asked != 1 else "")
    if not used:  # every reply came from the cache, or the pass was cut off before it could say
        return f"async, {asked} requested"
    if asked == "auto":
        return f"async, up to {used} in flight, set automatically"
    return f"async, {used} in flight" + (f" ({asked} requested)" if used != asked else "")


def _answered(detector: Detector) -> str:
    unasked, spared = detector["errors"].get("not_asked", 0), detector.get("spared", 0)
    beside = [f"{unasked:,} not asked"] * bool(unasked) + [f"{spared:,} settled without it"] * bool(spared)
    return ", ".join([f"{detector['answered']:,} of {detector['answered'] + detector['failed']:,}", *beside])


def _called(detector: Detector) -> str:
    answered = detector["answered"]
    return (
        f"{detector['called']:,} of {answered:,} ({detector['called'] / answered:.1%})"
        if answered
        else MISSING
    )


def _failed(detector: Detector) -> str:
    failed = detector["failed"] - detector["errors"].get("not_asked", 0)
    return f"{failed:,} ({kinds_of_failure(detector)})" if failed else "0"


def kinds_of_failure(detector: Detector) -> str:
    kinds = {kind: count for kind, count in detector["errors"].items() if kind != "not_asked"}
    return ", ".join(f"{printable(kind)} {count:,}" for kind, count in kinds.items())


def _embeddings(detector: Detector) -> str:
    settings = detector["settings"]
    return _done_and_cached(settings.get("encoded", 0), "encoded", settings.get("from_cache", 0))


def _pairs_read(detector: Detector) -> str:
    settings = detector["settings"]
    return _done_and_cached(settings.get("read", 0), "read", settings.get("read_from_cache", 0))


def _done_and_cached(done: int, how: str, cached: int) -> str:
    if done and cached:
        return f"{done:,} {how}, {cached:,} from the cache"
    if cached:
        return f"{cached:,} from the cache"
    return f"{done:,} {how}" if done else MISSING


def _stages(detector: Detector) -> str:
    settings = detector["settings"]
    if "stages" not in settings:
        return MISSING
    stages = "screen and verify" if settings["stages"] == "both" else settings["stages"]
    symmetric = ", both orders" if settings.get("symmetric") else ""
    return f"{stages}, {settings['precision']}{symmetric}"


def _model_load(detector: Detector) -> str:
    load_s = detector["settings"].get("load_s")
    return f"{quantity(load_s)} s of the wall time" if load_s else MISSING


def _requests(detector: Detector) -> str:
    """Requests, and those of them that brought no verdict: the answered pairs were asked again."""
    failed = ", ".join(
        f"{printable(kind)} {count:,}" for kind, count in detector.get("attempt_errors", {}).items()
    )
    return f"{detector.get('attempts', 0):,}" + (f" (without a verdict: {failed})" if failed else "")


def _tokens(detector: Detector) -> str:
    """Those that are known; `missing` says why the others are not."""
    if detector["tokens"] is None:
        return "none"
    return ", ".join(f"{count:,} {kind}" for kind, count in detector["tokens"].items()) or "not known"


def _cost(detector: Detector) -> str:
    if not detector["paid"]:
        return "none"
    dollars = detector.get("dollars")
    if dollars is None:
        cost = no_dollars(detector)
    else:
        cost = in_dollars(dollars) + (" if the judge were real (simulated)" if detector["simulated"] else "")
        if any(detector["attempt_errors"].get(kind) for kind in ("timeout", "connection", "cancelled")):
            cost = f"at least {cost}"  # without a reply nobody knows what was billed
    saved = detector.get("from_cache")
    return f"{cost} ({saved:,} answered from the cache)" if saved else cost


def no_dollars(detector: Detector) -> str:
    """What is said of a judge's cost where it has no number."""
    reason = detector["absent"].get("dollars", NO_PRICE)
    if reason == NO_PRICE:
        return "none, simulated" if detector["simulated"] else "no price known"
    if reason == NO_FEE:
        return "none, simulated" if detector["simulated"] else "none (local endpoint)"
    return "not known"


def figure_cell(detector: Detector, metric: str, write: Callable[[float], str]) -> str:
    value: Any = detector
    for key in metric.split("."):
        value = value.get(key)
        if value is None:
            return MISSING
    return write(value)


def _row(
    metric: str, write: Callable[[float], str] = "{:.3f}".format
) -> tuple[str, Callable[[Detector], str]]:
    return label(metric), lambda detector: figure_cell(detector, metric, write)


def figure(metric: str) -> tuple[str, Callable[[Detector], str]]:
    """A figure of quality with its interval: "0.940 (0.838 to 0.979)"."""

    def cell(detector: Detector) -> str:
        ends = detector["intervals"].get(metric)
        interval = f" ({from_to(ends)})" if ends else ""
        return figure_cell(detector, metric, lambda value: f"{value:.3f}{interval}")

    return label(metric), cell


def _dollars_each(metric: str) -> tuple[str, Callable[[Detector], str]]:
    """A price of one thing with its interval: "$0.000081 (0.000079 to 0.000083)"."""
    group, name = metric.split(".")

    def cell(detector: Detector) -> str:
        ends = detector.get(group, {}).get("intervals", {}).get(name)
        interval = f" ({' to '.join(f'{end:.3g}' for end in ends)})" if ends else ""
        simulated = ", simulated" if detector["simulated"] else ""
        return figure_cell(detector, metric, lambda value: f"${value:.3g}{interval}{simulated}")

    return label(metric), cell


def _grouped_figure(group: str, name: str) -> tuple[str, Callable[[Detector], str]]:
    """A figure of a group of its own, with its interval."""

    def cell(detector: Detector) -> str:
        ends = detector.get(group, {}).get("intervals", {}).get(name)
        interval = f" ({from_to(ends)})" if ends else ""
        return figure_cell(detector, f"{group}.{name}", lambda value: f"{value:.3f}{interval}")

    return label(name), cell


def from_to(ends: list[float], scale: float = 1.0, digits: int = 3) -> str:
    return " to ".join(f"{scale * end:.{digits}f}" for end in ends)


def _milliseconds(value: float) -> str:
    return f"{quantity(value)} ms"


def _mean_latency(detector: Detector) -> str:
    unit = "ms a pair, amortised" if detector["latency_ms"]["amortised"] else "ms"
    return figure_cell(detector, "latency_ms.mean", lambda mean: f"{quantity(mean)} {unit}")


GROUPS: tuple[tuple[str, tuple[tuple[str, Callable[[Detector], str]], ...]], ...] = (
    (
        "Run",
        (("mode", mode), ("stages", _stages), ("pairs answered", _answered), ("pairs failed", _failed)),
    ),
    (
        "Quality, on answered pairs with a label (95 % intervals)",
        (
            ("called contradictions", _called),
            ("pairs counted", lambda detector: f"{detector['labelled_answered']:,}"),
            figure("accuracy"),
            figure("balanced_accuracy"),
            figure("precision"),
            figure("recall"),
            figure("f1"),
            figure("mcc"),
            figure("accuracy_failed_as_wrong"),
            figure("roc_auc"),
            figure("average_precision"),
            figure("brier"),
            figure("log_loss"),
            figure("calibration_error"),
            ("distinct scores", lambda detector: f"{detector['distinct_scores']:,}"),
        ),
    ),
    (
        "Speed and cost",
        (
            (label("latency_ms.mean"), _mean_latency),
            _row("latency_ms.p50", _milliseconds),
            _row("latency_ms.p95", _milliseconds),
            _row("latency_ms.p99", _milliseconds),
            _row("pair_ms.mean", _milliseconds),
            _row("pair_ms.p95", _milliseconds),
            _row("pairs_per_s", quantity),
            _row("mean_in_flight", quantity),
            ("wall time", lambda detector: f"{quantity(detector['wall_s'])} s"),
            ("embeddings", _embeddings),
            ("cross-encoder", _pairs_read),
            ("tokens", _tokens),
            ("model load", _model_load),
            ("requests sent", _requests),
            ("cost", _cost),
            _dollars_each("cost.per_correct"),
            _dollars_each("cost.per_contradiction"),
        ),
    ),
)


ELSEWHERE = (
    _grouped_figure("at_prevalence", "accuracy"),
    _grouped_figure("at_prevalence", "precision"),
    _grouped_figure("at_prevalence", "f1"),
    _dollars_each("at_prevalence.dollars_per_contradiction"),
)


def comparison_groups(summary: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    """(heading, rows) for each group of rows; a row is its label and one cell a detector."""
    detectors = summary["detectors"].values()
    groups = [*GROUPS]
    if share := _prevalence(summary):
        groups.append((f"Restated for a prevalence of {share:.1%} (--prevalence)", ELSEWHERE))
    return [
        (heading, [(label, *(cell(detector) for detector in detectors)) for label, cell in rows])
        for heading, rows in groups
    ]


def _prevalence(summary: dict[str, Any]) -> float | None:
    found = (detector.get("at_prevalence") for detector in summary["detectors"].values())
    return next((group["prevalence"] for group in found if group), None)


def agreement_rows(summary: dict[str, Any]) -> list[Row]:
    """A header, then a row for each two detectors: how many verdicts agree and who was right, in pairs."""
    names = titles(summary)
    counts = ("both_right", "only_a", "only_b", "both_wrong")
    rows: list[Row] = [("first / second", *map(label, counts))]
    for entry in summary["agreement"]:
        cells = (f"{entry[count]:,}" if count in entry else MISSING for count in counts)
        rows.append((f"{names[entry['a']]} / {names[entry['b']]}", *cells))
    return rows


def agreement_sentences(summary: dict[str, Any]) -> list[str]:
    names = titles(summary)
    sentences = []
    for entry in summary["agreement"]:
        sentences.append(same_verdict(entry, names[entry["a"]], names[entry["b"]]))
        if "accuracy" in entry["differences"]:
            sentences.append(difference_sentence(entry["differences"], len(summary["agreement"])))
    return sentences


def difference_sentence(found: dict[str, Any], tests: int) -> str:
    """What the paired tests say of two accuracies, and what this run could have seen."""
    parts = [f"Accuracy: {printable(found['conclusion'])} ({evidence(found, tests)})."]
    if "least_difference" in found:
        minimum = 100 * found["least_difference"]
        parts.append(f"The minimum detectable difference, at power 0.8, is {minimum:.1f} points.")
    return " ".join(parts)


def evidence(found: dict[str, Any], tests: int) -> str:
    """What a conclusion on two accuracies rests on. tests: how many the p-values are adjusted for."""
    adjusted = f", {p_value(found['mcnemar']['p_holm'])} adjusted for {tests} tests" if tests > 1 else ""
    sign = -1 if found["accuracy"] < 0 else 1  # the better one minus the other
    ends = sorted(sign * end for end in found["intervals"]["accuracy"])
    how = "McNemar's exact test" if found["mcnemar"]["method"] == "exact" else "McNemar's test, clustered"
    return (
        f"difference {100 * abs(found['accuracy']):.1f} points, 95 % interval {from_to(ends, 100, 1)}; "
        f"{how}: {p_value(found['mcnemar']['p'])}{adjusted}"
    )


def same_verdict(entry: dict[str, Any], a: str, b: str) -> str:
    if "rate" not in entry:
        return f"No pair was answered by both {a} and {b}."
    same = round(entry["rate"] * entry["both_answered"])
    kappa = f", kappa {entry['kappa']:.3f}" if "kappa" in entry else ""
    of = f"{same:,} of the {counted(entry['both_answered'], 'pair')} that both answered"
    return f"Same verdict: {a} and {b} agree on {of} ({entry['rate']:.1%}{kappa})."


def p_value(value: float) -> str:
    return f"p {value:.3f}" if value >= 0.001 else "p < 0.001"


def missing(summary: dict[str, Any]) -> list[str]:
    """One sentence for each reason that leaves cells empty: which metrics, of whom, why."""
    names = titles(summary)
    absences = [(names[name], detector["absent"]) for name, detector in summary["detectors"].items()]
    absences += [
        (f"{names[entry['a']]} / {names[entry['b']]}", entry["absent"]) for entry in summary["agreement"]
    ]
    whose: dict[tuple[Row, str], list[str]] = {}
    for owner, absent in absences:
        for reason in dict.fromkeys(absent.values()):
            metrics = tuple(label(metric) for metric, why in absent.items() if why == reason)
            whose.setdefault((metrics, reason), []).append(owner)
    return [
        f"No {', '.join(metrics)} for {', '.join(owners)}: {reason}."
        for (metrics, reason), owners in whose.items()
    ]
