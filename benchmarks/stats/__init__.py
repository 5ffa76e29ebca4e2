"""Scores and labels to figures, their intervals and tests, and the gates on them."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "AT_PREVALENCE",
    "AT_THRESHOLD",
    "BEST_THRESHOLD",
    "BY_NAME",
    "CALIBRATED",
    "CASCADE_RUN",
    "COSTS",
    "COST_AT_PREVALENCE",
    "DIFFERENCES",
    "DISTINCT_SCORES",
    "DOLLARS",
    "ENDS",
    "ESTIMATES",
    "FAILED",
    "LABELS_ALONE",
    "LEVEL",
    "MEASURED",
    "MIN_LABELS",
    "NOT_COMPARABLE",
    "NO_FEE",
    "NO_PRICE",
    "OF_DETECTORS",
    "OF_RUNS",
    "OF_TWO",
    "PAIRS",
    "PANEL_RUN",
    "QUALITY",
    "SCORE_SOURCES",
    "SPEED",
    "THREE_WAY",
    "TWO_WAY_LABELS",
    "WHO_WAS_RIGHT",
    "CrossFitted",
    "DetectorResult",
    "Differences",
    "Figure",
    "Gate",
    "Interval",
    "KnownPairs",
    "OneDetector",
    "Prospect",
    "Ranking",
    "Sample",
    "Shown",
    "Side",
    "UndefinedMetricError",
    "Unit",
    "accuracy_difference_interval",
    "agreement",
    "are_estimated",
    "at_prevalence",
    "by_labels_alone",
    "clusters_of",
    "compare",
    "confusion",
    "cross_fitted",
    "cross_validated_threshold",
    "design_effect",
    "differences_part",
    "estimates_of_detector",
    "estimates_of_pairs",
    "estimates_of_two",
    "exit_code_with",
    "holm",
    "known_figures",
    "mcnemar_clustered",
    "mcnemar_exact",
    "mean_in_flight",
    "mean_of_scores",
    "metrics",
    "names_in",
    "of_counts",
    "pairs_per_s",
    "parse_gates",
    "parts_of",
    "quality_intervals",
    "quantile",
    "rogan_gladen",
    "share_interval",
    "shown_in",
    "side_of",
    "times_of",
    "title_of",
    "why_not_random",
    "why_not_repeated",
    "why_not_three_way",
    "why_unranked",
    "wilson",
]

if TYPE_CHECKING:
    from benchmarks.stats import metrics
    from benchmarks.stats.agreement_figures import OF_TWO, WHO_WAS_RIGHT, agreement
    from benchmarks.stats.calibrated_scores import cross_fitted
    from benchmarks.stats.check_figures import why_not_repeated
    from benchmarks.stats.cost_figures import COST_AT_PREVALENCE, COSTS, DOLLARS
    from benchmarks.stats.count_figures import DISTINCT_SCORES, PAIRS
    from benchmarks.stats.estimate_figures import ESTIMATES, by_labels_alone
    from benchmarks.stats.evidence import (
        Differences,
        Sample,
        Side,
        compare,
        differences_part,
        quality_intervals,
        share_interval,
        side_of,
        why_unranked,
    )
    from benchmarks.stats.few_labels import (
        LABELS_ALONE,
        MIN_LABELS,
        KnownPairs,
        are_estimated,
        estimates_of_detector,
        estimates_of_pairs,
        estimates_of_two,
        mean_of_scores,
    )
    from benchmarks.stats.figure import Figure, Interval, Shown, Unit
    from benchmarks.stats.figures import (
        AT_PREVALENCE,
        AT_THRESHOLD,
        BEST_THRESHOLD,
        BY_NAME,
        CALIBRATED,
        MEASURED,
        OF_DETECTORS,
        OF_RUNS,
    )
    from benchmarks.stats.formulas import Ranking
    from benchmarks.stats.gates import (
        CASCADE_RUN,
        PANEL_RUN,
        Gate,
        Prospect,
        exit_code_with,
        known_figures,
        parse_gates,
        parts_of,
    )
    from benchmarks.stats.intervals import LEVEL, clusters_of, quantile, wilson
    from benchmarks.stats.labels_alone import rogan_gladen
    from benchmarks.stats.metrics import UndefinedMetricError
    from benchmarks.stats.operating_points import at_prevalence, cross_validated_threshold
    from benchmarks.stats.paired import (
        accuracy_difference_interval,
        design_effect,
        holm,
        mcnemar_clustered,
        mcnemar_exact,
    )
    from benchmarks.stats.quality_figures import DIFFERENCES, QUALITY, names_in, of_counts, shown_in
    from benchmarks.stats.random_part import why_not_random
    from benchmarks.stats.results import (
        FAILED,
        NO_FEE,
        NO_PRICE,
        SCORE_SOURCES,
        CrossFitted,
        DetectorResult,
        OneDetector,
        title_of,
    )
    from benchmarks.stats.schema import ENDS
    from benchmarks.stats.speed_figures import SPEED
    from benchmarks.stats.three_way_figures import (
        NOT_COMPARABLE,
        THREE_WAY,
        TWO_WAY_LABELS,
        confusion,
        why_not_three_way,
    )
    from benchmarks.stats.times import mean_in_flight, pairs_per_s, times_of
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "agreement_figures": ["OF_TWO", "WHO_WAS_RIGHT", "agreement"],
            "calibrated_scores": ["cross_fitted"],
            "cost_figures": ["COSTS", "COST_AT_PREVALENCE", "DOLLARS"],
            "count_figures": ["DISTINCT_SCORES", "PAIRS"],
            "check_figures": ["why_not_repeated"],
            "evidence": [
                "Differences",
                "Sample",
                "Side",
                "compare",
                "differences_part",
                "quality_intervals",
                "share_interval",
                "side_of",
                "why_unranked",
            ],
            "figure": ["Figure", "Interval", "Shown", "Unit"],
            "figures": [
                "AT_PREVALENCE",
                "AT_THRESHOLD",
                "BEST_THRESHOLD",
                "BY_NAME",
                "CALIBRATED",
                "MEASURED",
                "OF_DETECTORS",
                "OF_RUNS",
            ],
            "formulas": ["Ranking"],
            "gates": [
                "CASCADE_RUN",
                "PANEL_RUN",
                "Gate",
                "Prospect",
                "exit_code_with",
                "known_figures",
                "parse_gates",
                "parts_of",
            ],
            "intervals": ["LEVEL", "clusters_of", "quantile", "wilson"],
            "metrics": ["UndefinedMetricError"],
            "operating_points": ["at_prevalence", "cross_validated_threshold"],
            "paired": [
                "accuracy_difference_interval",
                "design_effect",
                "holm",
                "mcnemar_clustered",
                "mcnemar_exact",
            ],
            "quality_figures": ["DIFFERENCES", "QUALITY", "names_in", "of_counts", "shown_in"],
            "results": [
                "CrossFitted",
                "DetectorResult",
                "FAILED",
                "NO_FEE",
                "NO_PRICE",
                "OneDetector",
                "SCORE_SOURCES",
                "title_of",
            ],
            "schema": ["ENDS"],
            "speed_figures": ["SPEED"],
            "three_way_figures": [
                "NOT_COMPARABLE",
                "THREE_WAY",
                "TWO_WAY_LABELS",
                "confusion",
                "why_not_three_way",
            ],
            "few_labels": [
                "LABELS_ALONE",
                "KnownPairs",
                "are_estimated",
                "estimates_of_detector",
                "estimates_of_pairs",
                "estimates_of_two",
                "mean_of_scores",
                "MIN_LABELS",
            ],
            "labels_alone": ["rogan_gladen"],
            "random_part": ["why_not_random"],
            "estimate_figures": ["ESTIMATES", "by_labels_alone"],
            "times": ["mean_in_flight", "pairs_per_s", "times_of"],
        },
    )
