"""Labels that people gave to a run's pairs, one file a person: read, counted, laid over the dataset's own.

A line is a JSON object: "id" and "place" of the pair, "label" (contradiction, not_contradiction or
cannot_tell), "who", "when", "note", and how the pair was drawn ("block", "run"). Of two lines of one pair the
later one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report.pair_table import shown
from benchmarks.runs import FinishedRun, RunResult, key_of
from benchmarks.stats import (
    NEXT,
    cohens_kappa,
    krippendorffs_alpha,
    majority,
    probabilities,
)
from kimera.console import note
from kimera.errors import UserError
from kimera.files import shorten, write_text
from kimera.pairs import CONTRADICTION, NO_CLASS, NOT_CONTRADICTION, RELATIONS, Pair

CODES = {CONTRADICTION: 1, NOT_CONTRADICTION: 0, "cannot_tell": -1}
LABEL_OF = {1: CONTRADICTION, 0: NOT_CONTRADICTION, -1: None}
COPIES = "labels"  # the folder of copies, beside the journal


@dataclass(frozen=True)
class Person:
    """One person's file. lines: by the place of the pair, the line that counts.

    names: as its lines say, in their order. text: without a last line that was cut short, `is_torn`.
    """

    path: Path
    names: tuple[str, ...]
    text: str
    is_torn: bool
    lines: Mapping[int, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """All of its names; the file's own where its lines have none."""
        return ", ".join(self.names) or self.path.stem


@dataclass(frozen=True)
class PeoplesLabels:
    """votes: int8 (people, N), as `benchmarks.stats.raters` takes them."""

    people: tuple[Person, ...]
    votes: np.ndarray

    @property
    def given(self) -> np.ndarray:
        """bool (N,): whether anyone labelled the pair, "cannot tell" left out."""
        return np.asarray((self.votes >= 0).any(axis=0))

    def laid_over(self, run: RunResult) -> RunResult:
        """The run with these labels in the place of its own, where anyone gave one."""
        labels = np.where(self.given, majority(self.votes), run.labels).astype(np.int8)
        about = {**run.dataset, "people": self.as_dict(run)}
        return replace(
            run,
            labels=labels,
            classes=_classes(run, labels, self.given),
            drawn=self._drawn(run, labels),
            dataset=about,
            dataset_labels=run.labels,
        )

    def rows(self, finished: FinishedRun, labels: np.ndarray) -> Iterator[tuple[Pair, Sequence[Any]]]:
        """The run's rows, with these labels."""
        for place, (pair, findings) in enumerate(finished.rows()):
            label = LABEL_OF[int(labels[place])]
            is_new = self.given[place] and (label == CONTRADICTION) != pair.is_contradiction
            yield (replace(pair, label=label) if is_new or label is None else pair), findings

    def as_dict(self, run: RunResult) -> dict[str, Any]:
        """Who labelled how many pairs, and how far they agree."""
        given = self.given
        two, alpha = len(self.people) == 2, krippendorffs_alpha(self.votes)
        kappa = cohens_kappa(self.votes) if two else None
        counts = (self.votes >= 0).sum(axis=1).tolist()
        return {
            "who": [{"name": who.name, "labels": n} for who, n in zip(self.people, counts, strict=True)],
            "labelled": int((given & (majority(self.votes) >= 0)).sum()),
            "changed": int((given & (run.labels >= 0) & (majority(self.votes) == 1 - run.labels)).sum()),
            "ties": int((given & (majority(self.votes) < 0)).sum()),
            "by_several": int(((self.votes >= 0).sum(axis=0) > 1).sum()),
            **({} if kappa is None else {"kappa": kappa}),
            **({} if alpha is None else {"alpha": alpha}),
        }

    def copy_into(self, folder: Path) -> None:
        """Copies of the files beside the journal, numbered as they were given."""
        target = folder / COPIES
        target.mkdir(exist_ok=True)
        for number, person in enumerate(self.people, 1):
            write_text(target / f"{number}.jsonl", person.text)
        for copy in target.iterdir():  # of more people than these, of whom an earlier report was
            if re.fullmatch(r"[1-9]\d*\.jsonl", copy.name) and int(copy.stem) > len(self.people):
                copy.unlink()

    def _drawn(self, run: RunResult, labels: np.ndarray) -> np.ndarray | None:
        """None where nobody can say: labels of another run's page, or none of a part of the pairs."""
        if not (self.given & (run.labels < 0)).any():
            return run.drawn
        lines = [line for person in self.people for line in person.lines.values()]
        if any(line.get("run") != key_of(run) for line in lines):
            return None
        chosen = np.zeros(labels.size, bool)
        for person in self.people:
            chosen[[place for place, line in person.lines.items() if line.get("block") == NEXT]] = True
        return probabilities(run.labels, labels, run.own_scores, chosen & self.given)


