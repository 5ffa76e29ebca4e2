"""What an API is called in settings and messages, and where it is reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Api:
    """Whose API a protocol speaks.

    provider: who made it, for messages; others speak it too. key_variable, base_url_variable: of the
    environment, what is taken where neither a flag nor an argument gives the key or the base URL.
    default_base_url: the provider's own; empty where there is none, so that one must be given.
    base_url_hint: what to look at in a base URL that is refused, after a semicolon. spoken_at: a pattern of
    the hosts and paths where nothing but this protocol is spoken; empty where that is nowhere certain.
    """

    provider: str
    key_variable: str
    base_url_variable: str
    default_base_url: str = ""
    base_url_hint: str = ""
    spoken_at: str = ""
