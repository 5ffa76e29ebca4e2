"""The command line, python -m kimera.scan: the contradictions that a corpus holds within itself."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from kimera.console import (
    DONE,
    GATE_NOT_MET,
    INTERRUPTED,
    Groups,
    command_line,
    exit_code_of,
    option,
    parser_of,
    shard_of_n,
    share,
)
from kimera.corpus import (
    MIN_SCORE,
    CorpusSettings,
    FindingSettings,
    RuleSettings,
    accepted_findings,
    check_findings,
    count_of_findings,
    gate_is_met,
    read_corpus,
    scan_bar,
    write_findings,
)
from kimera.errors import UserError
from kimera.reactor_settings import ReactorSettings, check_reactor, reactor_of

if TYPE_CHECKING:
    from kimera.corpus import Scan

__all__ = ["ScanSettings", "build_parser", "main"]

EPILOG = """\
examples:
  kimera scan docs README.md                    findings as JSON Lines on standard output
  kimera scan facts.csv --column fact --format html --out contradictions.html
  kimera scan docs --baseline accepted.json --write-baseline    accept the current findings
  kimera scan docs --baseline accepted.json --fail-on-contradiction

Two statements count as a contradiction if they cannot both be true of the same situation and time. The
models cannot tell whether they are about the same one; statements whose vectors are close, or that share a
rare word, are assumed to be (--min-cosine, --min-cosine-rare, --rare-in).

exit codes: 0 done, 1 failed, 2 wrong usage, 3 contradictions and --fail-on-contradiction, 130 interrupted
"""


@dataclass(frozen=True, kw_only=True)
class ScanSettings(CorpusSettings, RuleSettings, FindingSettings, ReactorSettings):
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {
        "corpus": (CorpusSettings,),
        "which pairs are candidates": (RuleSettings,),
        "findings": ("min_score", FindingSettings),
        "reactor": (ReactorSettings, "shard"),
    }
    min_score: float = option(
        MIN_SCORE,
        "--min-score",
        type=share,
        metavar="P",
        old=("--least-score",),
        help="minimum P(contradiction) of a finding (default: %(default)s)",
    )
    shard: str | None = option(
        None,
        "--shard",
        type=shard_of_n,
        metavar="I/N",
        help="verify only part I of N, for a scheduler that starts N such processes. Once their caches are "
        "joined by kimera cache merge, a whole scan has nothing left to verify",
    )


def build_parser() -> argparse.ArgumentParser:
    return parser_of(
        ScanSettings,
        "scan",
        usage="kimera scan FILE... [flags]; --help explains them",
        description="Find the contradictions between the statements of a corpus.",
        epilog=EPILOG,
        allow_abbrev=False,
    )


def main(argv: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_intermixed_args(argv)
    return exit_code_of(lambda: _run(command_line(ScanSettings, "scan", parsed).settings))


def _run(settings: ScanSettings) -> int:
    # What computes, numpy among it, --help need not wait for.
    from kimera.corpus import Scan, run_scan

    check_reactor(settings)
    check_findings(settings, settings.files)
    if settings.shard and settings.write_baseline:
        raise UserError(
            "--write-baseline needs the findings of a whole scan, so it cannot be combined with --shard"
        )
    accepted = accepted_findings(settings)
    corpus = read_corpus(settings, quiet=settings.quiet)
    scan, interrupted = Scan(), False
    with reactor_of(settings, "both") as reactor:
        try:
            run_scan(
                corpus,
                reactor,
                scan,
                partial(scan_bar, settings.quiet),
                rule=settings.rule,
                min_score=settings.min_score,
                workers=settings.mp,
                shard=settings.shard,
            )
        except KeyboardInterrupt:
            interrupted = True
    new = _write(settings, scan, accepted, interrupted=interrupted)
    if interrupted:
        return INTERRUPTED
    return DONE if gate_is_met(settings, new, corpus.not_read) else GATE_NOT_MET


def _write(settings: ScanSettings, scan: Scan, accepted: set[str], *, interrupted: bool) -> int:
    """Writes the findings, or the baseline, and the counts; gives how many are not accepted."""
    new = known = 0
    if scan.verified or not interrupted:
        left = f"{scan.due - scan.verified:,} of {scan.due:,} pairs were not read" if interrupted else ""
        new, known = write_findings(settings, scan.findings, accepted, incomplete=left)
    if not settings.quiet:
        print(_counts(scan, new, known), file=sys.stderr)
    if interrupted:
        print(_how_far(scan, settings), file=sys.stderr)
    return new


def _counts(scan: Scan, new: int, accepted: int) -> str:
    shard = f", {scan.due:,} of them in this shard" if scan.due < scan.screened else ""
    return (
        f"{scan.candidates_told}{shard}; {scan.verified:,} verified ({scan.read:,} read); "
        f"{count_of_findings(new, accepted)}"
    )


def _how_far(scan: Scan, settings: ScanSettings) -> str:
    again = "" if settings.no_cache else "; to continue, give the same command again"
    if not scan.verified:
        return f"interrupted before any pair was verified: there are no findings yet{again}"
    return (
        f"interrupted: {scan.verified:,} of {scan.due:,} pairs were verified, the most likely "
        f"contradictions first, and their findings are written{again}"
    )


if __name__ == "__main__":
    sys.exit(main())
