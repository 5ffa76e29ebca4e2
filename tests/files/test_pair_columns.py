"""Which column is what: names in every dress, two candidates, columns of no use, labels overlooked."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import namedtuple
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kimera import pairs_of
from kimera.errors import UserError
from kimera.files.pair_columns import (
    CATEGORIES,
    GIVEN,
    IDS,
    LABELS,
    NUMBERED,
    SAID,
    STANDARD,
    Roles,
    known_names,
)
from kimera.files.pair_files import read_pairs
from kimera.pairs import Pair

ROOT = Path(__file__).parents[2]


def write(path: Path, *rows: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def write_json(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, **options: Any) -> list[Pair]:
    return list(read_pairs(path, **options))


def notes_on(path: Path, **options: Any) -> str:
    notes: list[str] = []
    list(read_pairs(path, on_note=notes.append, **options))
    return "\n".join(notes)


# Names


@pytest.mark.parametrize(
    ("text1", "text2", "label"),
    [
        ("statement1", "statement2", "verdict"),
        ("Sentence A", "Sentence B", "Annotator label"),
        ("s1", "s2", "gold"),
        ("PREMISE", "Hypothesis", "Gold-Label"),
        ("context", "answer", "annotation"),
        ("passage", "claim", "human_label"),
        ("text", "hypothesis", "judgement"),
        ("first_sentence", "second_sentence", "Contradiction?"),
        ("retrieved_contexts", "response", "relation"),
        ("Text 1", "Text 2", "Label"),
    ],
)
def test_columns_are_found_by_names_in_every_dress(
    tmp_path: Path, text1: str, text2: str, label: str
) -> None:
    path = write(tmp_path / "p.csv", [label, text2, "n", text1], ["contradiction", "second", "1", "first"])
    assert read(path) == [Pair("first", "second", "1", "contradiction")]


def test_every_name_that_is_documented_is_found(tmp_path: Path) -> None:
    pairs = [*STANDARD, *((f"{stem}1", f"{stem}2") for stem in NUMBERED)]
    pairs += [(name, "hypothesis") for name in GIVEN] + [("premise", name) for name in SAID]
    for one, two in pairs:
        assert read(write(tmp_path / "p.csv", [one, two], ["first", "second"])) == [
            Pair("first", "second", "1")
        ]
    for name in LABELS:
        assert (
            read(write(tmp_path / "p.csv", ["s1", "s2", name], ["a", "b", "neutral"]))[0].label == "neutral"
        )
    for name in IDS:
        assert read(write(tmp_path / "p.csv", ["s1", "s2", name], ["a", "b", "x"]))[0].id == "x"
    for name in CATEGORIES:
        assert read(write(tmp_path / "p.csv", ["s1", "s2", name], ["a", "b", "x"]))[0].category == "x"


def test_the_documents_list_the_names_that_the_code_knows() -> None:
    document = " ".join((ROOT / "docs" / "files.md").read_text(encoding="utf-8").split())
    assert known_names() in document


def test_stated_columns_go_before_known_ones(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.csv",
        ["id", "text1", "text2", "Aussage A", "Aussage B", "Urteil", "Thema"],
        ["x", "a", "b", "first", "second", "neutral", "law"],
    )
    roles = Roles("Aussage A", "aussage_b", "urteil", "Thema", "id")
    assert read(path, roles=roles) == [Pair("first", "second", "law", "neutral", "x")]


def test_one_stated_text_is_enough_where_its_partner_is_clear(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", ["context", "reference", "answer"], ["a", "b", "c"])
    assert read(path, roles=Roles(text1="reference")) == [Pair("b", "c", "1")]
    with pytest.raises(UserError, match="--text1 names one text, and it is not clear which is the other"):
        read(write(tmp_path / "q.csv", ["x", "y", "z"], ["a", "b", "c"]), roles=Roles(text1="x"))


def test_a_stated_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", ["text1", "text2"], ["a", "b"])
    with pytest.raises(
        UserError, match="--label gold: there is no such column; the columns are 'text1', 'text2'"
    ):
        read(path, roles=Roles(label="gold"))


# Two candidates


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["text1", "text2", "gold", "verdict"],
            "'gold' and 'verdict' could each be it: say which with --label",
        ),
        (
            ["context", "reference", "response"],
            "'context' and 'reference' could each be text1; .*--text1 NAME",
        ),
        (["premise", "answer", "response"], "'answer' and 'response' could each be text2"),
        (["text1", "text2", "premise", "hypothesis"], "'text1' and 'premise' could each be text1"),
    ],
)
def test_two_candidates_are_named_with_the_flag_that_decides(
    tmp_path: Path, names: list[str], told: str
) -> None:
    path = write(tmp_path / "p.csv", names, ["a"] * len(names))
    with pytest.raises(UserError, match=told) as caught:
        read(path, skip_bad_rows=True)
    assert "--skip-bad-rows" not in str(caught.value)


@pytest.mark.parametrize(
    ("roles", "problem"),
    [
        (Roles("s", "note"), "--text1 s: 2 columns have that name; rename all but one of them"),
        (Roles("note", "note"), "--text1 and --text2 both name the column 'note'; name two columns"),
    ],
)
def test_a_stated_name_says_one_column_and_each_text_has_its_own(
    tmp_path: Path, roles: Roles, problem: str
) -> None:
    path = write(tmp_path / "p.csv", ["s", "s", "note"], ["a", "b", "c"])
    with pytest.raises(UserError, match=problem):
        read(path, roles=roles)


def test_nobody_is_told_to_skip_what_would_be_every_row(tmp_path: Path) -> None:
    lines = write_json(tmp_path / "p.jsonl", *[{"question": "a", "reply": "b"}] * 3)
    labels = write(tmp_path / "p.csv", ["text1", "text2", "label"], *[["a", "b", "unsure"]] * 3)
    for path, remedy in ((lines, "--text1 NAME"), (labels, "--label-map")):
        with pytest.raises(UserError, match=remedy) as caught:
            read(path)
        assert "--skip-bad-rows" not in str(caught.value)


# What is not used


def test_columns_of_no_use_are_named_but_not_pandas_index(tmp_path: Path) -> None:
    header = ["", "Unnamed: 0", "__index_level_0__", "text1", "text2", "comment", "score"]
    path = write(tmp_path / "p.csv", header, ["0", "0", "0", "a", "b", "fine", "0.5"])
    assert notes_on(path) == f"{path}: columns not used: 'comment', 'score'"


def test_a_column_that_looks_like_labels_is_named_where_no_pair_is_labelled(tmp_path: Path) -> None:
    rows = [["a", "b", "Contradiction", "x"], ["c", "d", "neutral ", "y"]]
    path = write(tmp_path / "p.csv", ["text1", "text2", "what Ann says", "note"], *rows)
    assert "no pair is labelled, and the column looks like labels: 'what Ann says'; .*--label NAME".replace(
        ".*", "name the label column with "
    ) in notes_on(path)
    assert "looks like" not in notes_on(path, roles=Roles(label="what Ann says"))
    empty = write(
        tmp_path / "q.csv", ["s1", "s2", "label", "human"], ["a", "b", "", "yes"], ["c", "d", "", "no"]
    )
    assert "looks like labels: 'human'" in notes_on(empty)
    annotated = {"data": {"premise": "a", "hypothesis": "b"}, "annotations": [{"choices": ["neutral"]}]}
    assert "'annotations.0.choices.0'" in notes_on(write_json(tmp_path / "p.jsonl", annotated))


def test_a_column_of_parquet_that_is_not_read_is_looked_at_all_the_same(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"text1": ["a", "b"], "text2": ["c", "d"], "human": ["neutral", "contradiction"]}
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    assert "looks like labels: 'human'" in notes_on(tmp_path / "p.parquet")


# Labels


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("Contradiction ", "contradiction"),
        ("NOT CONTRADICTION", "not_contradiction"),
        ("non-contradiction", "not_contradiction"),
        ("not_enough_info", "neutral"),
        ("Contradicts", "contradiction"),
        (["entailment"], "entailment"),
        (float("nan"), None),
        ("NaN", None),
        ("None", None),
        ("<NA>", None),
        ("#N/A", None),
        ([], None),
    ],
)
def test_a_label_is_understood_and_what_is_missing_is_none(
    tmp_path: Path, written: object, label: str | None
) -> None:
    rows = [{"text1": "a", "text2": "b", "label": written}, {"text1": "a", "text2": "b", "label": "neutral"}]
    assert read(write_json(tmp_path / "p.jsonl", *rows))[0].label == label


def test_integers_of_a_column_with_gaps_are_integers(tmp_path: Path) -> None:
    rows = [["1.0", "a", "b"], ["", "c", "d"], ["0.0", "e", "f"]]
    path = write(tmp_path / "p.csv", ["label", "text1", "text2"], *rows)
    assert [pair.label for pair in read(path)] == ["contradiction", None, "not_contradiction"]


@pytest.mark.parametrize(
    "meanings",
    [
        "0=entailment, 1=neutral, 2=contradiction",
        "entailment=0, neutral=1, contradiction=2",
        "contradiction: 2, entailment: 0",
    ],
)
def test_a_header_may_say_what_its_integers_mean(tmp_path: Path, meanings: str) -> None:
    header = ["text1", "text2", f"label ({meanings})"]
    path = write(tmp_path / "p.csv", header, ["a", "b", "2"], ["c", "d", "0"])
    assert [pair.label for pair in read(path)] == ["contradiction", "entailment"]


@pytest.mark.parametrize("words", [("yes", "no"), ("1", "0"), ("True", "False"), ("1", "1")])
def test_a_column_that_is_called_contradiction_says_what_yes_means(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    path = write(
        tmp_path / "p.csv", ["claim", "evidence", "is_contradiction"], *(["a", "b", word] for word in words)
    )
    assert [pair.label == "contradiction" for pair in read(path)] == [
        word in ("yes", "1", "True") for word in words
    ]


@pytest.mark.parametrize("word", ["1", "no", "TRUE"])
def test_what_yes_means_of_an_answer_and_its_context_is_asked(tmp_path: Path, word: str) -> None:
    path = write(tmp_path / "p.csv", ["context", "answer", "label"], ["a", "b", word])
    with pytest.raises(UserError, match=r"line 2: the label of a claim is .*--label-map"):
        read(path)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "entails",
            "Entailment label",
            "is supported",
            "consistent",
            "no_contradiction",
            "factually correct",
        ),
        *("label (0 contradiction, 1 entailment)", "label: contradiction is 0"),
    ],
)
@pytest.mark.parametrize("values", [("1", "0"), ("true", "false"), ("yes", "no")])
def test_a_label_column_whose_name_lets_yes_mean_something_else_is_asked_about(
    tmp_path: Path, name: str, values: tuple[str, str]
) -> None:
    yes, no = values
    path = write(tmp_path / "p.csv", ["text1", "text2", name], ["a", "b", yes], ["c", "d", no])
    roles = Roles(label=name)
    with pytest.raises(UserError, match=f"--label-map {yes}=entailment,{no}=contradiction, or with the rev"):
        read(path, roles=roles)
    pairs = read(path, roles=roles, label_map={yes: "entailment", no: "contradiction"})
    assert [pair.label for pair in pairs] == ["entailment", "contradiction"]


@pytest.mark.parametrize("name", ["inconsistent", "y", "incorrect", "disagreement"])
def test_a_label_column_of_any_other_name_says_yes_of_a_contradiction(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "p.csv", ["text1", "text2", name], ["a", "b", "1"], ["c", "d", "0"])
    pairs = read(path, roles=Roles(label=name))
    assert [pair.label for pair in pairs] == ["contradiction", "not_contradiction"]


@pytest.mark.parametrize("named", [("contradiction", "neutral"), ("entailment", "not entailment")])
def test_integers_beside_a_column_that_names_labels_are_not_guessed(
    tmp_path: Path, named: tuple[str, str]
) -> None:
    rows = [["a", "b", "0", named[0]], ["c", "d", "1", named[1]]]
    path = write(tmp_path / "p.csv", ["text1", "text2", "label", "label_text"], *rows)
    problem = (
        r"0 and 1, and what they mean may stand in 'label_text' \(--label NAME reads that\); say what each"
    )
    with pytest.raises(UserError, match=problem):
        read(path)
    label_map = {"0": "contradiction", "1": "not_contradiction"}
    assert [pair.label for pair in read(path, label_map=label_map)] == ["contradiction", "not_contradiction"]


# Tables in memory


def test_pairs_are_made_of_tables_in_memory() -> None:
    rows = [
        {"premise": "a", "hypothesis": "b", "gold": 1.0},
        {"premise": "c", "hypothesis": "d", "gold": 0.0},
        {"premise": "e", "hypothesis": "f", "gold": float("nan")},
    ]
    expected = [
        Pair("a", "b", "1", "contradiction"),
        Pair("c", "d", "2", "not_contradiction"),
        Pair("e", "f", "3"),
    ]
    assert pairs_of(rows) == expected
    assert pairs_of({name: [row[name] for row in rows] for name in rows[0]}) == expected
    assert pairs_of([("a", "b")]) == [Pair("a", "b")]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows)
    assert pairs_of(frame) == expected
    assert pairs_of(frame.astype({"gold": "Int64"})) == expected
    renamed = frame.rename(columns={"premise": "x", "hypothesis": "y", "gold": "z"})
    assert pairs_of(renamed, text1="x", text2="y", label="z") == expected
    with pytest.raises(UserError, match=r'with text1="NAME" text2="NAME"'):
        pairs_of(renamed)


Named = namedtuple("Named", "text1 text2 label")
ROWS = [Named("It rains.", "It is dry.", "contradiction"), Named("It rains.", "It is wet.", None)]
IN_MEMORY = [Pair("It rains.", "It is dry.", "1", "contradiction"), Pair("It rains.", "It is wet.", "2")]


def _of_data_base() -> list[sqlite3.Row]:
    with closing(sqlite3.connect(":memory:")) as data_base:
        data_base.row_factory = sqlite3.Row
        data_base.execute("create table pairs (text1, text2, label)")
        data_base.executemany("insert into pairs values (?, ?, ?)", ROWS)
        return data_base.execute("select * from pairs").fetchall()


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(ROWS, id="named tuples"),
        pytest.param(_of_data_base(), id="rows of a data base"),
        pytest.param((row._asdict() for row in ROWS), id="a generator of dictionaries"),
        pytest.param(
            {name: iter([getattr(row, name) for row in ROWS]) for name in Named._fields},
            id="columns read once",
        ),
        pytest.param(
            {name: {f"r{at}": getattr(row, name) for at, row in enumerate(ROWS)} for name in Named._fields},
            id="columns by the rows' index",
        ),
    ],
)
def test_rows_that_name_their_values_are_pairs_in_every_dress(table: Any) -> None:
    assert pairs_of(table) == IN_MEMORY


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"text1": "It rains.", "text2": "It is dry"}, "the column 'text1' is 'It rains.'; expected a list"),
        ({"text1": {"a", "b"}, "text2": ["c", "d"]}, "the column 'text1' is {"),
        ({"text1": ["a", "b"], "text2": ["c"]}, "of different lengths: 'text1' has 2, 'text2' has 1"),
        ({"text1": {"x": "a"}, "text2": {"y": "b"}}, "the column 'text2' has other rows than the first"),
        ({"text1": {"x": "a"}, "text2": ["b"]}, "the column 'text1' is {"),
        ({"text1": ["a"], "text2": None}, "the column 'text2' is None; expected a list"),
        (
            [("a", "b", "contradiction")],
            r"row 1: \('a', 'b', 'contradiction'\) is no pair; expected two texts",
        ),
        (["a", "b"], "row 1: 'a' is no pair"),
        ("pairs.csv", "'pairs.csv' is no table; files are read by kimera.files.read_pairs"),
        (Path("pairs.csv"), "is no table; files are read by"),
        (None, "None is no table; expected a DataFrame"),
        ([{"text1": "a", "text2": "b", "label": 2}], "as in label_map={'0': 'entailment', "),
        ([{"context": "a", "answer": "b", "label": "yes"}], "with label_map={'yes': 'entailment', "),
    ],
)
def test_what_is_no_table_is_refused_and_never_read_as_another(table: Any, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        pairs_of(table)


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([["a", "b", "c"]], columns=["text", "text", "answer"])
    with pytest.raises(UserError, match="'text' is the name of more than one column; rename them"):
        pairs_of(frame)
