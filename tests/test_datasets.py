"""Datasets by name: counts, samples, repeated passes, and the hub."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.data.dataset_sources import EMBEDDED, quiet_hub
from benchmarks.datasets import load_dataset, sample_mask
from kimera.console.installation import how_to_install
from kimera.errors import UserError
from kimera.files import Roles
from kimera.files.tables import TableFormat


def write_pairs(path: Path, labels: list[str | None]) -> Path:
    rows = (
        {"text1": f"a {number}", "text2": f"b {number}", "label": label}
        for number, label in enumerate(labels)
    )
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


# What a dataset says of itself


def test_the_embedded_dataset_is_found_by_name_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = load_dataset()
    assert dataset.name == EMBEDDED
    assert dataset.labelled
    assert dataset.rows == dataset.available == len(list(dataset)) > 0


def test_the_default_is_told_apart_by_grade_or_by_domain() -> None:
    notes: list[str] = []
    by_grade = load_dataset(on_note=notes.append)
    by_domain = load_dataset(roles=Roles(category="domain"), on_note=notes.append)
    assert set(by_grade.category_names) == {"plain", "moderate", "hard"}
    assert set(by_domain.category_names) >= {"contract", "agent memory"}
    assert notes == []


def test_a_dataset_counts_what_it_holds_and_what_it_dropped(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["contradiction", "neutral", "-", "maybe", "contradiction"])
    told: list[str] = []
    dataset = load_dataset(path, skip_bad_rows=True, on_bad_row=told.append)
    assert (dataset.rows, dataset.available, dataset.pairs, len(dataset)) == (5, 3, 3, 3)
    assert (dataset.no_gold_label, dataset.bad_rows, dataset.contradictions) == (1, 1, 2)
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.labels.dtype == np.int8
    assert len(told) == 1


def test_a_bad_row_is_told_once_however_often_the_dataset_is_read(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["neutral", "maybe"])
    told: list[str] = []
    dataset = load_dataset(path, skip_bad_rows=True, on_bad_row=told.append)
    assert len(list(dataset)) == len(list(dataset)) == len(told) == 1


def test_a_dataset_without_labels_has_no_count_of_contradictions(tmp_path: Path) -> None:
    dataset = load_dataset(write_pairs(tmp_path / "p.jsonl", [None, None]))
    assert not dataset.labelled
    assert dataset.contradictions is None
    assert dataset.labels.tolist() == [-1, -1]


def test_rows_with_and_without_labels_may_stand_in_one_file(tmp_path: Path) -> None:
    dataset = load_dataset(write_pairs(tmp_path / "p.jsonl", [None, "neutral"]))
    assert dataset.labelled
    assert dataset.contradictions == 0


def test_the_sha256_is_that_of_the_files_bytes(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", [None])
    assert load_dataset(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_label_map_holds_on_every_pass(tmp_path: Path) -> None:
    dataset = load_dataset(
        write_pairs(tmp_path / "p.jsonl", ["x", "y"]), label_map={"x": "neutral", "y": "-"}
    )
    assert [pair.label for pair in dataset] == ["neutral"]


# Names that are none


def test_an_unknown_name_is_refused_with_what_is_possible() -> None:
    with pytest.raises(UserError) as caught:
        load_dataset("kimera-pears")
    assert "'kimera-pears' is neither a file nor the name of a dataset" in str(caught.value)
    assert all(name in str(caught.value) for name in (EMBEDDED, "kimera-hard", ".csv", "hf:NAME"))


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="is neither a file"):
        load_dataset(name)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a directory"):
        load_dataset(tmp_path)


def test_a_negative_number_of_pairs_is_refused() -> None:
    with pytest.raises(UserError, match="--max-pairs: -1"):
        load_dataset(max_pairs=-1)


# Samples


def test_a_sample_is_in_file_order_and_its_labels_are_those_of_its_pairs(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["contradiction", "neutral", "entailment"] * 40)
    dataset = load_dataset(path, max_pairs=30, seed=3)
    pairs = list(dataset)
    assert [int(pair.id) for pair in pairs] == sorted(int(pair.id) for pair in pairs)
    assert dataset.labels.tolist() == [int(bool(pair.is_contradiction)) for pair in pairs]
    assert (len(pairs), dataset.contradictions, dataset.available) == (30, 10, 120)


def test_the_seed_alone_decides_the_sample(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["contradiction", "neutral"] * 50)

    def sample(seed: int) -> list[str]:
        return [pair.id for pair in load_dataset(path, max_pairs=20, seed=seed)]

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


@pytest.mark.parametrize("max_pairs", [0, 3, 100])
def test_all_pairs_are_used_where_no_fewer_are_asked_for(tmp_path: Path, max_pairs: int) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["contradiction", "neutral", None])
    assert [pair.id for pair in load_dataset(path, max_pairs=max_pairs)] == ["1", "2", "3"]


@settings(deadline=None, max_examples=200)
@given(st.tuples(*[st.integers(0, 60)] * 3).filter(any), st.integers(1, 100), st.integers(0, 2**32 - 1))
def test_a_sample_has_the_size_asked_for_and_every_class(
    sizes: tuple[int, int, int], size: int, seed: int
) -> None:
    labels = np.repeat(np.array([-1, 0, 1], dtype=np.int8), sizes)
    taken = labels[sample_mask(labels, size, seed)]
    present = len(np.unique(labels))
    assert len(taken) == min(size, len(labels))
    assert len(np.unique(taken)) == min(size, present)


@settings(deadline=None, max_examples=200)
@given(st.tuples(*[st.integers(20, 60)] * 3), st.integers(9, 60))
def test_each_class_has_its_share_of_a_sample_rounded_up_or_down(
    sizes: tuple[int, int, int], size: int
) -> None:
    labels = np.repeat(np.array([-1, 0, 1], dtype=np.int8), sizes)
    taken = Counter(labels[sample_mask(labels, size, seed=0)].tolist())
    for label, class_size in zip((-1, 0, 1), sizes, strict=True):
        assert abs(taken[label] - class_size * size / len(labels)) < 1


def test_a_rare_class_is_in_the_sample(tmp_path: Path) -> None:
    labels = np.array([0] * 1000 + [1] + [-1], dtype=np.int8)
    assert sorted(labels[sample_mask(labels, 10, 0)].tolist()) == [-1] + [0] * 8 + [1]


def test_a_sample_of_one_is_of_the_largest_class() -> None:
    labels = np.array([1, 0, 0, 0, -1], dtype=np.int8)
    assert labels[sample_mask(labels, 1, 0)].tolist() == [0]


# Passes over a source that changes


def test_a_file_changed_since_it_was_loaded_is_refused(tmp_path: Path) -> None:
    dataset = load_dataset(write_pairs(tmp_path / "p.jsonl", ["neutral"]))
    write_pairs(tmp_path / "p.jsonl", ["neutral", "contradiction"])
    with pytest.raises(UserError, match="has changed since it was first read"):
        list(dataset)


def test_a_file_changed_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["neutral", "contradiction"])
    pairs = iter(load_dataset(path))
    next(pairs)
    path.write_text(path.read_text().replace("contradiction", "entailment"))
    with pytest.raises(UserError, match="has changed since it was first read"):
        list(pairs)


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["neutral"])
    dataset = load_dataset(path)
    path.unlink()
    with pytest.raises(UserError, match="No such file"):
        list(dataset)


def test_a_file_that_was_merely_touched_is_the_same(tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "p.jsonl", ["neutral"])
    dataset = load_dataset(path)
    os.utime(path, (1, 1))
    assert len(list(dataset)) == 1


# The hub


class Kind:
    """A feature of a hub dataset."""

    def __init__(self, names: list[str] | None = None) -> None:
        if names:
            self.names = names


class Split:
    """As much of a `datasets.Dataset` as is relied on."""

    def __init__(self, rows: list[dict[str, Any]], class_names: list[str] | None = None) -> None:
        self._rows = rows
        self.column_names = list(rows[0])
        self.features = {name: Kind(class_names if name == "label" else None) for name in rows[0]}

    def select_columns(self, names: list[str]) -> list[dict[str, Any]]:
        return [{name: row[name] for name in names} for row in self._rows]


CLASSES = ["entailment", "neutral", "contradiction"]
ROWS = [
    {"premise": "a", "hypothesis": "b", "label": 2, "vector": [1.0]},
    {"premise": "c", "hypothesis": "d", "label": -1, "vector": [2.0]},
    {"premise": "e", "hypothesis": "f", "label": 0, "vector": [3.0]},
]


def hub(**splits: Split) -> Any:
    return lambda name, config: splits


def test_flags_of_files_are_said_to_do_nothing_to_other_datasets() -> None:
    notes: list[str] = []
    load_dataset(format=TableFormat(encoding="latin-1"), max_pairs=4, on_note=notes.append)
    load_dataset("hf:x", format=TableFormat(quoting="csv"), hub_loader=hub(test=Split(ROWS, CLASSES)))
    assert notes == [f"{EMBEDDED}: is no file of yours, so these have no effect: --encoding"]


def test_a_hub_datasets_class_names_name_its_labels() -> None:
    dataset = load_dataset("hf:owner/nli", hub_loader=hub(test=Split(ROWS, CLASSES)))
    assert [(pair.text1, pair.label) for pair in dataset] == [("a", "contradiction"), ("e", "entailment")]
    assert (dataset.name, dataset.rows, dataset.no_gold_label) == ("hf:owner/nli", 3, 1)


def test_a_hub_dataset_without_class_names_is_asked_for_them() -> None:
    with pytest.raises(UserError, match=r"hf:owner/nli: the label column .* carries no class names"):
        load_dataset("hf:owner/nli", hub_loader=hub(test=Split(ROWS)))


def test_a_hub_datasets_sha256_follows_its_rows() -> None:
    one, same, other = (
        load_dataset("hf:x", hub_loader=hub(test=Split(rows, CLASSES))).sha256
        for rows in (ROWS, ROWS, ROWS[::-1])
    )
    assert one == same != other


def test_the_name_and_the_configuration_reach_the_hub() -> None:
    asked: list[tuple[str, str | None]] = []

    def loader(name: str, config: str | None) -> dict[str, Any]:
        asked.append((name, config))
        return {"test": Split(ROWS, CLASSES), "dev": Split(ROWS[2:], CLASSES)}

    assert load_dataset("hf:owner/nli@mnli:dev", hub_loader=loader).rows == 1
    assert load_dataset("hf:owner/nli@mnli", hub_loader=loader).rows == 3
    assert asked == [("owner/nli", "mnli")] * 2


@pytest.mark.parametrize(
    ("splits", "rows"), [(("train", "validation", "test"), 1), (("train", "validation"), 2), (("train",), 3)]
)
def test_without_a_name_the_split_is_test_else_validation_else_train(
    splits: tuple[str, ...], rows: int
) -> None:
    lengths = {"test": 1, "validation": 2, "train": 3}
    names = ["entailment"] * 3
    loaded = hub(**{split: Split([dict(ROWS[0], label=0)] * lengths[split], names) for split in splits})
    assert load_dataset("hf:x", hub_loader=loaded).rows == rows


@pytest.mark.parametrize("name", ["hf:x:test", "hf:x"])
def test_a_split_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(UserError, match="one of dev_r1, dev_r2"):
        load_dataset(name, hub_loader=hub(dev_r1=Split(ROWS), dev_r2=Split(ROWS)))


def test_other_columns_of_a_hub_dataset_are_named_in_the_refusal() -> None:
    with pytest.raises(UserError, match="the columns are 'question', 'answer'; expected"):
        load_dataset("hf:x", hub_loader=hub(test=Split([{"question": "a", "answer": "b"}])))


@pytest.mark.parametrize("name", ["hf:", "hf:@config", "hf:name:"])
def test_a_hub_name_that_names_nothing_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"expected hf:NAME"):
        load_dataset(name, hub_loader=hub(test=Split(ROWS)))


def test_without_the_datasets_library_the_refusal_says_what_to_install() -> None:
    """In a process of its own, in which the library cannot be imported, as if it were not installed."""
    absent = "import sys; sys.modules['datasets'] = None"
    asked = "from benchmarks.datasets import load_dataset; load_dataset('hf:owner/nli')"
    done = subprocess.run([sys.executable, "-c", f"{absent}; {asked}"], capture_output=True, text=True)
    assert done.stderr.rstrip().endswith(f"needs the datasets library; run: {how_to_install('hf')}")
    assert "UserError" in done.stderr


def test_a_folder_is_read_through_the_datasets_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    features = datasets.Features(
        premise=datasets.Value("string"),
        hypothesis=datasets.Value("string"),
        label=datasets.ClassLabel(names=CLASSES),
    )
    rows = [{name: row[name] for name in features} for row in ROWS]
    (tmp_path / "nli").mkdir()
    datasets.Dataset.from_list(rows, features=features).to_parquet(tmp_path / "nli" / "test.parquet")
    dataset = load_dataset(f"hf:{tmp_path}/nli:test")
    assert [(pair.text2, pair.label) for pair in dataset] == [("b", "contradiction"), ("f", "entailment")]


def test_the_hubs_library_does_not_tell_of_its_attempts(caplog: pytest.LogCaptureFixture) -> None:
    """A logger of the library's that no other test has set, heard where its family's records end."""
    family = logging.getLogger("huggingface_hub")
    family.addHandler(caplog.handler)
    caplog.set_level(logging.WARNING, family.name)
    library = family.getChild("of_this_test")
    try:
        with quiet_hub():
            library.warning("Retrying in 1s [Retry 1/5].")
        assert not caplog.records
        library.warning("told again")
        assert "told again" in [record.message for record in caplog.records]
    finally:
        family.removeHandler(caplog.handler)
