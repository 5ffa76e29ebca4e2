"""How the columns of a file of scores are called, by what they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from kimera.detectors.run_columns import is_of_run
from kimera.files import Roles, is_wanted
from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL


def _named_after(relation: str) -> tuple[str, ...]:
    """The names of its probability."""
    marks = ("p", "score", "prob", "probability", "probability_of")
    return (relation, *(f"{mark}_{relation}" for mark in marks), *(f"{relation}_{mark}" for mark in marks))


_MARKS = re.compile(r"[\W_]+")
_SCORES = (
    *("score", "contradiction_score", "score_contradiction", "p_contradiction", "contradiction_p"),
    *(
        "contradiction_probability",
        "probability_of_contradiction",
        "contradiction_prob",
        "prob_contradiction",
    ),
    *("probability_contradiction", "probability", "prob", "contra_score", "contra_prob", "p_contra"),
)
_VERDICTS = (
    *("verdict", "prediction", "predicted", "predicted_label", "pred", "pred_label", "judgement", "judgment"),
    *("decision", "contradiction", "is_contradiction", "contradicts", "contradictory", "is_contradictory"),
)
GOLD = ("label", "gold_label", "gold")  # but tools that classify texts call their answer a label as well
_CONFIDENCES = ("confidence", "stated_confidence", "verdict_confidence")
_REASONINGS = ("reasoning", "reason", "explanation", "rationale", "justification")
_MILLISECONDS = ("latency_ms", "duration_ms", "time_ms", "elapsed_ms", "latency_milliseconds")
_SECONDS = ("latency_s", "duration_s", "time_s", "elapsed_s", "latency_seconds", "duration_seconds")
_COSTS = ("cost", "cost_usd", "usd", "cost_dollars", "dollars", "total_cost", "price_usd", "cost_in_usd")
KNOWN: Final = {
    "score": _SCORES,
    "verdict": _VERDICTS,
    ENTAILMENT: _named_after(ENTAILMENT),
    NEUTRAL: _named_after(NEUTRAL),
    "relation": (),  # no name is known: beside texts that of gold labels is the same
    "score_source": (),  # only of a run, which has words of its own for it
    "confidence": _CONFIDENCES,
    "reasoning": _REASONINGS,
    "latency_ms": _MILLISECONDS,
    "latency_s": _SECONDS,
    "cost": _COSTS,
}


def is_wanted_of_scores(name: str) -> bool:
    is_known = any(bare(name) in map(bare, names) for names in KNOWN.values())
    return is_known or is_of_run(name) or is_wanted(Roles())(name)


def hold_answers(names: Sequence[str]) -> bool:
    """Whether a column is called as scores or verdicts are, after no detector."""
    return not {*map(bare, names)}.isdisjoint(map(bare, (*_SCORES, *_VERDICTS)))


def bare(name: str) -> str:
    """What stands in brackets counts: of P(contradiction) and P(neutral) only one is a score."""
    return _MARKS.sub("", name.casefold())


def known_in(names: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Of each part, the names that it may have among these columns.

    Beside entailment or neutral, which are probabilities then, contradiction is one too. One of the two alone
    tells no class, and may be anything.
    """
    there = {*map(bare, names)}
    others = [part for part in (ENTAILMENT, NEUTRAL) if there & {*map(bare, KNOWN[part])}]
    known = KNOWN if len(others) == 2 else {**KNOWN, ENTAILMENT: (), NEUTRAL: ()}
    if not {ENTAILMENT, NEUTRAL} & there:
        return known
    verdicts = tuple(name for name in _VERDICTS if name != CONTRADICTION)
    return {**known, "score": (*_SCORES, CONTRADICTION), "verdict": verdicts}
