"""Two runs compared pair by pair: what changed, and whether it is more than chance.

A difference is that of run B minus run A. All figures are over the pairs in both runs; verdicts of a
cascade's judge count where it was asked at random, as in `report.summary`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.datasets import pairs_at
from benchmarks.judge import DEFAULT_PROTOCOL, REASONING_LAST
from benchmarks.runs.finished_run import FinishedRun
from benchmarks.runs.journal import JournalReader
from benchmarks.runs.matching import Common, Pairing
from benchmarks.runs.run_folder import JOURNAL
from benchmarks.runs.run_result import RunResult
from benchmarks.stats import (
    DIFFERENCES,
    DOLLARS,
    ENDS,
    FAILED,
    OF_RUNS,
    THREE_WAY,
    DetectorResult,
    Differences,
    KnownPairs,
    OneDetector,
    Side,
    are_estimated,
    compare,
    differences_part,
    estimates_of_two,
    holm,
    mean_of_scores,
    metrics,
    side_of,
    why_not_random,
    why_unranked,
)
from kimera.detectors import COUNTED
from kimera.pairs import NO_CLASS, Failure, Pair, Verdict
from kimera.version import __version__

OF_REPLIES = (DOLLARS.name, "tokens.prompt", "tokens.completion")
FROM_CACHE = "replies came from the cache, so what they cost is not known"
COMPARED = (*DIFFERENCES, *THREE_WAY, *OF_RUNS)
QUALITY = tuple(figure.name for figure in DIFFERENCES)
CHANGES = ("", "wrong_to_right", "right_to_wrong", "unlabelled")
UNCHANGED, WRONG_TO_RIGHT, RIGHT_TO_WRONG, UNLABELLED = range(4)
# What a gate may ask for; see `build_differences`.
OF_ONE = tuple(figure.name for figure in COMPARED)
FIGURES = frozenset(
    {
        *OF_ONE,
        *(f"{name}.{end}" for name in QUALITY for end in ENDS),
        *("estimates.accuracy", *(f"estimates.accuracy.{end}" for end in ENDS)),
        *(f"{run}.{name}" for run in "ab" for name in OF_ONE),
        *(f"changed.{name}" for name in ("all", *CHANGES[1:])),
        *("pairs", "both_answered", "mcnemar.p", "mcnemar.p_holm", "equivalence.p", "least_difference"),
    }
)

Part = dict[str, Any]


def build_differences(common: Common, compared: Sequence[Pairing], margin: float) -> Part:
    """All that `benchmarks.diff` tells, JSON-ready.

    Of each pairing, under "detectors": `a` and `b`, what each run says by itself; the differences, B minus A,
    as `summary.json` has those of two detectors, and of answered and failed pairs, mean latency and dollars;
    `changed`, how many verdicts; `estimates`, the difference of accuracies for all pairs where only some are
    labelled; `settings` that differ. "only_a", "only_b": detectors that the other run has
    none of. "calibrated": how each run calibrated its scores, which no figure here is of. margin: see
    `benchmarks.stats.compare`.
    """
    comparisons = [_compare(common, pairing, margin) for pairing in compared]
    adjusted = iter(
        holm([comparison.mcnemar_p for comparison in comparisons if comparison.mcnemar_p is not None])
    )
    matches = common.matches
    return {
        "version": __version__,
        "a": _about(common.a),
        "b": _about(common.b),
        "pairs": {
            "both": len(matches),
            "only_a": matches.only_a,
            "only_b": matches.only_b,
            "labelled": int((common.labels >= 0).sum()),
        },
        "settings": _different(_facts_of_run(common.a), _facts_of_run(common.b)),
        "calibrated": {"a": common.a.options.get("calibrate"), "b": common.b.options.get("calibrate")},
        "only_a": _alone(common.a, common.b, [pairing.a for pairing in compared]),
        "only_b": _alone(common.b, common.a, [pairing.b for pairing in compared]),
        "detectors": {
            pairing.name: _part(common, pairing, differences_part(paired, adjusted), paired)
            for pairing, paired in zip(compared, comparisons, strict=True)
        },
    }


def _alone(run: FinishedRun, other: FinishedRun, compared: Sequence[DetectorResult]) -> list[str]:
    """The detectors of a run that the other one lacks."""
    elsewhere = {detector.name for detector in (*other.run.detectors, *compared)}
    return [detector.name for detector in run.run.detectors if detector.name not in elsewhere]


def _about(run: FinishedRun) -> Part:
    return {"folder": str(run.folder), "created": run.run.created, "dataset": run.run.dataset["name"]}


def _compare(common: Common, pairing: Pairing, margin: float) -> Differences:
    """B before A, so that a difference is that of B minus A."""

    def side(detector: DetectorResult, letter: str, at: np.ndarray) -> Side:
        whole = side_of(detector)
        return replace(whole.at(at), name=f"{whole.name} in {letter}")

    a, b = side(pairing.a, "A", common.matches.a), side(pairing.b, "B", common.matches.b)
    return compare(common.labels, b, a, common.clusters, margin=margin)


def _part(common: Common, pairing: Pairing, differences: Part, paired: Differences) -> Part:
    at_a, at_b = common.matches.a, common.matches.b
    both = (side_of(pairing.a).verdicts[at_a] != FAILED) & (side_of(pairing.b).verdicts[at_b] != FAILED)
    gold = _gold_classes(common, _of_three(pairing.a, at_a) & _of_three(pairing.b, at_b) & both)
    a = _measured(common, common.a.run, pairing.a, at_a, both, gold)
    b = _measured(common, common.b.run, pairing.b, at_b, both, gold)
    apart = {
        name: b.values[name] - a.values[name]
        for name in OF_ONE
        if name not in QUALITY and name in a.values and name in b.values
    }
    return {
        "a": _side(pairing.a, a),
        "b": _side(pairing.b, b),
        "both_answered": int(both.sum()),
        "changed": _counts(changes_of(common, pairing)),
        **differences,
        **metrics.nested(apart),
        **_estimates(common, pairing),
        "settings": _different(_facts(pairing.a), _facts(pairing.b)),
        "absent": _absent({**differences, **apart}, a, b, paired),
    }


def _estimates(common: Common, pairing: Pairing) -> Part:
    """The difference of accuracies for all common pairs, where only a part of them is labelled."""
    sides = ((pairing.b, common.matches.b), (pairing.a, common.matches.a))
    if not are_estimated(common.labels) or any(detector.measured is not None for detector, _ in sides):
        return {}
    verdicts = [detector.verdicts[at] for detector, at in sides]
    scores = [detector.scores[at] for detector, at in sides]
    drawn = _drawn(common)
    names = [f"{detector.title} in {run}" for (detector, _), run in zip(sides, "BA", strict=True)]
    refused = (
        ""
        if drawn is not None
        else why_not_random(common.labels >= 0, verdicts, scores, common.clusters, names)
    )
    known = KnownPairs(common.labels, common.clusters, (), mean_of_scores(scores), drawn, refused)
    return {"estimates": estimates_of_two(known, *verdicts).as_json()}


def _drawn(common: Common) -> np.ndarray | None:
    """float64 (m,): the probabilities of a run that tells them of every labelled pair; None without one."""
    for run, at in ((common.b.run, common.matches.b), (common.a.run, common.matches.a)):
        if run.drawn is not None and not np.isnan(run.drawn[at][common.labels >= 0]).any():
            return np.asarray(run.drawn[at])
    return None


def _of_three(detector: DetectorResult, at: np.ndarray) -> np.ndarray:
    """bool (m,): where its verdict is one of three classes; everywhere for one that tells only two."""
    return np.ones(at.size, bool) if detector.classes is None else detector.classes[at] != NO_CLASS


def _gold_classes(common: Common, used: np.ndarray) -> np.ndarray | None:
    """int8 (m,): the classes of the labels, NO_CLASS where a pair is not used; None where no run has any."""
    gold = np.full(used.size, NO_CLASS, np.int8)
    runs = ((common.a.run, common.matches.a), (common.b.run, common.matches.b))
    known = [run.classes[at] for run, at in runs if run.classes is not None]
    for classes in known:
        gold = np.where(gold == NO_CLASS, classes, gold)
    return np.where(used, gold, NO_CLASS).astype(np.int8) if known else None


def _counts(changes: np.ndarray) -> dict[str, int]:
    kinds = {name: int((changes == kind).sum()) for kind, name in enumerate(CHANGES) if kind != UNCHANGED}
    return {"all": sum(kinds.values()), **kinds}


def _absent(there: Part, a: metrics.Measured, b: metrics.Measured, paired: Differences) -> dict[str, str]:
    """Why there is no such difference: one of the runs has no such figure, or both tell nothing of it."""
    in_general = dict.fromkeys(QUALITY, paired.absent.get("differences", "not defined on these pairs"))
    reasons = {**in_general, **_told_of_runs(a.absent, b.absent), **paired.absent}
    return {
        name: reasons[name] for name in (*OF_ONE, "least_difference") if name in reasons and name not in there
    }


def _told_of_runs(a: Mapping[str, str], b: Mapping[str, str]) -> dict[str, str]:
    """Why a run lacks a figure, with the run where that is not so of both."""
    of_a = {name: why if b.get(name) == why else f"of run A, {why}" for name, why in a.items()}
    return {name: f"of run B, {why}" for name, why in b.items()} | of_a


def _measured(
    common: Common,
    run: RunResult,
    detector: DetectorResult,
    at: np.ndarray,
    both: np.ndarray,
    gold: np.ndarray | None,
) -> metrics.Measured:
    """The figures `OF_ONE` over the common pairs; those of quality over the ones that both runs answered.

    gold: the classes of the labels where verdicts of three classes count.
    """
    here = detector.among(at, int((_spared(run, detector) & ~detector.answered)[at].sum()))
    verdicts = np.where(both, here.verdicts, FAILED)
    quality = metrics.quality(common.labels, verdicts, here.scores, unranked=why_unranked(detector))
    one = OneDetector(here, common.labels, common.clusters, gold_classes=gold)
    whole = quality | metrics.measured((*OF_RUNS, *THREE_WAY), one)
    # Beside a run that costs money, one that does not costs 0.
    free = {} if detector.info.is_paid else {DOLLARS.name: 0.0}
    kept = dict.fromkeys(OF_REPLIES, FROM_CACHE) if detector.from_cache else {}
    values = whole.values | free
    return metrics.Measured(
        {name: values[name] for name in OF_ONE if name in values and name not in kept}, whole.absent | kept
    )


def _spared(run: RunResult, detector: DetectorResult) -> np.ndarray:
    """bool (n,): what a cascade's judge did not have to be asked."""
    if detector.spared and run.cascade and run.cascade.decision:
        return ~run.cascade.decision.asked
    return np.zeros(detector.verdicts.size, dtype=bool)


