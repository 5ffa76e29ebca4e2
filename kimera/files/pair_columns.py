"""Which column of a table is what of a pair: names that are known, and names that the user states.

Names are compared without case, blanks, underscores, hyphens and other marks. Where two columns could be the
same part of a pair, none is taken: the user is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kimera.files.rows import Row, Wanted, shorten

STANDARD = (("text1", "text2"), ("premise", "hypothesis"), ("sentence1", "sentence2"), ("evidence", "claim"))
"""Names of two texts that go before all others."""
NUMBERED = (
    *("text", "sentence", "statement", "claim", "premise", "hypothesis", "question", "fact", "passage"),
    *("document", "doc", "paragraph", "assertion", "proposition", "utterance", "message", "memory", "note"),
    *(
        "phrase",
        "string",
        "str",
        "sent",
        "snippet",
        "content",
        "input",
        "sequence",
        "seq",
        "answer",
        "response",
    ),
    *("s", "t"),
)
"""Stems of names such as statement1 and statement_b."""
GIVEN = (
    *(
        "premise",
        "text",
        "evidence",
        "context",
        "contexts",
        "retrieved_contexts",
        "passage",
        "passages",
        "document",
    ),
    *("source_text", "source", "reference", "ground_truth", "article", "knowledge", "background"),
)
"""Names of what is given: text1."""
SAID = (
    *("hypothesis", "claim", "answer", "response", "summary", "statement", "query", "output", "generation"),
    *("generated_text", "generated_answer", "prediction"),
)
"""Names of what is said of it: text2."""
OF_CONTRADICTION = ("is_contradiction", "contradiction", "contradicts", "contradictory", "is_contradictory")
"""Names of label columns in which yes, true and 1 mean a contradiction, whatever the texts are."""
LABELS = (
    *("label", "gold_label", "gold", "labels", "annotation", "annotator_label", "annotated_label"),
    *("human_label", "true_label", "nli_label", "entailment_label", "entailment_judgment", "class_label"),
    *("final_label", "majority_label", "expected_label", "reference_label", "ground_truth_label", "class"),
    *("expected", "verdict", "judgement", "judgment", "relation", "relationship"),
    *OF_CONTRADICTION,
)
IDS = ("id", "pair_id", "uid", "row_id", "item_id", "example_id", "guid", "uuid")
CATEGORIES = ("category", "genre", "topic", "grade", "domain")
NO_LABEL = "none"
"""What --label takes where no column is one."""

_PAIRS_OF_ENDS = (("1", "2"), ("a", "b"), ("one", "two"), ("left", "right"), ("first", "second"))
_MAX_SHOWN = 20
_MARKS = re.compile(r"[\W_]+")
_MEANINGS = re.compile(r"(-?\d+)\s*[=:]\s*([^\W\d](?:[\w -]*\w)?)")
_MEANINGS_AFTER = re.compile(r"([^\W\d](?:[\w -]*[^\W\d])?)\s*[=:]\s*(-?\d+)(?![\d\s]*[=:])")
# Names that say of yes and 1 that there is no contradiction, or leave it open; of a header with integers too.
_OF_AGREEMENT = re.compile(
    r"(?<!in)consisten|(?<!in)compatib|(?<!dis)agree|(?<!in)correct|(?<!in)valid|(?<!un)faithful|(?<!un)grounded"
    r"|entail|support|neutral|holds|accura|factual|truth|^(?:is)?true|(?:no|not|non|free)contra|contra\w*free"
)
_SPEAKS_OF_INTEGERS = re.compile(r"(?=.*\d).*(?:entail|neutral|contra)", re.IGNORECASE | re.DOTALL)
# What pandas calls an index that was written along with its columns.
_INDEX = re.compile(r"|unnamed:? ?\d+(?:_level_\d+)?|__index_level_\d+__|index|level_\d+", re.IGNORECASE)
SAMPLE_WEIGHT = "sample_weight"  # of what kimera distil writes and kimera train reads; scikit-learn's name
# Columns that Kimera's own commands write beside a pair.
_OWN = frozenset({"places1", "places2", "screen_score", "cosine", "about", "simulated_contradiction"})


@dataclass(frozen=True, slots=True)
class Roles:
    """The columns that the user names; None where the known names say it. A path leads into nested fields."""

    text1: str | None = None
    text2: str | None = None
    label: str | None = None
    id: str | None = None
    category: str | None = None
    label_weights: str | None = None
    sample_weight: str | None = None  # which not every table needs to have

    @property
    def stated(self) -> dict[str, str]:
        parts = {slot: getattr(self, slot) for slot in self.__slots__}
        return {part: name for part, name in parts.items() if name}


@dataclass(frozen=True, slots=True)
class Cell:
    """Where in a row a value stands: a column, and in it perhaps keys and numbers that lead to the value."""

    index: int
    name: str
    path: tuple[str, ...] = ()

    def of(self, row: Row) -> object:
        value = row.values[self.index]
        for key in self.path:
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, Sequence) and not isinstance(value, str) and key.isdecimal():
                value = value[int(key)] if int(key) < len(value) else None
            else:
                return None
        return value


@dataclass(frozen=True, slots=True)
class Columns:
    """Where in a row each part of a pair stands; None where the table has no such column.

    unclear_truth: true and false may say that the second text holds. of_contradiction: the name of the label
    column says that they do not. meanings: of integers, as the header states them.
    """

    text1: Cell
    text2: Cell
    label: Cell | None
    id: Cell | None
    category: Cell | None
    label_weights: Cell | None
    sample_weight: Cell | None
    unclear_truth: bool
    of_contradiction: bool
    meanings: Mapping[str, str]

    @property
    def used(self) -> set[int]:
        cells = (self.text1, self.text2, self.label, self.id, self.category)
        return {cell.index for cell in (*cells, self.label_weights, self.sample_weight) if cell}


class ColumnFault(Exception):  # noqa: N818 (a value on its way to the message of a UserError)
    """Columns of which no pair can be made; the message says why, and which flag helps."""


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A name as it is compared: what stands in brackets is left out, and so are marks and case."""
    bare = re.split(r"[(\[{]", name, maxsplit=1)[0]
    return _MARKS.sub("", bare.casefold())


