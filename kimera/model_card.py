"""The model card of a head: what it is, what it was fitted on and how well it did, as Markdown."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from kimera.errors import UserError
from kimera.head import CLASSES, ContradictionHead, FitOptions


@dataclass(frozen=True, slots=True)
class DataSet:
    """What is known of a file of labelled pairs: what its user stated; nothing is guessed from its name."""

    title: str
    licence: str = "not stated"
    remarks: str = ""

    @property
    def heading(self) -> str:
        """The title, and the remarks in brackets."""
        return f"{self.title} ({self.remarks})" if self.remarks else self.title


@dataclass(frozen=True, slots=True)
class Source:
    """A training file: what it is, its labelled pairs, and what each counted in the fit."""

    data_set: DataSet
    pairs: int
    weight: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured on one set; None where it is undefined.

    auc: area under the ROC curve of P(contradiction), contradiction against the rest. accuracy: share of
    pairs whose likeliest class is the label's, on three-way sets. calibration_error: of P(contradiction).
    premises_in_training: how many distinct premises (text1) are also premises of pairs that the fit saw.
    """

    data_set: DataSet
    pairs: int
    contradictions: int
    premises_in_training: int
    auc: float | None
    accuracy: float | None
    calibration_error: float | None


WEAK_AUC = 0.65

TEMPLATE = """\
# Contradiction head for {encoder_name}

Written by `python -m kimera.train`. The figures in its tables were measured in that run; what was not
measured is said to be so.

## What it is

A small network ({shape}, ReLU) over the sentence vectors u and v of two texts, as (u, v, |u-v|, u*v).
It gives the probabilities of {classes};
P(contradiction) is calibrated by Platt's method (slope {slope:.4f}, offset {offset:.4f}) on pairs that the
weights were not fitted on.
The encoder is frozen and not part of this file.

| | |
| --- | --- |
| weights | `{weights_name}`, {weights_size:,} bytes, SHA-256 `{weights_hash}` |
| encoder | `{encoder_name}`, fingerprint `{encoder}` |
| format | safetensors, float16; nothing executable |
| seed | {seed} |

## Intended use

To screen pairs of English statements of a sentence or two for contradictions: fast, on a CPU, before anything
dearer looks at what is left. Not for decisions about people, and not as the last word on a single pair.

**The convention:** both statements are taken to be about the same situation and time; they contradict each
other if they cannot both be true.

## Data

{sources}

Of each file, the pairs of 5 % of the premises (chosen by a hash of the premise and the seed) were held out,
in two halves that share no premise: one ended the fit and calibrated it, the other was only measured.
Held-out pairs whose two texts, in either order, are also a pair of the training part (for the half that was
only measured: or of the other half) were left out: {left_out:,} in all.
None of the texts is in the weights file.

The defaults of the fit's options were chosen beforehand, on SNLI's development set and on held-out parts of
this project's training files that were not yet halved. This run only measured the evaluation sets.

## How it was fitted

```
{command}
```

{fit} Of two-way labels the likelihood is entailment plus neutral.
On another machine the same command need not give the same weights to the last bit: its sums may be rounded
otherwise.

## Figures

AUC: area under the ROC curve, contradiction against the rest. Accuracy: three classes, where the set has
three. Calibration error: expected, of P(contradiction), 15 bins of equal mass. Premises also in training: of
the distinct premises of the set, those that are also premises of pairs that the fit or its calibration saw.

Held out from the training files, the half that was only measured:

{held_out}

Evaluation sets:

{evaluation}

## Limits

- By its design it sees two vectors, not words side by side, so it is expected to lose much of who did what
  to whom, numbers, names and the scope of negation. A cross-encoder or an LLM reads both texts together; how
  much better that is was not measured here.
- What is not in the tables above was not measured here. Unless a table lists them, that includes ANLI and
  premises of several sentences or documents; texts unlike the training data have to be expected to do worse.
- {weak}
- P(contradiction) is calibrated for data like the training files only; for other data see the calibration
  error above, and measure on your own pairs.
- Meant for English; other languages were not measured here. The encoder cuts texts at its window (256 tokens
  of all-MiniLM-L6-v2).
- The data sets carry the biases of their writers and labellers, and this head may have learnt them; that was
  not measured here.
"""


