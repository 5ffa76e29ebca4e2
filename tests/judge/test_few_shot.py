"""--examples and --shots: labelled pairs ahead of each question, balanced, none of those that are judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers import ScriptedJudge, verdict
from simulators import QUICK, SimulatorThread

from benchmarks.datasets import load_dataset
from benchmarks.judge.few_shot import examples_of
from benchmarks.judge.prompts import load_prompt
from benchmarks.judge.reply_reading import parse_reply
from benchmarks.llm_compare import main
from benchmarks.runs.examples import with_examples
from benchmarks.settings import RunSettings
from benchmarks.simulator.simulation import answers_for
from kimera.errors import UserError
from kimera.pairs import Pair

Serve = Callable[[Any], ScriptedJudge]
FLAGS = ["--judge-only", "--no-viz", "--quiet"]
LABELS = ("contradiction", "entailment", "neutral")


def rows(count: int, what: str) -> list[dict[str, str]]:
    return [
        {"text1": f"The {what} {n} is open.", "text2": f"The {what} {n} is shut.", "label": LABELS[n % 3]}
        for n in range(count)
    ]


def write(path: Path, lines: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write(tmp_path / "pairs.jsonl", rows(6, "door"))


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    return write(tmp_path / "examples.jsonl", rows(12, "gate"))


def drawn(examples: Path, pairs: Path, shots: int | None, classes: int = 2, **settings: Any) -> Any:
    run = RunSettings(examples=str(examples), shots=shots, classes=classes, **settings)
    told: list[str] = []
    prompt = with_examples(load_prompt("same-event", classes), run, load_dataset(pairs), told.append)
    assert prompt.examples
    return prompt.examples, told


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_an_example_is_a_reply_as_it_is_asked_for(classes: int, first: bool) -> None:
    prompt = load_prompt("same-event", classes, reasoning_first=first)
    for label in LABELS:
        pair, fields = Pair("a {text2}", "b", label=label), prompt.schema["required"]
        ((question, reply),) = examples_of("f", [pair], prompt.question, fields).turns
        assert question == prompt.question("a {text2}", "b")
        assert list(json.loads(reply)) == prompt.schema["required"]
        read = parse_reply(reply, classes, reasoning_first=first)
        assert read.contradiction == (label == "contradiction")
        assert read.relation == (label if classes == 3 else None)


@pytest.mark.parametrize(
    ("classes", "shots", "expected"),
    [(2, None, [2, 2]), (2, 5, [2, 3]), (3, 6, [2, 2, 2]), (3, 4, [1, 1, 2])],
)
def test_as_many_of_each_answer_are_shown(
    classes: int, shots: int | None, expected: list[int], examples: Path, pairs: Path
) -> None:
    found, told = drawn(examples, pairs, shots, classes)
    replies = [json.loads(reply) for _, reply in found.turns]
    counts = Counter(reply["relation" if classes == 3 else "contradiction"] for reply in replies)
    assert sorted(counts.values()) == expected
    assert told == []


def test_the_seed_alone_decides_which(examples: Path, pairs: Path) -> None:
    by_seed = {seed: drawn(examples, pairs, 4, seed=seed)[0].sha256 for seed in (0, 1, 2)}
    assert len(set(by_seed.values())) > 1
    assert drawn(examples, pairs, 4, seed=1)[0].sha256 == by_seed[1]


def test_what_is_judged_is_not_shown_however_it_is_spelt(tmp_path: Path, pairs: Path) -> None:
    same = [
        {"text1": "THE  DOOR 0 is shut", "text2": "the door 0 is open!", "label": "contradiction"},
        {"text1": "The door 1 is open.", "text2": "The door 1 is shut.", "label": "entailment"},
    ]
    others = rows(6, "gate")
    found, told = drawn(write(tmp_path / "some.jsonl", same + others), pairs, 4)
    assert not any("oor" in question.rpartition("Statement 1")[2] for question, _ in found.turns)
    assert told == [
        "this run judges 2 of the 8 labelled pairs of some.jsonl: none of these is shown as an example"
    ]


@pytest.mark.parametrize(
    ("lines", "shots", "says"),
    [
        (
            rows(12, "door")[:6],
            2,
            "takes 1 of label contradiction, and the file has 0 that",
        ),
        (rows(3, "gate"), 6, "--shots 6 takes 3 of label contradiction, and the file has 1"),
        ([{"text1": "a", "text2": "b"}], 2, "none of its pairs has a label"),
    ],
)
def test_a_file_with_too_few_is_refused(
    lines: list[dict[str, str]], shots: int, says: str, tmp_path: Path, pairs: Path
) -> None:
    with pytest.raises(UserError, match=says):
        drawn(write(tmp_path / "few.jsonl", lines), pairs, shots)


@pytest.mark.parametrize(("classes", "labels"), [(2, LABELS[::2]), (3, LABELS[1:])])
def test_a_pair_with_two_labels_is_no_example(
    classes: int, labels: tuple[str, ...], tmp_path: Path, pairs: Path
) -> None:
    twice = [{**rows(1, "gate")[0], "label": label} for label in labels]
    others = [row for row in rows(9, "lid") if classes == 3 and row["label"] != labels[0]]
    with pytest.raises(UserError, match="the file has 0"):
        drawn(write(tmp_path / "twice.jsonl", twice + others), pairs, classes, classes)


def test_all_shards_show_the_same_examples_and_none_that_another_one_judges(
    tmp_path: Path, pairs: Path
) -> None:
    examples = write(tmp_path / "more.jsonl", rows(6, "door") + rows(6, "gate"))
    shown = set()
    for shard in ("1/2", "2/2"):
        run = RunSettings(examples=str(examples), shots=2)
        part = load_dataset(pairs, shard=shard)
        prompt = with_examples(load_prompt("same-event"), run, part, lambda _: None)
        assert prompt.examples
        assert not any("door" in question for question, _ in prompt.examples.turns)
        shown.add(prompt.examples.sha256)
    assert len(shown) == 1


# A run


def test_each_request_shows_them_ahead_of_the_question(
    serve: Serve, examples: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(verdict())
    out = tmp_path / "run"
    flags = [str(pairs), *FLAGS, "--base-url", server.base_url, "--examples", str(examples), "--shots", "2"]
    assert main([*flags, "--out", str(out)]) == 0
    roles = ["system", "user", "assistant", "user", "assistant", "user"]
    sent = [asked.payload["messages"] for asked in server.asked]
    assert [[message["role"] for message in messages] for messages in sent] == [roles] * 6
    assert all(messages[:-1] == sent[0][:-1] for messages in sent), "the part that a provider may cache"
    summary = json.loads((out / "summary.json").read_text())
    settings = summary["detectors"]["gpt-4o"]["settings"]
    assert (settings["examples"]["name"], settings["examples"]["shots"]) == ("examples.jsonl", 2)
    assert "was shown 2 labelled examples of examples.jsonl" in (out / "summary.md").read_text()
    write(examples, rows(12, "lid"))
    assert main(["--resume", str(out), "--quiet", "--no-viz"]) == 2
    assert "changed since this run began: prompt" in capsys.readouterr().err


def test_shots_without_examples_say_nothing(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(pairs), *FLAGS, "--shots", "2", "--base-url", "http://127.0.0.1:1/v1"]) == 2
    assert "--shots goes with --examples FILE" in capsys.readouterr().err


def test_examples_with_other_columns_than_the_pairs_are_told_which_flags_hold_for_both(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.csv").write_text("Statement A,text2,label\nIt rains.,It is dry.,contradiction\n")
    flags = [str(tmp_path / "own.csv"), "--text1", "Statement A", "--text2", "text2", *FLAGS]
    assert main([*flags, "--base-url", "http://127.0.0.1:1/v1", "--examples", str(examples)]) == 2
    told = capsys.readouterr().err
    assert "there is no such column" in told
    assert "--text1 'Statement A' --text2 text2 of the pairs holds for this file too" in told


def test_the_simulator_answers_the_question_and_no_example(
    examples: Path, pairs: Path, tmp_path: Path
) -> None:
    prompt = load_prompt("same-event")
    answers: Mapping[bytes, Any] = answers_for(
        [*load_dataset(pairs), *load_dataset(examples)], prompt.question
    )
    with SimulatorThread(QUICK, answers) as server:
        flags = [str(pairs), *FLAGS, "--base-url", server.base_url, "--examples", str(examples)]
        assert main([*flags, "--out", str(tmp_path / "run")]) == 0
    (detector,) = json.loads((tmp_path / "run" / "summary.json").read_text())["detectors"].values()
    assert detector["accuracy"] == 1.0
