"""The model card of a fitted stage: what it is, what it was fitted on, how well it did, as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from kimera.models import CLASSES, ContradictionHead, CrossEncoderWeights, DataSet, FitOptions, TrainingSource
from kimera.training.training_data import ENOUGH_CONTRADICTIONS, ENOUGH_PAIRS

if TYPE_CHECKING:
    from kimera.training.fine_tuning import FineTuneOptions


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured on one set; None where it is undefined.

    auc: area under the ROC curve of P(contradiction), contradiction against the rest; swapped_auc: the same
    with the texts of each pair in the other order. accuracy: share of
    pairs whose likeliest class is the label's, on three-way sets. calibration_error: of P(contradiction).
    premises_in_training: how many distinct premises (text1) are also premises of pairs that the fit saw.
    reliability: (mean score, share of contradictions) of parts of equal size, in the order of the scores.
    """

    data_set: DataSet
    pairs: int
    contradictions: int
    premises_in_training: int
    auc: float | None
    swapped_auc: float | None
    accuracy: float | None
    calibration_error: float | None
    reliability: Sequence[tuple[float, float]] = ()


WEAK_AUC = 0.65
EARLIER = """
Each command starts from the weights of the one before, learns from what they say of its pairs (--teacher) or
averages those before it (--average); this card describes the last. If an earlier command
had other files or another seed, it may have learnt from pairs that are held out here.
"""

DIVISION = """\
Of each file, the pairs of a share of the premises (5 %, or more where so few would lack an answer; chosen by
a hash of the premise and the seed) were held out,
in two halves that share no premise: one {ended}, the other was only measured.
Held-out pairs whose two texts, in either order, are also a pair of the training part (for the half that was
only measured: or of the other half) were left out: {left_out:,} in all.
"""
# Of a fit on few pairs.
OUT_OF_FOLD = """\
{tried}
The figures below of the training files are out of fold: each pair is scored by a model that did not see its
fold. The choice was made by the same folds, which favours what was chosen a little.
"""
NOTHING_LEARNT = "Of the files of the last command nothing was learnt but the calibration."
HELD_OUT = "Held out from the training files, the half that was only measured:"

TEMPLATE = """\
# {heading}

Written by `python -m kimera.train`. The figures in its tables were measured in that run; what was not
measured is said to be so.

## What it is

{what}
It gives the probabilities of {classes};
P(contradiction) is calibrated by Platt's method (slope {slope:.4f}, offset {offset:.4f}) {calibrated_on}.
{base_sentence}

| | |
| --- | --- |
| weights | `{weights_name}`, {weights_size:,} bytes, SHA-256 `{weights_hash}` |
| {base_is} | `{base_name}`, fingerprint `{base}` |
| format | safetensors, {number_format}; nothing executable |
| seed | {seed} |

## Intended use

{use} Not for decisions about people, and not as the last word on a single pair.

**The convention:** both statements are taken to be about the same situation and time; they contradict each
other if they cannot both be true.

## Data

{sources}
{earlier_sources}
{division}{too_small}None of the texts is in the weights file.

{choice}

## How it was fitted

```
{commands}
```
{earlier}
{fit} Of two-way labels the likelihood is entailment plus neutral.
On another machine the same command need not give the same weights to the last bit: its sums may be rounded
otherwise.

## Figures

AUC: area under the ROC curve, contradiction against the rest; swapped: with the texts of each pair in the
other order. Accuracy: three classes, where the set has
three. Calibration error: expected, of P(contradiction), 15 bins of equal mass. Premises also in training: of
the distinct premises of the set, those that are also premises of pairs that the fit or its calibration saw.
Scores were computed in {precision}.

{held_out_is}

{held_out}

Evaluation sets:

{evaluation}

Reliability: each set's pairs in five parts of equal size, from the least P(contradiction) to the greatest; in
each part the mean P(contradiction) and the share that are contradictions.

{reliability}

## Limits

{limits}
- What is not in the tables above was not measured here. Unless a table lists them, that includes ANLI and
  premises of several sentences or documents; texts unlike the training data have to be expected to do worse.
- {weak}
- P(contradiction) is calibrated for data like the training files only; for other data see the calibration
  error above, and measure on your own pairs.
- Meant for English; other languages were not measured here. {window}
- The data sets carry the biases of their writers and labellers, and this model may have learnt them; that was
  not measured here.
"""


@dataclass(frozen=True)
class Description:
    """What a card says of one kind of model, beside its figures.

    base_is, base_name, base: the word for the model it builds on, that model's name and its fingerprint.
    """

    heading: str
    what: str
    base_sentence: str
    base_is: str
    base_name: str
    base: str
    slope: float
    offset: float
    number_format: str
    use: str
    choice: str
    fit: str
    limits: str
    window: str
    calibrated_on: str = "on pairs that the\nweights were not fitted on"


