"""What the simulated judge of a scan answers: what a file of labelled pairs says, or at random."""

from __future__ import annotations

from pathlib import Path

from kimera.console import share
from kimera.corpus import pair_key
from kimera.errors import UserError
from kimera.files import read_pairs

RANDOM = "random="


def answers_named(text: str) -> str:
    """What `SimulatedAnswers` takes, as a flag gives it."""
    if text.startswith(RANDOM):
        share(text.removeprefix(RANDOM))
    return text


class SimulatedAnswers:
    """Of each pair of texts, in either order, whether the judge is to call it a contradiction.

    source: a file of pairs, of which those labelled so are contradictions and all others none; or
    "random=SHARE", this share of all pairs, each drawn by a hash of its texts.
    Raises UserError for a file without a pair that is labelled as a contradiction.
    """

    def __init__(self, source: str) -> None:
        self._share: float | None = None
        self._planted: set[str] = set()
        self._met: set[str] = set()
        if source.startswith(RANDOM):
            self._share = share(source.removeprefix(RANDOM))
            self.rule = f"answers at random: {self._share:.0%} of all pairs are contradictions"
            return
        if not Path(source).is_file():
            raise UserError(
                f"--simulate {source}: there is no such file; give labelled pairs, or {RANDOM}0.1"
            )
        for pair in read_pairs(source):
            if pair.is_contradiction:
                self._planted.add(_key(pair.text1, pair.text2))
        if not self._planted:
            raise UserError(f"--simulate {source}: no pair in it is labelled as a contradiction")
        self.rule = f"knows the contradictions of {Path(source).name}, and no others"

    def __call__(self, text1: str, text2: str) -> bool:
        key = _key(text1, text2)
        if self._share is not None:
            return int(key, 16) < self._share * 16 ** len(key)
        if key in self._planted:
            self._met.add(key)
        return key in self._planted

    @property
    def told(self) -> str:
        """The rule, and how many planted contradictions it was asked about."""
        planted = f": {len(self._met):,} of these {len(self._planted):,} are candidates"
        return f"the simulated judge {self.rule}{planted if self._planted else ''}"


def _key(text1: str, text2: str) -> str:
    """Blanks do not count, since those of statements are made single spaces."""
    return pair_key(*(" ".join(text.split()) for text in (text1, text2)))
