"""A run read back from its folder, finished or cut short: what reports and comparisons of runs start from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.datasets import Dataset
from benchmarks.detector_info import DetectorInfo, combination_in
from benchmarks.runs.journal import JournalReader, Record
from benchmarks.runs.outcomes import Outcomes, merge, rows_of, take_journal
from benchmarks.runs.requested_detectors import planned
from benchmarks.runs.run_folder import JOURNAL, dataset_of, header_in, pairs_of_run, settings_in
from benchmarks.runs.run_result import RunResult
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict


@dataclass(frozen=True)
class FinishedRun:
    """header: of its journal, with the flags it was begun with under "options"."""

    folder: Path
    header: Record
    dataset: Dataset
    outcomes: tuple[Outcomes, ...]
    run: RunResult

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.header["options"])

    def rows(self) -> Iterator[tuple[Pair, Sequence[Verdict | Failure | None]]]:
        """Each pair with the outcome of each detector, in order, read from disk."""
        return rows_of(self.dataset, self.outcomes, self.run, self.folder / JOURNAL)

    def finding(self, name: str, index: int, journal: JournalReader) -> Verdict | Failure:
        """What one detector said of one pair. journal: of this run."""
        said = {outcome.name: outcome for outcome in self.outcomes}
        if name in said:
            return said[name].result_at(index, journal)
        combination = self.run.combination
        if not combination:
            raise ValueError(f"this run has no detector {name!r}")
        parts = (said[part].result_at(index, journal) for part in combination.members)
        return combination.finding(index, *parts)


def open_run(folder: str | Path, label_weights: str | None = None) -> FinishedRun:
    """Reads the journal, and the dataset once. Raises UserError where either is missing or has changed.

    label_weights: the column that --label-weights names, where it is not the run's own.
    """
    folder = Path(folder)
    header = header_in(folder)
    settings = settings_in(header)
    settings = replace(settings, label_weights=label_weights or settings.label_weights)
    dataset = pairs_of_run(settings, dataset_of(folder, header), str(folder))
    if dataset.sha256 != header["dataset"]["sha256"]:
        raise UserError(
            f"{folder}: {dataset.name} has changed since this run began, and no longer holds its pairs"
        )
    dataset = replace(dataset, name=header["dataset"]["name"])
    infos = infos_in(header)
    combination = combination_in(infos)
    outcomes = [Outcomes(info, len(dataset)) for info in infos if info is not combination]
    with JournalReader(folder / JOURNAL) as journal:
        take_journal({outcome.name: outcome for outcome in outcomes}, journal)
    run = merge(dataset, outcomes, header["created"], settings.seed, combination)
    return FinishedRun(folder, header, dataset, tuple(outcomes), run)


def infos_in(header: Record) -> list[DetectorInfo]:
    """What the detectors of a run are, in their order, what is made of others last.

    A header before version 0.6.0 has no list of them: they follow from its flags and the names of its judges.
    Raises UserError for a list that this version cannot read.
    """
    if "detectors" in header:
        try:
            return [DetectorInfo.from_json(info) for info in header["detectors"]]
        except (AttributeError, TypeError) as error:
            raise UserError(f"the journal's header does not say what its detectors are: {error}") from None
    return planned(settings_in(header), header.get("judge", {}).get("models", ()))
