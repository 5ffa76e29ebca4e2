"""The files of a run's report, all of them at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.calibrations import NOT_CALIBRATED, calibrations_of, scores_of
from benchmarks.report.label_queue import LabelQueue
from benchmarks.report.markdown import render_markdown
from benchmarks.report.page import render_page
from benchmarks.report.pair_table import PairTable
from benchmarks.report.picture import draw_comparison
from benchmarks.report.results_csv import RowResult, write_results_csv
from benchmarks.report.summary import MARGIN, build_summary
from benchmarks.runs import RunResult
from kimera.files import write_text
from kimera.models import MapName
from kimera.pairs import Pair


def write_report(
    run: RunResult,
    rows: Iterable[tuple[Pair, Sequence[RowResult]]],
    out_dir: Path,
    *,
    margin: float = MARGIN,
    prevalence: float | None = None,
    calibrate: MapName | None = None,
    viz: bool = True,
) -> dict[str, Any]:
    """Writes the report files into `out_dir` and gives the summary; without `viz` no comparison.png.

    `rows` are the pairs in order with one finding a detector, as `write_results_csv` takes them.
    margin, prevalence: see `build_summary`. calibrate: how scores are calibrated; None where they are not.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    calibrations = calibrations_of(run, calibrate) if calibrate else NOT_CALIBRATED
    summary = build_summary(run, margin, prevalence, calibrations)
    titles = [detector.title for detector in run.detectors]
    screened = any(detector.settings.get("stages") == "both" for detector in run.detectors)
    table, queue = PairTable(), LabelQueue(run)
    with_classes = [detector.tells_classes for detector in run.detectors]
    write_results_csv(
        out_dir / "results.csv",
        queue.watching(table.watching(rows)),
        titles,
        screened=screened,
        with_classes=with_classes,
        calibrated=[scores_of(calibrations, detector.name) for detector in run.detectors],
    )
    write_text(out_dir / "summary.json", json.dumps(summary, indent=2, allow_nan=False) + "\n")
    write_text(out_dir / "summary.md", render_markdown(summary))
    write_text(out_dir / "report.html", render_page(summary, run, table, calibrations, queue))
    picture = out_dir / "comparison.png"
    if viz:
        draw_comparison(summary, run, picture)
    else:
        picture.unlink(missing_ok=True)
    return summary
