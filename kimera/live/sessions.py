"""The sessions that are open: those of one connection, and named ones, which outlive it in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kimera.live.capacity import LiveLimits, Room
from kimera.live.protocol import ProtocolError
from kimera.live.session import Session

NO_STORE = "the server keeps no sessions by name; start it with --store FILE, or name none"


@dataclass
class _Shared:
    """A named session, and how many have it open."""

    reading: asyncio.Task[Session]
    users: int = 0


class Sessions:
    """Hands out sessions, and the places that their statements take.

    read: a named session from the store, None where there is no store. It runs after what is being checked,
    so that it finds all that was answered.
    """

    def __init__(
        self, limits: LiveLimits, room: Room, read: Callable[[str], Awaitable[Session]] | None
    ) -> None:
        self._limits = limits
        self._room = room
        self._read = read
        self._shared: dict[str, _Shared] = {}

    async def enter(self, name: str | None) -> Session:
        """A new session, or the one of this name, which all share who have it open.

        Raises ProtocolError where there is no store, or no room for its statements. `leave` it in the end.
        """
        if name is None:
            return Session()
        if self._read is None:
            raise ProtocolError("no_store", NO_STORE)
        shared = self._shared.get(name)
        if shared is None:
            shared = self._shared[name] = _Shared(asyncio.create_task(self._loaded(name)))
        shared.users += 1
        try:
            return await asyncio.shield(shared.reading)
        except BaseException:
            self._part(name, shared)
            raise

    def leave(self, session: Session) -> None:
        if not session.name:
            self._room.give_back(session.taken)
        else:
            self._part(session.name, self._shared[session.name])

    def take(self, session: Session, id: str) -> int:
        """The number of a new statement. Raises ProtocolError where there is no room for it."""
        if session.taken >= self._limits.statements:
            reason = f"the session has {session.taken:,} statements and accepts no more"
            raise ProtocolError("session_full", reason, id)
        if not self._room.take():
            reason = "all sessions together have as many statements as the server accepts"
            raise ProtocolError("server_full", reason, id)
        session.taken += 1
        return session.taken

    async def _loaded(self, name: str) -> Session:
        assert self._read is not None  # noqa: S101 (asked in `enter`)
        session = await self._read(name)
        if not self._room.take(session.taken):
            raise ProtocolError(
                "server_full",
                f"the session has {session.taken:,} statements, for which the server has no room now",
            )
        return session

    def _part(self, name: str, shared: _Shared) -> None:
        """One less has it open. It is forgotten with the last."""
        shared.users -= 1
        if shared.users:
            return
        del self._shared[name]
        reading = shared.reading
        if not reading.done():
            reading.add_done_callback(self._give_back)
        else:
            self._give_back(reading)

    def _give_back(self, reading: asyncio.Task[Session]) -> None:
        if not reading.cancelled() and reading.exception() is None:
            self._room.give_back(reading.result().taken)
