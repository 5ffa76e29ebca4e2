"""The thresholds that `--threshold NAME=VALUE` sets for local detectors of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kimera.detectors import AtThreshold, VerdictSource
from kimera.errors import UserError

FLAG = "--threshold"


def at_thresholds(
    sources: Mapping[str, VerdictSource], told: Sequence[str], titles: Sequence[str]
) -> dict[str, VerdictSource]:
    """The detectors, by their titles, those that are told of at their thresholds. Raises UserError.

    titles: of all local detectors of the run, those that are not on this machine among them.
    """
    thresholds = dict(map(_parsed, told))
    if len(thresholds) < len(told):
        raise UserError(
            f"{FLAG} {', '.join(told)}: one local detector has one threshold; leave out the others"
        )
    if unknown := [name for name in thresholds if name not in titles]:
        known = ", ".join(titles) or "none"
        raise UserError(f"{FLAG} {unknown[0]}=...: no local detector is called so; they are {known}")
    return {
        name: AtThreshold(source, thresholds[name]) if name in thresholds else source
        for name, source in sources.items()
    }


def _parsed(words: str) -> tuple[str, float]:
    name, _, value = words.rpartition("=")
    try:
        threshold = float(value)
    except ValueError:
        threshold = 0.0
    if not name or not 0 < threshold < 1:
        raise UserError(f"{FLAG} {words}: give NAME=VALUE, with a value between 0 and 1, such as kimera=0.3")
    return name, threshold
