"""What a local detector is, and the kinds of them beside the reactor."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "COUNTED",
    "THRESHOLD",
    "ChunkProgress",
    "NLIModel",
    "VerdictSource",
    "told_passages",
]

if TYPE_CHECKING:
    from kimera.detectors.chunks import THRESHOLD, ChunkProgress, told_passages
    from kimera.detectors.nli_model import NLIModel
    from kimera.detectors.verdict_source import COUNTED, VerdictSource
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "chunks": ["ChunkProgress", "THRESHOLD", "told_passages"],
            "nli_model": ["NLIModel"],
            "verdict_source": ["COUNTED", "VerdictSource"],
        },
    )
