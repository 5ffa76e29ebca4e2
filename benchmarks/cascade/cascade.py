"""The cascade: a local detector settles what it is sure of, the judge gets the rest.

`CascadePlan` is how a run does it, `Cascade` how a service does. Both ask the judge about a random sample
first and read from it how far the local one may be trusted (`bounds`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.cascade.bounds import (
    NOTHING_BELOW,
    Bounds,
    Sampled,
    Thresholds,
    bounds,
    choose,
    max_missed,
    positives_needed,
    sample_size,
)
from benchmarks.judge import INTERRUPTED, Ask, JudgeError, Outcome, asks_of, judge_all, require_no_loop
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.detectors import SURE, Chain, VerdictSource
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict, pair_of

__all__ = ["BudgetError", "Cascade", "CascadePlan", "Decision", "Round", "settled_verdict"]

MIN_SHARE = 0.01  # of contradictions that is reckoned with
MAX_STEPS = 20  # in which the sample grows, if it must, to all pairs


class BudgetError(UserError):
    """The run cannot be made, nor gone on with, under these flags."""


@dataclass(frozen=True)
class Decision:
    """How the pairs of a run are shared out.

    sampled, sent: bool (n,), asked of the judge as a random sample, and because the cheap side was in doubt.
    enough: whether the sample was large enough for anything to be settled as no contradiction.
    """

    thresholds: Thresholds
    bounds: Bounds
    sampled: np.ndarray
    sent: np.ndarray
    sample: Sampled

    @property
    def asked(self) -> np.ndarray:
        """bool (n,): the judge's verdict counts there, the local detector's elsewhere."""
        return np.asarray(self.sampled | self.sent)

    @property
    def enough(self) -> bool:
        return self.bounds.promised and self.thresholds.lower > NOTHING_BELOW


class Round(NamedTuple):
    """pairs: bool (n,), those to ask about, asked before or not. is_sample: else those in doubt."""

    pairs: np.ndarray
    is_sample: bool


@dataclass(frozen=True)
class CascadePlan:
    """risk: the share of what the judge calls contradictions that may be missed, with 95 % probability.

    max_sent: the share of all pairs, the sample among them, that may go to the judge, paid for with false
    alarms; with 1 nothing is settled as a contradiction. None: what the local detector calls one stands.
    endless: whether it is to hold for all pairs that may come, and not for those at hand alone.

    sampled_before: how many pairs an earlier session of the run had sampled; the sample never shrinks.

    Scores are float64 (n,), P(contradiction) by the cheap side, NaN where it gave no verdict: such a pair
    goes to the judge. Verdicts are int8 (n,), the judge's: 1, 0, and below 0 where there is none.
    """

    risk: float
    max_sent: float | None = None
    seed: int = 0
    endless: bool = False
    sampled_before: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.risk < 1:
            raise UserError(f"risk: {self.risk!r} is not a share between 0 and 1")
        if self.max_sent is not None and not 0 < self.max_sent <= 1:
            raise UserError(f"max_sent: {self.max_sent!r} is not a share above 0 and at most 1")

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that make the same plan in a run that is read back, JSON-ready."""
        return {"risk": self.risk, "max_sent": self.max_sent, "seed": self.seed}

    def first_sample(self, scores: np.ndarray) -> int:
        """How many pairs the judge is asked before anything is settled, as far as the cheap side can tell."""
        known = scores[~np.isnan(scores)]
        expected = float(known.mean()) if known.size else MIN_SHARE
        return max(self._size_for(max(expected, MIN_SHARE), scores.size), self.sampled_before)

    def require_budget(self, scores: np.ndarray) -> None:
        """Raises BudgetError where the sample alone would be more than may be sent."""
        sampled = self.first_sample(scores)
        if sampled > self._max_sampled(scores.size):
            raise BudgetError(
                f"a risk of {self.risk:g} needs a sample of {sampled:,} of {scores.size:,} pairs, which is "
                f"more than --max-sent {self.max_sent:g} allows: take more pairs, a larger --max-sent or "
                "more risk"
            )

    def why_nothing_saved(self, scores: np.ndarray) -> str:
        """Why all pairs are left to the judge, as far as the cheap side can tell; or empty."""
        if self.endless or self.first_sample(scores) < scores.size:
            return ""
        return (
            f"a risk of {self.risk:g} takes a sample with at least {positives_needed(self.risk):,} "
            f"contradictions, which is all of these {scores.size:,} pairs or more: the judge gets every "
            "pair, and nothing is saved. Take more pairs, or more risk"
        )

    def _max_sampled(self, pairs: int) -> int:
        """A service pays for its sample once, and may take all pairs that it is calibrated on."""
        return pairs if self.max_sent is None or self.endless else int(self.max_sent * pairs)

    def _size_for(self, share: float, pairs: int) -> int:
        return sample_size(self.risk, share, pairs, endless=self.endless)

    def rounds(self, scores: np.ndarray, verdicts: np.ndarray) -> Iterator[Round]:
        """What to ask next; `verdicts` have the answers by the time the following round is wanted.

        First the sample, more of it while it holds too few contradictions, then what is in doubt.
        """
        for sampled in self._samples(scores, verdicts):
            yield Round(sampled, is_sample=True)
        yield Round(self.decide(scores, verdicts).sent, is_sample=False)

    def decide(self, scores: np.ndarray, verdicts: np.ndarray) -> Decision:
        """What follows from the sample, once the judge has been asked about it."""
        *_, sampled = self._samples(scores, verdicts)
        sample = _sample(scores, verdicts, sampled)
        rest = scores[~np.isnan(scores) & (self.endless | ~sampled)]
        left_to_send = self._left_to_send(sampled, scores)
        thresholds = choose(sample, self.risk, rest, left_to_send, endless=self.endless)
        return Decision(
            thresholds=thresholds,
            bounds=bounds(sample, thresholds, self.risk, None if self.endless else rest.size),
            sampled=sampled,
            sent=~sampled & ~thresholds.settled(scores),
            sample=sample,
        )

    def _left_to_send(self, sampled: np.ndarray, scores: np.ndarray) -> float | None:
        if self.max_sent is None:
            return None
        paid = 0 if self.endless else int(sampled.sum())  # a service pays for its sample once
        unscored = int((np.isnan(scores) & (self.endless | ~sampled)).sum())
        return max(0.0, self.max_sent * scores.size - paid - unscored)

    def _samples(self, scores: np.ndarray, verdicts: np.ndarray) -> Iterator[np.ndarray]:
        """bool (n,), the sample as it grows: the same for the same seed, scores and verdicts."""
        pairs = scores.size
        order = np.random.default_rng(self.seed).permutation(pairs)
        maximum = self._max_sampled(pairs)
        size = min(self.first_sample(scores), maximum)
        while True:
            sampled = np.zeros(pairs, dtype=bool)
            sampled[order[:size]] = True
            yield sampled
            sample = _sample(scores, verdicts, sampled)
            contradictions = sample.contradictions.size
            rest = None if self.endless else sample.expected_in(int((~np.isnan(scores) & ~sampled).sum()))
            if size >= maximum or max_missed(self.risk, contradictions, rest) >= 0:
                return
            share = max(contradictions / max(size, 1), MIN_SHARE)
            size = min(maximum, max(self._size_for(share, pairs), size + pairs // MAX_STEPS + 1))


def _sample(scores: np.ndarray, verdicts: np.ndarray, sampled: np.ndarray) -> Sampled:
    """What the sampled pairs show, those on which either gave no verdict left out."""
    usable = sampled & ~np.isnan(scores)
    return Sampled(scores[usable & (verdicts == 1)], scores[usable & (verdicts == 0)])


class Cascade:
    """Local detectors and a judge as one detector, for a service.

    It has to be calibrated on pairs like those to come, or given the thresholds of an earlier calibration:

        async with Cascade([Reactor(), AsyncOpenAIClient()], risk=0.02) as cascade:
            print(await cascade.calibrate_async(pairs))
            verdicts = await cascade.detect_async(others)

    `calibrate` and `detect`, under `with`, are the same for code without an event loop. The bound holds for
    pairs that come from where the sample came from, and for no others. Calibrate on pairs that share few
    texts: those that do tell less than they seem to.

    detectors: the cheapest first, the judge last. Of several local ones each gets what those before it are
    not sure of (`kimera.detectors.Chain`), and the one bound holds for all of them together. Raises
    UserError where there is none, or no judge.
    thresholds, bounds: None before the calibration. sent, settled: pairs so far, calibration left out.
    """

    def __init__(
        self,
        detectors: Sequence[VerdictSource | AsyncOpenAIClient],
        risk: float = 0.02,
        *,
        max_sent: float | None = None,
        thresholds: Thresholds | None = None,
        seed: int = 0,
        sure: float = SURE,
    ) -> None:
        self._local, self._judge = _parted(detectors, sure)
        self.plan = CascadePlan(risk, max_sent, seed, endless=True)
        self.thresholds = thresholds
        self.bounds: Bounds | None = None
        self.sent = 0
        self.settled = 0
        self._alone = asyncio.Lock()  # one batch at a time goes through the local detectors
        self._opened = AsyncExitStack()
        self._opened_here = ExitStack()
        self._runner: asyncio.Runner | None = None

    async def __aenter__(self) -> Cascade:
        async with AsyncExitStack() as stack:
            stack.enter_context(self._local)
            await stack.enter_async_context(self._judge)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    def __enter__(self) -> Cascade:
        require_no_loop("async with Cascade(...) as cascade, and await cascade.detect_async(pairs)")
        with ExitStack() as stack:
            runner = stack.enter_context(asyncio.Runner())
            runner.run(self.__aenter__())
            stack.callback(lambda: runner.run(self.__aexit__()))
            self._opened_here, self._runner = stack.pop_all(), runner
        return self

    def __exit__(self, *_: object) -> None:
        self._runner = None
        self._opened_here.close()

    def calibrate(self, pairs: Iterable[Pair | tuple[str, str]]) -> Bounds:
        """`calibrate_async` for code without an event loop."""
        return self._run_here.run(self.calibrate_async(pairs))

    def detect(self, pairs: Iterable[Pair | tuple[str, str]]) -> list[Verdict | Failure]:
        """`detect_async` for code without an event loop."""
        return self._run_here.run(self.detect_async(pairs))

    @property
    def _run_here(self) -> asyncio.Runner:
        if self._runner is None:
            raise RuntimeError("open the cascade first: with Cascade([reactor, judge]) as cascade: ...")
        return self._runner

    async def calibrate_async(self, pairs: Iterable[Pair | tuple[str, str]]) -> Bounds:
        """Asks the judge about a random sample of the pairs and sets the thresholds.

        Raises JudgeError where the judge ended the asking or failed on most of the sample, and UserError
        where it holds too few contradictions to promise anything.
        """
        asked = [pair_of(pair, number) for number, pair in enumerate(pairs)]
        scores = _scores_of(await self._react(asked))
        verdicts = np.full(len(asked), -1, np.int8)
        was_asked = np.zeros(len(asked), dtype=bool)
        for chosen, _ in self.plan.rounds(scores, verdicts):
            fresh = chosen & ~was_asked
            was_asked |= chosen
            judged = await self._judge_some(asked, np.flatnonzero(fresh))
            _require_answers(judged, self._judge.stopped_by)
            for index, result in judged.items():
                verdicts[index] = result.contradiction if isinstance(result, Verdict) else -1
            decision = self.plan.decide(scores, verdicts)
            if decision.enough:
                break
        if not decision.enough:
            raise UserError(
                f"among {decision.sample.pairs:,} sampled pairs the judge sees "
                f"{decision.sample.contradictions.size:,} contradictions, and a risk of {self.plan.risk:g} "
                f"needs {positives_needed(self.plan.risk):,}: calibrate on more pairs, or allow more risk"
            )
        self.thresholds, self.bounds = decision.thresholds, decision.bounds
        return decision.bounds

    async def detect_async(self, pairs: Iterable[Pair | tuple[str, str]]) -> list[Verdict | Failure]:
        """One result a pair, in order: the local detector's where it is sure, otherwise the judge's."""
        if self.thresholds is None:
            raise UserError(
                "calibrate the cascade first, or give it the thresholds of an earlier calibration"
            )
        asked = [pair_of(pair, number) for number, pair in enumerate(pairs)]
        results = await self._react(asked)
        doubtful = np.flatnonzero(~self.thresholds.settled(_scores_of(results)))
        judged = await self._judge_some(asked, doubtful)
        self.sent += doubtful.size
        self.settled += len(asked) - doubtful.size
        return [
            judged[index] if index in judged else settled_verdict(result, self.thresholds)
            for index, result in enumerate(results)
        ]

    async def _react(self, pairs: list[Pair]) -> list[Verdict | Failure]:
        async with self._alone:
            return await asyncio.to_thread(lambda: list(self._local.stream(pairs)))

    async def _judge_some(self, pairs: list[Pair], chosen: np.ndarray) -> dict[int, Verdict | Failure]:
        results: dict[int, Verdict | Failure] = {}

        def record(ask: Ask, outcome: Outcome) -> None:
            results[ask.index] = outcome.result

        await judge_all(self._judge, asks_of((index, pairs[index]) for index in chosen.tolist()), record)
        unasked = self._judge.stopped_by or INTERRUPTED
        return {index: results.get(index, unasked) for index in chosen.tolist()}


def _parted(
    detectors: Sequence[VerdictSource | AsyncOpenAIClient], sure: float
) -> tuple[VerdictSource, AsyncOpenAIClient]:
    """(the local ones as one, the judge)."""
    sources = [detector for detector in detectors if not isinstance(detector, AsyncOpenAIClient)]
    judges = [detector for detector in detectors if isinstance(detector, AsyncOpenAIClient)]
    if not sources or [*sources, *judges] != list(detectors) or len(judges) != 1:
        raise UserError("a cascade takes local detectors, at least one, and a judge after them")
    named = {f"{place}: {source.kind}": source for place, source in enumerate(sources, start=1)}
    return sources[0] if len(sources) == 1 else Chain(named, sure), judges[0]


def _require_answers(found: Mapping[int, Verdict | Failure], stopped_by: Failure | None) -> None:
    """Raises JudgeError where the asking was ended, or brought more failures than verdicts."""
    failures = [result for result in found.values() if isinstance(result, Failure)]
    if stopped_by:
        raise JudgeError(stopped_by.kind, stopped_by.message)
    if 2 * len(failures) > len(found):
        kind, count = Counter(failure.kind for failure in failures).most_common(1)[0]
        message = next(failure.message for failure in failures if failure.kind == kind)
        raise JudgeError(kind, f"{count:,} of {len(found):,} sampled pairs, for one: {message}")


def settled_verdict(result: Verdict | Failure, thresholds: Thresholds) -> Verdict | Failure:
    """The reactor's verdict as the cascade's thresholds have it, which need not be the cheap side's own."""
    if isinstance(result, Failure) or result.contradiction == (result.score > thresholds.upper):
        return result
    # What it said of the classes goes with the verdict that is not taken.
    return replace(
        result,
        contradiction=not result.contradiction,
        confidence=0.5,
        entailment=None,
        neutral=None,
        relation=None,
    )


def _scores_of(results: Iterable[Verdict | Failure]) -> np.ndarray:
    """float64 (n,), P(contradiction), NaN of a failure."""
    return np.array(
        [result.score if isinstance(result, Verdict) else np.nan for result in results], np.float64
    )
