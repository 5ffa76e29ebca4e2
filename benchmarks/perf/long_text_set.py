"""Claims over documents of 10 to 40 sentences, made at run time from labelled pairs and from documentation.

A document is premises of one set of pairs, joined, or a stretch of a text file as it stands. Each has a claim
of each kind: a sentence copied from it, one that a sentence of it entails, one that a sentence of it
contradicts, one about something else. There are two halves of one make, which share no premise and no
stretch. Nothing of those texts is kept in this project.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from kimera.models.long_texts import is_fragment
from kimera.models.passages import sentences
from kimera.training.new_pairs import negated

Kind = Literal["verbatim", "supported", "contradicted", "unrelated"]
KINDS: tuple[Kind, ...] = ("verbatim", "supported", "contradicted", "unrelated")
SIZES = (10, 20, 30, 40)
DOCUMENTATION = ("*.md", "*.rst", "*.txt", "README*", "*.html.md")
SPARE = 1000  # rows of each set in a half, for claims about something else and for documentation
MAX_BYTES = 200_000
MAX_CHARACTERS = 400  # of a sentence; longer ones are tables and code

# Of what it may be, or is on a condition, the negation can be true as well.
_HEDGED = re.compile(r"\b(if|unless|when|where|whether|may|might|could|would)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LongPair:
    """sentences: how many the document was made of. is_by_rule: whether the claim is one of them, negated."""

    source: str
    kind: Kind
    sentences: int
    evidence: str
    claim: str
    is_by_rule: bool = False


@dataclass(frozen=True, slots=True)
class _Labelled:
    premise: str
    hypothesis: str
    label: str


def long_pairs(
    files: Sequence[Path], folders: Sequence[Path], each: int, seed: int = 0
) -> tuple[list[LongPair], list[LongPair]]:
    """(the half to fit on, the half held out), which have every size and every way to make a claim.

    each: how many documents of each file of labelled pairs in both; of documentation as many as of all.
    """
    draw = random.Random(seed)  # noqa: S311  # a sample, no secret
    sets: dict[str, list[_Labelled]] = {}
    for path in files:
        rows = [row for row in _labelled(path) if _is_prose(row.premise) and not is_fragment(row.premise)]
        draw.shuffle(rows)
        sets[path.name.split(".jsonl")[0]] = rows
    stretches = _documentation(folders, each // 2 * 2 * len(files), draw)
    halves = [
        _half(
            {source: [row for row in rows if half_of(row.premise) == half] for source, rows in sets.items()},
            [stretch for number, stretch in enumerate(stretches) if number // len(SIZES) % 2 == half],
            each // 2,
            draw,
        )
        for half in (0, 1)
    ]
    return halves[0], halves[1]


def half_of(premise: str) -> int:
    """0 or 1, by a hash: all that is made with a premise is in one half."""
    return blake2b(premise.encode("utf-8", "surrogatepass"), digest_size=1).digest()[0] % 2


def _half(
    sets: dict[str, list[_Labelled]], stretches: list[list[str]], each: int, draw: random.Random
) -> list[LongPair]:
    """Of rows and stretches that no other half has. each: how many documents of each set."""
    spare = {source: rows[-SPARE:] for source, rows in sets.items()}
    before = dict(zip(sets, [*list(sets)[-1:], *sets], strict=False))
    made: list[LongPair] = []
    for source, rows in sets.items():
        others = [row.hypothesis for row in spare[before[source]]]
        made += _joined(source, rows[:-SPARE], others, each, draw)
    rows = [row for rows in spare.values() for row in rows]
    draw.shuffle(rows)
    return [*made, *_documented(stretches, rows, draw)]


def _labelled(path: Path) -> Iterator[_Labelled]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield _Labelled(row["premise"].strip(), row["hypothesis"].strip(), row["label"])


def _joined(
    source: str, rows: list[_Labelled], others: list[str], each: int, draw: random.Random
) -> Iterator[LongPair]:
    """Premises of one set as documents; no premise is in two of them.

    Unrelated claims are another set's: joined captions speak of what other captions claim.
    """
    of_label: dict[str, list[_Labelled]] = {}
    fillers: dict[str, None] = {}
    for row in rows:
        of_label.setdefault(row.label, []).append(row)
        fillers.setdefault(row.premise)
    rest = iter(fillers)
    used: set[str] = set()
    for number in range(each):
        size = SIZES[number % len(SIZES)]
        entailed, contradicted = (
            _next_unused(of_label[label], used) for label in ("entailment", "contradiction")
        )
        filling: list[str] = []
        while len(filling) < size - 2:
            if (premise := next(rest)) not in used:
                filling.append(premise)
                used.add(premise)
        document = [_ended(text) for text in [entailed.premise, contradicted.premise, *filling]]
        draw.shuffle(document)
        evidence = " ".join(document)
        claims: dict[Kind, str] = {
            "verbatim": _ended(draw.choice(filling)),
            "supported": entailed.hypothesis,
            "contradicted": contradicted.hypothesis,
            "unrelated": others[number],
        }
        for kind in KINDS:
            yield LongPair(source, kind, size, evidence, claims[kind])


def _is_prose(premise: str) -> bool:
    """Whether its end is found again once it is joined with others: it starts and ends as sentences do."""
    return premise[:1].isupper() and premise.endswith((".", "!", "?"))


def _next_unused(rows: list[_Labelled], used: set[str]) -> _Labelled:
    while (row := rows.pop()).premise in used:
        pass
    used.add(row.premise)
    return row


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?", '"')) else text + "."


def _documentation(folders: Sequence[Path], count: int, draw: random.Random) -> list[list[str]]:
    """The sentences of stretches of text files, one a file; each of 10 to 40 sentences with fragments."""
    paths = sorted({path for folder in folders for glob in DOCUMENTATION for path in folder.rglob(glob)})
    draw.shuffle(paths)
    stretches: list[list[str]] = []
    seen: set[str] = set()
    for path in paths:
        if len(stretches) == count:
            break
        stretch = _stretch(path, SIZES[len(stretches) % len(SIZES)])
        statements = {sentence for sentence in stretch if not is_fragment(sentence)}
        if len(statements) * 2 > len(stretch) and not statements & seen:
            seen |= statements
            stretches.append(stretch)
    return stretches


def _stretch(path: Path, size: int) -> list[str]:
    """So many sentences from the middle of a file; none where it has fewer or is no prose."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return []
    lines = [" ".join(part.split()) for part in sentences(text)]
    kept = [line for line in lines if len(line) <= MAX_CHARACTERS]
    start = (len(kept) - size) // 2
    return kept[start : start + size] if start >= 0 and size >= SIZES[0] else []


