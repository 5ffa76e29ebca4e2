"""The flags of the commands that scan a corpus, what they read, and how they write what was found."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimera.errors import UserError
from kimera.flags import TakesFlags
from kimera.reactor_flags import add_old_name, share, whole

if TYPE_CHECKING:
    from kimera.candidates import Rule
    from kimera.findings import Finding
    from kimera.statements import Corpus


def add_corpus_flags(group: TakesFlags, files: str = "+") -> None:
    """files: argparse's nargs of them."""
    from kimera.pair_flags import add_format_flags
    from kimera.statements import COLUMNS

    group.add_argument(
        "files",
        nargs=files,
        metavar="FILE",
        help="tables with one statement per row (CSV, TSV, JSON, JSON Lines, each also .gz; Parquet), "
        "Markdown, MDX, reStructuredText, HTML, plain text, a folder of these five, or - for standard input "
        "(a table or plain text)",
    )
    group.add_argument(
        "--column",
        metavar="NAME",
        help="column of a table that holds the statements; a path such as a.b names a nested field (default: "
        f"the first of {', '.join(COLUMNS)})",
    )
    add_format_flags(group)
    group.add_argument(
        "--skip-bad-rows",
        action="store_true",
        help="drop rows and files that hold no text, and report how many; by default they are errors",
    )


def add_rule_flags(group: TakesFlags) -> None:
    group.add_argument(
        "--min-cosine",
        type=share,
        default=0.6,
        metavar="C",
        help="minimum cosine of two statements' vectors to count as being about the same thing (default: "
        "%(default)s)",
    )
    add_old_name(group, "--least-cosine", "min_cosine", share)
    group.add_argument(
        "--neighbours",
        type=whole(1),
        default=12,
        metavar="N",
        help="number of nearest neighbours to consider for each statement (default: %(default)s)",
    )
    group.add_argument(
        "--rare-in",
        type=whole(0),
        default=5,
        metavar="N",
        help="a word is rare if at most N statements hold it; 0 switches this rule off (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--min-cosine-rare",
        type=share,
        default=0.3,
        metavar="C",
        help="minimum cosine of statements that share a rare word (default: %(default)s)",
    )
    add_old_name(group, "--least-cosine-rare", "min_cosine_rare", share)


def add_finding_flags(group: TakesFlags) -> None:
    group.add_argument(
        "--max-findings", type=whole(1), metavar="N", help="write only the N findings with the highest scores"
    )
    add_old_name(group, "--most", "max_findings", whole(1))
    group.add_argument(
        "--format", choices=("jsonl", "csv", "html"), default="jsonl", help="output format (default: jsonl)"
    )
    group.add_argument(
        "--out", type=Path, metavar="FILE", help="file to write the findings to (default: standard output)"
    )
    group.add_argument(
        "--baseline", type=Path, metavar="FILE", help="file of accepted findings; these are left out"
    )
    group.add_argument(
        "--write-baseline", action="store_true", help="accept all findings: write them to the --baseline file"
    )
    group.add_argument(
        "--fail-on-contradiction", action="store_true", help="exit with code 3 if there is any finding"
    )
    group.add_argument("--quiet", action="store_true", help="print no progress or counts on standard error")


def check_finding_flags(options: argparse.Namespace) -> None:
    """Raises UserError for what could not or should not be written, before anything is computed."""
    from kimera.findings import is_baseline
    from kimera.statements import files_of

    if options.write_baseline and not options.baseline:
        raise UserError("--write-baseline writes the file that --baseline names; give both")
    if (
        options.out
        and options.baseline
        and os.path.realpath(options.out) == os.path.realpath(options.baseline)
    ):
        raise UserError(f"--out {options.out}: this is the baseline file; give another name")
    read = {os.path.realpath(name) for name in files_of(options.files)}
    for flag, path in (("--out", options.out), ("--baseline", options.baseline)):
        if path and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise UserError(f"{flag} {path}: give the name of a file in a folder that exists")
        if path and os.path.realpath(path) in read:
            raise UserError(f"{flag} {path}: this file is part of the corpus; give another name")
    if options.write_baseline and options.baseline.exists() and not is_baseline(options.baseline):
        raise UserError(
            f"--baseline {options.baseline}: this file is not a baseline, so it is not replaced; give "
            "another name"
        )


def rule_of(options: argparse.Namespace) -> Rule:
    from kimera.candidates import Rule

    return Rule(
        min_cosine=options.min_cosine,
        neighbours=options.neighbours,
        rare_in=options.rare_in,
        min_cosine_rare=options.min_cosine_rare,
    )


