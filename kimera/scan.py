"""The command line, python -m kimera.scan: the contradictions that a corpus holds within itself."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.interrupts import exit_quietly

    exit_quietly()

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimera.errors import UserError
from kimera.exit_codes import DONE, GATE_NOT_MET, INTERRUPTED, exit_code_of
from kimera.reactor_flags import add_reactor_flags, check_cache_flags, reactor_of, share, whole

if TYPE_CHECKING:
    from kimera.candidates import Rule
    from kimera.scanning import Scan
    from kimera.statements import Corpus

LEAST_SCORE = 0.8
EPILOG = """\
examples:
  python -m kimera.scan docs README.md                    findings as JSON Lines on standard output
  python -m kimera.scan facts.csv --column fact --format html --out contradictions.html
  python -m kimera.scan docs --baseline accepted.json --write-baseline    accept what is there now
  python -m kimera.scan docs --baseline accepted.json --fail-on-contradiction

Two statements count as a contradiction if they cannot both be true of the same situation and time. Whether
they are about the same one the models cannot tell; statements that are close, or share a rare word, are taken
to be (--least-cosine, --least-cosine-rare, --rare-in).

exit codes: 0 done, 1 failed, 2 wrong usage, 3 contradictions and --fail-on-contradiction, 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kimera.scan",
        description="Find the contradictions that a corpus holds within itself.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    corpus = parser.add_argument_group("corpus")
    corpus.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="tables with a statement a row (CSV, TSV, JSONL, each also .gz; Parquet), Markdown, plain text, "
        "a folder of the last two, or - for standard input",
    )
    corpus.add_argument(
        "--column",
        metavar="NAME",
        help="of tables, the one with the statements (default: text, statement, sentence, claim or content)",
    )
    corpus.add_argument("--skip-bad-rows", action="store_true", help="drop and count rows that hold no text")
    _add_rule(parser.add_argument_group("which pairs are read together"))
    _add_output(parser.add_argument_group("findings"))
    add_reactor_flags(parser.add_argument_group("reactor"))
    return parser


def _add_rule(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--least-cosine",
        type=share,
        default=0.6,
        metavar="C",
        help="of two statements' vectors, to be about the same (default: %(default)s)",
    )
    group.add_argument(
        "--neighbours",
        type=whole(1),
        default=12,
        metavar="N",
        help="so many nearest ones of each statement are looked at (default: %(default)s)",
    )
    group.add_argument(
        "--rare-in",
        type=whole(0),
        default=5,
        metavar="N",
        help="a word in at most N statements is rare; 0 for no such rule (default: %(default)s)",
    )
    group.add_argument(
        "--least-cosine-rare",
        type=share,
        default=0.3,
        metavar="C",
        help="of statements that share a rare word (default: %(default)s)",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--least-score",
        type=share,
        default=LEAST_SCORE,
        metavar="P",
        help="P(contradiction) of a finding (default: %(default)s)",
    )
    group.add_argument("--most", type=whole(1), metavar="N", help="the N strongest alone are written")
    group.add_argument("--format", choices=("jsonl", "csv", "html"), default="jsonl", help="default: jsonl")
    group.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")
    group.add_argument("--baseline", type=Path, metavar="FILE", help="accepted findings, which are left out")
    group.add_argument(
        "--write-baseline", action="store_true", help="write all that is found to --baseline as accepted"
    )
    group.add_argument("--fail-on-contradiction", action="store_true", help="end with exit code 3 on any")
    group.add_argument("--quiet", action="store_true", help="no progress and counts on standard error")


