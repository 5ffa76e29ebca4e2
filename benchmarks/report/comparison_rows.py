"""The rows of the table that compares detectors, and why some cells are empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from benchmarks.judge import in_dollars, kind_of, unasked_in
from benchmarks.report.words import (
    MISSING,
    Detector,
    Row,
    counted,
    from_to,
    label,
    quantity,
    titles,
)
from benchmarks.stats import (
    AT_PREVALENCE,
    BY_NAME,
    COST_AT_PREVALENCE,
    COSTS,
    DISTINCT_SCORES,
    DOLLARS,
    NO_FEE,
    NO_PRICE,
    NOT_COMPARABLE,
    PAIRS,
    QUALITY,
    SPEED,
    THREE_WAY,
    Figure,
    Shown,
    Unit,
)
from kimera.console import printable

FigureRow = tuple[str, Callable[[Detector], str]]  # its label, and what it is for a detector

FEW_CACHED = 0.05  # share of the work that hardly changes a time


def mode(detector: Detector) -> str:
    """How the detector ran: "4 processes", "async, 8 in flight (16 requested)", "not run"."""
    if detector["mode"] == "none":
        return "not run"
    if detector["mode"] == "file":
        return "read from a file"
    if detector["role"] == "combination":
        rule = detector["settings"].get("panel")
        return f"panel, {rule}" if rule else "judge only where unsure"
    if "workers" in detector:
        return _processes(detector)
    return _in_flight(detector) + (", by uvloop" if detector.get("loop") == "uvloop" else "")


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
    if detector["mode"] == "batch":
        return "in batches"
    if not used:  # every reply came from the cache, or the pass was cut off before it could say
        return f"async, {asked} requested"
    if asked == "auto":
        return f"async, up to {used} in flight, set automatically"
    return f"async, {used} in flight" + (f" ({asked} requested)" if used != asked else "")


def _answered(detector: Detector) -> str:
    unasked, spared = unasked_in(detector["errors"]), detector.get("spared", 0)
    beside = [f"{unasked:,} not asked"] * bool(unasked) + [f"{spared:,} settled without it"] * bool(spared)
    return ", ".join([f"{detector['answered']:,} of {detector['answered'] + detector['failed']:,}", *beside])


def _called(detector: Detector) -> str:
    answered = detector["answered"]
    return (
        f"{detector['called']:,} of {answered:,} ({detector['called'] / answered:.1%})"
        if answered
        else MISSING
    )


def failed_of(detector: Detector) -> int:
    """How many pairs it was asked about and gave no verdict on."""
    return int(detector["failed"] - unasked_in(detector["errors"]))


def _failed(detector: Detector) -> str:
    failed = failed_of(detector)
    return f"{failed:,} ({kinds_of_failure(detector)})" if failed else "0"


def kinds_of_failure(detector: Detector) -> str:
    kinds = {kind: count for kind, count in detector["errors"].items() if not kind_of(kind).is_unasked}
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


def is_cached(detector: Detector) -> bool:
    """Whether so much came from the cache that its time is not that of a first run."""
    return any(some > FEW_CACHED * total for some, total, _ in cached_parts(detector))


def cached_parts(detector: Detector) -> list[tuple[int, int, str]]:
    """(how many came from the cache, of how many, of what), of texts and pairs."""
    settings = detector["settings"]
    return [
        (settings[cached_key], settings[cached_key] + settings.get(done, 0), noun)
        for done, cached_key, noun in (("encoded", "from_cache", "text"), ("read", "read_from_cache", "pair"))
        if settings.get(cached_key)
    ]


def computed_ms(detector: Detector) -> float | None:
    """What one of its pairs takes: of a detector with a cache, of those that it computed.

    None where no time is known, and where hardly anything was computed.
    """
    mean: float | None = detector["latency_ms"].get("mean")
    share = _share_computed(detector)
    return mean / share if mean and share > FEW_CACHED else None


def _share_computed(detector: Detector) -> float:
    """Of the part that takes its time: pairs that a cross-encoder read, else texts that were encoded."""
    if not is_cached(detector):
        return 1.0
    parts = cached_parts(detector)
    takes_time = [part for part in parts if part[2] == "pair"] or parts
    if takes_time[0][2] == "text" and detector["settings"].get("read"):
        return 1.0
    cached, total, _ = takes_time[0]
    return (total - cached) / total


def rate(detector: Detector) -> str:
    """Pairs a second, marked where they are not those of a first run."""
    return figure_cell(detector, "pairs_per_s", quantity) + _cached_mark("pairs_per_s", detector)


def _cached_mark(figure: str, detector: Detector) -> str:
    is_speed = figure in ("latency_ms.mean", "pairs_per_s")
    return " (cached)" if is_speed and is_cached(detector) else ""


def _stages(detector: Detector) -> str:
    settings = detector["settings"]
    if "chain" in settings:
        return printable(", then ".join(_of_chain(settings)))
    stages, precision = settings.get("stages"), settings.get("precision")
    if precision and "model" in settings:
        return printable(f"{precision} on {settings.get('backend')}")
    if not stages or not precision:  # another local detector may have settings of these names
        return MISSING
    stages = "screen and verify" if stages == "both" else stages.replace(",", ", ")
    if "to_deep" in settings:
        stages += f" ({settings['to_deep']:,} pairs read by deep)"
    symmetric = ", both orders" if settings.get("symmetric") else ""
    return printable(f"{stages}, {precision}{symmetric}")


def _of_chain(settings: dict[str, Any]) -> Iterable[str]:
    """What each stage was given of the run's pairs."""
    for name in settings["chain"]:
        given, failed = settings.get("given"), settings.get("failed", {}).get(name)
        pairs = f": {counted(given.get(name, 0), 'pair')}" if given else ""
        yield f"{name}{pairs}" + (f" ({failed:,} failed)" if failed else "")


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
    counts = {kind: count for kind, count in detector["tokens"].items() if count or kind != "written"}
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items()) or "not known"


