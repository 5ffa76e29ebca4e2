"""The folder of one run: where its files lie, what its header says, how a run that was cut short goes on."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.datasets import EMBEDDED
from benchmarks.journal import JournalReader, Record
from benchmarks.options import build_parser
from benchmarks.prompts import BUILT_IN
from kimera.errors import UserError
from kimera.model_folders import PACKAGED_NAMES
from kimera.pair_flags import FLAGS as PAIR_FLAGS

JOURNAL = "journal.jsonl"
HEADER_START = b'{"journal":'
RUN_FILES = (JOURNAL, "results.csv", "summary.json", "summary.md", "report.html", "comparison.png")
# What makes it another run; everything else, such as --async or --timeout, may change when a run goes on.
IDENTITY = {
    "dataset": "DATASET",
    "max_pairs": "--max-pairs",
    "seed": "--seed",
    "shard": "--shard",
    **PAIR_FLAGS,
    "kimera_only": "--kimera-only",
    "judge_only": "--judge-only",
    "models": "--model",
    "base_url": "--base-url",
    "prompt": "--prompt",
    "simulate": "--simulate",
    "logprobs": "--logprobs",
    "repeat": "--repeat",
    "swap": "--swap",
    "reactor": "--reactor",
    "verify_weights": "--verify-weights",
    "symmetric": "--symmetric",
    "backend": "--backend",
    "precision": "--precision",
    "device": "--device",
    "encoder": "--encoder",
    "head": "--head",
    "margin": "--margin",
    "cascade": "--cascade",
    "max_sent": "--max-sent",
    "prevalence": "--prevalence",
}
RENAMED = {"most_sent": "max_sent"}  # options of runs by version 0.5.0
SECRET = ("api_key", "headers")  # never written down
OF_ONE_SESSION = ("out", "resume", "dry_run", "json", "quiet")
# Options that may be paths, and the names among them that are none, whatever lies in the current folder.
PATHS = ("dataset", "prompt", "encoder", "head", "verify_weights", "cache_dir")
NAMES = {EMBEDDED, *BUILT_IN, *PACKAGED_NAMES}


def new_run_folder(out: str | None, now: datetime, flag: str = "--out") -> Path:
    """Makes the folder, by default `runs/` and a timestamp. Raises UserError if it holds a run already.

    flag: which named it.
    A journal that ends before its first line does is no run, and is deleted.
    """
    folder = Path(out) if out else _unused(Path("runs") / now.strftime("%Y-%m-%d_%H-%M-%S"))
    never_begun = _never_begun(folder / JOURNAL)
    held = [name for name in RUN_FILES if (folder / name).exists() and not (name == JOURNAL and never_begun)]
    if held:
        raise UserError(
            f"{flag} {folder}: the folder holds a run already ({held[0]}); give another one, "
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


def header_of(options: argparse.Namespace, created: str, identity: dict[str, Any]) -> Record:
    """The first line of a journal: all flags but secrets, and the hashes of what a flag only names."""
    kept = {name: value for name, value in vars(options).items() if name not in (*SECRET, *OF_ONE_SESSION)}
    kept |= {name: _absolute(kept[name]) for name in PATHS}  # the run may go on from another folder
    header_names = sorted(name for name, _ in options.headers or ())
    return {"created": created, **identity, "options": kept, "header_names": header_names}


def _absolute(value: str | None) -> str | None:
    return os.path.abspath(value) if value and value not in NAMES and Path(value).exists() else value


def resumed_options(
    argv: Sequence[str] | None, folder: str, parser: argparse.ArgumentParser
) -> tuple[argparse.Namespace, Record]:
    """The flags of the run in `folder`, with those of this command line over them, and the run's header.

    parser: of this command line; it need not know all the flags of a run.
    Raises UserError where a flag would make it another run.
    """
    header = header_in(folder)
    saved = header["options"]
    parser.set_defaults(**{**saved, "models": None, "fail_if": None})  # argparse would add to a list
    options = parser.parse_args(argv)
    options.models = options.models or saved["models"]
    options.fail_if = options.fail_if or saved.get("fail_if")
    for name, flag in IDENTITY.items():
        given = getattr(options, name)
        if (_absolute(given) if name in PATHS else given) != saved[name]:
            began = "not given" if saved[name] is None else repr(saved[name])
            raise UserError(
                f"--resume {folder}: {flag} was {began} when this run began; leave the flag out, "
                "or start a new run"
            )
    options.dataset = dataset_of(folder, header)
    if header["header_names"] and not options.headers:
        names = ", ".join(header["header_names"])
        raise UserError(f"--resume {folder}: give --header again for {names}, since headers are never saved")
    return options, header


def dataset_of(folder: str | Path, header: Record) -> str:
    """The dataset of the run: the file of its name in the folder, if it is that, or where it was."""
    given = str(header["options"]["dataset"])
    beside = Path(folder) / Path(given).name
    if not beside.is_file():
        return given
    with beside.open("rb") as file:
        is_it = hashlib.file_digest(file, "sha256").hexdigest() == header["dataset"]["sha256"]
    return str(beside) if is_it else given


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
    saved = {RENAMED.get(name, name): value for name, value in header["options"].items()}
    return {**vars(build_parser().parse_args([])), "dataset": header["dataset"]["name"], **saved}


def check_same(folder: str, header: Record, identity: dict[str, Any]) -> None:
    """Raises UserError naming what has changed since the run began: dataset, prompt, judge, weights."""
    changed = [name for name, value in identity.items() if name != "version" and header.get(name) != value]
    if changed:
        raise UserError(
            f"--resume {folder}: changed since this run began: {', '.join(changed)}; start a new run"
        )
