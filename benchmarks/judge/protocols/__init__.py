"""The APIs that judges are asked over, each in a file of its own, imported when it is first named.

A further one is its file and its line in `PROTOCOLS`: the name that `--protocol` takes, which is what the
protocol calls itself, and the module and the value behind it.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kimera.errors import UserError

if TYPE_CHECKING:
    from benchmarks.judge.chat_protocol import ChatProtocol

DEFAULT_PROTOCOL = "chat-completions"
PROTOCOLS: dict[str, tuple[str, str] | ChatProtocol] = {
    DEFAULT_PROTOCOL: ("chat_completions", "CHAT_COMPLETIONS"),
    "responses": ("openai_responses", "OPENAI_RESPONSES"),
    "anthropic": ("anthropic_messages", "ANTHROPIC_MESSAGES"),
}
AUTO = "auto"  # no protocol: the one that is certain to be spoken at the base URL, else the default
CHOICES: Mapping[str, object] = ChainMap(PROTOCOLS, {AUTO: ("", "")})  # what --protocol takes
# Where nothing but one protocol is spoken, by host and beginning of the path.
_SPOKEN_AT = (("api.anthropic.com", "", "anthropic"),)


def protocol_at(base_url: str | None) -> str:
    """The name of the protocol that is spoken there, as far as that is certain; else the default."""
    parts = urlsplit(base_url or "")
    return next(
        (name for host, path, name in _SPOKEN_AT if parts.hostname == host and parts.path.startswith(path)),
        DEFAULT_PROTOCOL,
    )


def protocol_named(name: str) -> ChatProtocol:
    """Raises UserError, with the names there are, for any other."""
    if name not in PROTOCOLS:
        raise UserError(f"--protocol {name}: there is none of that name, only {', '.join(PROTOCOLS)}")
    listed = PROTOCOLS[name]
    if not isinstance(listed, tuple):
        return listed
    module, value = listed
    protocol: ChatProtocol = getattr(import_module(f"{__name__}.{module}"), value)
    return protocol
