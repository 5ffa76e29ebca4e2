"""Which of three classes a judge's reply states, where it was asked for that beside its verdict."""

from __future__ import annotations

from collections.abc import Iterable

from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL

_WORDS = {
    **dict.fromkeys(("contradiction", "contradictory", "contradicts", "contradict"), CONTRADICTION),
    **dict.fromkeys(("entailment", "entailed", "entails", "entail"), ENTAILMENT),
    **dict.fromkeys(("neutral", "neither"), NEUTRAL),
}
MAX_WORD_CHARS = 30


def relation_of(stated: object) -> str | None:
    """The class that a field's value names, in any spelling; None for anything else."""
    if not isinstance(stated, str) or len(stated) > MAX_WORD_CHARS:
        return None
    return _WORDS.get(stated.strip(" .*_`\"'").lower())


def why_unclear(contradiction: bool, relations: Iterable[str]) -> str:
    """Why the classes that a reply states leave its verdict open; empty where they agree with it.

    Nobody can tell which of two statements that exclude each other is meant.
    """
    stated = set(relations)
    if len(stated) > 1:
        return f"different relations ({', '.join(sorted(stated))})"
    if any((relation == CONTRADICTION) != contradiction for relation in stated):
        return f"contradiction is {str(contradiction).lower()}, but relation is {next(iter(stated))},"
    return ""
