"""Anthropic's message batches: the requests in one post, their replies in one file.

POST /v1/messages/batches, GET /v1/messages/batches/{id}, GET /v1/messages/batches/{id}/results.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime
from typing import Any

from benchmarks.judge.batches.batch_api import (
    CLOCKS_DIFFER_S,
    BatchRequest,
    BatchState,
    listed,
    not_processed,
)
from benchmarks.judge.batches.calls import Calls, as_documented, id_in, lines_in, told_in
from benchmarks.judge.failures import JudgeError
from benchmarks.judge.transports import HttpReply

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatches:
    """messages_url: where a single request would be posted to."""

    max_requests = 100_000
    max_bytes = 240 * 2**20  # 256 MB are allowed

    def __init__(self, messages_url: str) -> None:
        self._url = f"{messages_url}/batches"

    async def create(self, calls: Calls, requests: Sequence[BatchRequest], mark: str) -> str:
        lines = (
            b'{"custom_id": ' + json.dumps(request.name).encode() + b', "params": ' + request.body + b"}"
            for request in requests
        )
        made = await calls.post(self._url, b'{"requests": [' + b",\n".join(lines) + b"]}", repeats=False)
        return id_in(told_in(made, "id"))

    async def find(
        self, calls: Calls, mark: str, size: int, begun_s: float, others: Collection[str]
    ) -> str | None:
        """A batch holds no mark: the last one of as many requests, made since."""

        def is_old(batch: dict[str, Any]) -> bool:
            with as_documented(batch):
                made_s = datetime.fromisoformat(batch["created_at"]).timestamp()
                return made_s < begun_s - CLOCKS_DIFFER_S

        async for batch in listed(calls, self._url, "after_id", is_old):
            is_like_it = batch["id"] not in others and sum(_counts(batch).values()) == size
            if is_like_it and not is_old(batch):
                return id_in(batch)
        return None

    async def state(self, calls: Calls, batch_id: str) -> BatchState:
        batch = told_in(await calls.get(f"{self._url}/{batch_id}"), "processing_status", "request_counts")
        counts = _counts(batch)
        total = sum(counts.values())
        return BatchState(
            is_over=batch["processing_status"] == "ended",
            done=total - counts.get("processing", 0),
            total=total,
            was_cancelled=counts.get("canceled", 0) > 0,
        )

    async def replies(self, calls: Calls, batch_id: str) -> AsyncIterator[tuple[str, HttpReply | JudgeError]]:
        content = await calls.get(f"{self._url}/{batch_id}/results", self.max_bytes * 2)
        for told in lines_in(content, "custom_id", "result"):
            with as_documented(told):
                reply = _reply(told["result"], batch_id)
            yield str(told["custom_id"]), reply


def _counts(batch: dict[str, Any]) -> dict[str, int]:
    with as_documented(batch):
        return {name: int(count or 0) for name, count in batch["request_counts"].items()}


def _reply(result: dict[str, Any], batch_id: str) -> HttpReply | JudgeError:
    if result["type"] == "succeeded":
        return HttpReply(200, {}, json.dumps(result["message"]).encode())
    if result["type"] == "errored":
        error = result["error"]
        kind = (error.get("error") or error).get("type")
        return HttpReply(_STATUSES.get(kind, 500), {}, json.dumps(error).encode())
    return not_processed(batch_id)
