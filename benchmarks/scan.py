"""The command line, python -m benchmarks.scan: a scan of a corpus with an LLM as its last stage.

The candidates of the scan become the pairs of a run as a cascade (benchmarks.llm_compare), in whose folder
they lie too. What the cascade calls a contradiction is a finding.
"""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.interrupts import exit_quietly

    exit_quietly()

import argparse
import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import options as comparison_options
from benchmarks.options import JUDGE, LIMITS, add_judge_flags, add_limit_flags, open_share, share_above_0
from kimera import __version__
from kimera.commands import as_called
from kimera.errors import UserError
from kimera.exit_codes import DONE, FAILED, GATE_NOT_MET, exit_code_of
from kimera.findings import MIN_SCORE, strongest_first
from kimera.flags import TakesFlags
from kimera.pair_flags import FLAGS, FORMAT
from kimera.reactor_flags import add_old_name, add_reactor_flags, check_reactor_flags, reactor_of
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
from kimera.standard_output import note
from kimera.whole_files import write_text

if TYPE_CHECKING:
    from benchmarks.finished_run import FinishedRun
    from kimera.scanning import Scan
    from kimera.statements import Corpus

__all__ = ["build_parser", "main"]

SETTINGS = "scan.json"
FILES = ("findings.html", "findings.jsonl")
# What they are made from: a scan that goes on has them already.
OF_CANDIDATES = {
    "--column": "column",
    **{FLAGS[name]: name for name in (*FORMAT, "skip_bad_rows")},
    "--min-cosine": "min_cosine",
    "--neighbours": "neighbours",
    "--rare-in": "rare_in",
    "--min-cosine-rare": "min_cosine_rare",
    "--dry-run": "dry_run",
}
RISK = 0.05
MAX_SENT = 1.0  # nothing is called a contradiction without the judge
WAYS_WITHOUT = {"kimera scan": "the reactor alone", "--dry-run": "what would be asked"}
EPILOG = """\
examples:
  kimera judged-scan docs --async 16 --dry-run               how many pairs, and what they would cost
  kimera judged-scan docs --async 16 > contradictions.jsonl
  kimera judged-scan facts.csv --column fact --async 16 --max-cost 5 --format html --out found.html
  kimera judged-scan docs --base-url http://localhost:8000/v1 --model NAME --async 4
  kimera judged-scan --resume runs/2026-01-31_12-00-00 > contradictions.jsonl

The candidates, the journal and the report of the run are written to its folder. kimera report and
kimera diff accept that folder like any other run.

exit codes: 0 done, 1 failed, 2 wrong usage, 3 contradictions and --fail-on-contradiction, 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=as_called("kimera judged-scan"),
        usage=as_called("kimera judged-scan FILE... [flags]; --help explains them"),
        description="Find the contradictions between the statements of a corpus, and let an LLM judge them:\n"
        + as_called("kimera scan, with the judge of kimera compare as its last stage."),
        epilog=as_called(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_corpus_flags(parser.add_argument_group("corpus"), files="*")
    add_rule_flags(parser.add_argument_group("which pairs are candidates"))
    _add_cascade(parser.add_argument_group("which candidates go to the judge"))
    add_judge_flags(parser.add_argument_group(JUDGE), prompt="collection")
    add_limit_flags(parser.add_argument_group(LIMITS))
    add_finding_flags(parser.add_argument_group("findings"))
    add_reactor_flags(parser.add_argument_group("reactor"))
    run = parser.add_argument_group("run")
    run.add_argument(
        "--folder", metavar="DIR", help="folder to write the run to (default: runs/ and a timestamp)"
    )
    run.add_argument(
        "--resume",
        metavar="DIR",
        help="continue the run in DIR; only missing and failed pairs are asked about. Give the flags of the "
        "findings, such as --baseline, again",
    )
    return parser


def _add_cascade(group: TakesFlags) -> None:
    group.add_argument(
        "--cascade",
        type=open_share,
        default=RISK,
        metavar="RISK",
        help="dismiss candidates that the reactor is sure about without asking the judge. With 95 %% "
        "probability, at most this share of the contradictions that the judge would find is missed. A random "
        "sample goes to the judge first (default: %(default)s)",
    )
    group.add_argument(
        "--max-sent",
        type=share_above_0,
        default=MAX_SENT,
        metavar="SHARE",
        help="maximum share of the candidates to send to the judge; below 1, candidates that the reactor is "
        f"surest of become findings without the judge if their score is at least {MIN_SCORE:g} (default: "
        "%(default)s)",
    )
    add_old_name(group, "--most-sent", "max_sent", share_above_0)


def main(argv: Sequence[str] | None = None) -> int:
    given = build_parser().parse_intermixed_args(argv)
    return exit_code_of(lambda: _go_on(given, argv) if given.resume else _begin(given))


def _begin(options: argparse.Namespace) -> int:
    from benchmarks.run_folder import new_run_folder

    if not options.files:
        raise UserError("give the files of the corpus, or --resume DIR")
    _check(options, Path(options.folder) if options.folder else None)
    corpus = read_corpus(options)
    if options.dry_run:
        with tempfile.TemporaryDirectory() as temporary:
            return _begin_in(Path(temporary), corpus, options)
    folder = new_run_folder(options.folder, datetime.now().astimezone(), "--folder")
    try:
        return _begin_in(folder, corpus, options)
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # where nothing was written


def _check(options: argparse.Namespace, folder: Path | None) -> None:
    """Raises UserError for what would go wrong later. folder: of the run, where it is known."""
    from benchmarks.detectors import check_judge, judges_base_url, judges_of, price_for
    from benchmarks.prompts import load_prompt

    check_reactor_flags(options)
    check_finding_flags(options)
    for flag, path in (("--out", options.out), ("--baseline", options.baseline)):
        if folder and path and path.resolve().parent == folder.resolve():
            raise UserError(f"{flag} {path}: this is the run's own folder; give a file in another one")
    comparison = _for_comparison(options, Path())
    check_judge(comparison, {as_called(way): gives for way, gives in WAYS_WITHOUT.items()})
    load_prompt(options.prompt)
    for model in judges_of(comparison):
        price_for(options, model, judges_base_url(options))
    accepted_findings(options)


def _begin_in(folder: Path, corpus: Corpus, options: argparse.Namespace) -> int:
    from benchmarks.scan_candidates import CANDIDATES, write_candidates
    from kimera.scanning import Scan, screened_pairs

    scan = Scan()
    with reactor_of(options, "both") as reactor:
        bar = partial(scan_bar, options.quiet)
        screened = screened_pairs(corpus, reactor, scan, bar, rule=rule_of(options), workers=options.mp)
    accepted = accepted_findings(options)
    written, not_asked = write_candidates(corpus, screened, accepted, folder / CANDIDATES)
    if not options.quiet:
        known = f"; {len(not_asked):,} of them are accepted" if not_asked else ""
        print(f"{scan.candidates_told}{known}", file=sys.stderr)
    if written:
        settings = _settings(options, scan, not_asked) | {"not_read": corpus.not_read}
        write_text(folder / SETTINGS, json.dumps(settings, indent=2) + "\n")
        return _judge(options, folder, None)
    if options.dry_run:
        print("There are no candidates, so the judge would be asked nothing.")
        return DONE
    (folder / CANDIDATES).unlink()
    new, _ = write_findings(options, [], accepted)
    if not options.quiet:
        print(f"nothing to judge: {count_of_findings(new, 0)}", file=sys.stderr)
    return DONE if gate_is_met(options, new, corpus.not_read) else GATE_NOT_MET


def _settings(options: argparse.Namespace, scan: Scan, not_asked: list[str]) -> dict[str, Any]:
    """What the candidates were made from and how, for whoever reads the folder later."""
    return {
        "version": __version__,
        "files": [os.path.abspath(name) if name != "-" else name for name in options.files],
        "column": options.column,
        "rule": asdict(rule_of(options)),
        "statements": scan.statements,
        "texts": scan.texts,
        "candidates": scan.candidates,
        "screened": scan.screened,
        "accepted": not_asked,
    }


def _go_on(given: argparse.Namespace, argv: Sequence[str] | None) -> int:
    from benchmarks.run_folder import resumed_options
    from benchmarks.scan_candidates import CANDIDATES

    folder, parser = Path(given.resume), build_parser()
    idle = [flag for flag, name in OF_CANDIDATES.items() if getattr(given, name) != parser.get_default(name)]
    if given.files or idle:
        raise UserError(
            f"--resume goes on with the candidates in the run's folder: leave out "
            f"{', '.join(['FILE'] * bool(given.files) + idle)}, or start a new scan"
        )
    if not (folder / CANDIDATES).is_file():
        raise UserError(f"--resume {folder}: there is no {CANDIDATES}, so there is no scan to continue")
    options, header = resumed_options(argv, given.resume, parser)
    _check(options, folder)
    return _judge(options, folder, header)


def _judge(options: argparse.Namespace, folder: Path, header: dict[str, Any] | None) -> int:
    from benchmarks.finished_run import open_run
    from benchmarks.run import run_comparison
    from benchmarks.run_folder import JOURNAL
    from benchmarks.scan_candidates import Judged
    from kimera.finding_files import FORMATS

    command = shlex.join([*as_called("kimera judged-scan").split(), *_finding_flags(options)])
    code = run_comparison(_for_comparison(options, folder), header, command, lambda *_: None)
    if options.dry_run or not (folder / JOURNAL).exists():
        return code
    run = open_run(folder)
    if code == FAILED and not run.run.of_role("judge")[0].answered.any():
        return code  # nothing was judged, so there is nothing to write
    judged = Judged(run)
    found = list(judged.findings())
    incomplete = f"{judged.open:,} of {len(run.dataset):,} candidates have no verdict" if judged.open else ""
    accepted = accepted_findings(options)
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    not_asked = settings["accepted"]
    new, known = write_findings(options, found, accepted, incomplete=incomplete, not_asked=not_asked)
    shown = strongest_first(each for each in found if each.key not in accepted)
    for name in FILES:
        write_text(folder / name, FORMATS[Path(name).suffix[1:]](shown, incomplete))
    if not options.quiet:
        told = (_shared_out(run), count_of_findings(new, known), f"also written to {folder / FILES[0]}")
        print("; ".join(told), file=sys.stderr)
    if judged.unsure:
        note(
            f"{judged.unsure:,} more candidates were called contradictions without the judge, with a score "
            f"below {MIN_SCORE:g}, and are left out; with a larger --max-sent the judge is asked about them"
        )
    if code != DONE:
        return code
    return _exit_code(options, new, judged.open, folder, settings.get("not_read", ""))


def _exit_code(options: argparse.Namespace, new: int, unjudged: int, folder: Path, not_read: str) -> int:
    """Of a scan that came to its end; says what it cannot vouch for."""
    if unjudged:
        note(f"{unjudged:,} candidates have no verdict; --resume {folder} asks about them again")
    if not gate_is_met(options, new, not_read):
        return GATE_NOT_MET
    if unjudged and (options.fail_on_contradiction or options.write_baseline):
        print(
            "error: some candidates have no verdict, so the gate fails and no baseline is written",
            file=sys.stderr,
        )
        return FAILED
    return DONE


def _finding_flags(options: argparse.Namespace) -> Iterator[str]:
    """Those that a run's folder does not hold, to be given again where it goes on."""
    for flag in ("baseline", "out", "max_findings"):
        if (value := getattr(options, flag)) is not None:
            yield from (f"--{flag.replace('_', '-')}", str(value))
    if options.format != "jsonl":
        yield from ("--format", options.format)
    for flag in ("write_baseline", "fail_on_contradiction"):
        if getattr(options, flag):
            yield f"--{flag.replace('_', '-')}"


