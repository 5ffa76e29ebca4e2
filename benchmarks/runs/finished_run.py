"""A run read back from its folder, finished or cut short: what reports and comparisons of runs start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.cascade import CascadePlan
from benchmarks.datasets import Dataset, load_dataset
from benchmarks.detector_info import REACTOR_NAME, DetectorInfo, default_infos, local_info
from benchmarks.runs.journal import JournalReader, Record
from benchmarks.runs.outcomes import Outcomes, merge, rows_of, take_journal
from benchmarks.runs.run_folder import JOURNAL, dataset_of, header_in
from benchmarks.runs.run_result import RunResult
from kimera.console import settings_of
from kimera.errors import UserError
from kimera.files import PairSettings, reading_of
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
        cascade = self.run.cascade
        if not cascade:
            raise ValueError(f"this run has no detector {name!r}")
        return cascade.finding(index, *(said[side].result_at(index, journal) for side in cascade.sides))


def open_run(folder: str | Path) -> FinishedRun:
    """Reads the journal, and the dataset once. Raises UserError where either is missing or has changed."""
    folder = Path(folder)
    header = header_in(folder)
    options = header["options"]
    try:
        dataset = load_dataset(
            dataset_of(folder, header),
            max_pairs=options["max_pairs"],
            seed=options["seed"],
            shard=options["shard"],
            labelled_only=options["simulate"] and not options["kimera_only"],
            **reading_of(settings_of(PairSettings, options)),
        )
    except UserError as error:
        raise UserError(
            f"{folder}: the dataset of this run must be where it was, or in this folder: {error}"
        ) from None
    if dataset.sha256 != header["dataset"]["sha256"]:
        raise UserError(
            f"{folder}: {dataset.name} has changed since this run began, and no longer holds its pairs"
        )
    dataset = replace(dataset, name=header["dataset"]["name"])
    infos = infos_in(header)
    cascade = next((info for info in infos if info.sides), None)
    outcomes = [Outcomes(info, len(dataset)) for info in infos if not info.sides]
    with JournalReader(folder / JOURNAL) as journal:
        take_journal({outcome.name: outcome for outcome in outcomes}, journal)
    run = merge(dataset, outcomes, header["created"], options["seed"], cascade)
    return FinishedRun(folder, header, dataset, tuple(outcomes), run)


def infos_in(header: Record) -> list[DetectorInfo]:
    """What the detectors of a run are, in their order, a cascade of two of them last.

    A header before version 0.6.0 has no list of them: they follow from its flags and the names of its judges.
    Raises UserError for a list that this version cannot read.
    """
    if "detectors" in header:
        try:
            return [DetectorInfo.from_json(info) for info in header["detectors"]]
        except (AttributeError, TypeError) as error:
            raise UserError(f"the journal's header does not say what its detectors are: {error}") from None
    options = header["options"]
    plan = plan_of(options)
    return default_infos(
        [] if options["judge_only"] else [local_info(REACTOR_NAME)],
        header.get("judge", {}).get("models", ()),
        is_simulated=options["simulate"],
        repeat=options["repeat"],
        swap=options["swap"],
        cascade=plan.settings if plan else None,
    )


def plan_of(options: Mapping[str, Any]) -> CascadePlan | None:
    """Of a run as a cascade, from the flags it was begun with."""
    risk = options["cascade"]
    return CascadePlan(risk, options["max_sent"], options["seed"]) if risk else None