def _cost(detector: Detector) -> str:
    if not detector["paid"]:
        return "none"
    dollars = detector.get("dollars")
    if dollars is None:
        cost = no_dollars(detector)
    else:
        cost = written_cost(detector) + (
            " if the judge were real (simulated)" if detector["simulated"] else ""
        )
    saved = detector.get("from_cache")
    return f"{cost} ({saved:,} answered from the cache)" if saved else cost


def written_cost(detector: Detector) -> str:
    """What is known of it, where it is: without a reply nobody knows what was billed."""
    errors = detector.get("attempt_errors", {})
    silences = (count for kind, count in errors.items() if kind_of(kind).is_silence)
    least = "at least " if detector.get("cut_off") or any(silences) else ""
    return least + in_dollars(detector["dollars"])


def no_dollars(detector: Detector) -> str:
    """What is said of a judge's cost where it has no number."""
    reason = detector["absent"].get("dollars", NO_PRICE)
    if reason == NO_PRICE:
        return "none, simulated" if detector["simulated"] else "no price known"
    if reason == NO_FEE:
        return "none, simulated" if detector["simulated"] else "none (local endpoint)"
    if "dollars_at_least" not in detector:
        return "not known"
    pairs = detector.get("pairs_without_cost")
    missing = f"{counted(pairs, 'pair')} without a cost" if pairs else reason
    return f"{at_least(detector)} ({missing})"


def at_least(detector: Detector) -> str:
    """The cost of those pairs or replies whose cost is known."""
    return f"at least {in_dollars(detector['dollars_at_least'])}"


def figure_cell(detector: Detector, metric: str, write: Callable[[float], str]) -> str:
    value: Any = detector
    for key in metric.split("."):
        value = value.get(key)
        if value is None:
            return MISSING
    return write(value)


def figure(metric: str) -> FigureRow:
    """A figure with its interval, where it has one: "0.940 (0.838 to 0.979)"."""
    return _row(BY_NAME[metric])


def _row(shown: Figure) -> FigureRow:
    return shown.label, partial(_cell, shown)


def _rows(figures: Iterable[Figure]) -> list[FigureRow]:
    return [_row(declared) for declared in figures if Shown.TABLE in declared.shown]


