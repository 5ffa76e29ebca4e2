"""What one detector said of n pairs, as a journal tells it: arrays of numbers, and where the words stand."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cascade import with_cascade
from benchmarks.datasets import Dataset
from benchmarks.detector_info import DetectorInfo
from benchmarks.judge import (
    SIMULATED_FINGERPRINT,
    TOKENS,
    UNKNOWN,
    Price,
    Usage,
    is_local,
    unstated,
)
from benchmarks.panel import with_panel
from benchmarks.runs.journal import JournalReader, Record, is_timed, result_of
from benchmarks.runs.open_votes import OpenVotes
from benchmarks.runs.run_result import RunResult
from benchmarks.runs.stage_counts import StageCounts
from benchmarks.stats import FAILED, NO_FEE, NO_PRICE, SCORE_SOURCES, DetectorResult
from kimera.detectors import COUNTED
from kimera.errors import UserError
from kimera.pairs import NO_CLASS, RELATIONS, Failure, Pair, Verdict

NO_OFFSET = -1
UNASKED = -2
OF_ONE_PAIR = {"missing", "abstained"}  # what a request about several pairs may come to for some of them
NOT_ASKED = Failure("not_asked", "the run ended before this pair")


class Outcomes:
    """Numbers are held, texts are not.

    verdicts, scores, latency_ms, wait_ms, done_s, score_sources: as in `benchmarks.stats.DetectorResult`.
    stated: float64 (n,), P(contradiction) by the confidence that the judge stated, NaN where it stated none.
    variants: int8 (n, v), the verdict of each asking of a pair (see `benchmarks.judge.Ask`), FAILED where
        it gave none, UNASKED where it was not asked yet.
    info: what the detector is, as it described itself last. about: the journal's last line on that, if any.
    sampled: of a cascade's dear side, how many pairs it was asked about as a random sample.
    found_in: how many replies stood elsewhere than in the message's content, by where.
    open_votes: where several askings decide together, those on pairs that have no verdict.
    stages: of a chain, which pairs came to which of its stages.
    passes: how each pass over the pairs was run, and what was found of it.
    limit_changes: (seconds into the run, requests in flight, reason) of each change by --async auto.
    usage, tokens_of_pair: what the replies count of their tokens, over all attempts; of a pair as uint64
        (n, 5), of the kinds and in the order of `benchmarks.judge.TOKENS`.
    replies, uncounted: how many replies there were that should say what they cost, and by kind of token how
        many of them did not. maybe_billed: attempts that may have cost something that nobody told.
    batched: names of the replies that came in batches.
    stated_dollars: float64 (n,), what a file says that a pair cost, NaN where it says nothing.
    classes: int8 (n,), which of `kimera.pairs.RELATIONS` each verdict is, NO_CLASS where it does not tell.
    tells_classes: whether a verdict tells P(entailment) or P(neutral), or states one of three classes.
    offsets: int64 (n,), where in the journal a pair's last outcome stands, NO_OFFSET if nowhere.
    """

    def __init__(self, info: DetectorInfo, size: int) -> None:
        self.info = info
        self.verdicts = np.full(size, FAILED, np.int8)
        self.scores = np.full(size, np.nan)
        self.classes = np.full(size, NO_CLASS, np.int8)
        self.latency_ms = np.full(size, np.nan)
        self.wait_ms = np.full(size, np.nan)
        self.done_s = np.full(size, np.nan, np.float32)
        self.tokens_of_pair = np.zeros((size, len(TOKENS)), np.uint64)
        self.stated = np.full(size, np.nan)
        self.score_sources = np.zeros(size, np.uint8)
        self.variants = np.full((size, info.variants), UNASKED, np.int8)
        self.offsets = np.full(size, NO_OFFSET, np.int64)
        self.about: Record = {}
        self.sampled = 0
        self.fingerprints: Counter[str] = Counter()
        self.found_in: Counter[str] = Counter()
        self._tokens = [0] * len(TOKENS)
        self.replies = 0
        self.uncounted: Counter[str] = Counter()
        self.maybe_billed = 0
        self.stated_dollars = np.full(size, np.nan)
        self.busy_s = 0.0
        self.attempts = 0
        self.batched: set[str] = set()
        self.attempt_errors: Counter[str] = Counter()
        self.from_cache = 0
        self.tells_classes = False
        self.open_votes = OpenVotes()
        self.stages = StageCounts(size)
        self.passes: list[Record] = []
        self.limit_changes: list[tuple[float, int, str]] = []
        self._failure_kinds: dict[int, str] = {}
        self._earlier_s = 0.0
        self._last_s = 0.0
        self._cut_off = 0
        self._is_under_way = False

    @property
    def name(self) -> str:
        return self.info.name

    def __len__(self) -> int:
        return len(self.offsets)

    @property
    def usage(self) -> Usage:
        return Usage(*self._tokens)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to ask."""
        return not (self.variants < 0).any()

    @property
    def wall_s(self) -> float:
        """Seconds from the beginning of each pass to its last outcome, added up."""
        return self._earlier_s + self._last_s

    def wants(self, index: int, variant: int = 0, vote: int = 0) -> bool:
        """Whether this has no verdict yet: it was never asked, or failed."""
        return bool(self.variants[index, variant] < 0) and not self.open_votes.has(index, variant, vote)

    def take(self, offset: int, record: Record) -> None:
        """Takes a line of the journal, which stands at this offset, into account."""
        if "began" in record:
            self._begin(record)
        elif "ended" in record:
            self.passes[-1] |= record["found"]
            self._is_under_way = False
        elif "about" in record:
            self._describe(record["about"])
        elif "limit" in record:
            self._note_limit(record)
        else:
            self._note(offset, record, result_of(record))

    def _describe(self, about: Record) -> None:
        self.about = dict(about)
        self.info = self.info.updated(about)
        self.sampled = about.get("sampled", 0)

    def _begin(self, record: Record) -> None:
        self.passes.append(dict(record["how"]))
        self._earlier_s += self._last_s
        self._last_s = 0.0
        self._cut_off += self._is_under_way
        self._is_under_way = True

    def _note_limit(self, record: Record) -> None:
        second = round(self._earlier_s + record["s"], 3)
        self.limit_changes.append((second, record["limit"], record["reason"]))

    def _note(self, offset: int, record: Record, result: Verdict | Failure) -> None:
        index, variant = record["index"], record.get("variant", 0)
        self._last_s = max(self._last_s, record["s"])
        self._note_cost(index, record)
        if "vote" in record:
            self.open_votes.note(record, result)
            return
        if isinstance(result, Verdict):
            self.open_votes.drop(index, variant)
        self.variants[index, variant] = result.contradiction if isinstance(result, Verdict) else FAILED
        if variant:
            return
        self.stages.note(index, record.get("stages", {}))
        self.offsets[index] = offset
        self._failure_kinds.pop(index, None)
        if isinstance(result, Failure):
            self._failure_kinds[index] = result.kind
            return
        self.verdicts[index] = result.contradiction
        self.scores[index] = result.score
        self._note_class(index, result)
        self.score_sources[index] = SCORE_SOURCES.index(result.score_source)
        if (stated := record.get("stated")) is not None:
            self.stated[index] = Verdict(result.contradiction, stated).score
        if is_timed(record):
            self.latency_ms[index] = result.latency_ms
            self.wait_ms[index] = result.wait_ms
            self.done_s[index] = self._earlier_s + record["s"]

    def _note_class(self, index: int, verdict: Verdict) -> None:
        self.tells_classes |= any(
            told is not None for told in (verdict.entailment, verdict.neutral, verdict.relation)
        )
        name = verdict.three_way
        self.classes[index] = NO_CLASS if name is None else RELATIONS.index(name)

    def _note_cost(self, index: int, record: Record) -> None:
        for attempt in record.get("attempts", ()):
            usage = _usage_of(attempt)
            for column, tokens in enumerate(usage):
                if tokens:
                    self._tokens[column] += tokens
                    self.tokens_of_pair[index, column] += np.uint64(tokens)
            is_first = not _is_shared(attempt) or attempt[-1][0] == 0
            if attempt[2] and (is_first or attempt[2] in OF_ONE_PAIR):
                self.attempt_errors[attempt[2]] += 1
            if is_first:  # one request is counted once, however many pairs share it
                self._note_request(attempt, usage)
        self.from_cache += bool(record.get("from_cache"))
        self.batched.update(record.get("batched", ()))
        self.stated_dollars[index] = record.get("dollars", np.nan)
        if fingerprint := record.get("system_fingerprint"):
            self.fingerprints[fingerprint] += 1
        if place := record.get("found_in"):
            self.found_in[place] += 1

    def _note_request(self, attempt: Sequence[Any], usage: Sequence[int | None]) -> None:
        self.attempts += 1
        self.busy_s += attempt[0] / 1000
        self.replies += attempt[1] == 200
        if None in usage:
            self.maybe_billed += not Usage(*usage).is_known
            if attempt[1] == 200:
                for name, tokens in zip(TOKENS, usage, strict=False):
                    if tokens is None:
                        self.uncounted[name] += 1

    def errors(self) -> dict[str, int]:
        """Failures by kind, pairs that were never asked among them."""
        counts = Counter(self._failure_kinds.values())
        if missing := int((self.offsets == NO_OFFSET).sum()):
            counts[NOT_ASKED.kind] = missing
        return dict(sorted(counts.items()))

    def failure_kinds(self) -> dict[int, str]:
        """The kind of failure of each pair without a verdict, by index."""
        unasked = np.flatnonzero(self.offsets == NO_OFFSET).tolist()
        return dict.fromkeys(unasked, NOT_ASKED.kind) | self._failure_kinds

    def results(self, journal: JournalReader) -> Iterator[Verdict | Failure]:
        """The outcome of every pair in order, read back from the journal."""
        return (self.result_at(index, journal) for index in range(len(self)))

    def result_at(self, index: int, journal: JournalReader) -> Verdict | Failure:
        """The outcome of one pair, read back from the journal."""
        offset = int(self.offsets[index])
        return NOT_ASKED if offset == NO_OFFSET else result_of(journal.at(offset))

    def result(self) -> DetectorResult:
        """What metrics are made of. Mode and concurrency are those of the last pass: later ones only mend."""
        is_simulated = self.info.is_simulated or SIMULATED_FINGERPRINT in self.fingerprints
        last: Record = self.passes[-1] if self.passes else {"mode": "none", "asked": 0}
        return DetectorResult(
            info=replace(self.info, is_simulated=is_simulated),
            mode=last["mode"],
            asked=last["asked"],
            used=last.get("used", 0),
            loop=last.get("loop", ""),
            wall_s=self.wall_s,
            verdicts=self.verdicts,
            scores=self.scores,
            latency_ms=self.latency_ms,
            wait_ms=self.wait_ms,
            done_s=self.done_s,
            score_sources=self.score_sources,
            errors=self.errors(),
            tells_classes=self.tells_classes,
            classes=self.classes if (self.classes != NO_CLASS).any() else None,
            **self._more(),
        )

    def _more(self) -> dict[str, Any]:
        if not self.info.is_paid:
            return self._of_work()
        return self._of_paid_file() if self.info.is_replayed else self._of_requests()

    def _of_paid_file(self) -> dict[str, Any]:
        """Costs that a file states; what it says nothing of is not known to be free."""
        missing = int(np.isnan(self.stated_dollars).sum())
        known = {"dollars": float(self.stated_dollars.sum()), "dollars_of_pair": self.stated_dollars}
        absent = f"the file states no cost of {missing:,} of {len(self):,} pairs"
        return {
            "settings": dict(self.info.settings),
            "tokens": {},
            "tokens_absent": dict.fromkeys(("prompt", "completion"), "they are not in a file of results"),
            "stated_dollars": self.stated_dollars,
            **({"dollars_absent": absent} if missing else known),
        }

    def _of_work(self) -> dict[str, Any]:
        counted = {
            name: sum(counts.get(name, 0) for counts in self.passes)
            for name in COUNTED
            if any(name in counts for counts in self.passes)
        }
        return {"settings": {**self.info.settings, **self.stages.as_settings(), **counted}}

    def _of_requests(self) -> dict[str, Any]:
        price = Price(**self.info.price) if self.info.price else None
        unpriced = self._why_no_dollars(price)
        return {
            "settings": {
                **self.info.settings,
                "system_fingerprints": dict(self.fingerprints),
                **({"found_in": dict(self.found_in)} if self.found_in else {}),
            },
            "tokens": {
                name: count for name, count in self.usage.as_dict().items() if not self.uncounted[name]
            },
            "tokens_of_pair": {
                name: self.tokens_of_pair[:, column]
                for column, name in enumerate(TOKENS)
                if not self.uncounted[name]
            },
            "tokens_absent": {name: self._why_no_count(name) for name, count in self.uncounted.items()},
            "busy_s": self.busy_s,
            "attempts": self.attempts,
            "attempt_errors": dict(sorted(self.attempt_errors.items())),
            "from_cache": self.from_cache,
            "cut_off": self._cut_off + self._is_under_way,
            "stated": self.stated,
            "variants": self.variants,
            "dollars": price.cost(self.usage) if price and not unpriced else None,
            "dollars_at_least": self._at_least(price) if unpriced else None,
            "dollars_of_pair": price.costs(self.tokens_of_pair) if price and not unpriced else None,
            "dollars_absent": unpriced,
            "limit_changes": tuple(self.limit_changes),
        }

    def _why_no_count(self, name: str) -> str:
        """Why there is no number of these tokens; what is counted of them is a part of it."""
        missing, replies = self.uncounted[name], f"{self.replies:,} replies"
        if missing == self.replies:
            return f"none of the {replies} states them"
        return (
            f"{missing:,} of {replies} do not state them; the others come to {self.usage.as_dict()[name]:,}"
        )

    def _at_least(self, price: Price | None) -> float | None:
        """What the replies that state their tokens cost; None where some of these may have been cheaper."""
        if price is None or (self.uncounted["cached"] and price.cached_input < price.input):
            return None
        return price.cost(self.usage) or None

    def _why_no_dollars(self, price: Price | None) -> str:
        """Empty where the cost is known."""
        if price is None:
            return NO_FEE if is_local(str(self.info.settings.get("base_url"))) else NO_PRICE
        missing = max(self.uncounted["prompt"], self.uncounted["completion"])
        if not missing:
            return ""
        if missing == self.replies:
            return f"none of the {self.replies:,} replies states its tokens"
        return f"{missing:,} of {self.replies:,} replies do not state their tokens"


