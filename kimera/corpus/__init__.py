"""The contradictions within a corpus: statements, which of them are read together, what is found."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "FORMATS",
    "MIN_SCORE",
    "Corpus",
    "CorpusSettings",
    "Finding",
    "FindingSettings",
    "Rule",
    "RuleSettings",
    "Scan",
    "Screened",
    "Statement",
    "accepted_findings",
    "check_findings",
    "corpus_files",
    "count_of_findings",
    "floor_of",
    "gate_is_met",
    "pair_key",
    "random_cosines",
    "read_corpus",
    "read_statements",
    "run_scan",
    "scan_bar",
    "screened_pairs",
    "strongest_first",
    "tell_floors",
    "write_findings",
]

if TYPE_CHECKING:
    from kimera.corpus.candidates import Screened
    from kimera.corpus.cosine_floors import floor_of, random_cosines
    from kimera.corpus.finding_files import FORMATS
    from kimera.corpus.findings import MIN_SCORE, Finding, pair_key, strongest_first
    from kimera.corpus.scan_files import (
        accepted_findings,
        count_of_findings,
        gate_is_met,
        read_corpus,
        scan_bar,
        tell_floors,
        write_findings,
    )
    from kimera.corpus.scan_rule import Rule
    from kimera.corpus.scan_settings import CorpusSettings, FindingSettings, RuleSettings, check_findings
    from kimera.corpus.scanning import Scan, run_scan, screened_pairs
    from kimera.corpus.statements import Corpus, Statement, corpus_files, read_statements
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "candidates": ["Screened"],
            "cosine_floors": ["floor_of", "random_cosines"],
            "finding_files": ["FORMATS"],
            "findings": ["Finding", "MIN_SCORE", "pair_key", "strongest_first"],
            "scan_files": [
                "accepted_findings",
                "count_of_findings",
                "gate_is_met",
                "read_corpus",
                "scan_bar",
                "tell_floors",
                "write_findings",
            ],
            "scan_rule": ["Rule"],
            "scan_settings": ["CorpusSettings", "FindingSettings", "RuleSettings", "check_findings"],
            "scanning": ["Scan", "run_scan", "screened_pairs"],
            "statements": ["Corpus", "Statement", "corpus_files", "read_statements"],
        },
    )
