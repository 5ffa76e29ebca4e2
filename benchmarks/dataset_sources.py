"""Where a dataset's rows come from: a file, or a dataset of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from kimera.errors import UserError
from kimera.installation import how_to_install
from kimera.pair_files import COLUMNS
from kimera.tables import Row, Table, open_table, shorten

HubLoader = Callable[[str, str | None], Mapping[str, Any]]
"""(name, config) -> splits by name, each a `datasets.Dataset`. Raises UserError."""

_HUB_NAME = re.compile(r"hf:(?P<name>[^@:]+)(?:@(?P<config>[^:]+))?(?::(?P<split>.+))?")
_SPLITS_IN_ORDER = ("test", "validation", "train")


class Source(Protocol):
    """Rows that can be read again, and ways to tell whether they are still the same."""

    @property
    def name(self) -> str:
        """How messages and reports call it."""

    def table(self) -> Table:
        """The rows."""

    def state(self) -> object:
        """A cheap mark that differs if the rows may have changed."""

    def sha256(self) -> str:
        """The rows' identity, in hexadecimal."""


@dataclass(frozen=True)
class FileSource:
    """A file of pairs; see kimera.pair_files."""

    name: str
    path: Path

    def table(self) -> Table:
        return open_table(self.path, COLUMNS)

    def state(self) -> object:
        try:
            status = self.path.stat()
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror}") from error
        return status.st_size, status.st_mtime_ns

    def sha256(self) -> str:
        self.table()  # fails with a better message, and before a read that might not end, if this is no file
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class HubSource:
    """One split of a hub dataset: the one named, else the first present of test, validation and train."""

    name: str
    load: HubLoader

    @cached_property
    def _split(self) -> Any:
        parts = _HUB_NAME.fullmatch(self.name)
        if parts is None:
            raise UserError(f"{shorten(self.name)}: expected hf:NAME[@CONFIG][:SPLIT]")
        splits = self.load(parts["name"], parts["config"])
        wanted = _SPLITS_IN_ORDER if parts["split"] is None else (parts["split"],)
        present = [split for split in wanted if split in splits]
        if not present:
            raise UserError(
                f"{self.name}: has no split {' or '.join(wanted)};"
                f" name one of {', '.join(splits)} as hf:NAME:SPLIT"
            )
        return splits[present[0]]

    def table(self) -> Table:
        names = {name: getattr(kind, "names", None) or () for name, kind in self._split.features.items()}
        return Table(self.name, "row", self._read, class_names=names)

    def state(self) -> object:
        return None  # what the library has cached is never written again

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for row in self._rows_read():
            digest.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
        return digest.hexdigest()

    def _read(self) -> Iterator[Row]:
        names = tuple(self._split.column_names)
        for number, row in enumerate(self._rows_read(), 1):
            yield Row(number, names, [row.get(name) for name in names])

    def _rows_read(self) -> Iterator[dict[str, object]]:
        """Rows without the columns that no pair has, which may be large."""
        names = self._split.column_names
        known = [name for name in names if name.strip().lower() in COLUMNS]
        return iter(self._split.select_columns(known or names))


def load_from_hub(name: str, config: str | None) -> Mapping[str, Any]:
    """All splits of a hub dataset, or of a local folder, through the `datasets` library's cache."""
    if find_spec("datasets") is None:
        raise UserError(f"hf:{name}: reading it needs the datasets library; run: {how_to_install('hf')}")
    import datasets

    try:
        return datasets.load_dataset(name, config)
    except Exception as error:  # the library raises what its many parts raise
        raise UserError(f"hf:{name}: cannot be loaded ({type(error).__name__}: {error})") from error
