"""The confusion matrix: of each detector, labelled pairs by label and by verdict."""

from __future__ import annotations

from typing import Any

from benchmarks.report import words
from benchmarks.stats import CONFUSION

HEADING = "Confusion matrix, in labelled pairs"


def rows(summary: dict[str, Any]) -> list[words.Row]:
    """A header, then two rows for each detector with labelled pairs; none where there is no such one."""
    titles = words.titles(summary)
    counted = [
        (titles[name], [detector[count.name] for count in CONFUSION])
        for name, detector in summary["detectors"].items()
        if all(count.name in detector for count in CONFUSION)
    ]
    if not counted:
        return []
    table: list[words.Row] = [("", "said contradiction", "said no contradiction")]
    for title, (found, missed, alarms, passed) in counted:
        table.append((f"{title}: labelled contradiction", f"{found:,}", f"{missed:,} (missed)"))
        table.append((f"{title}: labelled no contradiction", f"{alarms:,} (false alarms)", f"{passed:,}"))
    return table