def description_of_head(head: ContradictionHead, options: FitOptions) -> Description:
    """Of a head on sentence vectors."""
    widths = "-".join(map(str, [len(weights) for weights, _ in head.layers] + [len(CLASSES)]))
    return Description(
        heading=f"Contradiction head for {head.encoder_name}",
        what=f"A small network ({widths}, ReLU) over the sentence vectors u and v of two texts, as "
        "(u, v, |u-v|, u*v).",
        base_sentence="The encoder is frozen and not part of this file.",
        base_is="encoder",
        base_name=head.encoder_name,
        base=head.encoder,
        slope=head.slope,
        offset=head.offset,
        number_format="float16",
        use="To screen pairs of English statements of a sentence or two for contradictions: fast, on a CPU, "
        "before anything\ndearer looks at what is left.",
        choice="The defaults of the fit's options were chosen beforehand, on SNLI's development set and on "
        "held-out parts of\nthis project's training files that were not yet halved. This run only measured "
        "the evaluation sets.",
        fit=f"AdamW, learning rate {options.learning_rate:g} with cosine decay, weight decay "
        f"{options.weight_decay:g}, dropout {options.dropout:g} (half of it on the inputs),\nbatches of "
        f"{options.batch_size}, at most {options.epochs} epochs.",
        limits="""\
- By its design it sees two vectors, not words side by side, so it is expected to lose much of who did what
  to whom, numbers, names and the scope of negation. A cross-encoder or an LLM reads both texts together; how
  much better that is was not measured here.""",
        window="The encoder cuts texts at its window (256 tokens\n  of all-MiniLM-L6-v2).",
    )


DIFFERENCE = """\
The file holds the difference from that model's weights, in int8 with a scale for each row; the word
embeddings are that model's own."""
ADAPTERS = """\
The file holds adapters of rank {rank} for that model's linear layers (Hu et al. 2021, "LoRA") and the head;
all else is that model's own."""
LIMITS = """\
- It is small (6 layers of 384). Expect no better than chance on ANLI, which was written to mislead larger
  models than this (Nie et al. 2020), and much worse figures on long passages; neither was measured here."""
LIMITS_OF_ADAPTED = """\
- Expect much worse figures on ANLI, which was written to mislead such models (Nie et al. 2020), and on long
  passages; neither was measured here."""


def description_of_cross_encoder(
    weights: CrossEncoderWeights, options: FineTuneOptions, lesson: str = ""
) -> Description:
    """Of a cross-encoder. lesson: the teacher that it learnt from, in words; empty without one."""
    is_first = len(weights.commands) < 2
    new_layers = f" (new layers {options.new_layers_rate:g})" if is_first else ""
    swapped = f"\nOf the pairs, {options.swap:.0%} were read in the other order." if options.swap else ""
    held = DIFFERENCE if not options.rank else ADAPTERS.format(rank=options.rank)
    dropout = "but not in the attention" if not options.rank else "in the head alone"
    learnt = (
        "word embeddings frozen" if not options.rank else "adapters and the head learn, all else is frozen"
    )
    return Description(
        heading=f"Cross-encoder from {weights.base_name}",
        what="A transformer that reads both texts of a pair at once: the model below, fine-tuned, with a new "
        "last layer.",
        base_sentence=held,
        base_is="base",
        base_name=weights.base_name,
        base=weights.base,
        slope=weights.slope,
        offset=weights.offset,
        number_format="float16" if options.rank else "int8 and float32",
        use="To tell whether two English statements of a sentence or two contradict each other, on a CPU.",
        choice="The defaults of the fit's options were chosen beforehand, on held-out parts of this "
        "project's training\nfiles. That pairs should also be read in the other order (--swap) was seen on "
        "a first fit's figures, those on\nthe evaluation sets among them.",
        fit=f"AdamW, learning rate {options.learning_rate:g}{new_layers}, "
        f"linear warm-up over {options.warmup:.0%} of the steps and\nlinear decay, weight decay "
        f"{options.weight_decay:g}, dropout {options.dropout:g} {dropout}, bfloat16 "
        f"autocast,\nbatches of {options.batch_size}, at most {options.epochs} epochs; "
        f"{learnt}.{swapped}{_taught(lesson, options)}",
        limits=LIMITS_OF_ADAPTED if options.rank else LIMITS,
        window=f"Of pairs longer than {weights.max_tokens} tokens the\n  reactor reads the sentences that "
        "are related, and a rule weighs them (docs/long-texts.md).",
    )


def description_of_average(weights: CrossEncoderWeights, options: FineTuneOptions, fits: int) -> Description:
    """Of the mean of some fits' weights."""
    return replace(
        description_of_cross_encoder(weights, options),
        fit=f'The mean of the weights of {fits} fits (Wortsman et al. 2022, "Model soups"), of which nothing '
        "but the calibration\nwas fitted anew. The fits by the other commands: see what they say.",
    )


