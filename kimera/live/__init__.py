"""Statements one by one over a WebSocket, each checked against all before it: see docs/live.md.

`python -m kimera.live` serves; this is the client in Python, and what the other servers of checks share.
"""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "Access",
    "Answer",
    "Arrival",
    "CandidateRule",
    "Checked",
    "Contradiction",
    "ContradictionFinder",
    "Found",
    "LiveClient",
    "LiveError",
    "LiveLimits",
    "LiveSettings",
    "NumberedStatement",
    "Refused",
    "Session",
    "SessionStore",
    "access_of",
    "is_loopback",
    "numbered",
    "token_of",
]

if TYPE_CHECKING:
    from kimera.live.access import Access, access_of, is_loopback, token_of
    from kimera.live.candidate_rule import CandidateRule
    from kimera.live.capacity import LiveLimits
    from kimera.live.client import Answer, Checked, LiveClient, LiveError, Refused
    from kimera.live.contradictions import Contradiction, Found, NumberedStatement, numbered
    from kimera.live.live_settings import LiveSettings
    from kimera.live.session import Arrival, ContradictionFinder, Session
    from kimera.live.store import SessionStore
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "access": ["Access", "access_of", "is_loopback", "token_of"],
            "candidate_rule": ["CandidateRule"],
            "capacity": ["LiveLimits"],
            "client": ["Answer", "Checked", "LiveClient", "LiveError", "Refused"],
            "contradictions": ["Contradiction", "Found", "NumberedStatement", "numbered"],
            "live_settings": ["LiveSettings"],
            "session": ["Arrival", "ContradictionFinder", "Session"],
            "store": ["SessionStore"],
        },
    )