def _documented(stretches: list[list[str]], rows: list[_Labelled], draw: random.Random) -> Iterator[LongPair]:
    """Documentation with two premises put in.

    Contradicted is one of these, or a sentence of its own; unrelated is a sentence of the next stretch, or
    another set's claim: each way with every size.
    """
    entailed = [row for row in rows if row.label == "entailment"]
    contradicted = [row for row in rows if row.label == "contradiction"]
    for number, stretch in enumerate(stretches):
        is_denied, is_of_next = (number // len(SIZES) // turn % 2 == 1 for turn in (1, 2))
        yes, no, other = entailed.pop(), contradicted.pop(), entailed.pop()
        own, of_next = (
            [sentence for sentence in part if not is_fragment(sentence)]
            for part in (stretch, stretches[(number + 1) % len(stretches)])
        )
        denials = [denial for sentence in own if (denial := _denial(sentence)) is not None]
        document = list(stretch)
        for row in (yes, no):
            document.insert(draw.randrange(len(document) + 1), _ended(row.premise))
        evidence, by_rule = "\n\n".join(document), is_denied and bool(denials)
        claims: dict[Kind, str] = {
            "verbatim": draw.choice(own),
            "supported": yes.hypothesis,
            "contradicted": draw.choice(denials) if by_rule else no.hypothesis,
            "unrelated": draw.choice(of_next) if is_of_next else other.hypothesis,
        }
        for kind in KINDS:
            is_by_rule = by_rule and kind == "contradicted"
            yield LongPair("documentation", kind, len(document), evidence, claims[kind], is_by_rule)


def _denial(sentence: str) -> str | None:
    """A sentence that cannot be true with this one, by rule; None where no rule is sure of that."""
    return None if _HEDGED.search(sentence) else negated(sentence)
