"""What a local detector is, and the kinds that are no model of ours: a function, a file of scores."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "COUNTED",
    "FunctionDetector",
    "ScoresFile",
    "ScoresRow",
    "VerdictSource",
]

if TYPE_CHECKING:
    from kimera.detectors.function_detector import FunctionDetector
    from kimera.detectors.scores_file import ScoresFile, ScoresRow
    from kimera.detectors.verdict_source import COUNTED, VerdictSource
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "function_detector": ["FunctionDetector"],
            "scores_file": ["ScoresFile", "ScoresRow"],
            "verdict_source": ["COUNTED", "VerdictSource"],
        },
    )
