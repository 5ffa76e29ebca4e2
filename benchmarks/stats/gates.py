"""Gates, such as --fail-if "kimera.f1 < 0.8": what a figure must not be, or the command ends with 3."""

from __future__ import annotations

import math
import operator
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from typing import Any

from benchmarks.detector_info import EFFORT_KEYS, DetectorInfo, are_told_apart
from benchmarks.stats.figures import BY_NAME, OF_DETECTORS
from benchmarks.stats.quality_figures import DIFFERENCES
from benchmarks.stats.schema import ENDS, figures
from kimera.console import GATE_NOT_MET
from kimera.errors import UserError

FORM = "NAME.METRIC OP NUMBER"
OPERATORS = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
CONDITION = re.compile(
    r"(?P<metric>[a-z0-9_.]+)\s*(?P<operator>[<>]=?|==)\s*"
    r"(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)"
)

NEAR = 0.75  # how like a figure's name another has to be, to be one spelt wrong; 0.6 takes roc_auc for f1
CASCADE_RUN = "cascade_run"  # stands where detectors stand: how a run as a cascade went
PANEL_RUN = "panel_run"  # and what a panel bought
ALL_PAIRS = "estimates"  # stands there too: what is estimated of all pairs
# How the names of figures begin that only labelled pairs give: of those in a group, the group.
FROM_LABELS = (
    *{figure.name.partition(".")[0] for figure in BY_NAME.values() if figure.takes_labels},
    *(f"differences.{figure.name}" for figure in DIFFERENCES),
    *("best.", "cheapest.accuracy_gained"),  # of a panel's members
    *("differences.equivalence", "differences.mcnemar", "differences.least", "differences.min"),
)

Part = Mapping[str, Any]


def _written(number: float) -> str:
    """In full: a figure just below a gate must not look as if it were on it."""
    return repr(number).removesuffix(".0")


def _shortly(value: float, gate: Gate) -> str:
    """In as few digits as say of it what the gate finds, and do not put it on the gate's number."""
    for digits in (6, 9):
        short = f"{value:.{digits}g}"
        is_on_it = float(short) == gate.number != value
        if not float(value).is_integer() and not is_on_it:
            return short
    return _written(value)


@dataclass(frozen=True)
class Gate:
    """Not met where this figure of the subject, a detector or two as "a/b", is so related to the number."""

    subject: str
    metric: str
    operator: str
    number: float

    def __str__(self) -> str:
        return f"{self.subject}.{self.metric} {self.operator} {_written(self.number)}"


@dataclass(frozen=True)
class GateResult:
    """value: of the gate's figure, None where the run has none; then `reason` says why."""

    gate: Gate
    value: float | None
    reason: str = ""

    @property
    def is_met(self) -> bool:
        """A figure that is not there meets no gate."""
        return self.value is not None and not OPERATORS[self.gate.operator](self.value, self.gate.number)

    def __str__(self) -> str:
        outcome = (
            f"no such figure: {self.reason}"
            if self.value is None
            else f"it is {_shortly(self.value, self.gate)}"
        )
        return f'{"passed" if self.is_met else "failed"}: --fail-if "{self.gate}", {outcome}'


def known_figures(infos: Sequence[DetectorInfo]) -> dict[str, Collection[str]]:
    """What a run of these detectors, in this order, may be asked for: figures by detector, and by two."""
    couples = [f"{a.name}/{b.name}" for a, b in combinations(infos, 2) if are_told_apart(a, b)]
    of_two = dict.fromkeys(couples, figures("agreement"))
    run = {CASCADE_RUN: figures(CASCADE_RUN)} if any(info.sides for info in infos) else {}
    run |= {PANEL_RUN: figures(PANEL_RUN)} if any(info.members for info in infos) else {}
    known: dict[str, Collection[str]] = {**of_two, **run}
    known |= dict.fromkeys((info.name for info in infos), figures("detector"))
    known.setdefault(ALL_PAIRS, figures("run_estimates"))
    return known


def parts_of(summary: Part) -> dict[str, Part]:
    """Where the figures of `known_figures` stand in a summary."""
    of_two = {f"{entry['a']}/{entry['b']}": entry for entry in summary["agreement"]}
    runs = {name: summary[name] for name in (CASCADE_RUN, PANEL_RUN, ALL_PAIRS) if name in summary}
    return {**of_two, **runs, **summary["detectors"]}


def parse_gates(texts: Iterable[str] | None, known: Mapping[str, Collection[str]]) -> tuple[Gate, ...]:
    """Reads gates of the form NAME.METRIC OP NUMBER; the longest name that fits counts.

    known: the metrics of each name. Raises UserError for another form, name or metric.
    """
    return tuple(_parse(text.strip(), known) for text in texts or ())


def _parse(text: str, known: Mapping[str, Collection[str]]) -> Gate:
    faults: list[str] = []
    fitting = [subject for subject in known if text.startswith(f"{subject}.")]
    for subject in sorted(fitting, key=len, reverse=True):
        match = CONDITION.fullmatch(text[len(subject) + 1 :])
        if not match or not math.isfinite(float(match["number"])):
            faults.append(f"expected {FORM}, with NAME {subject!r} and OP one of {' '.join(OPERATORS)}")
        elif match["metric"] not in known[subject]:
            faults.append(_unknown(subject, match["metric"], known[subject]))
        else:
            return Gate(subject, match["metric"], match["operator"], float(match["number"]))
    faults.append(f"expected {FORM}, with NAME one of {', '.join(known)}")
    raise UserError(f"--fail-if {text!r}: {faults[0]}")


