"""A detector of a run that is a judge, asked through a client about all pairs or as a cascade has it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.cascade import plan_in, sides_in
from benchmarks.datasets import Dataset
from benchmarks.detector_info import DetectorInfo, judge_info
from benchmarks.judge import (
    INTERRUPTED,
    Ask,
    BatchLedger,
    LoopChoice,
    Outcome,
    Price,
    asks_of,
    estimate,
    event_loop,
    judge_all,
    typical_completion_tokens,
)
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.runs.recorder import Recorder
from benchmarks.stats import title_of
from kimera.console import interrupt_once, printable, progress_bar
from kimera.pairs import Failure

BATCHES = "batches"  # the folder of a run in which they are written down
LEAVING = "leaving; batches that were submitted go on, and --resume collects their replies"
STOPPED_BY = (signal.SIGINT, signal.SIGTERM)
STOPPING = "stopping: waiting for the requests in flight; Ctrl-C again ends at once"


@dataclass(frozen=True)
class JudgeOptions:
    """How a judge is asked and what ends it. repeat, swap: see `benchmarks.judge.asks_of`.

    cascade: whose dear side it is, after the cheap one has run; without one it is asked about all pairs.
    votes: how many askings make up one verdict; None: each is one. loop: see `event_loop`.
    """

    repeat: int = 1
    swap: bool = False
    logprobs: bool = False
    max_error_rate: float | None = None
    price: Price | None = None
    cascade: DetectorInfo | None = None
    votes: int | None = None
    loop: LoopChoice = "auto"


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
        self._name = name
        self._client = client
        self._asked = asked
        self._simulated = simulated
        self._options = options or JudgeOptions()
        self._loop, self._new_loop = event_loop(self._options.loop)

    @property
    def info(self) -> DetectorInfo:
        client, options = self._client, self._options
        return judge_info(
            self._name,
            is_simulated=self._simulated,
            repeat=options.repeat,
            swap=options.swap,
            # logprobs as asked for, also where the endpoint refused them
            settings={
                **client.settings(),
                "logprobs": options.logprobs,
                **({"votes": options.votes} if options.votes else {}),
            },
            price=asdict(options.price) if options.price else None,
        )

    def take_earlier(self, recorder: Recorder) -> None:
        if self._client.cost_limit:
            self._client.cost_limit.add_earlier(recorder.usage, recorder.maybe_billed)

    def run(self, dataset: Dataset, recorders: Mapping[str, Recorder], *, quiet: bool) -> Failure | None:
        recorder = recorders[self._name]
        rounds = self._rounds(dataset, recorders, quiet)
        first = next((chosen for chosen in rounds if (recorder.variants[chosen] < 0).any()), None)
        if first is None:
            return None
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            return runner.run(self._run(dataset, recorder, chain([first], rounds), quiet))

    def _rounds(
        self, dataset: Dataset, recorders: Mapping[str, Recorder], quiet: bool
    ) -> Iterator[np.ndarray]:
        """bool (n,), which pairs are asked about, one round after the other."""
        cascade, recorder = self._options.cascade, recorders[self._name]
        if cascade is None:
            yield np.ones(len(dataset), dtype=bool)
            return
        plan = replace(plan_in(cascade), sampled_before=recorder.sampled)
        cheap = sides_in(cascade).cheap
        scores = recorders[cheap].scores
        dollars = None if quiet else self._expected_dollars(dataset)
        plan.require_budget(scores)
        if not quiet and (useless := plan.why_nothing_saved(scores)):
            tqdm.write(f"cascade: {useless}", file=sys.stderr)
        for pairs, is_sample in plan.rounds(scores, recorder.verdicts):
            if is_sample:
                recorder.describe(recorder.info, sampled=int(pairs.sum()))
            if not quiet and recorder.variants[pairs].min(initial=0) < 0:
                self._announce(cheap, pairs, is_sample, recorder, dollars)
            yield pairs

    def _expected_dollars(self, dataset: Dataset) -> float | None:
        """What asking about one pair will cost on average, in all the ways it is asked."""
        texts = (
            "".join(message["content"] for message in messages)
            for messages in self._client.messages_about((pair.text1, pair.text2) for pair in dataset)
        )
        length = typical_completion_tokens(self._client.prompt.reasoning_first)
        whole = estimate(texts, self._options.price, length, len(dataset)).dollars
        askings = self.info.variants * (self._options.votes or 1)
        return None if whole is None else whole * askings / max(1, len(dataset))

    def _announce(
        self, cheap: str, pairs: np.ndarray, is_sample: bool, recorder: Recorder, dollars: float | None
    ) -> None:
        """What is about to be asked, and about what it and, at most, the rest will cost."""

        def cost(count: int) -> str:
            return "" if dollars is None else f" (about ${dollars * count:.2f})"

        due, rest = int((recorder.variants[pairs].min(axis=1) < 0).sum()), int((~pairs).sum())
        message = f"cascade: asking the judge about {due:,} more pairs that {cheap} is not sure of{cost(due)}"
        if is_sample:
            left = (
                f"; of the other {rest:,}{cost(rest)}, the judge gets those that {cheap} is not sure of"
                if rest
                else ""
            )
            message = (
                f"cascade: {int(pairs.sum()):,} of {pairs.size:,} pairs, drawn at random, go to both, "
                f"and {due:,} of them are still to be judged{cost(due)}{left}"
            )
        tqdm.write(message, file=sys.stderr)

    async def _run(
        self, dataset: Dataset, recorder: Recorder, rounds: Iterator[np.ndarray], quiet: bool
    ) -> Failure | None:
        title = title_of(self._name, self._simulated)
        with progress_bar(title, 0, quiet=quiet) as bar:

            def record(ask: Ask, outcome: Outcome) -> None:
                if recorder.record_outcome(ask, outcome):
                    bar.update()

            if self._client.batch:
                self._client.batch = replace(
                    self._client.batch,
                    # A simulated judge ends with its session, and its batches with it.
                    ledger=BatchLedger(None if self._simulated else recorder.folder / BATCHES),
                    answered=recorder.batched,
                    say=_say_nothing if quiet else partial(_tell, self._name),
                    on_state=bar.set_postfix_str,
                )
            async with self._client as client:  # modules and certificates are loaded before the clock starts
                recorder.begin(mode=client.mode, asked=self._asked, loop=self._loop)
                _keep_limit_changes(client, recorder)
                if not quiet:
                    client.endpoint.adaptation.on_learnt = partial(_tell_learnt, self._name)
                client.endpoint.on_notice = partial(_tell_notice, self._name)
                with _stopping_on_signals(client):
                    for chosen in rounds:
                        bar.total += int((recorder.variants[chosen] < 0).sum())
                        bar.refresh()
                        await self._ask(dataset, recorder, chosen, record)
                        if client.stopping:
                            break
                if client.endpoint.adaptation.has_answered and not (client.stopping or self._simulated):
                    await client.look_up_notice()  # now that it delays no pair
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

        def wanted(ask: Ask) -> bool:
            return bool(chosen[ask.index]) and recorder.wants(ask.index, ask.variant, ask.vote)

        asks = asks_of(enumerate(dataset), options.repeat, options.swap, wanted, options.votes or 1)
        await judge_all(self._client, asks, record, options.max_error_rate)


def _tell(name: str, message: str) -> None:
    _write(f"{name}: {message}")


def _say_nothing(message: str) -> None:
    pass


def _tell_learnt(name: str, learnt: str) -> None:
    _write(f"note: requests to {name} change from now on: {learnt}")


def _tell_notice(name: str, notice: str) -> None:
    _write(f"note: the endpoint says of {name}: {notice}; choose another model with --model in time")


def _write(text: str) -> None:
    """Above the progress bar. Much of it is in the words of a server."""
    tqdm.write(printable(text), file=sys.stderr)


def _keep_limit_changes(client: AsyncOpenAIClient, recorder: Recorder) -> None:
    """Writes down what --async auto does, from its first limit on."""
    if client.adaptive:
        client.adaptive.on_change = recorder.record_limit
        for change in client.adaptive.changes:
            recorder.record_limit(change)


@contextlib.contextmanager
def _stopping_on_signals(client: AsyncOpenAIClient) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM stops asking and lets what is in flight finish.

    Another Ctrl-C then ends at once. Another SIGTERM does nothing: some schedulers send two, and all of them
    have a last resort.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOPPED_BY}
    after: dict[int, Any] = {signal.SIGINT: interrupt_once, signal.SIGTERM: signal.SIG_IGN}

    def first() -> None:
        if signal.getsignal(signal.SIGINT) is interrupt_once:  # both came at a time
            return
        client.stop(INTERRUPTED)
        for number in STOPPED_BY:
            loop.remove_signal_handler(number)
            signal.signal(number, after[number])
        tqdm.write(LEAVING if client.batch else STOPPING, file=sys.stderr)

    try:
        for number in STOPPED_BY:
            loop.add_signal_handler(number, first)
    except (NotImplementedError, RuntimeError, ValueError):  # no such thing on Windows or off the main thread
        yield
        return
    try:
        yield
    finally:
        for number in STOPPED_BY:
            # Otherwise a second Ctrl-C is on its way out of here, and no other may disturb it.
            if loop.remove_signal_handler(number) or signal.getsignal(number) is after[number]:
                signal.signal(number, before[number])
