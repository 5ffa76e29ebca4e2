"""One endpoint: writes requests for it, sends them, and learns what it takes, whatever protocol it speaks."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from benchmarks.judge.adaptation import Adaptation
from benchmarks.judge.chat_protocol import ChatProtocol
from benchmarks.judge.completions import Completion
from benchmarks.judge.error_bodies import ErrorReply
from benchmarks.judge.failures import InterruptedAskingError, JudgeError, kind_of
from benchmarks.judge.internal_errors import internal_error
from benchmarks.judge.notices import notice_in
from benchmarks.judge.offered_models import Offer, offer_clause, offered_models
from benchmarks.judge.parameters import form_beside, in_words, leaves, require_allowed, written_into
from benchmarks.judge.pricing import is_local
from benchmarks.judge.protocols import DEFAULT_PROTOCOL, protocol_named
from benchmarks.judge.rates import RateLimits, Turn
from benchmarks.judge.redaction import Secrets, plain_headers, secrets_in
from benchmarks.judge.refusals import GIVEN, Refusal, field_pattern, read_refusal
from benchmarks.judge.reply_cache import ReplyCache, reply_key
from benchmarks.judge.request_form import RequestForm
from benchmarks.judge.transports import HttpReply, Transport
from benchmarks.judge.trials import PairTerms
from benchmarks.judge.usage import Usage
from kimera.errors import UserError
from kimera.version import __version__

UNREACHABLE_AFTER = 10  # attempts without any reply ever: nobody is there
TOO_MANY_TIMEOUTS = 50  # the same where they ran into the time-out: a server that loads a model is silent too
MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it will be sent.

    terms: of the pair that it is about. question: that pair as it is asked about, and whatever else
    the user's side says.
    """

    body: bytes
    form: RequestForm
    terms: PairTerms = field(default_factory=PairTerms)
    question: str = ""


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
        protocol: ChatProtocol | None = None,
        classes: int = 2,
        reasoning_first: bool = False,
        sampled: bool = False,
        parameters: Mapping[str, Any] | None = None,
        pairs_per_request: int = 1,
    ) -> None:
        """sampled: whether replies to one question should differ, so that no temperature of 0 is asked for.

        parameters: of each request, over what the protocol writes, nested as in its body. pairs_per_request:
        how many it may be about.
        """
        protocol = protocol or protocol_named(DEFAULT_PROTOCOL)
        _check_url(base_url, protocol)
        address = urlsplit(base_url)
        self.uses_tls = address.scheme == "https"
        self.is_local = is_local(base_url)  # needs no key, and no proxy may see it
        if not key and not self.is_local:
            raise UserError(f"no API key for {address.hostname}: set {protocol.api.key_variable}")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise UserError(
                "the API key contains a blank, a line break or a character that no key has; copy it again"
            )
        self.base_url = base_url
        self.model = model
        self.timeout_s = timeout_s
        self.protocol = protocol
        self.parameters = dict(parameters or {})
        require_allowed(self.parameters, protocol.rules)
        self._given = [path for path, _ in leaves(self.parameters)]
        self._fields = field_pattern(self._given, protocol.rules.words)
        self._first_form = form_asked_first(
            protocol,
            self.parameters,
            classes=classes,
            reasoning_first=reasoning_first,
            logprobs=logprobs,
            sampled=sampled,
            pairs_per_request=pairs_per_request,
        )
        self.adaptation = Adaptation(self._first_form)
        self.rates = rates or RateLimits()
        self._replies = replies
        self._silences = 0.0
        self._listing = asyncio.Lock()
        self._offer: Offer | None = None  # the list of models, once it was asked for
        self._was_looked_at = False  # a reply's headers; what one says of the model's end, all say
        self.notice = ""
        self.on_notice: Callable[[str], None] = lambda _: None
        given = {name.lower() for name in headers or {}}
        usual = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"kimera/{__version__}",
            **protocol.headers(key),
        }
        self._secrets = Secrets((*secrets_in(key, protocol.headers(key)), *secrets_in("", headers or {})))
        self._mark = request_mark(protocol, headers or {})
        self._headers = {
            **{name: value for name, value in usual.items() if name.lower() not in given},
            **(headers or {}),
        }

    def __repr__(self) -> str:
        return f"Endpoint({self.model!r} at {self.base_url!r})"

    @property
    def form(self) -> RequestForm:
        """How requests are written, but for pairs that need it otherwise."""
        return self.adaptation.form

    def address(self) -> dict[str, str]:
        """Who is asked, JSON-ready, without the key."""
        protocol = {"protocol": self.protocol.name} if self.protocol.name != DEFAULT_PROTOCOL else {}
        return {"model": self.model, **protocol, "base_url": self.base_url}

    def settings(self) -> dict[str, Any]:
        """How it is asked and what was learnt of it, JSON-ready."""
        learnt = self.adaptation.learnt
        return {
            "reply_format": self.form.reply_format,
            **dict(self.form.optional),
            **({"params": self.parameters} if self.parameters else {}),
            "timeout_s": self.timeout_s,
            **({"learnt": list(learnt)} if learnt else {}),
            **({"notice": self.notice} if self.notice else {}),
        }

    def write(self, messages: list[dict[str, str]], sample: int, terms: PairTerms | None = None) -> Request:
        """The request as this endpoint takes it. sample: which of several askings of the same question."""
        terms = terms or PairTerms()
        form = self.adaptation.form_for(terms)
        question = "\n".join(message["content"] for message in messages if message["role"] == "user")
        return Request(self._body(messages, form, sample), form, terms, question)

    def _body(self, messages: list[dict[str, str]], form: RequestForm, sample: int) -> bytes:
        return written_into(self.protocol.body(messages, self.model, form, sample), self.parameters)

    async def send(self, transport: Transport, request: Request, turn: Turn) -> Completion:
        """One attempt. Raises JudgeError; kind "adapting": the next attempt will be written otherwise.

        No secret of ours is in what this gives or raises, whatever a server quotes. An error of ours is of
        kind "internal".
        """
        try:
            completion = await self._send(transport, request, turn)
        except JudgeError as error:
            offered = await self._offers(transport, error)
            message = self.redact(error.message)[:MAX_MESSAGE]  # cut last: half a key is not found
            if offered:
                message = message.rstrip(".") + self.redact(offered)
            raise error.but(message=message) from None
        except InterruptedAskingError:
            raise
        except Exception as error:  # whatever it is, it costs its pair, and no other request
            raise internal_error(error, self.redact, status=200) from error
        finally:
            self.adaptation.note_reply()
        return self._without_secrets(completion)

    def _without_secrets(self, completion: Completion) -> Completion:
        """The same where there are none, which is nearly always: a copy costs as much as looking."""
        text = self._secrets.out_of_reply(completion.text)
        refusal, fingerprint = self.redact(completion.refusal), self.redact(completion.system_fingerprint)
        if (text, refusal, fingerprint) == (
            completion.text,
            completion.refusal,
            completion.system_fingerprint,
        ):
            return completion
        return replace(completion, text=text, refusal=refusal, system_fingerprint=fingerprint)

    async def _send(self, transport: Transport, request: Request, turn: Turn) -> Completion:
        reply = await self._post(transport, request.body, turn)
        request.terms.batched += (reply.name,) if reply.name else ()
        if error_reply := self.protocol.read_error(reply.status, reply.headers, reply.body):
            raise self._refusal(error_reply, reply, request)
        completion = self.protocol.read(reply.body)
        self.adaptation.note_completion(completion, request.form, request.terms)
        return completion

    def _refusal(self, error_reply: ErrorReply, reply: HttpReply, request: Request) -> JudgeError:
        refusal = read_refusal(
            error_reply.status,
            error_reply.said,
            reply.headers,
            model=self.model,
            question=request.question,
            now=time.time(),
            has_answered=self.adaptation.has_answered,
            fields=self._fields,
        )
        error = self._refused_parameter(refusal, request.form) or self.adaptation.note_refusal(
            refusal, request.form, request.terms
        )
        if error_reply.usage and error_reply.usage.is_known:
            error = error.but(usage=error_reply.usage)
        if error.kind == "refused" and self.parameters:
            error = error.but(message=f"{error.message}; sent with --param {in_words(self.parameters)}")
        if reply.status == 200:
            return error.but(message=f"{error.message} (inside a reply of status 200)")
        return error

    def _refused_parameter(self, refusal: Refusal, used: RequestForm) -> JudgeError | None:
        """The end of the run, where a refusal is of what the user gave: that is never left out in silence.

        What it names of ours besides is left out first, if it comes first.
        """
        named = [name for name in refusal.names if name.startswith(GIVEN)]
        error = refusal.error
        if not named or self.adaptation.has_answered or not kind_of(error.kind).may_name_a_part:
            return None
        if kind_of(error.kind).is_fault or error.status == 401:
            return None
        if refusal.names[0] != named[0] and used.after_refusal(refusal) is not None:
            return None
        path = self._given[int(named[0].removeprefix(GIVEN))]
        value = next(value for there, value in leaves(self.parameters) if there == path)
        given = in_words({".".join(path): value})
        return error.but(kind="parameter", message=f"{error.message} (of --param {given})")

    async def _offers(self, transport: Transport, error: JudgeError) -> str:
        """Which models there are, where the one that was asked is not."""
        if not kind_of(error.kind).is_elsewhere:
            return ""
        return offer_clause(await self._listed(transport), self.model)

    async def look_up_notice(self, transport: Transport) -> None:
        """Has `notice` say what the list of models tells of this one's end, where no reply told of it."""
        if not self.notice:
            self._take_notice((await self._listed(transport)).notice(self.model))

    async def _listed(self, transport: Transport) -> Offer:
        """The list of models; asked for once, and waited for by all: the first refusal ends a run."""
        if self._offer is not None:
            return self._offer
        async with self._listing:
            if self._offer is None:
                try:
                    self._offer = await offered_models(
                        transport, self.protocol, self.base_url, self._headers, self.timeout_s
                    )
                except Exception as ours:  # noqa: BLE001 (logged; a list that is missing hides no refusal)
                    internal_error(ours, self.redact)
                    self._offer = Offer()
        return self._offer

    def _take_notice(self, notice: str) -> None:
        if notice and not self.notice:
            self.notice = self.redact(notice)
            self.on_notice(self.notice)

    def recall(self, messages: list[dict[str, str]], sample: int, pairs: int = 1) -> Completion | None:
        """The reply that these messages had in an earlier run, if replies are kept; it costs nothing now.

        pairs: how many they are about.
        """
        body = self._replies.get(self._kept_as(messages, sample, pairs)) if self._replies else None
        if body is None:
            return None
        try:
            return replace(self.protocol.read(body), usage=Usage(), from_cache=True)
        except JudgeError:  # damaged on disk: ask again
            return None

    def keep(
        self, messages: list[dict[str, str]], sample: int, completion: Completion, pairs: int = 1
    ) -> None:
        """Keeps a usable reply for later runs, if replies are kept. messages: of the first attempt."""
        if self._replies and not completion.from_cache:
            body = self._secrets.out_of_reply(completion.body.decode("utf-8", "replace"))
            self._replies.put(self._kept_as(messages, sample, pairs), body.encode())

    def _kept_as(self, messages: list[dict[str, str]], sample: int, pairs: int) -> bytes:
        """What a reply is kept under: the first form's request, which a later run starts from again."""
        first = self._body(messages, self._first_form.about(pairs), sample)
        named = self.protocol.url(self.base_url, self.model)  # some name the model there, and not in the body
        is_named = named != self.protocol.url(self.base_url, "")
        address = named if is_named else self.base_url
        return reply_key(f"{address} {self._mark}" if self._mark else address, first, sample)

    async def _post(self, transport: Transport, body: bytes, turn: Turn) -> HttpReply:
        url = self.protocol.url(self.base_url, self.model)
        self.rates.note_sent(turn)
        try:
            reply = await transport.post(url, self._headers, body, self.timeout_s)
        except JudgeError as error:
            self._silences += kind_of(error.kind).is_silence
            if self._silences >= (UNREACHABLE_AFTER if error.kind == "connection" else TOO_MANY_TIMEOUTS):
                raise error.but(kind="unreachable") from None
            raise
        self._silences = -math.inf  # it has replied, so it is there
        if not self._was_looked_at and reply.status < 300:
            self._was_looked_at = True
            self._take_notice(notice_in(reply.headers))
        self.rates.learn(self.protocol.limits_in(reply.headers), turn)
        # Whatever a success is called, it may hold a verdict, and was paid for.
        status = 200 if 200 <= reply.status < 300 else reply.status
        body = self.clean(reply.body)
        if status == reply.status and body is reply.body:  # as nearly always
            return reply
        return HttpReply(status, reply.headers, body, reply.name)

    def clean(self, body: bytes) -> bytes:
        """A reply's body without them."""
        return self._secrets.out_of_body(body)

    def redact(self, text: str) -> str:
        """A message without the secrets of this endpoint."""
        return self._secrets.out_of_message(text)


