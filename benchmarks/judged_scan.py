"""A scan of a corpus with a judge as its last stage: its candidates, the run over them, what was found."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.judge import in_dollars
from benchmarks.run import run_comparison
from benchmarks.runs import (
    CANDIDATES,
    JOURNAL,
    OF_CANDIDATES,
    FinishedRun,
    Judged,
    JudgedScanSettings,
    SimulatedAnswers,
    check_judge,
    comparison_command_line,
    comparison_of,
    judges_base_url,
    judges_of,
    known_answers,
    new_run_folder,
    open_run,
    price_for,
    prompt_of,
    require_told_again,
    resumed_settings,
    write_candidates,
)
from benchmarks.settings import RunSettings
from kimera.console import DONE, FAILED, GATE_NOT_MET, CommandLine, as_called, note, options_of, words_of
from kimera.corpus import (
    FORMATS,
    MIN_SCORE,
    About,
    Corpus,
    FindingSettings,
    Scan,
    ScanScores,
    Screened,
    Written,
    accepted_findings,
    check_findings,
    gate_is_met,
    groups_of,
    read_corpus,
    scan_bar,
    screened_by_words,
    screened_pairs,
    strongest_first,
    tell_floors,
    write_findings,
)
from kimera.deciding_detector import check_deciding, deciding_name, finding_reactor
from kimera.errors import UserError
from kimera.files import FormatSettings, write_text
from kimera.local_names import REACTOR
from kimera.local_settings import to_be_fetched
from kimera.models import PACKAGED_NAMES
from kimera.reactor_settings import check_reactor
from kimera.version import __version__

SCAN = "scan.json"
FILES = ("findings.html", "findings.jsonl")
WAYS_WITHOUT = {
    "--simulate": "a simulated judge, offline; it answers at random, or from --planted FILE",
    "kimera scan": "the reactor alone",
    "--dry-run": "what would be asked",
}


def begin(settings: JudgedScanSettings) -> int:
    if not settings.files:
        raise UserError("give the files of the corpus, or --resume DIR")
    _check(settings, comparison_of(settings), Path(settings.folder) if settings.folder else None)
    answers = SimulatedAnswers(settings.planted) if settings.simulate else None
    corpus = read_corpus(settings, quiet=settings.quiet)
    if settings.dry_run:
        with tempfile.TemporaryDirectory() as temporary:
            return _begin_in(Path(temporary), corpus, settings, answers)
    folder = new_run_folder(settings.folder, datetime.now().astimezone(), "--folder")
    try:
        return _begin_in(folder, corpus, settings, answers)
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # where nothing was written


def _check(settings: JudgedScanSettings, comparison: RunSettings, folder: Path | None) -> None:
    """Raises UserError for what would go wrong later. folder: of the run, where it is known."""
    if settings.planted and not settings.simulate:
        raise UserError("--planted FILE is what the judge of --simulate knows; give both")
    check_reactor(comparison)
    check_deciding(comparison, deciding_name(comparison))
    check_findings(settings, settings)
    for flag, path in (("--out", settings.out), ("--baseline", settings.baseline)):
        if folder and path and path.resolve().parent == folder.resolve():
            raise UserError(f"{flag} {path}: this is the run's own folder; give a file in another one")
    check_judge(comparison, {as_called(way): gives for way, gives in WAYS_WITHOUT.items()})
    prompt_of(comparison)
    for model in judges_of(comparison):
        price_for(comparison, model, judges_base_url(comparison))
    accepted_findings(settings)


def _begin_in(
    folder: Path, corpus: Corpus, settings: JudgedScanSettings, answers: SimulatedAnswers | None
) -> int:
    scan = Scan()
    by_words = _by_words(settings, corpus)
    name = deciding_name(settings)
    # A dry run fetches nothing, and what decides is not needed for it.
    decides = not (settings.dry_run and to_be_fetched([name], settings, settings, "both"))
    with finding_reactor(settings, name, "both", decides=decides) as reactor:
        screened = screened_pairs(
            corpus,
            reactor,
            scan,
            partial(scan_bar, settings.quiet),
            rule=settings.rule,
            workers=settings.mp,
            derived=settings.floors_to_derive(settings.encoder),
            on_floors=partial(tell_floors, settings, settings.encoder, settings.quiet),
            by_words=by_words,
        )
    accepted = accepted_findings(settings)
    written, not_asked = write_candidates(corpus, screened, accepted, folder / CANDIDATES, answers)
    if not settings.quiet:
        known = f"; {len(not_asked):,} of them are accepted" if not_asked else ""
        print(f"{scan.candidates_told}{known}", file=sys.stderr)
        if settings.likely_from is not None:
            note(
                f"--likely-from {settings.likely_from:g} and the head leave {scan.screened:,} of "
                f"{scan.candidates:,} candidates; what is promised is of these"
            )
    if answers:
        note(answers.told)
    scanned = _scanned(settings, scan, corpus, not_asked) | ({"simulated": answers.rule} if answers else {})
    if written:
        write_text(folder / SCAN, json.dumps(scanned, indent=2) + "\n")
        return _judge(settings, comparison_of(settings), folder, None)
    if settings.dry_run:
        print("There are no candidates, so the judge would be asked nothing.")
        return DONE
    (folder / CANDIDATES).unlink()
    written_now = write_findings(settings, [], accepted, _about(scanned))
    if not settings.quiet:
        print(f"nothing to judge: {written_now.told}", file=sys.stderr)
    return DONE if gate_is_met(settings, written_now.contradictions, corpus.not_read) else GATE_NOT_MET


def _by_words(settings: JudgedScanSettings, corpus: Corpus) -> Callable[..., Screened] | None:
    """What leaves the candidates of --likely-from. Raises UserError where scans are not scored so."""
    if settings.likely_from is None:
        return None
    against = {
        "a table among the files": corpus.has_rows,
        f"--encoder {settings.encoder}": settings.encoder not in PACKAGED_NAMES,
        "--head": bool(settings.head),
    }
    for reason in (reason for reason, holds in against.items() if holds):
        raise UserError(
            f"--likely-from cannot be combined with {reason}: the scores are of prose and of the "
            "shipped encoder and head; leave one of them out"
        )
    return partial(screened_by_words, scores=ScanScores.load(), min_score=settings.likely_from)


def _scanned(
    settings: JudgedScanSettings, scan: Scan, corpus: Corpus, not_asked: list[str]
) -> dict[str, Any]:
    """What the candidates were made from and how, for whoever reads the folder later."""
    return {
        "version": __version__,
        "files": [os.path.abspath(name) if name != "-" else name for name in settings.files],
        "exclude": list(settings.exclude),
        "column": settings.column,
        "subject": settings.subject,
        "time": settings.time,
        "diff": settings.diff,
        "rule": asdict(scan.rule),
        "likely_from": settings.likely_from,
        "floor_pairs": scan.floor_pairs,
        "statements": scan.statements,
        "files_read": corpus.files,
        "texts": scan.texts,
        "candidates": scan.candidates,
        "screened": scan.screened,
        "accepted": not_asked,
        "not_read": corpus.not_read,
        "ignored": corpus.ignored,
    }


def go_on(told: CommandLine[JudgedScanSettings], resume: str) -> int:
    declared, folder = options_of(JudgedScanSettings), Path(resume)
    # What a configuration file says of them had its effect when the candidates were made.
    if idle := [declared[name].shown for name in OF_CANDIDATES if name in told.flags]:
        raise UserError(
            f"--resume goes on with the candidates in the run's folder: leave out {', '.join(idle)}, or "
            "start a new scan"
        )
    if not (folder / CANDIDATES).is_file():
        raise UserError(f"--resume {folder}: there is no {CANDIDATES}, so there is no scan to continue")
    of_comparison = comparison_command_line(told)
    comparison, header = resumed_settings(of_comparison, resume, "kimera judged-scan")
    require_told_again(of_comparison, comparison, resume, "kimera judged-scan")
    _check(told.settings, comparison, folder)
    return _judge(told.settings, comparison, folder, header)


def _judge(
    settings: JudgedScanSettings, comparison: RunSettings, folder: Path, header: dict[str, Any] | None
) -> int:
    """comparison: the settings of the run over the candidates in the folder, whose header it may have."""
    # The run's folder does not hold the settings of the findings.
    again = words_of(settings, options_of(FindingSettings))
    command = shlex.join([*as_called("kimera judged-scan").split(), *again])
    known = known_answers(folder / CANDIDATES) if comparison.simulate else None
    code = run_comparison(_over_candidates(comparison, folder), header, command, lambda *_: None, known)
    if settings.dry_run or not (folder / JOURNAL).exists():
        return code
    run = open_run(folder)
    if code == FAILED and not run.run.of_role("judge")[0].answered.any():
        return code  # nothing was judged, so there is nothing to write
    judged = Judged(run)
    findings = list(judged.findings())
    incomplete = f"{judged.open:,} of {len(run.dataset):,} candidates have no verdict" if judged.open else ""
    accepted = accepted_findings(settings)
    scanned = json.loads((folder / SCAN).read_text(encoding="utf-8"))
    not_asked = scanned["accepted"]
    about = _about(scanned, incomplete, run)
    written = write_findings(settings, findings, accepted, about, not_asked=not_asked)
    shown = strongest_first(finding for finding in findings if finding.key not in accepted)
    for name in FILES:
        write_text(folder / name, FORMATS[Path(name).suffix[1:]](groups_of(shown), about))
    if not settings.quiet:
        parts = (_shared_out(run), written.told, f"also written to {folder / FILES[0]}")
        print("; ".join(parts), file=sys.stderr)
    if judged.unsure:
        note(
            f"{judged.unsure:,} more candidates were called contradictions without the judge, with a score "
            f"below {MIN_SCORE:g}, and are left out; with a larger --max-sent the judge is asked about them"
        )
    if code != DONE:
        return code
    return _exit_code(settings, written, judged.open, folder, scanned.get("not_read", ""))


def _about(scanned: dict[str, Any], incomplete: str = "", run: FinishedRun | None = None) -> About:
    """scanned: what `SCAN` holds of how the candidates were made; an earlier version's may hold less."""
    judge = f"called a contradiction by {run.run.of_role('judge')[0].title}" if run else ""
    if judge and (rule := scanned.get("simulated")):
        judge += f", which {rule}"
    if judge and (likely := scanned.get("likely_from")):
        judge += f"; asked only about candidates that a scan could score at least {likely:g}"
    return About(
        incomplete=incomplete,
        statements=scanned.get("statements", 0),
        texts=scanned.get("texts", 0),
        files=scanned.get("files_read", 0),
        ignored=scanned.get("ignored", 0),
        threshold=judge,
        when=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )


