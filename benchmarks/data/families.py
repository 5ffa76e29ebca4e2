"""Which family of public datasets a name tells of: who was fitted on a part of one does well on the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Names as they stand in file names, hub datasets and titles. Revisions of SNLI keep most of its texts. Words
# of other meanings (sick, fever, disco) count only beside what says that a dataset is meant.
FAMILIES = {
    "SNLI": r"e?snli|cad_nli|counterfactually augmented nli|disco(?=[,_.]\s?(?:a part|subset|train|test))",
    "MultiNLI": r"mnli|multinli|multi_nli",
    "ANLI": r"anli(?:r[123])?|adversarial nli",
    "WANLI": r"wanli",
    "FEVER": r"fever(?=[,_.]\s?(?:evidence|pairs|symmetric|nli|train|dev|test))|fever symmetric|vitaminc",
    "SICK": r"sick(?=[,_.]\s?(?:test|train|dev|trial))",
    "JOCI": r"joci",
    "CLCD": r"clcd",
    "SciTail": r"scitail",
}


def families_of(names: Iterable[str]) -> list[str]:
    """The families that these names resemble, in alphabetical order; of a path the file's name counts."""
    families = {
        family
        for name in map(_last_part, names)
        for family, pattern in FAMILIES.items()
        if re.search(rf"(?<![a-z0-9])(?:{pattern})(?![a-z])", name.lower())
    }
    return sorted(families)


def _last_part(name: str) -> str:
    return name if name.startswith("hf:") else name.replace("\\", "/").rpartition("/")[2]
