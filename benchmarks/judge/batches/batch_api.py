"""How a provider's batch API speaks: what is to be written for another one, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.judge.batches.calls import Calls, told_in
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.transports import HttpReply
from benchmarks.judge.usage import Usage

CLOCKS_DIFFER_S = 120.0  # this machine's and the provider's, at most
MAX_LISTED = 100  # batches on one page of a list
UNBILLED = 408  # a status for requests that were not answered: whatever they cost comes with their replies


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One request of a batch. name: by which its reply is known, [a-zA-Z0-9_-]{1,64}."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is: `done` of `total` requests.

    failure: why the provider took none of its requests, empty if it did not say so. is_full: whether that is
    because other batches wait there, so that it may be taken later. was_cancelled: by whoever holds the key.
    """

    is_over: bool
    done: int
    total: int
    failure: str = ""
    is_full: bool = False
    was_cancelled: bool = False


class BatchApi(Protocol):
    """One API, at one endpoint. It holds no state but addresses."""

    max_requests: int
    max_bytes: int

    async def create(self, calls: Calls, requests: Sequence[BatchRequest], mark: str) -> str:
        """Submits a batch and gives its id. mark: begins the name of each request, and is the batch's own.

        Raises JudgeError where no reply came, so that nobody knows, and RefusedCallError for a refusal.
        """
        ...

    async def find(
        self, calls: Calls, mark: str, size: int, begun_s: float, others: Collection[str]
    ) -> str | None:
        """The id of a batch that was submitted with this mark, if there is one.

        size: its requests. begun_s: when it was about to be submitted, in seconds since 1970. Where the API
        lists no marks, a batch that this may be: the names in its replies will tell. others: ids of batches
        that it is not.
        """
        ...

    async def state(self, calls: Calls, batch_id: str) -> BatchState: ...

    def replies(self, calls: Calls, batch_id: str) -> AsyncIterator[tuple[str, HttpReply | JudgeError]]:
        """(name, reply) of each request of a batch that is over; JudgeError for one that was not."""
        ...


async def listed(
    calls: Calls, url: str, cursor: str, is_old: Callable[[dict[str, Any]], bool]
) -> AsyncIterator[dict[str, Any]]:
    """The batches of an account, the latest first, up to a page that ends in an old one.

    cursor: the parameter that names the batch behind which the next page begins.
    """
    after = ""
    while True:
        page = told_in(await calls.get(f"{url}?limit={MAX_LISTED}{after}"), "data")
        for batch in page["data"]:
            yield batch
        if not (page.get("has_more") and page["data"]) or is_old(page["data"][-1]):
            return
        after = f"&{cursor}={page['data'][-1]['id']}"


def not_processed(batch_id: str) -> JudgeError:
    """What becomes of a request that the provider left undone: it was not billed, and is asked again."""
    message = f"batch {batch_id} ended before this request was processed"
    return JudgeError("expired", message, status=UNBILLED, usage=Usage())
