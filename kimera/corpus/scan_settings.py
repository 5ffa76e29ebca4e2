"""The settings of the commands that scan a corpus: what they read, what is related, what they write."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kimera.console import option, share, whole
from kimera.corpus.finding_files import FORMATS
from kimera.corpus.findings import is_baseline
from kimera.corpus.folders import OF_OTHERS, files_of
from kimera.corpus.scan_rule import Rule
from kimera.corpus.statements import COLUMNS, INPUT_FORMATS, is_table
from kimera.errors import UserError
from kimera.files import EXTENSIONS, KINDS_OF_TABLES, STANDARD_INPUT, FormatSettings
from kimera.models import PACKAGED_NAMES

_RULE = Rule()


@dataclass(frozen=True, kw_only=True)
class _FileSettings:
    files: tuple[str, ...] = option(
        (),
        nargs="+",
        metavar="FILE",
        help=f"tables with one statement per row ({KINDS_OF_TABLES}), "
        "Markdown, MDX, reStructuredText, AsciiDoc, HTML, plain text, Jupyter notebooks, Word, PDF, a folder "
        "of these, or - for standard input",
    )
    column: str | None = option(
        None,
        "--column",
        metavar="NAME",
        help="column of a table that holds the statements; a path such as a.b names a nested field (default: "
        f"the first of {', '.join(COLUMNS)})",
    )
    subject: str | None = option(
        None,
        "--subject",
        metavar="NAME",
        help="column of a table that says of whom or what a statement speaks: only statements of one subject "
        "are compared, and duplicates are found",
    )
    time: str | None = option(
        None,
        "--time",
        metavar="NAME",
        help="column of a table that says of when a statement is, a date or a number: of two that contradict "
        "each other the newer one supersedes the older one, and duplicates are found",
    )


@dataclass(frozen=True, kw_only=True)
class CorpusSettings(FormatSettings, _FileSettings):  # the fields of the last base come first
    """What is read."""

    input_format: str | None = option(
        None,
        "--input-format",
        choices=INPUT_FORMATS,
        metavar="EXTENSION",
        help=f"read standard input as a file of this extension: {', '.join(INPUT_FORMATS)} (default: a "
        "table if its content is one, else plain text)",
    )
    exclude: tuple[str, ...] = option(
        (),
        "--exclude",
        metavar="PATTERN",
        repeated=True,
        help="leave out of folders what matches, a pattern as in .gitignore; several times. Always left out "
        "is what .gitignore names, what is hidden, and folders that others wrote or a build made: "
        f"{', '.join(OF_OTHERS)}; '!NAME' reads one of these",
    )
    diff: str | None = option(
        None,
        "--diff",
        metavar="REV",
        help="compare only what touches lines that changed since a revision of git: with each other, and "
        "with all the rest",
    )
    skip_bad_rows: bool = option(
        False,
        "--skip-bad-rows",
        help="drop rows and files that hold no text, and report how many; by default they are errors",
    )


@dataclass(frozen=True, kw_only=True)
class RuleSettings:
    """Which pairs of statements are candidates."""

    min_cosine: float | None = option(
        None,
        "--min-cosine",
        type=share,
        metavar="C",
        old=("--least-cosine",),
        help="minimum cosine of two statements' vectors to count as being about the same thing (default: "
        f"{_RULE.min_cosine:g}; with another --encoder, what few random pairs of the corpus reach)",
    )
    neighbours: int = option(
        _RULE.neighbours,
        "--neighbours",
        type=whole(1),
        metavar="N",
        help="number of nearest neighbours to consider for each statement (default: %(default)s)",
    )
    rare_in: int = option(
        _RULE.rare_in,
        "--rare-in",
        type=whole(0),
        metavar="N",
        help="a word is rare if at most N statements hold it; 0 switches this rule off (default: "
        "%(default)s)",
    )
    min_cosine_rare: float | None = option(
        None,
        "--min-cosine-rare",
        type=share,
        metavar="C",
        old=("--least-cosine-rare",),
        help="minimum cosine of statements that share a rare word (default: "
        f"{_RULE.min_cosine_rare:g}; with another --encoder as above)",
    )

    @property
    def rule(self) -> Rule:
        """With the cosines that were measured on the packaged encoder, where none was given."""
        return Rule(
            min_cosine=_RULE.min_cosine if self.min_cosine is None else self.min_cosine,
            neighbours=self.neighbours,
            rare_in=self.rare_in,
            min_cosine_rare=_RULE.min_cosine_rare if self.min_cosine_rare is None else self.min_cosine_rare,
        )

    def floors_to_derive(self, encoder: str) -> tuple[str, ...]:
        """The fields of the rule that were neither given nor measured on this encoder."""
        if encoder in PACKAGED_NAMES:
            return ()
        return tuple(name for name in ("min_cosine", "min_cosine_rare") if getattr(self, name) is None)


@dataclass(frozen=True, kw_only=True)
class FindingSettings:
    """What is written of what was found."""

    max_findings: int | None = option(
        None,
        "--max-findings",
        type=whole(1),
        metavar="N",
        old=("--most",),
        help="write only the N findings with the highest scores; pairs that share a statement are one",
    )
    format: Literal["jsonl", "csv", "html", "sarif"] = option(
        "jsonl",
        "--format",
        choices=tuple(FORMATS),
        help="output format: JSON Lines, CSV, a page to read, or SARIF 2.1.0 for pages of code scanning "
        "(default: %(default)s)",
    )
    out: Path | None = option(
        None,
        "--out",
        type=Path,
        metavar="FILE",
        outward=True,
        help="file to write the findings to (default: standard output)",
    )
    baseline: Path | None = option(
        None,
        "--baseline",
        type=Path,
        metavar="FILE",
        outward=True,
        help="file of accepted findings; these are left out",
    )
    write_baseline: bool = option(
        False,
        "--write-baseline",
        outward=True,
        help="accept all findings: write them to the --baseline file",
    )
    fail_on_contradiction: bool = option(
        False, "--fail-on-contradiction", help="exit with code 3 if there is any finding"
    )
    quiet: bool = option(
        False, "--quiet", one_session=True, help="print no progress or counts on standard error"
    )


def check_tables(settings: CorpusSettings) -> None:
    """Raises UserError for settings of tables where none is read, and of standard input where it is not."""
    if settings.input_format and STANDARD_INPUT not in settings.files:
        raise UserError("--input-format says how standard input is read; leave it out, or read - as well")
    names = [
        name for name in ("column", "subject", "time", "delimiter", "quoting") if getattr(settings, name)
    ]
    if names and not any(name == STANDARD_INPUT or is_table(name) for name in settings.files):
        raise UserError(
            f"without effect: {', '.join(f'--{name}' for name in names)}: none of "
            f"{', '.join(settings.files)} is a table; leave this out, or name files that end in "
            f"{', '.join(EXTENSIONS)}"
        )


def check_findings(settings: FindingSettings, read: CorpusSettings) -> None:
    """Raises UserError for what could not or should not be written, before anything is computed.

    read: what the corpus is read from.
    """
    out, baseline = settings.out, settings.baseline
    if settings.write_baseline and not baseline:
        raise UserError("--write-baseline writes the file that --baseline names; give both")
    if settings.write_baseline and read.diff:
        raise UserError("--write-baseline needs the findings of a whole scan; leave out --diff")
    if out and baseline and os.path.realpath(out) == os.path.realpath(baseline):
        raise UserError(f"--out {out}: this is the baseline file; give another name")
    corpus = {os.path.realpath(name) for name in files_of(read.files, read.exclude)}
    for flag, path in (("--out", out), ("--baseline", baseline)):
        if path and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise UserError(f"{flag} {path}: give the name of a file in a folder that exists")
        if path and os.path.realpath(path) in corpus:
            raise UserError(f"{flag} {path}: this file is part of the corpus; give another name")
    if settings.write_baseline and baseline and baseline.exists() and not is_baseline(baseline):
        raise UserError(
            f"--baseline {baseline}: this file is not a baseline, so it is not replaced; give another name"
        )
