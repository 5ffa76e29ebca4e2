"""OpenAI's batches: a file of requests is uploaded, a batch made of it, and its replies are two more files.

POST /v1/files, POST /v1/batches, GET /v1/batches/{id}, GET /v1/files/{id}/content.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
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

_OVER = {"completed", "expired", "failed", "cancelled"}
_FULL = "token_limit_exceeded"  # too many tokens wait in the batches of this account
_UNDONE = {"batch_expired", "batch_cancelled"}


class OpenAIBatches:
    """base_url: of the API, with its version. path: which of its addresses the requests are for."""

    max_requests = 50_000
    max_bytes = 190 * 2**20  # 200 MB are allowed

    def __init__(self, base_url: str, path: str) -> None:
        self._base_url = base_url
        self._path = path

    async def create(self, calls: Calls, requests: Sequence[BatchRequest], mark: str) -> str:
        body, content_type = _form(f"{mark}.jsonl", b"".join(map(self._line, requests)))
        file = told_in(await calls.post(f"{self._base_url}/files", body, content_type), "id")
        asked = {
            "input_file_id": file["id"],
            "endpoint": self._path,
            "completion_window": "24h",
            "metadata": {"mark": mark},
        }
        made = await calls.post(f"{self._base_url}/batches", json.dumps(asked).encode(), repeats=False)
        return id_in(told_in(made, "id"))

    def _line(self, request: BatchRequest) -> bytes:
        head = {"custom_id": request.name, "method": "POST", "url": self._path}
        return json.dumps(head).encode()[:-1] + b', "body": ' + request.body + b"}\n"

    async def find(
        self, calls: Calls, mark: str, size: int, begun_s: float, others: Collection[str]
    ) -> str | None:
        def is_old(batch: dict[str, Any]) -> bool:
            with as_documented(batch):
                return bool(batch["created_at"] < begun_s - CLOCKS_DIFFER_S)

        async for batch in listed(calls, f"{self._base_url}/batches", "after", is_old):
            if (batch.get("metadata") or {}).get("mark") == mark:
                return id_in(batch)
        return None

    async def state(self, calls: Calls, batch_id: str) -> BatchState:
        batch = told_in(await calls.get(f"{self._base_url}/batches/{batch_id}"), "status")
        counts = batch.get("request_counts") or {}
        errors = (batch.get("errors") or {}).get("data") or []
        failed = batch["status"] == "failed"
        said = "; ".join(str(error.get("message") or error.get("code")) for error in errors)
        return BatchState(
            is_over=batch["status"] in _OVER,
            done=(counts.get("completed") or 0) + (counts.get("failed") or 0),
            total=counts.get("total") or 0,
            failure=(said or "it does not say why") if failed else "",
            is_full=failed and any(error.get("code") == _FULL for error in errors),
            was_cancelled=batch["status"] == "cancelled",
        )

    async def replies(self, calls: Calls, batch_id: str) -> AsyncIterator[tuple[str, HttpReply | JudgeError]]:
        batch = told_in(await calls.get(f"{self._base_url}/batches/{batch_id}"), "status")
        for file in (batch.get("output_file_id"), batch.get("error_file_id")):
            if not file:
                continue
            content = await calls.get(f"{self._base_url}/files/{file}/content", self.max_bytes * 2)
            for told in lines_in(content, "custom_id"):
                with as_documented(told):
                    reply = _reply(told, batch_id)
                yield str(told["custom_id"]), reply


def _reply(told: dict[str, Any], batch_id: str) -> HttpReply | JudgeError:
    response, error = told.get("response"), told.get("error")
    if response:
        return HttpReply(int(response["status_code"]), {}, json.dumps(response["body"]).encode())
    if (error or {}).get("code") in _UNDONE:
        return not_processed(batch_id)
    # The model has not refused it: the model timed out, or the provider failed.
    return HttpReply(500, {}, json.dumps({"error": error}).encode())


def _form(file_name: str, content: bytes) -> tuple[bytes, str]:
    """The body of a form with a file for a batch, and its content type (RFC 7578)."""
    boundary = secrets.token_hex(16)
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"
