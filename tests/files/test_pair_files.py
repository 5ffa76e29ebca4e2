"""Files of pairs: what is read, what is refused, and what is said of it."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.errors import UserError
from kimera.files.pair_files import ReadCounts, read_pairs
from kimera.files.pair_labels import parse_label_map
from kimera.files.rows import is_no_text
from kimera.pairs import Pair

# Texts that a pair may hold: any Unicode but NUL and halves of surrogate pairs, and not only blanks.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
    lambda text: text.strip() and not is_no_text(text)
)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    return write(path, "".join(f"{json.dumps(row)}\n" for row in rows))


def labelled(*labels: Any) -> list[dict[str, Any]]:
    return [{"text1": "a", "text2": "b", "label": label} for label in labels]


def labels_of(path: Path, **options: Any) -> list[str | None]:
    return [pair.label for pair in read_pairs(path, **options)]


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        list(read_pairs(path, **options))
    return str(caught.value)


# Formats


@pytest.mark.parametrize(
    ("name", "delimiter"), [("p.csv", ","), ("p.tsv", "\t"), ("p.csv.gz", ","), ("p.TSV.GZ", "\t")]
)
@settings(deadline=None, max_examples=60)
@given(rows=ROWS)
def test_any_texts_written_as_csv_or_tsv_are_read_back_identical(
    tmp_path_factory: pytest.TempPathFactory, name: str, delimiter: str, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("round") / name
    opener = gzip.open if name.lower().endswith(".gz") else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("text1", "text2"), *rows])
    assert [(pair.text1, pair.text2) for pair in read_pairs(path)] == rows


@pytest.mark.parametrize("ascii_only", [True, False])
@settings(deadline=None, max_examples=60)
@given(rows=ROWS)
def test_any_texts_written_as_json_lines_are_read_back_identical(
    tmp_path_factory: pytest.TempPathFactory, ascii_only: bool, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("round") / "p.jsonl"
    lines = (json.dumps({"premise": a, "hypothesis": b}, ensure_ascii=ascii_only) for a, b in rows)
    write(path, "\n".join(lines))
    assert [(pair.text1, pair.text2) for pair in read_pairs(path)] == rows


@settings(deadline=None, max_examples=30)
@given(rows=ROWS)
def test_any_texts_written_as_parquet_are_read_back_identical(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path_factory.mktemp("round") / "p.parquet"
    pq.write_table(pa.table({"text1": [a for a, _ in rows], "text2": [b for _, b in rows]}), path)
    assert [(pair.text1, pair.text2) for pair in read_pairs(path)] == rows


def test_a_pair_carries_all_that_its_row_says(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "id,text1,text2,label,category\nx7,One.,Two., Neutral ,numbers\n")
    assert list(read_pairs(path)) == [Pair("One.", "Two.", "x7", "neutral", "numbers")]


def test_blanks_around_a_text_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "text1,text2\n one ,\ttwo\n")
    assert list(read_pairs(path)) == [Pair(" one ", "\ttwo", "1")]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "\ufefftext1,text2\na,b\n")
    assert list(read_pairs(path)) == [Pair("a", "b", "1")]


def test_a_byte_order_mark_is_no_part_of_the_first_json_line(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", '\ufeff{"text1": "a", "text2": "b"}\n')
    assert list(read_pairs(path)) == [Pair("a", "b", "1")]


def test_a_text_beyond_the_csv_modules_own_limit_is_read(tmp_path: Path) -> None:
    long = "word " * 100_000
    path = write(tmp_path / "p.csv", f'text1,text2\n"{long}",b\n')
    assert next(read_pairs(path)).text1 == long


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", '\n{"text1": "a", "text2": "b"}\n  \n{"text1": "c", "text2": "d"}\n\n')
    assert [pair.id for pair in read_pairs(path)] == ["1", "2"]


def test_reading_is_lazy(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "text1,text2\na,b\n,\n")
    assert next(read_pairs(path)).text1 == "a"


# Columns


@pytest.mark.parametrize(
    "header",
    ["text1,text2", "premise,hypothesis", "sentence1,sentence2", "evidence,claim", "Premise, HYPOTHESIS "],
)
def test_the_texts_are_found_under_each_of_their_names(tmp_path: Path, header: str) -> None:
    path = write(tmp_path / "p.csv", f"{header}\nfirst,second\n")
    assert list(read_pairs(path)) == [Pair("first", "second", "1")]


def test_the_evidence_is_text1_wherever_its_column_stands(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "claim,evidence\nthe claim,the evidence\n")
    assert list(read_pairs(path)) == [Pair("the evidence", "the claim", "1")]


@pytest.mark.parametrize("name", ["id", "pairID", "uid"])
def test_the_id_is_found_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", [{"text1": "a", "text2": "b", name: 12}])
    assert next(read_pairs(path)).id == "12"


def test_the_category_may_be_called_genre_and_may_be_null(tmp_path: Path) -> None:
    rows = [{"text1": "a", "text2": "b", "genre": genre} for genre in ("travel", None)]
    assert [pair.category for pair in read_pairs(write_jsonl(tmp_path / "p.jsonl", rows))] == ["travel", ""]


def test_a_missing_id_is_the_number_of_the_row_counting_those_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "text1,text2,label\na,b,-\n,b,neutral\na,b,neutral\n")
    assert [pair.id for pair in read_pairs(path, skip_bad_rows=True)] == ["3"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("p.jsonl", '{"id": "2", "text1": "a", "text2": "b"}\n{"text1": "c", "text2": "d"}\n', 2),
        ("p.csv", "id,text1,text2\n2,a,b\n,c,d\n", 3),
    ],
)
def test_a_row_whose_number_is_the_id_of_an_earlier_row_needs_an_id(
    tmp_path: Path, name: str, content: str, line: int
) -> None:
    message = refusal(write(tmp_path / name, content))
    assert f"line {line}: the row has no id, and its row number 2 is the id of an earlier row" in message


def test_an_id_that_is_the_number_of_an_earlier_row_without_one_is_refused(tmp_path: Path) -> None:
    rows = [{"text1": "a", "text2": "b"}, {"text1": "c", "text2": "d", "id": 1}]
    message = refusal(write_jsonl(tmp_path / "p.jsonl", rows))
    assert "line 2: the id '1' is the row number of an earlier row, which has no id" in message


def test_the_number_of_a_row_that_was_left_out_is_free_as_an_id(tmp_path: Path) -> None:
    rows = [
        {"text1": "", "text2": "b"},
        {"text1": "c", "text2": "d", "id": "1"},
        {"text1": "e", "text2": "f"},
    ]
    path = write_jsonl(tmp_path / "p.jsonl", rows)
    assert [pair.id for pair in read_pairs(path, skip_bad_rows=True)] == ["1", "3"]


@settings(deadline=None, max_examples=100)
@given(ids=st.lists(st.sampled_from([None, *"12345", "01", "\u0662"]), min_size=1, max_size=6))
def test_however_ids_are_given_no_two_pairs_share_one(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str | None]
) -> None:
    rows = [{"text1": "a", "text2": "b", **({"id": given} if given else {})} for given in ids]
    path = write_jsonl(tmp_path_factory.mktemp("ids") / "p.jsonl", rows)
    counts = ReadCounts()
    found = [pair.id for pair in read_pairs(path, skip_bad_rows=True, counts=counts)]
    wanted = [given or str(number) for number, given in enumerate(ids, 1)]
    assert found == list(dict.fromkeys(wanted))
    assert counts.bad_rows == len(wanted) - len(found)


@pytest.mark.parametrize("rows", ["", "a,b\n"])
def test_missing_text_columns_are_an_error_on_the_headers_line_whether_rows_follow_or_not(
    tmp_path: Path, rows: str
) -> None:
    path = write(tmp_path / "p.csv", f"\n\nquestion,answer\n{rows}")
    assert refusal(path).startswith(f"{path}, line 3: the columns are 'question', 'answer'; expected")


def test_missing_text_columns_of_a_parquet_file_without_rows_are_named(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"question": pa.array([], pa.string())}), path)
    assert refusal(path).startswith(f"{path}: the columns are 'question'; expected")


def test_missing_text_columns_are_an_error_that_names_those_found_and_those_expected(tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "p.csv", "question,answer\na,b\n"), skip_bad_rows=True)
    assert "the columns are 'question', 'answer'" in message
    assert "premise/hypothesis" in message


def test_two_pairs_of_text_columns_are_an_error(tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "p.csv", "text1,text2,premise,hypothesis\na,b,c,d\n"))
    assert "expected exactly one of the pairs" in message


def test_a_text_column_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    assert "expected exactly one" in refusal(write(tmp_path / "p.csv", "text1,text2,Text1\na,b,c\n"))


def test_two_label_columns_are_an_error(tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "p.csv", "text1,text2,label,gold_label\na,b,neutral,neutral\n"))
    assert "expected one label column" in message


def test_a_json_row_without_a_text_is_that_rows_fault(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", [{"text1": "a", "text2": "b"}, {"text1": "a"}])
    assert "line 2: the columns are 'text1'; expected" in refusal(path)


# Labels


@pytest.mark.parametrize(
    ("written", "label"),
    [
        ("CONTRADICTION", "contradiction"),
        ("entailment", "entailment"),
        ("Neutral", "neutral"),
        ("not_contradiction", "not_contradiction"),
        ("SUPPORTS", "entailment"),
        ("REFUTES", "contradiction"),
        ("NOT ENOUGH INFO", "neutral"),
        ("True", "contradiction"),
        (False, "not_contradiction"),
        ("", None),
        (None, None),
    ],
)
def test_a_label_is_understood(tmp_path: Path, written: object, label: str | None) -> None:
    assert labels_of(write_jsonl(tmp_path / "p.jsonl", labelled(written))) == [label]


@pytest.mark.parametrize("word", ["true", "FALSE", True])
def test_true_and_false_of_a_claim_are_an_error_that_asks_what_they_mean(
    tmp_path: Path, word: str | bool
) -> None:
    """In fact-checking true says that the claim holds, which is the reverse of what it says elsewhere."""
    rows = [{"claim": "c", "evidence": "e", "label": label} for label in ("neutral", word)]
    path = write_jsonl(tmp_path / "p.jsonl", rows)
    message = refusal(path, skip_bad_rows=True)
    assert message.startswith(f"{path}, line 2: the label of a claim is {str(word).lower()!r}")
    assert "--label-map true=entailment,false=contradiction" in message
    assert "true=contradiction,false=entailment" in message


@pytest.mark.parametrize(
    ("label_map", "labels"),
    [
        ("true=entailment,false=contradiction", ["entailment", "contradiction"]),
        ("true=contradiction,false=entailment", ["contradiction", "entailment"]),
    ],
)
def test_a_label_map_says_what_true_and_false_of_a_claim_mean(
    tmp_path: Path, label_map: str, labels: list[str]
) -> None:
    path = write(tmp_path / "p.csv", "claim,evidence,label\nc,e,True\nc,e,false\n")
    assert labels_of(path, label_map=parse_label_map(label_map)) == labels


def test_a_label_map_without_false_leaves_the_false_of_a_claim_unclear(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "claim,evidence,label\nc,e,true\nc,e,false\n")
    assert "line 3: the label of a claim is 'false'" in refusal(path, label_map={"true": "entailment"})


def test_a_file_without_a_label_column_gives_pairs_without_labels(tmp_path: Path) -> None:
    assert labels_of(write(tmp_path / "p.csv", "text1,text2\na,b\n")) == [None]


def test_rows_on_which_annotators_did_not_agree_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "p.tsv", "gold_label\tsentence1\tsentence2\n-\ta\tb\nneutral\tc\td\n")
    counts = ReadCounts()
    assert [pair.text1 for pair in read_pairs(path, counts=counts)] == ["c"]
    assert counts == ReadCounts(rows=2, no_gold_label=1, bad_rows=0)


@pytest.mark.parametrize("values", [(1, 0), ("1", "0"), (1.0, 0.0), (None, 0, 1)])
def test_a_column_of_exactly_0_and_1_is_binary_and_1_is_a_contradiction(
    tmp_path: Path, values: tuple[Any, ...]
) -> None:
    found = labels_of(write_jsonl(tmp_path / "p.jsonl", labelled(*values)))
    expected = {None: None, 0: "not_contradiction", 1: "contradiction"}
    assert found == [expected[None if value is None else int(float(value))] for value in values]


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 0), (1,), (0, 1, -1), (1, 2), tuple(range(100))])
def test_other_integers_are_an_error_that_asks_what_they_mean(
    tmp_path: Path, values: tuple[int, ...]
) -> None:
    message = refusal(write_jsonl(tmp_path / "p.jsonl", labelled(*values)), skip_bad_rows=True)
    assert "carries no class names" in message
    assert "--label-map 0=entailment,1=neutral,2=contradiction" in message


def test_a_2_at_the_end_of_the_file_is_seen_before_the_first_pair_is_given(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", labelled(*[0, 1] * 500, 2))
    with pytest.raises(UserError, match="integers 0, 1, 2"):
        next(read_pairs(path))


@pytest.mark.parametrize("values", [(0, 1, "neutral"), ("contradiction", 1)])
def test_integers_mixed_with_names_are_an_error(tmp_path: Path, values: tuple[Any, ...]) -> None:
    assert "mixes integers with names" in refusal(write_jsonl(tmp_path / "p.jsonl", labelled(*values)))


def test_a_label_map_names_integers(tmp_path: Path) -> None:
    label_map = parse_label_map("0=entailment,1=neutral,2=contradiction,-1=-")
    path = write_jsonl(tmp_path / "p.jsonl", labelled(0, "1", 2, -1))
    assert labels_of(path, label_map=label_map) == ["entailment", "neutral", "contradiction"]


def test_an_integer_that_the_label_map_leaves_out_is_unknown(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", labelled(0, 1))
    assert "line 2: the label 1 is not known" in refusal(path, label_map={"0": "neutral"})


def test_a_label_map_names_other_words_and_overrides_known_ones(tmp_path: Path) -> None:
    label_map = parse_label_map("Conflict=contradiction, true=entailment")
    path = write_jsonl(tmp_path / "p.jsonl", labelled("CONFLICT", True, "neutral"))
    assert labels_of(path, label_map=label_map) == ["contradiction", "entailment", "neutral"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not VALUE=LABEL"),
        ("0", "'0' is not VALUE=LABEL"),
        ("=neutral", "is not VALUE=LABEL"),
        ("0=neutral,", "'' is not VALUE=LABEL"),
        ("0=maybe", "'maybe' is not a label; expected contradiction"),
        ("0=neutral,0=entailment", "'0' is given two meanings, neutral and entailment"),
    ],
)
def test_a_label_map_that_cannot_be_meant_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_label_map(text)
    assert problem in str(caught.value)


def test_a_label_map_may_name_values_with_an_equals_sign() -> None:
    assert parse_label_map("a=b=neutral") == {"a=b": "neutral"}


def write_class_labels(path: Path, names: list[str], values: list[int]) -> Path:
    """As the `datasets` library writes a column of class labels."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    note = {
        "info": {"features": {"label": {"names": names, "_type": "ClassLabel"}, "text1": {"_type": "Value"}}}
    }
    table = pa.table({"text1": ["a"] * len(values), "text2": ["b"] * len(values), "label": values})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(note)}), path)
    return path


