"""Keeps keys out of what is shown and kept, whatever a server quotes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from benchmarks.judge.error_bodies import in_words
from kimera.console import MASK

MIN_SECRET = 4  # what is shorter stands in any text by chance
MIN_ANYWHERE = 8  # from here on also inside of a longer word; what is shorter counts as a whole word only
_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie|password|credential", re.IGNORECASE)
# The same of parameters, many of which have "key" or "token" in their names and are no secret.
_CREDENTIAL_PARAMETER = re.compile(
    r"\b(?:auth|authorization|bearer|cookies?|credentials?|secrets?|passwords?|passwd|passphrase)\b"
    r"|\bconnection string\b|api ?keys?\b|(?<!\bcache )\bkey$|(?<!\beos )(?<!\bbos )(?<!\bpad )\btoken$"
)
_LIKE_A_KEY = re.compile(r"[\d_=]|[a-z][A-Z]|[A-Za-z]{20}")
_ORDINARY = re.compile(r"[A-Za-z][a-z]*|[A-Z]+|[\d.]+")  # "none", "TRUE", "1234": as a made-up key may be


class Secrets:
    """The keys of one endpoint.

    A short key that is one word or number, such as "none", is taken out of messages alone: a reply may state
    it without having seen it, and a verdict must not be damaged.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted(
            {secret for secret in secrets if len(secret) >= MIN_SECRET}, key=len, reverse=True
        )
        self._anywhere = [secret for secret in longest_first if len(secret) >= MIN_ANYWHERE]
        short = [secret for secret in longest_first if len(secret) < MIN_ANYWHERE]
        self._in_messages = _whole_words(short)
        self._in_replies = _whole_words([secret for secret in short if not _ORDINARY.fullmatch(secret)])

    def out_of_message(self, text: str) -> str:
        """What is said to people."""
        return self._out_of(text, self._in_messages)

    def out_of_reply(self, text: str) -> str:
        """What a verdict is read from, or was."""
        return self._out_of(text, self._in_replies)

    def out_of_body(self, body: bytes) -> bytes:
        """Before anything is cut out of it; what JSON escapes is found in the texts later."""
        for secret in self._anywhere:
            body = body.replace(secret.encode(), MASK.encode())
        if self._in_replies:
            body = self._in_replies.sub(MASK, body.decode("latin-1")).encode("latin-1")
        return body

    def _out_of(self, text: str, short: re.Pattern[str] | None) -> str:
        for secret in self._anywhere:
            text = text.replace(secret, MASK)
        return short.sub(MASK, text) if short else text


def _whole_words(secrets: list[str]) -> re.Pattern[str] | None:
    if not secrets:
        return None
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, secrets))})(?![^\W_])")


def is_credential(parameter: str) -> bool:
    """Whether a parameter of this name holds a key: "encoded_api_key" does, "prompt_cache_key" does not."""
    return bool(_CREDENTIAL_PARAMETER.search(in_words(parameter)))


def plain_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are not named like a credential, by their names in lower case."""
    return {name.lower(): value for name, value in headers.items() if not _CREDENTIAL.search(name)}


def secrets_in(key: str, headers: Mapping[str, str]) -> Iterator[str]:
    """The key, each header's value that shows it, and what headers hold that are named like one."""
    if key:
        yield key
    for name, value in headers.items():
        if key and key in value:
            yield value
        elif _CREDENTIAL.search(name):
            yield from (value, *_keys_in(value))


def _keys_in(value: str) -> Iterator[str]:
    """The parts of a credential that look like keys: what follows a scheme, and no ordinary words."""
    parts = re.split(r"[\s;,]+", value)
    if len(parts) == 2:  # "Bearer ...", "Basic ..."
        yield parts[1]
    for part in (*parts, *(part.partition("=")[2] for part in parts)):
        if len(part) >= MIN_ANYWHERE and _LIKE_A_KEY.search(part):
            yield part
