"""Where a detector's outcomes go the moment they exist: the run's journal, and arrays of numbers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.adaptive import LimitChange
from benchmarks.journal import Journal, JournalReader, Record, result_of, result_record
from benchmarks.judge import Outcome, Usage
from benchmarks.pipeline import Ask
from benchmarks.results import FAILED, SCORE_SOURCES
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

NO_OFFSET = -1
UNASKED = -2
NOT_ASKED = Failure("not_asked", "the run ended before this pair")


class Recorder:
    """One detector's outcomes over n pairs: texts go to the journal, numbers stay here.

    verdicts, scores, latency_ms, wait_ms: as in `benchmarks.results.DetectorResult`.
    stated: float64 (n,), P(contradiction) by the confidence that the judge stated, NaN where it stated none.
    variants: int8 (n, v), the verdict of each asking of a pair (see `benchmarks.pipeline.Ask`), FAILED where
        it gave none, UNASKED where it was not asked yet.
    passes: how each pass over the pairs was run, and what was found of it.
    limit_changes: (seconds into the run, requests in flight, reason) of each change by --async auto.
    offsets: int64 (n,), where in the journal a pair's last outcome stands, NO_OFFSET if nowhere.
    """

    def __init__(self, name: str, size: int, journal: Journal, variants: int = 1) -> None:
        self.name = name
        self.verdicts = np.full(size, FAILED, np.int8)
        self.scores = np.full(size, np.nan)
        self.latency_ms = np.full(size, np.nan)
        self.wait_ms = np.full(size, np.nan)
        self.stated = np.full(size, np.nan)
        self.score_sources = np.zeros(size, np.uint8)
        self.variants = np.full((size, variants), UNASKED, np.int8)
        self.offsets = np.full(size, NO_OFFSET, np.int64)
        self.fingerprints: Counter[str] = Counter()
        self.usage = Usage()
        self.busy_s = 0.0
        self.attempts = 0
        self.attempt_errors: Counter[str] = Counter()
        self.from_cache = 0
        self.passes: list[Record] = []
        self.limit_changes: list[tuple[float, int, str]] = []
        self._failure_kinds: dict[int, str] = {}
        self._journal = journal
        self._earlier_s = 0.0
        self._last_s = 0.0
        self._begun = time.perf_counter()

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask."""
        return not (self.variants < 0).any()

    @property
    def wall_s(self) -> float:
        """Seconds from the beginning of each pass to its last outcome, added up."""
        return self._earlier_s + self._last_s

    def wants(self, index: int, variant: int = 0) -> bool:
        """Whether this has no verdict yet: it was never asked, or failed."""
        return bool(self.variants[index, variant] < 0)

    def begin(self, **how: Any) -> None:
        """A pass over the pairs begins; the times of its records count from here. how: its mode."""
        self._begun = time.perf_counter()
        record: Record = {"began": self.name, "how": how}
        self._begin(record)
        self._journal.append(record)

    def end(self, **found: Any) -> None:
        """The pass has ended. found: what it is worth to keep of it, JSON-ready."""
        self.passes[-1] |= found
        self._journal.append({"ended": self.name, "found": found})

    def record_verdict(self, index: int, pair: Pair, result: Verdict | Failure) -> None:
        """The reactor's outcome of one pair."""
        self._append(Ask(index, pair), result, {})

    def record_outcome(self, ask: Ask, outcome: Outcome) -> None:
        """A judge's outcome of one question, with all that it cost."""
        details: Record = {
            "raw": outcome.raw[:20_000],
            "attempts": [
                [attempt.latency_ms, attempt.status, attempt.error, *attempt.usage.as_tuple()]
                for attempt in outcome.attempts
            ],
        }
        if outcome.system_fingerprint:
            details["system_fingerprint"] = outcome.system_fingerprint
        if outcome.stated_confidence is not None:
            details["stated"] = outcome.stated_confidence
        if outcome.from_cache:
            details["from_cache"] = True
        self._append(ask, outcome.result, details)

    def _append(self, ask: Ask, result: Verdict | Failure, details: Record) -> None:
        record: Record = {"detector": self.name, "index": ask.index, "id": ask.pair.id}
        if ask.variant:
            record |= {"variant": ask.variant, "repeat": ask.repeat, "swapped": ask.swapped}
        record |= {"s": round(time.perf_counter() - self._begun, 4), **result_record(result), **details}
        self._note(self._journal.append(record), record, result)

    def record_limit(self, change: LimitChange) -> None:
        """One change of the requests that --async auto allows in flight."""
        second = round(time.perf_counter() - self._begun, 3)
        record: Record = {"detector": self.name, "s": second, "limit": change.limit, "reason": change.reason}
        self._journal.append(record)
        self._note_limit(record)

    def _note_limit(self, record: Record) -> None:
        self.limit_changes.append(
            (round(self._earlier_s + record["s"], 3), record["limit"], record["reason"])
        )

    def replay(self, offset: int, record: Record) -> None:
        """Takes a line that an earlier session left in the journal."""
        try:
            if "began" in record:
                self._begin(record)
            elif "ended" in record:
                self.passes[-1] |= record["found"]
            elif "limit" in record:
                self._note_limit(record)
            else:
                self._note(offset, record, result_of(record))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(
                f"{self._journal.path}, byte {offset}: not a line of this version's journal ({error!r})"
            ) from None

    def _begin(self, record: Record) -> None:
        self.passes.append(dict(record["how"]))
        self._earlier_s += self._last_s
        self._last_s = 0.0

    def _note(self, offset: int, record: Record, result: Verdict | Failure) -> None:
        index, variant = record["index"], record.get("variant", 0)
        self._last_s = max(self._last_s, record["s"])
        self._note_cost(record)
        self.variants[index, variant] = result.contradiction if isinstance(result, Verdict) else FAILED
        if variant:
            return
        self.offsets[index] = offset
        self._failure_kinds.pop(index, None)
        if isinstance(result, Failure):
            self._failure_kinds[index] = result.kind
            return
        self.verdicts[index] = result.contradiction
        self.scores[index] = result.score
        self.score_sources[index] = SCORE_SOURCES.index(result.score_source)
        if (stated := record.get("stated")) is not None:
            self.stated[index] = Verdict(result.contradiction, stated).score
        if not record.get("from_cache"):
            self.latency_ms[index] = result.latency_ms
            self.wait_ms[index] = result.wait_ms

    def _note_cost(self, record: Record) -> None:
        for attempt in record.get("attempts", ()):
            if attempt[2]:
                self.attempt_errors[attempt[2]] += 1
            self.attempts += 1
            self.busy_s += attempt[0] / 1000
            self.usage += Usage(*attempt[3:])
        self.from_cache += bool(record.get("from_cache"))
        if fingerprint := record.get("system_fingerprint"):
            self.fingerprints[fingerprint] += 1

    def errors(self) -> dict[str, int]:
        """Failures by kind, pairs that were never asked among them."""
        counts = Counter(self._failure_kinds.values())
        if missing := int((self.offsets == NO_OFFSET).sum()):
            counts[NOT_ASKED.kind] = missing
        return dict(sorted(counts.items()))

    def results(self, journal: JournalReader) -> Iterator[Verdict | Failure]:
        """The outcome of every pair in order, read back from the journal."""
        for offset in self.offsets.tolist():
            yield NOT_ASKED if offset == NO_OFFSET else result_of(journal.at(offset))
