"""How far a cascade may trust its local detector: thresholds with a bound that holds in samples of any size.

The reactor settles what it is sure of: a score below `lower` is no contradiction, one above `upper` is one;
the judge gets the rest. A random sample of the pairs goes to both. Of what the judge calls contradictions, at
most `risk` may lie below `lower`. Since that share only grows with `lower`, it may be raised as long as the
sample has few enough of them there (fixed-sequence testing, Angelopoulos et al. 2021, "Learn then Test"; with
the exact binomial tail this is the bound of Clopper and Pearson 1934). The sample is drawn at random from the
pairs that the bound speaks of, so pairs that share a text do no harm. Of all pairs that may ever come
(`endless`) it is no such sample, and pairs that share a text tell less than they seem to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr, betaincinv

from kimera.detectors import THRESHOLD

CONFIDENCE = 0.95
NOTHING_BELOW, NOTHING_ABOVE = 0.0, 1.0  # thresholds that no score passes
MAX_MISSED = 20  # in a sample; more would make the thresholds a little better and the sample much larger


@dataclass(frozen=True)
class Thresholds:
    """Scores below `lower` and above `upper` are settled without the judge."""

    lower: float = NOTHING_BELOW
    upper: float = NOTHING_ABOVE

    def called(self, scores: np.ndarray) -> np.ndarray:
        """bool, the shape of `scores`: what is settled as a contradiction."""
        return scores > self.upper

    def settled(self, scores: np.ndarray) -> np.ndarray:
        """bool, the shape of `scores`: where the local detector's verdict stands. False for NaN."""
        return (scores < self.lower) | (scores > self.upper)


@dataclass(frozen=True)
class Sampled:
    """What the sample has shown: P(contradiction) by the local detector, float64.

    contradictions: of the pairs that the judge calls so. others: of those that it does not.
    """

    contradictions: np.ndarray
    others: np.ndarray

    @property
    def pairs(self) -> int:
        return self.contradictions.size + self.others.size

    def expected_in(self, rest: int) -> int:
        """How many contradictions so many pairs beside the sample are reckoned to hold."""
        return round(self.contradictions.size / self.pairs * rest) if self.pairs else 0


@dataclass(frozen=True)
class Bounds:
    """What holds of a cascade, each with 95 % probability.

    missed: at most this share of what the judge calls contradictions is called none; `promised` is whether
    that is no more than the risk asked for. false_alarms: at most
    this share of the others is called one. disagreement: at most this share of all pairs is either. In the
    sample there were `missed_in_sample` and `false_alarms_in_sample`.
    """

    missed: float
    promised: bool
    false_alarms: float
    disagreement: float
    missed_in_sample: int
    false_alarms_in_sample: int


def max_missed(risk: float, positives: int, rest: int | None = None) -> int:
    """Of so many sampled contradictions, how many may lie below the threshold: -1 where not even 0 will do.

    rest: how many contradictions there are beside the sample; the share holds among them too, whose number is
    not endless and so varies more. None: among all that may ever come.
    """

    def will_do(missed: int) -> bool:
        if not bdtr(missed, positives, risk) <= 1 - CONFIDENCE:
            return False
        if not rest:
            return True
        too_many = int(risk * rest) + 1  # P(at least so many of the rest lie below the threshold)
        return _few_in_sample(missed, positives + rest, too_many + missed, positives) <= 1 - CONFIDENCE

    missed = -1
    while missed + 1 < positives and will_do(missed + 1):
        missed += 1
    return missed


def positives_needed(risk: float, missed: int = 0) -> int:
    """The fewest sampled contradictions of which so many may be missed; 149 for a risk of 0.02 and none."""
    low, high = missed + 1, missed + 2
    while bdtr(missed, high, risk) > 1 - CONFIDENCE:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if bdtr(missed, middle, risk) <= 1 - CONFIDENCE else (middle + 1, high)
    return high


def min_handed_on(risk: float, miss_rate: float) -> float:
    """The least share of the contradictions that a cascade has to ask its judge about, however it chooses.

    miss_rate: of the local detector alone. Only what is asked about is not missed. (Where a risk is promised
    of the settled ones alone, and not of all, it is this divided by 1 - risk.)
    """
    return max(0.0, miss_rate - risk)


def sample_size(risk: float, share: float, pairs: int, *, endless: bool = False) -> int:
    """Pairs to sample, at most `pairs`, where about this share of them are contradictions.

    Enough for as many misses, up to `MAX_MISSED`, as a tenth of the pairs allows, and for none at least.
    endless: see `choose`.
    """
    missed = 0
    while missed < MAX_MISSED and _pairs_for(positives_needed(risk, missed + 1), share) <= pairs / 10:
        missed += 1
    low, high = min(pairs, _pairs_for(positives_needed(risk, missed), share)), pairs

    def will_do(size: int) -> bool:
        rest = None if endless else round(share * (pairs - size))
        return max_missed(risk, _surely_held(size, share), rest) >= missed

    while low < high:  # what is left of a small run varies more, and takes a larger sample
        middle = (low + high) // 2
        low, high = (low, middle) if will_do(middle) else (middle + 1, high)
    return low