def _is_shared(attempt: Sequence[Any]) -> bool:
    """Whether it is a share of a request; it then ends in [place, pairs]."""
    return isinstance(attempt[-1], list)


def _usage_of(attempt: Sequence[Any]) -> Sequence[int | None]:
    """The tokens of an attempt as the journal has it, as `TOKENS` names them.

    Version 0.5.0 wrote zeros for what is not known.
    """
    usage: Sequence[int | None] = attempt[3:-1] if _is_shared(attempt) else attempt[3:]
    if usage[0] or unstated(attempt[1]).is_known:
        return usage
    return replace(UNKNOWN, completion=usage[1] or None).as_tuple()


def take_journal(outcomes: Mapping[str, Outcomes], journal: JournalReader) -> None:
    """Gives each line of the journal to the detector it is about; lines about others are passed over.

    Raises UserError for what is no such line.
    """
    for offset, record in journal:
        outcome = outcomes.get(record.get("detector") or record.get("began") or record.get("ended", ""))
        try:
            if outcome:
                outcome.take(offset, record)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(
                f"{journal.path}, byte {offset}: not a line of this version's journal ({error!r})"
            ) from None


def merge(
    dataset: Dataset,
    outcomes: Sequence[Outcomes],
    created: str,
    seed: int,
    combination: DetectorInfo | None = None,
) -> RunResult:
    """The run that these outcomes, one of each detector over this dataset, make up.

    combination: a cascade of two of them or a panel of several, where the run has one.
    """
    detectors: Sequence[DetectorResult] = [outcome.result() for outcome in outcomes]
    shared_out = panel = None
    if combination and combination.sides:
        dear = next(outcome for outcome in outcomes if outcome.name == combination.sides.dear)
        detectors, shared_out = with_cascade(combination, detectors, dear.offsets != NO_OFFSET, dear.sampled)
    elif combination:
        failures = {outcome.name: outcome.failure_kinds() for outcome in outcomes}
        detectors, panel = with_panel(combination, detectors, failures)
    return RunResult(
        created=created,
        dataset={
            "name": dataset.name,
            "sha256": dataset.sha256,
            "pairs": len(dataset),
            "contradictions": dataset.contradictions,
            "available": dataset.available,
            "bad_rows": dataset.bad_rows,
            "no_gold_label": dataset.no_gold_label,
            **({"seed": seed} if dataset.sampled else {}),
            **({"shard": dataset.shard} if dataset.shard else {}),
        },
        labels=dataset.labels,
        classes=dataset.classes,
        detectors=tuple(detectors),
        clusters=dataset.clusters,
        cascade=shared_out,
        panel=panel,
        categories=dataset.categories,
        category_names=dataset.category_names,
        drawn=None if np.isnan(dataset.drawn).all() else dataset.drawn,
    )


def rows_of(
    dataset: Dataset, outcomes: Sequence[Outcomes], run: RunResult, journal_path: Path
) -> Iterator[tuple[Pair, Sequence[Verdict | Failure | None]]]:
    """Each pair with the outcome of each detector of the run, in order, read from disk."""
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(JournalReader(journal_path)) for _ in outcomes]
        columns = [outcome.results(reader) for outcome, reader in zip(outcomes, readers, strict=True)]
        results = zip(*columns, strict=True)
        whole = run.combination
        names = [outcome.name for outcome in outcomes]
        yield from zip(dataset, whole.findings(names, results) if whole else results, strict=True)