def _unknown(subject: str, metric: str, metrics: Collection[str]) -> str:
    beside = _beside(metric, metrics)
    near = get_close_matches(metric, beside, n=1, cutoff=NEAR)
    meant = f"did you mean {near[0]}? It" if near else "it"
    return f"{subject} has no figure {metric!r}; {meant} has {', '.join(beside)}"


def _beside(metric: str, metrics: Collection[str]) -> list[str]:
    """What the innermost group that this name leads to has: figures, and groups as "name.*"."""
    keys = metric.split(".")
    groups = (".".join([*keys[:depth], ""]) for depth in range(len(keys), -1, -1))
    group = next(group for group in groups if any(name.startswith(group) for name in metrics))
    whole = (name for name in metrics if not name.endswith(tuple(f".{end}" for end in ENDS)))
    within = (name.removeprefix(group).partition(".") for name in whole if name.startswith(group))
    return sorted({f"{group}{name}{'.*' if dot else ''}" for name, dot, _ in within})


@dataclass(frozen=True)
class Prospect:
    """What figures a run can have, before it begins.

    infos: of the detectors, by name. labelled: whether any pair is. flags: for each beginning of a figure's
    name the flag that it takes, where that was not given. estimated: whether so many pairs have no label that
    figures are estimated for all.
    """

    infos: Mapping[str, DetectorInfo]
    labelled: bool
    flags: Mapping[str, str]
    estimated: bool = True

    def require(self, gates: Iterable[Gate]) -> None:
        """Raises UserError for a gate that no outcome could meet, since the run cannot have its figure."""
        for gate in gates:
            if reason := self._why_never(gate):
                raise UserError(
                    f"--fail-if {str(gate)!r}: this run cannot have such a figure: {reason}; leave the gate "
                    "out"
                )

    def _why_never(self, gate: Gate) -> str:
        info = self.infos.get(gate.subject)
        if info and not _can_have(info, gate.metric):
            return f"{info.name} has none"
        if not self.labelled and (gate.metric.startswith(FROM_LABELS) or gate.subject == ALL_PAIRS):
            return "no pair carries a label"
        if not self.estimated and ALL_PAIRS in (gate.subject, gate.metric.partition(".")[0]):
            return "nearly all pairs are labelled, so nothing is estimated"
        flags = (flag for start, flag in self.flags.items() if gate.metric.startswith(start))
        return next((f"{flag} is not given" for flag in flags), "")


def _can_have(info: DetectorInfo, metric: str) -> bool:
    """Whether on some pairs this detector has the figure; one not declared goes with its group."""
    if (effort := metric.removesuffix("_used")) in EFFORT_KEYS.values():
        return effort == info.effort_key
    name = metric.rpartition(".")[0] if metric.endswith(tuple(f".{end}" for end in ENDS)) else metric
    group = f"{metric.partition('.')[0]}."
    declared = (
        [BY_NAME[name]]
        if name in BY_NAME
        else [figure for figure in OF_DETECTORS if figure.name.startswith(group)]
    )
    return not declared or any(figure.only_of(info) for figure in declared)


def check(gates: Iterable[Gate], parts: Mapping[str, Part]) -> list[GateResult]:
    """What became of each gate, in order."""
    return [_check(gate, parts.get(gate.subject, {})) for gate in gates]


def _check(gate: Gate, part: Part) -> GateResult:
    keys = gate.metric.split(".")
    value = _interval_end(part, keys) if keys[-1] in ENDS else _held(part, keys)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return GateResult(gate, float(value))
    return GateResult(gate, None, _why_absent(part, keys))


def _interval_end(part: Part, keys: list[str]) -> Any:
    *groups, figure, end = keys
    ends = _held(part, [*groups, "intervals", figure])
    return ends[ENDS.index(end)] if ends else None


def _held(part: Any, keys: list[str]) -> Any:
    for key in keys:
        part = part.get(key) if isinstance(part, Mapping) else None
    return part


def _why_absent(part: Part, keys: list[str]) -> str:
    """The reason that the figure's group states, or the part as a whole."""
    if keys[-1] in ENDS:
        keys = keys[:-1]
        if _held(part, keys) is not None:
            return "it has no interval"
    for depth in range(len(keys)):
        absent = _held(part, [*keys[:depth], "absent"]) or {}
        for name in (".".join(keys[depth:]), *keys[:depth]):
            if name in absent:
                return str(absent[name])
    return "this run has none"


def exit_code_with(gates: Sequence[Gate], parts: Mapping[str, Part], code: int = 0) -> int:
    """`code`, or GATE_NOT_MET where it is 0 and a gate is not met; then all are told on standard error."""
    checked = check(gates, parts)
    if all(outcome.is_met for outcome in checked):
        return code
    unmet = sum(not outcome.is_met for outcome in checked)
    print(f"error: {unmet} of {len(checked)} gates failed", file=sys.stderr)
    for outcome in checked:
        print(f"  {outcome}", file=sys.stderr)
    return code or GATE_NOT_MET
