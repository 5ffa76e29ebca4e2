"""python -m kimera.train: from labelled files to a head and its card."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import random_weights, write_tiny_model

from kimera.console.options import command_line
from kimera.errors import UserError
from kimera.models.calibration import calibration_error
from kimera.models.cross_encoder_weights import CrossEncoderWeights
from kimera.models.data_sets import DataSet, parse_source, read_sources, sources_named_in
from kimera.models.head import ContradictionHead, FitOptions
from kimera.models.model_folders import DEFAULT_MODEL, find_folder
from kimera.pairs import Pair
from kimera.reactor import SHIPPED_CROSS_ENCODER, SHIPPED_HEAD, Reactor
from kimera.train import build_parser, main
from kimera.training.model_card import Figures, figures_table
from kimera.training.train_settings import TrainSettings, public_command
from kimera.training.training_data import (
    LabelledFile,
    divide,
    divide_with_both_answers,
    has_both_answers,
    split,
    too_small,
)

pytestmark = pytest.mark.slow  # whole runs, fits or installations

COLOURS = ("red", "blue", "green", "white", "black")
THINGS = ("car", "house", "door", "coat", "cup", "book", "boat", "chair")
OWNERS = ("My", "Your", "Her", "His", "Our")


def labelled_rows() -> list[dict[str, str]]:
    """Some 400 pairs about the colour of things."""
    rows = []
    for number, (owner, thing) in enumerate((owner, thing) for owner in OWNERS for thing in THINGS):
        for shift, colour in enumerate(COLOURS):
            premise = f"{owner} {thing} is {colour}."
            other = COLOURS[(shift + 1 + number % 4) % len(COLOURS)]
            rows.append(
                {"premise": premise, "hypothesis": f"{owner} {thing} is {other}.", "label": "contradiction"}
            )
            rows.append(
                {"premise": premise, "hypothesis": f"The {thing} has a colour.", "label": "entailment"}
            )
            rows.append({"premise": premise, "hypothesis": f"The {thing} is old.", "label": "neutral"})
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with the head and the card that the command wrote, from a data folder elsewhere."""
    data, out = tmp_path_factory.mktemp("private"), tmp_path_factory.mktemp("out")
    write(data / "colours.jsonl", labelled_rows())
    write(data / "snli.dev.jsonl", labelled_rows()[:60])
    two_way = [{**row, "label": "not_contradiction"} for row in labelled_rows()[1:60:3]]
    write(data / "two_way.jsonl", two_way)
    sources = {"snli.dev.jsonl": {"title": "SNLI", "licence": "CC BY-SA 4.0", "remarks": "made up"}}
    (data / "sources.json").write_text(json.dumps(sources))
    arguments = [data / "colours.jsonl", f"{data / 'two_way.jsonl'}=0.5", "--eval", data / "snli.dev.jsonl"]
    arguments += [
        "--sources",
        data / "sources.json",
        "--out",
        out / "head.safetensors",
        "--refit",
        "--epochs",
        3,
        "--cache-dir",
        data,
    ]
    assert main([str(argument) for argument in arguments]) == 0
    return out


def test_the_head_that_was_written_can_be_used(trained):
    verdicts = Reactor(head=trained / "head.safetensors", cache=None).detect(
        [("My cup is red.", "My cup is blue."), ("My cup is red.", "The cup has a colour.")]
    )
    assert verdicts[0].score > verdicts[1].score


