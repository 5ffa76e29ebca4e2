"""What a file of scores says of each pair, found by id or by both texts.

In memory a row is a few numbers and its keys, some 320 bytes; reasonings lie in a temporary file.
"""

from __future__ import annotations

import math
import tempfile
import weakref
from array import array
from dataclasses import dataclass, replace
from hashlib import blake2b

from kimera.detectors.score_rows import Record, same_text
from kimera.pairs import ENTAILMENT, NEUTRAL, RELATIONS, SCORE_SOURCES, Pair, Verdict

_RELATIONS = (None, *RELATIONS)
_NONE = math.nan  # where there is no number
_SAME = 1e-9


class ConflictError(ValueError):
    """Rows that say different things of one pair; the message names them."""


@dataclass(frozen=True, slots=True)
class ScoresRow:
    """What the file says of a pair.

    number: of its row, from 1; of a text file its line. verdict: None where the row holds none.
    latency_ms, cost: None where the file does not tell; cost is in dollars.
    """

    number: int
    verdict: Verdict | None
    latency_ms: float | None = None
    cost: float | None = None


class ScoreIndex:
    """Rows by their keys. unit: what a row's number counts, for messages.

    doubles: rows that say what an earlier one of the same pair says.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._numbers = array("Q")
        self._confidences, self._latencies, self._costs = array("d"), array("d"), array("d")
        self._answers = array("b")  # 0: none, else 1 + the source, below 0 for no contradiction
        self._entailments, self._neutrals = array("d"), array("d")
        self._relations = array("b")  # indices into _RELATIONS
        self._ends = array("Q", [0])  # of reasonings in the file
        self._reasonings = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
        weakref.finalize(self, self._reasonings.close)
        self._by_id: dict[bytes, int] = {}
        self._by_texts: dict[bytes, int] = {}
        self._texts_of: dict[int, bytes] = {}
        self._unlike: dict[
            bytes, int
        ] = {}  # texts of which another row, by its id of another pair, says more
        self._relations_said: set[str | None] = set()  # relations
        self._used = bytearray()
        self.doubles = 0
        self.first: Record | None = None  # with keys, as an example

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def unmatched(self) -> int:
        """Rows that no pair was found to have."""
        return len(self._used) - sum(self._used)

    @property
    def without_verdict(self) -> int:
        return self._answers.count(0)

    def add(self, record: Record) -> None:
        """Raises ConflictError where an earlier row says something else of the same pair."""
        by_id = _key(record.id) if record.id else None
        by_texts = _key(*record.texts) if record.texts else None
        earlier = self._by_id.get(by_id) if by_id else self._by_texts.get(by_texts or b"")
        if earlier is not None:
            self._join(earlier, record, by_texts)
            return
        at = self._append(record)
        self.first = self.first or record
        if by_id:
            self._by_id[by_id] = at
        if by_texts:
            other = self._by_texts.setdefault(by_texts, at)
            if other != at and not self._is_same(other, record):
                self._unlike.setdefault(by_texts, at)
            if by_id:
                self._texts_of[at] = by_texts

    def find(self, pair: Pair) -> int | None:
        """The place of its row: by id if both have one, unless the texts that stand there are others.

        Raises ConflictError where those texts stand nowhere, and where several rows with the pair's texts say
        different things.
        """
        by_texts = _key(same_text(pair.text1), same_text(pair.text2))
        at = self._by_id.get(_key(pair.id)) if pair.id else None
        if at is not None and self._texts_of.get(at, by_texts) == by_texts:
            return self._taken(at)
        of_texts = self._by_texts.get(by_texts)
        if at is not None and of_texts is None:
            raise ConflictError(
                f"{self._unit} {self._numbers[at]} has the id {pair.id!r} of a pair, but other texts than "
                f"the pair, {pair.text1!r:.60} and {pair.text2!r:.60}; leave out the column of ids, or "
                "those of the texts, whichever does not belong to these pairs"
            )
        if of_texts is not None and by_texts in self._unlike:
            lines = f"{self._unit}s {self._numbers[of_texts]} and {self._numbers[self._unlike[by_texts]]}"
            raise ConflictError(
                f"{lines} say different things of the same texts, {pair.text1!r:.60} and {pair.text2!r:.60}, "
                "and no id says which is meant; keep one of them"
            )
        return None if of_texts is None else self._taken(of_texts)

    def row(self, at: int) -> ScoresRow:
        latency, cost = self._latencies[at], self._costs[at]
        verdict = self._verdict(at)
        if verdict and verdict.relation and not self._tells_classes:
            verdict = replace(verdict, relation=None)
        return ScoresRow(
            self._numbers[at],
            verdict,
            None if math.isnan(latency) else latency,
            None if math.isnan(cost) else cost,
        )

    def _taken(self, at: int) -> int:
        self._used[at] = 1
        return at

    def _verdict(self, at: int) -> Verdict | None:
        answer, latency = self._answers[at], self._latencies[at]
        if not answer:
            return None
        start, end = self._ends[at], self._ends[at + 1]
        entailment, neutral = self._entailments[at], self._neutrals[at]
        self._reasonings.seek(start)
        return Verdict(
            answer > 0,
            self._confidences[at],
            self._reasonings.read(end - start).decode("utf-8", "surrogatepass"),
            latency_ms=0.0 if math.isnan(latency) else latency,
            score_source=SCORE_SOURCES[abs(answer) - 1],
            entailment=None if math.isnan(entailment) else entailment,
            neutral=None if math.isnan(neutral) else neutral,
            relation=_RELATIONS[self._relations[at]],
        )

    @property
    def _tells_classes(self) -> bool:
        """Whether its words are of three classes: of two, entailment or neutral may be all that is none."""
        return {ENTAILMENT, NEUTRAL} <= self._relations_said

    def _append(self, record: Record) -> int:
        verdict = record.verdict
        self._numbers.append(record.number)
        self._latencies.append(_NONE if record.latency_ms is None else record.latency_ms)
        self._costs.append(_NONE if record.cost is None else record.cost)
        self._confidences.append(verdict.confidence if verdict else _NONE)
        self._answers.append(_answer(verdict))
        shares = (verdict.entailment, verdict.neutral) if verdict else (None, None)
        for column, share in zip((self._entailments, self._neutrals), shares, strict=True):
            column.append(_NONE if share is None else share)
        relation = verdict.relation if verdict else None
        self._relations.append(_RELATIONS.index(relation))
        self._relations_said.add(relation)
        text = verdict.reasoning.encode("utf-8", "surrogatepass") if verdict else b""
        self._reasonings.seek(self._ends[-1])
        self._reasonings.write(text)
        self._ends.append(self._ends[-1] + len(text))
        self._used.append(0)
        return len(self._numbers) - 1

    def _join(self, at: int, record: Record, by_texts: bytes | None) -> None:
        """Another row of the same key."""
        if self._texts_of.get(at, by_texts) != by_texts:
            raise self._conflict(at, record, f"the id {record.id!r}, with different texts")
        if not self._is_same(at, record):
            raise self._conflict(
                at, record, f"the same pair, with {self._said(at)} and {_said(record.verdict)}"
            )
        self.doubles += 1

    def _conflict(self, at: int, record: Record, what: str) -> ConflictError:
        return ConflictError(
            f"{self._unit}s {self._numbers[at]} and {record.number} are of {what}; keep one of them"
        )

    def _is_same(self, at: int, record: Record) -> bool:
        verdict = record.verdict
        if not verdict or not self._answers[at]:
            return not verdict and not self._answers[at]
        same_side = (self._answers[at] > 0) == verdict.contradiction
        stated = {_RELATIONS[self._relations[at]], verdict.relation} - {None}
        return same_side and len(stated) < 2 and abs(self._confidences[at] - verdict.confidence) <= _SAME

    def _said(self, at: int) -> str:
        return _said(self._verdict(at))


def _said(verdict: Verdict | None) -> str:
    if verdict is None:
        return "no verdict"
    return f"the score {verdict.score:g}" + (f" ({verdict.relation})" if verdict.relation else "")


def _answer(verdict: Verdict | None) -> int:
    if verdict is None:
        return 0
    place = SCORE_SOURCES.index(verdict.score_source) + 1
    return place if verdict.contradiction else -place


def _key(*parts: str) -> bytes:
    """128 bits: no two of any number of keys that fit in memory meet."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()
