"""What a local detector is, and the kinds of them beside the reactor."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "COUNTED",
    "SURE",
    "THRESHOLD",
    "AtThreshold",
    "Chain",
    "ChunkProgress",
    "FunctionDetector",
    "NLIModel",
    "ScoresFile",
    "ScoresRow",
    "VerdictSource",
    "at_threshold",
    "chunk_size",
    "moved_score",
    "require_threshold",
    "require_workers",
    "verdict_of",
]

if TYPE_CHECKING:
    from kimera.detectors.chain import SURE, Chain
    from kimera.detectors.chunk_progress import ChunkProgress
    from kimera.detectors.chunks import chunk_size, require_workers, verdict_of
    from kimera.detectors.function_detector import FunctionDetector
    from kimera.detectors.moved_scores import AtThreshold, at_threshold, moved_score, require_threshold
    from kimera.detectors.nli_model import NLIModel
    from kimera.detectors.scores_file import ScoresFile, ScoresRow
    from kimera.detectors.verdict_source import COUNTED, THRESHOLD, VerdictSource
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "moved_scores": ["AtThreshold", "at_threshold", "moved_score", "require_threshold"],
            "chain": ["SURE", "Chain"],
            "chunk_progress": ["ChunkProgress"],
            "chunks": ["chunk_size", "require_workers", "verdict_of"],
            "function_detector": ["FunctionDetector"],
            "nli_model": ["NLIModel"],
            "scores_file": ["ScoresFile", "ScoresRow"],
            "verdict_source": ["COUNTED", "THRESHOLD", "VerdictSource"],
        },
    )
