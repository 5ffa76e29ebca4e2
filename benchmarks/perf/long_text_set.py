"""Claims over documents of 10 to 40 sentences, made at run time from labelled pairs and from documentation.

A document is premises of one set of pairs, joined, or a stretch of a text file as it stands. Each has a claim
of each kind: a sentence copied from it, one that a sentence of it entails, one that a sentence of it
contradicts, one about something else. Nothing of those texts is kept in this project.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kimera.models.long_texts import is_fragment
from kimera.models.passages import sentences

Kind = Literal["verbatim", "supported", "contradicted", "unrelated"]
KINDS: tuple[Kind, ...] = ("verbatim", "supported", "contradicted", "unrelated")
SIZES = (10, 20, 30, 40)
DOCUMENTATION = ("*.md", "*.rst", "*.txt", "README*", "*.html.md")
SPARE = 2000  # rows of each set, for claims about something else and for documentation
MAX_BYTES = 200_000
MAX_CHARACTERS = 400  # of a sentence; longer ones are tables and code

_STATES = re.compile(r"\b(is|are|was|were|can|will|must|should|does)\b(?! not\b| be not\b)")


@dataclass(frozen=True, slots=True)
class LongPair:
    """document: its number, by which parts are divided. sentences: how many it was made of."""

    document: int
    source: str
    kind: Kind
    sentences: int
    evidence: str
    claim: str


@dataclass(frozen=True, slots=True)
class _Labelled:
    premise: str
    hypothesis: str
    label: str


def long_pairs(files: Sequence[Path], folders: Sequence[Path], each: int, seed: int = 0) -> list[LongPair]:
    """each: how many documents of each file of labelled pairs; of documentation as many as of all."""
    draw = random.Random(seed)  # noqa: S311  # a sample, no secret
    made: list[LongPair] = []
    sets: list[tuple[str, list[_Labelled], list[_Labelled]]] = []
    for path in files:
        rows = [row for row in _labelled(path) if _is_prose(row.premise) and not is_fragment(row.premise)]
        draw.shuffle(rows)
        sets.append((path.name.split(".jsonl")[0], rows[:-SPARE], rows[-SPARE:]))
    for number, (source, rows, _) in enumerate(sets):
        others = sets[number - 1][2]
        made += _joined(source, rows, [row.hypothesis for row in others], each, len(made), draw)
    everything = [row for _, _, spare in sets for row in spare]
    draw.shuffle(everything)
    texts = _documentation(folders, each * len(files), draw)
    return made + _documented(texts, everything, len({pair.document for pair in made}), draw)


def parts(pairs: Sequence[LongPair]) -> tuple[list[LongPair], list[LongPair]]:
    """For fitting, and held out: by document, half and half."""
    return [p for p in pairs if p.document % 2 == 0], [p for p in pairs if p.document % 2]


def _labelled(path: Path) -> Iterator[_Labelled]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield _Labelled(row["premise"].strip(), row["hypothesis"].strip(), row["label"])


def _joined(
    source: str, rows: list[_Labelled], others: list[str], each: int, before: int, draw: random.Random
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
            yield LongPair(before // len(KINDS) + number, source, kind, size, evidence, claims[kind])


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


def _documentation(folders: Sequence[Path], count: int, draw: random.Random) -> list[tuple[str, list[str]]]:
    """(name, sentences) of stretches of text files, one a file; each of 10 to 40 sentences with fragments."""
    paths = sorted({path for folder in folders for glob in DOCUMENTATION for path in folder.rglob(glob)})
    draw.shuffle(paths)
    found: list[tuple[str, list[str]]] = []
    seen: set[str] = set()
    for path in paths:
        if len(found) == count:
            break
        stretch = _stretch(path, SIZES[len(found) % len(SIZES)])
        statements = {sentence for sentence in stretch if not is_fragment(sentence)}
        if len(statements) * 2 > len(stretch) and not statements & seen:
            seen |= statements
            found.append((path.name, stretch))
    return found


def _stretch(path: Path, size: int) -> list[str]:
    """So many sentences from the middle of a file; none where it has fewer or is no prose."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError):
        return []
    every = [" ".join(part.split()) for part in sentences(text)]
    kept = [part for part in every if len(part) <= MAX_CHARACTERS]
    start = (len(kept) - size) // 2
    return kept[start : start + size] if start >= 0 and size >= SIZES[0] else []


def _documented(
    texts: list[tuple[str, list[str]]], rows: list[_Labelled], first: int, draw: random.Random
) -> list[LongPair]:
    """Documentation with two premises put in; contradicted is one of these, or a sentence of its own."""
    made: list[LongPair] = []
    entailed = [row for row in rows if row.label == "entailment"]
    contradicted = [row for row in rows if row.label == "contradiction"]
    for number, (_, stretch) in enumerate(texts):
        yes, no, other = entailed.pop(), contradicted.pop(), entailed.pop()
        own = [sentence for sentence in stretch if not is_fragment(sentence)]
        negated = [claim for sentence in own if (claim := _negated(sentence)) is not None]
        document = list(stretch)
        for row in (yes, no):
            document.insert(draw.randrange(len(document) + 1), _ended(row.premise))
        by_rule = number % 2 and negated
        claims: dict[Kind, str] = {
            "verbatim": draw.choice(own),
            "supported": yes.hypothesis,
            "contradicted": draw.choice(negated) if by_rule else no.hypothesis,
            "unrelated": draw.choice(_statements_of(texts, number + 1))
            if number % 4 < 2
            else other.hypothesis,
        }
        made += [
            LongPair(
                first + number, "documentation", kind, len(document), "\n\n".join(document), claims[kind]
            )
            for kind in KINDS
        ]
    return made


def _statements_of(texts: list[tuple[str, list[str]]], number: int) -> list[str]:
    return [part for part in texts[number % len(texts)][1] if not is_fragment(part)]


def _negated(sentence: str) -> str | None:
    """A sentence with its first verb negated; None where it has none of a few, or a negation."""
    if re.search(r"\b(not|no|never|none|if)\b|n't", sentence) or not _STATES.search(sentence):
        return None
    return _STATES.sub(lambda verb: f"{verb[0]} not", sentence, count=1)
