"""The figures that count: pairs, scores, requests and tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.stats.figure import DetectorFigure, Shown, Unit, is_paid
from benchmarks.stats.metrics import UndefinedMetricError, distinct_scores
from benchmarks.stats.results import OneDetector

_count = partial(DetectorFigure, unit=Unit.COUNT, shown=Shown.NOWHERE)

PAIRS = (
    _count(
        "answered",
        "pairs answered",
        "Pairs with a verdict.",
        shown=Shown.OF_RUNS,
        of=lambda one: one.answered,
    ),
    _count(
        "failed",
        "pairs failed",
        "Pairs without one.",
        shown=Shown.OF_RUNS,
        of=lambda one: one.labels.size - one.answered - one.detector.spared,
    ),
    _count(
        "called",
        "called contradictions",
        "Pairs called contradictions, labelled or not.",
        of=lambda one: int((one.detector.verdicts == 1).sum()),
    ),
    _count(
        "labelled_answered",
        "pairs counted",
        "Labelled pairs with a verdict: what the figures of quality are over.",
        shown=Shown.TABLE,
        of=lambda one: int(((one.labels >= 0) & one.detector.answered).sum()),
    ),
)


def _cell(label: int, verdict: int) -> Callable[[OneDetector], int | None]:
    """How many pairs of this label have this verdict."""

    def of(one: OneDetector) -> int | None:
        if not (one.labels >= 0).any():
            return None
        return int(((one.labels == label) & (one.detector.verdicts == verdict)).sum())

    return of


_cell_of = partial(_count, takes_labels=True)
CONFUSION = (
    _cell_of("true_positives", "found", "Contradictions that were called so.", of=_cell(1, 1)),
    _cell_of("false_negatives", "missed", "Contradictions that were not called so.", of=_cell(1, 0)),
    _cell_of("false_positives", "false alarms", "Other pairs called contradictions.", of=_cell(0, 1)),
    _cell_of("true_negatives", "let pass", "Other pairs that were not called so.", of=_cell(0, 0)),
)
DISTINCT_SCORES = _count(
    "distinct_scores",
    "distinct scores",
    "Different scores given: few make a coarse ranking.",
    shown=Shown.TABLE,
    of=lambda one: distinct_scores(one.detector.scores),
)


def _tokens(kind: str) -> Callable[[OneDetector], int | None]:
    def of(one: OneDetector) -> int | None:
        if kind in one.detector.tokens_absent:
            raise UndefinedMetricError(one.detector.tokens_absent[kind])
        return (one.detector.tokens or {}).get(kind)

    return of


_of_requests = partial(_count, only_of=is_paid)
REQUESTS = (
    _of_requests(
        "attempts", "requests sent", "Of a judge: requests sent.", of=lambda one: one.detector.attempts
    ),
    _of_requests(
        "from_cache",
        "replies from the cache",
        "Of a judge: replies that were kept from an earlier run, and not paid for.",
        of=lambda one: one.detector.from_cache,
    ),
    _of_requests(
        "cut_off",
        "sessions cut off",
        "Of a judge: sessions of the run that a kill or a second Ctrl-C ended, with requests in flight that "
        "may have been billed.",
        of=lambda one: one.detector.cut_off,
    ),
    _of_requests("tokens.prompt", "prompt tokens", "Tokens sent.", shown=Shown.OF_RUNS, of=_tokens("prompt")),
    _of_requests(
        "tokens.completion",
        "completion tokens",
        "Tokens received.",
        shown=Shown.OF_RUNS,
        of=_tokens("completion"),
    ),
    _of_requests(
        "tokens.cached",
        "cached tokens",
        "Tokens of the prompt that the endpoint had in its cache.",
        of=_tokens("cached"),
    ),
    _of_requests(
        "tokens.reasoning",
        "reasoning tokens",
        "Tokens of the completion that were reasoning.",
        of=_tokens("reasoning"),
    ),
    _of_requests(
        "tokens.written",
        "tokens written to the cache",
        "Tokens of the prompt that the endpoint put into its cache, which some price differently.",
        of=_tokens("written"),
    ),
)
