"""Statements changed by rule so that they contradict what they were made from.

Half of them are reworded as well, without a change of meaning. By which words is a `Vocabulary`: one to fit
by is here, and what measures a fit brings another, so that a measured change is mostly not one of those
learnt.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Change = Callable[[str, Random], "str | None"]

MIN_WORDS, MAX_WORDS = 7, 45

_AUXILIARY = re.compile(
    r"\b(is|are|was|were|can|will|should|must|may|does|do|has been|have been|would)\b(?! not\b|n't)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"\b(is|are|was|were|can|will|should|must|may|does|do) not\b|\b(can)not\b", re.IGNORECASE
)
_THIRD_PERSON = re.compile(
    r"\b(use|support|require|provide|create|set|take|accept|contain|raise|send|read|run|add|ignore|allow|return|"
    r"need|include|expect|call|keep|affect|appl|enable|work|make)(ie|e)?s\b"
)
_NUMBER = re.compile(r"(?<![\w.#§-])\d+(?:\.\d+)?(?![\w-]|\.\d)")
_VERB = re.compile(
    r"\b(?:is|are|was|were|can|will|should|must|may|does|do|has|have|would|need|needs|defaults?|returns?|uses?|"
    r"takes?|sets?|raises?|allows?|means|contains?|supports?|requires?|charges?)\b"
)
_NAMED = re.compile(
    r"\b(default(?:s to| is| value is| value of)?|called|named|raises?|returns?|stored in|located in|set to)"
    r" (the )?([A-Za-z]\w*[._]\w[\w.]*|--[\w-]+|[a-z]+[A-Z]\w+|[A-Z]\w+[A-Z]\w*)"
)
_NAME = re.compile(r"[A-Za-z]\w*[._]\w[\w.]*\w|--[\w-]+|\b[a-z]+[A-Z]\w+|\b[A-Z]\w+[A-Z]\w*")
_PRIVATE = re.compile(
    r"^(?:for example|example|e\.g\.|see |new in|added in|changed in|deprecated)|[:?]$", re.IGNORECASE
)

_UNITS = (
    "seconds minutes|minutes hours|hours days|days weeks|bytes kilobytes|kB MB|MB GB|milliseconds seconds|"
    "KiB MiB"
)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words by which statements are changed.

    opposites, obligations: pairs parted by "|", their sides by a blank, for which "~" stands within a side.
    rewordings: likewise, their sides parted by "~". denial: what denies beside "not", and how often.
    """

    opposites: str
    obligations: str
    rewordings: str
    openings: tuple[str, ...]
    denial: tuple[str, float]


TO_FIT_BY = Vocabulary(
    opposites="enabled disabled|enable disable|true false|before after|first last|always never|allow prevent|"
    "include exclude|minimum maximum|more less|higher lower|larger smaller|longer shorter|"
    "faster slower|above below|start end|open close|add remove|read write|input output|"
    "client server|public private|local remote|absolute relative|internal external|"
    "implicit explicit|automatic manual|automatically manually|synchronous asynchronous|"
    "static dynamic|temporary permanent|success failure|valid invalid|old new|same different|"
    "with without|all none|required optional|left right|top bottom|lowercase uppercase|"
    "import export|visible hidden|multiple single|default custom",
    obligations="must may|must should|may must|required optional|optional required|should need~not",
    rewordings="do not~don't|does not~doesn't|is not~isn't|such as~like|provides~offers|"
    "for example~for instance|also ~|however, ~|you can~it is possible to|will be~is|because~since|"
    "allows you to~lets you|in order to~to|using~by means of",
    openings=("Also, ", "As said, ", "Here "),
    denial=("never", 0.3),
)


@dataclass(frozen=True, slots=True)
class Plant:
    """A changed statement: by which kind of change, from which one, and whether it is reworded as well."""

    kind: str
    source: str
    text: str
    reworded: bool


def can_change(text: str) -> bool:
    """Whether it asserts something: long enough, with a verb, no example, lead-in or note of a version."""
    return (
        MIN_WORDS <= len(text.split()) <= MAX_WORDS and bool(_VERB.search(text)) and not _PRIVATE.search(text)
    )