def _exit_code(
    settings: JudgedScanSettings, written: Written, unjudged: int, folder: Path, not_read: str
) -> int:
    """Of a scan that came to its end; says what it cannot vouch for."""
    if unjudged:
        note(f"{unjudged:,} candidates have no verdict; --resume {folder} asks about them again")
    if not gate_is_met(settings, written.contradictions, not_read):
        return GATE_NOT_MET
    if unjudged and (settings.fail_on_contradiction or settings.write_baseline):
        print(
            "error: some candidates have no verdict, so the gate fails and no baseline is written",
            file=sys.stderr,
        )
        return FAILED
    return DONE


def _over_candidates(comparison: RunSettings, folder: Path) -> RunSettings:
    """The same over the candidates in a folder, which are all to be judged, and written by us."""
    as_written: dict[str, Any] = {name: each.default for name, each in options_of(FormatSettings).items()}
    return replace(
        comparison,
        dataset=str(folder / CANDIDATES),
        max_pairs=0,
        skip_bad_rows=True,
        max_failed=1.0,  # a scan says itself what is left without a verdict
        out=str(folder),
        reactor="both",
        **as_written,
    )


def _called(local: str) -> str:
    return "the reactor" if local == REACTOR else local


def _shared_out(run: FinishedRun) -> str:
    """How the candidates were shared out, and what that cost."""
    [local], [judge] = run.run.of_role("local"), run.run.of_role("judge")
    decision = run.run.cascade.decision if run.run.cascade else None
    sentence = f"{judge.title} judged {int(judge.answered.sum()):,} of {len(run.dataset):,} pairs"
    if decision:
        settled = int((~decision.asked).sum())
        sentence += (
            f", including a random sample of {int(decision.sampled.sum()):,}; {_called(local.name)} settled "
            f"{settled:,}"
        )
    if judge.dollars is None:
        return sentence
    return f"{sentence}; {in_dollars(judge.dollars)}{' if the judge were real' if judge.simulated else ''}"