def read_corpus(options: argparse.Namespace) -> Corpus:
    """Raises UserError where it holds no statement, and for rows that hold none."""
    from kimera.pair_files import dropped_rows
    from kimera.pair_flags import format_of
    from kimera.standard_output import note
    from kimera.statements import Corpus, corpus_files, read_statements

    _check_tables(options)
    files = corpus_files(options.files)
    corpus = Corpus()
    notes: list[str] = []
    bad_rows: list[str] = []
    blank: list[None] = []
    on_bad_row = bad_rows.append if options.skip_bad_rows else None
    with scan_bar(options.quiet, "reading", None, "statement") as progress:
        for name in files.names:
            for statement in read_statements(
                name,
                column=options.column,
                format=format_of(vars(options)),
                on_bad_row=on_bad_row,
                on_blank=lambda: blank.append(None),
                on_note=notes.append,
            ):
                corpus.add(statement)
                progress.update()
    for each in (*notes, *filter(None, [files.left_out])):
        note(each)
    if bad_rows:
        note(dropped_rows(bad_rows))
    if blank and not options.quiet:
        note(f"{len(blank):,} rows have a blank cell and so hold no statement")
    if not corpus.texts:
        raise UserError(f"{', '.join(options.files)}: no statement was found")
    if files.passed_over.total() > len(files.names):
        corpus.not_read = files.left_out
    elif len(bad_rows) > corpus.statements:
        corpus.not_read = (
            f"{len(bad_rows):,} rows or files were dropped; {corpus.statements:,} statements are read"
        )
    return corpus


def _check_tables(options: argparse.Namespace) -> None:
    """Raises UserError for flags of tables where none is read."""
    from kimera.standard_input import STANDARD_INPUT
    from kimera.statements import is_table
    from kimera.tables import EXTENSIONS

    idle = [f"--{flag}" for flag in ("column", "delimiter", "quoting") if getattr(options, flag)]
    if idle and not any(name == STANDARD_INPUT or is_table(name) for name in options.files):
        raise UserError(
            f"without effect: {', '.join(idle)}: none of {', '.join(options.files)} is a table; leave this "
            f"out, or name files that end in {', '.join(EXTENSIONS)}"
        )


def gate_is_met(options: argparse.Namespace, new: int, not_read: str) -> bool:
    """Whether --fail-on-contradiction lets a scan pass; says why not where most was not read."""
    if options.fail_on_contradiction and not_read:
        print(f"error: the gate fails, because most of the corpus was not read: {not_read}", file=sys.stderr)
    return not (options.fail_on_contradiction and (new or not_read))


def scan_bar(quiet: bool, title: str, total: int | None, unit: str) -> Any:
    """With `quiet` given, what `run_scan` takes as its bar."""
    from kimera.progress import progress_bar

    return progress_bar(title, total, quiet=quiet, unit=unit)


def accepted_findings(options: argparse.Namespace) -> set[str]:
    """The keys in --baseline; none where it is to be written anew. Raises UserError if it cannot be read."""
    from kimera.findings import read_baseline

    return read_baseline(options.baseline) if options.baseline and not options.write_baseline else set()


def write_findings(
    options: argparse.Namespace,
    findings: Iterable[Finding],
    accepted: set[str],
    *,
    incomplete: str = "",
    not_asked: Collection[str] = (),
) -> tuple[int, int]:
    """Writes those that are not accepted, or all of them to the baseline; (how many, how many others).

    incomplete: what the scan has not looked at; then it writes no baseline. not_asked: keys of accepted ones
    that this scan did not look at, and that a baseline keeps.
    """
    from kimera.finding_files import FORMATS
    from kimera.findings import replace_baseline, strongest_first
    from kimera.standard_output import note
    from kimera.whole_files import write_text

    every = strongest_first(findings)
    new = [each for each in every if each.key not in accepted]
    if options.write_baseline and not incomplete:
        if gone := replace_baseline(options.baseline, every, not_asked):
            note(
                f"{options.baseline}: {gone:,} accepted findings were not found again and were removed from "
                "it"
            )
        new = []
    rendered = FORMATS[options.format](new[: options.max_findings], incomplete)
    if options.out:
        marked = options.format == "csv" and not rendered.isascii()  # for spreadsheets
        write_text(options.out, rendered, "utf-8-sig" if marked else "utf-8")
    else:
        _print(rendered)
    return len(new), len(every) - len(new)


def count_of_findings(new: int, accepted: int) -> str:
    return f"{new:,} finding{'' if new == 1 else 's'}{f', {accepted:,} accepted beside' if accepted else ''}"


def _print(text: str) -> None:
    from kimera.standard_output import reader_may_leave

    with reader_may_leave():
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
