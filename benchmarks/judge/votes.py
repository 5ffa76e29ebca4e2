"""What several askings about one pair decide together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from benchmarks.judge.failures import FATAL
from kimera.pairs import Failure, Verdict

SOURCE = "votes"
STOPPED = Failure("interrupted", "the run was stopped before all votes were in")


def decided(results: Sequence[Verdict | Failure], votes: int) -> Verdict | Failure:
    """The verdict of more than half of so many votes, or a failure where there is none.

    results: of the votes that are in; each may be a failure. The verdict's score is the share of votes for a
    contradiction among those that were given; its latency is that of all askings one after the other.
    """
    given = [result for result in results if isinstance(result, Verdict)]
    yes = sum(verdict.contradiction for verdict in given)
    most = max(yes, len(given) - yes)
    if 2 * most <= votes:
        return _undecided(results, votes, yes, len(given) - yes)
    agreeing = [verdict for verdict in given if verdict.contradiction == (2 * yes > len(given))]
    relations = Counter(verdict.relation for verdict in agreeing)
    return Verdict(
        agreeing[0].contradiction,
        most / len(given),
        agreeing[0].reasoning,
        round(sum(verdict.latency_ms for verdict in given), 3),
        _waited(results),
        SOURCE,
        relation=relations.most_common(1)[0][0],
    )


def _undecided(results: Sequence[Verdict | Failure], votes: int, yes: int, no: int) -> Failure:
    """What ended the run where votes are missing for that, else of the kind that most failed votes have."""
    failed = [result for result in results if isinstance(result, Failure)]
    if len(results) < votes:
        return next((failure for failure in failed if failure.kind in FATAL), STOPPED)
    kind, _ = Counter(failure.kind for failure in failed).most_common(1)[0]
    message = next(failure.message for failure in failed if failure.kind == kind)
    return Failure(kind, f"no majority of {votes} votes: {yes} yes, {no} no; {message}", _waited(results))


def _waited(results: Sequence[Verdict | Failure]) -> float:
    return round(sum(result.wait_ms for result in results), 3)
