"""The precision and recall of scans on documentation and tables of facts, without and with a judge.

python -m benchmarks.perf.scan_precision --trees FOLDER [--use measure|fit] [--pair-scores] [--pairs FILE...]
python -m benchmarks.perf.scan_precision --trees FOLDER --min-score 0.01 --judge-url URL --judge-model NAME

Of each corpus: how many of the first twenty findings are contradictions, how many of the planted ones are
found, and what a scan finds in the corpus as it was. FOLDER keeps what apt fetched. SCAN_CARD.md tells of the
corpora. With a judge, those findings are left that it calls a contradiction.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.judge import DEFAULT_JUDGE, Outcome, load_prompt
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.perf.planting import TO_MEASURE_BY
from benchmarks.perf.scan_corpus import planted_corpus
from benchmarks.perf.scan_trees import TABLES, TREES, statements_of
from benchmarks.perf.setting import NO_BAR, setting
from kimera.corpus.findings import DEFAULT_MIN_SCORE, MIN_SCORE, Finding, strongest_first
from kimera.corpus.scan_rule import Rule
from kimera.corpus.scan_scores import ScanScores
from kimera.corpus.scanning import Scan, run_scan
from kimera.corpus.texts import Corpus, Statement
from kimera.pairs import Verdict
from kimera.reactor import Reactor
from kimera.training.planting import Planted, planted

PLANTS, HARMLESS, SEED = 30, 15, 1
FIRST = 20
JUDGE_TIMEOUT_S = 600.0  # a small model on this machine's own processor
LABELS = Path(__file__).with_name("scan_labels.jsonl")
STATEMENTS_OF_PAIRS = 2000


@dataclass
class Measured:
    """Counts of one corpus, or the sums over several.

    first: of the first twenty findings, how many are contradictions; of: how many these are. without_label:
    of them, how many nobody read, which count as wrong. in_unchanged: findings between statements that were
    there.
    """

    statements: int = 0
    candidates: int = 0
    read: int = 0
    first: int = 0
    of: int = 0
    without_label: int = 0
    findings: int = 0
    right: int = 0
    planted: int = 0
    planted_found: int = 0
    harmless: int = 0
    harmless_found: int = 0
    in_unchanged: int = 0
    wall_s: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    kinds_found: Counter[str] = field(default_factory=Counter)

    def add(self, other: Measured) -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def told(self, name: str) -> str:
        kinds = ", ".join(f"{kind} {self.kinds_found[kind]}/{self.kinds[kind]}" for kind in self.kinds)
        return (
            f"{name}: {self.statements:,} statements, {self.candidates:,} candidates, {self.read:,} "
            f"readings, "
            f"{self.wall_s:.0f} s; first {FIRST}: {self.first} of {self.of} right ({self.without_label} "
            f"not labelled); "
            f"planted: {self.planted_found} of {self.planted} found ({kinds}); {self.findings} findings, "
            f"{self.right} right; {self.harmless_found} of {self.harmless} rewordings are findings; "
            f"{self.in_unchanged} findings between statements that were there"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="CORPUS", help="by default all of this use")
    parser.add_argument("--trees", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--use", choices=("fit", "measure"), default="measure")
    parser.add_argument(
        "--pair-scores", action="store_true", help="the cross-encoder alone, at its threshold"
    )
    parser.add_argument("--min-score", type=float, metavar="P")
    parser.add_argument(
        "--pairs", nargs="*", default=[], type=Path, metavar="FILE", help="labelled pairs, by people"
    )
    parser.add_argument("--judge-url", metavar="URL", help="asks a judge about each finding")
    parser.add_argument("--judge-model", metavar="NAME", default=DEFAULT_JUDGE)
    parser.add_argument(
        "--unlabelled", type=Path, metavar="FILE", help="write what is to be labelled, shuffled"
    )
    options = parser.parse_args(arguments)
    names = options.names or [tree.package for tree in TREES if tree.use == options.use] + [
        name for name, use in TABLES.items() if use == options.use
    ]
    scores = None if options.pair_scores else ScanScores.load()
    min_score = options.min_score or (DEFAULT_MIN_SCORE if scores else MIN_SCORE)
    print(f"{setting()}; load {os.getloadavg()[0]:.1f}; findings from {min_score:g} on", flush=True)
    labels = _labels()
    whole = Measured()
    to_label: dict[str, tuple[str, Finding]] = {}
    with Reactor() as reactor:
        for name in names:
            statements = statements_of(name, options.trees)
            made = planted(statements, PLANTS, HARMLESS, TO_MEASURE_BY, SEED, anywhere=True)
            begun = time.perf_counter()
            scan = Scan()
            run_scan(made.corpus, reactor, scan, NO_BAR, rule=Rule(), min_score=min_score, scores=scores)
            asked = len(scan.findings)
            if options.judge_url:
                scan.findings = confirmed(scan.findings, options.judge_url, options.judge_model)
            wall_s = time.perf_counter() - begun
            measured, unlabelled = measure(made, scan, labels, wall_s, every=scores is not None)
            if options.judge_url:
                print(f"the judge was asked about {asked} pairs, and confirms {len(scan.findings)}")
            print(measured.told(name), flush=True)
            whole.add(measured)
            to_label |= {each.key: (name, each) for each in unlabelled}
    print(whole.told("all"), flush=True)
    if options.pairs:
        print(written_by_people(options.pairs, scores, min_score), flush=True)
    if options.unlabelled:
        _write(options.unlabelled, to_label)
    return 0


def confirmed(findings: Sequence[Finding], url: str, model: str) -> list[Finding]:
    """What a judge calls a contradiction; a finding without a verdict is none."""
    prompt = load_prompt("collection")  # as judged-scan asks

    async def ask() -> list[Outcome]:
        async with AsyncOpenAIClient(
            model=model, base_url=url, prompt=prompt, max_concurrent=2, timeout=JUDGE_TIMEOUT_S
        ) as client:
            return await asyncio.gather(*(client.judge(each.text1, each.text2) for each in findings))

    outcomes = asyncio.run(ask())
    return [
        finding
        for finding, outcome in zip(findings, outcomes, strict=True)
        if isinstance(outcome.result, Verdict) and outcome.result.contradiction
    ]


def measure(
    made: Planted, scan: Scan, labels: dict[str, bool], wall_s: float, *, every: bool
) -> tuple[Measured, list[Finding]]:
    """The figures, and those findings that nobody has labelled: of `every` finding, or of the first ones."""
    measured = Measured(scan.statements, scan.candidates, scan.read, wall_s=wall_s)
    kind_of = {frozenset((plant.text, plant.source)): plant.kind for plant in made.plants}
    measured.kinds = Counter(plant.kind for plant in made.plants)
    measured.planted, measured.harmless = len(made.plants), len(made.harmless)
    unlabelled = []
    for place, finding in enumerate(strongest_first(scan.findings)):
        said = made.label(finding.text1, finding.text2)
        label = True if said == "planted" else False if said == "harmless" else labels.get(finding.key)
        if place < FIRST:
            measured.of += 1
            measured.first += bool(label)
            measured.without_label += label is None
        measured.findings += 1
        measured.right += bool(label)
        measured.harmless_found += said == "harmless"
        measured.in_unchanged += said == ""
        if said == "planted":
            measured.planted_found += 1
            measured.kinds_found[kind_of[frozenset((finding.text1, finding.text2))]] += 1
        if label is None and (every or place < FIRST):
            unlabelled.append(finding)
    return measured, unlabelled


def written_by_people(files: Sequence[Path], scores: ScanScores | None, min_score: float) -> str:
    """The same of a corpus of statements of labelled pairs, where most contradictions are no near-copies."""
    source = planted_corpus(files, STATEMENTS_OF_PAIRS)
    corpus = Corpus()
    for line, text in enumerate(source.texts, 1):
        corpus.add(Statement(text, "pairs", line))
    scan = Scan()
    with Reactor() as reactor:
        run_scan(corpus, reactor, scan, NO_BAR, rule=Rule(), min_score=min_score, scores=scores)
    found = {frozenset((each.text1, each.text2)) for each in scan.findings}
    hits = len(found & source.contradictions)
    return (
        f"written by people: {len(corpus.texts):,} statements, {len(found)} findings, {hits} of "
        f"{len(source.contradictions)} labelled contradictions"
    )


def _labels() -> dict[str, bool]:
    """By the key of a pair, whether it is a contradiction: where both readings agree that it is."""
    lines = LABELS.read_text(encoding="utf-8").splitlines() if LABELS.exists() else []
    return {each["key"]: each["label"] for each in map(json.loads, lines)}


def _write(path: Path, to_label: dict[str, tuple[str, Finding]]) -> None:
    """In the order of the keys, which are hashes, without scores."""
    path.write_text(
        "".join(
            json.dumps(
                {"key": key, "corpus": name, "text1": each.text1, "text2": each.text2}, ensure_ascii=False
            )
            + "\n"
            for key, (name, each) in sorted(to_label.items())
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
