"""A judge that is asked several times about each pair, and whose majority is its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.judge.attempts import Outcome
from benchmarks.judge.failures import FATAL, InterruptedAskingError
from benchmarks.judge.pipeline import JudgeClient
from benchmarks.judge.slots import Slots
from kimera.pairs import Failure, Verdict

SOURCE = "votes"


class VotingClient:
    """Asks another client `votes` times about each pair, one after the other, in whatever slots it has.

    An odd number, so that a tie means that some votes are missing; then the pair has no verdict.
    """

    def __init__(self, client: JudgeClient, votes: int) -> None:
        self.slots: Slots = client.slots
        self.max_concurrent = client.max_concurrent
        self._client = client
        self._votes = votes

    @property
    def mode(self) -> str:
        return self._client.mode

    @property
    def stopping(self) -> bool:
        return self._client.stopping

    def stop(self, reason: Failure) -> None:
        self._client.stop(reason)

    async def judge_in_slot(self, text1: str, text2: str, sample: int = 0) -> Outcome:
        """The outcome of all votes, in a slot that the caller holds; it is given back.

        Each vote is an asking with a seed of its own. After the run was stopped no further vote is asked for;
        what was paid for until then is in the outcome.
        """
        outcomes: list[Outcome] = []
        for vote in range(self._votes):
            try:
                if vote:
                    await self.slots.acquire(urgent=True)
                    if self.stopping:
                        self.slots.release()
                        raise InterruptedAskingError
                outcomes.append(await self._client.judge_in_slot(text1, text2, sample * self._votes + vote))
            except InterruptedAskingError:
                if not outcomes:
                    raise
                return _joined(
                    Failure("interrupted", "the run was stopped before all votes were in"), outcomes
                )
            last = outcomes[-1].result
            if isinstance(last, Failure) and last.kind in FATAL:
                return _joined(last, outcomes)
        return counted(outcomes)


def counted(outcomes: Sequence[Outcome]) -> Outcome:
    """The verdict of more than half of these askings, or a failure where there is none.

    Its score is the share of votes for a contradiction among those that were given; its latency is that of
    all askings one after the other.
    """
    given = [outcome.result for outcome in outcomes if isinstance(outcome.result, Verdict)]
    yes = sum(verdict.contradiction for verdict in given)
    most = max(yes, len(given) - yes)
    if 2 * most <= len(outcomes):
        return _joined(_undecided(outcomes, yes, len(given) - yes), outcomes)
    contradiction = 2 * yes > len(given)
    agreeing = [verdict for verdict in given if verdict.contradiction == contradiction]
    relations = Counter(verdict.relation for verdict in agreeing)
    return _joined(
        Verdict(
            contradiction,
            most / len(given),
            agreeing[0].reasoning,
            round(sum(verdict.latency_ms for verdict in given), 3),
            round(sum(outcome.result.wait_ms for outcome in outcomes), 3),
            SOURCE,
            relation=relations.most_common(1)[0][0],
        ),
        outcomes,
    )


def _undecided(outcomes: Sequence[Outcome], yes: int, no: int) -> Failure:
    """Of the kind that most of the missing votes have."""
    missing = [outcome.result for outcome in outcomes if isinstance(outcome.result, Failure)]
    kind, _ = Counter(failure.kind for failure in missing).most_common(1)[0]
    message = next(failure.message for failure in missing if failure.kind == kind)
    waited = round(sum(outcome.result.wait_ms for outcome in outcomes), 3)
    return Failure(kind, f"no majority of {len(outcomes)} votes: {yes} yes, {no} no; {message}", waited)


def _joined(result: Verdict | Failure, outcomes: Sequence[Outcome]) -> Outcome:
    last = outcomes[-1]
    return Outcome(
        result,
        tuple(attempt for outcome in outcomes for attempt in outcome.attempts),
        raw="\n".join(outcome.raw for outcome in outcomes),
        system_fingerprint=last.system_fingerprint,
        from_cache=all(outcome.from_cache for outcome in outcomes),
        found_in=next((outcome.found_in for outcome in outcomes if outcome.found_in), ""),
        batched=tuple(name for outcome in outcomes for name in outcome.batched),
    )
