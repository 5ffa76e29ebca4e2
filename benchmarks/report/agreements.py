"""Two detectors of a run in words: how many verdicts agree, who was right, and whether one is better.

Each difference is of the first minus the second, as in the tables, and the sentence names both.
"""

from __future__ import annotations

from typing import Any

from benchmarks.report.words import MISSING, Row, counted, from_to, titles
from benchmarks.stats import WHO_WAS_RIGHT
from kimera.console import printable

Couple = tuple[str, str]  # titles of the first and the second


def agreement_rows(summary: dict[str, Any]) -> list[Row]:
    """A header, then a row for each two detectors: how many verdicts agree and who was right, in pairs."""
    names = titles(summary)
    counts = [count.name for count in WHO_WAS_RIGHT]
    rows: list[Row] = [("first / second", *(count.label for count in WHO_WAS_RIGHT))]
    for entry in summary["agreement"]:
        cells = (f"{entry[count]:,}" if count in entry else MISSING for count in counts)
        rows.append((f"{names[entry['a']]} / {names[entry['b']]}", *cells))
    return rows


def agreement_sentences(summary: dict[str, Any]) -> list[str]:
    sentences = []
    for entry in summary["agreement"]:
        couple = couple_of(summary, entry)
        sentences.append(same_verdict(entry, *couple))
        if "accuracy" in entry["differences"]:
            sentences.append(difference_sentence(entry["differences"], len(summary["agreement"]), couple))
    return sentences


def couple_of(summary: dict[str, Any], entry: dict[str, Any]) -> Couple:
    names = titles(summary)
    return names[entry["a"]], names[entry["b"]]


def difference_sentence(found: dict[str, Any], tests: int, couple: Couple) -> str:
    """What the paired tests say of two accuracies, and what this run could have seen."""
    parts = [f"Accuracy: {printable(found['conclusion'])} ({evidence(found, tests, couple)})."]
    if "least_difference" in found:
        minimum = 100 * found["least_difference"]
        parts.append(f"The minimum detectable difference, at power 0.8, is {minimum:.1f} points.")
    return " ".join(parts)


def evidence(found: dict[str, Any], tests: int, couple: Couple) -> str:
    """What a conclusion on two accuracies rests on. tests: how many the p-values are adjusted for.

    couple: whose difference it is, the first one's accuracy minus the second's.
    """
    first, second = couple
    difference = found["accuracy"]
    higher = f", so {first if difference > 0 else second} is higher here" if difference else ""
    adjusted = f", {p_value(found['mcnemar']['p_holm'])} adjusted for {tests} tests" if tests > 1 else ""
    how = "McNemar's exact test" if found["mcnemar"]["method"] == "exact" else "McNemar's test, clustered"
    return (
        f"{first} minus {second} is {points(difference)} points, 95 % interval "
        f"{from_to(found['intervals']['accuracy'], 100, 1)}{higher}; {how}: "
        f"{p_value(found['mcnemar']['p'])}{adjusted}"
    )


def points(difference: float) -> str:
    """A difference of shares with its sign, in points: +4.0, -1.3, 0.0."""
    return f"{100 * difference:+.1f}" if difference else "0.0"


def same_verdict(entry: dict[str, Any], a: str, b: str) -> str:
    if "rate" not in entry:
        return f"No pair was answered by both {a} and {b}."
    same = round(entry["rate"] * entry["both_answered"])
    kappa = f", kappa {entry['kappa']:.3f}" if "kappa" in entry else ""
    share = f"{same:,} of the {counted(entry['both_answered'], 'pair')} that both answered"
    return f"Same verdict: {a} and {b} agree on {share} ({entry['rate']:.1%}{kappa})."


def p_value(value: float) -> str:
    return f"p {value:.3f}" if value >= 0.001 else "p < 0.001"
