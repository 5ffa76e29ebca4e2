"""The command line, python -m kimera.scan: the contradictions that a corpus holds within itself."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from kimera.console import (
    DONE,
    FAILED,
    GATE_NOT_MET,
    INTERRUPTED,
    Groups,
    command_line,
    exit_code_of,
    note,
    option,
    parser_of,
    shard_of_n,
    share,
)
from kimera.corpus import (
    DEFAULT_MIN_SCORE,
    MIN_SCORE,
    About,
    CorpusSettings,
    FindingSettings,
    RuleSettings,
    Written,
    accepted_findings,
    check_findings,
    gate_is_met,
    read_corpus,
    scan_bar,
    tell_floors,
    write_findings,
)
from kimera.deciding_detector import (
    DecidingSettings,
    deciding_name,
    deciding_of,
    given_to_stages,
    is_calibrated,
    keeps_scores,
)
from kimera.errors import UserError
from kimera.local_names import REACTOR, LocalName
from kimera.models import PACKAGED_NAMES
from kimera.reactor_settings import ReactorSettings, check_reactor

if TYPE_CHECKING:
    from kimera.corpus import Corpus, Scan, ScanScores

__all__ = ["ScanSettings", "build_parser", "main"]

EPILOG = """\
examples:
  kimera scan docs README.md                    findings as JSON Lines on standard output
  kimera scan facts.csv --column fact --format html --out contradictions.html
  kimera scan docs --baseline accepted.json --write-baseline    accept the current findings
  kimera scan docs --baseline accepted.json --fail-on-contradiction
  kimera scan docs --local rules.py:contradicts  a function of yours decides on the candidates

Two statements count as a contradiction if they cannot both be true of the same situation and time. The
models cannot tell whether they are about the same one; statements whose vectors are close, or that share a
rare word, are assumed to be (--min-cosine, --min-cosine-rare, --rare-in).

