"""Statements one by one over a WebSocket, each checked against all before it: see docs/live.md.

`python -m kimera.live` serves; this is the client in Python.
"""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "Answer",
    "Checked",
    "Contradiction",
    "LiveClient",
    "LiveError",
    "LiveSettings",
    "NumberedStatement",
    "Refused",
]

if TYPE_CHECKING:
    from kimera.live.client import Answer, Checked, LiveClient, LiveError, Refused
    from kimera.live.contradictions import Contradiction, NumberedStatement
    from kimera.live.live_settings import LiveSettings
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "client": ["Answer", "Checked", "LiveClient", "LiveError", "Refused"],
            "contradictions": ["Contradiction", "NumberedStatement"],
            "live_settings": ["LiveSettings"],
        },
    )