def read_labels(finished: FinishedRun, paths: Sequence[str], *, may_be_empty: bool = False) -> PeoplesLabels:
    """The labels of these files. A last line that was cut short is told of and left out.

    Raises UserError for a line that is no label of this run's pairs, and for a file without one unless it
    `may_be_empty`.
    """
    ids = [pair.id for pair in finished.dataset]
    people = tuple(_person(Path(path), ids, may_be_empty) for path in paths)
    votes = np.full((len(people), len(ids)), -1, np.int8)
    for vote, person in zip(votes, people, strict=True):
        for place, line in person.lines.items():
            vote[place] = CODES[line["label"]]
    return PeoplesLabels(people, votes)


def _whole_lines(content: bytes) -> bytes:
    """What a file of labels holds, without the beginning of one, where a death cut the last line short."""
    last = content.rpartition(b"\n")[2]
    try:
        json.loads(last if last.startswith(b"{") else b"{}")
    except ValueError:
        return content[: len(content) - len(last)]
    return content


def _person(path: Path, ids: Sequence[str], may_be_empty: bool) -> Person:
    try:
        content = path.read_bytes()
        whole = _whole_lines(content)
        text = whole.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not UTF-8, as exported labels are") from None
    if len(whole) < len(content):
        note(f"{path}: the last line was cut short while it was written, and does not count")
    places = {name: place for place, name in enumerate(ids)}
    lines = {}
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place, given = _taken(line, f"{path}, line {number}", ids, places)
            lines[place] = given
    if not lines and not may_be_empty:
        raise UserError(f"{path}: holds no label")
    names = tuple(dict.fromkeys(name for given in lines.values() if (name := str(given.get("who") or ""))))
    return Person(path, names, text, len(whole) < len(content), lines)


def _taken(
    line: str, where: str, ids: Sequence[str], places: Mapping[str, int]
) -> tuple[int, dict[str, Any]]:
    """(the pair's place, the line). where: how a message begins."""
    try:
        given = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: is no JSON: {error.msg}") from None
    if not isinstance(given, dict) or given.get("label") not in CODES:
        raise UserError(f'{where}: needs a "label" that is one of {", ".join(CODES)}')
    place, name = given.get("place"), str(given.get("id", ""))
    if type(place) is int and 0 <= place < len(ids) and name in (ids[place], shown(ids[place])):
        return place, given
    if name and name in places:
        return places[name], given
    raise UserError(f"{where}: no pair of this run has the id {shorten(name)}")


def _classes(run: RunResult, labels: np.ndarray, given: np.ndarray) -> np.ndarray | None:
    """A new label tells contradiction from the rest; one that says what the old one did leaves its class."""
    if run.classes is None:
        return None
    stays = ~given | (labels == run.labels)
    told = np.where(labels == 1, RELATIONS.index(CONTRADICTION), NO_CLASS)
    return np.where(stays, run.classes, told).astype(run.classes.dtype)
