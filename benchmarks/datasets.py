"""Names -> datasets: embedded pairs, a file, or a dataset of the Hugging Face hub; all of it or a sample.

A Dataset holds labels and positions, never texts: it reads its source again on every pass, and says so if
the source is no longer what it was.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import blake2b
from importlib.resources import files
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import (
    EMBEDDED,
    EMBEDDED_FILES,
    DatasetSource,
    FileSource,
    HubLoader,
    HubSource,
    load_from_hub,
)
from kimera.errors import UserError
from kimera.files import (
    EXTENSIONS,
    ReadCounts,
    Roles,
    TableFormat,
    notes_on,
    pairs_of_table,
    rows_of,
    shorten,
)
from kimera.pairs import CONTRADICTION, NO_CLASS, RELATIONS, Pair

NO_LABEL = -1
NO_CATEGORY = -1
MAX_CATEGORIES = 1000
_LABEL_OF = {True: 1, False: 0, None: NO_LABEL}
_CLASS_OF = {name: code for code, name in enumerate(RELATIONS)}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Pairs of one source, iterated lazily and as often as one likes, in the source's order.

    sha256: of the file's bytes; of a hub dataset, of its rows as lines of canonical JSON.
    rows: data rows of the source, of which `no_gold_label` and `bad_rows` were dropped.
    available: pairs of the source, sampled or not.
    unlabelled: pairs of the source without a label.
    sampled: whether these are a sample, or a part of one. shard: "I/N", which part; empty for all of it.
    clusters: int64, shape (len(self),): pairs of one number have the same first text.
    categories: int32, shape (len(self),): indices into `category_names`, NO_CATEGORY where a pair has none,
        or one beyond the first MAX_CATEGORIES.
    labels: int8, shape (len(self),): 1 contradiction, 0 not, -1 without a label; in the order of iteration.
    classes: int8, shape (len(self),): indices of the labels into `kimera.pairs.RELATIONS`, NO_CLASS where a
        pair has none of the three, and everywhere where no label of the source tells entailment from neutral.
    drawn: float64, shape (len(self),): the probability with which a labelled pair was drawn to be labelled,
        NaN where nobody says.

    Iterating raises UserError if the source has changed since.
    """

    name: str
    sha256: str
    rows: int
    available: int
    no_gold_label: int
    bad_rows: int
    unlabelled: int
    sampled: bool
    shard: str
    labels: NDArray[np.int8] = field(repr=False)
    classes: NDArray[np.int8] = field(repr=False)
    clusters: NDArray[np.int64] = field(repr=False)
    categories: NDArray[np.int32] = field(repr=False)
    drawn: NDArray[np.float64] = field(repr=False)
    category_names: tuple[str, ...] = field(repr=False)
    _chosen: NDArray[np.bool_] = field(repr=False)
    _of_all_shards: NDArray[np.bool_] = field(repr=False)
    _read: Callable[[], Iterator[Pair]] = field(repr=False)

    def __iter__(self) -> Iterator[Pair]:
        return compress(self._read(), self._chosen)

    def __len__(self) -> int:
        return len(self.labels)

    def of_all_shards(self) -> Iterator[Pair]:
        """The pairs of this part and of the others; without `shard` the same as iterating."""
        return compress(self._read(), self._of_all_shards)

    @property
    def pairs(self) -> int:
        """How many pairs are used, `len(self)`."""
        return len(self)

    @property
    def labelled(self) -> bool:
        """Whether any pair used carries a label."""
        return bool((self.labels != NO_LABEL).any())

    @property
    def contradictions(self) -> int | None:
        """How many pairs used are labelled as contradictions, or None if none carries a label."""
        return int((self.labels == 1).sum()) if self.labelled else None


def pairs_at(dataset: Dataset, indices: Iterable[int]) -> Iterator[Pair]:
    """The pairs at ascending indices, in one pass."""
    wanted = iter(indices)
    following = next(wanted, None)
    for index, pair in enumerate(dataset):
        if index == following:
            yield pair
            following = next(wanted, None)


