"""Two runs are compared pair by pair, by their texts, and only what the tests show is claimed."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from benchmarks.datasets import load_dataset
from benchmarks.diff import main
from benchmarks.llm_compare import main as compare
from benchmarks.runs.finished_run import open_run
from benchmarks.runs.matching import match_pairs
from benchmarks.runs.two_runs import FIGURES
from benchmarks.stats.gates import Gate, check
from kimera.files.csv_cells import FORMULA_START
from kimera.pairs import Pair

JUDGE = "simulated-judge"
SIZE = 200
HOSTILE = "=1+1 | <b>x</b> `y`"
Record = dict[str, Any]


def write_pairs(path: Path, numbers: range, labelled: bool = True) -> Path:
    """Distinct pairs, whose order and ids say nothing about which is which."""
    label = {True: "contradiction", False: "neutral"}
    rows = [
        {"text1": f"{HOSTILE} {number}", "text2": f"Box {number}."}
        | ({"label": label[number % 2 == 0]} if labelled else {})
        for number in numbers
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def number_of(pair: Record) -> int:
    return int(pair["text2"][4:-1])


def run(base: Path, numbers: range, *flags: str, name: str = "run") -> Path:
    pairs = write_pairs(base / f"{name}.jsonl", numbers)
    always = (
        "--simulate",
        "--judge-only",
        "--async",
        "100",
        "--max-pairs",
        "0",
        "--no-viz",
        "--quiet",
        "--json",
    )
    assert compare([str(pairs), *always, *flags, "--out", str(base / name)]) == 0
    return base / name


def rewritten(folder: Path, to: Path, change: Callable[[Record], Record]) -> Path:
    """A run whose journal says something else, line by line."""
    to.mkdir()
    lines = (folder / "journal.jsonl").read_text().splitlines()
    told = "".join(json.dumps(change(json.loads(line))) + "\n" for line in lines)
    (to / "journal.jsonl").write_text(told)
    return to


def on(folder: Path, to: Path, dataset: Path, **options: str) -> Path:
    """The same answers, as if to the pairs of another dataset of the same size."""

    def change(record: Record) -> Record:
        if "journal" in record:
            record["options"] |= {"dataset": str(dataset), **options}
            record["dataset"]["sha256"] = load_dataset(dataset).sha256
        return record

    return rewritten(folder, to, change)


def wrong_on(*numbers: int) -> Callable[[Record], Record]:
    """The judge errs on these pairs of `range(SIZE)` and on no other."""

    def change(record: Record) -> Record:
        if "verdict" in record:
            right = record["index"] % 2 == 0
            record["verdict"]["contradiction"] = right != (record["index"] in numbers)
        return record

    return change


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def begun(base: Path) -> Path:
    return run(base, range(SIZE), "--price", "1,2")


@pytest.fixture(scope="module")
def two_judges(base: Path) -> Path:
    return run(base, range(SIZE), "--model", "x", "--model", "y", name="two")


@pytest.fixture(scope="module")
def before(base: Path, begun: Path) -> Path:
    return rewritten(begun, base / "before", wrong_on(*range(40)))


@pytest.fixture(scope="module")
def after(base: Path, begun: Path) -> Path:
    """30 of the 40 are mended, and 4 others are wrong now."""
    return rewritten(begun, base / "after", wrong_on(*range(30, 44)))


def difference(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Record:
    capsys.readouterr()  # what the runs of this test have printed
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.slow
def test_a_run_is_equivalent_to_itself(before: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = difference(capsys, before, before)
    assert found["pairs"] == {"both": SIZE, "only_a": 0, "only_b": 0, "labelled": SIZE}
    part = found["detectors"][JUDGE]
    assert set(part["changed"].values()) == {0}
    assert (part["accuracy"], part["f1"], part["failed"], part["dollars"]) == (0, 0, 0, 0)
    assert part["tokens"] == {"prompt": 0, "completion": 0}
    assert part["a"]["tokens"]["prompt"] > SIZE
    assert "are equivalent within 2 points" in part["conclusion"]
    assert found["settings"] == part["settings"] == {}


def test_what_is_mended_is_told_with_an_exact_test(
    before: Path, after: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = difference(capsys, before, after)["detectors"][JUDGE]
    assert part["changed"] == {"all": 34, "wrong_to_right": 30, "right_to_wrong": 4, "unlabelled": 0}
    assert (part["a"]["accuracy"], part["b"]["accuracy"]) == (160 / SIZE, 186 / SIZE)
    assert part["accuracy"] == pytest.approx(26 / SIZE)
    low, high = part["intervals"]["accuracy"]
    assert 0 < low < 26 / SIZE < high
    assert part["mcnemar"]["method"] == "exact"
    assert part["mcnemar"]["p"] == pytest.approx(binomtest(30, 34).pvalue)
    assert part["conclusion"].startswith(
        f"{JUDGE} (simulated) in B is better than {JUDGE} (simulated) in A by 13.0"
    )


def test_the_other_way_round_the_signs_turn(
    before: Path, after: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, back = (
        difference(capsys, *runs)["detectors"][JUDGE] for runs in ((before, after), (after, before))
    )
    assert back["changed"]["right_to_wrong"] == there["changed"]["wrong_to_right"]
    for name in ("accuracy", "f1", "mcc", "roc_auc"):
        assert back[name] == pytest.approx(-there[name])
    assert back["mcnemar"] == there["mcnemar"]


def test_every_figure_that_a_gate_may_name_is_there(
    before: Path, after: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = ("three_way", "a.three_way", "b.three_way", "estimates")
    parts = difference(capsys, before, after)["detectors"]
    names = [name for name in sorted(FIGURES) if not name.startswith(lacking)]
    checked = check([Gate(JUDGE, name, "<", 0) for name in names], parts)
    assert [str(each.gate) for each in checked if each.value is None] == []


@pytest.mark.slow
def test_pairs_are_found_by_their_texts_wherever_they_stand(
    base: Path, begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The simulated judge answers a pair alike, whatever its place."""
    other = run(base, range(SIZE + 50, 100, -1), name="turned")
    found = difference(capsys, begun, other)
    assert found["pairs"] == {"both": 99, "only_a": 101, "only_b": 51, "labelled": 99}
    assert found["detectors"][JUDGE]["changed"]["all"] == 0
    assert {"dataset.sha256", "dataset.name"} <= set(found["settings"])


