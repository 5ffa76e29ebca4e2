"""What an API's protocol says of the parameters that a user may give with each request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

QUESTION = "the question is that of --prompt"
FORMAT = "replies are read by their format, which Kimera sets"
ONE = "one reply to a request is read; --repeat asks several times"
WHOLE = "replies are read whole"
TOOLS = "a judge calls no tools"
ALONE = "each pair is asked about by itself"
MODEL = "--model names it"
LOGPROBS = "--logprobs asks for them"


@dataclass(frozen=True)
class ParameterRules:
    """Parameters by name; a dot leads into an object, and case, hyphens and underlines say nothing.

    taken: those that cannot be given, each with the reason. repricing: those that change what a token costs,
    so that list prices say little. words: what refusals call parts of a request in this API alone, patterns
    by the names of `refusals.PARTS`; a blank stands for any separator.
    """

    taken: Mapping[str, str] = field(default_factory=dict)
    repricing: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)


def taken(reasons: Mapping[str, str]) -> Mapping[str, str]:
    """By name, of reasons by the names that they hold for, with a blank between these."""
    return {normal(name): reason for reason, names in reasons.items() for name in names.split()}


def normal(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def repriced_by(rules: ParameterRules, paths: Iterable[tuple[str, ...]]) -> list[str]:
    """Which of the parameters at these paths change what a token costs."""
    names = [".".join(path) for path in paths]
    own = tuple(f"{normal(name)}." for name in rules.repricing)
    return [name for name in names if f"{normal(name)}.".startswith(own)]
