"""Requests that earlier sessions of a run have sent, for whoever asks the same again."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection

from benchmarks.judge.batches.batch_ledger import BatchLedger, SubmittedBatch

PASSING = (408, 409, 425, 429)  # and 5xx: refusals that cost nothing, and that teach nothing


class EarlierRequests:
    """Those of a ledger whose replies were not recorded. recorded: the names of replies that were.

    Answers come first, since they are paid for, then what is under way, and refusals last; of each the
    earliest. Refusals that pass are not there at all: a pair would spend its retries on what is over.
    """

    def __init__(self, ledger: BatchLedger, recorded: Collection[str]) -> None:
        self._ledger = ledger
        self._unclaimed: defaultdict[str, deque[tuple[SubmittedBatch, int]]] = defaultdict(deque)
        found = (
            (rank, digest, batch, number)
            for batch in ledger
            for number, digest in enumerate(batch.digests)
            if (rank := _rank(batch, number)) is not None and batch.name_of(number) not in recorded
        )
        for _, digest, batch, number in sorted(found, key=lambda request: request[0]):
            self._unclaimed[digest].append((batch, number))

    def claim(self, digest: str) -> tuple[SubmittedBatch, int] | None:
        """The batch and the number of such a request, if nobody else has claimed it."""
        left = self._unclaimed.get(digest)
        while left:
            batch, number = left.popleft()
            if batch in self._ledger and (not batch.is_over or number in batch.replies):
                return batch, number
        return None


def _rank(batch: SubmittedBatch, number: int) -> int | None:
    """The lower the earlier it is claimed; None for one that is of no use."""
    if not batch.is_over:
        return 1
    reply = batch.replies.get(number)
    if reply is None or reply.status >= 500 or reply.status in PASSING:
        return None
    return 0 if reply.status < 300 else 2
