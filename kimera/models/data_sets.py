"""What is known of files of labelled pairs: their titles, licences and remarks, for cards and weights."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from kimera.errors import UserError

SHIPPED_SOURCES = Path(__file__).parents[1] / "weights" / "sources.json"


@dataclass(frozen=True, slots=True)
class DataSet:
    """What is known of a file of labelled pairs: what its user stated; nothing is guessed from its name."""

    title: str
    licence: str = "not stated"
    remarks: str = ""

    @property
    def heading(self) -> str:
        """The title, and the remarks in brackets."""
        return f"{self.title} ({self.remarks})" if self.remarks else self.title


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """A training file: what it is, its labelled pairs (None: not recorded), what each counted in the fit."""

    data_set: DataSet
    pairs: int | None
    weight: float

    def with_remark(self, remark: str) -> TrainingSource:
        """The same with one more remark."""
        remarks = "; ".join(filter(None, [self.data_set.remarks, remark]))
        return replace(self, data_set=replace(self.data_set, remarks=remarks))


def read_sources(path: Path) -> dict[str, DataSet]:
    """Read a JSON object of file name to title, licence and remarks (the last two may be left out).

    Raises `UserError` if the file cannot be read or holds something else.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: _data_set(entry) for name, entry in entries.items()}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} does not describe data sets ({error}); expected JSON like "
            '{"pairs.csv": {"title": "My pairs", "licence": "CC BY 4.0", "remarks": ""}}'
        ) from error


def _data_set(entry: Any) -> DataSet:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise TypeError("title, licence and remarks must be strings")
    return DataSet(**entry)


def source_of(entry: Mapping[str, Any]) -> TrainingSource:
    """Of `dataclasses.asdict(source)` the source. Raises LookupError, TypeError or ValueError for others."""
    pairs = entry["pairs"]
    return TrainingSource(
        _data_set(entry["data_set"]), None if pairs is None else int(pairs), float(entry["weight"])
    )


def parse_source(argument: str) -> tuple[Path, float]:
    """Split FILE or FILE=WEIGHT. Raises `UserError` for a weight that is not above 0."""
    name, equals, weight = argument.rpartition("=")
    if not equals or Path(argument).exists():
        return Path(argument), 1.0
    try:
        value = float(weight)
    except ValueError:
        return Path(argument), 1.0  # an equals sign in a file's name; reading says whether it exists
    if not 0.0 < value < float("inf"):
        raise UserError(f"{argument}: the weight is {weight}, expected a number above 0")
    return Path(name), value


def sources_named_in(commands: Iterable[str], known: Mapping[str, DataSet]) -> list[TrainingSource]:
    """The training files of commands as `public_command` writes them, for weights that record no sources.

    Their pairs are not recorded. `known` describes files by name; of commands that took the descriptions of
    the shipped weights' files, those count.
    """
    sources = []
    for words in map(_words, commands):
        shipped = SHIPPED_SOURCES if f"kimera/weights/{SHIPPED_SOURCES.name}" in words else None
        described = {**known, **(read_sources(shipped) if shipped else {})}
        for path, weight in map(parse_source, takewhile(lambda word: not word.startswith("--"), words)):
            sources.append(TrainingSource(described.get(path.name, DataSet(f"`{path.name}`")), None, weight))
    return sources


def _words(command: str) -> list[str]:
    """Those after python -m kimera.train and the stage; none of what is no command."""
    try:
        words = shlex.split(command, comments=True)[3:]
    except ValueError:
        return []
    return words[2:] if words[:1] == ["--stage"] else words
