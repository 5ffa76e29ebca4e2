"""Long texts to passages of whole sentences, short enough to be read together."""

from __future__ import annotations

from itertools import product

import sentencex

MAX_PASSAGE_PAIRS = 256  # what one pair of long texts may cost
LANGUAGE = "en"


def passage_pairs(pair: tuple[str, str], maximum: int = MAX_PASSAGE_PAIRS) -> list[tuple[str, str]]:
    """Each passage of the one text with each of the other; at most so many, 1 or more.

    A passage is a sentence, or as many neighbouring ones as that bound needs. Sentences that stand in both
    texts are left out, since what says the same does not contradict; of equal texts each goes with itself.
    """
    first, second = (sentences(text) for text in pair)
    shared = set(first) & set(second)
    own = [[sentence for sentence in side if sentence not in shared] for side in (first, second)]
    if not any(own):
        return [(sentence, sentence) for sentence in first[:maximum]]
    first, second = own[0] or first, own[1] or second
    while len(first) * len(second) > maximum:
        if len(first) >= len(second):
            first = joined_by_two(first)
        else:
            second = joined_by_two(second)
    return list(product(first, second))


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the blanks around them; the text itself where there are none."""
    # It refuses lone surrogates; the tokenizer reads them as question marks too.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return [sentence for part in sentencex.segment(LANGUAGE, clean) if (sentence := part.strip())] or [text]


def joined_by_two(parts: list[str]) -> list[str]:
    return [" ".join(parts[start : start + 2]) for start in range(0, len(parts), 2)]