def main(argv: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    return exit_code_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from kimera.findings import read_baseline
    from kimera.scanning import Scan, run_scan

    _check(options)
    accepted = read_baseline(options.baseline) if options.baseline and not options.write_baseline else set()
    corpus = _read(options)
    scan, interrupted = Scan(), False
    with reactor_of(options, "both") as reactor:
        try:
            run_scan(
                corpus,
                reactor,
                scan,
                partial(_bar, options.quiet),
                rule=_rule(options),
                least_score=options.least_score,
                workers=options.mp,
            )
        except KeyboardInterrupt:
            interrupted = True
    new = _write(options, scan, accepted, interrupted=interrupted)
    if interrupted:
        return INTERRUPTED
    return GATE_NOT_MET if options.fail_on_contradiction and new else DONE


def _check(options: argparse.Namespace) -> None:
    check_cache_flags(options)
    if options.write_baseline and not options.baseline:
        raise UserError("--write-baseline writes the file that --baseline names; give both")
    for flag, path in (("--out", options.out), ("--baseline", options.baseline)):
        if path and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise UserError(f"{flag} {path}: give the name of a file in a folder that exists")


def _rule(options: argparse.Namespace) -> Rule:
    from kimera.candidates import Rule

    return Rule(
        least_cosine=options.least_cosine,
        neighbours=options.neighbours,
        rare_in=options.rare_in,
        least_cosine_rare=options.least_cosine_rare,
    )


def _read(options: argparse.Namespace) -> Corpus:
    from kimera.pair_files import dropped_rows
    from kimera.statements import Corpus, files_of, read_statements

    corpus = Corpus()
    bad_rows: list[str] = []
    on_bad_row = bad_rows.append if options.skip_bad_rows else None
    with _bar(options.quiet, "reading", None, "statement") as progress:
        for name in files_of(options.files):
            for statement in read_statements(name, column=options.column, on_bad_row=on_bad_row):
                corpus.add(statement)
                progress.update()
    if bad_rows:
        print(f"note: {dropped_rows(bad_rows)}", file=sys.stderr)
    if not corpus.texts:
        raise UserError(f"{', '.join(options.files)}: no statement was found")
    return corpus


def _bar(quiet: bool, title: str, total: int | None, unit: str) -> Any:
    from kimera.progress import progress_bar

    return progress_bar(title, total, quiet=quiet, unit=unit)


def _write(options: argparse.Namespace, scan: Scan, accepted: set[str], *, interrupted: bool) -> int:
    """Writes the findings, or the baseline, and the counts; gives how many are not accepted."""
    from kimera.finding_files import FORMATS
    from kimera.findings import strongest_first, write_baseline
    from kimera.whole_files import write_text

    new = strongest_first(each for each in scan.findings if each.key not in accepted)
    known = len(scan.findings) - len(new)
    if options.write_baseline and not interrupted:
        write_baseline(options.baseline, new)
        new, known = [], len(new)
    rendered = FORMATS[options.format](new[: options.most])
    if options.out:
        write_text(options.out, rendered)
    else:
        _print(rendered)
    if not options.quiet:
        print(_counts(scan, len(new), known), file=sys.stderr)
    if interrupted:
        print(_how_far(scan, options), file=sys.stderr)
    return len(new)


def _print(text: str) -> None:
    from kimera.standard_output import reader_may_leave

    with reader_may_leave():
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def _counts(scan: Scan, new: int, accepted: int) -> str:
    return (
        f"{scan.statements:,} statements, {scan.texts:,} distinct ({scan.encoded:,} encoded); "
        f"{scan.candidates:,} candidates of {scan.texts * (scan.texts - 1) // 2:,} pairs; "
        f"{scan.screened:,} left by the screen; {scan.verified:,} verified ({scan.read:,} read); "
        f"{new:,} finding{'' if new == 1 else 's'}{f', {accepted:,} accepted beside' if accepted else ''}"
    )


def _how_far(scan: Scan, options: argparse.Namespace) -> str:
    again = "" if options.no_cache else "; the same command goes on from here"
    if not scan.screened:
        return f"interrupted before any pair was verified: there are no findings yet{again}"
    return (
        f"interrupted: {scan.verified:,} of {scan.screened:,} pairs were verified, the likeliest first, and "
        f"what they gave is written{again}"
    )


if __name__ == "__main__":
    sys.exit(main())
