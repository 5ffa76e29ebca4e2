"""The names of the rules by which a panel decides."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Rule: TypeAlias = Literal["majority", "mean", "unanimous"]
RULES: tuple[Rule, ...] = get_args(Rule)
MAJORITY: Rule = "majority"