exit codes: 0 done, 1 failed, 2 wrong usage, 3 contradictions and --fail-on-contradiction, 130 interrupted
"""


@dataclass(frozen=True, kw_only=True)
class ScanSettings(CorpusSettings, RuleSettings, DecidingSettings, FindingSettings, ReactorSettings):
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {
        "corpus": (CorpusSettings,),
        "which pairs are candidates": (RuleSettings,),
        "what decides on them": (DecidingSettings,),
        "findings": ("min_score", "pair_scores", "scan_weights", FindingSettings),
        "reactor": (ReactorSettings, "shard"),
    }
    min_score: float | None = option(
        None,
        "--min-score",
        type=share,
        metavar="P",
        old=("--least-score",),
        help="minimum P(contradiction) of a finding, by whatever decides (default: "
        f"{DEFAULT_MIN_SCORE:g}, and {MIN_SCORE:g} with --pair-scores or what implies it)",
    )
    pair_scores: bool = option(
        False,
        "--pair-scores",
        help="take the scores of the detector as they are, which find more and are mostly wrong on prose; by "
        "default the cross-encoder's are put right for scans. Implied by a table among the files, "
        "--symmetric, --local of another detector, and models of your own",
    )
    scan_weights: str | None = option(
        None,
        "--scan-weights",
        metavar="FILE",
        path=True,
        help="scores of scans that kimera train --stage scan wrote, with these weights (default: the shipped "
        "ones)",
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
    return exit_code_of(lambda: _scan(command_line(ScanSettings, "scan", parsed).settings))


def _scan(settings: ScanSettings) -> int:
    from kimera.workers import rare_collections  # which --help need not wait for

    with rare_collections():
        return _run(settings)


def _run(settings: ScanSettings) -> int:
    # What computes, numpy among it, --help need not wait for.
    from kimera.corpus import Scan, run_scan

    check_reactor(settings)
    check_findings(settings, settings)
    if settings.shard and settings.write_baseline:
        raise UserError(
            "--write-baseline needs the findings of a whole scan, so it cannot be combined with --shard"
        )
    name = deciding_name(settings)
    accepted = accepted_findings(settings)
    corpus = read_corpus(settings, quiet=settings.quiet)
    scores = _scan_scores(settings, name, has_rows=corpus.has_rows)
    min_score = settings.min_score
    if min_score is None:
        min_score = DEFAULT_MIN_SCORE if scores else MIN_SCORE
    reactor, source = deciding_of(settings, settings, name, "both")
    if scores:
        scores.require(reactor.weights)
    if not (settings.quiet or is_calibrated(name)):
        note(
            f"{name.title} decides; its scores are not calibrated as Kimera's are, and --min-score "
            f"{min_score:g} takes them as they come"
        )
    scan, interrupted = Scan(), False
    with reactor:
        try:
            run_scan(
                corpus,
                reactor,
                scan,
                partial(scan_bar, settings.quiet),
                rule=settings.rule,
                min_score=min_score,
                workers=settings.mp,
                shard=settings.shard,
                detector=source,
                title=name.title,
                duplicates=bool(settings.subject or settings.time),
                derived=settings.floors_to_derive(settings.encoder),
                on_floors=partial(tell_floors, settings, settings.encoder, settings.quiet),
                scores=scores,
            )
        except KeyboardInterrupt:
            interrupted = True
    stages = given_to_stages(source)
    if (settings.subject or settings.time) and scan.verified and not scan.tells_entailment:
        note(f"{name.title} does not tell entailment, so duplicates are not found")
    about = _about(settings, corpus, scan, name.title, min_score, interrupted=interrupted)
    written = _write(settings, scan, accepted, name.title, stages, about, interrupted=interrupted)
    if interrupted:
        print(_how_far(scan, keeps=not settings.no_cache and keeps_scores(source)), file=sys.stderr)
        return INTERRUPTED
    return _exit_code(settings, scan, written.contradictions, corpus.not_read)


def _scan_scores(settings: ScanSettings, name: LocalName, *, has_rows: bool) -> ScanScores | None:
    """None where something asks for the scores of pairs. Raises `UserError` for --scan-weights there."""
    from kimera.corpus import ScanScores  # numpy among it, for which --help need not wait

    against = {
        "--pair-scores": settings.pair_scores,
        "--symmetric": settings.symmetric,
        "--encoder": settings.encoder not in PACKAGED_NAMES,
        f"--local {name.title}": name.kind != REACTOR or name.rest not in ("", "verify"),
        "a table among the files": has_rows,
    }
    if settings.scan_weights:
        for reason in (reason for reason, holds in against.items() if holds):
            raise UserError(f"--scan-weights has no effect with {reason}; leave one of them out")
        return ScanScores.load(Path(settings.scan_weights))
    own = settings.head or settings.verify_weights
    return None if own or any(against.values()) else ScanScores.load()


def _exit_code(settings: ScanSettings, scan: Scan, contradictions: int, not_read: str) -> int:
    """Of a scan that came to its end; says what it cannot vouch for."""
    if not gate_is_met(settings, contradictions, not_read):
        return GATE_NOT_MET
    if not scan.failed:
        return DONE
    if not scan.verified:
        print(f"error: no pair has a verdict; the first error: {scan.failure.rstrip('.')}", file=sys.stderr)
        return FAILED
    if settings.fail_on_contradiction or settings.write_baseline:
        print(
            "error: some pairs have no verdict, so the gate fails and no baseline is written", file=sys.stderr
        )
        return FAILED
    return DONE


def _write(
    settings: ScanSettings,
    scan: Scan,
    accepted: set[str],
    decider: str,
    stages: Mapping[str, int],
    about: About,
    *,
    interrupted: bool,
) -> Written:
    """Writes the findings, or the baseline, and the counts.

    stages: of a chain that decides, how many pairs each was given.
    """
    written = Written()
    failed = scan.failed.total()
    if scan.verified or not interrupted:
        written = write_findings(settings, scan.findings, accepted, about)
    if not settings.quiet and (scan.candidates or not interrupted):
        print(_counts(scan, written, stages), file=sys.stderr)
    if failed:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in scan.failed.items())
        note(
            f"{decider} failed on {failed:,} of {scan.due:,} pairs ({kinds}), which have no verdict; the "
            f"first error: {scan.failure.rstrip('.')}"
        )
    return written


def _about(
    settings: ScanSettings, corpus: Corpus, scan: Scan, decider: str, min_score: float, *, interrupted: bool
) -> About:
    return About(
        incomplete=_left_out(scan, interrupted=interrupted),
        statements=corpus.statements,
        texts=len(corpus.texts),
        files=corpus.files,
        ignored=corpus.ignored,
        threshold=f"score of at least {min_score:g} by {decider}"
        + (f"; only what touches lines changed since {settings.diff}" if settings.diff else ""),
        when=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )


def _left_out(scan: Scan, *, interrupted: bool) -> str:
    """What the findings do not speak of; empty where they are whole."""
    failed = scan.failed.total()
    unread = scan.due - scan.verified - failed
    parts = [
        f"{unread:,} of {scan.due:,} pairs were not read" if interrupted else "",
        f"{failed:,} of {scan.due:,} pairs have no verdict" if failed else "",
    ]
    return "; ".join(filter(None, parts))


def _counts(scan: Scan, written: Written, stages: Mapping[str, int]) -> str:
    given = ", ".join(f"{stage} was given {count:,}" for stage, count in stages.items())
    read = "; ".join(filter(None, [f"{scan.read:,} read", given]))
    shard = f", {scan.due:,} of them in this shard" if scan.due < scan.screened else ""
    return f"{scan.candidates_told}{shard}; {scan.verified:,} verified ({read}); {written.told}"


def _how_far(scan: Scan, *, keeps: bool) -> str:
    """keeps: whether another scan finds the scores of this one in the cache."""
    again = "; to continue, give the same command again" if keeps else ""
    if not scan.verified:
        return f"interrupted before any pair was verified: there are no findings yet{again}"
    return (
        f"interrupted: {scan.verified:,} of {scan.due:,} pairs were verified, the most likely "
        f"contradictions first, and their findings are written{again}"
    )


if __name__ == "__main__":
    sys.exit(main())
