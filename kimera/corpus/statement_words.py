"""The words of a statement, and of what kind each is: a number, a denial, one of two opposites, a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, Self

WORDNET = Path(__file__).parents[1] / "weights" / "opposites.txt"
KEPT_WORDS = 2**17  # whose stems are not worked out again

_WORD = re.compile(r"--?[A-Za-z][\w-]*|[^\W_][\w]*(?:[.,:'’/-]\w+)*|[%<>=]+")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_NUMBER = re.compile(r"[+-]?\d[\d.,:]*[a-zA-Z%]{0,4}")
_EXAMPLE = re.compile(r"for (?:example|instance)|e\.g\.|example|suppose|imagine|say,|given ", re.IGNORECASE)
_VERSION_NOTE = re.compile(  # of a text in lower case
    r"\b(?:new|added|changed|deprecated|removed|introduced|fixed|renamed)\b.{0,20}\b(?:in|since)\b"
    r"|\bversion \d|\bsince v?\d"
)


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


_NUMBER_WORDS = _listed("""
one two three four five six seven eight nine ten eleven twelve twenty thirty fifty hundred thousand
million once twice half double single second seconds minute minutes hour hours day days week weeks
month months year years millisecond milliseconds byte bytes kilobyte kilobytes megabyte megabytes
gigabyte gigabytes kb mb gb tb kib mib gib ms percent
""")
NEGATORS = _listed("""
not no never cannot without neither nor none nothing nobody nowhere hardly unable fail fails
""")
OBLIGATIONS = _listed("""
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
_PREFIXES = frozenset(("un", "in", "dis", "non", "im", "ir", "il", "de", "mis", "non-"))
FUNCTION = _listed("""
a an the of to in on at by for from with and or as is are was were be been being it its this that
these those which who whose if when then than so such do does did you your we our they their there
here also just very note please however thus therefore usually e.g i.e etc into onto via per about
each any all some other longer
""")
MIN_DENIED = 3  # characters: a shorter word behind a prefix is another word
_ENDINGS = ("ing", "ed", "es", "s", "ly", "d")


class Form(NamedTuple):
    """Of a word: in lower case; its stem, by which words are compared; whether it is a name by its form.

    is_capital: whether it is a name where it is not the first word of a statement. says_something: whether
    it does by itself; a denial does not.
    """

    plain: str
    stem: str
    is_name: bool
    is_capital: bool
    is_number: bool
    is_negator: bool
    is_obligation: bool
    says_something: bool


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a statement, and their stems."""

    forms: Sequence[Form]
    stems: Sequence[str]
    distinct: frozenset[str]  # of the stems

    @classmethod
    def of(cls, forms: Sequence[Form]) -> Self:
        stems = [form.stem for form in forms]
        return cls(forms, stems, frozenset(stems))

    def is_name(self, place: int) -> bool:
        form = self.forms[place]
        return form.is_name or (place > 0 and form.is_capital)


def words_in(text: str) -> list[str]:
    """As they stand there."""
    return _WORD.findall(text)


def form_of(word: str) -> Form:
    plain = word.lower().replace("’", "'")
    is_name = (
        word[:1] == "-"
        or "_" in word
        or "." in word.strip(".")
        or bool(re.search(r"[a-z][A-Z]|^[A-Z]{2,}", word))
    )
    return Form(
        plain,
        stem_of(plain),
        is_name,
        word[:1].isupper(),
        is_number(plain),
        is_negator(plain),
        plain in OBLIGATIONS,
        says_something(plain),
    )


def leads_in(text: str) -> bool:
    """Whether it ends with a colon, or begins as an example does."""
    return text.endswith(":") or bool(_EXAMPLE.match(text))


def tells_version(text: str) -> bool:
    """Whether it says since which version something is so."""
    return bool(_VERSION_NOTE.search(text.lower()))


@lru_cache(KEPT_WORDS)
def stem_of(word: str) -> str:
    if word[:1] == "-" or not word.isalpha():
        return word
    ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 3), "")
    return (word[: len(word) - len(ending)] if ending else word).rstrip("e")


def pieces_of(text: str) -> Iterator[str]:
    """The words that say something, in parts: of "stdout_logfile" both."""
    return (stem_of(word) for word in _PIECE.findall(text.lower()) if word not in FUNCTION)


def is_number(word: str) -> bool:
    return bool(_NUMBER.fullmatch(word)) or word in _NUMBER_WORDS


def is_negator(word: str) -> bool:
    return word in NEGATORS or word.endswith("n't")


def says_something(word: str) -> bool:
    return word not in FUNCTION and not is_negator(word)


def are_opposites(one: Form, other: Form) -> bool:
    """Listed here or by WordNet, in any form, or one is the other behind a prefix that denies it."""
    if {one.stem, other.stem} in _opposite_stems():
        return True
    short, long = sorted((one.plain, other.plain), key=len)
    return len(short) > MIN_DENIED and long.removesuffix(short) in _PREFIXES


def opposites_among(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The pairs of stems, in both orders, of all that `are_opposites` among these words."""
    plain = set(words)
    stems = set(map(stem_of, plain))
    for pair in _opposite_stems():
        if pair <= stems:
            one, other = min(pair), max(pair)
            yield one, other
            yield other, one
    for word in plain:
        for prefix in _PREFIXES:
            denied = word.removeprefix(prefix)
            if denied != word and len(denied) > MIN_DENIED and denied in plain:
                yield stem_of(word), stem_of(denied)
                yield stem_of(denied), stem_of(word)


@cache
def _opposite_stems() -> frozenset[frozenset[str]]:
    lines = WORDNET.read_text(encoding="utf-8").splitlines()
    listed = [line.split() for line in lines if not line.startswith("#")]
    pairs = [pair.split("/") for pair in _OPPOSITES.split()]
    pairs += [[word, other] for word, *others in listed for other in others]
    return frozenset(frozenset(map(stem_of, pair)) for pair in pairs)
