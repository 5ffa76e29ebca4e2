"""Batches at the simulated judge: OpenAI's, by way of files, and Anthropic's, with their requests within."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.simulator.dialects import DIALECTS
from benchmarks.simulator.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from benchmarks.simulator.dialects.chat_completions import CHAT_COMPLETIONS
from benchmarks.simulator.dialects.dialect import Dialect
from benchmarks.simulator.replies import UNAUTHORIZED, Reply, error_reply
from benchmarks.simulator.simulation import SimulatorConfig

if TYPE_CHECKING:
    from aiohttp import web

DAY = timedelta(days=1)
JSON_LINES = "application/x-jsonl"


@dataclass
class _Batch:
    """requests: (name, body) of each. replies: of those that were processed, by name; None until it ended."""

    id: str
    dialect: Dialect
    requests: list[tuple[str, bytes]]
    about: dict[str, Any] = field(default_factory=dict)
    made: datetime = field(default_factory=lambda: datetime.now(UTC))
    due: float = 0.0
    replies: dict[str, Reply] | None = None
    cancelled: bool = False


class Batches:
    """All that were made, in memory. answer: what the judge says to one request."""

    def __init__(self, answer: Callable[[bytes, Dialect], Reply], config: SimulatorConfig) -> None:
        self._answer = answer
        self._config = config
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, _Batch] = {}

    @property
    def sizes(self) -> list[int]:
        """Requests of each batch, in the order in which they were made."""
        return [len(batch.requests) for batch in self._batches.values()]

    def add_to(self, router: web.UrlDispatcher, version: str) -> None:
        for method, path, handler in (
            ("POST", "/files", self._take_file),
            ("GET", "/files/{id}/content", self._file),
            ("POST", "/batches", self._make_openai),
            ("GET", "/batches", self._list_openai),
            ("GET", "/batches/{id}", self._openai),
            ("POST", "/batches/{id}/cancel", self._cancel),
            ("POST", "/messages/batches", self._make_anthropic),
            ("GET", "/messages/batches", self._list_anthropic),
            ("GET", "/messages/batches/{id}", self._anthropic),
            ("GET", "/messages/batches/{id}/results", self._results),
            ("POST", "/messages/batches/{id}/cancel", self._cancel),
        ):
            dialect = ANTHROPIC_MESSAGES if path.startswith("/messages") else CHAT_COMPLETIONS
            router.add_route(method, version + path, partial(self._for_its_key, handler, dialect))

    async def _for_its_key(
        self,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        dialect: Dialect,
        request: web.Request,
    ) -> web.StreamResponse:
        """What the handler says, to whoever shows the key."""
        from aiohttp import web  # as below

        if self._config.api_key and dialect.key_in(request.headers) != self._config.api_key:
            refusal = dialect.refusal(error_reply(UNAUTHORIZED), self._config)
            return web.Response(body=refusal.body, status=refusal.status, content_type="application/json")
        return await handler(request)

    async def _take_file(self, request: web.Request) -> web.Response:
        from aiohttp import web  # takes long, and --help need not wait for it

        form = await request.post()
        upload = form["file"]
        assert isinstance(upload, web.FileField)  # noqa: S101
        content = upload.file.read()
        name = f"file-simulated-{len(self._files)}"
        self._files[name] = content
        about = {"object": "file", "bytes": len(content), "purpose": form["purpose"], "status": "processed"}
        return web.json_response(
            {"id": name, "filename": upload.filename, "created_at": int(time.time()), **about}
        )

    async def _file(self, request: web.Request) -> web.Response:
        from aiohttp import web  # as above

        content = self._files.get(request.match_info["id"])
        if content is None:
            raise web.HTTPNotFound
        return web.Response(body=content, content_type="application/octet-stream")

    async def _make_openai(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        dialect = next(one for one in DIALECTS if asked["endpoint"] == f"/v1{one.path}")
        lines = [json.loads(line) for line in self._files[asked["input_file_id"]].splitlines()]
        requests = [(line["custom_id"], json.dumps(line["body"]).encode()) for line in lines]
        about = {
            key: asked.get(key) for key in ("endpoint", "input_file_id", "completion_window", "metadata")
        }
        return self._made(request, self._make(dialect, requests, about), self._shown_openai)

    async def _make_anthropic(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        requests = [(one["custom_id"], json.dumps(one["params"]).encode()) for one in asked["requests"]]
        return self._made(request, self._make(ANTHROPIC_MESSAGES, requests, {}), self._shown_anthropic)

    def _make(self, dialect: Dialect, requests: list[tuple[str, bytes]], about: dict[str, Any]) -> _Batch:
        number = len(self._batches)
        prefix = "msgbatch_simulated" if dialect is ANTHROPIC_MESSAGES else "batch_simulated"
        batch = _Batch(f"{prefix}_{number}", dialect, requests, about)
        batch.due = time.monotonic() + self._config.batch_s
        self._batches[batch.id] = batch
        return batch

    def _made(
        self, request: web.Request, batch: _Batch, shown: Callable[[_Batch], Mapping[str, Any]]
    ) -> web.StreamResponse:
        from aiohttp import web  # as above

        if self._draw("dropped", batch.id) < self._config.batch_dropped and request.transport:
            request.transport.abort()
        return web.json_response(shown(batch))

    def _draw(self, purpose: str, key: str) -> float:
        """A number in [0, 1), fixed by the arguments and the seed."""
        digest = hashlib.blake2b(f"{purpose} {self._config.seed} {key}".encode(), digest_size=7).digest()
        return int.from_bytes(digest) / 2**56

    def _ended(self, batch: _Batch) -> bool:
        """Whether it is over by now; its requests are answered when it is."""
        if batch.replies is None and (batch.cancelled or time.monotonic() >= batch.due):
            batch.replies = {
                name: self._answer(body, batch.dialect)
                for name, body in batch.requests
                if not batch.cancelled
                and self._draw("expired", f"{batch.id} {name}") >= self._config.batch_expired
            }
        return batch.replies is not None

    def _of(self, request: web.Request) -> _Batch:
        from aiohttp import web  # as above

        batch = self._batches.get(request.match_info["id"])
        if batch is None:
            raise web.HTTPNotFound
        return batch

    async def _cancel(self, request: web.Request) -> web.Response:
        from aiohttp import web  # as above

        batch = self._of(request)
        batch.cancelled = batch.replies is None
        is_anthropic = batch.dialect is ANTHROPIC_MESSAGES
        return web.json_response((self._shown_anthropic if is_anthropic else self._shown_openai)(batch))

    async def _openai(self, request: web.Request) -> web.Response:
        from aiohttp import web  # as above

        return web.json_response(self._shown_openai(self._of(request)))

    async def _list_openai(self, request: web.Request) -> web.Response:
        from aiohttp import web  # as above

        shown = [self._shown_openai(batch) for batch in self._latest(ANTHROPIC_MESSAGES, other=True)]
        return web.json_response({"object": "list", "data": shown, "has_more": False})

    async def _anthropic(self, request: web.Request) -> web.Response:
        from aiohttp import web  # as above

        return web.json_response(self._shown_anthropic(self._of(request)))

    async def _list_anthropic(self, request: web.Request) -> web.Response:
        from aiohttp import web  # as above

        shown = [self._shown_anthropic(batch) for batch in self._latest(ANTHROPIC_MESSAGES)]
        ends = {"first_id": shown[0]["id"], "last_id": shown[-1]["id"]} if shown else {}
        return web.json_response({"data": shown, "has_more": False, **ends})

    def _latest(self, dialect: Dialect, *, other: bool = False) -> list[_Batch]:
        return [batch for batch in reversed(self._batches.values()) if (batch.dialect is dialect) != other]

    def _shown_openai(self, batch: _Batch) -> dict[str, Any]:
        ended = self._ended(batch)
        replies = batch.replies or {}
        served = sum(reply.status == 200 for reply in replies.values())
        status = "completed" if len(replies) == len(batch.requests) else "expired"
        made_s = int(batch.made.timestamp())
        shown = {
            "id": batch.id,
            "object": "batch",
            "created_at": made_s,
            "expires_at": made_s + int(DAY.total_seconds()),
            "status": ("cancelled" if batch.cancelled else status) if ended else "in_progress",
            "request_counts": {
                "total": len(batch.requests), "completed": served, "failed": len(replies) - served,
            },
            **batch.about,
        }  # fmt: skip
        if ended:
            for kind, served_well in (("output", True), ("error", False)):
                lines = list(_lines_of_openai(batch, served_well))
                if lines:
                    name = f"file-simulated-{kind}-{batch.id}"
                    self._files[name] = "".join(lines).encode()
                    shown[f"{kind}_file_id"] = name
        return shown

    def _shown_anthropic(self, batch: _Batch) -> dict[str, Any]:
        ended = self._ended(batch)
        replies = batch.replies or {}
        served = sum(reply.status == 200 for reply in replies.values())
        left = len(batch.requests) - len(replies)
        url = f"/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {
                "processing": 0 if ended else len(batch.requests),
                "succeeded": served,
                "errored": len(replies) - served,
                "canceled": left if batch.cancelled and ended else 0,
                "expired": left if ended and not batch.cancelled else 0,
            },
            "created_at": batch.made.isoformat(),
            "expires_at": (batch.made + DAY).isoformat(),
            "ended_at": datetime.now(UTC).isoformat() if ended else None,
            "archived_at": None,
            "cancel_initiated_at": batch.made.isoformat() if batch.cancelled else None,
            "results_url": url if ended else None,
        }

    async def _results(self, request: web.Request) -> web.Response:
        from aiohttp import web  # as above

        batch = self._of(request)
        if not self._ended(batch):
            raise web.HTTPNotFound
        text = "".join(_lines_of_anthropic(batch))
        return web.Response(body=text.encode(), content_type=JSON_LINES)


def _lines_of_openai(batch: _Batch, served_well: bool) -> Iterator[str]:
    """Of one of its two files: what was answered, or what was refused and what was never processed."""
    for name, _ in batch.requests:
        reply = (batch.replies or {}).get(name)
        if (reply is not None and reply.status == 200) != served_well:
            continue
        told: dict[str, Any] = {"id": f"batch_req_{name}", "custom_id": name, "response": None, "error": None}
        if reply is None:
            code = "batch_cancelled" if batch.cancelled else "batch_expired"
            told["error"] = {"code": code, "message": "This request could not be executed in time."}
        else:
            body = json.loads(reply.body)
            told["response"] = {"status_code": reply.status, "request_id": f"req_{name}", "body": body}
        yield json.dumps(told) + "\n"


def _lines_of_anthropic(batch: _Batch) -> Iterator[str]:
    """In the reverse of the order in which they were asked: no order is promised."""
    for name, _ in reversed(batch.requests):
        reply = (batch.replies or {}).get(name)
        if reply is None:
            result: dict[str, Any] = {"type": "canceled" if batch.cancelled else "expired"}
        elif reply.status == 200:
            result = {"type": "succeeded", "message": json.loads(reply.body)}
        else:
            result = {"type": "errored", "error": json.loads(reply.body)}
        yield json.dumps({"custom_id": name, "result": result}) + "\n"
