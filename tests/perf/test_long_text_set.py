"""The documents that the rule for long texts is fitted and measured on."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.perf.long_text_set import SIZES, LongPair, half_of, long_pairs

LABELS = ("entailment", "contradiction", "neutral")
EACH = 32


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[LongPair], list[LongPair]]:
    folder = tmp_path_factory.mktemp("texts")
    for number in range(2 * EACH):
        lines = (f"The part number {number} {line} is in the box here." for line in range(60))
        (folder / f"{number}.md").write_text("\n\n".join(lines), encoding="utf-8")
    return long_pairs([pairs(folder, "cats"), pairs(folder, "dogs")], [folder], EACH, seed=1)


def pairs(folder: Path, name: str) -> Path:
    path = folder / f"{name}.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for number in range(4000):
            row = {
                "premise": f"Here are {number} of the {name}.",
                "hypothesis": f"Some {name}, say {number}, are here.",
                "label": LABELS[number % 3],
            }
            file.write(json.dumps(row) + "\n")
    return path


def test_both_halves_have_as_many_of_each_size(halves: tuple[list[LongPair], list[LongPair]]) -> None:
    sizes = [Counter((pair.source, pair.sentences) for pair in half) for half in halves]
    assert sizes[0] == sizes[1]
    assert {size for source, size in sizes[0] if source == "cats"} == set(SIZES)


def test_both_halves_have_contradictions_by_rule_and_by_people_of_each_size(
    halves: tuple[list[LongPair], list[LongPair]],
) -> None:
    for half in halves:
        ways = Counter(
            (pair.sentences, pair.is_by_rule)
            for pair in half
            if pair.source == "documentation" and pair.kind == "contradicted"
        )
        assert set(ways.values()) == {EACH // len(SIZES) // 2}
        assert len(ways) == 2 * len(SIZES)


def test_no_premise_and_no_stretch_is_in_both_halves(halves: tuple[list[LongPair], list[LongPair]]) -> None:
    texts = [
        {sentence for pair in half for sentence in pair.evidence.replace("\n\n", " ").split(". ")}
        for half in halves
    ]
    claims = [{pair.claim for pair in half} for half in halves]
    assert texts[0].isdisjoint(texts[1])
    assert claims[0].isdisjoint(claims[1])


def test_what_is_unrelated_is_of_the_same_half(halves: tuple[list[LongPair], list[LongPair]]) -> None:
    for half in halves:
        here = " ".join(pair.evidence for pair in half)
        of_other_stretches = [
            pair.claim
            for pair in half
            if pair.kind == "unrelated" and pair.source == "documentation" and "part" in pair.claim
        ]
        assert of_other_stretches
        assert all(claim in here for claim in of_other_stretches)


def test_a_premise_is_in_one_half_wherever_it_stands() -> None:
    assert {half_of(f"Here are {number} cats.") for number in range(20)} == {0, 1}
