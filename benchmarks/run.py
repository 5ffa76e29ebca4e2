"""A run: the comparison that its flags ask for, from the dataset to the exit code."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.detectors import check_judge, detector_names, detectors_of, judges_base_url, judges_of
from benchmarks.failures import INTERRUPTED as BY_CTRL_C
from benchmarks.failures import REMEDIES, kind_of
from kimera import __version__
from kimera.errors import UserError
from kimera.exit_codes import DONE, FAILED, INTERRUPTED
from kimera.reactor_flags import reactor_of
from kimera.standard_input import STANDARD_INPUT, TITLE, spooled
from kimera.standard_output import note

if TYPE_CHECKING:
    from benchmarks.comparison import Comparison, Detector
    from benchmarks.datasets import Dataset
    from benchmarks.gates import Gate
    from benchmarks.prompts import Prompt
    from benchmarks.recorder import Recorder
    from kimera.reactor import Reactor

    Show = Callable[[argparse.Namespace, dict[str, Any], Path], object]


def run_comparison(
    options: argparse.Namespace,
    header: dict[str, Any] | None,
    command: str,
    show: Show,
) -> int:
    """Compares the detectors of these flags, and gives the exit code.

    header: of the run that goes on, None where one begins. command: what goes on with it where it ends early.
    show: is given the flags, the summary and the run's folder.
    """
    from benchmarks.cascade import BudgetError
    from benchmarks.gates import exit_code_with, known_figures, parse_gates, parts_of
    from benchmarks.prompts import load_prompt
    from benchmarks.run_folder import check_same, header_of, new_run_folder

    check_judge(options)
    gates = parse_gates(options.fail_if, known_figures(detector_names(options)))
    now = datetime.now().astimezone()
    prompt = load_prompt(options.prompt)
    with contextlib.ExitStack() as stack:
        spool = stack.enter_context(spooled()) if options.dataset == STANDARD_INPUT else None
        dataset = _load_dataset(options, spool)
        if header:  # a path may read differently from where the run goes on
            dataset = replace(dataset, name=header["dataset"]["name"])
        else:
            _require_figures(options, dataset, gates)
        if options.dry_run:
            from benchmarks.dry_run import dry_run

            return dry_run(options, dataset, prompt)
        reactor = None if options.judge_only else reactor_of(options, options.reactor)
        identity = _identity(options, dataset, prompt, reactor)
        if header:
            check_same(options.resume, header, identity)
        detectors = detectors_of(options, dataset, prompt, reactor, stack)
        folder = Path(options.resume) if header else new_run_folder(options.out, now)
        if spool:  # reports and a run that goes on need it
            options.dataset = shutil.copy(spool, folder)
        created = header["created"] if header else now.isoformat(timespec="seconds")
        new_header = None if header else header_of(options, created, identity)
        # The folder exists from here on: what goes wrong now ends a run that can go on.
        try:
            if not options.quiet:
                print(f"run folder: {folder}", file=sys.stderr)
            comparison = _compare(options, dataset, detectors, folder, created, new_header)
            summary = _report(options, comparison, dataset, folder, show)
        except KeyboardInterrupt:
            print(f"interrupted; {_way_on(command, folder)}", file=sys.stderr)
            return INTERRUPTED
        except BudgetError as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        except (UserError, OSError) as error:
            print(f"error: {error}\n{_way_on(command, folder)}", file=sys.stderr)
            return FAILED
    return exit_code_with(gates, parts_of(summary), _exit_code(options, comparison, command, folder))


def _require_figures(options: argparse.Namespace, dataset: Dataset, gates: Sequence[Gate]) -> None:
    """Raises UserError where flags ask for figures that this run cannot have, whatever comes of it."""
    from benchmarks.gates import Prospect
    from benchmarks.results import CASCADE_NAME, REACTOR_NAME

    if options.prevalence and not dataset.labelled:
        raise UserError(
            "--prevalence restates figures that take labels, and no pair of this dataset has one; leave the "
            "flag out"
        )
    takes = {
        "at_prevalence.": ("--prevalence", options.prevalence),
        "calibration.": ("--logprobs", options.logprobs),
        "stability.flip_rate": ("--repeat", options.repeat > 1),
        "stability.order_disagreement": ("--swap", options.swap),
        "stability.": ("--repeat or --swap", options.repeat > 1 or options.swap),
    }
    kinds = {REACTOR_NAME: "reactor", CASCADE_NAME: "cascade"}
    Prospect(
        {name: kinds.get(name, "judge") for name in detector_names(options)},
        dataset.labelled,
        {start: flag for start, (flag, is_given) in takes.items() if not is_given},
    ).require(gates)


def _load_dataset(options: argparse.Namespace, spool: Path | None) -> Dataset:
    """spool: a file with what standard input held, where that is the dataset."""
    from benchmarks.datasets import load_dataset
    from kimera.pair_files import dropped_rows
    from kimera.pair_flags import reading_of

    bad_rows: list[str] = []
    asks_simulator = options.simulate and not options.kimera_only
    dataset = load_dataset(
        spool or options.dataset,
        title=TITLE if spool else "",
        max_pairs=options.max_pairs,
        seed=options.seed,
        shard=options.shard,
        labelled_only=asks_simulator,
        on_bad_row=bad_rows.append,
        on_note=note,
        **reading_of(vars(options)),
    )
    if bad_rows:
        note(dropped_rows(bad_rows))
    if dataset.no_gold_label:
        note(f"{dataset.no_gold_label} rows without a gold label were dropped")
    if asks_simulator and not dataset.labelled:
        raise UserError("--simulate answers from the labels, but this dataset has none")
    if asks_simulator and dataset.unlabelled:
        note(
            f"{dataset.unlabelled} pairs without a label are left out, because the simulated judge "
            "answers from the labels"
        )
    return dataset


def _identity(
    options: argparse.Namespace, dataset: Dataset, prompt: Prompt, reactor: Reactor | None
) -> dict[str, Any]:
    """The hashes that tell whether a run which goes on is still the same run."""
    identity: dict[str, Any] = {
        "version": __version__,
        "dataset": {"name": dataset.name, "sha256": dataset.sha256, "pairs": len(dataset)},
    }
    if not options.kimera_only:
        identity["judge"] = {
            "models": judges_of(options),
            "base_url": "simulated" if options.simulate else judges_base_url(options),
        }
        identity["prompt"] = {"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256}
    if reactor:
        identity["reactor"] = {**reactor.fingerprints, "symmetric": reactor.symmetric}
    return identity


def _compare(
    options: argparse.Namespace,
    dataset: Dataset,
    detectors: list[Detector],
    folder: Path,
    created: str,
    new_header: dict[str, Any] | None,
) -> Comparison:
    """new_header: of a run that begins; None where one goes on."""
    from benchmarks.comparison import compare
    from benchmarks.finished_run import plan_of
    from benchmarks.journal import Journal, JournalReader
    from benchmarks.run_folder import JOURNAL

    path = folder / JOURNAL
    with Journal(path, header=new_header) as journal, contextlib.ExitStack() as stack:
        earlier = None if new_header else stack.enter_context(JournalReader(path))
        return compare(
            dataset,
            detectors,
            journal,
            earlier,
            created=created,
            seed=options.seed,
            plan=plan_of(vars(options)),
            quiet=options.quiet,
        )


def _report(
    options: argparse.Namespace,
    comparison: Comparison,
    dataset: Dataset,
    folder: Path,
    show: Show,
) -> dict[str, Any]:
    from benchmarks.outcomes import rows_of
    from benchmarks.report import write_report
    from benchmarks.run_folder import JOURNAL
    from kimera.standard_output import reader_may_leave

    rows = rows_of(dataset, comparison.recorders, comparison.run, folder / JOURNAL)
    summary = write_report(
        comparison.run,
        rows,
        folder,
        margin=options.margin / 100,
        prevalence=options.prevalence,
        viz=not options.no_viz,
    )
    with reader_may_leave():
        show(options, summary, folder)
    return summary


def _exit_code(options: argparse.Namespace, comparison: Comparison, command: str, folder: Path) -> int:
    """Says which pairs failed and what ended a detector early, or that it answered nothing."""
    stopped_by = comparison.stopped_by
    too_many_failed = [_tell_failures(recorder, comparison, options) for recorder in comparison.recorders]
    for name, failure in stopped_by.items():
        remedy = f"; {REMEDIES[failure.kind]}" if failure.kind in REMEDIES else ""
        print(f"error: {name} stopped early: {failure.kind}: {failure.message}{remedy}", file=sys.stderr)
    if stopped_by:
        more = ""
        if any(failure.kind == "max_cost" for failure in stopped_by.values()):
            spent = sum(each.dollars or 0.0 for each in comparison.run.detectors if each.kind == "judge")
            more = f" --max-cost DOLLARS, with more than {max(options.max_cost, spent):.4g}"
        print(_way_on(command, folder) + more, file=sys.stderr)
        return INTERRUPTED if BY_CTRL_C in stopped_by.values() else FAILED
    silent = [result.name for result in comparison.run.detectors if not result.answered.any()]
    for name in silent:
        print(f"error: {name} gave no verdict on any pair; results.csv says why", file=sys.stderr)
    return FAILED if silent or any(too_many_failed) else DONE


def _tell_failures(recorder: Recorder, comparison: Comparison, options: argparse.Namespace) -> bool:
    """Says how many pairs a detector failed on, and why; whether these are more than --max-failed allows."""
    result = next(each for each in comparison.run.detectors if each.name == recorder.name)
    failed = {kind: count for kind, count in result.errors.items() if kind_of(kind).is_failure}
    lost, asked = (
        sum(failed.values()),
        len(result.verdicts) - result.spared - result.errors.get("not_asked", 0),
    )
    if not lost:
        return False
    too_many: bool = lost > options.max_failed * asked
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in failed.items())
    told = f"{recorder.name} failed on {lost:,} of {asked:,} pairs ({kinds})"
    if recorder.commonest_failure and recorder.name not in comparison.stopped_by:
        told += f"; the most frequent error is: {recorder.commonest_failure.rstrip('.')}"
    if too_many:
        told += f". That is more than --max-failed {options.max_failed:g} allows"
    print(f"{'error' if too_many else 'note'}: {told}", file=sys.stderr)
    return too_many


def _way_on(command: str, folder: Path) -> str:
    """How the run goes on, if it has begun."""
    from benchmarks.run_folder import is_begun

    if not is_begun(folder):
        return f"nothing was begun in {folder}"
    return f"go on with: {command} --resume {shlex.quote(str(folder))}"