def _taught(lesson: str, options: FineTuneOptions) -> str:
    if not lesson:
        return ""
    return (
        f"\nOf the loss of a labelled pair {options.soft:.0%} was a teacher's calibrated probabilities,"
        f"\nof an unlabelled one all: {lesson}."
    )


@dataclass(frozen=True)
class ModelCard:
    """All that a card says.

    sources: of the fit described, none of an average; earlier_sources: of the fits before it, from whose
        weights it went on.
    left_out: held-out pairs that were dropped because another part has their texts.
    precision: the number format in which the scores of the figures were computed.
    too_small: of the held-out halves, what makes their figures mean little; empty where nothing does.
    commands: the command lines of the fits, without private paths; the last is the one described.
    tried: of a fit on few pairs, what was tried and chosen.
    """

    model: Description
    weights: Path
    seed: int
    sources: Sequence[TrainingSource]
    earlier_sources: Sequence[TrainingSource]
    left_out: int
    precision: str
    too_small: str
    held_out: Sequence[Figures]
    evaluation: Sequence[Figures]
    commands: Sequence[str]
    tried: str = ""

    def render(self) -> str:
        """The card as Markdown. Reads the weights file for its size and hash."""
        content = self.weights.read_bytes()
        return TEMPLATE.format(
            **asdict(self.model),
            classes=", ".join(CLASSES),
            weights_name=self.weights.name,
            weights_size=len(content),
            weights_hash=sha256(content).hexdigest(),
            seed=self.seed,
            precision=self.precision,
            sources=_sources_table(self.sources) if self.sources else NOTHING_LEARNT,
            earlier_sources=_earlier_sources(self.earlier_sources, self.sources),
            division=self._division(),
            too_small=f"{textwrap.fill(self.too_small, 108)}\n" if self.too_small else "",
            commands="\n".join(map(_wrapped, self.commands)),
            earlier=EARLIER if len(self.commands) > 1 else "",
            held_out_is="Training files, out of fold:" if self.tried else HELD_OUT,
            held_out=figures_table(self.held_out),
            weak=_weak_sentence(self.evaluation),
            evaluation=figures_table(self.evaluation) if self.evaluation else "None was measured.",
            reliability=_reliability_table([self.held_out[0], *self.evaluation]),
        )

    def _division(self) -> str:
        if not self.tried:
            ended = "ended the fit and calibrated it" if self.sources else "calibrated the mean"
            return DIVISION.format(left_out=self.left_out, ended=ended)
        return OUT_OF_FOLD.format(tried=self.tried)


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
            f"{_number(row.auc)}{_few(row)}",
            _number(row.swapped_auc),
            _number(row.accuracy),
            _number(row.calibration_error),
        )
        for row in figures
    ]
    names = ("set", "pairs", "contradictions", "premises also in training")
    return _table((*names, "AUC", "swapped AUC", "accuracy", "calibration error"), rows)


def _reliability_table(figures: Sequence[Figures]) -> str:
    parts = max(len(row.reliability) for row in figures)
    rows = [
        (row.data_set.heading, *(f"{score:.2f}, {share:.2f}" for score, share in row.reliability))
        for row in figures
        if len(row.reliability) == parts
    ]
    return _table(("set", *(f"part {number}" for number in range(1, parts + 1))), rows)


def _sources_table(sources: Sequence[TrainingSource]) -> str:
    rows = [
        (
            source.data_set.title,
            "not recorded" if source.pairs is None else f"{source.pairs:,}",
            f"{source.weight:g}",
            source.data_set.licence,
            source.data_set.remarks,
        )
        for source in sources
    ]
    return _table(("data set", "pairs", "weight of each", "licence of the text", "remarks"), rows)


def _earlier_sources(earlier: Sequence[TrainingSource], sources: Sequence[TrainingSource]) -> str:
    if not earlier:
        return ""
    if {(source.data_set, source.weight) for source in earlier} <= {
        (source.data_set, source.weight) for source in sources
    }:
        return "\nThe fits before this one learnt from no other data sets.\n"
    table = _sources_table(earlier)
    return f"\nThe fits before this one, from whose weights it went on, learnt from:\n\n{table}\n"


def _few(row: Figures) -> str:
    enough = row.pairs >= ENOUGH_PAIRS and row.contradictions >= ENOUGH_CONTRADICTIONS
    return "" if enough or row.auc is None else " (few pairs)"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """On one line and within its bars, whatever a title holds."""
    return " ".join(text.split()).replace("|", r"\|")


def _wrapped(command: str) -> str:
    lines = textwrap.wrap(command, 100, break_long_words=False, break_on_hyphens=False)
    return " \\\n    ".join(lines)