def _side(detector: DetectorResult, measured: metrics.Measured) -> Part:
    info = detector.info
    about = {"name": info.name, "kind": info.kind, "paid": info.is_paid, "simulated": info.is_simulated}
    return {**about, **metrics.nested(measured.values), "settings": detector.settings}


def _facts_of_run(run: FinishedRun) -> Part:
    dataset = {f"dataset.{name}": run.run.dataset.get(name) for name in ("name", "sha256", "pairs", "seed")}
    return {"version": run.header.get("version"), **dataset, "calibrate": run.options.get("calibrate")}


def _facts(detector: DetectorResult) -> Part:
    """What may make its verdicts or its speed differ; not what a run merely counted."""
    kept = {name: value for name, value in detector.settings.items() if name not in (*COUNTED, "notice")}
    if detector.simulated:
        kept.pop("base_url", None)  # a port that the system chose
    if "found_in" in kept:
        kept["found_in"] = ", ".join(sorted(kept["found_in"]))
    if "system_fingerprints" in kept:
        kept["system_fingerprints"] = ", ".join(sorted(kept["system_fingerprints"]))
    if detector.info.role == "judge":
        kept.setdefault("protocol", DEFAULT_PROTOCOL)  # which no run writes down, no more than this
        kept.setdefault("reasoning", REASONING_LAST)
    asked = {"repeat": detector.info.repeat, "swap": detector.info.swap}
    ran = {"mode": detector.mode, "asked": detector.asked, **asked}
    paid = {"price": detector.info.price} if detector.info.price else {}
    cached = {"replies from the cache": detector.from_cache} if detector.from_cache else {}
    return {**_flat(kept | paid), **ran, **cached}