def test_the_card_names_the_weights_and_the_encoder(trained):
    card = (trained / "head.md").read_text(encoding="utf-8")
    weights = (trained / "head.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() in card
    assert ContradictionHead.load(trained / "head.safetensors").encoder in card


def test_the_card_states_of_a_file_only_what_the_sources_state(trained):
    card = (trained / "head.md").read_text(encoding="utf-8")
    assert "| `colours.jsonl` | 600 | 1 | not stated |" in card
    assert "| `two_way.jsonl` | 20 | 0.5 | not stated |" in card
    assert "| SNLI (made up) | 60 |" in card


def test_the_card_names_no_private_folder(trained):
    card = (trained / "head.md").read_text(encoding="utf-8")
    assert "DATA/two_way.jsonl=0.5" in card
    assert "--sources DATA/sources.json" in card
    assert "private" not in card


def test_the_card_counts_the_premises_of_a_measured_set_that_the_fit_saw(trained):
    """All 20 of this evaluation set are the training file's, except those that were only measured there."""
    pairs = [Pair(row["premise"], row["hypothesis"]) for row in labelled_rows()]
    _, _, report = split(pairs, seed=0)
    evaluated = {pair.text1 for pair in pairs[:60]}
    seen = evaluated - {pair.text1 for pair in report}
    card = (trained / "head.md").read_text(encoding="utf-8")
    assert f"| SNLI (made up) | 60 | 20 | {len(seen)} |" in card
    assert f"| `colours.jsonl` | {len(report)} | {len(report) // 3} | 0 |" in card


def test_an_undefined_figure_is_a_dash(trained):
    (row,) = (
        line
        for line in (trained / "head.md").read_text("utf-8").splitlines()
        if "| `two_way.jsonl` |" in line and "–" in line
    )
    assert row.count("–") >= 2


def test_the_card_says_that_the_held_out_halves_are_small(trained):
    assert (
        "Too small for figures to mean much (fewer than 200 pairs or 30" in (trained / "head.md").read_text()
    )


def test_bad_rows_are_dropped_and_counted_where_that_was_asked_for(tmp_path, capsys):
    """On the way it says on standard error, too, that the held-out halves are small."""
    rows = [{**labelled_rows()[0], "label": "perhaps"}, *labelled_rows()[1:], {"premise": "One text."}]
    path = write(tmp_path / "colours.jsonl", rows)
    command = [
        str(path),
        "--out",
        str(tmp_path / "head"),
        "--epochs",
        "1",
        "--cache-dir",
        str(tmp_path),
        "--refit",
    ]
    assert main(command) == 2
    assert "leave out such rows with --skip-bad-rows" in capsys.readouterr().err
    assert main([*command, "--skip-bad-rows"]) == 0
    told = capsys.readouterr().err
    assert "note: 2 rows dropped:" in told
    assert f"{path}, line 1: " in told
    assert "note: Too small for figures to mean much" in told
    card = (tmp_path / "head.md").read_text("utf-8")
    assert "| `colours.jsonl` | 599 | 1 |" in card
    assert "--skip-bad-rows" in card


def test_rows_without_a_label_are_left_out_and_counted(tmp_path, capsys):
    rows = [{**row, "label": None} if at in (0, 5) else row for at, row in enumerate(labelled_rows())]
    path = write(tmp_path / "colours.jsonl", [*rows, {**rows[1], "label": "-"}])
    assert main([str(path), "--out", str(tmp_path / "head"), "--epochs", "1", "--no-cache", "--refit"]) == 0
    assert f"note: {path}: 3 of 601 rows have no label and are left out" in capsys.readouterr().err


def test_from_few_pairs_what_was_tried_is_told_and_on_the_card(tmp_path, capsys):
    path = write(tmp_path / "colours.jsonl", labelled_rows()[:60])
    out = tmp_path / "head.safetensors"
    assert main([str(path), "--out", str(out), "--cache-dir", str(tmp_path)]) == 0
    told, card = capsys.readouterr().err, out.with_suffix(".md").read_text("utf-8")
    for text in (told, card):
        assert "60 pairs are too few for the usual fit." in text
        assert re.search(r"\| (calibration|last layer) \(chosen\) \|", text)
    assert "Training files, out of fold:" in card
    assert "AdamW" not in card
    assert "there before" in card
    assert "--epochs" not in card
    assert ContradictionHead.load(out).encoder == ContradictionHead.load(SHIPPED_HEAD).encoder


@pytest.mark.parametrize("flags", [["--epochs", "3"], ["--swap", "0.5"], ["--compile"]])
def test_what_bears_on_new_weights_alone_is_refused_for_few_pairs(tmp_path, capsys, flags):
    path = write(tmp_path / "colours.jsonl", labelled_rows()[:60])
    out = tmp_path / "verify.safetensors"
    assert main([str(path), "--stage", "verify", "--out", str(out), "--no-cache", *flags]) == 2
    told = capsys.readouterr().err
    assert f"{flags[0]} has no effect on a fit from so few pairs (60)" in told
    assert "--refit" in told
    assert not out.exists()


def test_more_is_held_out_where_so_few_pairs_would_lack_an_answer():
    """5 % of these premises lack a contradiction in a half, or have no pair at all."""
    labels = ["contradiction" if number % 3 == 0 else "neutral" for number in range(60)]
    file = LabelledFile(DataSet("a"), [Pair(str(n), f"b {n}", label=label) for n, label in enumerate(labels)])
    parts = divide_with_both_answers([file], seed=0)
    for part in (parts.learn, parts.calibrate, parts.report):
        assert {pair.is_contradiction for pair in part[0].pairs} == {True, False}
    assert not has_both_answers(divide([file], seed=0).report)


def test_pairs_of_one_answer_are_refused():
    file = LabelledFile(DataSet("a"), [Pair(str(n), "b", label="neutral") for n in range(60)])
    with pytest.raises(UserError, match="the training part has 0 contradictions among 60 pairs"):
        divide_with_both_answers([file], seed=0)


@pytest.mark.parametrize(
    ("pairs", "every", "small"), [(10_000, 3, False), (6_000, 3, True), (10_000, 20, True)]
)
def test_a_half_is_small_with_too_few_pairs_or_contradictions(pairs, every, small):
    labels = ["contradiction" if number % every == 0 else "neutral" for number in range(pairs)]
    file = LabelledFile(DataSet("a"), [Pair(str(n), "b", label=label) for n, label in enumerate(labels)])
    said = too_small(divide([file], seed=0))
    assert bool(said) == small
    assert ("the half that calibrates has" in said and "the half that is only measured has" in said) == small


def test_the_card_of_a_fit_that_goes_on_names_what_the_fits_before_it_learnt_from(tmp_path):
    model = write_tiny_model(tmp_path / "model")
    write(tmp_path / "first.jsonl", labelled_rows())
    write(tmp_path / "second.jsonl", labelled_rows())
    sources = tmp_path / "sources.json"
    sources.write_text('{"first.jsonl": {"title": "The first set", "licence": "CC BY 4.0"}}')

    def fit(name: str, out: str, *more: object) -> str:
        command = [tmp_path / name, "--stage", "verify", "--refit", "--epochs", 1, "--encoder", model]
        assert main([str(word) for word in (*command, "--out", tmp_path / out, *more)]) == 0
        return (tmp_path / out).with_suffix(".md").read_text("utf-8")

    assert "fits before this one" not in fit("first.jsonl", "a.safetensors", "--sources", sources)
    card = fit("second.jsonl", "b.safetensors", "--start", tmp_path / "a.safetensors")
    _, earlier = card.split("The fits before this one, from whose weights it went on, learnt from:")
    assert "| The first set | 600 | 1 | CC BY 4.0 |" in earlier
    third = fit("second.jsonl", "c.safetensors", "--start", tmp_path / "b.safetensors")
    assert "| The first set | 600 | 1 | CC BY 4.0 |" in third
    recorded = CrossEncoderWeights.load(tmp_path / "c.safetensors").sources
    assert [source.data_set.title for source in recorded] == ["The first set", "`second.jsonl`"]


def test_an_average_of_fits_is_calibrated_measured_and_described(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "model")
    write(tmp_path / "pairs.jsonl", labelled_rows())
    command = [tmp_path / "pairs.jsonl", "--stage", "verify", "--encoder", model, "--out", tmp_path / "mean"]
    for name in "ab":
        replace(random_weights(model), commands=(name,)).save(tmp_path / name)
    both = [str(word) for word in (*command, "--average", tmp_path / "a", tmp_path / "b")]
    assert main(both) == 0
    card = (tmp_path / "mean.md").read_text("utf-8")
    assert "The mean of the weights of 2 fits" in card
    assert "one calibrated the mean, the other was only measured" in card
    assert "nothing was learnt but the calibration" in card
    made = CrossEncoderWeights.load(tmp_path / "mean")
    assert made.commands[:2] == ("a", "b")
    assert made.commands[2].endswith("--average DATA/a DATA/b")
    assert (made.slope, made.offset) != (1.0, 0.0)
    for more, told in (
        (["--epochs", "1"], "--epochs has no effect"),
        (["--swap", "0.5"], "--swap has no effect"),
    ):
        assert main([*both, *more]) == 2
        assert told in capsys.readouterr().err
    assert main(both[:-1]) == 2
    assert "two files or more" in capsys.readouterr().err
    replace(random_weights(model), max_tokens=7).save(tmp_path / "b")
    assert main(both) == 2
    assert f"{tmp_path / 'b'} is not of the kind of {tmp_path / 'a'}" in capsys.readouterr().err
    assert main([*both[:-3], "--average", both[-2], str(tmp_path / "mean")]) == 2
    assert "mean is one of those to average; give --out another name" in capsys.readouterr().err


def test_a_smaller_model_learns_from_what_a_teacher_says_of_its_pairs_and_of_new_ones(tmp_path, capsys):
    model, deep = write_tiny_model(tmp_path / "model"), write_tiny_model(tmp_path / "deep")
    write(tmp_path / "pairs.jsonl", labelled_rows())
    random_weights(deep).save(tmp_path / "deep.safetensors")
    command = [tmp_path / "pairs.jsonl", "--stage", "verify", "--epochs", 1, "--encoder", model]
    command += ["--teacher", tmp_path / "deep.safetensors", "--deep-base", deep, "--new-pairs", 200]
    command += ["--out", tmp_path / "verify.safetensors"]
    assert main([str(word) for word in command]) == 0
    learnt = int(re.search(r"([\d,]+) pairs to learn from", capsys.readouterr().err)[1].replace(",", ""))
    assert learnt > len(labelled_rows()) * 0.8 + 100
    card = (tmp_path / "verify.md").read_text("utf-8")
    assert "--teacher DATA/deep.safetensors --deep-base deep --new-pairs 200" in card
    assert re.search(r"70% was a teacher's .*: `deep\.safetensors`, SHA-256 `\w{64}`", card, re.DOTALL)
    new = int(re.search(r"read ([\d,]+) new pairs", card)[1])
    assert 100 < new <= 202
    assert main([*(str(word) for word in command), "--no-cache"]) == 2
    assert "leave --no-cache out" in capsys.readouterr().err


def test_what_the_shipped_cross_encoder_learnt_from_is_known_by_its_commands_and_on_its_card():
    """Those of its teacher among them."""
    commands = CrossEncoderWeights.load(SHIPPED_CROSS_ENCODER).commands
    card = SHIPPED_CROSS_ENCODER.with_name("VERIFY_CARD.md").read_text("utf-8")
    assert [command.split()[4] for command in commands] == ["deep", "deep", *["verify"] * 4]
    named = [source for command in commands for source in sources_named_in([command], {})]
    for source in named:
        title, licence, remarks = source.data_set.title, source.data_set.licence, source.data_set.remarks
        known = re.escape(f"| {source.weight:g} | {licence} | {remarks} |")
        assert re.search(rf"\| {re.escape(title)} \| ([\d,]+|not recorded) {known}", card)
    assert "not stated" not in card
    assert not {source.data_set.title for source in named} & {"kimera-everyday", "kimera-hard"}
    assert sources_named_in(["python -m kimera.train 'unclosed", ""], {}) == []


@pytest.mark.parametrize(
    ("pairs", "contradictions", "few"), [(9, 3, True), (900, 3, True), (900, 300, False)]
)
def test_an_auc_of_few_pairs_says_so(pairs, contradictions, few):
    figures = Figures(DataSet("a"), pairs, contradictions, 0, 0.7, 0.6, None, None)
    assert ("| 0.700 (few pairs) | 0.600 |" in figures_table([figures])) == few


def test_a_title_stays_in_its_cell():
    figures = Figures(DataSet("a | b\n| c"), 9, 3, 0, None, None, None, None)
    *_, row = figures_table([figures]).splitlines()
    assert row.startswith(r"| a \| b \| c | 9 | 3 |")


def test_what_was_written_may_be_read_by_others(trained):
    plain = trained / "plain"
    plain.touch()
    modes = {(trained / name).stat().st_mode for name in ("head.safetensors", "head.md", "plain")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "absent"),
        ("", "empty"),
        ('{"premise": "a", "hypothesis": "b"}\n', "no labelled pairs"),
        ('{"premise": "a", "hypothesis": "b", "label": "neutral"}\n', "Give more labelled pairs"),
    ],
)
def test_a_file_that_cannot_be_learnt_from_is_an_error_without_a_traceback(
    tmp_path, capsys, content, message
):
    path = tmp_path / ("absent.jsonl" if content is None else "file.jsonl")
    if content is not None:
        path.write_text(content)
    assert main([str(path), "--out", str(tmp_path / "head"), "--no-cache"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert not (tmp_path / "head").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "absent/head"], "cannot be written"),
        (["--out", "folder"], "cannot be written"),
        (["--out", "file/head"], "cannot be written"),
        (["--out", "taken.safetensors"], "taken.md cannot be written"),
        (["--card", "absent/card.md"], "cannot be written"),
        (["--out", "head.md"], "cannot be both"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_any_file_is_read(
    tmp_path, monkeypatch, capsys, arguments, message
):
    """The training file does not exist, which would be the next thing said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken.md").mkdir()
    (tmp_path / "file").touch()
    assert main(["absent.jsonl", *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused_before_any_file_is_read(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["absent.jsonl", "--out", str(tmp_path / "head")]) == 2
    assert "permission" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    ["", "[]", "nonsense", '{"a.csv": "title"}', '{"a.csv": {"title": 1}}', '{"a.csv": {"licence": "MIT"}}'],
)
def test_sources_that_describe_nothing_are_refused(tmp_path, content):
    path = tmp_path / "sources.json"
    path.write_text(content)
    with pytest.raises(UserError, match="does not describe data sets"):
        read_sources(path)


def test_an_encoder_whose_weights_are_only_a_pickle_is_refused(tmp_path, capsys):
    """Its loading would run whatever the pickle says."""
    model = tmp_path / "model"
    shutil.copytree(find_folder(DEFAULT_MODEL), model, ignore=shutil.ignore_patterns("*.safetensors"))
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    path = write(tmp_path / "colours.jsonl", labelled_rows())
    out = tmp_path / "head"
    assert main([str(path), "--encoder", str(model), "--out", str(out), "--no-cache"]) == 2
    assert "is a pickle" in capsys.readouterr().err


def test_help_comes_without_a_deep_learning_framework():
    check = """
import sys
from kimera.train import main
try:
    main(["--help"])
except SystemExit:
    pass
assert not {"torch", "sentence_transformers", "sklearn", "scipy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


@settings(deadline=None)
@given(st.lists(st.text(max_size=3), max_size=60), st.integers(0, 3))
def test_no_premise_is_in_two_parts_of_the_split(premises, seed):
    pairs = [Pair(premise, str(number)) for number, premise in enumerate(premises)]
    parts = split(pairs, seed)
    for one, other in combinations(parts, 2):
        assert not {pair.text1 for pair in one} & {pair.text1 for pair in other}
    assert sorted(chain(*parts), key=lambda pair: int(pair.text2)) == pairs


def test_a_fortieth_of_the_premises_calibrates_and_another_is_only_measured():
    _, calibrate, report = split([Pair(str(number), "") for number in range(40_000)], seed=0)
    assert 850 < len(calibrate) < 1150
    assert 850 < len(report) < 1150


def test_mirrored_pairs_of_any_file_are_left_out_of_the_held_out_parts_and_counted():
    pairs = [Pair(str(number), str(number + 1), label="neutral") for number in range(4_000)]
    mirrored = [Pair(pair.text2, pair.text1, label="neutral") for pair in pairs]
    division = divide([LabelledFile(DataSet("a"), pairs), LabelledFile(DataSet("b"), mirrored)], seed=0)
    parts = [
        {frozenset((pair.text1, pair.text2)) for file in files for pair in file.pairs}
        for files in (division.learn, division.calibrate, division.report)
    ]
    assert not any(one & other for one, other in combinations(parts, 2))
    kept = sum(len(file.pairs) for file in [*division.learn, *division.calibrate, *division.report])
    assert division.left_out == len(pairs) + len(mirrored) - kept > 0


def test_a_weight_follows_the_last_equals_sign(tmp_path):
    assert parse_source("a.csv") == (Path("a.csv"), 1.0)
    assert parse_source("a=b.csv=0.5") == (Path("a=b.csv"), 0.5)
    assert parse_source("a=b.csv") == (Path("a=b.csv"), 1.0)
    existing = tmp_path / "a=2"
    existing.touch()
    assert parse_source(str(existing)) == (existing, 1.0)


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_a_weight_that_is_not_above_zero_is_refused(weight):
    with pytest.raises(UserError, match="expected a number above 0"):
        parse_source(f"a.csv={weight}")


def test_the_public_command_hides_the_folder_of_the_data(tmp_path):
    files = [tmp_path / "train" / "a.jsonl", tmp_path / "eval" / "b.jsonl"]
    arguments = [f"{files[0]}=2", "--eval", str(files[1]), "--seed", "1", "--cache-dir", str(tmp_path)]
    parsed = build_parser().parse_args(arguments)
    assert public_command(command_line(TrainSettings, "train", parsed).settings) == (
        "python -m kimera.train DATA/train/a.jsonl=2 --eval DATA/eval/b.jsonl "
        f"--out head.safetensors --encoder {DEFAULT_MODEL} --epochs {FitOptions.epochs} --seed 1"
    )


def test_calibration_error_is_none_for_perfect_and_large_for_wrong_scores():
    truth = np.arange(300) % 3 == 0
    assert calibration_error(truth.astype(np.float32), truth) == 0
    assert calibration_error(1 - truth.astype(np.float32), truth) == 1


def test_the_shipped_card_describes_the_shipped_head_and_states_every_licence():
    card = SHIPPED_HEAD.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert hashlib.sha256(SHIPPED_HEAD.read_bytes()).hexdigest() in card
    assert "--sources kimera/weights/sources.json" in card
    assert "not stated" not in card