def form_asked_first(
    protocol: ChatProtocol,
    parameters: Mapping[str, Any],
    *,
    classes: int = 2,
    reasoning_first: bool = False,
    logprobs: bool = False,
    sampled: bool = False,
    pairs_per_request: int = 1,
) -> RequestForm:
    """What the first request asks for. All as for `Endpoint`; raises UserError for a limit that is none."""
    form = protocol.first_form(logprobs=logprobs).with_room_for(pairs_per_request)
    form = replace(form, classes=classes, reasoning_first=reasoning_first)
    return form_beside((sampled and form.without("temperature")) or form, parameters)


def request_mark(protocol: ChatProtocol, headers: Mapping[str, str]) -> str:
    """Tells requests apart that headers have answered otherwise, such as an API's version; no key is in it.

    headers: of the user's. Empty where there are none, and the API wants none.
    """
    told = {**plain_headers(protocol.headers("")), **plain_headers(headers)}
    return hashlib.sha256(json.dumps(sorted(told.items())).encode()).hexdigest() if told else ""


def resolved_base_url(base_url: str | None, protocol: ChatProtocol) -> str:
    """The argument, else what the environment gives, else the API's own. Raises UserError for want of one."""
    api = protocol.api
    url = (base_url or os.environ.get(api.base_url_variable) or api.default_base_url).rstrip("/")
    if not url:
        raise UserError(
            f"{api.provider}'s API has no base URL of its own: give --base-url, or set "
            f"{api.base_url_variable}"
        )
    _check_url(url, protocol)
    return url


def resolved_key(key: str | None, protocol: ChatProtocol) -> str:
    """The argument, else what the environment gives; empty where neither does."""
    return key or os.environ.get(protocol.api.key_variable) or ""


def _check_url(base_url: str, protocol: ChatProtocol) -> None:
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"base URL {base_url!r} is not a http:// or https:// address")
    if parts.username or parts.password:
        raise UserError(
            f"the base URL holds a user name or password; give the key in {protocol.api.key_variable}"
        )
    if parts.query or parts.fragment:
        raise UserError(f"base URL {base_url.partition('?')[0]!r} has a query string; leave that out")
