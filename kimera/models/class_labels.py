"""Which output of a classifier is contradiction: by its label names, in any spelling and order, or told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from kimera.errors import UserError

Meaning: TypeAlias = Literal[
    "contradiction", "entailment", "neutral", "not_contradiction", "not_entailment", "consistent", ""
]

# What model cards call them, in small letters without blanks and punctuation.
SPELLINGS: dict[Meaning, tuple[str, ...]] = {
    "contradiction": (
        "contradiction", "contradictions", "contradictory", "contradict", "contradicts", "contradicted",
        "contradicting", "iscontradiction", "inconsistent", "inconsistency",
    ),
    "entailment": ("entailment", "entailments", "entail", "entails", "entailed", "entailing", "isentailment"),
    "neutral": ("neutral", "neutrality"),
    "not_contradiction": (
        "notcontradiction", "nocontradiction", "noncontradiction", "notcontradictory", "noncontradictory",
        "notacontradiction",
    ),
    "not_entailment": ("notentailment", "noentailment", "nonentailment", "notentailed"),
    "consistent": ("consistent", "consistency", "isconsistent"),
}  # fmt: skip
LETTERS: dict[str, Meaning] = {"c": "contradiction", "e": "entailment", "n": "neutral"}
EXAMPLE = "contradiction,entailment,neutral"


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """names: of the outputs, in their order, as the model or the user calls them. meanings: what each is."""

    names: tuple[str, ...]
    meanings: tuple[Meaning, ...]

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """P of contradiction, entailment and neutral: float32 of shape (n, 3), NaN for what has no output.

        logits: float32 of shape (n, outputs). Of several outputs the softmax counts; of a single one the
        sigmoid, which is P(consistent) or P(contradiction) by its name.
        """
        made = np.full((len(logits), 3), np.nan, np.float32)
        if len(self.meanings) == 1:
            # Not 1 - sigmoid: near 1 that would round the small chance away.
            sign = -1.0 if self.meanings[0] == "consistent" else 1.0
            made[:, 0] = 1.0 / (1.0 + np.exp(-sign * logits[:, 0].astype(np.float64)))
            return made
        exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True, initial=-np.inf))
        shares = exponents / exponents.sum(axis=1, keepdims=True)
        for column, meaning in enumerate(("contradiction", "entailment", "neutral")):
            if meaning in self.meanings:
                made[:, column] = shares[:, self.meanings.index(meaning)]
        return made


def class_labels(name: str, config: dict[str, Any], told: Sequence[str] | str | None) -> ClassLabels:
    """What the outputs of a model mean.

    name: of the model. config: its config.json. told: by the user, one by one or with commas between them.
    Raises `UserError` where that leaves open which output is contradiction.
    """
    own = _own_names(name, config)
    if told is None:
        return _of_names(name, own, "its config.json calls the outputs " + _quoted(own))
    names = tuple(label.strip() for label in (told.split(",") if isinstance(told, str) else told))
    if len(names) != len(own):
        raise UserError(
            f"{name} has {len(own)} {'output' if len(own) == 1 else 'outputs'}, which it calls "
            f"{_quoted(own)}, but the labels name {len(names)}: {_quoted(names)}; name each of them, in order"
        )
    return _of_names(name, names, "the labels are " + _quoted(names))


def _own_names(name: str, config: dict[str, Any]) -> tuple[str, ...]:
    """Two outputs with these names are what the library transformers takes where the file states nothing."""
    stated = config.get("id2label") or {}
    try:
        by_place = {int(place): str(label) for place, label in stated.items()}
        size = int(config.get("num_labels") or len(by_place) or 2)
    except (AttributeError, TypeError, ValueError):
        raise UserError(
            f"{name}: the id2label of its config.json does not number the labels; correct it, such as "
            '{"0": "contradiction", "1": "entailment", "2": "neutral"}'
        ) from None
    return tuple(by_place.get(place, f"LABEL_{place}") for place in range(size))


def _of_names(name: str, names: tuple[str, ...], source: str) -> ClassLabels:
    meanings = meanings_of(names)
    if len(names) == 1:
        if meanings[0] in ("consistent", "contradiction"):
            return ClassLabels(names, meanings)
        raise UserError(
            f"{name} has a single output, and {source}, which does not say what it means; say so by "
            "labels: --labels consistent (labels=('consistent',) in Python) where it is the logit of "
            "P(consistent), --labels contradiction where it is that of P(contradiction)"
        )
    count = meanings.count("contradiction")
    if count == 1:
        return ClassLabels(names, meanings)
    if count > 1:
        raise UserError(f"{name}: {source}, and {count} of them mean contradiction; only one may")
    if "entailment" in meanings and len(names) == 2:
        raise UserError(
            f"{name} tells entailment from everything else ({source}), and what is not entailed need not "
            "contradict, so it is no contradiction detector. To take that output nevertheless: --labels "
            + ",".join("entailment" if meaning == "entailment" else "contradiction" for meaning in meanings)
        )
    raise UserError(
        f"{name}: {source}, which does not say which one is contradiction; name them in their order, "
        f"such as --labels {_example(len(names))} on the command line, or labels=(...) in Python"
    )


def meanings_of(names: Sequence[str]) -> tuple[Meaning, ...]:
    """What each name means by itself, "" where that is not known."""
    plain = ["".join(filter(str.isalpha, name.casefold())) for name in names]
    if sorted(plain) == sorted(LETTERS):  # alone, a letter says too little
        return tuple(LETTERS[letter] for letter in plain)
    return tuple(_meaning(word) for word in plain)


def _meaning(word: str) -> Meaning:
    return next((meaning for meaning, spellings in SPELLINGS.items() if word in spellings), "")


def _example(count: int) -> str:
    if count == 2:
        return "not_contradiction,contradiction"
    return ",".join([*EXAMPLE.split(","), *["other"] * count][:count])


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
