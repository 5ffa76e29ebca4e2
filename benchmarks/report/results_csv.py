"""results.csv: a row a pair, with what every detector said of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path

import numpy as np

from kimera.files import csv_file, text_cell
from kimera.pairs import Failure, Pair, Verdict

RowResult = Verdict | Failure | None
Cell = str | float

PAIR_COLUMNS = ("id", "text1", "text2", "category", "label")
DETECTOR_COLUMNS = (
    "contradiction",
    "confidence",
    "score",
    "score_source",
    "latency_ms",
    "reasoning",
    "error",
)
CLASS_COLUMNS = ("entailment", "neutral", "relation")  # only of detectors that know them
CALIBRATED_COLUMN = "calibrated_score"  # only with --calibrate, and where scores can be
SCREEN_COLUMN = "kimera_screen_score"  # only where a reactor of two stages was asked


def write_results_csv(
    path: Path,
    rows: Iterable[tuple[Pair, Sequence[RowResult]]],
    detector_titles: Sequence[str],
    *,
    screened: bool = False,
    with_classes: Sequence[bool] = (),
    calibrated: Sequence[np.ndarray | None] = (),
) -> None:
    """Writes the rows as they come; memory does not grow with them.

    Each row holds the findings in the order of `detector_titles`; None where a detector was not asked. Texts
    are whole and quoted, numbers are not; a text that a spreadsheet would run gets a leading apostrophe.
    with_classes: of each detector, whether it has `CLASS_COLUMNS` as well; without it none has.
    calibrated: of each detector, its calibrated scores in the order of the rows, for `CALIBRATED_COLUMN`; no
    such column where that is None.
    screened: one more column, `SCREEN_COLUMN`, for what the reactor's first stage said.
    Raises ValueError if a row has more or fewer findings than there are detectors.
    """
    header = [*PAIR_COLUMNS]
    header += [f"{text_cell(title)}_{column}" for title in detector_titles for column in DETECTOR_COLUMNS]
    known = list(with_classes) or [False] * len(detector_titles)
    header += [
        f"{text_cell(title)}_{name}" for title in compress(detector_titles, known) for name in CLASS_COLUMNS
    ]
    has_calibrated = [scores is not None for scores in calibrated]
    fitted = [scores for scores in calibrated if scores is not None]
    header += [
        f"{text_cell(title)}_{CALIBRATED_COLUMN}" for title in compress(detector_titles, has_calibrated)
    ]
    with csv_file(path) as writer:
        writer.writerow([*header, *[SCREEN_COLUMN] * screened, "agreement"])
        for row, (pair, findings) in enumerate(rows):
            if len(findings) != len(detector_titles):
                raise ValueError(
                    f"{len(findings)} findings for {len(detector_titles)} detectors: {pair.id!r}"
                )
            cells = [cell for finding in findings for cell in finding_cells(finding)]
            cells += [cell for finding in compress(findings, known) for cell in _class_cells(finding)]
            cells += [_calibrated_cell(scores[row]) for scores in fitted]
            screen = [_screen_cell(findings)] * screened
            writer.writerow([*pair_cells(pair), *cells, *screen, _agreement(findings)])


def pair_cells(pair: Pair) -> list[Cell]:
    return [text_cell(text) for text in (pair.id, pair.text1, pair.text2, pair.category, pair.label or "")]


def finding_cells(finding: RowResult) -> list[Cell]:
    if finding is None:
        return [""] * len(DETECTOR_COLUMNS)
    if isinstance(finding, Failure):
        empty = [""] * (len(DETECTOR_COLUMNS) - 1)
        return [*empty, text_cell(f"{finding.kind}: {finding.message}")]
    return [
        _truth(finding.contradiction),
        _exact(finding.confidence),
        _exact(finding.score),
        finding.score_source,
        round(finding.latency_ms, 3),
        text_cell(finding.reasoning),
        "",
    ]


def _class_cells(finding: RowResult) -> list[Cell]:
    if not isinstance(finding, Verdict):
        return [""] * len(CLASS_COLUMNS)
    probabilities = (finding.entailment, finding.neutral)
    cells: list[Cell] = ["" if value is None else _exact(value) for value in probabilities]
    return [*cells, finding.three_way or ""]


def _calibrated_cell(score: float) -> Cell:
    return "" if math.isnan(score) else _exact(score)


def _screen_cell(findings: Sequence[RowResult]) -> Cell:
    scores = [finding.screen_score for finding in findings if isinstance(finding, Verdict)]
    return next((_exact(score) for score in scores if score is not None), "")


def _agreement(findings: Sequence[RowResult]) -> str:
    """Whether all that answered say the same; empty where fewer than two did."""
    verdicts = [finding.contradiction for finding in findings if isinstance(finding, Verdict)]
    return _truth(len(set(verdicts)) == 1) if len(verdicts) > 1 else ""


def _exact(share: float) -> float:
    """So that figures can be computed again from it: with decimals, 1e-9 would be 0 and a log loss endless.

    15 digits are all that a float of these has but for the noise of `1 - confidence`.
    """
    return float(f"{share:.15g}")


def _truth(value: bool) -> str:
    return "true" if value else "false"
