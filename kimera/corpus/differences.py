"""What two statements share and in what they differ, as numbers: what tells a contradiction from a neighbour.

A corpus is full of statements that are close in their words and speak of different things: list items,
options beside each other, parallel paragraphs. Two that contradict each other say nearly the same and differ
in what cannot both hold: a number, a negation, one of two opposites.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import numpy as np

from kimera.corpus.texts import Corpus

FEATURES = (
    "cosine",
    "shared",  # weight of the words that both hold, over the weight of all
    "shared_weight",  # in words as rare as can be, log(1 + x)
    "same_order",  # share of words that stand in the same order in both
    "number",  # kinds of difference, 0 or 1; see `_differences`
    "negation",
    "opposite",
    "obligation",
    "name",
    "typed",  # any of the first four
    "typed_shared",
    "only",  # they differ in nothing else
    "replaced",  # content words in which both differ beside that, log(1 + n)
    "added",  # content words that only one has, log(1 + n)
    "replaced_weight",  # the rarest of the replaced
    "added_weight",
    "slots",  # stretches in which they differ, log(1 + n)
    "first_differs",
    "where",  # the first difference, 0 at the beginning to 1 at the end
    "length",  # words of the shorter, log(1 + n)
    "same_file",
    "near",  # in one file, within 12 lines
    "row",  # a row of a table is among them
    "lead_in",  # one of them ends with a colon, or begins as an example does
    "version_note",  # one of them says since which version something is so
    "parallel",  # how alike the statements before them are, or those behind them
    "siblings",  # near-copies that either has among the candidates, log(1 + n)
    "recurring",  # other candidates that differ in the same words and are else alike, log(1 + n)
    "told_apart",  # their headings, or the statements before them, differ in the same words
)

WORDNET = Path(__file__).parents[1] / "weights" / "opposites.txt"
NEAR_LINES = 12
NEAR_COPY = 0.8  # cosine
RARE = 0.5  # weight of a word
MIN_TEXTS = 1000  # in a small corpus every word would be rare or none

_WORD = re.compile(r"--?[A-Za-z][\w-]*|[^\W_][\w]*(?:[.,:'’/-]\w+)*|[%<>=]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_NUMBER = re.compile(r"[+-]?\d[\d.,:]*[a-zA-Z%]{0,4}")
_LEAD_IN = re.compile(
    r":$|^(?:for (?:example|instance)|e\.g\.|example|suppose|imagine|say,|given )", re.IGNORECASE
)
_VERSION_NOTE = re.compile(
    r"\b(?:new|added|changed|deprecated|removed|introduced|fixed|renamed)\b.{0,20}\b(?:in|since)\b"
    r"|\bversion \d|\bsince v?\d",
    re.IGNORECASE,
)


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_NUMBER_WORDS = _words("""
one two three four five six seven eight nine ten eleven twelve twenty thirty fifty hundred thousand
million once twice half double single second seconds minute minutes hour hours day days week weeks
month months year years millisecond milliseconds byte bytes kilobyte kilobytes megabyte megabytes
gigabyte gigabytes kb mb gb tb kib mib gib ms percent
""")
_NEGATORS = _words("""
not no never cannot without neither nor none nothing nobody nowhere hardly unable fail fails
""")
_OBLIGATIONS = _words("""
must may might can could should shall will would need needs required optional recommended have has
""")
_OPPOSITES = """
above/below absolute/relative accept/refuse accept/reject add/remove all/none all/some allow/deny
allow/forbid allow/prevent allowed/forbidden always/never any/no ascending/descending
available/unavailable before/after begin/end begin/finish best/worst better/worse
blocking/nonblocking both/neither case-sensitive/case-insensitive cheap/expensive client/server
compress/decompress create/delete create/remove default/custom eager/lazy eagerly/lazily
earlier/later early/late easy/hard enable/disable enabled/disabled encode/decode encrypt/decrypt
equal/different every/no everything/nothing expand/collapse fast/slow faster/slower first/last
frequently/rarely full/empty good/bad greater/less greater/smaller high/low higher/lower
horizontal/vertical immediately/later implicit/explicit import/export include/exclude
increase/decrease increase/reduce inner/outer input/output insert/delete inside/outside
install/uninstall internal/external keep/delete keep/discard keep/drop known/unknown large/small
larger/smaller left/right load/save local/global local/remote lock/unlock long/short longer/shorter
lower/upper lowercase/uppercase mandatory/optional manual/automatic manually/automatically min/max
minimum/maximum more/fewer more/less mount/unmount mutable/immutable often/rarely old/new
older/newer oldest/newest on/off once/repeatedly one/many online/offline only/also open/close
open/closed over/under parent/child pass/fail permit/forbid positive/negative present/absent
present/missing preserve/discard public/private push/pull raise/suppress read/write
recursive/nonrecursive request/response required/optional row/column safe/unsafe same/different
secure/insecure send/receive sensitive/insensitive show/hide signed/unsigned simple/complex
single/multiple sometimes/always sometimes/never source/destination source/target stable/unstable
start/end start/stop static/dynamic stdin/stdout stdout/stderr strict/lenient succeed/fail
success/failure supported/unsupported sync/async synchronous/asynchronous temporary/permanent
top/bottom true/false up/down upgrade/downgrade usually/rarely valid/invalid visible/hidden
width/height with/without yes/no
"""
_PREFIXES = ("un", "in", "dis", "non", "im", "ir", "il", "de", "mis", "non-")
_FUNCTION = _words("""
a an the of to in on at by for from with and or as is are was were be been being it its this that
these those which who whose if when then than so such do does did you your we our they their there
here also just very note please however thus therefore usually e.g i.e etc into onto via per about
each any all some other longer
""")
_ENDINGS = ("ing", "ed", "es", "s", "ly", "d")


@dataclass(frozen=True, slots=True)
class Words:
    """Of a statement: words in lower case, and in the form in which they are compared."""

    plain: tuple[str, ...]
    stems: tuple[str, ...]
    distinct: frozenset[str]  # of the stems
    is_name: tuple[bool, ...]
    lead_in: bool
    version_note: bool


@dataclass
class _Found:
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


def words_of(text: str) -> Words:
    told = _WORD.findall(text)
    plain = tuple(word.lower().replace("’", "'") for word in told)
    names = tuple(
        word[:1] == "-"
        or "_" in word
        or "." in word.strip(".")
        or bool(re.search(r"[a-z][A-Z]|^[A-Z]{2,}", word))
        or (place > 0 and word[:1].isupper())
        for place, word in enumerate(told)
    )
    stems = tuple(map(_stem, plain))
    lead_in, version_note = (bool(pattern.search(text)) for pattern in (_LEAD_IN, _VERSION_NOTE))
    return Words(plain, stems, frozenset(stems), names, lead_in, version_note)


def _stem(word: str) -> str:
    if word[:1] == "-" or not word.isalpha():
        return word
    ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    return (word[: len(word) - len(ending)] if ending else word).rstrip("e")


def _pieces(text: str) -> Iterator[str]:
    """The words that say something, in parts: of "stdout_logfile" both."""
    return (_stem(word) for word in _PIECE.findall(text.lower()) if word not in _FUNCTION)


def is_number(word: str) -> bool:
    return bool(_NUMBER.fullmatch(word)) or word in _NUMBER_WORDS


def are_opposites(one: str, other: str) -> bool:
    """Listed here or by WordNet, in any form, or one is the other behind a prefix that denies it."""
    if frozenset((_stem(one), _stem(other))) in _opposite_stems():
        return True
    short, long = sorted((one, other), key=len)
    return len(short) > 3 and any(long == prefix + short for prefix in _PREFIXES)


def _is_negator(word: str) -> bool:
    return word in _NEGATORS or word.endswith("n't")


@cache
def _opposite_stems() -> frozenset[frozenset[str]]:
    lines = WORDNET.read_text(encoding="utf-8").splitlines()
    listed = [line.split() for line in lines if not line.startswith("#")]
    pairs = [pair.split("/") for pair in _OPPOSITES.split()]
    pairs += [[word, other] for word, *others in listed for other in others]
    return frozenset(frozenset(map(_stem, pair)) for pair in pairs)


class Differences:
    """The features of pairs of a corpus's statements.

    Words are weighted by how few of n statements hold them, log(n / held by) / log(n), with at least
    MIN_TEXTS for n. Where a text stands in several places the first counts.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._words = [words_of(text) for text in corpus.texts]
        held = Counter(stem for words in self._words for stem in words.distinct)
        count = max(len(corpus.texts), MIN_TEXTS)
        self._weights = {stem: math.log(count / texts) / math.log(count) for stem, texts in held.items()}
        self._places = list(map(corpus.first_place, range(len(corpus.places))))
        self._contexts = [
            frozenset(_pieces(" ".join((*context.headings, context.before)))) for context in corpus.contexts
        ]
        self._in_table = [bool(table) for table in corpus.tables]

    def of(self, first: np.ndarray, second: np.ndarray, cosine: np.ndarray) -> np.ndarray:
        """Of pairs of rows, three arrays of length n: float64 of shape (n, features), as `FEATURES`."""
        close = np.concatenate([first[cosine >= NEAR_COPY], second[cosine >= NEAR_COPY]])
        copies = np.bincount(close, minlength=len(self._words))
        siblings = np.log1p(np.maximum(copies[first], copies[second]))
        features = np.empty((len(first), len(FEATURES)))
        ways: list[int | None] = []
        rows = zip(first.tolist(), second.tolist(), cosine.tolist(), siblings.tolist(), strict=True)
        for place, (one, other, alike, copies_of) in enumerate(rows):
            found = _differences(self._words[one], self._words[other])
            features[place] = self._of_pair(one, other, alike, copies_of, found)
            ways.append(self._way(self._words[one], self._words[other], found))
        times = Counter(ways)
        recurring = [0 if way is None else times[way] - 1 for way in ways]
        features[:, FEATURES.index("recurring")] = np.log1p(recurring)
        return features

    def _of_pair(self, first: int, second: int, cosine: float, siblings: float, found: _Found) -> list[float]:
        one, other = self._words[first], self._words[second]
        common, every = one.distinct & other.distinct, one.distinct | other.distinct
        weight = sum(map(self._weight, common))
        shared = weight / (sum(map(self._weight, every)) or 1.0)
        typed = found.number or found.negation or found.opposite or found.obligation
        (file, line), (other_file, other_line) = self._places[first], self._places[second]
        same_file = file == other_file
        return [
            cosine,
            shared,
            math.log1p(weight),
            found.same / max(len(one.stems), len(other.stems), 1),
            found.number,
            found.negation,
            found.opposite,
            found.obligation,
            found.name,
            typed,
            typed * shared,
            typed and not (found.replaced or found.added),
            math.log1p(len(found.replaced)),
            math.log1p(len(found.added)),
            max(map(self._weight, found.replaced), default=0.0),
            max(map(self._weight, found.added), default=0.0),
            math.log1p(found.slots),
            one.stems[:1] != other.stems[:1],
            found.where,
            math.log1p(min(len(one.stems), len(other.stems))),
            same_file,
            same_file and abs(line - other_line) <= NEAR_LINES,
            self._in_table[first] or self._in_table[second],
            one.lead_in or other.lead_in,
            one.version_note or other.version_note,
            max(self._alike(first - 1, second - 1), self._alike(first + 1, second + 1)),
            siblings,
            0.0,  # recurring, which the other pairs tell
            self._told_apart(first, second, found),
        ]

    def _way(self, one: Words, other: Words, found: _Found) -> int | None:
        """A hash of how two differ: in which words, beside which common ones; in a number alone, beside all.

        So prices of input and of output differ in one way in every row of a table, whatever has that price.
        None where only one of them says more than the other.
        """
        same = one.distinct & other.distinct
        if found.number and not (found.replaced or found.added):
            return hash(same)
        only = one.distinct - other.distinct, other.distinct - one.distinct
        words = [side - {word for word in side if is_number(word)} for side in only]
        if not all(words):
            return None
        return hash((frozenset(words), frozenset(stem for stem in same if self._weight(stem) < RARE)))

    def _told_apart(self, first: int, second: int, found: _Found) -> bool:
        one, other = self._contexts[first], self._contexts[second]
        left, right = (set(_pieces(" ".join(words))) for words in found.only_in)
        return not left.isdisjoint(one - other) and not right.isdisjoint(other - one)

    def _weight(self, stem: str) -> float:
        return 0.0 if stem in _FUNCTION or _is_negator(stem) else self._weights.get(stem, 1.0)

    def _alike(self, first: int, second: int) -> float:
        """Words that both hold over all, of two rows beside others; 0 where there is none."""
        if not (0 <= first < len(self._words) and 0 <= second < len(self._words)) or abs(first - second) < 2:
            return 0.0
        one, other = self._words[first].distinct, self._words[second].distinct
        return len(one & other) / max(len(one | other), 1)