texts = st.sampled_from(["", "a", "b", "ab", "\ud800"])
pairs = st.lists(st.builds(Pair, texts, texts, st.sampled_from(["", "1", "2"])), max_size=12)


@given(pairs, st.randoms(use_true_random=False))
def test_every_pair_finds_its_copy_first_by_its_id(held: list[Pair], random: Any) -> None:
    turned = random.sample(held, len(held))
    matches = match_pairs(held, turned)
    assert (len(matches), matches.only_a, matches.only_b) == (len(held), 0, 0)
    assert sorted(matches.b.tolist()) == list(range(len(held)))
    for a, b in zip(matches.a.tolist(), matches.b.tolist(), strict=True):
        assert (held[a].text1, held[a].text2, held[a].id) == (turned[b].text1, turned[b].text2, turned[b].id)


@given(pairs, pairs)
def test_no_pair_is_matched_twice_or_with_other_texts(a: list[Pair], b: list[Pair]) -> None:
    matches = match_pairs(a, b)
    assert len(set(matches.b.tolist())) == len(matches) == len(a) - matches.only_a == len(b) - matches.only_b
    there = [(a[i].text1, a[i].text2) for i in matches.a]
    assert there == [(b[i].text1, b[i].text2) for i in matches.b]
    left = {(pair.text1, pair.text2) for i, pair in enumerate(a) if i not in matches.a}
    assert not left & {(pair.text1, pair.text2) for i, pair in enumerate(b) if i not in matches.b}


