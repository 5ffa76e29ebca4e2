"""What the decision is made of: questions, and conclusions that a reader can repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

Summary = dict[str, Any]


@dataclass(frozen=True)
class Conclusion:
    """A sentence to remember, and what it rests on."""

    claim: str
    support: str = ""


@dataclass(frozen=True)
class Question:
    """One of the questions that are answered first."""

    question: str
    conclusions: tuple[Conclusion, ...]


def of_role(summary: Summary, role: str) -> list[str]:
    """The names of its detectors of this role."""
    return [name for name, detector in summary["detectors"].items() if detector["role"] == role]


def compared(summary: Summary) -> list[dict[str, Any]]:
    """The agreements that matter: of each local detector and judge; of all judges where no local one ran.

    What a panel is beside its members is told by itself.
    """
    wanted = {*product(of_role(summary, "local"), of_role(summary, "judge"))}
    panels = of_role(summary, "combination") if "panel_run" in summary else []
    entries = [entry for entry in summary["agreement"] if entry["b"] not in panels]
    return [entry for entry in entries if not wanted or (entry["a"], entry["b"]) in wanted]


def is_local_beside_judge(summary: Summary, entry: dict[str, Any]) -> bool:
    """Whether an agreement is of a local detector with a judge, which it may replace."""
    return [summary["detectors"][entry[side]]["role"] for side in "ab"] == ["local", "judge"]


def why_not_estimated(summary: Summary) -> str:
    """Why labelled pairs, as no random part, tell nothing of all; empty where they do, or are all."""
    return str((summary.get("estimates") or {}).get("refused", ""))


def listed(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
