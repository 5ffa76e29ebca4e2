"""Which pairs of a corpus's statements are related closely enough to be read together."""

from __future__ import annotations

from dataclasses import dataclass

TEXTS_PER_RARE = 500


@dataclass(frozen=True, slots=True)
class Rule:
    """What makes two statements a pair to verify.

    min_cosine: of the vectors; such pairs are found among the `neighbours` nearest of either statement.
    rare_in, min_cosine_rare: or less is enough, where both share a word that at most so many statements
    hold; in a corpus of n at most n / 500, but 2 in any, or every word of a small one would be rare.
    min_screen: P(contradiction) by the head, in one order, for a pair to be verified at all;
    surely: from this cosine on the head is not asked: among near-copies it is little better than chance.
    """

    min_cosine: float = 0.6
    neighbours: int = 12
    rare_in: int = 5
    min_cosine_rare: float = 0.3
    min_screen: float = 0.05
    surely: float = 0.8

    def rare_in_corpus(self, texts: int) -> int:
        return min(self.rare_in, max(2, texts // TEXTS_PER_RARE))