def _differences(one: Words, other: Words) -> _Found:
    """Word by word, where they are aligned.

    number: both have another one in the same place. negation: one denies more often than the other.
    opposite, obligation: one of two opposites, or of must, may and the like, in the place of the other.
    name: another name, flag or piece of code in the same place.
    """
    found = _Found()
    matcher = SequenceMatcher(None, one.stems, other.stems, autojunk=False)
    denied = sum(map(_is_negator, one.plain)) - sum(map(_is_negator, other.plain))
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
            found.only_in[0].extend(one.plain[at] for at in left)
            found.only_in[1].extend(other.plain[at] for at in right)
        _one_slot(found, one, other, left, right)
    return found


def _one_slot(found: _Found, one: Words, other: Words, left: list[int], right: list[int]) -> None:
    """left, right: places of the words of one stretch that the other statement holds nowhere."""
    numbers = (
        [at for at in left if is_number(one.plain[at])],
        [at for at in right if is_number(other.plain[at])],
    )
    if all(numbers):
        found.number = True
        left = [at for at in left if at not in numbers[0]]
        right = [at for at in right if at not in numbers[1]]
    for at in left:
        match = next((place for place in right if are_opposites(one.plain[at], other.plain[place])), None)
        if match is not None:
            found.opposite = True
            left = [place for place in left if place != at]
            right = [place for place in right if place != match]
    duties = (
        [at for at in left if one.plain[at] in _OBLIGATIONS],
        [at for at in right if other.plain[at] in _OBLIGATIONS],
    )
    found.obligation |= all(map(bool, duties))
    rest = (
        [at for at in left if at not in duties[0] and _counts(one.plain[at])],
        [at for at in right if at not in duties[1] and _counts(other.plain[at])],
    )
    if all(rest):
        found.name |= any(one.is_name[at] for at in rest[0]) and any(other.is_name[at] for at in rest[1])
        found.replaced += [one.stems[at] for at in rest[0]] + [other.stems[at] for at in rest[1]]
    else:
        found.added += [one.stems[at] for at in rest[0]] + [other.stems[at] for at in rest[1]]


def _counts(word: str) -> bool:
    return word not in _FUNCTION and not _is_negator(word)