def _for_comparison(options: argparse.Namespace, folder: Path) -> argparse.Namespace:
    """The flags of the comparison of the reactor and the judge over the candidates in the folder."""
    from benchmarks.scan_candidates import CANDIDATES

    flags = vars(comparison_options.build_parser().parse_args([]))
    flags |= {name: value for name, value in vars(options).items() if name in flags}
    flags |= {"dataset": str(folder / CANDIDATES), "max_pairs": 0, "skip_bad_rows": True}
    flags |= dict.fromkeys(FORMAT)  # those of this command line are of the corpus
    flags |= {"max_failed": 1.0}  # a scan says itself what is left without a verdict
    return argparse.Namespace(**flags | {"out": str(folder), "reactor": "both"})


def _shared_out(run: FinishedRun) -> str:
    """How the candidates were shared out, and what that cost."""
    from benchmarks.pricing import in_dollars

    [judge] = run.run.of_role("judge")
    decision = run.run.cascade.decision if run.run.cascade else None
    told = f"{judge.title} judged {int(judge.answered.sum()):,} of {len(run.dataset):,} pairs"
    if decision:
        settled = int((~decision.asked).sum())
        told += (
            f", including a random sample of {int(decision.sampled.sum()):,}; the reactor settled {settled:,}"
        )
    if judge.dollars is None:
        return told
    return f"{told}; {in_dollars(judge.dollars)}{' if the judge were real' if judge.simulated else ''}"


if __name__ == "__main__":
    sys.exit(main())
