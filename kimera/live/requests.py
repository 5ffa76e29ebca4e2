"""POST /check: one statement by a request, against a named session or a list that the request gives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from kimera.live import protocol
from kimera.live.access import Access
from kimera.live.capacity import LiveLimits
from kimera.live.checker import Checker
from kimera.live.contradictions import NumberedStatement, numbered
from kimera.live.protocol import ProtocolError
from kimera.live.session import Session
from kimera.live.sessions import Sessions

JSON = "application/json"
STATUS: Mapping[str, int] = {
    "unauthorized": 401,
    "no_session": 404,
    "too_slow": 408,
    "session_full": 409,
    "too_large": 413,
    "too_long": 413,
    "not_json_type": 415,
    "internal": 500,
    "busy": 503,
    "server_full": 503,
    "stopping": 503,
}
BAD_REQUEST = 400
RETRY_S = 1  # after a 503


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Either session or against is given. remember: whether the statement joins the session."""

    id: str
    text: str
    session: str | None
    against: Sequence[str]
    remember: bool


class RequestedCheck:
    """A request from its token to its answer, under the rules and limits of a connection.

    enter: asked before the body is read; whether there is a place for it among the sessions.
    """

    def __init__(
        self,
        checker: Checker,
        access: Access,
        limits: LiveLimits,
        sessions: Sessions,
        enter: Callable[[], bool],
    ) -> None:
        self._checker = checker
        self._access = access
        self._limits = limits
        self._sessions = sessions
        self._enter = enter

    async def answer(self, request: web.Request) -> web.Response:
        try:
            self._require_welcome(request)
            message = await self._checked(read_request(await self._body(request), self._limits))
        except ProtocolError as error:
            message = protocol.error(error.kind, str(error), error.id)
            self._checker.metrics.count(message)
        status = STATUS.get(message["kind"], BAD_REQUEST) if message["type"] == "error" else 200
        headers = _headers(request)
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if status == 503:
            headers["Retry-After"] = str(RETRY_S)
        return web.Response(text=protocol.written(message), status=status, content_type=JSON, headers=headers)

    def _require_welcome(self, request: web.Request) -> None:
        if not self._access.admits_bearer(request.headers.get("Authorization")):
            raise ProtocolError(
                "unauthorized", "the token is missing or wrong; send it as Authorization: Bearer TOKEN"
            )
        # Pages can send no other type than forms' without being asked for leave first.
        if request.content_type != JSON:
            raise ProtocolError("not_json_type", f"send the header Content-Type: {JSON}")
        if not self._enter():
            raise ProtocolError("busy", "the server has as many sessions as it accepts; try again later")

    async def _body(self, request: web.Request) -> str:
        try:
            async with asyncio.timeout(self._limits.hello_s):
                return (await self._read(request)).decode("utf-8")
        except TimeoutError:
            reason = f"the body did not come within {self._limits.hello_s:g} s"
            raise ProtocolError("too_slow", reason) from None
        except UnicodeDecodeError:
            raise ProtocolError("not_json", "the body is not UTF-8") from None

    async def _read(self, request: web.Request) -> bytes:
        # Not the application's client_max_size: it would bound what WebSockets buffer as well.
        body = bytearray()
        async for part in request.content.iter_any():
            body += part
            if len(body) > self._limits.request_bytes:
                reason = f"the body has more than {self._limits.request_bytes:,} bytes"
                raise ProtocolError("too_large", reason)
        return bytes(body)

    async def _checked(self, asked: CheckRequest) -> protocol.Message:
        if asked.session is None:
            session = Session(numbered(asked.against))
            statement = NumberedStatement(session.taken + 1, asked.id, asked.text)
            return await self._checker.check(session, statement, is_kept=False)
        session = await self._sessions.enter(asked.session)
        try:
            number = self._number_in(session, asked)
            statement = NumberedStatement(number, asked.id, asked.text)
            return await self._checker.check(session, statement, is_kept=asked.remember)
        finally:
            self._sessions.leave(session)

    def _number_in(self, session: Session, asked: CheckRequest) -> int:
        if asked.remember:
            return self._sessions.take(session, asked.id)
        if not session.taken:
            reason = f"there is no session {asked.session!r}; a statement sent with remember begins it"
            raise ProtocolError("no_session", reason, asked.id)
        return session.taken + 1


def read_request(text: str, limits: LiveLimits) -> CheckRequest:
    """The body of a request. Raises `ProtocolError` for what is none."""
    message = protocol.read_object(text)
    id = protocol.statement_id(message, "1")
    statement = protocol.statement_text(message.get("text"), "text", limits, id)
    session, remember = protocol.session_name(message), message.get("remember", False)
    if not isinstance(remember, bool):
        raise ProtocolError("bad_field", "remember is neither true nor false", id)
    if (session is None) == (message.get("against") is None):
        raise ProtocolError("bad_field", "give either against, a list of statements, or session, a name", id)
    if session is None and remember:
        raise ProtocolError("bad_field", "remember adds to a session; name one in place of against", id)
    against = () if session is not None else _given(message["against"], limits, id)
    return CheckRequest(id, statement, session, against, remember)


def _given(value: object, limits: LiveLimits, id: str) -> Sequence[str]:
    if not isinstance(value, list):
        raise ProtocolError("bad_field", "against is not a list of statements", id)
    if len(value) > limits.given:
        reason = f"against has {len(value):,} statements; at most {limits.given:,} are accepted"
        raise ProtocolError("too_long", reason, id)
    return [
        protocol.statement_text(text, f"against[{place}]", limits, id) for place, text in enumerate(value)
    ]


async def preflight(request: web.Request) -> web.Response:
    """What a page of an origin that may connect asks before it sends JSON."""
    return web.Response(
        status=204,
        headers=_headers(request)
        | {
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
        },
    )


def _headers(request: web.Request) -> dict[str, str]:
    """Pages that were let in may read the answer."""
    headers = {"Cache-Control": "no-store", "Vary": "Origin", "X-Content-Type-Options": "nosniff"}
    if origin := request.headers.get("Origin"):
        headers["Access-Control-Allow-Origin"] = origin
    return headers
