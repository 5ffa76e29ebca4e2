"""A cheap detector where it is sure, the dearer one elsewhere, within a bound on the error."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "CONFIDENCE",
    "BudgetError",
    "Cascade",
    "CascadePlan",
    "CascadeRun",
    "Curve",
    "CurvePoint",
    "Decision",
    "curve",
    "least_handed_on",
    "plan_in",
    "positives_needed",
    "sides_in",
    "with_cascade",
]

if TYPE_CHECKING:
    from benchmarks.cascade.bounds import CONFIDENCE, least_handed_on, positives_needed
    from benchmarks.cascade.cascade import BudgetError, Cascade, CascadePlan, Decision
    from benchmarks.cascade.in_run import CascadeRun, plan_in, sides_in
    from benchmarks.cascade.result import with_cascade
    from benchmarks.cascade.trade_off import Curve, CurvePoint, curve
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "bounds": ["CONFIDENCE", "least_handed_on", "positives_needed"],
            "cascade": ["BudgetError", "Cascade", "CascadePlan", "Decision"],
            "in_run": ["CascadeRun", "plan_in", "sides_in"],
            "result": ["with_cascade"],
            "trade_off": ["Curve", "CurvePoint", "curve"],
        },
    )