def plants_of(texts: Sequence[str], count: int, words: Vocabulary, seed: int) -> list[Plant]:
    """At most `count`, each of another statement; the kinds of change have equal shares where they can."""
    random = Random(seed)  # noqa: S311 (a sample, not a secret)
    names = sorted({name for text in texts for name in _NAME.findall(text)})
    changes: dict[str, Change] = {  # the rarest first, since each has its share of what is left
        "unit": lambda text, random: _swapped(text, random, _UNITS),
        "name": lambda text, random: _renamed(text, random, names),
        "number": _number,
        "obligation": lambda text, random: _swapped(text, random, words.obligations, both_ways=False),
        "opposite": lambda text, random: _swapped(text, random, words.opposites),
        "negation": lambda text, random: _negated(text, random, words.denial),
    }
    order = [text for text in dict.fromkeys(texts) if can_change(text)]
    random.shuffle(order)
    plants: dict[str, Plant] = {}
    for place, (kind, change) in enumerate(changes.items()):
        share = math.ceil((count - len(plants)) / (len(changes) - place))
        for text in order:
            if share == 0:
                break
            changed = None if text in plants else change(text, random)
            if changed and changed != text:
                said = reworded(changed, random, words) if random.random() < 0.5 else changed
                plants[text] = Plant(kind, text, said, said != changed)
                share -= 1
    return list(plants.values())


def _number(text: str, random: Random) -> str | None:
    found = list(_NUMBER.finditer(text))
    if not found:
        return None
    one = random.choice(found)
    value = float(one[0])
    other = random.choice([value * 2 + 1, value + 1, value * 10 + 5, max(value - 1, 0) + 3])
    told = str(int(other)) if "." not in one[0] else f"{other:.1f}"
    return text[: one.start()] + told + text[one.end() :]


def _negated(text: str, random: Random, denial: tuple[str, float]) -> str | None:
    if denied := _DENIED.search(text):
        return text[: denied.start()] + (denied[1] or denied[2]) + text[denied.end() :]
    word = denial[0] if random.random() < denial[1] else "not"
    if found := _AUXILIARY.search(text):
        return f"{text[: found.end()]} {word}{text[found.end() :]}"
    if found := _THIRD_PERSON.search(text):
        base = found[1] + {"ie": "y", "e": "e"}.get(found[2] or "", "")
        return f"{text[: found.start()]}does not {base}{text[found.end() :]}"
    return None


def _swapped(text: str, random: Random, listed: str, *, both_ways: bool = True) -> str | None:
    pairs = [entry.replace("~", "\0").split(" ", 1) for entry in listed.split("|")]
    pairs += [[other, one] for one, other in pairs] if both_ways else []
    random.shuffle(pairs)
    for one, other in pairs:
        said = one.replace("\0", " "), other.replace("\0", " ")
        changed, count = re.subn(rf"(?<![\w-]){re.escape(said[0])}(?![\w-])", said[1], text, count=1)
        if count:
            return changed
    return None


def _renamed(text: str, random: Random, names: Sequence[str]) -> str | None:
    found = _NAMED.search(text)
    if not found or len(names) < 2:
        return None
    alike = [name for name in names if name[:2] == "--"] if found[3][:2] == "--" else names
    other = random.choice([name for name in alike if name != found[3]] or list(names))
    return text[: found.start(3)] + other + text[found.end(3) :]


def reworded(text: str, random: Random, words: Vocabulary) -> str:
    entries = [entry.split("~", 1) for entry in words.rewordings.split("|")]
    random.shuffle(entries)
    done = 0
    for one, other in entries:
        changed, count = re.subn(
            rf"(?<!\w){re.escape(one)}(?!\w)" if one[-1] != " " else rf"(?<!\w){re.escape(one)}",
            other,
            text,
            count=1,
        )
        if count and done < 2:
            text, done = changed, done + 1
    shorter = re.sub(r"\s*\([^()]{3,60}\)(?=[\s.,])", "", text, count=1)
    text = shorter if len(shorter.split()) >= MIN_WORDS else text
    if done == 0 or random.random() < 0.3:
        opening = random.choice(words.openings)
        text = opening + (text[0].lower() + text[1:] if text[1:2].islower() else text)
    return text
