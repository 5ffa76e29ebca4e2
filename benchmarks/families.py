"""Which family of public datasets a name tells of: who was fitted on a part of one does well on the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Names as they stand in files, hub datasets and titles. Revisions of SNLI keep most of its texts.
FAMILIES = {
    "SNLI": r"snli|cad_nli|counterfactually augmented nli|disco|stanford natural language",
    "MultiNLI": r"mnli|multinli|multi_nli",
    "ANLI": r"anli|adversarial nli",
    "WANLI": r"wanli",
    "FEVER": r"fever|vitaminc",
    "SICK": r"sick",
    "JOCI": r"joci",
    "CLCD": r"clcd",
    "SciTail": r"scitail",
    "HANS": r"hans",
    "RTE": r"rte",
}


def families_of(names: Iterable[str]) -> list[str]:
    """The families that these names tell of, in alphabetical order; none where none does."""
    found = {
        family
        for name in names
        for family, pattern in FAMILIES.items()
        if re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z])", name.lower())
    }
    return sorted(found)
