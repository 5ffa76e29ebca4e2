"""The folder of one run: where its files lie, what its header says, how a run that was cut short goes on."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.data import EMBEDDED_FILES
from benchmarks.datasets import Dataset, load_dataset
from benchmarks.judge import AUTO, BUILT_IN, DEFAULT_PROTOCOL
from benchmarks.runs.journal import JournalReader, Record
from benchmarks.runs.requested_detectors import NAMING, local_words, way_on
from benchmarks.settings import RunSettings
from kimera.console import CommandLine, Option, options_of, settings_of
from kimera.errors import UserError
from kimera.files import reading_of
from kimera.local_names import LocalName, local_kind, stages_in
from kimera.models import PACKAGED_NAMES

JOURNAL = "journal.jsonl"
HEADER_START = b'{"journal":'
RUN_FILES = (JOURNAL, "results.csv", "summary.json", "summary.md", "report.html", "comparison.png")
# What is no path, whatever lies in the current folder.
NAMES = {*EMBEDDED_FILES, *BUILT_IN, *PACKAGED_NAMES}


def new_run_folder(out: str | None, now: datetime, flag: str = "--out") -> Path:
    """Makes the folder, by default `runs/` and a timestamp. Raises UserError if it holds a run already.

    flag: which named it.
    A journal that ends before its first line does is no run, and is deleted.
    """
    folder = Path(out) if out else _unused(Path("runs") / now.strftime("%Y-%m-%d_%H-%M-%S"))
    never_begun = _never_begun(folder / JOURNAL)
    present = [
        name for name in RUN_FILES if (folder / name).exists() and not (name == JOURNAL and never_begun)
    ]
    if present:
        raise UserError(
            f"{flag} {folder}: the folder holds a run already ({present[0]}); give another one, "
            f"or --resume {folder}"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag} {folder}: cannot make this folder: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{flag} {folder}: you have no permission to write there; give another folder")
    if never_begun:
        (folder / JOURNAL).unlink()
    return folder


def is_begun(folder: Path) -> bool:
    """Whether a run in this folder has come so far that it can go on."""
    return (folder / JOURNAL).is_file() and not _never_begun(folder / JOURNAL)


def _never_begun(journal: Path) -> bool:
    """Whether a death, or a full disk, cut the journal off within its first line."""
    if not journal.is_file():
        return False
    with journal.open("rb") as file:
        line = file.readline()
    # Something else of that name, which happens to be one unended line, is nothing to delete.
    ours = line[: len(HEADER_START)] == HEADER_START[: len(line)]
    return ours and not line.endswith(b"\n")


def _unused(folder: Path) -> Path:
    """Two runs may start in the same second."""
    number = 2
    candidate = folder
    while candidate.exists():
        candidate = folder.with_name(f"{folder.name}_{number}")
        number += 1
    return candidate


def header_of(settings: RunSettings, created: str, identity: dict[str, Any]) -> Record:
    """The first line of a journal: all settings but secrets, and the hashes of what a setting only names."""
    kept = {
        name: _kept(declared, getattr(settings, name))
        for name, declared in options_of(RunSettings).items()
        if not (declared.secret or declared.one_session)
    }
    header_names = sorted(name for name, _ in settings.headers)
    return {"created": created, **identity, "options": kept, "header_names": header_names}


def _kept(declared: Option, value: Any) -> Any:
    """A setting as a journal has it: a path is absolute, since the run may go on from another folder."""
    if declared.kept and value:
        return tuple(map(declared.kept, value)) if declared.is_many else declared.kept(value)
    is_path = declared.path and value and value not in NAMES and os.path.exists(value)
    return os.path.abspath(value) if is_path else value


def resumed_settings(
    told: CommandLine[RunSettings], folder: str, command: str = "kimera compare"
) -> tuple[RunSettings, Record]:
    """The settings of the run in `folder`, with what this command line tells over them; the run's header.

    command: which goes on with it. Raises UserError where that would make another run.
    """
    header = header_in(folder)
    saved = settings_in(header)
    stated = {name: (value, getattr(told.settings, name)) for name, value in _stated(told).items()}
    if told.settings.protocol == AUTO:  # it is what it stood for when the run began
        stated.pop("protocol", None)
    for name, (declared, value) in stated.items():
        began = getattr(saved, name)
        if declared.identity and _kept(declared, value) != began:
            remedy = "leave the flag out" if name in told.flags else f"take it out of {told.file}"
            ways = f"{remedy}, or start a new run"
            if name in told.flags.intersection(NAMING) and local_words(saved):  # it must be given
                ways = f"start a new run, or go on with: {way_on(command, saved, folder)}"
            raise UserError(
                f"--resume {folder}: {declared.shown} was {_as_given(began)} when this run began; {ways}"
            )
    changes = {name: value for name, (declared, value) in stated.items() if not declared.identity}
    settings = replace(saved, **changes, dataset=dataset_of(folder, header))
    if header["header_names"] and not settings.headers:
        names = ", ".join(header["header_names"])
        raise UserError(f"--resume {folder}: give --header again for {names}, since headers are never saved")
    return settings, header


def _stated(told: CommandLine[RunSettings]) -> dict[str, Option]:
    """The options that this command line gives to a run that goes on.

    A configuration file that was only found says nothing of the run itself, which flags may have begun
    otherwise: the command that Kimera prints, to go on, must work beside it.
    """
    return {
        name: declared
        for name, declared in options_of(RunSettings).items()
        if name in told.flags or (name in told.in_file and (told.is_file_named or declared.one_session))
    }


def _as_given(value: Any) -> str:
    if value is None or value is False or value == ():
        return "not given"
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else repr(value)


def dataset_of(folder: str | Path, header: Record) -> str:
    """The dataset of the run: the file of its name in the folder, if it is that, or where it was."""
    path = str(header["options"]["dataset"])
    beside = Path(folder) / Path(path).name
    if not beside.is_file():
        return path
    with beside.open("rb") as file:
        is_it = hashlib.file_digest(file, "sha256").hexdigest() == header["dataset"]["sha256"]
    return str(beside) if is_it else path


def pairs_of_run(settings: RunSettings, source: str | Path, begun: str = "", **reports: Any) -> Dataset:
    """The pairs that a run is made over.

    begun: how messages call a run that has begun, whose dataset may have gone since. reports: as
    `load_dataset` takes them.
    """
    reading = reading_of(settings)
    reading["roles"] = replace(reading["roles"], label_weights=settings.label_weights)
    try:
        return load_dataset(
            source,
            max_pairs=settings.max_pairs,
            seed=settings.seed,
            shard=settings.shard,
            labelled_only=settings.asks_simulator and not settings.plan,
            **reading,
            **reports,
        )
    except UserError as error:
        if not begun or Path(source).is_file():  # which says itself what is wrong with it
            raise
        raise UserError(
            f"{begun}: the dataset of this run must be where it was, or in this folder: {error}"
        ) from None


def header_in(folder: str | Path) -> Record:
    """The header of the run in `folder`, of this version or an earlier one. Raises UserError for no run."""
    path = Path(folder) / JOURNAL
    if not path.is_file():
        raise UserError(f"{folder}: no run there (no {JOURNAL})")
    if _never_begun(path):
        raise UserError(
            f"{folder}: no run was started there ({JOURNAL} ends within its first line); start a new run"
        )
    with JournalReader(path) as journal:
        header = journal.header
    if lacking := [name for name in ("created", "dataset", "options") if not header.get(name)]:
        raise UserError(f"{path}, line 1: lacks {', '.join(lacking)}, so it is not the journal of a run")
    return {"header_names": [], **header, "options": _options_in(header)}


def _options_in(header: Record) -> dict[str, Any]:
    """All options of today. What the run's version did not know yet does what it did then: the default."""
    declared = options_of(RunSettings)
    today = {
        old.removeprefix("--").replace("-", "_"): name for name in declared for old in declared[name].old
    }
    saved = {today.get(name, name): value for name, value in header["options"].items()}
    defaults = {name: setting.default for name, setting in declared.items()}
    return {**defaults, "dataset": header["dataset"]["name"], **saved}


