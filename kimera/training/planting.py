"""Corpora with statements put into them, of which is known what contradicts what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Literal

from kimera.corpus import Corpus, Statement
from kimera.training.changed_statements import Plant, Vocabulary, can_change, plants_of, reworded

NEAR = 4  # statements


@dataclass(frozen=True)
class Planted:
    """A corpus with statements put into it: some contradict it, some repeat it in other words."""

    corpus: Corpus
    plants: Sequence[Plant]
    harmless: Sequence[Plant]

    def label(self, text1: str, text2: str) -> Literal["planted", "harmless", "of a plant", ""]:
        """What is known of a pair before anybody reads it; "" of two statements that were there."""
        known = self._known.get(frozenset((text1, text2)))
        return known or ("of a plant" if {text1, text2} & self._put else "")

    @cached_property
    def _put(self) -> set[str]:
        return {plant.text for plant in (*self.plants, *self.harmless)}

    @cached_property
    def _known(self) -> dict[frozenset[str], Literal["planted", "harmless"]]:
        known: dict[frozenset[str], Literal["planted", "harmless"]] = {}
        known |= {frozenset((copy.text, copy.source)): "harmless" for copy in self.harmless}
        return known | {frozenset((plant.text, plant.source)): "planted" for plant in self.plants}


def planted(
    statements: Sequence[Statement],
    count: int,
    harmless: int,
    words: Vocabulary,
    seed: int = 0,
    *,
    anywhere: bool = False,
) -> Planted:
    """Copies that are changed, and ones that are only reworded, each put behind a statement drawn at random.

    A third of them stays in the file of what it was made from, and a sixth near it, unless `anywhere`.
    """
    random = Random(seed)  # noqa: S311 (a sample, not a secret)
    texts = list(dict.fromkeys(statement.text for statement in statements))
    changed = [plant for plant in plants_of(texts, count, words, seed) if plant.text not in texts]
    taken = {plant.source for plant in changed}
    rest = [text for text in texts if text not in taken and can_change(text)]
    random.shuffle(rest)
    copies = [Plant("harmless", text, reworded(text, random, words), True) for text in rest[:harmless]]
    copies = [copy for copy in copies if copy.text not in texts]
    where = {statement.text: row for row, statement in reversed(list(enumerate(statements)))}
    behind: dict[int, list[str]] = {}
    for plant in (*changed, *copies):
        row = _row(statements, where[plant.source], random, anywhere=anywhere)
        behind.setdefault(row, []).append(plant.text)
    corpus = Corpus()
    for row, statement in enumerate(statements):
        corpus.add(statement)
        for text in behind.get(row, ()):
            context = statement.context._replace(before=statement.text)
            corpus.add(Statement(text, statement.file, statement.line, context=context))
    return Planted(corpus, changed, copies)


def _row(statements: Sequence[Statement], source: int, random: Random, *, anywhere: bool) -> int:
    draw = 1.0 if anywhere else random.random()
    if draw < 1 / 6:
        return min(max(source + random.choice([-NEAR, -2, 1, 2, NEAR]), 0), len(statements) - 1)
    if draw < 1 / 2:
        file = statements[source].file
        return random.choice([row for row, each in enumerate(statements) if each.file == file])
    return random.randrange(len(statements))