def _last(name: str) -> tuple[str, str]:
    """(the path to the object that holds a field, the field's own name as it is compared)."""
    parent, dot, last = name.rpartition(".")
    return (parent, plain(last)) if dot and plain(last) else ("", plain(name))


def _ends(stem: str) -> list[tuple[str, str]]:
    after = [(f"{stem}{one}", f"{stem}{two}") for one, two in _PAIRS_OF_ENDS]
    return after + [(f"{one}{stem}", f"{two}{stem}") for one, two in _PAIRS_OF_ENDS[3:]]


_PLAIN_STANDARD = tuple((plain(one), plain(two)) for one, two in STANDARD)
_PLAIN_NUMBERED = tuple(pair for stem in NUMBERED for pair in _ends(plain(stem)))
_PLAIN_GIVEN, _PLAIN_SAID = (tuple(map(plain, names)) for names in (GIVEN, SAID))
_PLAIN_LABELS, _PLAIN_CONTRADICTION = (tuple(map(plain, names)) for names in (LABELS, OF_CONTRADICTION))
_PLAIN_IDS, _PLAIN_CATEGORIES = (tuple(map(plain, names)) for names in (IDS, CATEGORIES))
_KNOWN = frozenset(
    {
        *(name for pair in (*_PLAIN_STANDARD, *_PLAIN_NUMBERED) for name in pair),
        *(*_PLAIN_GIVEN, *_PLAIN_SAID, *_PLAIN_LABELS, *_PLAIN_IDS, *_PLAIN_CATEGORIES),
    }
)


def known_names() -> str:
    """All names that are known, for people: docs/files.md and --help show this text."""

    def pairs(names: Sequence[tuple[str, str]]) -> str:
        return ", ".join("/".join(pair) for pair in names)

    return (
        f"two texts: {pairs(STANDARD)}; or one of {', '.join(NUMBERED)} with the ends 1 and 2, a and b, left "
        f"and right, first and second (statement1/statement2); or, as text1, one of {', '.join(GIVEN)} and, "
        f"as text2, one of {', '.join(SAID)}. label: {', '.join(LABELS)}. id: {', '.join(IDS)}. category: "
        f"{', '.join(CATEGORIES)}"
    )


def is_wanted(roles: Roles) -> Wanted:
    """Whether a column may be a part of a pair, by its name."""
    stated = [*map(plain, roles.stated.values())]
    roots = {plain(name.split(".")[0]) for name in roles.stated.values()}

    def wanted(name: str) -> bool:
        bare = plain(name)
        return bare in _KNOWN or bare in stated or bare in roots or _last(name)[1] in _KNOWN

    return wanted