def _flat(settings: Part, prefix: str = "") -> Part:
    flat: Part = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _different(a: Part, b: Part) -> Part:
    names = dict.fromkeys([*a, *b])
    return {name: {"a": a.get(name), "b": b.get(name)} for name in names if a.get(name) != b.get(name)}


def changes_of(common: Common, pairing: Pairing) -> np.ndarray:
    """int8 (m,): how the verdict on each common pair changed, an index into `CHANGES`."""
    a, b = side_of(pairing.a).verdicts[common.matches.a], side_of(pairing.b).verdicts[common.matches.b]
    mended = np.where(b == common.labels, WRONG_TO_RIGHT, RIGHT_TO_WRONG)
    kinds = np.where(common.labels < 0, UNLABELLED, mended)
    return np.where((a != FAILED) & (b != FAILED) & (a != b), kinds, UNCHANGED).astype(np.int8)


@dataclass(frozen=True)
class Changed:
    """A pair on which a detector's verdict changed; change: one of `CHANGES`."""

    pair: Pair
    detector: str
    change: str
    a: Verdict | Failure
    b: Verdict | Failure


def changed_pairs(common: Common, compared: Sequence[Pairing]) -> Iterator[Changed]:
    """Each changed verdict with the texts of run A, in its order, read from disk."""
    changes = [changes_of(common, pairing) for pairing in compared]
    places = np.flatnonzero(np.any(np.stack(changes) != UNCHANGED, axis=0)).tolist()
    at_a, at_b = common.matches.a.tolist(), common.matches.b.tolist()
    with contextlib.ExitStack() as stack:
        journal_a, journal_b = (
            stack.enter_context(JournalReader(run.folder / JOURNAL)) for run in (common.a, common.b)
        )
        pairs = pairs_at(common.a.dataset, [at_a[place] for place in places])
        for place, pair in zip(places, pairs, strict=True):
            for pairing, change in zip(compared, changes, strict=True):
                if kind := CHANGES[change[place]]:
                    a = common.a.finding(pairing.a.name, at_a[place], journal_a)
                    b = common.b.finding(pairing.b.name, at_b[place], journal_b)
                    yield Changed(pair, pairing.name, kind, a, b)
