"""What several people's labels come to, against values worked out by hand and published ones."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.stats.raters import cohens_kappa, krippendorffs_alpha, majority


def votes(*people: str) -> np.ndarray:
    return np.array([[{"1": 1, "0": 0}.get(each, -1) for each in person] for person in people], np.int8)


def test_the_majority_decides_and_ties_leave_a_pair_without_a_label() -> None:
    assert majority(votes("110.", "100.", "11..")).tolist() == [1, 1, 0, -1]
    assert majority(votes("10", "01")).tolist() == [-1, -1]


def test_agreement_is_that_of_the_published_example() -> None:
    # Krippendorff (2011), two observers, nominal binary data: alpha 0.095.
    both = votes("0100000000", "1110010100")
    assert krippendorffs_alpha(both) == pytest.approx(0.095, abs=0.001)
    assert cohens_kappa(both) == pytest.approx(0.2)


def test_missing_labels_are_passed_over_and_one_class_tells_nothing() -> None:
    assert krippendorffs_alpha(votes("10.", "1.0", ".0.")) == 1
    assert krippendorffs_alpha(votes("11", "11")) is None
    assert cohens_kappa(votes("1.", ".1")) is None
    assert cohens_kappa(votes("11", "11")) is None