def load_dataset(
    name_or_path: str | Path = EMBEDDED,
    *,
    title: str = "",
    max_pairs: int = 0,
    seed: int = 0,
    shard: str | None = None,
    labelled_only: bool = False,
    format: TableFormat | None = None,
    roles: Roles | None = None,
    label_map: Mapping[str, str] | None = None,
    skip_bad_rows: bool = False,
    on_bad_row: Callable[[str], None] | None = None,
    on_note: Callable[[str], object] = lambda _: None,
    hub_loader: HubLoader = load_from_hub,
) -> Dataset:
    """The dataset of this name, read through once.

    name_or_path: a name of `EMBEDDED_FILES`, a file of pairs (see kimera.files.pair_files), or
        `hf:NAME[@CONFIG][:SPLIT]`.
    title: how messages and reports call a file; by default as it is named here.
    max_pairs: 0 for all pairs, else the size of a sample that `seed` alone determines (see `sample_mask`).
    shard: "I/N", of these every N-th from the I-th on.
    labelled_only: leave out pairs without a label, where others have one, before a sample is drawn.
    format, roles, label_map, skip_bad_rows, on_bad_row, on_note: as for `kimera.files.read_pairs`.
    hub_loader: what fetches the splits of a hub dataset.

    Raises UserError for an unknown name and for faults of the file.
    """
    if max_pairs < 0:
        raise UserError(f"--max-pairs: {max_pairs} is not a number of pairs; expected 0 (all) or more")
    roles = roles or Roles()
    source = _find_source(name_or_path, title, hub_loader, roles, format or TableFormat())
    state, sha256 = source.state(), source.sha256()
    counts = ReadCounts()
    read = partial(
        _checked_pass, source, state, sha256, roles=roles, label_map=label_map, skip_bad_rows=skip_bad_rows
    )
    first_pass = read(counts=counts, on_bad_row=on_bad_row)
    codes, relations, texts, categories = array("b"), array("b"), array("q"), array("i")
    drawn = array("d")
    names: dict[str, int] = {}
    for pair in first_pass:
        codes.append(_LABEL_OF[pair.is_contradiction])
        relations.append(_CLASS_OF.get(pair.label or "", NO_CLASS))
        texts.append(_hash(pair.text1))
        categories.append(_category_code(pair.category, names))
        drawn.append(np.nan if pair.drawn is None else pair.drawn)
    if source.name not in EMBEDDED_FILES:  # nobody can do anything about a column of these
        for note in notes_on(source.table(), roles, counts):
            on_note(note)
    for note in _without_effect(source, format):
        on_note(note)
    labels = np.frombuffer(codes, dtype=np.int8)
    usable = labels != NO_LABEL if labelled_only and counts.labelled else np.ones(len(labels), dtype=bool)
    chosen = usable.copy()
    chosen[usable] = sample_mask(labels[usable], max_pairs, seed)
    sampled = not chosen[usable].all()
    of_all_shards = chosen
    if shard:
        chosen = _part_of(chosen, shard)
    return Dataset(
        name=source.name,
        sha256=sha256,
        rows=counts.rows,
        available=len(labels),
        no_gold_label=counts.no_gold_label,
        bad_rows=counts.bad_rows,
        unlabelled=len(labels) - counts.labelled,
        sampled=sampled,
        shard=shard or "",
        labels=labels[chosen],
        classes=_three_way(np.frombuffer(relations, dtype=np.int8))[chosen],
        clusters=np.unique(np.frombuffer(texts, dtype=np.int64)[chosen], return_inverse=True)[1],
        categories=np.frombuffer(categories, dtype=np.int32)[chosen],
        drawn=np.frombuffer(drawn, dtype=np.float64)[chosen],
        category_names=tuple(names),
        _chosen=chosen,
        _of_all_shards=of_all_shards,
        _read=read,
    )


def _three_way(classes: NDArray[np.int8]) -> NDArray[np.int8]:
    """The classes, none where contradiction is the only one: then the labels are two-way."""
    is_two_way = (classes <= _CLASS_OF[CONTRADICTION]).all()
    return np.full_like(classes, NO_CLASS) if is_two_way else classes


def _category_code(name: str, codes: dict[str, int]) -> int:
    """The name's number, a new one if need be; too many names are no categories, and are not kept."""
    if not name or (name not in codes and len(codes) >= MAX_CATEGORIES):
        return NO_CATEGORY
    return codes.setdefault(name, len(codes))