def _cell(shown: Figure, detector: Detector) -> str:
    group, _, name = shown.name.rpartition(".")
    holder = detector.get(group, {}) if group else detector
    ends = holder.get("intervals", {}).get(name)
    is_price = shown.unit is Unit.DOLLARS_EACH
    interval = (
        f" ({' to '.join(f'{end:.3g}' for end in ends) if is_price else from_to(ends)})" if ends else ""
    )
    remark = ", simulated" if is_price and detector["simulated"] else ""
    if holder.get("amortised"):
        remark = " a pair, amortised"
    remark += _cached_mark(shown.name, detector)
    return figure_cell(detector, shown.name, lambda value: f"{WRITTEN[shown.unit](value)}{interval}{remark}")


WRITTEN: dict[Unit, Callable[[float], str]] = {
    **dict.fromkeys((Unit.SHARE, Unit.CORRELATION, Unit.LOSS), "{:.3f}".format),
    **dict.fromkeys((Unit.PER_SECOND, Unit.IN_FLIGHT), quantity),
    Unit.COUNT: "{:,}".format,
    Unit.MILLISECONDS: lambda value: f"{quantity(value)} ms",
    Unit.SECONDS: lambda value: f"{quantity(value)} s",
    Unit.DOLLARS_EACH: "${:.3g}".format,
}
GROUPS: tuple[tuple[str, tuple[FigureRow, ...]], ...] = (
    (
        "Run",
        (("mode", mode), ("stages", _stages), ("pairs answered", _answered), ("pairs failed", _failed)),
    ),
    (
        "Quality, on answered pairs with a label (95 % intervals)",
        (
            ("called contradictions", _called),
            *_rows((*PAIRS, *QUALITY, *THREE_WAY, DISTINCT_SCORES)),
        ),
    ),
    (
        "Speed and cost",
        (
            *_rows(SPEED),
            ("embeddings", _embeddings),
            ("cross-encoder", _pairs_read),
            ("tokens", _tokens),
            ("model load", _model_load),
            ("requests sent", _requests),
            ("cost", _cost),
            *_rows(COSTS),
        ),
    ),
)
ELSEWHERE: tuple[FigureRow, ...] = (
    *((label(shown.name.partition(".")[2]), partial(_cell, shown)) for shown in AT_PREVALENCE),
    _row(COST_AT_PREVALENCE),
)


def comparison_groups(summary: dict[str, Any]) -> list[tuple[str, list[Row]]]:
    """(heading, rows) for each group of rows; a row is its label and one cell a detector.

    A row that says nothing of any detector is left out; `missing` has the reasons.
    """
    detectors = summary["detectors"].values()
    hidden = {figure.label for figure in _hidden(summary)}
    groups = [*GROUPS]
    if share := _prevalence(summary):
        groups.append((f"Restated for a prevalence of {share:.1%} (--prevalence)", ELSEWHERE))
    laid_out = [
        (heading, [(label, *map(cell, detectors)) for label, cell in rows if label not in hidden])
        for heading, rows in groups
    ]
    return [
        (heading, [row for row in rows if any(cell != MISSING for cell in row[1:])])
        for heading, rows in laid_out
    ]


def _hidden(summary: dict[str, Any]) -> Iterable[Figure]:
    """Those of three classes, where no detector tells them: then nobody asked for them."""
    tell_any = any(
        "three_way" in detector or detector["absent"].get(THREE_WAY[0].name, "").endswith(NOT_COMPARABLE)
        for detector in summary["detectors"].values()
    )
    return () if tell_any else THREE_WAY


def _prevalence(summary: dict[str, Any]) -> float | None:
    groups = (detector.get("at_prevalence") for detector in summary["detectors"].values())
    return next((group["prevalence"] for group in groups if group), None)


def missing(summary: dict[str, Any]) -> list[str]:
    """One sentence for each reason that leaves cells empty: which metrics, of whom, why."""
    names = titles(summary)
    hidden = {figure.name for figure in _hidden(summary)}
    absences = [
        (
            names[name],
            {
                metric: why
                for metric, why in detector["absent"].items()
                if metric not in hidden and not (metric == DOLLARS.name and "dollars_at_least" in detector)
            },
        )
        for name, detector in summary["detectors"].items()
    ]
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
