"""Where a dataset's rows come from: a file, or a dataset of the Hugging Face hub."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from kimera.console import how_to_install, note
from kimera.errors import UserError
from kimera.files import Roles, Row, Table, TableFormat, Wanted, is_wanted, open_table, shorten

EMBEDDED = "kimera-everyday"
"""The name of the dataset that is used where none is named."""

EMBEDDED_FILES = {
    EMBEDDED: "kimera_everyday.jsonl",
    "kimera-hard": "kimera_pairs.jsonl",  # named as in the commands of the cards
    "kimera-pairs": "kimera_pairs.jsonl",  # what kimera-hard was called up to 0.5.0, when runs recorded it
}
"""The datasets that are shipped, by name -> the file in this folder."""

HubLoader = Callable[[str, str | None], Mapping[str, Any]]
"""(name, config) -> splits by name, each a `datasets.Dataset`. Raises UserError."""

_HUB_NAME = re.compile(r"hf:(?P<name>[^@:]+)(?:@(?P<config>[^:]+))?(?::(?P<split>.+))?")
_SPLITS_IN_ORDER = ("test", "validation", "train")


class DatasetSource(Protocol):
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
    """A file of pairs; see kimera.files.pair_files."""

    name: str
    path: Path
    roles: Roles
    format: TableFormat

    @cached_property
    def _table(self) -> Table:
        """How the file is written is found out once; whoever reads it sees to it that it stays the same."""
        return open_table(self.path, is_wanted(self.roles), self.format, self.name)

    def table(self) -> Table:
        return self._table

    def state(self) -> object:
        try:
            status = self.path.stat()
        except OSError as error:
            raise UserError(f"{self.name}: cannot be read: {error.strerror}") from error
        return status.st_size, status.st_mtime_ns

    def sha256(self) -> str:
        self.table()  # fails with a better message, and before a read that might not end, if this is no file
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{self.name}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class HubSource:
    """One split of a hub dataset: the one named, else the first present of test, validation and train."""

    name: str
    load: HubLoader
    roles: Roles

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
        return Table(
            self.name, "row", self._read, class_names=names, read_all=partial(self._read, lambda _: True)
        )

    def state(self) -> object:
        return None  # what the library has cached is never written again

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for row in self._rows_read(is_wanted(self.roles)):
            digest.update(json.dumps(row, sort_keys=True, default=str).encode() + b"\n")
        return digest.hexdigest()

    def _read(self, wanted: Wanted | None = None) -> Iterator[Row]:
        names = tuple(self._split.column_names)
        for number, row in enumerate(self._rows_read(wanted or is_wanted(self.roles)), 1):
            yield Row(number, names, [row.get(name) for name in names])

    def _rows_read(self, wanted: Wanted) -> Iterator[dict[str, object]]:
        """Rows without the columns that no pair has, which may be large."""
        names = self._split.column_names
        return iter(self._split.select_columns([name for name in names if wanted(name)] or names))


def load_from_hub(name: str, config: str | None) -> Mapping[str, Any]:
    """All splits of a hub dataset, or of a local folder, through the `datasets` library's cache."""
    if find_spec("datasets") is None:
        raise UserError(f"hf:{name}: reading it needs the datasets library; run: {how_to_install('hf')}")
    import datasets  # an extra, which takes seconds

    if not Path(name).exists():
        note(
            f"hf:{name}: asking the Hugging Face hub; if it is not reached, this takes half a minute to fail"
        )
    try:
        with quiet_hub():
            splits: Mapping[str, Any] = datasets.load_dataset(name, config)
    except Exception as error:
        raise UserError(
            f"hf:{name}: cannot be loaded ({type(error).__name__}: {error}); check the name and the network, "
            "or save the split as a file and name that"
        ) from error
    return splits


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Its library warns of each attempt in two lines; what came of them all is said once, by the error."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
