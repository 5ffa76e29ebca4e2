"""Runs detectors over the same pairs, one after the other, and merges what they say.

The reactor goes first and alone, so that neither disturbs the other's timing.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, tee
from typing import Protocol

import numpy as np
from tqdm import tqdm

from benchmarks.attempts import Outcome
from benchmarks.cascade import CascadePlan
from benchmarks.datasets import Dataset, pairs_at
from benchmarks.failures import INTERRUPTED
from benchmarks.journal import Journal, JournalReader, Record
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.outcomes import COUNTED, merge, take_journal
from benchmarks.pipeline import Ask, asks_of, judge_all
from benchmarks.pricing import Price, estimate
from benchmarks.recorder import Recorder
from benchmarks.results import REACTOR_NAME, RunResult, title_of
from kimera.interrupts import interrupt_once
from kimera.pairs import Failure
from kimera.progress import progress_bar
from kimera.reactor import Reactor

STOPPING = "stopping: waiting for the requests in flight; Ctrl-C again ends at once"


class Detector(Protocol):
    """Something that gives verdicts on all pairs of a dataset to a recorder."""

    name: str
    variants: int  # how often it is asked about a pair

    def take_earlier(self, recorder: Recorder) -> None:
        """Takes into account what earlier sessions of the run have spent."""

    def run(self, dataset: Dataset, recorders: Mapping[str, Recorder], *, quiet: bool) -> Failure | None:
        """Asks about what its recorder wants; gives what ended it early, if anything did.

        recorders: of all detectors, by name; those that ran before are full.
        """

    def about(self) -> Record:
        """What it is and how it is set, as `Outcomes.about` has it."""


class ReactorDetector:
    """The reactor on one process and all its cores, or on `workers` processes of one thread each.

    On Ray without `workers`, on as many as the cluster has CPUs, and 0 is how many were asked for.
    """

    variants = 1

    def __init__(self, reactor: Reactor, workers: int | None, name: str) -> None:
        self.name = name
        self._reactor = reactor
        self._workers = workers

    def take_earlier(self, recorder: Recorder) -> None:
        pass

    def run(self, dataset: Dataset, recorders: Mapping[str, Recorder], *, quiet: bool) -> None:
        recorder = recorders[self.name]
        wanted = [index for index in range(len(dataset)) if recorder.wants(index)]
        pairs, copies = tee(pairs_at(dataset, wanted))
        recorder.begin(**self._how())
        with self._reactor as reactor, progress_bar(self.name, len(wanted), quiet=quiet) as bar:
            results = reactor.stream(copies, self._workers, on_progress=bar.update)
            for index, pair, result in zip(wanted, pairs, results, strict=True):
                recorder.record_verdict(index, pair, result)
        stats = asdict(self._reactor.stats)
        counted = {name: stats[name] for name in COUNTED}
        recorder.end(used=max(1, stats["workers_used"]), **counted)

    def _how(self) -> Record:
        if not self._reactor.engine.is_local:
            return {"mode": "ray", "asked": self._workers or 0}
        return {"mode": "mp" if self._workers else "single", "asked": self._workers or 1}

    def about(self) -> Record:
        reactor = self._reactor
        return {
            "kind": "reactor",
            "settings": {
                "stages": reactor.stages,
                "encoder": reactor.encoder.name,
                "precision": reactor.runtime.precision,
                "backend": reactor.runtime.backend,
                "device": reactor.runtime.device,
                "symmetric": reactor.symmetric,
                **{f"{part}_fingerprint": mark for part, mark in reactor.fingerprints.items()},
                "cache": reactor.cache is not None,
            },
            "trained_on": reactor.trained_on,
        }


@dataclass(frozen=True)
class JudgeOptions:
    """How a judge is asked and what ends it. repeat, swap: see `benchmarks.pipeline.asks_of`.

    plan: of a cascade, whose reactor has run before; without one the judge is asked about all pairs.
    """

    repeat: int = 1
    swap: bool = False
    logprobs: bool = False
    max_error_rate: float | None = None
    price: Price | None = None
    plan: CascadePlan | None = None


class JudgeDetector:
    """A judge, asked through a client that this opens and closes."""

    def __init__(
        self,
        client: AsyncOpenAIClient,
        name: str,
        asked: int | str,
        *,
        simulated: bool = False,
        options: JudgeOptions | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._asked = asked
        self._simulated = simulated
        self._options = options or JudgeOptions()
        self.variants = self._options.repeat * (2 if self._options.swap else 1)

    def take_earlier(self, recorder: Recorder) -> None:
        if self._client.cost_limit:
            self._client.cost_limit.add_earlier(recorder.usage, recorder.maybe_billed)

    def run(self, dataset: Dataset, recorders: Mapping[str, Recorder], *, quiet: bool) -> Failure | None:
        recorder = recorders[self.name]
        rounds = self._rounds(dataset, recorders, quiet)
        first = next((chosen for chosen in rounds if (recorder.variants[chosen] < 0).any()), None)
        if first is None:
            return None
        recorder.begin(mode=self._client.mode, asked=self._asked)
        return asyncio.run(self._run(dataset, recorder, chain([first], rounds), quiet))

    def _rounds(
        self, dataset: Dataset, recorders: Mapping[str, Recorder], quiet: bool
    ) -> Iterator[np.ndarray]:
        """bool (n,), which pairs are asked about, one round after the other."""
        plan, recorder = self._options.plan, recorders[self.name]
        if plan is None:
            yield np.ones(len(dataset), dtype=bool)
            return
        sampled = recorder.about.get("sampled", 0)
        plan = replace(plan, sampled_before=sampled)
        scores = recorders[REACTOR_NAME].scores
        dollars = None if quiet else self._expected_dollars(dataset)
        plan.require_budget(scores)
        for pairs, is_sample in plan.rounds(scores, recorder.verdicts):
            if is_sample:
                recorder.describe({**recorder.about, "sampled": int(pairs.sum())})
            if not quiet and recorder.variants[pairs].min(initial=0) < 0:
                self._announce(pairs, is_sample, recorder, dollars)
            yield pairs

    def _expected_dollars(self, dataset: Dataset) -> float | None:
        """What asking about one pair will cost on average, in all the ways it is asked."""
        texts = (
            "".join(message["content"] for message in self._client.prompt.messages(pair.text1, pair.text2))
            for pair in dataset
        )
        whole = estimate(texts, self._options.price).dollars
        return None if whole is None else whole * self.variants / max(1, len(dataset))

    def _announce(
        self, pairs: np.ndarray, is_sample: bool, recorder: Recorder, dollars: float | None
    ) -> None:
        """What is about to be asked, and about what it and, at most, the rest will cost."""

        def cost(count: int) -> str:
            return "" if dollars is None else f" (about ${dollars * count:.2f})"

        due, rest = int((recorder.variants[pairs].min(axis=1) < 0).sum()), int((~pairs).sum())
        told = (
            f"cascade: asking the judge about {due:,} more pairs that the reactor is not sure of{cost(due)}"
        )
        if is_sample:
            left = (
                f"; of the other {rest:,}{cost(rest)}, the judge gets those that the reactor is not sure of"
                if rest
                else ""
            )
            told = (
                f"cascade: {int(pairs.sum()):,} of {pairs.size:,} pairs, drawn at random, go to both, "
                f"and {due:,} of them are still to be judged{cost(due)}{left}"
            )
        tqdm.write(told, file=sys.stderr)

    async def _run(
        self, dataset: Dataset, recorder: Recorder, rounds: Iterator[np.ndarray], quiet: bool
    ) -> Failure | None:
        title = title_of(self.name, self._simulated)
        with progress_bar(title, 0, quiet=quiet) as bar:

            def record(ask: Ask, outcome: Outcome) -> None:
                recorder.record_outcome(ask, outcome)
                bar.update()

            async with self._client as client:
                _keep_limit_changes(client, recorder)
                if not quiet:
                    client.endpoint.adaptation.on_learnt = partial(_tell_learnt, self.name)
                with _stopping_on_ctrl_c(client):
                    for chosen in rounds:
                        bar.total += int((recorder.variants[chosen] < 0).sum())
                        bar.refresh()
                        await self._ask(dataset, recorder, chosen, record)
                        if client.stopping:
                            break
        recorder.end(used=client.peak_in_flight)
        return client.stopped_by

    async def _ask(
        self,
        dataset: Dataset,
        recorder: Recorder,
        chosen: np.ndarray,
        record: Callable[[Ask, Outcome], None],
    ) -> None:
        options = self._options

        def wanted(index: int, variant: int) -> bool:
            return bool(chosen[index]) and recorder.wants(index, variant)

        asks = asks_of(enumerate(dataset), options.repeat, options.swap, wanted)
        await judge_all(self._client, asks, record, options.max_error_rate)

    def about(self) -> Record:
        client, options = self._client, self._options
        return {
            "kind": "judge",
            "simulated": self._simulated,
            # logprobs as asked for, also where the endpoint refused them
            "settings": {**client.settings(), "logprobs": options.logprobs},
            "repeat": options.repeat,
            "swap": options.swap,
            "price": asdict(options.price) if options.price else None,
        }


def _tell_learnt(name: str, learnt: str) -> None:
    tqdm.write(f"note: requests to {name} change from now on: {learnt}", file=sys.stderr)


def _keep_limit_changes(client: AsyncOpenAIClient, recorder: Recorder) -> None:
    """Writes down what --async auto does, from its first limit on."""
    if client.adaptive:
        client.adaptive.on_change = recorder.record_limit
        for change in client.adaptive.changes:
            recorder.record_limit(change)


@contextlib.contextmanager
def _stopping_on_ctrl_c(client: AsyncOpenAIClient) -> Iterator[None]:
    """The first Ctrl-C stops asking and lets what is in flight finish; the second ends at once."""
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)

    def first() -> None:
        client.stop(INTERRUPTED)
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, interrupt_once)
        tqdm.write(STOPPING, file=sys.stderr)

    try:
        loop.add_signal_handler(signal.SIGINT, first)
    except (NotImplementedError, RuntimeError, ValueError):  # no such thing on Windows or off the main thread
        yield
        return
    try:
        yield
    finally:
        # Otherwise a second Ctrl-C is on its way out of here, and no other may disturb it.
        if loop.remove_signal_handler(signal.SIGINT) or signal.getsignal(signal.SIGINT) is interrupt_once:
            signal.signal(signal.SIGINT, before)


@dataclass(frozen=True)
class Comparison:
    """What came of comparing: the numbers, how to read the rows back, and what ended a detector early."""

    run: RunResult
    recorders: tuple[Recorder, ...]
    stopped_by: dict[str, Failure]


def compare(
    dataset: Dataset,
    detectors: Sequence[Detector],
    journal: Journal,
    earlier: JournalReader | None = None,
    *,
    created: str = "",
    seed: int = 0,
    plan: CascadePlan | None = None,
    quiet: bool = False,
) -> Comparison:
    """Runs each detector over the dataset, in order, asking only what `earlier` holds no verdict on.

    created: when the run began, ISO 8601. seed: of the dataset's sample. plan: of a run as a cascade.
    """
    recorders = {
        detector.name: Recorder(detector.name, len(dataset), journal, detector.variants)
        for detector in detectors
    }
    if earlier:
        take_journal(recorders, earlier)
    stopped_by: dict[str, Failure] = {}
    for detector in detectors:
        detector.take_earlier(recorders[detector.name])
    for detector in detectors:
        recorder = recorders[detector.name]
        if recorder.complete or INTERRUPTED in stopped_by.values():
            continue
        recorder.describe({**recorder.about, **detector.about()})
        try:
            ended_by = detector.run(dataset, recorders, quiet=quiet)
        finally:  # an endpoint teaches a client what it takes
            recorder.describe({**recorder.about, **detector.about()})
        if ended_by:
            stopped_by[detector.name] = ended_by
    run = merge(dataset, tuple(recorders.values()), created, seed, plan)
    return Comparison(run, tuple(recorders.values()), stopped_by)
