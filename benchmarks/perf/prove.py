"""Measures whether the project holds what it promises, at full size, and prints a table.

    python -m benchmarks.perf.prove                      every proof: half an hour on two idle cores
    python -m benchmarks.perf.prove memory faults        some of them
    python -m benchmarks.perf.prove --small              sizes for continuous integration, in a minute

Clients to compare with are no dependencies of Kimera: python -m benchmarks.perf.judge_throughput --help says
how to get them, and --peer-python where they are. A figure that lacks its peer is skipped. At --small sizes
times are shown but not judged. The exit code is 1 if anything was missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.perf import (
    many_detectors,
    proofs_evidence,
    proofs_few_labels,
    proofs_judge,
    proofs_label_plan,
    proofs_speed,
)
from benchmarks.perf.judge_throughput import Interpreters, add_peer_python
from benchmarks.perf.proof import Bench, ProofFinding
from benchmarks.perf.setting import setting

PROOFS = {
    **proofs_speed.PROOFS,
    **proofs_judge.PROOFS,
    **proofs_evidence.PROOFS,
    **proofs_few_labels.PROOFS,
    **proofs_label_plan.PROOFS,
    **many_detectors.PROOFS,
}


def main(argv: Sequence[str] | None = None) -> int:
    """0 if all held that could be measured, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perf.prove",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROOFS)} (default: all)")
    parser.add_argument("--small", action="store_true", help="sizes for continuous integration")
    add_peer_python(parser)
    options = parser.parse_args(argv)
    if unknown := [name for name in options.names if name not in PROOFS]:
        parser.error(f"no proof is called {unknown[0]!r}; there are {', '.join(PROOFS)}")
    interpreters = Interpreters(tuple(options.peer_python))
    print(f"{setting()}.{' Small sizes: times are not judged.' if options.small else ''}\n")
    print("| figure | required | measured | |\n| --- | --- | --- | --- |")
    missed = 0
    for name in options.names or PROOFS:
        with tempfile.TemporaryDirectory() as folder:
            for finding in PROOFS[name](Bench(Path(folder), options.small, interpreters)):
                verdict = _verdict(finding, options.small)
                missed += verdict == "MISSED"
                print(f"| {finding.what} | {finding.required} | {finding.measured} | {verdict} |", flush=True)
    return 1 if missed else 0


def _verdict(finding: ProofFinding, small: bool) -> str:
    if finding.held is None:
        return "skipped"
    if small and finding.timed:
        return "not judged"
    return "held" if finding.held else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
