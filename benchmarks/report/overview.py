"""More detectors than columns of a page hold: a row for each, a row for each two, and columns in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report import agreements, comparison_rows, words
from benchmarks.report.observations import MAX_COLUMNS
from benchmarks.report.shown_differences import is_equivalent, is_real
from benchmarks.report.trivial_rule import TrivialRule, trivial_rule
from benchmarks.report.words import MISSING, Row

Summary = dict[str, Any]

HEADING = "Overview, the highest accuracy first (95 % intervals)"
HEADING_WITH_FAILURES = "Overview, by accuracy with failed pairs as wrong (95 % intervals)"
SAME = "same verdicts"
UNLABELLED_HEADING = "Overview"


def are_many(summary: Summary) -> bool:
    """Whether its detectors are more than stand side by side."""
    return len(summary["detectors"]) > MAX_COLUMNS


def heading(summary: Summary) -> str:
    """What the rows are, and by what they are in order where that is not the accuracy in them."""
    detectors = summary["detectors"].values()
    if not any("accuracy" in each for each in detectors):
        return UNLABELLED_HEADING
    agrees = all(accuracy_of(each) == each.get("accuracy") for each in detectors)
    return HEADING if agrees else HEADING_WITH_FAILURES


def ranked(summary: Summary, role: str | None = None) -> list[str]:
    """Names of the detectors, of this role, the highest accuracy first; those without one at the end.

    A pair that failed counts as wrong, lest one that answers only a few easy pairs be called the best.
    """
    detectors = summary["detectors"]
    chosen = [name for name, detector in detectors.items() if role in (None, detector["role"])]
    return sorted(chosen, key=lambda name: -(accuracy_of(detectors[name]) or 0.0))


def best_first(summary: Summary, role: str) -> list[str]:
    """Names of the detectors of this role, the highest accuracy first: for all pairs where each has one.

    Else of the labelled ones, as `ranked`.
    """
    names = ranked(summary, role)
    of_all = {name: summary["detectors"][name].get("estimates") or {} for name in names}
    if all("accuracy" in part for part in of_all.values()):
        return sorted(names, key=lambda name: -float(of_all[name]["accuracy"]))
    return names


def accuracy_of(detector: dict[str, Any]) -> float | None:
    """Over all labelled pairs, failures as wrong; None without labels, and where some were not asked yet."""
    return detector.get("accuracy_failed_as_wrong")


def rows(summary: Summary) -> list[Row]:
    """A header, a row for each detector, and that of the trivial rule; columns that say something of any."""
    names, rule = words.titles(summary), trivial_rule(summary)
    table: list[Row] = [("", "accuracy", "F1", "ROC AUC", "pairs/s", "cost", "failed")]
    table += [(names[name], *_cells(summary["detectors"][name])) for name in ranked(summary)]
    table += [_cells_of_rule(rule)] if rule else []
    said = [place for place in range(len(table[0])) if any(row[place] != MISSING for row in table[1:])]
    return [tuple(row[place] for place in said) for row in table]


def _cells(detector: dict[str, Any]) -> Iterator[str]:
    _, accuracy = comparison_rows.figure("accuracy")
    yield accuracy(detector)
    for metric in ("f1", "roc_auc"):
        yield comparison_rows.figure_cell(detector, metric, "{:.3f}".format)
    yield comparison_rows.rate(detector)
    yield _cost(detector)
    yield f"{comparison_rows.failed_of(detector):,}"


def _cells_of_rule(rule: TrivialRule) -> Row:
    return rule.title, f"{rule.accuracy:.3f}", f"{rule.f1:.3f}", "0.500", MISSING, "none", "0"


def _cost(detector: dict[str, Any]) -> str:
    if not detector["paid"]:
        return "none"
    dollars = detector.get("dollars")
    if dollars is None and "dollars_at_least" in detector:
        return comparison_rows.at_least(detector)
    if dollars is None:
        return comparison_rows.no_dollars(detector).partition(",")[0]
    cached = detector["from_cache"]
    return comparison_rows.written_cost(detector) + (f" ({cached:,} from the cache)" if cached else "")


def blocks(summary: Summary) -> list[Summary]:
    """The summary with at most `MAX_COLUMNS` of its detectors at a time, in their order."""
    detectors = [*summary["detectors"].items()]
    starts = range(0, len(detectors), MAX_COLUMNS)
    return [{**summary, "detectors": dict(detectors[start : start + MAX_COLUMNS])} for start in starts]


def heading_of_two(summary: Summary) -> str:
    tests = _tests(summary)
    if not tests:
        return "Verdicts of each two"
    adjusted = f", p adjusted for {tests} tests" if tests > 1 else ""
    return f"Accuracy of each two, first minus second (95 % intervals{adjusted})"


def _tests(summary: Summary) -> int:
    """How many couples have a difference of accuracies, which takes labels."""
    return sum("accuracy" in entry["differences"] for entry in summary["agreement"])


def rows_of_two(summary: Summary) -> list[Row]:
    """A header, then a row for each two detectors: how far they agree, and whether one is better."""
    names = words.titles(summary)
    head: Row = ("agree", "points", "p", "")
    cells = _cells_of_two
    if not _tests(summary):
        head, cells = ("agree", "kappa", "answered by both"), _unlabelled_cells_of_two
    couples = (
        (f"{names[entry['a']]} / {names[entry['b']]}", *cells(entry)) for entry in summary["agreement"]
    )
    return [("first / second", *head), *couples]


def _cells_of_two(entry: dict[str, Any]) -> Row:
    rate = comparison_rows.figure_cell(entry, "rate", "{:.1%}".format)
    found = entry["differences"]
    if "accuracy" not in found:
        return rate, MISSING, MISSING, MISSING
    ends = words.from_to(found["intervals"]["accuracy"], 100, 1)
    p = agreements.p_value(found["mcnemar"]["p_holm"]).removeprefix("p ")
    same = not (entry["only_a"] or entry["only_b"])
    return rate, f"{agreements.points(found['accuracy'])} ({ends})", p, SAME if same else in_a_word(found)


def _unlabelled_cells_of_two(entry: dict[str, Any]) -> Row:
    figures = {"rate": "{:.1%}", "kappa": "{:.3f}", "both_answered": "{:,}"}
    return tuple(comparison_rows.figure_cell(entry, name, how.format) for name, how in figures.items())


def in_a_word(found: dict[str, Any]) -> str:
    """What `benchmarks.stats.conclusion` says in a sentence."""
    if is_real(found):
        better = "first" if found["accuracy"] > 0 else "second"
        return f"{better} is better"
    return "equivalent" if is_equivalent(found) else f"not told apart (n {found['pairs']:,})"
