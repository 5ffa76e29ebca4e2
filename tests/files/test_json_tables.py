"""JSON: arrays, lines and the forms that tools write are tables; what is none is said."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.errors import UserError
from kimera.files.pair_columns import Roles
from kimera.files.pair_files import read_pairs
from kimera.files.rows import is_no_text
from kimera.files.tables import TableFormat

ROWS = [
    {"premise": "It rains.", "hypothesis": "It is dry.", "label": "contradiction"},
    {"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment"},
]
PAIRS = [("It rains.", "It is dry.", "contradiction"), ("It rains.", "It is wet.", "entailment")]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
FORMS = {
    "records": ROWS,
    "one array among other things": {"version": 2, "made": {"by": "us", "tags": ["x"]}, "data": ROWS},
    "an array deeper down": {"results": {"results": ROWS, "stats": {"n": 2}}},
    "two arrays, one without texts": {"tests": [{"a": 1}, {"b": 2}], "rows": ROWS},
    "columns of lists": COLUMNS,
    "columns by index": {name: dict(zip("01", cells, strict=True)) for name, cells in COLUMNS.items()},
    "rows by index": {"first": ROWS[0], "second": ROWS[1]},
    "split": {"columns": list(ROWS[0]), "index": [0, 1], "data": [list(row.values()) for row in ROWS]},
    "nested": [{"id": number, "data": row} for number, row in enumerate(ROWS)],
}


def write(path: Path, value: Any, indent: int | None = None) -> Path:
    path.write_text(json.dumps(value, indent=indent), encoding="utf-8")
    return path


def texts(path: Path, **options: Any) -> list[tuple[str, str, str | None]]:
    return [(pair.text1, pair.text2, pair.label) for pair in read_pairs(path, **options)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("form", FORMS)
def test_a_table_is_found_in_each_form(tmp_path: Path, form: str, indent: int | None) -> None:
    assert texts(write(tmp_path / "p.json", FORMS[form], indent)) == PAIRS


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p.ndjson"])
@pytest.mark.parametrize("indent", [None, 2])
def test_objects_one_after_another_are_rows_whatever_the_name(
    tmp_path: Path, name: str, indent: int | None
) -> None:
    content = "\n".join(json.dumps(row, indent=indent) for row in ROWS)
    (tmp_path / name).write_text(f"\ufeff{content}\n", encoding="utf-8")
    assert texts(tmp_path / name) == PAIRS


def test_an_array_that_is_called_json_lines_is_read(tmp_path: Path) -> None:
    assert texts(write(tmp_path / "p.jsonl", ROWS)) == PAIRS


JSON_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: text.strip() and not is_no_text(text)
)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.tuples(JSON_TEXTS, JSON_TEXTS), min_size=1, max_size=5),
    indent=st.sampled_from([None, 1]),
)
def test_any_texts_written_as_an_array_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], indent: int | None
) -> None:
    value = [{"text1": one, "text2": two, "score": 1.5} for one, two in rows]
    path = write(tmp_path_factory.mktemp("json") / "p.json", value, indent)
    assert [(pair.text1, pair.text2) for pair in read_pairs(path)] == rows


def test_an_array_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number in range(20_000):
            row = {"id": number, "text1": "word " * 40, "text2": "other " * 40}
            file.write(f"{',' if number else ''}{json.dumps(row)}")
        file.write("]")
    tracemalloc.start()
    assert sum(1 for _ in read_pairs(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 8_000_000
    assert peak < 5_000_000


def test_a_path_leads_into_nested_fields_and_lists(tmp_path: Path) -> None:
    rows = [{"a": {"x": "It rains."}, "b": [{"y": ["It is dry."]}], "c": {"d": ["contradiction"]}}]
    roles = Roles("a.x", "b.0.y.0", "c.d")
    assert texts(write(tmp_path / "p.json", rows), roles=roles) == PAIRS[:1]


def test_passages_that_were_retrieved_are_one_text(tmp_path: Path) -> None:
    rows = [{"contexts": ["It opens at nine.", "It is free."], "answer": "It opens at ten."}]
    assert texts(write(tmp_path / "p.json", rows))[0][0] == "It opens at nine.\nIt is free."


def test_several_statements_of_one_row_are_not_joined(tmp_path: Path) -> None:
    rows = [{"premise": "It rains.", "hypothesis": ["It is dry.", "It is wet."]}]
    with pytest.raises(UserError, match="hypothesis holds 2 texts; expected one: write a row for each"):
        texts(write(tmp_path / "p.json", rows))


@pytest.mark.parametrize(
    "value",
    [
        {"text1": ["It rains.", "It snows."], "text2": ["It is dry."]},
        {"text1": ["It rains.", "It snows."], "text2": ["It is dry.", "It is hot."], "made": {"by": "us"}},
    ],
)
def test_columns_that_do_not_fit_together_are_not_one_row(tmp_path: Path, value: Any) -> None:
    with pytest.raises(UserError, match="holds no table; expected an array of objects"):
        texts(write(tmp_path / "p.json", value))


TWICE = '{"text1": "It rains.", "text2": "It is dry.", "text1": "It snows."}'
NESTED_TWICE = '{"in": {"text1": "It rains.", "text2": "It is dry.", "text1": "It snows."}}'
SAME_PATH = '{"in.text1": "It snows.", "in": {"text1": "It rains.", "text2": "It is dry."}}'


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (TWICE, "the key 'text1' stands twice in one object"),
        (NESTED_TWICE, "the key 'text1' stands twice in one object"),
        (SAME_PATH, "two fields have the same path"),
    ],
)
@pytest.mark.parametrize(("name", "form"), [("p.jsonl", "{}\n{}\n"), ("p.json", "[{}, {}]")])
def test_a_key_that_stands_twice_is_its_rows_fault(
    tmp_path: Path, name: str, form: str, row: str, problem: str
) -> None:
    path = tmp_path / name
    path.write_text(form.format(row, '{"text1": "It is late.", "text2": "It is early."}'))
    with pytest.raises(UserError, match=f"1: {problem}"):
        texts(path)
    assert texts(path, skip_bad_rows=True) == [("It is late.", "It is early.", None)]


def test_rows_by_key_of_which_two_have_the_same_are_refused(tmp_path: Path) -> None:
    row = json.dumps({"text1": "It rains.", "text2": "It is dry."})
    path = tmp_path / "p.json"
    path.write_text(f'{{"a": {row}, "b": {row}, "a": {row}}}')
    with pytest.raises(UserError, match="the key 'a' stands twice in one object"):
        texts(path)


UNLABELLED = [{name: row[name] for name in ("premise", "hypothesis")} for row in ROWS]


def test_splits_of_which_one_has_no_labels_are_asked_about(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", {"train": ROWS, "test": UNLABELLED})
    with pytest.raises(UserError, match=r"not clear which are the rows: train \(2\), test \(2\)"):
        texts(path)


def test_an_array_that_is_not_read_is_named_where_it_holds_columns_that_count(tmp_path: Path) -> None:
    rejected = [{**row, "reason": "unclear"} for row in UNLABELLED]
    path = write(tmp_path / "p.json", {"pairs": ROWS, "rejected": rejected, "log": [{"at": 1}]})
    notes: list[str] = []
    assert texts(path, on_note=notes.append) == PAIRS
    assert notes == [f"{path}: the rows are those of pairs (2); not read: rejected (2)"]


def test_class_names_beside_the_rows_name_their_labels(tmp_path: Path) -> None:
    """As the hub's server of datasets answers."""
    kind = {"names": ["entailment", "neutral", "contradiction"], "_type": "ClassLabel"}
    value = {
        "features": [{"feature_idx": 0, "name": "label", "type": kind}],
        "rows": [{"row_idx": 0, "row": {"premise": "a", "hypothesis": "b", "label": 2}}],
    }
    assert texts(write(tmp_path / "p.json", value)) == [("a", "b", "contradiction")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '[{"text1": "a", "text2": "b"},\n{"text1": "c" "text2": "d"}]',
            "p.json, line 2: this is not valid JSON at",
        ),
        (
            '{"train": [{"text1": "a"}], "test": [{"text1": "a"}]}',
            "several arrays of objects, .*: train .1., test",
        ),
        ("[1, 2]", r"\[1, 2\] holds no table; expected an array of objects"),
        ('"text"', "'text' holds no table"),
        ("   ", "holds no JSON"),
        ('[{"text1": "a"', "line 1: this is not valid JSON"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(UserError, match=told):
        texts(tmp_path / "p.json")


def test_a_bad_item_is_told_by_its_number_and_can_be_skipped(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", [{"text1": "a", "text2": 5}, {"text1": "a", "text2": "b"}, 7], 2)
    with pytest.raises(UserError, match=r"p\.json, item 1: text2 is 5; expected a text; .*--skip-bad-rows"):
        texts(path)
    assert texts(path, skip_bad_rows=True) == [("a", "b", None)]


def test_flags_of_delimited_text_are_named_as_without_effect(tmp_path: Path) -> None:
    notes: list[str] = []
    path = write(tmp_path / "p.json", ROWS)
    list(read_pairs(path, format=TableFormat(delimiter=";", quoting="none"), on_note=notes.append))
    assert notes == [f"{path}: without effect on JSON: --delimiter, --quoting"]
