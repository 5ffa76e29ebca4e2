"""Several judges that decide together, as one more detector of their run."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "DIVIDED",
    "MAJORITY",
    "RULES",
    "PanelRun",
    "Rule",
    "cost_of",
    "decide",
    "with_panel",
]

if TYPE_CHECKING:
    from benchmarks.panel.decisions import decide
    from benchmarks.panel.in_run import DIVIDED, PanelRun
    from benchmarks.panel.result import cost_of, with_panel
    from benchmarks.panel.rules import MAJORITY, RULES, Rule
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "decisions": ["decide"],
            "in_run": ["DIVIDED", "PanelRun"],
            "result": ["cost_of", "with_panel"],
            "rules": ["MAJORITY", "RULES", "Rule"],
        },
    )
