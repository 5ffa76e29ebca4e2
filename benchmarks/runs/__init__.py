"""One comparison: its detectors, its folder and journal, and how it is read back."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "CANDIDATES",
    "CHANGES",
    "COMPARED",
    "FIGURES",
    "JOURNAL",
    "NOT_ASKED",
    "OF_CANDIDATES",
    "OF_ONE",
    "Changed",
    "Comparison",
    "Detector",
    "FinishedRun",
    "Journal",
    "JournalReader",
    "JudgeDetector",
    "JudgeOptions",
    "Judged",
    "JudgedScanSettings",
    "LocalDetector",
    "Recorder",
    "RunResult",
    "SimulatedAnswers",
    "at_thresholds",
    "build_differences",
    "changed_pairs",
    "check_judge",
    "check_same",
    "common_pairs",
    "compare",
    "comparison_command_line",
    "comparison_of",
    "detectors_header",
    "detectors_of",
    "dry_run",
    "header_of",
    "idle_flags",
    "is_begun",
    "judges_base_url",
    "judges_of",
    "key_of",
    "known_answers",
    "label_plan",
    "local_names_of",
    "local_words",
    "new_run_folder",
    "open_run",
    "pairings",
    "pairs_of_run",
    "planned",
    "price_for",
    "prompt_of",
    "protocol_of",
    "require_told_again",
    "resumed_settings",
    "rows_of",
    "with_examples",
    "write_candidates",
]

if TYPE_CHECKING:
    from benchmarks.runs.comparison import Comparison, compare
    from benchmarks.runs.detector import Detector, detectors_header
    from benchmarks.runs.dry_runs import dry_run
    from benchmarks.runs.examples import with_examples
    from benchmarks.runs.finished_run import FinishedRun, open_run
    from benchmarks.runs.journal import Journal, JournalReader
    from benchmarks.runs.judge_detector import JudgeDetector, JudgeOptions
    from benchmarks.runs.judged_scan_settings import (
        OF_CANDIDATES,
        JudgedScanSettings,
        comparison_command_line,
        comparison_of,
    )
    from benchmarks.runs.label_plans import label_plan
    from benchmarks.runs.local_detector import LocalDetector
    from benchmarks.runs.matching import common_pairs, pairings
    from benchmarks.runs.outcomes import NOT_ASKED, rows_of
    from benchmarks.runs.recorder import Recorder
    from benchmarks.runs.requested_detectors import (
        check_judge,
        detectors_of,
        idle_flags,
        judges_of,
        local_names_of,
        local_words,
        planned,
        require_told_again,
    )
    from benchmarks.runs.requested_judges import judges_base_url, price_for, prompt_of, protocol_of
    from benchmarks.runs.run_folder import (
        JOURNAL,
        check_same,
        header_of,
        is_begun,
        new_run_folder,
        pairs_of_run,
        resumed_settings,
    )
    from benchmarks.runs.run_result import RunResult, key_of
    from benchmarks.runs.scan_candidates import CANDIDATES, Judged, known_answers, write_candidates
    from benchmarks.runs.simulated_answers import SimulatedAnswers
    from benchmarks.runs.thresholds import at_thresholds
    from benchmarks.runs.two_runs import (
        CHANGES,
        COMPARED,
        FIGURES,
        OF_ONE,
        Changed,
        build_differences,
        changed_pairs,
    )
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "comparison": ["Comparison", "compare"],
            "detector": ["Detector", "detectors_header"],
            "requested_detectors": [
                "check_judge",
                "detectors_of",
                "idle_flags",
                "judges_of",
                "local_names_of",
                "local_words",
                "require_told_again",
                "planned",
            ],
            "requested_judges": ["judges_base_url", "price_for", "prompt_of", "protocol_of"],
            "dry_runs": ["dry_run"],
            "examples": ["with_examples"],
            "finished_run": ["FinishedRun", "open_run"],
            "journal": ["Journal", "JournalReader"],
            "judge_detector": ["JudgeDetector", "JudgeOptions"],
            "judged_scan_settings": [
                "JudgedScanSettings",
                "OF_CANDIDATES",
                "comparison_of",
                "comparison_command_line",
            ],
            "label_plans": ["label_plan"],
            "local_detector": ["LocalDetector"],
            "matching": ["common_pairs", "pairings"],
            "outcomes": ["NOT_ASKED", "rows_of"],
            "recorder": ["Recorder"],
            "run_folder": [
                "JOURNAL",
                "check_same",
                "header_of",
                "is_begun",
                "new_run_folder",
                "pairs_of_run",
                "resumed_settings",
            ],
            "run_result": ["RunResult", "key_of"],
            "scan_candidates": ["CANDIDATES", "Judged", "known_answers", "write_candidates"],
            "simulated_answers": ["SimulatedAnswers"],
            "thresholds": ["at_thresholds"],
            "two_runs": [
                "CHANGES",
                "COMPARED",
                "Changed",
                "FIGURES",
                "OF_ONE",
                "build_differences",
                "changed_pairs",
            ],
        },
    )
