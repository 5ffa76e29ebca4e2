"""One chat completions endpoint: writes requests for it, sends them, and learns what it takes."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from benchmarks.completions import Completion, read_completion
from benchmarks.dialect import Dialect
from benchmarks.judge import JudgeError, read_error, refused_for_good
from benchmarks.pricing import is_local
from benchmarks.rates import RateLimits, Turn
from benchmarks.reply_cache import ReplyCache, reply_key
from benchmarks.reply_reading import is_json_reply
from benchmarks.retries import server_wait_s
from benchmarks.transports import HttpReply, Transport
from benchmarks.usage import Usage
from kimera.errors import UserError

DEFAULT_BASE_URL = "https://api.openai.com/v1"
UNREACHABLE_AFTER = 10  # attempts without any reply ever: nobody is there
TOO_MANY_TIMEOUTS = 50  # the same where they ran into the time-out: a server that loads a model is silent too
_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
SHORTEST_SECRET = 8  # a made-up key such as "none" is no secret, and may be a word of any reply


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it will be sent. kept_as: what its reply is kept under, the same in every dialect."""

    body: bytes
    dialect: Dialect
    kept_as: bytes


class Endpoint:
    """A model behind a base URL. The key is checked here, so that no later error has to quote it."""

    def __init__(
        self,
        base_url: str,
        key: str,
        model: str,
        timeout_s: float,
        *,
        headers: Mapping[str, str] | None = None,
        rates: RateLimits | None = None,
        replies: ReplyCache | None = None,
        logprobs: bool = False,
    ) -> None:
        _check_url(base_url)
        host = urlsplit(base_url).hostname
        self.is_local = is_local(base_url)  # needs no key, and no proxy may see it
        if not key and not self.is_local:
            raise UserError(f"no API key for {host}: set OPENAI_API_KEY")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise UserError(
                "the API key holds a blank, a line break or a letter that no key has: copy it again"
            )
        self.base_url = base_url
        self.model = model
        self.timeout_s = timeout_s
        self.dialect = self._first_dialect = Dialect.with_logprobs() if logprobs else Dialect()
        self.rates = rates or RateLimits()
        self._replies = replies
        self._silences = 0.0
        self._has_answered = False
        self._honoured: set[str] = set()  # reply formats that some reply has kept to
        secret = (value for name, value in (headers or {}).items() if _CREDENTIAL.search(name))
        parts = [part for value in (key, *secret) for part in (value, *value.split())]
        self._secrets = sorted(
            {part for part in parts if len(part) >= SHORTEST_SECRET}, key=len, reverse=True
        )
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._headers.update(headers or {})

    def __repr__(self) -> str:
        return f"Endpoint({self.model!r} at {self.base_url!r})"

    def write(self, messages: list[dict[str, str]], sample: int) -> Request:
        """The request as this endpoint takes it. sample: which of several askings of the same question."""
        kept_as = b""
        if self._replies:  # a later run starts from the first dialect again, and must find what this one kept
            first = self._first_dialect.body(self.model, messages, sample)
            kept_as = reply_key(self.base_url, first, sample)
        return Request(self.dialect.body(self.model, messages, sample), self.dialect, kept_as)

    async def send(self, transport: Transport, request: Request, turn: Turn) -> Completion:
        """One attempt. Raises JudgeError; kind "adapting": the next attempt will be written otherwise.

        No secret of ours is in what this gives or raises, whatever a server quotes.
        """
        try:
            completion = await self._send(transport, request, turn)
        except JudgeError as error:
            error.message = self._redact(error.message)[:300]  # cut last: half a key is not found
            raise
        except Exception as error:  # a reply of a kind that nobody thought of costs its pair, not the run
            raise JudgeError("bad_response", f"unreadable: {type(error).__name__}", status=200) from error
        return replace(
            completion,
            text=self._redact(completion.text),
            refusal=self._redact(completion.refusal),
            system_fingerprint=self._redact(completion.system_fingerprint),
        )

    async def _send(self, transport: Transport, request: Request, turn: Turn) -> Completion:
        reply = await self._post(transport, request.body, turn)
        if reply.status != 200:
            raise self._refusal(reply, request)
        completion = read_completion(reply.body)
        self._has_answered = True
        dialect = request.dialect
        if completion.finish_reason == "length":
            self._learn(dialect, dialect.after_truncation())
        elif is_json_reply(completion.text):
            self._honoured.add(dialect.reply_format)
        elif completion.text and dialect.reply_format not in {"text", *self._honoured}:
            self._learn(dialect, dialect.next_format())  # the schema was ignored
        return completion

    def _refusal(self, reply: HttpReply, request: Request) -> JudgeError:
        error = read_error(reply.status, reply.body)
        error.wait_s = server_wait_s(reply.headers, time.time(), limited=reply.status == 429)
        # Some servers answer 500 where they mean 400: believed where the message names the reply's format.
        breaks_on_format = error.kind == "server_error" and "response_format" in error.message
        if error.kind == "bad_request" or reply.status == 403 or breaks_on_format:
            following = request.dialect.after_refusal(error.parameter, error.message)
            if self._learn(request.dialect, following):
                error.kind = "adapting"
                return error
        if reply.status == 403 and self._has_answered:  # the key is good: it is this pair that was refused
            error.kind = "forbidden"
        if error.kind == "bad_request" and not self._has_answered:
            error.kind = refused_for_good(error.message) or error.kind
        return error

    def recall(self, request: Request) -> Completion | None:
        """The reply that this request had in an earlier run, if replies are kept; it costs nothing now."""
        body = self._replies.get(request.kept_as) if self._replies else None
        if body is None:
            return None
        try:
            return replace(read_completion(body), usage=Usage(), from_cache=True)
        except JudgeError:  # damaged on disk: ask again
            return None

    def keep(self, request: Request, completion: Completion) -> None:
        """Keeps a usable reply for later runs, if replies are kept."""
        if self._replies and not completion.from_cache:
            body = self._redact(completion.body.decode("utf-8", "replace"))
            self._replies.put(request.kept_as, body.encode())

    async def _post(self, transport: Transport, body: bytes, turn: Turn) -> HttpReply:
        url = f"{self.base_url}/chat/completions"
        self.rates.note_sent(turn)
        try:
            reply = await transport.post(url, self._headers, body, self.timeout_s)
        except JudgeError as error:
            self._silences += error.kind in {"connection", "timeout"}
            if self._silences >= (UNREACHABLE_AFTER if error.kind == "connection" else TOO_MANY_TIMEOUTS):
                error.kind = "unreachable"
            raise
        self._silences = -math.inf  # it has replied, so it is there
        self.rates.learn(reply.headers, turn)
        return replace(reply, body=self._redacted(reply.body))

    def _redacted(self, body: bytes) -> bytes:
        """Before anything is cut out of it; what JSON escapes is found in the texts later."""
        for secret in self._secrets:
            body = body.replace(secret.encode(), b"***")
        return body

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _learn(self, used: Dialect, following: Dialect | None) -> bool:
        """Whether the next request will be written otherwise than `used`; another may have seen to that."""
        if self.dialect == used and following is not None:
            self.dialect = following
        return self.dialect != used


def resolved_base_url(base_url: str | None) -> str:
    """The argument, else OPENAI_BASE_URL, else OpenAI's own. Raises UserError for what cannot be one."""
    url = (base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")
    _check_url(url)
    return url


def _check_url(base_url: str) -> None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"base URL {base_url!r} is not a http:// or https:// address")
    if parts.username or parts.password:
        raise UserError("the base URL holds a user name or password; give the key in OPENAI_API_KEY")
    if parts.query or parts.fragment:
        raise UserError(
            f"base URL {base_url.partition('?')[0]!r} goes on with a query; give what stands before it"
        )
