"""The contradictions within a corpus: statements, which of them are read together, what is found."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "CONTRADICTS",
    "DEFAULT_MIN_SCORE",
    "FEATURES",
    "FORMATS",
    "MIN_SCORE",
    "READ",
    "SUPERSEDES",
    "About",
    "Context",
    "Corpus",
    "CorpusSettings",
    "Differences",
    "Files",
    "Finding",
    "FindingSettings",
    "Rule",
    "RuleSettings",
    "Scan",
    "ScanScores",
    "Screened",
    "Statement",
    "Written",
    "accepted_findings",
    "check_findings",
    "clipped",
    "corpus_files",
    "floor_of",
    "gate_is_met",
    "groups_of",
    "pair_key",
    "random_cosines",
    "read_both_ways",
    "read_corpus",
    "read_statements",
    "run_scan",
    "scan_bar",
    "screened_by_words",
    "screened_pairs",
    "strongest_first",
    "tell_floors",
    "write_findings",
]

if TYPE_CHECKING:
    from kimera.corpus.about_scan import About
    from kimera.corpus.cosine_floors import floor_of, random_cosines
    from kimera.corpus.deciding import read_both_ways
    from kimera.corpus.differences import FEATURES, Differences
    from kimera.corpus.finding_files import FORMATS
    from kimera.corpus.finding_groups import groups_of
    from kimera.corpus.findings import (
        CONTRADICTS,
        DEFAULT_MIN_SCORE,
        MIN_SCORE,
        SUPERSEDES,
        Finding,
        pair_key,
        strongest_first,
    )
    from kimera.corpus.folders import Files, corpus_files
    from kimera.corpus.scan_files import (
        Written,
        accepted_findings,
        gate_is_met,
        read_corpus,
        scan_bar,
        tell_floors,
        write_findings,
    )
    from kimera.corpus.scan_rule import Rule
    from kimera.corpus.scan_scores import READ, ScanScores, clipped
    from kimera.corpus.scan_settings import CorpusSettings, FindingSettings, RuleSettings, check_findings
    from kimera.corpus.scanning import Scan, run_scan, screened_pairs
    from kimera.corpus.screening import Screened, screened_by_words
    from kimera.corpus.statements import read_statements
    from kimera.corpus.texts import Context, Corpus, Statement
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "about_scan": ["About"],
            "cosine_floors": ["floor_of", "random_cosines"],
            "deciding": ["read_both_ways"],
            "differences": ["FEATURES", "Differences"],
            "finding_files": ["FORMATS"],
            "finding_groups": ["groups_of"],
            "findings": [
                "CONTRADICTS",
                "DEFAULT_MIN_SCORE",
                "Finding",
                "MIN_SCORE",
                "SUPERSEDES",
                "pair_key",
                "strongest_first",
            ],
            "folders": ["Files", "corpus_files"],
            "scan_files": [
                "Written",
                "accepted_findings",
                "gate_is_met",
                "read_corpus",
                "scan_bar",
                "tell_floors",
                "write_findings",
            ],
            "scan_rule": ["Rule"],
            "scan_scores": ["READ", "ScanScores", "clipped"],
            "scan_settings": ["CorpusSettings", "FindingSettings", "RuleSettings", "check_findings"],
            "scanning": ["Scan", "run_scan", "screened_pairs"],
            "screening": ["Screened", "screened_by_words"],
            "statements": ["read_statements"],
            "texts": ["Context", "Corpus", "Statement"],
        },
    )
