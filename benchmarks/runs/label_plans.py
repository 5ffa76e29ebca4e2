"""--plan: how many labels and judge calls a wanted width or difference takes, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cascade import min_handed_on
from benchmarks.datasets import Dataset
from benchmarks.judge import Prompt, in_dollars
from benchmarks.runs.dry_runs import cascade_words, expected_of
from benchmarks.runs.reckoning import PairsRead, Reckoned, Reckoning, read_sides, reckoned
from benchmarks.runs.requested_detectors import judges_of, local_infos
from benchmarks.settings import RunSettings
from benchmarks.stats import Needed, WidthPlan, discordance_of, labels_for_difference
from benchmarks.wanted_labels import WantedLabels
from kimera.console import DONE
from kimera.detectors import VerdictSource
from kimera.errors import UserError

POINTS = (0.10, 0.05, 0.03, 0.02)  # the rows of a table, beside what was asked
UNREACHED = "-"


@dataclass(frozen=True)
class Prices:
    """Of one pair: requests to all judges, and their dollars; None where no price is known."""

    calls: float
    dollars: float | None
    has_judges: bool


@dataclass(frozen=True)
class Costs:
    """What a number of labels takes. calls: judge calls. dollars: None without a known price."""

    labels: int
    calls: int
    dollars: float | None
    hours: float


@dataclass(frozen=True)
class Plan:
    """What labels and verdicts cost over these pairs, `labels` of which are labelled."""

    pairs: int
    labels: int
    prices: Prices
    labels_per_hour: float

    def alone(self, labels: int) -> Costs:
        """The judge is asked about labelled pairs alone."""
        return self._costs(labels, labels)

    def powered(self, labels: int) -> Costs:
        """The judge is asked about all pairs."""
        return self._costs(labels, self.pairs)

    def _costs(self, labels: int, asked: int) -> Costs:
        dollars = None if self.prices.dollars is None else self.prices.dollars * asked
        hours = max(0, labels - self.labels) / self.labels_per_hour
        return Costs(labels, round(self.prices.calls * asked), dollars, hours)


def label_plan(
    settings: RunSettings,
    wanted: WantedLabels,
    dataset: Dataset,
    prompt: Prompt,
    sources: Mapping[str, VerdictSource],
) -> int:
    """Says what it takes. sources: its local detectors that are on this machine. Nothing is sent."""
    if settings.json:
        raise UserError("--plan prints no summary, so it cannot be combined with --json")
    judges = [] if settings.kimera_only else judges_of(settings)
    local = [(info.name, info.role == "judge") for info in local_infos(settings)]
    if wanted.difference and len(local) + len(judges) < 2:
        raise UserError("--plan difference= is of two detectors, and this run has one; give width=")
    read = PairsRead.of(dataset, settings.seed)
    reckoning = reckoned(wanted, dataset, read, read_sides(settings, dataset, read, sources, local, judges))
    labels = int((dataset.labels >= 0).sum())
    plan = Plan(len(dataset), labels, _prices(settings, judges, dataset, prompt), reckoning.labels_per_hour)
    name = Path(dataset.name).name
    print(f"Plan for {name}: {plan.pairs:,} pairs, {labels:,} of them labelled.\n\nReckoned with:")
    print("\n".join(_aligned([_reckoned_row(row) for row in reckoning.rows], left=(0, 2))))
    answers = []
    if wanted.width:
        answers.append(_of_widths(plan, reckoning, wanted.width))
    if wanted.difference:
        answers.append(_of_differences(plan, reckoning, wanted.difference))
    cascade = _of_cascade(settings, dataset, reckoning)
    print("\n" + "\n".join([*cascade, *answers]))
    print("Nothing was sent.")
    return DONE


def _prices(settings: RunSettings, judges: Sequence[str], dataset: Dataset, prompt: Prompt) -> Prices:
    of_all = [expected_of(settings, model, dataset, prompt)[0] for model in judges]
    dollars = [expected.dollars for expected in of_all]
    known = None if None in dollars else sum(each or 0.0 for each in dollars) / len(dataset)
    return Prices(sum(expected.requests for expected in of_all) / len(dataset), known, bool(judges))


def _reckoned_row(row: Reckoned) -> list[str]:
    return [f"  {row.name}", f"{row.value:.2f}" if row.value < 1 else f"{row.value:g}", row.source]


def _of_widths(plan: Plan, reckoning: Reckoning, wanted: float) -> str:
    """Prints the table, and gives the sentence that answers."""
    curve = WidthPlan.of(reckoning.cells, len(reckoning.sides), plan.pairs)
    whose = " and ".join(side.name for side in reckoning.sides)
    _print_table(plan, f"accuracy of {whose}", "±{:g} points", wanted, curve.needed)
    needed = curve.needed(wanted)
    asked = f"±{100 * wanted:g} points of accuracy"
    return _answer(plan, needed, asked, f"all labelled give ±{100 * curve.narrowest:.1f} points")


def _of_differences(plan: Plan, reckoning: Reckoning, wanted: float) -> str:
    def needed_for(difference: float) -> Needed:
        return labels_for_difference(reckoning.cells, difference, plan.pairs)

    title = "difference told 4 times of 5"
    _print_table(plan, title, "{:g} points", wanted, needed_for)
    needed = needed_for(wanted)
    asked = f"A difference of {100 * wanted:g} points of accuracy, told 4 times of 5"
    if needed.unbounded is None:
        most = 100 * discordance_of(reckoning.cells)
        return f"{asked}: detectors that differ on {most:.1f} % of the pairs cannot be so far apart."
    return _answer(plan, needed, asked, "all labelled are too few")


def _answer(plan: Plan, needed: Needed, asked: str, not_reached: str) -> str:
    """not_reached: why, where all pairs together are too few."""
    if needed.powered is None:
        more = f"; about {needed.unbounded:,} labelled pairs would do" if needed.unbounded else ""
        return f"{asked}: not with these {plan.pairs:,} pairs, {not_reached}{more}."
    powered = plan.powered(needed.powered)
    if not plan.prices.has_judges:
        return f"{asked}: {_told(plan, powered)}."
    if needed.alone is None:
        return f"{asked}: {_told(plan, powered)}; labels alone would not do."
    alone = _told(plan, plan.alone(needed.alone))
    return f"{asked}: {_told(plan, powered)}.\nBy the labels alone: {alone}."


def _told(plan: Plan, costs: Costs) -> str:
    to_give = costs.labels - plan.labels
    rest = f" ({max(0, to_give):,} more)" if plan.labels else ""
    told = [f"{costs.labels:,} labels{rest}"]
    if plan.prices.has_judges:
        told.append(f"{costs.calls:,} judge calls")
        told.append("at no known price" if costs.dollars is None else f"about {_dollars(costs.dollars)}")
    return f"{', '.join(told)} and {costs.hours:.1f} hours of labelling"


def _dollars(dollars: float) -> str:
    return f"${dollars:,.2f}" if dollars >= 0.01 else in_dollars(dollars)


def _print_table(
    plan: Plan, title: str, row: str, wanted: float, needed_for: Callable[[float], Needed]
) -> None:
    """Each row: what labels alone take, and what they take beside verdicts on all pairs."""
    columns = ["labels", "judge calls", "dollars", "hours"] if plan.prices.has_judges else ["labels", "hours"]
    rows = [["", *columns, *columns]]
    for value in sorted({*POINTS, wanted}, reverse=True):
        needed = needed_for(value)
        alone = None if needed.alone is None else plan.alone(needed.alone)
        powered = None if needed.powered is None else plan.powered(needed.powered)
        cells = [*_cells(alone, plan), *_cells(powered, plan)]
        rows.append([row.format(round(100 * value, 6)), *cells])
    lines = _aligned(rows, left=(0,))
    start = len(_aligned([each[: len(columns) + 1] for each in rows], left=(0,))[0])
    over = f"verdicts on all {plan.pairs:,} pairs too"
    print(f"\n{title}\n{'by the labels alone'.rjust(start)}  {over.rjust(len(lines[0]) - start - 2)}")
    print("\n".join(lines))


def _cells(costs: Costs | None, plan: Plan) -> list[str]:
    if costs is None:
        return [UNREACHED] * (4 if plan.prices.has_judges else 2)
    hours = f"{costs.hours:.1f}"
    if not plan.prices.has_judges:
        return [f"{costs.labels:,}", hours]
    dollars = "?" if costs.dollars is None else _dollars(costs.dollars)
    return [f"{costs.labels:,}", f"{costs.calls:,}", dollars, hours]


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Lines of columns, two blanks apart. left: the columns that begin at their left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _of_cascade(settings: RunSettings, dataset: Dataset, reckoning: Reckoning) -> list[str]:
    """What the promise of a cascade takes, before anything is paid."""
    words = cascade_words(settings, dataset, reckoning.contradictions)
    if not words or not settings.cascade:
        return []
    name = reckoning.sides[0].name
    if reckoning.missed is None:
        return [*words, f"How many contradictions {name} misses by itself, labels will tell."]
    rate, ends, count = reckoning.missed
    least = [min_handed_on(settings.cascade, each) for each in (rate, *ends)]
    return [
        *words,
        f"{name} misses {rate:.0%} of the {count:,} labelled contradictions ({ends[0]:.0%} to "
        f"{ends[1]:.0%}), so that at least {least[0]:.0%} of all contradictions ({least[1]:.0%} to "
        f"{least[2]:.0%}) have to go to the judge, whatever the thresholds.",
    ]