def test_runs_without_a_common_pair_are_refused(
    begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = on(begun, tmp_path / "other", write_pairs(tmp_path / "pairs.jsonl", range(1000, 1000 + SIZE)))
    assert "have no pair in common" in refusal(capsys, begun, other)


def test_labels_that_contradict_each_other_are_counted_and_the_first_is_named(
    base: Path, begun: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = "contradiction=neutral,neutral=contradiction"
    other = on(begun, tmp_path / "other", base / "run.jsonl", label_map=turned)
    told = refusal(capsys, begun, other)
    assert "200 of the 200 pairs in both are labelled otherwise" in told
    assert "Box 0." in told


def renamed(folder: Path, to: Path, name: str) -> Path:
    def change(record: Record) -> Record:
        text = json.dumps(record)
        return json.loads(text.replace(f'"{JUDGE}"', json.dumps(name)))

    return rewritten(folder, to, change)


def test_the_only_judge_of_each_run_is_compared_under_both_names(
    before: Path, after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = renamed(after, tmp_path / "renamed", "a=b")
    name = f"{JUDGE}=a=b"
    for flags in ((), ("--detector", name)):
        found = difference(capsys, before, other, *flags)["detectors"]
        assert list(found) == [name]
        assert found[name]["changed"]["all"] == 34
    gate = ("--fail-if", f"{name}.accuracy < 0.2")
    difference(capsys, before, other, *gate, code=3)
    assert "no such detectors; A has simulated-judge, B has a=b" in refusal(
        capsys, before, other, "--detector", JUDGE
    )


@pytest.mark.slow
def test_several_judges_of_other_names_must_be_picked(
    begun: Path, two_judges: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refusal(capsys, begun, two_judges)
    assert "which detectors are to be compared? A has simulated-judge, B has x, y" in told
    assert list(difference(capsys, begun, two_judges, "--detector", f"{JUDGE}=y")["detectors"]) == [
        f"{JUDGE}=y"
    ]
    both = difference(capsys, two_judges, two_judges)["detectors"]
    assert list(both) == ["x", "y"]


@pytest.mark.slow
def test_a_prompt_that_differs_is_named(base: Path, begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strict = run(base, range(8), "--prompt", "strict", "--price", "1,2", name="strict")
    differing = difference(capsys, begun, strict)["detectors"][JUDGE]["settings"]
    assert set(differing) == {"prompt.name", "prompt.sha256"}
    assert differing["prompt.name"] == {"a": "same-event", "b": "strict"}


def test_another_price_is_told_beside_what_it_makes_of_the_cost(
    base: Path, begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dear = run(base, range(SIZE), "--price", "10,20", name="dear")
    part = difference(capsys, begun, dear)["detectors"][JUDGE]
    assert part["settings"]["price.input"] == {"a": 1, "b": 10}
    assert part["b"]["dollars"] == pytest.approx(10 * part["a"]["dollars"])


def test_without_labels_changes_are_counted_and_nothing_is_called_better(
    before: Path, after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = write_pairs(tmp_path / "unlabelled.jsonl", range(SIZE), labelled=False)
    runs = [on(folder, tmp_path / folder.name, dataset) for folder in (before, after)]
    part = difference(capsys, *runs)["detectors"][JUDGE]
    assert part["changed"] == {"all": 34, "wrong_to_right": 0, "right_to_wrong": 0, "unlabelled": 34}
    assert "conclusion" not in part
    assert part["absent"]["accuracy"] == "no pair carries a label"
    one_labelled = difference(capsys, before, runs[1])["detectors"][JUDGE]
    assert one_labelled["changed"]["wrong_to_right"] == 30, "a label counts that only one of the runs has"
    difference(capsys, *runs, "--fail-if", f"{JUDGE}.accuracy < -1", code=3)


def test_changed_pairs_are_written_with_what_both_runs_said(
    before: Path, after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    difference(capsys, before, after, "--csv", tmp_path / "changed.csv")
    with (tmp_path / "changed.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert [number_of(row) for row in rows] == [*range(30), *range(40, 44)]
    assert [row["change"] for row in rows] == ["wrong_to_right"] * 30 + ["right_to_wrong"] * 4
    for row in rows:
        assert {row["a_contradiction"], row["b_contradiction"]} == {"true", "false"}
        assert row["a_reasoning"]
        assert not any(cell.startswith(FORMULA_START) for cell in row.values())
        assert row["text1"].startswith(f"'{HOSTILE}")


@pytest.mark.slow
def test_a_cascade_is_compared_as_a_detector_of_its_own(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", range(80))
    flags = ("--simulate", "--cascade", "0.3", "--async", "100", "--max-pairs", "0", "--no-viz", "--quiet")
    assert compare([str(pairs), *flags, "--out", str(tmp_path / "run")]) == 0
    other = rewritten(tmp_path / "run", tmp_path / "other", wrong_on(*range(20)))
    found = difference(capsys, tmp_path / "run", other, "--csv", tmp_path / "changed.csv")["detectors"]
    assert list(found) == ["kimera", JUDGE, "cascade"]
    with (tmp_path / "changed.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["detector"] == "cascade"]
    assert len(rows) == found["cascade"]["changed"]["all"] > 0
    assert all({row["a_contradiction"], row["b_contradiction"]} == {"true", "false"} for row in rows)


def test_flags_are_taken_from_a_file_and_a_flag_sets_aside_another_form(
    before: Path, after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(f'[diff]\ndetector = "{JUDGE}"\nmargin = 5\nmarkdown = true\n')
    flags = ["--detector", JUDGE, "--margin", "5"]
    told = []
    for words in (["--config", str(config)], [*flags, "--markdown"], ["--config", str(config), "--json"]):
        assert main([str(before), str(after), *words]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert list(json.loads(told[2])["detectors"]) == [JUDGE]


@pytest.mark.parametrize("flag", [[], ["--markdown"]])
def test_what_is_printed_says_it_in_words_without_colour(
    flag: list[str], before: Path, after: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(before), str(after), *flag]) == 0
    told = capsys.readouterr().out
    words = html.unescape(" ".join(told.split()))
    assert "\x1b" not in told
    assert "200 in both (all labelled), 0 only in A, 0 only in B" in words
    assert (
        "34 changed among the 200 pairs that both runs answered: 30 from wrong to right, 4 from right to "
        "wrong." in words
    )
    assert "is better than simulated-judge (simulated) in A by 13.0 points" in words
    assert "McNemar's exact test: p < 0.001" in words
    assert "not from a language model" in words
    assert words.count(JUDGE) == words.count(f"{JUDGE} (simulated)")


def test_a_hostile_name_stays_text_in_markdown(
    after: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "<script>|`x`[a](https://b)\x1b[31m"
    hostile = renamed(after, tmp_path / "hostile", name)
    assert main([str(hostile), str(hostile), "--markdown"]) == 0
    told = capsys.readouterr().out
    assert "<script" not in told
    assert "\x1b" not in told
    assert "https:/" not in told.replace("https:\\", "")


def test_gates_hold_for_the_difference(before: Path, after: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(after), str(before), "--fail-if", f"{JUDGE}.accuracy < -0.02"]) == 3
    assert f'failed: --fail-if "{JUDGE}.accuracy < -0.02", it is -0.13' in capsys.readouterr().err
    assert main([str(before), str(after), "--fail-if", f"{JUDGE}.accuracy.low < -0.02"]) == 0
    assert "has no figure 'acuracy'; did you mean accuracy? It has a.*, accuracy, " in refusal(
        capsys, before, after, "--fail-if", f"{JUDGE}.acuracy < 0"
    )


def test_what_only_one_run_has_and_what_is_not_compared_is_said(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three = ("--classes", "3", "--max-pairs", "60")
    rules = base / "rules.py"
    rules.write_text("def f(pairs):\n    return [0.3] * len(pairs)\n")
    runs = []
    for name, flags in (
        ("platt", ("--local", f"f={rules}:f", "--local", f"g={rules}:f", "--calibrate", "platt")),
        ("isotonic", ("--local", f"f={rules}:f", "--calibrate", "isotonic")),
    ):
        runs.append(base / name)
        always = ("--simulate", "--async", "100", "--no-viz", "--quiet", "--out", str(runs[-1]))
        assert compare([*three, *flags, *always]) == 0
    found = difference(capsys, *runs)
    assert (found["only_a"], found["only_b"]) == (["g"], [])
    assert found["settings"]["calibrate"] == {"a": "platt", "b": "isotonic"}
    judge, local = found["detectors"][JUDGE], found["detectors"]["f"]
    for run_ in "ab":
        summary = json.loads((runs["ab".index(run_)] / "summary.json").read_text())
        stated = summary["detectors"][JUDGE]["three_way"]["accuracy"]
        assert judge[run_]["three_way"]["accuracy"] == pytest.approx(stated)
    assert judge["three_way"]["pairs"] == 0
    assert "three_way" not in local
    assert main([*map(str, runs)]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "Detectors that are not compared, only in A: g." in words
    assert "Calibration: platt in A, isotonic in B." in words
    assert words.count("three-way accuracy") == 1
    gate = f"{JUDGE}.b.three_way.accuracy < 0.5"
    assert main([*map(str, runs), "--fail-if", gate]) == 0
    capsys.readouterr()
    assert main([*map(str, runs), "--detector", f"f={JUDGE}"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "$" not in words
    assert "a local endpoint costs nothing" not in words


def test_what_costs_nothing_beside_what_does_has_no_dollars(
    begun: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = base / "free.py"
    rules.write_text("def f(pairs):\n    return [0.3] * len(pairs)\n")
    flags = ("--kimera-only", "--max-pairs", "0", "--no-viz", "--quiet", "--out", str(base / "free"))
    assert compare([str(base / "run.jsonl"), "--local", f"f={rules}:f", *flags]) == 0
    capsys.readouterr()
    assert main([str(base / "free"), str(begun), "--detector", f"f={JUDGE}"]) == 0
    [cost] = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("cost")]
    assert cost[1] == "none"
    assert cost[2].startswith("$")


@pytest.mark.slow
def test_several_detectors_are_several_tests(
    two_judges: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = rewritten(two_judges, tmp_path / "before", wrong_on(*range(10)))
    b = rewritten(two_judges, tmp_path / "after", wrong_on(*range(4, 10)))
    found = difference(capsys, a, b)["detectors"].values()
    assert [part["mcnemar"]["p_holm"] for part in found] == pytest.approx([2 * binomtest(4, 4).pvalue] * 2)


def test_a_folder_without_a_run_is_named(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"{tmp_path}: no run there" in refusal(capsys, before, tmp_path)


def test_a_file_that_cannot_be_written_is_named_before_anything_is_read(
    before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refusal(capsys, before, before, "--csv", tmp_path / "nowhere" / "changed.csv")
    assert f"there is no folder {tmp_path / 'nowhere'}" in told


def test_opening_a_run_does_not_change_it(before: Path) -> None:
    held = {path.name: path.read_bytes() for path in before.iterdir()}
    assert main([str(before), str(before), "--json"]) == 0
    open_run(before)
    assert {path.name: path.read_bytes() for path in before.iterdir()} == held
