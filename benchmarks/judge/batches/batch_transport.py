"""A transport that gathers requests into batches, and gives each the reply that comes of it.

Who posts waits for its reply as with any transport, for minutes or for hours; so retries, repairs and what is
learnt of an endpoint are what they are without batches. What is waiting is submitted once nothing more has
come for a moment, since then everybody waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from benchmarks.judge.batches.batch_api import UNBILLED, BatchApi, BatchRequest, BatchState, not_processed
from benchmarks.judge.batches.batch_ledger import BatchLedger, SubmittedBatch, digest_of
from benchmarks.judge.batches.calls import Calls, Patience, RefusedCallError, doubling_waits
from benchmarks.judge.batches.earlier_requests import EarlierRequests
from benchmarks.judge.failures import FATAL, InterruptedAskingError, JudgeError
from benchmarks.judge.internal_errors import internal_error
from benchmarks.judge.transports import MAX_BODY_BYTES, HttpReply, Transport
from benchmarks.judge.usage import Usage

BATCH_SIZE = 10_000
FIRST_BATCH_SIZE = 1  # what is wrong with requests is learnt from one
MARK_BYTES = 6
LOOKS = 3  # for a batch of which nobody knows whether it was taken, and at replies that came torn
BYTES_AROUND = 200  # a request, in the file of a batch
ABOUT_THE_ACCOUNT = (401, 402, 429)  # which end a run whatever it has seen


@dataclass(frozen=True)
class Pace:
    """Seconds, and how waits between looks grow.

    quiet_s: without anything new until what waits is submitted. first_look_s, longest_look_s: between looks
    at a batch. appears_s: after it was begun, until a batch that the provider does not list was never taken.
    full_s, longest_full_s: until a provider that has no room, or fails, is asked again.
    """

    quiet_s: float = 0.5
    first_look_s: float = 1.0
    longest_look_s: float = 60.0
    appears_s: float = 60.0
    full_s: float = 60.0
    longest_full_s: float = 900.0
    growth: float = 1.3


@dataclass(eq=False)
class _Waiting:
    """One request that somebody waits for."""

    digest: str
    body: bytes
    reply: asyncio.Future[HttpReply]


@dataclass
class BatchOptions:
    """How batches are made. ledger: where they are written down. size: requests of one at most.

    answered: names of replies that an earlier session has recorded. say: is told of each batch; on_state: how
    far the one is that was looked at last.
    """

    ledger: BatchLedger = field(default_factory=BatchLedger)
    size: int = BATCH_SIZE
    answered: Collection[str] = ()
    say: Callable[[str], None] = lambda message: None
    on_state: Callable[[str], None] = lambda message: None
    pace: Pace = field(default_factory=Pace)
    patience: Patience = field(default_factory=Patience)


class BatchTransport:
    """Over another transport, which stays open. clean: takes secrets out of a reply before it is kept."""

    def __init__(
        self,
        transport: Transport,
        api: BatchApi,
        options: BatchOptions,
        timeout_s: float,
        clean: Callable[[bytes], bytes] = lambda body: body,
    ) -> None:
        self._transport = transport
        self._api = api
        self._options = options
        self._ledger = options.ledger
        self._timeout_s = timeout_s
        self._clean = clean
        self._calls: Calls | None = None
        self._queue: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._submitter: asyncio.Task[None] | None = None
        self._awaited: dict[tuple[str, int], asyncio.Future[HttpReply]] = {}
        self._followed: set[str] = set()
        self._strangers: set[str] = set()  # batches of others that looked like ours
        self._submitted = 0
        self._creating = asyncio.Lock()  # one at a time: of two alike, nobody could tell which was taken
        self._left = False
        self._earlier = EarlierRequests(self._ledger, options.answered)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> HttpReply:
        """The reply, its `name` that of the request in its batch. No time-out applies.

        Raises JudgeError "expired" for a request that the provider did not process, and
        InterruptedAskingError after `leave`.
        """
        if self._left:
            raise InterruptedAskingError
        self._calls = self._calls or Calls(
            self._transport, headers, self._timeout_s, self._say, self._options.patience, self._clean
        )
        digest = digest_of(url, body)
        future: asyncio.Future[HttpReply] = asyncio.get_running_loop().create_future()
        claimed = self._earlier.claim(digest)
        if claimed is None:
            self._enqueue(_Waiting(digest, body, future), self._calls)
            return await future
        batch, number = claimed
        if batch.is_over:
            return _named(batch, number)
        self._awaited[batch.mark, number] = future
        self._begin_to_follow(batch, self._calls)
        return await future

    def _say(self, message: str) -> None:
        self._options.say(self._clean(message.encode()).decode())

    def _enqueue(self, waiting: _Waiting, calls: Calls) -> None:
        if self._submitter is None:
            self._submitter = self._start(self._submit_what_waits(calls))
        self._queue.append(waiting)
        self._news.set()

    async def get(
        self, url: str, headers: Mapping[str, str], timeout_s: float, max_bytes: int = MAX_BODY_BYTES
    ) -> HttpReply:
        return await self._transport.get(url, headers, timeout_s, max_bytes)

    def leave(self) -> None:
        """Nobody waits any longer. What was submitted goes on at the provider, and the ledger knows it."""
        self._left = True
        for future in (*self._awaited.values(), *(waiting.reply for waiting in self._queue)):
            if not future.done():
                future.set_exception(InterruptedAskingError())
        self._queue.clear()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _submit_what_waits(self, calls: Calls) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._quiet()
            while self._queue:
                self._start(self._carry(self._next_batch(), calls))

    async def _quiet(self) -> None:
        """Returns once nothing was added for a while, or a batch is full."""
        seen = -1
        while seen != len(self._queue) and len(self._queue) < self._options.size:
            seen = len(self._queue)
            await asyncio.sleep(self._options.pace.quiet_s)

    def _next_batch(self) -> list[_Waiting]:
        chosen: list[_Waiting] = []
        size = 0
        most = min(self._options.size, self._api.max_requests)
        while self._queue and len(chosen) < most:
            size += len(self._queue[0].body) + BYTES_AROUND
            if chosen and size > self._api.max_bytes:
                break
            chosen.append(self._queue.popleft())
        return chosen

    async def _carry(self, waiting: list[_Waiting], calls: Calls) -> None:
        """Sees requests through a batch, or through another one for as long as the provider has no room."""
        waits = self._waits()
        while (full := await self._once(waiting, calls)) is not None:
            await self._pause(full, next(waits))

    def _waits(self) -> Iterator[float]:
        return doubling_waits(self._options.pace.full_s, self._options.pace.longest_full_s)

    async def _pause(self, why: str, wait_s: float) -> None:
        self._say(f"{why}; submitting again in {wait_s:,.0f} s")
        await asyncio.sleep(wait_s)

    async def _once(self, waiting: list[_Waiting], calls: Calls) -> str | None:
        """What the provider says where it has no room now; None when all have a reply or an error."""
        batch = SubmittedBatch(
            secrets.token_hex(MARK_BYTES), time.time(), tuple(each.digest for each in waiting)
        )
        for number, each in enumerate(waiting):
            self._awaited[batch.mark, number] = each.reply
        requests = [BatchRequest(batch.name_of(number), each.body) for number, each in enumerate(waiting)]
        with self._told_to_all(batch):
            async with self._creating:
                if self._left:  # between the queue and here
                    raise InterruptedAskingError
                batch.begun_s = time.time()
                self._ledger.begin(batch)
                self._ledger.created(batch, await self._created(batch, requests, calls))
            self._submitted += 1
            self._say(f"batch {self._submitted}, of {_counted(batch)}, is submitted as {batch.id}")
            full = await self._follow(batch, calls)
            batch.replies = {}  # all are delivered, and a later session reads them
            if full is not None:
                for number in range(len(waiting)):  # they are awaited of another batch from now on
                    self._awaited.pop((batch.mark, number), None)
            return full
        return None

    async def _created(self, batch: SubmittedBatch, requests: list[BatchRequest], calls: Calls) -> str:
        """Its id, once it is known to be taken. It is submitted again only if the provider has none."""
        waits = self._waits()
        while True:
            try:
                return await self._api.create(calls, requests, batch.mark)
            except RefusedCallError:
                self._ledger.drop(batch)
                raise
            except JudgeError as error:
                if error.kind in FATAL:
                    raise
                trouble = error.message
            found = await self._found(batch, calls)
            if found:
                return found
            await self._pause(trouble, next(waits))

    async def _found(self, batch: SubmittedBatch, calls: Calls) -> str | None:
        """Looks for a batch that may have been taken, for a while: it may be on its way."""
        pace = self._options.pace
        looks = 0
        while looks < LOOKS or abs(time.time() - batch.begun_s) < pace.appears_s:
            if looks:
                await asyncio.sleep(pace.first_look_s * pace.growth ** (looks - 1))
            looks += 1
            others = self._strangers | {other.id for other in self._ledger}
            found = await self._api.find(calls, batch.mark, len(batch.digests), batch.begun_s, others)
            if found:
                return found
        return None

    def _begin_to_follow(self, batch: SubmittedBatch, calls: Calls) -> None:
        if batch.mark not in self._followed:
            self._followed.add(batch.mark)
            self._start(self._go_on_with(batch, calls))

    async def _go_on_with(self, batch: SubmittedBatch, calls: Calls) -> None:
        """Follows a batch of an earlier session, if the provider has it."""
        with self._told_to_all(batch):
            if not batch.id:
                found = await self._found(batch, calls)
                if not found:
                    self._ledger.drop(batch)
                    self._deliver(batch, range(len(batch.digests)))
                    return
                self._ledger.created(batch, found)
            self._say(f"batch {batch.id}, of {_counted(batch)}, was submitted earlier")
            if await self._follow(batch, calls) is not None:
                self._deliver(batch, range(len(batch.digests)))

    async def _follow(self, batch: SubmittedBatch, calls: Calls) -> str | None:
        """Waits for its end, and gives each request its reply; as `_once`."""
        state = await self._ended(batch, calls)
        if state.failure:
            self._ledger.drop(batch)
            if state.is_full:
                return state.failure
            raise JudgeError("batch_refused", f"batch {batch.id} failed: {state.failure}")
        replies = await self._replies(batch, state.done, calls)
        if replies is None:
            return await self._look_on(batch, calls)
        self._ledger.keep(batch, replies)
        missing = len(batch.digests) - len(batch.replies)
        if missing:
            self._say(f"batch {batch.id} ended without a reply to {missing:,} requests")
        if state.was_cancelled:
            self._deliver(batch, batch.replies)
            raise JudgeError("batch_refused", f"batch {batch.id} was cancelled at the provider")
        self._deliver(batch, range(len(batch.digests)))
        return None

    async def _look_on(self, batch: SubmittedBatch, calls: Calls) -> str | None:
        """Goes on with the next batch that this may be, where one that looked like it was somebody else's."""
        self._strangers.add(batch.id)
        found = await self._found(batch, calls)
        if found:
            self._ledger.created(batch, found)
            return await self._follow(batch, calls)
        self._ledger.drop(batch)
        self._deliver(batch, range(len(batch.digests)))
        return None

    async def _ended(self, batch: SubmittedBatch, calls: Calls) -> BatchState:
        pace = self._options.pace
        wait_s = pace.first_look_s
        while True:
            state = await self._api.state(calls, batch.id)
            self._options.on_state(f"{batch.id}: {state.done:,} of {state.total:,}")
            if state.is_over:
                return state
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * pace.growth, pace.longest_look_s)

    async def _replies(self, batch: SubmittedBatch, done: int, calls: Calls) -> dict[int, HttpReply] | None:
        """By the number of the request; None for a batch that is none of ours.

        done: how many replies the provider speaks of. Where fewer come, or a line is torn, they are fetched
        again: whatever is missing here is paid for twice.
        """
        for look in range(1, LOOKS + 1):
            names: set[str] = set()
            replies: dict[int, HttpReply] = {}
            try:
                async for name, reply in self._api.replies(calls, batch.id):
                    names.add(name)
                    number = batch.number_in(name)
                    if number is None or not isinstance(reply, HttpReply):
                        continue
                    if number not in replies or _is_refusal(replies[number]):
                        replies[number] = replace(reply, body=self._clean(reply.body))
            except JudgeError as error:
                if error.kind != "bad_response" or look == LOOKS:
                    raise
            else:
                if len(names) >= done or look == LOOKS:
                    break
            self._say(f"replies of batch {batch.id} came torn; fetching them again")
            await asyncio.sleep(self._options.pace.first_look_s)
        is_ours = not names or any(batch.number_in(name) is not None for name in names)
        return replies if is_ours else None

    def _deliver(self, batch: SubmittedBatch, numbers: Iterable[int]) -> None:
        """Verdicts first: who counts faults sees a batch, and not the order of its file."""
        for number in sorted(numbers, key=lambda number: _is_refused(batch, number)):
            future = self._awaited.pop((batch.mark, number), None)
            if future is None:
                continue
            if number in batch.replies:
                _settle(future, _named(batch, number))
            else:
                _settle(future, not_processed(batch.id or batch.mark))

    @contextlib.contextmanager
    def _told_to_all(self, batch: SubmittedBatch) -> Iterator[None]:
        """Whatever ends this batch early ends its requests: one has the error, the others were never asked.

        What was submitted is asked for by a later session, so that nothing is lost or counted twice.
        """
        told: HttpReply | Exception
        try:
            yield
            return
        except InterruptedAskingError as left:
            told = left
        except RefusedCallError as error:
            is_account = error.reply.status in ABOUT_THE_ACCOUNT  # which is read as of any request
            told = (
                error.reply if is_account else JudgeError("batch_refused", self._how_to_go_on(batch, error))
            )
        except JudgeError as error:  # the end of the run in any case: nobody else is left to ask
            told = error if error.kind in FATAL else JudgeError("batch_refused", error.message)
        except Exception as error:  # noqa: BLE001 (raised where the replies are waited for)
            ours = internal_error(error, lambda text: self._clean(text.encode()).decode())
            told = JudgeError("batch_refused", ours.message)
        if isinstance(told, JudgeError):
            told = told.but(status=UNBILLED, usage=Usage())
        for number in range(len(batch.digests)):
            future = self._awaited.pop((batch.mark, number), None)
            if future is not None and not future.done():
                _settle(future, told)
                told = InterruptedAskingError()

    def _how_to_go_on(self, batch: SubmittedBatch, error: RefusedCallError) -> str:
        """A batch that was submitted is never given up for a refusal: the key may be another account's."""
        if not batch.id:
            return str(error)
        return (
            f"{error}; batch {batch.id} stays written down{self._ledger.place}: continue with the key that "
            "submitted it, or start a new run if it is gone"
        )


def _named(batch: SubmittedBatch, number: int) -> HttpReply:
    return replace(batch.replies[number], name=batch.name_of(number))


def _counted(batch: SubmittedBatch) -> str:
    return f"{len(batch.digests):,} request{'s' * (len(batch.digests) != 1)}"


def _is_refused(batch: SubmittedBatch, number: int) -> bool:
    return number not in batch.replies or _is_refusal(batch.replies[number])


def _is_refusal(reply: HttpReply) -> bool:
    return reply.status >= 300


def _settle(future: asyncio.Future[HttpReply], told: HttpReply | Exception) -> None:
    if future.done():  # nobody waits any longer
        return
    if isinstance(told, Exception):
        future.set_exception(told)
    else:
        future.set_result(told)
