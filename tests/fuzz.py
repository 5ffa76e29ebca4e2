"""New examples for every property in the tests, round after round: `make fuzz MINUTES=30`.

`make test` draws the same examples each day; here each round draws with a seed of its own. A round that is
begun is finished. The first round in which a property does not hold is the last: pytest shows the example,
and make ends with an error. A seed draws the same again while neither the test nor hypothesis changes.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
NO_PROPERTIES = 5  # pytest's code for no test that was selected


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="no round begins later (default: 30)")
    parser.add_argument("--seed", type=int, help="one round with this seed, to see a finding again")
    parser.add_argument("tests", nargs="*", default=["tests"], help="files of tests (default: all)")
    options = parser.parse_args()
    if options.seed is not None:
        return _round(options.seed, options.tests)
    began, minutes, rounds = time.monotonic(), 0.0, 0
    while not rounds or minutes < options.minutes:
        rounds, seed = rounds + 1, secrets.randbelow(2**32)
        print(f"Round {rounds}, seed {seed}; {minutes:.1f} of {options.minutes:g} minutes", flush=True)
        if ended := _round(seed, options.tests):
            return ended
        minutes = (time.monotonic() - began) / 60
    print(f"No finding in {minutes:.0f} minutes, {rounds} rounds")
    return 0


def _round(seed: int, tests: list[str]) -> int:
    """pytest's exit code, after a line that says how to see a finding again."""
    options = ["-m", "hypothesis", "--hypothesis-profile", "fuzz", "--hypothesis-seed", str(seed)]
    command = [sys.executable, "-m", "pytest", "--no-header", "--tb=short", *options, *tests]
    ended = subprocess.run(command, cwd=ROOT, check=False).returncode
    if ended == NO_PROPERTIES:
        print(f"No property is tested in {', '.join(tests)}", flush=True)
    elif ended:
        print(f"A finding, or a round that broke off. To see it again: make fuzz SEED={seed}", flush=True)
    return ended


if __name__ == "__main__":
    sys.exit(main())
