"""A run: the comparison that its settings ask for, from the dataset to the exit code."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.cascade import BudgetError
from benchmarks.datasets import Dataset
from benchmarks.detector_info import DetectorInfo, combination_in
from benchmarks.judge import INTERRUPTED as BY_CTRL_C
from benchmarks.judge import Prompt, kind_of, request_mark, unasked_in
from benchmarks.report import require_labels, write_report
from benchmarks.runs import (
    JOURNAL,
    Comparison,
    Detector,
    Journal,
    JournalReader,
    Recorder,
    at_thresholds,
    check_judge,
    check_same,
    compare,
    detectors_header,
    detectors_of,
    dry_run,
    header_of,
    is_begun,
    judges_base_url,
    judges_of,
    label_plan,
    local_names_of,
    local_words,
    new_run_folder,
    pairs_of_run,
    planned,
    prompt_of,
    protocol_of,
    rows_of,
    with_examples,
)
from benchmarks.settings import RunSettings
from benchmarks.stats import (
    Gate,
    Prospect,
    are_estimated,
    exit_code_with,
    known_figures,
    parse_gates,
    parts_of,
)
from kimera.console import DONE, FAILED, INTERRUPTED, note, reader_may_leave
from kimera.detectors import VerdictSource
from kimera.errors import BrokenContractError, UserError
from kimera.files import STANDARD_INPUT, TITLE, dropped_rows, pair_columns_of, spooled
from kimera.local_names import REACTOR, LocalName
from kimera.local_settings import sources_of, to_be_fetched
from kimera.pairs import Pair
from kimera.version import __version__

Show = Callable[[RunSettings, dict[str, Any], Path], object]


def run_comparison(
    settings: RunSettings,
    header: dict[str, Any] | None,
    command: str,
    show: Show,
    known: Sequence[Pair] | None = None,
) -> int:
    """Compares the detectors of these settings, and gives the exit code.

    header: of the run that goes on, None where one begins. command: what goes on with it where it ends early.
    show: is given the settings, the summary and the run's folder. known: what a simulated judge answers from;
    by default the labels of the dataset.
    """
    check_judge(settings)
    command += local_words(settings)
    infos = planned(settings)
    combination = combination_in(infos)
    gates = parse_gates(settings.fail_if, known_figures(infos))
    now = datetime.now().astimezone()
    prompt = prompt_of(settings)
    with contextlib.ExitStack() as stack:
        spool = stack.enter_context(spooled()) if settings.dataset == STANDARD_INPUT else None
        dataset = _load_dataset(
            settings,
            spool,
            f"--resume {settings.resume}" if header else "",
            takes_labels=known is None and not settings.plan,
        )
        if not settings.kimera_only:
            prompt = with_examples(prompt, settings, dataset, note)
        if header:  # a path may read differently from where the run goes on
            dataset = replace(dataset, name=header["dataset"]["name"])
        else:
            _require_figures(settings, dataset, gates, infos)
        names = local_names_of(settings)
        if settings.dry_run:
            _sources_here(settings, names)
            return dry_run(settings, dataset, prompt)
        if settings.plan:
            return label_plan(settings, settings.plan, dataset, prompt, _sources_here(settings, names))
        sources = at_thresholds(
            sources_of(settings, settings, settings.reactor, names, pair_columns_of(settings)),
            settings.threshold,
            [name.title for name in names],
        )
        identity = _identity(settings, dataset, prompt, sources)
        resumed = Path(settings.resume) if header and settings.resume else None
        if header and resumed:
            check_same(resumed, header, identity, names)
        detectors = detectors_of(settings, dataset, prompt, sources, stack, known)
        folder = resumed or new_run_folder(settings.out, now)
        if spool:  # reports and a run that goes on need it
            settings = replace(settings, dataset=str(shutil.copy(spool, folder)))
        created = header["created"] if header else now.isoformat(timespec="seconds")
        about_detectors = detectors_header(detectors, combination)
        # What auto stands for today another version may guess otherwise.
        as_begun = replace(settings, protocol=protocol_of(settings).name)
        new_header = None if header else header_of(as_begun, created, identity) | about_detectors
        # The folder exists from here on: what goes wrong now ends a run that can go on.
        try:
            if not settings.quiet:
                print(f"run folder: {folder}", file=sys.stderr)
            comparison = _compare(settings, dataset, detectors, combination, folder, created, new_header)
            summary = _report(settings, comparison, dataset, folder, show)
        except KeyboardInterrupt:
            print(f"interrupted; {_way_on(command, folder)}", file=sys.stderr)
            return INTERRUPTED
        except BudgetError as error:
            print(f"error: {error}", file=sys.stderr)
            return FAILED
        except BrokenContractError as error:
            print(f"error: {error}\nmend it, and start a new run", file=sys.stderr)
            return FAILED
        except (UserError, OSError) as error:
            print(f"error: {error}\n{_way_on(command, folder)}", file=sys.stderr)
            return FAILED
    return exit_code_with(gates, parts_of(summary), _exit_code(settings, comparison, command, folder))


def _sources_here(settings: RunSettings, names: Sequence[LocalName]) -> dict[str, VerdictSource]:
    """Its local detectors at their thresholds, but for those that would be fetched; says which."""
    wanted = {name: to_be_fetched([name], settings, settings, settings.reactor) for name in names}
    here = [name for name in names if not wanted[name]]
    sources = sources_of(settings, settings, settings.reactor, here, pair_columns_of(settings))
    for model in dict.fromkeys(model for models in wanted.values() for model in models):
        note(f"{model} is not on this machine; the run would fetch it from the Hugging Face hub")
    return at_thresholds(sources, settings.threshold, [name.title for name in names])


def _require_figures(
    settings: RunSettings, dataset: Dataset, gates: Sequence[Gate], infos: Sequence[DetectorInfo]
) -> None:
    """Raises UserError where settings ask for figures that this run cannot have, whatever comes of it."""
    require_labels(settings, dataset.labels)
    takes = {
        "calibrated.": ("--calibrate", settings.calibrate),
        "at_prevalence.": ("--prevalence", settings.prevalence),
        "calibration.": ("--logprobs", settings.logprobs),
        "stability.flip_rate": ("--repeat", settings.repeat > 1),
        "stability.order_disagreement": ("--swap", settings.swap),
        "stability.": ("--repeat or --swap", settings.repeat > 1 or settings.swap),
    }
    Prospect(
        {info.name: info for info in infos},
        dataset.labelled,
        {start: flag for start, (flag, is_given) in takes.items() if not is_given},
        are_estimated(dataset.labels),
    ).require(gates)


def _load_dataset(settings: RunSettings, spool: Path | None, begun: str, *, takes_labels: bool) -> Dataset:
    """spool: a file with what standard input held, where that is the dataset. begun: as of `pairs_of_run`.

    takes_labels: whether a simulated judge answers from those of the dataset.
    """
    bad_rows: list[str] = []
    dataset = pairs_of_run(
        settings,
        spool or settings.dataset,
        begun,
        title=TITLE if spool else "",
        on_bad_row=bad_rows.append,
        on_note=note,
    )
    if bad_rows:
        note(dropped_rows(bad_rows))
    if dataset.no_gold_label:
        note(f"{dataset.no_gold_label} rows without a gold label were dropped")
    if settings.asks_simulator and takes_labels and not dataset.labelled:
        raise UserError("--simulate answers from the labels, but this dataset has none")
    if settings.asks_simulator and takes_labels and dataset.unlabelled:
        note(
            f"{dataset.unlabelled} pairs without a label are left out, because the simulated judge "
            "answers from the labels"
        )
    return dataset


def _identity(
    settings: RunSettings, dataset: Dataset, prompt: Prompt, sources: Mapping[str, VerdictSource]
) -> dict[str, Any]:
    """The hashes that tell whether a run which goes on is still the same run."""
    identity: dict[str, Any] = {
        "version": __version__,
        "dataset": {"name": dataset.name, "sha256": dataset.sha256, "pairs": len(dataset)},
    }
    if not settings.kimera_only:
        identity["judge"] = {
            "models": judges_of(settings),
            "base_url": "simulated" if settings.simulate else judges_base_url(settings),
        }
        protocol = protocol_of(settings)
        address = protocol.url("", "")  # the version of the API may stand in it
        identity["request"] = {"url": address, "headers": request_mark(protocol, dict(settings.headers))}
        identity["prompt"] = {"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256}
    for name, source in sources.items():
        from kimera.reactor import Reactor  # takes long, and a run of judges alone has no sources

        marks: dict[str, Any] = dict(source.fingerprints)
        if isinstance(source, Reactor) and name == REACTOR:  # where earlier versions have it
            identity["reactor"] = {**marks, "symmetric": source.symmetric}
        else:
            identity.setdefault("local", {})[name] = marks
    return identity


def _compare(
    settings: RunSettings,
    dataset: Dataset,
    detectors: list[Detector],
    combination: DetectorInfo | None,
    folder: Path,
    created: str,
    new_header: dict[str, Any] | None,
) -> Comparison:
    """new_header: of a run that begins; None where one goes on."""
    path = folder / JOURNAL
    with Journal(path, header=new_header) as journal, contextlib.ExitStack() as stack:
        earlier = None if new_header else stack.enter_context(JournalReader(path))
        return compare(
            dataset,
            detectors,
            journal,
            earlier,
            created=created,
            seed=settings.seed,
            combination=combination,
            quiet=settings.quiet,
        )


def _report(
    settings: RunSettings,
    comparison: Comparison,
    dataset: Dataset,
    folder: Path,
    show: Show,
) -> dict[str, Any]:
    rows = rows_of(dataset, comparison.recorders, comparison.run, folder / JOURNAL)
    summary = write_report(
        comparison.run,
        rows,
        folder,
        margin=settings.margin / 100,
        prevalence=settings.prevalence,
        calibrate=settings.calibrate,
        viz=not settings.no_viz,
    )
    with reader_may_leave():
        show(settings, summary, folder)
    return summary


def _exit_code(settings: RunSettings, comparison: Comparison, command: str, folder: Path) -> int:
    """Says which pairs failed and what ended a detector early, or that it answered nothing."""
    stopped_by = comparison.stopped_by
    too_many_failed = [_tell_failures(recorder, comparison, settings) for recorder in comparison.recorders]
    for name, failure in stopped_by.items():
        todo = kind_of(failure.kind).remedy_for(protocol_of(settings).api)
        remedy = f"; {todo}" if todo else ""
        print(f"error: {name} stopped early: {failure.kind}: {failure.message}{remedy}", file=sys.stderr)
    if stopped_by:
        more = ""
        if any(failure.kind == "max_cost" for failure in stopped_by.values()):
            spent = sum(judge.dollars or 0.0 for judge in comparison.run.of_role("judge"))
            least = max(settings.max_cost or 0.0, spent)
            more = f" --max-cost DOLLARS, with more than {least:.4g} by what the next requests may cost"
        if any(kind_of(failure.kind).is_setting for failure in stopped_by.values()):
            print("a run keeps the settings that it began with, so begin a new one", file=sys.stderr)
        else:
            print(_way_on(command, folder) + more, file=sys.stderr)
        return INTERRUPTED if BY_CTRL_C in stopped_by.values() else FAILED
    silent = [result.name for result in comparison.run.detectors if not result.answered.any()]
    failures = {recorder.name: recorder.commonest_failure for recorder in comparison.recorders}
    for name in silent:
        why = f": {reason.rstrip('.')}" if (reason := failures.get(name)) else ""
        print(
            f"error: {name} gave no verdict on any pair{why}; results.csv has all failures", file=sys.stderr
        )
    return FAILED if silent or any(too_many_failed) else DONE


def _tell_failures(recorder: Recorder, comparison: Comparison, settings: RunSettings) -> bool:
    """Says how many pairs a detector failed on, and why; whether these are more than --max-failed allows."""
    result = comparison.run.detector(recorder.name)
    failed = {kind: count for kind, count in result.errors.items() if kind_of(kind).is_failure}
    lost, asked = (
        sum(failed.values()),
        len(result.verdicts) - result.spared - unasked_in(result.errors),
    )
    if not lost:
        return False
    too_many: bool = lost > settings.max_failed * asked
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in failed.items())
    message = f"{recorder.name} failed on {lost:,} of {asked:,} pairs ({kinds})"
    if recorder.commonest_failure and recorder.name not in comparison.stopped_by:
        message += f"; the most frequent error is: {recorder.commonest_failure.rstrip('.')}"
    if too_many:
        message += f". That is more than --max-failed {settings.max_failed:g} allows"
    print(f"{'error' if too_many else 'note'}: {message}", file=sys.stderr)
    return too_many


def _way_on(command: str, folder: Path) -> str:
    """How the run goes on, if it has begun."""
    if not is_begun(folder):
        return f"nothing was begun in {folder}"
    return f"go on with: {command} --resume {shlex.quote(str(folder))}"
