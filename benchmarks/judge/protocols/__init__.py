"""The APIs that judges are asked over, each in a file of its own, imported when it is first named.

A further one is its file and its line in `PROTOCOLS`: the name that `--protocol` takes, which is what the
protocol calls itself, and the module and the value behind it.
"""

from __future__ import annotations

import re
from collections import ChainMap
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kimera.errors import UserError

if TYPE_CHECKING:
    from benchmarks.judge.chat_protocol import ChatProtocol

DEFAULT_PROTOCOL = "chat-completions"
PROTOCOLS: dict[str, tuple[str, str] | ChatProtocol] = {
    DEFAULT_PROTOCOL: ("chat_completions", "CHAT_COMPLETIONS"),
    "azure": ("azure_chat_completions", "AZURE_CHAT_COMPLETIONS"),
    "responses": ("openai_responses", "OPENAI_RESPONSES"),
    "decisions": ("openai_decisions", "OPENAI_DECISIONS"),
    "anthropic": ("anthropic_messages", "ANTHROPIC_MESSAGES"),
    "gemini": ("gemini", "GEMINI"),
    "systemone": ("system_one", "SYSTEM_ONE"),
}
AUTO = "auto"  # no protocol: the one that is certain to be spoken at the base URL, else the default
# What --protocol takes; a protocol that is listed later is taken too.
CHOICES: ChainMap[str, tuple[str, str] | ChatProtocol] = ChainMap(PROTOCOLS, {AUTO: ("", "")})


def protocol_at(base_url: str | None) -> str:
    """The name of the protocol that is spoken there, as far as that is certain; else the default."""
    if not base_url:
        return DEFAULT_PROTOCOL
    parts = urlsplit(base_url)
    place = f"{parts.hostname}{parts.path.rstrip('/')}"
    spoken = (name for name in PROTOCOLS if re.fullmatch(protocol_named(name).api.spoken_at, place))
    return next(spoken, DEFAULT_PROTOCOL)


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