@dataclass(frozen=True)
class ModelCard:
    """All that a card says.

    left_out: held-out pairs that were dropped because another part has their texts.
    command: the command line, without private paths.
    """

    head: ContradictionHead
    weights: Path
    options: FitOptions
    sources: Sequence[Source]
    left_out: int
    held_out: Sequence[Figures]
    evaluation: Sequence[Figures]
    command: str

    def render(self) -> str:
        """The card as Markdown. Reads the weights file for its size and hash."""
        content = self.weights.read_bytes()
        widths = [len(weights) for weights, _ in self.head.layers] + [len(CLASSES)]
        return TEMPLATE.format(
            encoder_name=self.head.encoder_name,
            encoder=self.head.encoder,
            shape="-".join(map(str, widths)),
            classes=", ".join(CLASSES),
            slope=self.head.slope,
            offset=self.head.offset,
            weights_name=self.weights.name,
            weights_size=len(content),
            weights_hash=sha256(content).hexdigest(),
            seed=self.options.seed,
            fit=_fit_sentence(self.options),
            sources=_sources_table(self.sources),
            left_out=self.left_out,
            command=_wrapped(self.command),
            held_out=figures_table(self.held_out),
            weak=_weak_sentence(self.evaluation),
            evaluation=figures_table(self.evaluation) if self.evaluation else "None was measured.",
        )


def read_sources(path: Path) -> dict[str, DataSet]:
    """Read a JSON object of file name to title, licence and remarks (the last two may be left out).

    Raises `UserError` if the file cannot be read or holds something else.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: _data_set(entry) for name, entry in entries.items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} does not describe data sets ({error}); expected JSON like "
            '{"pairs.csv": {"title": "My pairs", "licence": "CC BY 4.0", "remarks": ""}}'
        ) from error


def _data_set(entry: dict[str, Any]) -> DataSet:
    if not all(isinstance(value, str) for value in entry.values()):
        raise TypeError("title, licence and remarks must be strings")
    return DataSet(**entry)


def _fit_sentence(options: FitOptions) -> str:
    return (
        f"AdamW, learning rate {options.learning_rate:g} with cosine decay, weight decay "
        f"{options.weight_decay:g}, dropout {options.dropout:g} (half of it on the inputs),\nbatches of "
        f"{options.batch_size}, at most {options.epochs} epochs."
    )


def _weak_sentence(figures: Sequence[Figures]) -> str:
    weak = [row.data_set.title for row in figures if row.auc is not None and row.auc < WEAK_AUC]
    if not weak:
        return f"None of the evaluation sets above had an AUC below {WEAK_AUC}."
    sentence = f"Above, these had an AUC below {WEAK_AUC}, where 0.5 is chance: {'; '.join(weak)}."
    return textwrap.fill(sentence, 108, subsequent_indent="  ", break_on_hyphens=False)


def figures_table(figures: Sequence[Figures]) -> str:
    """A Markdown table with a row for each set."""
    rows = [
        (
            row.data_set.heading,
            f"{row.pairs:,}",
            f"{row.contradictions:,}",
            f"{row.premises_in_training:,}",
            _number(row.auc),
            _number(row.accuracy),
            _number(row.calibration_error),
        )
        for row in figures
    ]
    names = ("set", "pairs", "contradictions", "premises also in training")
    return _table((*names, "AUC", "accuracy", "calibration error"), rows)


def _sources_table(sources: Sequence[Source]) -> str:
    rows = [
        (
            source.data_set.title,
            f"{source.pairs:,}",
            f"{source.weight:g}",
            source.data_set.licence,
            source.data_set.remarks,
        )
        for source in sources
    ]
    return _table(("data set", "pairs", "weight of each", "licence of the text", "remarks"), rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _wrapped(command: str) -> str:
    lines = textwrap.wrap(command, 100, break_long_words=False, break_on_hyphens=False)
    return " \\\n    ".join(lines)