def find_columns(names: Sequence[str], roles: Roles) -> Columns:
    """Raises ColumnFault unless the names hold exactly one pair of texts and at most one label."""
    stated = {
        part: stated_column(names, f"--{part.replace('_', '-')}", name)
        for part, name in roles.stated.items()
        if name in names or not (part == "sample_weight" or (part == "label" and name == NO_LABEL))
    }
    finder = _Finder(names, {cell.index for cell in stated.values() if not cell.path})
    text1, text2, parent = finder.texts(stated)
    label = stated.get("label") or (finder.label(parent) if not roles.label else None)
    names_label = _last(label.name)[1] if label else ""
    plain1, plain2 = (_last(cell.name)[1] for cell in (text1, text2))
    return Columns(
        text1,
        text2,
        label,
        stated.get("id") or finder.first(_PLAIN_IDS, parent),
        stated.get("category") or finder.first(_PLAIN_CATEGORIES, parent),
        stated.get("label_weights"),
        stated.get("sample_weight"),
        unclear_truth=(
            (plain2 in _PLAIN_SAID or plain1 in _PLAIN_GIVEN) and (plain1, plain2) != _PLAIN_STANDARD[1]
        )
        or (label is not None and _says_otherwise(label.name)),
        of_contradiction=names_label in _PLAIN_CONTRADICTION,
        meanings=_meanings(label.name) if label and not label.path else {},
    )


def _meanings(name: str) -> dict[str, str]:
    """What the integers of a label column mean, where its name says so: 0=entailment, or entailment=0."""
    after = {number: word for word, number in _MEANINGS_AFTER.findall(name)}
    return dict(_MEANINGS.findall(name)) or after


def _says_otherwise(name: str) -> bool:
    """Whether a label column's name lets yes, true and 1 mean something else than a contradiction."""
    if not _meanings(name) and _SPEAKS_OF_INTEGERS.match(name):
        return True
    bare = plain(name)
    return bool(_OF_AGREEMENT.search(bare)) and (bare not in _PLAIN_LABELS or "entail" in bare)


def unused(names: Sequence[str], columns: Columns) -> list[str]:
    """Columns that no part of a pair comes from."""
    return unused_names(names, columns.used)


def unused_names(names: Sequence[str], used: set[int]) -> list[str]:
    """All but those used, pandas' index and what Kimera itself adds."""
    return [
        name
        for index, name in enumerate(names)
        if index not in used and not _INDEX.fullmatch(name.strip()) and name.partition(".")[0] not in _OWN
    ]


