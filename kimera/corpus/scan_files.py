"""What the commands that scan a corpus read, and how they write what was found."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kimera.console import note, reader_may_leave
from kimera.corpus.about_scan import About
from kimera.corpus.changed_lines import ChangedLines
from kimera.corpus.finding_files import FORMATS
from kimera.corpus.finding_groups import groups_of
from kimera.corpus.findings import (
    CONTRADICTS,
    KINDS,
    Finding,
    read_baseline,
    replace_baseline,
    strongest_first,
)
from kimera.corpus.folders import corpus_files
from kimera.corpus.scan_settings import CorpusSettings, FindingSettings, RuleSettings, check_tables
from kimera.corpus.statements import read_statements
from kimera.corpus.texts import Corpus
from kimera.errors import UserError
from kimera.files import STANDARD_INPUT, dropped_rows, write_text

if TYPE_CHECKING:
    from kimera.corpus.scanning import Scan


def read_corpus(settings: CorpusSettings, *, quiet: bool) -> Corpus:
    """Raises UserError where it holds no statement, and for rows that hold none."""
    check_tables(settings)
    files = corpus_files(settings.files, settings.exclude)
    corpus = Corpus()
    notes: list[str] = []
    bad_rows: list[str] = []
    blank: list[None] = []
    ignored: list[None] = []
    changed = ChangedLines(settings.diff) if settings.diff else None
    on_bad_row = bad_rows.append if settings.skip_bad_rows else None
    with scan_bar(quiet, "reading", None, "statement") as progress:
        for name in files.names:
            for statement in read_statements(
                name,
                column=settings.column,
                subject=settings.subject,
                time=settings.time,
                format=settings.table_format,
                input_format=settings.input_format,
                on_bad_row=on_bad_row,
                on_blank=lambda: blank.append(None),
                on_note=notes.append,
                on_ignored=lambda: ignored.append(None),
            ):
                is_new = changed is None or name == STANDARD_INPUT or changed.hold(statement)
                corpus.add(statement, is_changed=is_new)
                progress.update()
    for message in (*notes, *filter(None, [files.left_out])):
        note(message)
    if files.idle:
        note(f"--exclude {', '.join(files.idle)}: nothing in the folders matches")
    if files.not_entered and not quiet:
        note(files.not_entered)
    if bad_rows:
        note(dropped_rows(bad_rows))
    if blank and not quiet:
        note(f"{len(blank):,} rows have a blank cell and so hold no statement")
    corpus.ignored = len(ignored)
    _tell(settings, corpus, quiet=quiet)
    if not corpus.texts:
        raise UserError(f"{', '.join(settings.files)}: no statement was found")
    if files.passed_over.total() > len(files.names):
        corpus.not_read = files.left_out
    elif len(bad_rows) > corpus.statements:
        corpus.not_read = (
            f"{len(bad_rows):,} rows or files were dropped; {corpus.statements:,} statements are read"
        )
    return corpus


def _tell(settings: CorpusSettings, corpus: Corpus, *, quiet: bool) -> None:
    """What keeps statements out."""
    if corpus.ignored and not quiet:
        note(f"{corpus.ignored:,} statements are ignored by a mark in the text (kimera: ignore)")
    if settings.diff and not quiet:
        changed, texts = sum(corpus.is_changed), len(corpus.texts)
        note(f"{changed:,} of {texts:,} distinct statements stand on lines changed since {settings.diff}")


def gate_is_met(settings: FindingSettings, contradictions: int, not_read: str) -> bool:
    """Whether --fail-on-contradiction lets a scan pass; says why not where most was not read."""
    if settings.fail_on_contradiction and not_read:
        print(f"error: the gate fails, because most of the corpus was not read: {not_read}", file=sys.stderr)
    return not (settings.fail_on_contradiction and (contradictions or not_read))


def scan_bar(quiet: bool, title: str, total: int | None, unit: str) -> Any:
    """With `quiet` given, what `run_scan` takes as its bar."""
    from kimera.console import progress_bar  # tqdm, for which --help need not wait

    return progress_bar(title, total, quiet=quiet, unit=unit if total is not None else f" {unit}")


def tell_floors(settings: RuleSettings, encoder: str, quiet: bool, scan: Scan) -> None:
    """With all but the last given, what `run_scan` calls once the corpus gave its cosine floors."""
    if quiet:
        return
    if not scan.floor_pairs:
        note(f"no cosine floor was measured for {encoder}, and the corpus has no pair to derive one from")
        return
    floors = ", ".join(
        f"--{name.replace('_', '-')} {getattr(scan.rule, name):g}"
        for name in settings.floors_to_derive(encoder)
    )
    note(
        f"cosine floors were not measured for {encoder}; taken from {scan.floor_pairs:,} random pairs of the "
        f"corpus: {floors}"
    )


def accepted_findings(settings: FindingSettings) -> set[str]:
    """The keys in --baseline; none where it is to be written anew. Raises UserError if it cannot be read."""
    return read_baseline(settings.baseline) if settings.baseline and not settings.write_baseline else set()


@dataclass(frozen=True)
class Written:
    """What was written: the findings that are not accepted, and how many others are.

    findings: each a group of `pairs`. kinds: how many pairs are of each kind.
    """

    findings: int = 0
    pairs: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    accepted: int = 0

    @property
    def contradictions(self) -> int:
        """Without what is superseded by a newer statement, as facts are that changed."""
        return self.kinds[CONTRADICTS]

    @property
    def told(self) -> str:
        pairs = f" ({self.pairs:,} pairs)" if self.pairs > self.findings else ""
        if self.kinds.keys() - {CONTRADICTS}:
            pairs += f": {', '.join(f'{self.kinds[kind]:,} {kind}' for kind in KINDS if self.kinds[kind])}"
        beside = f", {self.accepted:,} accepted beside" if self.accepted else ""
        return f"{self.findings:,} finding{'' if self.findings == 1 else 's'}{pairs}{beside}"


def write_findings(
    settings: FindingSettings,
    findings: Iterable[Finding],
    accepted: set[str],
    about: About,
    *,
    not_asked: Collection[str] = (),
) -> Written:
    """Writes those that are not accepted, or all of them to the baseline.

    Where the scan is not whole it writes no baseline. not_asked: keys of accepted ones that this scan did not
    look at, and that a baseline keeps.
    """
    every = strongest_first(findings)
    new = [finding for finding in every if finding.key not in accepted]
    if settings.write_baseline and settings.baseline and not about.incomplete:
        if gone := replace_baseline(settings.baseline, every, not_asked):
            note(
                f"{settings.baseline}: {gone:,} accepted findings were not found again and were removed from "
                "it"
            )
        new = []
    groups = groups_of(new)
    rendered = FORMATS[settings.format](groups[: settings.max_findings], about)
    if settings.out:
        marked = settings.format == "csv" and not rendered.isascii()  # for spreadsheets
        write_text(settings.out, rendered, "utf-8-sig" if marked else "utf-8")
    else:
        _print(rendered)
    kinds = Counter(finding.kind for finding in new)
    return Written(len(groups), len(new), kinds, len(every) - len(new))


def _print(text: str) -> None:
    with reader_may_leave():
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
