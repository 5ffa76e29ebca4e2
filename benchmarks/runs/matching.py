"""What two runs have in common: pairs of the same texts, wherever they stand, and detectors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from benchmarks.datasets import pairs_at
from benchmarks.detector_info import Role
from benchmarks.runs.finished_run import FinishedRun
from benchmarks.stats import DetectorResult
from kimera.errors import UserError
from kimera.files import shorten
from kimera.pairs import Pair

DIGEST_BYTES = 16
UNMATCHED = -1

Keys = tuple[bytes, bytes]


@dataclass(frozen=True, eq=False)
class Matches:
    """Where the pairs in both stand in each run.

    a, b: int64 (m,), ascending in a; the pair at a[i] of the one is that at b[i] of the other.
    only_a, only_b: how many pairs are in one alone.
    """

    a: np.ndarray
    b: np.ndarray
    only_a: int
    only_b: int

    def __len__(self) -> int:
        return int(self.a.size)


def match_pairs(a: Iterable[Pair], b: Iterable[Pair]) -> Matches:
    """Matches pairs of which both texts are the same, in this order; each at most once.

    Of several with the same texts those of the same id belong together, then the others in their order. Of a
    pair only hashes are held.
    """
    keys_a, keys_b = [_keys(pair) for pair in a], [_keys(pair) for pair in b]
    there = np.full(len(keys_a), UNMATCHED, np.int64)
    taken = np.zeros(len(keys_b), dtype=bool)
    for level in (0, 1):  # with the id, then without
        waiting: defaultdict[bytes, list[int]] = defaultdict(list)  # the first one last
        for place in np.flatnonzero(~taken)[::-1].tolist():
            waiting[keys_b[place][level]].append(place)
        for place in np.flatnonzero(there == UNMATCHED).tolist():
            if same := waiting.get(keys_a[place][level]):
                there[place] = same.pop()
                taken[there[place]] = True
    here = np.flatnonzero(there != UNMATCHED)
    return Matches(here, there[here], len(keys_a) - here.size, len(keys_b) - here.size)


def _keys(pair: Pair) -> Keys:
    """Of texts and id, and of texts alone."""
    return _digest(pair.text1, pair.text2, pair.id), _digest(pair.text1, pair.text2)


def _digest(*texts: str) -> bytes:
    digest = blake2b(digest_size=DIGEST_BYTES)
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.digest()


@dataclass(frozen=True, eq=False)
class Common:
    """The pairs that two runs have in common.

    labels: int8 (m,), as in `metrics`; a pair that only one of the runs labels has that label.
    """

    a: FinishedRun
    b: FinishedRun
    matches: Matches
    labels: np.ndarray

    @property
    def clusters(self) -> np.ndarray:
        """int64 (m,): pairs of one number share their first text."""
        return np.asarray(self.a.dataset.clusters[self.matches.a])


@dataclass(frozen=True)
class Pairing:
    """A detector of each run; name: what both are called, or both names as "a=b"."""

    a: DetectorResult
    b: DetectorResult

    @property
    def name(self) -> str:
        return self.a.name if self.a.name == self.b.name else f"{self.a.name}={self.b.name}"


def common_pairs(a: FinishedRun, b: FinishedRun) -> Common:
    """Raises UserError where no pair is in both runs, or one is labelled otherwise in each."""
    matches = match_pairs(a.dataset, b.dataset)
    if not len(matches):
        raise UserError(
            f"{a.folder} and {b.folder} have no pair in common: none of their pairs have the same two texts"
        )
    of_a, of_b = a.run.labels[matches.a], b.run.labels[matches.b]
    contrary = np.flatnonzero((of_a >= 0) & (of_b >= 0) & (of_a != of_b))
    if contrary.size:
        pair = next(pairs_at(a.dataset, matches.a[contrary[:1]].tolist()))
        raise UserError(
            f"{contrary.size:,} of the {len(matches):,} pairs in both are labelled otherwise in {b.folder} "
            f"than in {a.folder}, so that right and wrong mean two things; the first: id {shorten(pair.id)}, "
            f"{shorten(pair.text1)} / {shorten(pair.text2)}"
        )
    return Common(a, b, matches, np.where(of_a >= 0, of_a, of_b))


def pairings(a: FinishedRun, b: FinishedRun, wanted: Sequence[str] | None = None) -> tuple[Pairing, ...]:
    """Which detectors to compare: those of one name, and of each role those that are alone in both runs.

    wanted: instead, NAME (in both) or A=B. Raises UserError where there are none, or not those.
    """
    of_a, of_b = ({detector.name: detector for detector in run.run.detectors} for run in (a, b))
    if wanted:
        picked = [_wanted(name, of_a, of_b) for name in wanted]
        return tuple({pairing.name: pairing for pairing in picked}.values())
    matched = [Pairing(of_a[name], of_b[name]) for name in of_a if name in of_b]
    roles: tuple[Role, ...] = ("local", "judge")
    for role in roles:
        alone_a, alone_b = (run.run.of_role(role) for run in (a, b))
        if len(alone_a) == len(alone_b) == 1 and alone_a[0].name != alone_b[0].name:
            matched.append(Pairing(alone_a[0], alone_b[0]))
    if not matched:
        raise UserError(f"which detectors are to be compared? {_choice(of_a, of_b)}")
    return tuple(matched)


def _wanted(text: str, of_a: dict[str, DetectorResult], of_b: dict[str, DetectorResult]) -> Pairing:
    if text in of_a and text in of_b:
        return Pairing(of_a[text], of_b[text])
    for place, character in enumerate(text):  # names may hold "=" too
        if character == "=" and text[:place] in of_a and text[place + 1 :] in of_b:
            return Pairing(of_a[text[:place]], of_b[text[place + 1 :]])
    raise UserError(f"--detector {text}: no such detectors; {_choice(of_a, of_b)}")


def _choice(of_a: dict[str, DetectorResult], of_b: dict[str, DetectorResult]) -> str:
    return f"A has {', '.join(of_a)}, B has {', '.join(of_b)}; give --detector NAME, or --detector A=B"
