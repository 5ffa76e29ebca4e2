"""kimera train --stage scan: folders of documentation to a file of scan scores and its card."""

from __future__ import annotations

import shlex
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from kimera.cache import EmbeddingCache
from kimera.console import as_called, note, say
from kimera.corpus import DEFAULT_MIN_SCORE, Statement, corpus_files, read_statements, scan_bar
from kimera.errors import UserError
from kimera.files import write_text
from kimera.reactor import Reactor
from kimera.training.scan_fit import BASE_RATE, Candidates, FittedScores, candidates_of, fit_scores
from kimera.training.train_settings import TrainSettings, public_command

FLOORS = (0.2, DEFAULT_MIN_SCORE, 0.5, 0.7, 0.9)

CARD = """\
# Scores of scans

Written by

```
{command}
```

## What it is

`{name}`, two logistic regressions, to be read in any editor. The first takes {features} numbers of two
statements: the cosine of their vectors, the words that both hold, the kind of their difference, where they
stand, how many near-copies are about, whether headings tell them apart. The second takes the first one's
log-odds and those of the cross-encoder: P(contradiction), the lower of both orders, and P(entailment), the
higher. It belongs to these weights, and with others it is refused:

{stages}

## Data

| corpus | statements | candidates | changed among them | of these findings | findings of the others |
| --- | --- | --- | --- | --- | --- |
{corpora}

Statements changed by rule, beside what they were made from, are taken for contradictions; all other
candidates, and statements that are only reworded, for none: maintained documentation hardly ever contradicts
itself. No text is kept. Findings are counted out of fold, from {floor:g} on.

## Figures

Out of fold: {folds}. The cross-encoder read {read:,} of the {candidates:,} candidates. Scores are calibrated
for {rate} contradiction in 1,000 candidates; "right" is the share of findings that would be right then.

{figures}

At {floor:g}, the default, by kind of change: {kinds}.

## Limits

Changed statements are near to what they were made from, and are found by the kinds of words that changed
them: of what people write less is found. A change need not make a contradiction, and the documentation may
hold some.
"""


def fit_scan(settings: TrainSettings) -> list[str]:
    """Writes the scores and the card; gives what to say. Raises `UserError` for what cannot be fitted on."""
    cache = None if settings.no_cache else EmbeddingCache(settings.cache_dir)
    bar = partial(scan_bar, False)
    corpora = []
    with Reactor(
        stages="both", head=settings.head, cross_encoder=settings.verify_weights, cache=cache
    ) as reactor:
        for name in settings.files:
            corpus = candidates_of(
                _named(name), statements_in(name), reactor, bar, settings.seed, settings.mp
            )
            say(
                f"{name}: {corpus.statements:,} statements, {len(corpus.label):,} candidates, "
                f"{corpus.label.sum()} of {corpus.planted.total()} changed ones among them"
            )
            corpora.append(corpus)
        fitted = fit_scores(corpora, reactor, bar, settings.mp)
    fitted.scores.save(settings.weights_path)
    write_text(settings.card_path, _card(settings, fitted, corpora))
    scan = as_called("kimera scan")
    return [
        *_figures(fitted, corpora),
        f"to use them: {scan} FOLDER --scan-weights {shlex.quote(str(settings.weights_path))}",
        f"wrote {settings.weights_path} and {settings.card_path}",
    ]


def statements_in(name: str) -> list[Statement]:
    """Of a folder or a file of prose, by places below it. Raises `UserError` where there are none."""
    files = corpus_files((name,), ())
    bad: list[str] = []
    statements = [
        statement for path in files.names for statement in read_statements(path, on_bad_row=bad.append)
    ]
    for message in filter(None, [*bad, files.left_out]):
        note(message)
    if not statements:
        raise UserError(f"{name}: no statement was found; give a folder of documentation")
    if any(statement.is_row for statement in statements):
        raise UserError(
            f"{name}: is a table, whose rows scans do not score by these; give folders or files of prose"
        )
    return statements


def _named(name: str) -> str:
    return Path(name).resolve().name


def _figures(fitted: FittedScores, corpora: list[Candidates]) -> list[str]:
    """A table: of the statements that were changed, candidates or not, and of the others how many are found.

    right: the share of findings that would be right at the base rate.
    """
    planted = sum(each.planted.total() for each in corpora)
    others = int((~fitted.label).sum())
    lines = [
        f"| findings from | of the changed | of {others:,} others | right |",
        "| --- | --- | --- | --- |",
    ]
    for floor in FLOORS:
        is_finding = fitted.out_of_fold >= floor
        found = is_finding[fitted.label].sum() / planted
        mistaken = is_finding[~fitted.label]
        wrong = mistaken.mean() * (1 - BASE_RATE)
        right = found * BASE_RATE / (found * BASE_RATE + wrong) if found else np.nan
        lines.append(f"| {floor:g} | {found:.2f} | {mistaken.sum()} | {right:.0%} |")
    return lines


def _card(settings: TrainSettings, fitted: FittedScores, corpora: list[Candidates]) -> str:
    found = fitted.kinds[fitted.out_of_fold >= DEFAULT_MIN_SCORE].tolist()
    planted = sum((each.planted for each in corpora), Counter[str]())
    ends = np.cumsum([len(each.label) for each in corpora])[:-1]
    is_finding = np.split(fitted.out_of_fold >= DEFAULT_MIN_SCORE, ends)
    rows = [
        f"| {each.name} | {each.statements:,} | {len(each.label):,} | {each.label.sum()} | "
        f"{findings[each.label].sum()} | {findings[~each.label].sum()} |"
        for each, findings in zip(corpora, is_finding, strict=True)
    ]
    return CARD.format(
        command=public_command(settings, has_epochs=False),
        name=settings.weights_path.name,
        features=len(fitted.scores.weights),
        stages="\n".join(f"- {stage}: `{print_}`" for stage, print_ in fitted.scores.stages.items()),
        corpora="\n".join(rows),
        folds="each corpus by a fit on the others" if fitted.by_corpus else "five folds of the candidates",
        read=fitted.read,
        candidates=len(fitted.label),
        rate=f"{1000 * BASE_RATE:g}",
        figures="\n".join(_figures(fitted, corpora)),
        floor=DEFAULT_MIN_SCORE,
        kinds=", ".join(f"{kind} {found.count(kind)} of {count}" for kind, count in planted.items()),
    )
