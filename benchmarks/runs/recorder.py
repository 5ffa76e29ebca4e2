"""Where a detector's outcomes go the moment they exist: a line of the journal, and arrays of numbers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.detector_info import DetectorInfo
from benchmarks.judge import Ask, LimitChange, Outcome, kind_of
from benchmarks.runs.journal import Journal, Record, result_record
from benchmarks.runs.open_votes import OpenPair
from benchmarks.runs.outcomes import Outcomes
from kimera.pairs import Failure, Pair, Verdict

MAX_MESSAGES = 1000  # of failures, for the one that is met most; each may be worded anew


class Recorder(Outcomes):
    """One detector's outcomes over n pairs, written down as they come."""

    def __init__(self, info: DetectorInfo, size: int, journal: Journal) -> None:
        super().__init__(info, size)
        self._journal = journal
        self._begun = time.perf_counter()
        self._messages: Counter[tuple[str, str]] = Counter()

    @property
    def folder(self) -> Path:
        """Where the journal lies."""
        return self._journal.path.parent

    @property
    def commonest_failure(self) -> str:
        """The kind and message that most of this session's failures have; empty without any."""
        return next((": ".join(failure) for failure, _ in self._messages.most_common(1)), "")

    def describe(self, info: DetectorInfo, sampled: int | None = None) -> None:
        """What the detector is and how it is set; only what is new is written.

        sampled: of a cascade's dear side, how many pairs are asked as a random sample; None: as before.
        """
        sampled = self.sampled if sampled is None else sampled
        about = info.as_json() | ({"sampled": sampled} if sampled else {})
        if about != self.about:
            self._write({"detector": self.name, "about": about})

    def begin(self, **how: Any) -> None:
        """A pass over the pairs begins; the times of its records count from here. how: its mode."""
        self._begun = time.perf_counter()
        self._write({"began": self.name, "how": how})
        self.open_votes.begin_again()
        for pair in self.open_votes:
            if pair.is_full:  # the session before was killed between the last vote and this
                self._decide(pair)

    def end(self, **found: Any) -> None:
        """The pass has ended. found: what it is worth to keep of it, JSON-ready."""
        for pair in self.open_votes:
            if pair.was_asked and not pair.is_full:
                self._decide(pair)
        self._write({"ended": self.name, "found": found})

    def record_verdict(
        self,
        index: int,
        pair: Pair,
        result: Verdict | Failure,
        *,
        is_timed: bool = True,
        dollars: float | None = None,
        stages: Mapping[str, bool] | None = None,
    ) -> None:
        """A detector's outcome of one pair that was not asked for over a network.

        is_timed: whether its latency is known. dollars: what it cost where it was paid for.
        stages: of a chain, those that the pair came to, and whether each gave a verdict.
        """
        details: Record = {
            **({} if is_timed else {"untimed": True}),
            **({} if dollars is None else {"dollars": dollars}),
            **({"stages": dict(stages)} if stages else {}),
        }
        self._append(Ask(index, pair), result, details)

    def record_outcome(self, ask: Ask, outcome: Outcome) -> bool:
        """A judge's outcome of one question, with all that it cost. Gives whether it was the last vote."""
        details: Record = {
            "raw": outcome.raw[:20_000],
            "attempts": [
                [
                    attempt.latency_ms,
                    attempt.status,
                    attempt.error,
                    *attempt.usage.as_tuple(),
                    *([[attempt.place, attempt.pairs]] if attempt.pairs > 1 else ()),
                ]
                for attempt in outcome.attempts
            ],
        }
        if outcome.system_fingerprint:
            details["system_fingerprint"] = outcome.system_fingerprint
        if outcome.stated_confidence is not None:
            details["stated"] = outcome.stated_confidence
        if outcome.found_in:
            details["found_in"] = outcome.found_in
        if outcome.from_cache:
            details["from_cache"] = True
        if outcome.batched:  # its time was that of others
            details |= {"batched": list(outcome.batched), "untimed": True}
        if ask.votes == 1:
            self._append(ask, outcome.result, details)
            return True
        self._append(ask, outcome.result, {"vote": ask.vote, "votes": ask.votes, **details})
        pair = self.open_votes.at(ask.index, ask.variant)
        is_last = pair is not None and pair.is_full
        if pair and is_last:
            self._decide(pair)
        return is_last

    def record_limit(self, change: LimitChange) -> None:
        """One change of the requests that --async auto allows in flight."""
        second = round(time.perf_counter() - self._begun, 3)
        self._write({"detector": self.name, "s": second, "limit": change.limit, "reason": change.reason})

    def _append(self, ask: Ask, result: Verdict | Failure, details: Record) -> None:
        head: Record = {"detector": self.name, "index": ask.index, "id": ask.pair.id}
        if ask.variant:
            head |= {"variant": ask.variant, "repeat": ask.repeat, "swapped": ask.swapped}
        self._append_to(head, result, details)

    def _append_to(self, head: Record, result: Verdict | Failure, details: Record) -> None:
        second = round(time.perf_counter() - self._begun, 4)
        record = {**head, "s": second, **result_record(result), **details}
        self._note(self._journal.append(record), record, result)
        is_vote = "vote" in record
        if isinstance(result, Failure) and not (is_vote or kind_of(result.kind).is_answer):
            self._count(result)

    def _decide(self, pair: OpenPair) -> None:
        """Writes down what the votes that are in say."""
        self._append_to(pair.head, pair.decided(), {} if pair.is_timed else {"untimed": True})

    def _count(self, failure: Failure) -> None:
        if len(self._messages) < MAX_MESSAGES:
            self._messages[failure.kind, failure.message] += 1

    def _write(self, record: Record) -> None:
        self.take(self._journal.append(record), record)
