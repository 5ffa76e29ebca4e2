"""Keeps what the environment holds of keys out of texts by code of the user's, which may quote anything."""

from __future__ import annotations

import os
import re

__all__ = ["MASK", "without_secrets"]

MASK = "***"
MIN_SECRET = 8  # characters; what is shorter stands in any text by chance
_NAMED_LIKE_ONE = re.compile("key|token|secret|password|passwd|credential", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text, with `MASK` for each value of an environment variable that is named like a key or password.

    It is looked for as it stands and as Python's repr writes it. Call this before anything is cut out.
    """
    for secret in _secrets():
        text = text.replace(secret, MASK)
    return text


def _secrets() -> list[str]:
    """The longest first, since one may hold another."""
    values = {value.strip() for name, value in os.environ.items() if _NAMED_LIKE_ONE.search(name)}
    written = values | {repr(value)[1:-1] for value in values}
    return sorted((value for value in written if len(value) >= MIN_SECRET), key=lambda one: (-len(one), one))
