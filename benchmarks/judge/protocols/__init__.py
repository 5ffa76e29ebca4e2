"""The APIs that judges are asked over, each in a file of its own, imported when it is first named.

A further one is its file and its line in `PROTOCOLS`: the name that `--protocol` takes, which is what the
protocol calls itself, and the module and the value behind it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from kimera.errors import UserError

if TYPE_CHECKING:
    from benchmarks.judge.chat_protocol import ChatProtocol

DEFAULT_PROTOCOL = "chat-completions"
PROTOCOLS: dict[str, tuple[str, str] | ChatProtocol] = {
    DEFAULT_PROTOCOL: ("chat_completions", "CHAT_COMPLETIONS"),
}


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
