"""A cascade over a dataset, held against what the same simulated judge says of every pair.

python -m benchmarks.perf.cascade_run FILE [--risk 0.02] [--in-flight 64]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.llm_compare import main as compare
from benchmarks.perf.setting import setting
from benchmarks.report import build_summary
from benchmarks.runs.finished_run import FinishedRun, open_run

MAX_SENT = (None, 0.5, 0.8)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", metavar="FILE", help="labelled pairs")
    parser.add_argument("--risk", type=float, default=0.02)
    parser.add_argument("--in-flight", default="64", metavar="N")
    options = parser.parse_args(arguments)
    flags = [
        options.dataset,
        "--max-pairs",
        "0",
        "--simulate",
        "--async",
        options.in_flight,
        "--no-viz",
        "--json",
    ]
    print(f"{setting()}. A simulated judge that errs at random on 5 % of the pairs; risk {options.risk:g}.\n")
    print(
        "| --max-sent | sent | settled as none | missed beside the sample (bound) | false alarms (bound) | "
        "other verdicts than the judge's (bound) | accuracy: reactor, cascade, judge |\n| --- "
        + "| --- " * 6
        + "|"
    )
    with tempfile.TemporaryDirectory() as folder:
        whole = _run([*flags, "--judge-only"], Path(folder) / "whole")
        for maximum in MAX_SENT:
            more = ["--cascade", str(options.risk), *(["--max-sent", str(maximum)] if maximum else [])]
            print(
                _row(maximum, _run([*flags, *more], Path(folder) / f"cascade {maximum}"), whole), flush=True
            )
    return 0


def _run(flags: list[str], folder: Path) -> FinishedRun:
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        if code := compare([*flags, "--out", str(folder)]):
            raise SystemExit(code)
    return open_run(folder)


def _row(maximum: float | None, cascade: FinishedRun, whole: FinishedRun) -> str:
    judged = whole.run.detectors[0].verdicts
    said = cascade.run.detectors[2].verdicts
    decision = cascade.run.cascade.decision if cascade.run.cascade else None
    if decision is None:
        raise SystemExit("the cascade's sample is not whole")
    rest, bounds = ~decision.sampled, decision.bounds
    missed = (said == 0)[rest & (judged == 1)].mean()
    alarms = (said == 1)[rest & (judged == 0)].mean()
    other = (said != judged)[rest].mean()
    none = (~decision.asked & (said == 0)).mean()
    parts: dict[str, Any] = build_summary(cascade.run)["detectors"]
    accuracies = [parts["kimera"]["accuracy"], parts["cascade"]["accuracy"]]
    accuracies.append(build_summary(whole.run)["detectors"]["simulated-judge"]["accuracy"])
    return (
        f"| {'-' if maximum is None else maximum} | {decision.asked.mean():.1%} | {none:.1%} | "
        f"{missed:.2%} ({bounds.missed:.1%}) | {alarms:.1%} ({bounds.false_alarms:.1%}) | "
        f"{other:.1%} ({bounds.disagreement:.1%}) | {', '.join(f'{each:.3f}' for each in accuracies)} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
