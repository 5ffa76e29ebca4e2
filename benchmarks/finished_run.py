"""A run read back from its folder, finished or cut short: what reports and comparisons of runs start from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.cascade import CascadePlan
from benchmarks.datasets import Dataset, load_dataset
from benchmarks.journal import JournalReader, Record
from benchmarks.outcomes import Outcomes, merge, rows_of, take_journal
from benchmarks.results import REACTOR_NAME, RunResult
from benchmarks.run_folder import JOURNAL, dataset_of, header_in
from kimera.errors import UserError
from kimera.pair_settings import PairSettings, reading_of
from kimera.pairs import Failure, Pair, Verdict
from kimera.settings import settings_of


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
        said = {each.name: each for each in self.outcomes}
        if name in said:
            return said[name].result_at(index, journal)
        if not self.run.cascade:
            raise ValueError(f"this run has no detector {name!r}")
        return self.run.cascade.finding(index, *(each.result_at(index, journal) for each in self.outcomes))


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
    variants = options["repeat"] * (2 if options["swap"] else 1)
    outcomes = [] if options["judge_only"] else [Outcomes(REACTOR_NAME, len(dataset))]
    outcomes += [
        Outcomes(model, len(dataset), variants) for model in header.get("judge", {}).get("models", ())
    ]
    with JournalReader(folder / JOURNAL) as journal:
        take_journal({each.name: each for each in outcomes}, journal)
    run = merge(dataset, outcomes, header["created"], options["seed"], plan_of(options))
    return FinishedRun(folder, header, dataset, tuple(outcomes), run)


def plan_of(options: Mapping[str, Any]) -> CascadePlan | None:
    """Of a run as a cascade, from the flags it was begun with."""
    risk = options["cascade"]
    return CascadePlan(risk, options["max_sent"], options["seed"]) if risk else None
