"""What the simulated judge of a scan answers: what a file of labelled pairs says, or at random."""

from __future__ import annotations

from pathlib import Path

from kimera.corpus import pair_key
from kimera.errors import UserError
from kimera.files import read_pairs

SHARE = 0.1  # of all pairs, without a file


class SimulatedAnswers:
    """Of each pair of texts, in either order, whether the judge is to call it a contradiction.

    planted: a file of pairs, of which those labelled so are contradictions and all others none; without one
    this share of all pairs are, drawn by a hash of their texts. Raises UserError for a file without a pair
    that is labelled as a contradiction.
    """

    def __init__(self, planted: str | None = None, share: float = SHARE) -> None:
        self._share = share
        self._planted: set[str] = set()
        self._met: set[str] = set()
        self.rule = f"answers at random: {share:.0%} of all pairs are contradictions"
        if planted is None:
            return
        if not Path(planted).is_file():
            raise UserError(f"--planted {planted}: there is no such file; give one of labelled pairs")
        for pair in read_pairs(planted):
            if pair.is_contradiction:
                self._planted.add(_key(pair.text1, pair.text2))
        if not self._planted:
            raise UserError(f"--planted {planted}: no pair in it is labelled as a contradiction")
        self.rule = f"knows the contradictions of {Path(planted).name}, and no others"

    def __call__(self, text1: str, text2: str) -> bool:
        key = _key(text1, text2)
        if not self._planted:
            return int(key, 16) < self._share * 2.0 ** (4 * len(key))
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