def _hash(text: str) -> int:
    """64 bits; of a billion texts, a few share one."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def sample_mask(labels: NDArray[np.int8], size: int, seed: int) -> NDArray[np.bool_]:
    """Which positions are in a sample of `size` (0, or as many as there are: all); bool, shape of `labels`.

    Stratified by label, pairs without one being a stratum of their own: each has its share by largest
    remainders, and at least one pair if `size` allows. Equal arguments give equal samples.
    """
    if size == 0 or size >= len(labels):
        return np.ones(len(labels), dtype=bool)
    generator = np.random.default_rng(seed)
    classes, class_sizes = np.unique(labels, return_counts=True)
    chosen = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, _shares(class_sizes, size), strict=True):
        chosen[generator.choice(np.flatnonzero(labels == label), share, replace=False)] = True
    return chosen


def _part_of(chosen: NDArray[np.bool_], shard: str) -> NDArray[np.bool_]:
    rows = np.flatnonzero(chosen)
    part = np.zeros_like(chosen)
    part[rows[rows_of(shard)]] = True
    if not part.any():
        raise UserError(
            f"--shard {shard}: none of the {len(rows):,} pairs falls into this part; give a smaller N"
        )
    return part


def _shares(class_sizes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """`size` split in proportion to the classes by largest remainders, then one for each class left out."""
    shares, remainders = np.divmod(class_sizes * size, class_sizes.sum())
    rounded_up = np.argsort(-remainders, kind="stable")[: size - shares.sum()]
    shares[rounded_up] += 1
    for left_out in np.flatnonzero(shares == 0):
        if shares.max() > 1:
            shares[shares.argmax()] -= 1
            shares[left_out] += 1
    return shares


def _find_source(
    name_or_path: str | Path, title: str, hub_loader: HubLoader, roles: Roles, format: TableFormat
) -> DatasetSource:
    name = str(name_or_path)
    if name in EMBEDDED_FILES:
        path = Path(str(files("benchmarks") / "data" / EMBEDDED_FILES[name]))
        return FileSource(name, path, Roles(), TableFormat())
    if name.startswith("hf:"):
        return HubSource(name, hub_loader, roles)
    if os.path.exists(name):  # unlike Path's, false for a name that no file can have
        return FileSource(title or name, Path(name), roles, format)
    raise UserError(
        f"{shorten(name)} is neither a file nor the name of a dataset; expected {EMBEDDED} or kimera-hard"
        f" (embedded), a file ({', '.join(EXTENSIONS)}), or hf:NAME[@CONFIG][:SPLIT] (needs the extra hf)"
    )


def _without_effect(source: DatasetSource, format: TableFormat | None) -> Iterator[str]:
    """A note on what the user says of how a file is written, where the source is none of the user's files."""
    is_used = isinstance(source, FileSource) and source.name not in EMBEDDED_FILES
    idle = [f"--{flag}" for flag, value in asdict(format or TableFormat()).items() if value and not is_used]
    if idle:
        yield f"{source.name}: is no file of yours, so these have no effect: {', '.join(idle)}"


def _checked_pass(
    source: DatasetSource,
    state: object,
    sha256: str,
    *,
    roles: Roles,
    label_map: Mapping[str, str] | None,
    skip_bad_rows: bool,
    on_bad_row: Callable[[str], None] | None = None,
    counts: ReadCounts | None = None,
) -> Iterator[Pair]:
    """One pass over all pairs, which fails unless the source is the same before it and after it."""
    _check_unchanged(source, state, sha256)
    yield from pairs_of_table(
        source.table(),
        roles=roles,
        label_map=label_map,
        skip_bad_rows=skip_bad_rows,
        on_bad_row=on_bad_row,
        counts=counts,
    )
    _check_unchanged(source, state, sha256)


def _check_unchanged(source: DatasetSource, state: object, sha256: str) -> None:
    # The hash only where size or time differ: a file that was merely touched is the same.
    if source.state() != state and source.sha256() != sha256:
        raise UserError(
            f"{source.name}: has changed since it was first read; start again, and leave it as it is"
        )
