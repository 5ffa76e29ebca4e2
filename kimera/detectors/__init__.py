"""What a local detector is."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "COUNTED",
    "SURE",
    "Chain",
    "VerdictSource",
]

if TYPE_CHECKING:
    from kimera.detectors.chain import SURE, Chain
    from kimera.detectors.verdict_source import COUNTED, VerdictSource
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "chain": ["SURE", "Chain"],
            "verdict_source": ["COUNTED", "VerdictSource"],
        },
    )
