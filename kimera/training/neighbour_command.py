"""kimera train --stage neighbours: labelled pairs to a head for neighbours and its card."""

from __future__ import annotations

from functools import partial

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.console import note, say
from kimera.corpus import MIN_SCORE, scan_bar
from kimera.errors import UserError
from kimera.files import write_text
from kimera.models import NeighbourHead
from kimera.reactor import Reactor
from kimera.training.neighbour_fit import (
    KEPT,
    LABELLED_COUNTS,
    NeighbourFitOptions,
    ReadNeighbours,
    fit_neighbour_head,
    read_neighbours,
    scores_by,
)
from kimera.training.train_settings import TrainSettings, public_command, public_name
from kimera.training.training_data import LabelledFile, pairs_in

SHARES = (0.9, 0.95, 0.97, 0.98, 0.99)
MIN_NEIGHBOURS = 1000
ENOUGH_FINDINGS = 200  # held out, for a floor at which 0.98 of them remain

CARD = """\
# A head for neighbours

Written by

```
{command}
```

## What it is

`{name}`, a network of {layers} layers over two sentence vectors and the word pieces of both texts: those that
only one holds, and those of both, summed by word vectors of the encoder. It says what the cross-encoder would
say of two neighbours, so that a scan of rows, and a live session, need not read them all. It belongs to these
weights:

- encoder {encoder_name}: `{encoder}`
- verify: `{teacher}`

## Data

{files}

Of {texts:,} distinct texts {pairs:,} pairs are neighbours as scans find them, in corpora of at most 100,000
statements. The cross-encoder read them all, and its probabilities are what the head was fitted to. People
called {labelled:,} of them a contradiction; those where the cross-encoder does so too count {counts:g} times.
No text is kept.

## Figures

Of the {held_out:,} neighbours of which a text is one that the fit did not see, the cross-encoder calls
{findings:,} a contradiction at {least:g} or more. For so large a share of these, this share of all has to be
read:

{figures}

A scan reads what is above the floor at which {kept:g} of these remain: {floors}. {few}

## Limits

What the cross-encoder takes wrongly for a contradiction, it learns to let through. Neighbours in other kinds
of text than these are told less well.
"""


def fit_neighbours(files: list[LabelledFile], settings: TrainSettings) -> list[str]:
    """Writes the head and the card; gives what to say. Raises `UserError` for too few neighbours."""
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    with Reactor(stages="both", cache=cache, cross_encoder=settings.verify_weights) as reactor:
        if not reactor.encoder.folder:
            raise ValueError("the packaged encoder has no folder")
        read = read_neighbours(
            [file.pairs for file in files], reactor, partial(scan_bar, False), settings.seed, settings.mp
        )
        say(f"{pairs_in(files):,} pairs; of {len(read.texts):,} texts {len(read.first):,} neighbours")
        if len(read.first) < MIN_NEIGHBOURS:
            raise UserError(
                f"only {len(read.first):,} pairs of these texts are neighbours, and a fit needs "
                f"{MIN_NEIGHBOURS:,}; give more pairs"
            )
        findings = read.is_finding()
        if min((findings & ~read.is_held_out).sum(), (findings & read.is_held_out).sum()) < 1:
            raise UserError("the cross-encoder finds no contradiction among the neighbours; give more pairs")
        folder = reactor.encoder.folder
        head = fit_neighbour_head(
            read,
            folder,
            encoder=reactor.encoder.fingerprint,
            encoder_name=public_name(reactor.encoder.name),
            teacher=reactor.weights["verify"],
            options=NeighbourFitOptions(epochs=settings.max_epochs, seed=settings.seed),
            report=_report,
        )
    head.save(settings.weights_path)
    figures = _figures(read, scores_by(head, read, np.flatnonzero(read.is_held_out), folder))
    write_text(settings.card_path, _card(settings, files, head, read, figures))
    if few := _few(read):
        note(few)
    return [
        *figures,
        f"wrote {settings.weights_path} and {settings.card_path}",
        "called neighbours.safetensors, and beside the weights that it was fitted to, it is found by kimera "
        "scan and live with --verify-weights",
    ]


def _few(read: ReadNeighbours) -> str:
    """What is to be known of floors that rest on little; empty where they do not."""
    count = int((read.is_finding() & read.is_held_out).sum())
    if count >= ENOUGH_FINDINGS:
        return ""
    return (
        f"Only {count:,} of the held-out neighbours are called a contradiction, so the floors mean little, "
        "and a scan may pass over many contradictions; give more pairs, of many kinds, until there are "
        f"{ENOUGH_FINDINGS}."
    )


def _report(epoch: int, train_loss: float, held_out_loss: float) -> None:
    say(f"epoch {epoch}: loss {train_loss:.4f}, held out {held_out_loss:.4f}")


def _figures(read: ReadNeighbours, scores: np.ndarray) -> list[str]:
    """A table of held-out neighbours: how many have to be read for a share of the findings, by both heads."""
    rows = np.flatnonzero(read.is_held_out)
    findings = read.is_finding()[rows]
    lines = ["| of the findings | read by this head | by the head for pairs |", "| --- | --- | --- |"]
    for share in SHARES:
        needed = (_needed(by, findings, share) for by in (scores, read.score[rows]))
        lines.append(f"| {share:g} | {' | '.join(f'{of:.3f}' for of in needed)} |")
    return lines


def _needed(scores: np.ndarray, findings: np.ndarray, share: float) -> float:
    found = np.cumsum(findings[np.argsort(-scores, kind="stable")])
    return float((np.searchsorted(found, share * found[-1]) + 1) / len(found))


def _card(
    settings: TrainSettings,
    files: list[LabelledFile],
    head: NeighbourHead,
    read: ReadNeighbours,
    figures: list[str],
) -> str:
    sets = [f"| {file.data_set.title} | {len(file.pairs):,} | {file.data_set.licence} |" for file in files]
    return CARD.format(
        command=public_command(settings),
        name=settings.weights_path.name,
        layers=len(head.layers),
        encoder_name=head.encoder_name,
        encoder=head.encoder,
        teacher=head.teacher,
        files="\n".join(["| texts of | pairs | licence |", "| --- | --- | --- |", *sets]),
        texts=len(read.texts),
        pairs=len(read.first),
        labelled=int(read.is_labelled.sum()),
        counts=LABELLED_COUNTS,
        held_out=int(read.is_held_out.sum()),
        findings=int((read.is_finding() & read.is_held_out).sum()),
        least=MIN_SCORE,
        figures="\n".join(figures),
        kept=KEPT,
        few=_few(read),
        floors=", ".join(f"{floor:.3f} for findings from {least:g} on" for least, floor in head.floors),
    )