def _pairs_for(positives: int, share: float) -> int:
    """So many pairs hold so many contradictions, two standard deviations of them to spare."""
    return int(np.ceil((positives + 2 * np.sqrt(positives * (1 - share))) / share))


def _surely_held(size: int, share: float) -> int:
    """How many contradictions so many pairs hold, less two standard deviations."""
    return max(0, int(size * share - 2 * np.sqrt(size * share * (1 - share))))


def choose(
    sample: Sampled,
    risk: float,
    rest: np.ndarray,
    max_to_send: float | None = None,
    *,
    endless: bool = False,
) -> Thresholds:
    """rest: float64 (r,), the local detector's scores of the pairs beside the sample.

    max_to_send: how many of the rest may go to the judge; `upper` is moved so that this is kept, with as few
    false alarms as it allows. None: what the local detector calls a contradiction stands.
    endless: whether the bound is to hold for all pairs that may come, of which `rest` is what is at hand.

    Where the sample is too small to settle anything as none, nothing is; or, where so many may not be sent,
    the local detector's own verdicts stand, and nothing is promised.
    """
    ordered = np.sort(sample.contradictions)
    missed = max_missed(risk, ordered.size, None if endless else sample.expected_in(rest.size))
    lower = NOTHING_BELOW if missed < 0 else float(min(ordered[missed], THRESHOLD))
    if max_to_send is None:
        return Thresholds(lower, THRESHOLD)
    if missed < 0 and (rest < THRESHOLD).sum() > max_to_send:
        return Thresholds(THRESHOLD, THRESHOLD)
    return Thresholds(lower, _upper_that_sends(int(max_to_send), np.sort(rest[rest >= lower]), lower))


def _upper_that_sends(maximum: int, doubtful: np.ndarray, lower: float) -> float:
    """doubtful: ascending scores, none below `lower`. At most so many of them are at or below the result."""
    if maximum >= doubtful.size:
        return NOTHING_ABOVE
    below = int(np.searchsorted(doubtful, doubtful[maximum]))  # scores that are alike go the same way
    return float(doubtful[below - 1]) if below else float(np.nextafter(lower, -1))


def bounds(sample: Sampled, thresholds: Thresholds, risk: float, rest: int | None = None) -> Bounds:
    """Of thresholds that `choose` has found in this sample.

    rest: how many scored pairs there are beside it, to which the bounds apply. None: endlessly many.
    """
    missed = int((sample.contradictions < thresholds.lower).sum())
    alarms = int((sample.others > thresholds.upper).sum())
    positives, others = sample.contradictions.size, sample.others.size
    expected = None if rest is None else sample.expected_in(rest)
    # Reckoned as none, they may be some: then the bound for endlessly many holds.
    left = (None, None) if rest is None or expected is None else (expected or None, (rest - expected) or None)
    settles = thresholds.lower > NOTHING_BELOW, thresholds.upper < NOTHING_ABOVE
    may_miss = settles[0] and rest != 0
    promised = not may_miss or missed <= max_missed(risk, positives, expected)
    error = (1 - CONFIDENCE) / 3  # each part of the disagreement's bound may fail so often
    of_positives = max_of(missed, positives, left[0], error) if settles[0] else 0.0
    of_others = max_of(alarms, others, left[1], error) if settles[1] else 0.0
    # How many contradictions there are is known from the sample alone: the worse end counts.
    max_positives = max_of(positives, sample.pairs, rest, error)
    max_others = max_of(others, sample.pairs, rest, error)
    worst = max_positives if of_positives > of_others else 1 - max_others
    maximum = risk if promised else max_of(missed, positives, left[0])
    return Bounds(
        missed=maximum if may_miss else 0.0,
        promised=promised,
        false_alarms=max_of(alarms, others, left[1]) if settles[1] else 0.0,
        disagreement=worst * of_positives + (1 - worst) * of_others,
        missed_in_sample=missed,
        false_alarms_in_sample=alarms,
    )


def max_of(found: int, of: int, rest: int | None = None, error: float = 1 - CONFIDENCE) -> float:
    """Upper bound of a share of which so many were found in a sample of so many.

    rest: of how many others it is the share, drawn from the same urn, by the hypergeometric tail. None: of
    all that may ever come (Clopper and Pearson 1934, one side).
    """
    if rest == 0:
        return 0.0
    if found >= of:
        return 1.0
    if rest is None:
        return float(betaincinv(found + 1, of - found, 1 - error))
    low, high = 0, rest  # the most that the rest may hold without the sample being too unlikely
    while low < high:
        middle = (low + high + 1) // 2
        likely = _few_in_sample(found, of + rest, found + middle, of) > error
        low, high = (middle, high) if likely else (low, middle - 1)
    return low / rest


def _few_in_sample(found: int, urn: int, marked: int, drawn: int) -> float:
    """P(at most so many of those drawn are marked), none put back: the hypergeometric distribution."""
    from scipy.stats import hypergeom  # takes long to import, and few runs are cascades

    return float(hypergeom.cdf(found, urn, marked, drawn))
