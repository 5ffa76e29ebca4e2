"""The command line, python -m kimera.scan: the contradictions that a corpus holds within itself."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.interrupts import exit_quietly

    exit_quietly()

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from kimera.commands import as_called
from kimera.errors import UserError
from kimera.exit_codes import DONE, GATE_NOT_MET, INTERRUPTED, exit_code_of
from kimera.findings import MIN_SCORE
from kimera.reactor_flags import add_old_name, add_reactor_flags, check_reactor_flags, reactor_of, share
from kimera.scan_flags import (
    accepted_findings,
    add_corpus_flags,
    add_finding_flags,
    add_rule_flags,
    check_finding_flags,
    count_of_findings,
    gate_is_met,
    read_corpus,
    rule_of,
    scan_bar,
    write_findings,
)
from kimera.shards import shard

if TYPE_CHECKING:
    from kimera.scanning import Scan

__all__ = ["build_parser", "main"]

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


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=as_called("kimera scan"),
        usage=as_called("kimera scan FILE... [flags]; --help explains them"),
        description="Find the contradictions between the statements of a corpus.",
        epilog=as_called(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_corpus_flags(parser.add_argument_group("corpus"))
    add_rule_flags(parser.add_argument_group("which pairs are candidates"))
    findings = parser.add_argument_group("findings")
    findings.add_argument(
        "--min-score",
        type=share,
        default=MIN_SCORE,
        metavar="P",
        help="minimum P(contradiction) of a finding (default: %(default)s)",
    )
    add_old_name(findings, "--least-score", "min_score", share)
    add_finding_flags(findings)
    reactor = parser.add_argument_group("reactor")
    add_reactor_flags(reactor)
    reactor.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="verify only part I of N, for a scheduler that starts N such processes. Once their caches "
        + as_called("are joined by kimera cache merge, a whole scan has nothing left to verify"),
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    options = build_parser().parse_intermixed_args(argv)
    return exit_code_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from kimera.scanning import Scan, run_scan

    check_reactor_flags(options)
    check_finding_flags(options)
    if options.shard and options.write_baseline:
        raise UserError(
            "--write-baseline needs the findings of a whole scan, so it cannot be combined with --shard"
        )
    accepted = accepted_findings(options)
    corpus = read_corpus(options)
    scan, interrupted = Scan(), False
    with reactor_of(options, "both") as reactor:
        try:
            run_scan(
                corpus,
                reactor,
                scan,
                partial(scan_bar, options.quiet),
                rule=rule_of(options),
                min_score=options.min_score,
                workers=options.mp,
                shard=options.shard,
            )
        except KeyboardInterrupt:
            interrupted = True
    new = _write(options, scan, accepted, interrupted=interrupted)
    if interrupted:
        return INTERRUPTED
    return DONE if gate_is_met(options, new, corpus.not_read) else GATE_NOT_MET


def _write(options: argparse.Namespace, scan: Scan, accepted: set[str], *, interrupted: bool) -> int:
    """Writes the findings, or the baseline, and the counts; gives how many are not accepted."""
    new = known = 0
    if scan.verified or not interrupted:
        left = f"{scan.due - scan.verified:,} of {scan.due:,} pairs were not read" if interrupted else ""
        new, known = write_findings(options, scan.findings, accepted, incomplete=left)
    if not options.quiet:
        print(_counts(scan, new, known), file=sys.stderr)
    if interrupted:
        print(_how_far(scan, options), file=sys.stderr)
    return new


def _counts(scan: Scan, new: int, accepted: int) -> str:
    shard = f", {scan.due:,} of them in this shard" if scan.due < scan.screened else ""
    return (
        f"{scan.candidates_told}{shard}; {scan.verified:,} verified ({scan.read:,} read); "
        f"{count_of_findings(new, accepted)}"
    )


def _how_far(scan: Scan, options: argparse.Namespace) -> str:
    again = "" if options.no_cache else "; to continue, give the same command again"
    if not scan.verified:
        return f"interrupted before any pair was verified: there are no findings yet{again}"
    return (
        f"interrupted: {scan.verified:,} of {scan.due:,} pairs were verified, the most likely "
        f"contradictions first, and their findings are written{again}"
    )


if __name__ == "__main__":
    sys.exit(main())
