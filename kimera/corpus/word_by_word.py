"""In what two statements differ, word by word."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher

from kimera.corpus.statement_words import Words, are_opposites


@dataclass
class Aligned:
    """number: both have another one in the same place. negation: one denies more often than the other.

    opposite, obligation: one of two opposites, or of must, may and the like, in the place of the other.
    name: another name, flag or piece of code in the same place. replaced, added: stems in which they differ
    beside that, of both or of one of them. only_in: words, in lower case, of stretches where both have some
    that the other has nowhere. slots: stretches in which they differ; where: the first of these, 0 at the
    beginning of one to 1 at its end. same: words that stand in the same order in both.
    """

    number: bool = False
    negation: bool = False
    opposite: bool = False
    obligation: bool = False
    name: bool = False
    replaced: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    only_in: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    slots: int = 0
    where: float = 1.0
    same: int = 0


def aligned(one: Words, other: Words) -> Aligned:
    """By the longest stretches that both hold (Ratcliff and Metzener 1988)."""
    found = Aligned()
    matcher = SequenceMatcher(None, one.stems, other.stems, autojunk=False)
    denied = sum(form.is_negator for form in one.forms) - sum(form.is_negator for form in other.forms)
    found.negation = denied % 2 != 0
    for kind, start, end, begin, stop in matcher.get_opcodes():
        if kind == "equal":
            found.same += end - start
            continue
        found.slots += 1
        found.where = min(found.where, start / max(len(one.stems), 1))
        left = [at for at in range(start, end) if one.stems[at] not in other.distinct]
        right = [at for at in range(begin, stop) if other.stems[at] not in one.distinct]
        if left and right:
            found.only_in[0].extend(one.forms[at].plain for at in left)
            found.only_in[1].extend(other.forms[at].plain for at in right)
        _one_slot(found, one, other, left, right)
    return found


def _one_slot(found: Aligned, one: Words, other: Words, left: list[int], right: list[int]) -> None:
    """left, right: places of the words of one stretch that the other statement holds nowhere."""
    numbers = (
        [at for at in left if one.forms[at].is_number],
        [at for at in right if other.forms[at].is_number],
    )
    if all(numbers):
        found.number = True
        left = [at for at in left if at not in numbers[0]]
        right = [at for at in right if at not in numbers[1]]
    for at in left:
        match = next((place for place in right if are_opposites(one.forms[at], other.forms[place])), None)
        if match is not None:
            found.opposite = True
            left = [place for place in left if place != at]
            right = [place for place in right if place != match]
    duties = (
        [at for at in left if one.forms[at].is_obligation],
        [at for at in right if other.forms[at].is_obligation],
    )
    found.obligation |= all(map(bool, duties))
    rest = (
        [at for at in left if at not in duties[0] and one.forms[at].says_something],
        [at for at in right if at not in duties[1] and other.forms[at].says_something],
    )
    if all(rest):
        found.name |= any(map(one.is_name, rest[0])) and any(map(other.is_name, rest[1]))
        found.replaced += [one.stems[at] for at in rest[0]] + [other.stems[at] for at in rest[1]]
    else:
        found.added += [one.stems[at] for at in rest[0]] + [other.stems[at] for at in rest[1]]
