"""What the flags of all commands take: each turns a text into a value, or says what it is not.

argparse shows the message of an `ArgumentTypeError` beside the flag; a configuration file's reader shows it
beside the key.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from typing import Literal


def whole(minimum: int) -> Callable[[str], int]:
    """A whole number of at least `minimum`."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) >= minimum):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
        return int(text)

    return parse


def whole_or_auto(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number of at least 1 nor auto")


def two_or_three(text: str) -> int:
    if text not in ("2", "3"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither 2 nor 3")
    return int(text)


def port_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give 0 to 65535")
    return int(text)


def host_and_port(text: str) -> tuple[str, int]:
    """HOST:PORT, an IPv6 address in brackets."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HOST:PORT, such as 127.0.0.1:8766")
    return host, port_number(port)


def positive(text: str) -> float:
    """A finite number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")


def share(text: str) -> float:
    """A share from 0 to 1, both included."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")


def open_share(text: str) -> float:
    """A share between 0 and 1, neither of them."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1, such as 0.02")


def share_above_0(text: str) -> float:
    """A share above 0, at most 1."""
    return 1.0 if share(text) == 1 else open_share(text)


def confidence(text: str) -> float:
    """Of a verdict: from 0.5, which is a guess, to 1."""
    with contextlib.suppress(ValueError):
        if 0.5 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not from 0.5 to 1")


def cosine(text: str) -> float:
    """Of two vectors: from -1 to 1."""
    with contextlib.suppress(ValueError):
        if -1 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a cosine; give -1 to 1")


def size(text: str) -> int:
    """Bytes: 500M, 4G, or a plain number."""
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    with contextlib.suppress(ValueError, OverflowError):
        size_bytes = int(float(number) * {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}.get(unit, -1))
        if size_bytes > 0:
            return size_bytes
    raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 4G")


def shard_of_n(text: str) -> str:
    """I/N, the I-th part of N."""
    number, _, total = text.partition("/")
    if all(part.isascii() and part.isdigit() for part in (number, total)) and 1 <= int(number) <= int(total):
        return f"{int(number)}/{int(total)}"
    raise argparse.ArgumentTypeError(f"{text!r} is not of the form I/N (part I of N), such as 2/4")


def header(text: str) -> tuple[str, str]:
    """NAME:VALUE, as (name, value)."""
    name, separator, value = text.partition(":")
    if not separator or not name.strip() or not (text.isprintable() and text.isascii()):
        raise argparse.ArgumentTypeError(f"{name!r} is not of the form NAME:VALUE in plain ASCII")
    return name.strip(), value.strip()