def settings_in(header: Record) -> RunSettings:
    """The settings that a run was begun with. header: as `header_in` gives it."""
    settings = settings_of(RunSettings, {"protocol": DEFAULT_PROTOCOL, **header["options"]})
    # Without --model the judge was named by what is the default where the run began.
    return replace(settings, models=settings.models or tuple(header.get("judge", {}).get("models", ())))


def check_same(
    folder: str | Path, header: Record, identity: dict[str, Any], names: Sequence[LocalName] = ()
) -> None:
    """Raises UserError naming what has changed since the run began: dataset, prompt, judge, weights.

    names: of its local detectors.
    """
    unwritten = {name for name in ("request",) if name not in header}  # by earlier versions
    told = {name: value for name, value in identity.items() if name not in {"version", *unwritten}}
    changed = [name for name, value in told.items() if header.get(name) != value]
    if "request" in changed:
        changed[changed.index("request")] = "request (values of --header, or the version of the API)"
    if "local" in changed:
        began = header.get("local") or {}
        marked = identity["local"].items()
        detectors = [_changed(title, began.get(title, {}), marks, names) for title, marks in marked]
        changed[changed.index("local")] = "local detector " + " and ".join(filter(None, detectors))
    if changed:
        raise UserError(
            f"--resume {folder}: changed since this run began: {', '.join(changed)}; start a new run"
        )


def _changed(title: str, began: Record, marks: Record, names: Sequence[LocalName]) -> str:
    """The detector and the files that have changed; empty where it is the same."""
    if marks == began:
        return ""
    parts = [part for part in {**began, **marks} if began.get(part) != marks.get(part)]
    stages = list(stages_in([name for name in names if name.title == title]))
    files = [
        _file_of(stage)
        for stage in stages
        if len(stages) == 1 or any(part.startswith(f"{stage.title}.") for part in parts)
    ]
    told = [file for file in files if file and file != title]
    return f"{title} ({', '.join(told)})" if told else title


def _file_of(name: LocalName) -> str:
    path = local_kind(name).path(name.rest)
    return getattr(sys.modules.get(path), "__file__", None) or path