def test_class_names_in_a_parquet_files_schema_name_its_integers(tmp_path: Path) -> None:
    path = write_class_labels(
        tmp_path / "p.parquet", ["entailment", "neutral", "contradiction"], [2, 0, 1, -1]
    )
    assert labels_of(path) == ["contradiction", "entailment", "neutral"]


def test_an_index_beyond_the_class_names_is_an_unknown_label(tmp_path: Path) -> None:
    path = write_class_labels(tmp_path / "p.parquet", ["entailment", "neutral"], [1, 2])
    assert "row 2: the label 2 is not known" in refusal(path)


def test_class_names_that_are_mere_numbers_are_no_names(tmp_path: Path) -> None:
    path = write_class_labels(tmp_path / "p.parquet", ["0", "1", "2"], [0, 1, 2])
    assert "carries no class names" in refusal(path)


def test_a_label_map_may_name_the_indices_of_classes_with_unknown_names(tmp_path: Path) -> None:
    path = write_class_labels(tmp_path / "p.parquet", ["LABEL_0", "LABEL_1"], [0, 1])
    assert labels_of(path, label_map={"0": "neutral", "label_1": "contradiction"}) == [
        "neutral",
        "contradiction",
    ]


def test_labels_that_are_not_known_are_named_together_for_the_label_map(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", labelled("yep", "nope", "neutral", "Nope", "hm"))
    assert "the label 'yep' is not known" in refusal(path)
    assert "; all that are not known: 'yep', 'nope', 'hm'; correct the row" in refusal(path)
    many = write_jsonl(tmp_path / "many.jsonl", labelled(*(f"class {n}" for n in range(20)), "neutral"))
    assert "; the first 10 that are not known: 'class 0', 'class 1'," in refusal(many)
    assert refusal(many).count("'class ") == 11  # the first stands on the row that is refused, too


def test_one_label_that_is_not_known_is_named_once(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "p.jsonl", labelled("yep", "neutral", "yep"))
    assert "that are not known" not in refusal(path)


# Faults of a row


CSV_FAULTS = {
    "an empty text": (b"text1,text2\na,b\n  ,b\n", "line 3: text1 is empty ('  '); expected a text"),
    "too many fields": (b"text1,text2\na,b,c\n", "line 2: 3 fields where the header has 2"),
    "too few fields": (b"text1,text2\na\n", "line 2: 1 fields where the header has 2"),
    "bad UTF-8": (b"text1,text2\na,caf\xc3\xa9\na,caf\xe9\n", "line 3: the byte 0xe9 is not valid UTF-8"),
    "a NUL": (b"text1,text2\na,b\0c\n", "line 2: text2 holds '\\x00' in 'b\\x00c'"),
    "an unknown label": (
        b"text1,text2,label\na,b,maybe\n",
        "line 2: the label 'maybe' is not known; expected contra",
    ),
    "a repeated id": (b"id,text1,text2\nx,a,b\nx,c,d\n", "line 3: the id 'x' stands on an earlier row"),
    "a quote out of place": (b'text1,text2\n"a" b,c\n', "line 2: quotes are out of place"),
    "an open quote on the last line": (b'text1,text2\na,b\n"c,d', "line 3: quotes are out of place"),
    "a fault after quoted line breaks": (b'text1,text2\n"a\nb\n",c\n\n,d\n', "line 6: text1 is empty"),
}
JSON_FAULTS = {
    "invalid JSON": (b'{"text1": "a"\n', 'line 1: \'{"text1": "a"\' is not valid JSON'),
    "JSON without end": (b"[" * 100_000, "line 1: '[[[["),
    "a number of too many digits": (b'{"text1": ' + b"9" * 5000 + b"}", "is not valid JSON"),
    "no object": (b'\n["a", "b"]\n', "line 2: ['a', 'b'] is not a JSON object"),
    "a text that is none": (b'{"text1": 5, "text2": "b"}', "line 1: text1 is 5; expected a text"),
    "a text that is null": (b'{"text1": "a", "text2": null}', "line 1: text2 is None; expected a text"),
    "half a surrogate pair": (b'{"text1": "a", "text2": "\\ud83d"}', "line 1: text2 holds '\\ud83d'"),
    "bad UTF-8": (b'{"text1": "a", "text2": "\xff\xc3\xa9"}', "line 1: the byte 0xff is not valid UTF-8"),
    "an id that is none": (
        b'{"text1": "a", "text2": "b", "id": [1]}',
        "id is [1]; expected a text or an integer",
    ),
    "a label that is none": (b'{"text1": "a", "text2": "b", "label": {}}', "the label {} is not known"),
}
FAULTS = [
    pytest.param(f"p.{kind}", content, problem, id=f"{kind}: {name}")
    for kind, faults in (("csv", CSV_FAULTS), ("jsonl", JSON_FAULTS))
    for name, (content, problem) in faults.items()
]


@pytest.mark.parametrize(("name", "content", "problem"), FAULTS)
def test_a_bad_row_is_refused_with_its_file_line_and_remedy(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = write(tmp_path / name, content)
    message = refusal(path)
    assert message.startswith(f"{path}, line ")
    assert problem in message
    assert message.endswith("leave out such rows with --skip-bad-rows")


@pytest.mark.parametrize("written", ["NULL", "null", " nan ", "NaN", "#N/A", "#REF!", "<NA>", "\\N"])
def test_what_programs_write_where_there_is_no_text_is_none(tmp_path: Path, written: str) -> None:
    path = tmp_path / "p.csv"
    path.write_text(f"text1,text2\nIt rains.,{written}\nIt rains.,None\n")
    with pytest.raises(UserError, match=r"line 2: text2 is .*, which stands for no text; expected a text"):
        list(read_pairs(path))
    assert [pair.text2 for pair in read_pairs(path, skip_bad_rows=True)] == ["None"]


@pytest.mark.parametrize(("name", "content", "problem"), FAULTS)
def test_a_bad_row_can_be_skipped_and_is_told_and_counted(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    good = b'{"text1": "good", "text2": "row"}\n'
    if name == "p.csv":  # a good row after the header, of as many fields as there are
        header, rest = content.split(b"\n", 1)
        good = {2: b"good,row\n", 3: b"good,row,neutral\n"}[header.count(b",") + 1]
        content = header + b"\n" + good + rest
    else:
        content = good + content
    told: list[str] = []
    counts = ReadCounts()
    pairs = list(
        read_pairs(write(tmp_path / name, content), skip_bad_rows=True, on_bad_row=told.append, counts=counts)
    )
    assert pairs
    assert counts.bad_rows == len(told) == 1
    assert counts.rows == len(pairs) + 1


def test_a_long_value_is_cut_in_the_message(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", f"text1,text2,label\na,b,{'x' * 5000}\n")
    assert len(refusal(path)) < len(str(path)) + 400


def test_control_characters_of_a_file_do_not_reach_the_message(tmp_path: Path) -> None:
    assert "\x1b" not in refusal(write(tmp_path / "p.csv", "text1,text2,label\na,b,\x1b[2J\n"))


# Faults of the whole file


def test_a_missing_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_pairs(tmp_path / "p.csv")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert "is a directory" in refusal(tmp_path)


def test_a_file_of_which_neither_name_nor_content_tells_the_kind_is_refused_with_the_known_ones(
    tmp_path: Path,
) -> None:
    assert ".csv, .tsv, .tab" in refusal(write(tmp_path / "p.txt", "Once upon a time,\nthere was a shop.\n"))


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.jsonl.gz", "p.parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "the file is empty" in refusal(write(tmp_path / name, b""))


@pytest.mark.parametrize(("name", "content"), [("p.csv", "text1,text2\n"), ("p.jsonl", "\n\n")])
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, content: str) -> None:
    assert "there is no usable pair in it (rows: 0," in refusal(write(tmp_path / name, content))


def test_a_file_of_which_every_row_is_dropped_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "p.csv", "text1,text2,label\na,b,-\n,b,neutral\n"), skip_bad_rows=True)
    assert "(rows: 2, of them without a gold label: 1, bad: 1)" in message


def test_a_file_that_is_not_gzipped_though_its_name_says_so_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path / "p.csv.gz", "text1,text2\na,b\n"))
    assert "the gzip data is broken after line 0" in message


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_gzip_file_cut_short_is_refused_with_the_line_it_breaks_on(tmp_path: Path, keep: float) -> None:
    packed = gzip.compress(b"text1,text2\n" + b"".join(b"%d,text\n" % number for number in range(5000)))
    path = write(tmp_path / "p.csv.gz", packed[: int(len(packed) * keep)])
    assert "the gzip data is broken after line" in refusal(path, skip_bad_rows=True)


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert "is not a readable Parquet file" in refusal(write(tmp_path / "p.parquet", b"PAR1 and so on"))


def test_a_parquet_file_with_a_broken_page_is_refused(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "p.parquet"
    texts = [f"text {number}" for number in range(5000)]
    pq.write_table(pa.table({"text1": texts, "text2": texts}), path)
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    write(path, bytes(content))
    assert "cannot be read after row 0" in refusal(path)


def test_a_parquet_text_that_is_none_is_refused_with_its_row(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"text1": ["a", None], "text2": ["b", "c"], "vector": [[1.0], [2.0]]}), path)
    assert "row 2: text1 is None; expected a text" in refusal(path)