def shown(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _MAX_SHOWN else ""
    return ", ".join(shorten(name) for name in names[:_MAX_SHOWN]) + more


def stated_column(names: Sequence[str], flag: str, wanted: str) -> Cell:
    """The column of this name: as it is written, else as names are compared, else by a path into a column.

    flag: which names it, for messages. Raises ColumnFault.
    """
    exact = [index for index, name in enumerate(names) if name == wanted]
    alike = exact or [index for index, name in enumerate(names) if plain(name) == plain(wanted)]
    if len(alike) == 1:
        return Cell(alike[0], names[alike[0]])
    if len(exact) > 1:
        raise ColumnFault(f"{flag} {wanted}: {len(exact)} columns have that name; rename all but one of them")
    if alike:
        raise ColumnFault(
            f"{flag} {wanted}: the columns {shown([names[index] for index in alike])} are all of that "
            "name; write it as it stands in the file"
        )
    root, *path = wanted.split(".")
    for size in range(len(path), -1, -1):
        start = ".".join([root, *path[:size]])
        if path[size:] and start in names:
            return Cell(names.index(start), wanted, tuple(path[size:]))
    raise ColumnFault(f"{flag} {wanted}: there is no such column; the columns are {shown(names)}")


class _Finder:
    """Columns by the names that are known, in a table of which some columns are taken already."""

    def __init__(self, names: Sequence[str], taken: set[int]) -> None:
        self._names = names
        # Of a path all but the last part, and the last part as it is compared.
        self._where = [_last(name) if index not in taken else ("", "") for index, name in enumerate(names)]

    def _at(self, parent: str, bare: str) -> list[int]:
        return [index for index, where in enumerate(self._where) if where == (parent, bare)]

    def texts(self, stated: Mapping[str, Cell]) -> tuple[Cell, Cell, str]:
        """Both texts, and the path to the object that holds them."""
        if "text1" in stated and "text2" in stated:
            if stated["text1"] == stated["text2"]:
                name = stated["text1"].name
                raise ColumnFault(
                    f"--text1 and --text2 both name the column {shorten(name)}; name two columns"
                )
            return stated["text1"], stated["text2"], _last(stated["text1"].name)[0]
        if stated.keys() & {"text1", "text2"}:
            return self._other_text(stated)
        parents = sorted(
            {parent for parent, bare in self._where if bare}, key=lambda each: (bool(each), each)
        )
        pairs: list[tuple[int, int, str]] = []
        for parent in parents:
            pairs = pairs + [(one, two, parent) for one, two in self._pairs(parent)]
            if pairs and not parent:
                break  # what lies deeper counts only where the row itself has no texts
        if len(pairs) == 1:
            one, two, parent = pairs[0]
            return Cell(one, self._names[one]), Cell(two, self._names[two]), parent
        raise ColumnFault(self._texts_unclear([(one, two) for one, two, _ in pairs]))

    def _pairs(self, parent: str) -> list[tuple[int, int]]:
        for tier in (_PLAIN_STANDARD, _PLAIN_NUMBERED):
            pairs = [
                (one, two)
                for names in tier
                for one in self._at(parent, names[0])
                for two in self._at(parent, names[1])
            ]
            if pairs:
                return pairs
        premises, said = (
            [at for name in names for at in self._at(parent, name)] for names in (_PLAIN_GIVEN, _PLAIN_SAID)
        )
        return [(one, two) for one in premises for two in said]

    def _texts_unclear(self, pairs: Sequence[tuple[int, int]]) -> str:
        expected = ", ".join("/".join(pair) for pair in STANDARD)
        could = ""
        if pairs:
            both = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
            could = "".join(
                f"; {' and '.join(shorten(self._names[at]) for at in side)} could each be text{number}"
                for number, side in enumerate(both, 1)
                if len(side) > 1
            )
        return (
            f"the columns are {shown(self._names)}; expected exactly one of the pairs {expected}, or others "
            f"that --help lists{could}; say which columns hold the two texts with --text1 NAME --text2 NAME"
        )

    def _other_text(self, stated: Mapping[str, Cell]) -> tuple[Cell, Cell, str]:
        """The partner of the one text that is stated."""
        side = "text1" if "text1" in stated else "text2"
        cell = stated[side]
        other = 1 if side == "text1" else 0
        parent, bare = _last(cell.name)
        partners = [
            at
            for pair in dict.fromkeys((*_PLAIN_STANDARD, *_PLAIN_NUMBERED))
            if pair[1 - other] == bare
            for at in self._at(parent, pair[other])
        ] or [at for name in (_PLAIN_GIVEN, _PLAIN_SAID)[other] for at in self._at(parent, name)]
        if len(partners) != 1:
            missing = f"text{other + 1}"
            candidates = (
                f" ({shown([self._names[at] for at in partners])} could each be it)" if partners else ""
            )
            raise ColumnFault(
                f"the columns are {shown(self._names)}; --{side} names one text, and it is not clear which "
                f"is the other{candidates}; name it with --{missing} NAME"
            )
        partner = Cell(partners[0], self._names[partners[0]])
        return (cell, partner, parent) if side == "text1" else (partner, cell, parent)

    def label(self, parent: str) -> Cell | None:
        """The one label column, beside the texts or else around them."""
        bare = {name for _, name in self._where}
        scores = {"entailment", "neutral"} & bare  # then "contradiction" is a score, not a label
        known = [name for name in _PLAIN_LABELS if not (scores and name in _PLAIN_CONTRADICTION)]
        for place in dict.fromkeys((parent, "")):
            columns = [at for name in known for at in self._at(place, name)]
            if len(columns) > 1:
                names = [self._names[at] for at in columns]
                raise ColumnFault(
                    f"the columns are {shown(self._names)}; expected one label column, and "
                    f"{' and '.join(map(shorten, names))} could each be it: say which with --label NAME"
                )
            if columns:
                return Cell(columns[0], self._names[columns[0]])
        return None

    def first(self, known: Sequence[str], parent: str) -> Cell | None:
        for place in dict.fromkeys((parent, "")):
            for name in known:
                if columns := self._at(place, name):
                    return Cell(columns[0], self._names[columns[0]])
        return None
