"""What each detector takes, in time and then in dollars; and what a share of the pairs saves of a judge's."""

from __future__ import annotations

from typing import Any

from benchmarks.report import comparison_rows, notes, words
from benchmarks.report.conclusions import Conclusion, Question, Summary
from benchmarks.stats import NO_FEE

PAIRS = 1000  # that time and dollars are told for
SECONDS_OF_HOUR, SECONDS_OF_MINUTE = 3600, 60


def cost_question(summary: Summary) -> Question:
    names = words.titles(summary)
    findings = (_cost_of(names[name], detector) for name, detector in summary["detectors"].items())
    question = "What does each take?" if len(names) > 1 else "What does it take?"
    return Question(question, tuple(findings))


def _cost_of(title: str, detector: dict[str, Any]) -> Conclusion:
    cached = " ".join(notes.speed_notes(title, detector)) if comparison_rows.is_cached(detector) else ""
    return Conclusion(f"{title}: {_time_of(detector)}, {_price(detector)}.", cached)


def _time_of(detector: dict[str, Any]) -> str:
    """A pair's time and pairs a second: of a local detector its own time, and those of its whole pass."""
    is_file, mean = detector["mode"] == "file", detector["latency_ms"].get("mean")
    if not mean:
        return "its file states no time" if is_file else "no time measured"
    time = f"{words.quantity(mean)} ms a pair"
    if is_file:
        return f"{time} as its file states"
    if detector["role"] != "local":
        return f"{time}, {comparison_rows.rate(detector)} pairs/s" if "pairs_per_s" in detector else time
    if comparison_rows.is_cached(detector):
        computed = comparison_rows.computed_ms(detector)
        own = "time not measured (all from the cache)"
        if computed is not None:
            own = f"{words.quantity(computed)} ms for each pair that it computed"
        return f"{own}, {words.quantity(detector['pairs_per_s'])} pairs/s with the cache"
    own = f"{time} of its own time"
    if "pairs_per_s" not in detector:
        return own
    return f"{own}, {words.quantity(detector['pairs_per_s'])} pairs/s over its whole pass"


def _price(detector: dict[str, Any]) -> str:
    if not detector["paid"]:
        return "no fee"
    if detector["from_cache"]:
        cost = comparison_rows.written_cost(detector) if detector["dollars"] is not None else "no fee known"
        return (
            f"{cost} for the run, whose {detector['from_cache']:,} replies from the cache cost nothing again"
        )
    if not detector["answered"]:
        return "nothing was answered"
    dollars = dollars_per_thousand(detector)
    if dollars is None:
        return (
            comparison_rows.no_dollars(detector)
            .replace("none", "no fee")
            .replace("not known", "fee not known")
        )
    if_real = " if the judge were real" if detector["simulated"] else ""
    return f"{written_dollars(dollars)} for 1,000 pairs{if_real}"


def dollars_per_thousand(detector: dict[str, Any]) -> float | None:
    """What requests for a thousand pairs cost; None where it is not known, as with replies from a cache."""
    if not detector["paid"]:
        return 0.0
    asked = detector["answered"] + comparison_rows.failed_of(detector)
    if detector["dollars"] is None or detector["from_cache"] or not asked:
        return None
    return float(1000 * detector["dollars"] / asked)


def written_dollars(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 0.1 or not dollars else f"${dollars:.2g}"


def saved(summary: Summary, local: str, judge: str, share: float) -> str:
    """What it saves that the local detector settles this share of the pairs: for 1,000 pairs, in a sentence.

    Time before money; pairs that stay only where the judge is not on this machine.
    """
    asked, spared = summary["detectors"][judge], round(PAIRS * share)
    seconds = _seconds_saved(asked, summary["detectors"][local], share)
    gains = [_duration(seconds)] if seconds and seconds > 0 else []
    gains += _dollars_saved(asked, share)
    stay = "stay unasked" if _is_on_this_machine(asked) else "never leave the house"
    if_real = "Were the judge real, of" if asked["simulated"] else "Of"
    claim = f"{if_real} {PAIRS:,} pairs {spared:,} would {stay}"
    if gains:
        return f"{claim}, which saves {' and '.join(gains)}."
    return f"{claim}." if seconds is None else f"{claim}, which saves no time."


def _is_on_this_machine(judge: dict[str, Any]) -> bool:
    return judge["absent"].get("dollars") == NO_FEE and not judge["simulated"]


def _seconds_saved(judge: dict[str, Any], local: dict[str, Any], share: float) -> float | None:
    """Of the judge's time less what the local detector takes; None where either was not measured."""
    own_ms = comparison_rows.computed_ms(local)
    if not judge.get("pairs_per_s") or own_ms is None:
        return None
    return float(PAIRS * (share / judge["pairs_per_s"] - own_ms / 1000))


def _duration(seconds: float) -> str:
    if seconds >= SECONDS_OF_HOUR:
        return f"{words.quantity(seconds / SECONDS_OF_HOUR)} hours"
    if seconds >= SECONDS_OF_MINUTE:
        return f"{words.quantity(seconds / SECONDS_OF_MINUTE)} minutes"
    return f"{words.quantity(seconds)} seconds"


def _dollars_saved(judge: dict[str, Any], share: float) -> list[str]:
    dollars = dollars_per_thousand(judge)
    return [written_dollars(share * dollars)] if dollars else []
