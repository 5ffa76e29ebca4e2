"""The examples that a run shows its judges: from a file, balanced, and none of the pairs that it judges."""

from __future__ import annotations

import random
import re
import shlex
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.datasets import Dataset, load_dataset
from benchmarks.judge import Prompt, examples_of
from benchmarks.settings import DEFAULT_SHOTS, RunSettings
from kimera.console import options_of, words_of
from kimera.errors import UserError
from kimera.files import PairSettings, reading_of
from kimera.pairs import CONTRADICTION, NOT_CONTRADICTION, RELATIONS, Pair


def with_examples(
    prompt: Prompt, settings: RunSettings, dataset: Dataset, tell: Callable[[str], object]
) -> Prompt:
    """The prompt with the examples that the settings ask for, which none of the dataset's pairs is.

    Neither is any pair of the other shards, so that these show the same examples.
    The pairs that are judged stay the same with and without examples, so that runs can be compared: it is the
    file that lends only what is not judged. tell: is told how many of its pairs are. Raises UserError for a
    file with too few others.
    """
    if not settings.examples:
        if settings.shots is not None:
            raise UserError("--shots goes with --examples FILE; give both")
        return prompt
    shots = DEFAULT_SHOTS if settings.shots is None else settings.shots
    file = Path(settings.examples).name
    labelled = _labelled(settings)
    if not labelled:
        raise UserError(
            f"--examples {settings.examples}: none of its pairs has a label; an example needs one"
        )
    answers = RELATIONS if prompt.classes == 3 else (CONTRADICTION, NOT_CONTRADICTION)
    judged = _judged_among(labelled, dataset)
    left = [pair for pair in labelled if _key(pair) not in judged]
    if judged:
        tell(
            f"this run judges {len(labelled) - len(left):,} of the {len(labelled):,} labelled pairs of "
            f"{file}: none of these is shown as an example"
        )
    free = _distinct(left, prompt.classes)
    by_answer = {
        answer: [pair for pair in free if _answer(pair, prompt.classes) == answer] for answer in answers
    }
    rng = random.Random(settings.seed)  # noqa: S311 - a sample, not cryptography
    drawn = _drawn(by_answer, shots, rng, settings.examples)
    return replace(prompt, examples=examples_of(file, drawn, prompt.question, prompt.schema["required"]))


def _labelled(settings: RunSettings) -> list[Pair]:
    """The pairs of the file that have a label, read as the run's own pairs are."""
    try:
        return [pair for pair in load_dataset(str(settings.examples), **reading_of(settings)) if pair.label]
    except UserError as error:
        flags = shlex.join(words_of(settings, options_of(PairSettings)))
        also = f"; {flags} of the pairs holds for this file too" if flags else ""
        raise UserError(f"--examples: {error}{also}") from None


def _drawn(by_answer: dict[str, list[Pair]], shots: int, rng: random.Random, file: str) -> list[Pair]:
    """So many of each answer, and one more of some where that does not come out even; in random order."""
    answers = list(by_answer)
    more = set(rng.sample(answers, shots % len(answers)))
    chosen: list[Pair] = []
    for answer, pairs in by_answer.items():
        wanted = shots // len(answers) + (answer in more)
        if len(pairs) < wanted:
            raise UserError(
                f"--examples {file}: --shots {shots} takes {wanted} of label {answer}, and the file has "
                f"{len(pairs)} that this run does not judge; give more examples, a lower --shots, or a "
                "--max-pairs that leaves some"
            )
        chosen += rng.sample(pairs, wanted)
    rng.shuffle(chosen)
    return chosen


def _answer(pair: Pair, classes: int) -> str:
    if classes == 3:
        return pair.label or ""
    return CONTRADICTION if pair.is_contradiction else NOT_CONTRADICTION


def _judged_among(pairs: Iterable[Pair], dataset: Dataset) -> set[tuple[str, ...]]:
    """The keys of these pairs that the dataset has too, in any shard; memory is that of the examples."""
    known = {_key(pair) for pair in pairs}
    return known.intersection(map(_key, dataset.of_all_shards()))


def _distinct(pairs: Iterable[Pair], classes: int) -> list[Pair]:
    """Each pair once, whatever its order; those that the file labels in two ways are left out."""
    labels: dict[tuple[str, ...], set[str]] = {}
    first: dict[tuple[str, ...], Pair] = {}
    for pair in pairs:
        labels.setdefault(_key(pair), set()).add(_answer(pair, classes))
        first.setdefault(_key(pair), pair)
    return [pair for key, pair in first.items() if len(labels[key]) == 1]


def _key(pair: Pair) -> tuple[str, ...]:
    """Both texts in either order, without what spelling alone makes different."""
    return tuple(sorted(map(_plain, (pair.text1, pair.text2))))


def _plain(text: str) -> str:
    """Letters and digits, in one case and form; the text itself where it has none of them."""
    form = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", form)) or text.strip()
