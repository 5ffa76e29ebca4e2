"""What a panel made of the pairs, as one more detector beside the judges that it is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from benchmarks.detector_info import DetectorInfo
from benchmarks.panel.decisions import decide
from benchmarks.panel.in_run import SOURCE, PanelRun, kind_without_verdict
from benchmarks.panel.rules import Rule
from benchmarks.stats import FAILED, NO_FEE, SCORE_SOURCES, DetectorResult


def with_panel(
    info: DetectorInfo, detectors: Sequence[DetectorResult], failures: Mapping[str, Mapping[int, str]]
) -> tuple[Sequence[DetectorResult], PanelRun]:
    """The detectors and the panel of those of them that `info` names, and what it says of each pair.

    failures: by detector, the kind of failure of each pair without a verdict, by index.
    """
    by_name = {detector.name: detector for detector in detectors}
    members = [by_name[name] for name in info.members]
    rule = cast(Rule, info.settings["panel"])
    verdicts, scores = decide(
        rule,
        np.stack([member.verdicts for member in members]),
        np.stack([member.scores for member in members]),
    )
    kinds = Counter(
        kind_without_verdict([found[index] for name in info.members if index in (found := failures[name])])
        for index in np.flatnonzero(verdicts == FAILED).tolist()
    )
    panel = _panel(info, members, verdicts, scores, dict(sorted(kinds.items())))
    return (*detectors, panel), PanelRun(rule, info.members, verdicts, scores)


def _panel(
    info: DetectorInfo,
    members: Sequence[DetectorResult],
    verdicts: np.ndarray,
    scores: np.ndarray,
    errors: dict[str, int],
) -> DetectorResult:
    """Its time is that of its members one after the other, as they ran."""
    answered, last = verdicts != FAILED, members[-1]
    latency = sum(np.where(member.answered, member.latency_ms, 0.0) for member in members)
    waited = sum(np.where(member.answered, member.wait_ms, 0.0) for member in members)
    return DetectorResult(
        info=replace(info, is_simulated=any(member.simulated for member in members)),
        mode=last.mode,
        asked=last.asked,
        used=max(member.used for member in members),
        wall_s=sum(member.wall_s for member in members),
        verdicts=verdicts,
        scores=scores,
        latency_ms=np.where(answered, latency, np.nan),
        wait_ms=np.where(answered, waited, np.nan),
        errors=errors,
        settings=dict(info.settings),
        score_sources=np.where(answered, SCORE_SOURCES.index(SOURCE), 0).astype(np.uint8),
        busy_s=sum(member.busy_s for member in members),
        attempts=sum(member.attempts for member in members),
        attempt_errors=dict(sum((Counter(member.attempt_errors) for member in members), Counter[str]())),
        from_cache=sum(member.from_cache for member in members),
        cut_off=sum(member.cut_off for member in members),
        **_cost(members),
    )


def _cost(members: Sequence[DetectorResult]) -> dict[str, Any]:
    """Tokens and dollars of all members; of what one does not tell there is no sum."""
    tokens: Counter[str] = Counter()
    for member in members:
        tokens.update(member.tokens or {})
    untold = {
        kind: [m.tokens_absent.get(kind, "") for m in members] for m in members for kind in m.tokens_absent
    }
    told = {
        "tokens": {kind: count for kind, count in tokens.items() if kind not in untold},
        "tokens_of_pair": {
            kind: np.sum([m.tokens_of_pair[kind] for m in members if kind in m.tokens_of_pair], axis=0)
            for kind in tokens
            if kind not in untold
        },
        "tokens_absent": {kind: _why(members, reasons) for kind, reasons in untold.items()},
    }
    paying = [member for member in members if not _is_free(member)]
    if not paying:
        return {**told, "dollars_absent": NO_FEE}
    reasons = ["" if m.dollars_of_pair is not None else m.dollars_absent for m in paying]
    if any(reasons):
        least = sum(member.dollars or member.dollars_at_least or 0.0 for member in paying)
        return {**told, "dollars_absent": _why(paying, reasons), "dollars_at_least": least or None}
    of_pair = sum(np.asarray(member.dollars_of_pair) for member in paying)
    return {**told, "dollars": sum(member.dollars or 0.0 for member in paying), "dollars_of_pair": of_pair}


def _why(members: Sequence[DetectorResult], reasons: Sequence[str]) -> str:
    """What all of them have in common, else that of the first one that has a reason."""
    if len(set(reasons)) == 1:
        return reasons[0]
    return next(f"{member.title}: {why}" for member, why in zip(members, reasons, strict=True) if why)


def cost_of(detector: DetectorResult) -> float | None:
    """In dollars; 0 where nobody bills for it, None where it is not known, as with replies from a cache."""
    if _is_free(detector):
        return 0.0
    return None if detector.from_cache else detector.dollars


def _is_free(detector: DetectorResult) -> bool:
    return not detector.info.is_paid or (detector.dollars is None and detector.dollars_absent == NO_FEE)
