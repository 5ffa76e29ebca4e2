"""What one server takes on: no client can make it hold more, nor wait longer than these times."""

from __future__ import annotations

from dataclasses import dataclass

BYTES_OF_A_CHARACTER = 12  # in JSON, at most: two escapes of a surrogate pair
BYTES_AROUND_A_TEXT = 1024
SPARE_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """connections: sessions at a time, each of one connection. statements: of one session.

    statements_in_all: of all sessions together. characters: of one statement. waiting: messages of one
    connection that are not answered yet; no more are read. stall_s: how long an answer may wait for a client
    that does not read. close_s: how long a client that is closed may take for what was sent, and to close
    too. hello_s: how long a client may take for its request, and for its first message. stop_s: how long a
    server that stops may take for what it is computing. given: statements of the list that a request gives.
    refusal_s: how long a client is not read after a message that was refused, so that who sends many of these
    takes little of the processor.
    """

    connections: int = 128
    statements: int = 10_000
    statements_in_all: int = 200_000
    characters: int = 1_000
    waiting: int = 8
    stall_s: float = 30.0
    close_s: float = 2.0
    hello_s: float = 10.0
    stop_s: float = 5.0
    given: int = 256
    refusal_s: float = 0.01

    @property
    def ungreeted(self) -> int:
        """Connections that have no session: all clients may come at once, beside some for the page."""
        return self.connections + SPARE_CONNECTIONS

    @property
    def message_bytes(self) -> int:
        """Of one message: any statement that is short enough fits."""
        return BYTES_OF_A_CHARACTER * self.characters + BYTES_AROUND_A_TEXT

    @property
    def request_bytes(self) -> int:
        """Of one request: a statement and a list, all of them short enough, fit."""
        return self.message_bytes * (1 + self.given)


class Room:
    """How many statements all sessions may still take on."""

    def __init__(self, statements: int) -> None:
        self.left = statements

    def take(self, statements: int = 1) -> bool:
        """Places for so many, if there are that many."""
        if self.left < statements:
            return False
        self.left -= statements
        return True

    def give_back(self, statements: int) -> None:
        self.left += statements
