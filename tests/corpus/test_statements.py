"""Files to statements: where each stands, and what is none."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.corpus.folders import files_of
from kimera.corpus.statements import read_statements
from kimera.corpus.texts import Corpus, Statement
from kimera.errors import UserError
from kimera.files.rows import is_no_text
from kimera.files.tables import TableFormat

MARKDOWN = """\
---
title: A front matter states nothing
---
# A heading states nothing either

The *museum* opens at [nine](https://example.org). It closes
at `five` every day. Is that so?

- The garden is always open.
  And it is free.

> The café takes no cards.

| a table cell | is no statement |
| --- | --- |
| it is | a fragment at most |

```
a code block is no statement
```
"""


def read(path: Path, **options: object) -> list[tuple[str, int]]:
    statements = list(read_statements(str(path), **options))  # type: ignore[arg-type]
    assert {each.file for each in statements} <= {str(path)}
    return [(each.text, each.line) for each in statements]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_markdown_gives_the_sentences_that_a_reader_sees_and_their_lines(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.md", MARKDOWN)) == [
        ("The museum opens at nine.", 6),
        ("It closes at five every day.", 6),
        ("The garden is always open.", 9),
        ("And it is free.", 10),
        ("The café takes no cards.", 12),
        ("a table cell: it is; is no statement: a fragment at most", 16),
    ]


def test_a_sentence_of_plain_text_may_go_over_lines_and_stands_where_it_begins(tmp_path: Path) -> None:
    text = "\ufeffOne sentence stands here. Another\r\nends on the next line.\r\n\r\nNo.\r\nNow a third one."
    assert read(written(tmp_path / "a.txt", text)) == [
        ("One sentence stands here.", 1),
        ("Another ends on the next line.", 1),
        ("Now a third one.", 5),
    ]


WORD = st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=8)
SENTENCE = st.lists(WORD, min_size=3, max_size=6).map(lambda words: f"The {' '.join(words)}")


NO_SURROGATES = st.characters(exclude_categories=["Cs"])  # UTF-8 has none
LINE = (
    st.text(NO_SURROGATES, max_size=40) | SENTENCE | st.sampled_from(["", "- ", "> ", "```", "---", "| a |"])
)
TEXT = st.text(NO_SURROGATES, max_size=300) | st.lists(LINE, max_size=12).map("\n".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(SENTENCE, min_size=1, max_size=8), st.integers(1, 3))
def test_paragraphs_of_text_stand_on_their_lines(
    tmp_path_factory: pytest.TempPathFactory, sentences: list[str], blank_lines: int
) -> None:
    corpus = ("\n" * (blank_lines + 1)).join(sentences)
    lines = corpus.split("\n")
    from kimera.corpus.sentences import sentences_of_text

    for text, line, *_ in sentences_of_text(corpus):
        assert lines[line - 1].split()[: len(text.split())] == text.split()


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_no_text_breaks_the_readers_and_no_line_is_beyond_the_end(text: str) -> None:
    from kimera.corpus.prose import READERS

    clean = text.replace("\r\n", "\n").replace("\r", "\n")
    for split in READERS.values():
        found = list(split(clean))
        lines = [each.line for each in found]
        assert all(1 <= line <= clean.count("\n") + 1 for line in lines)
        assert lines == sorted(lines)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30), max_size=6
    )
)
def test_a_table_gives_each_row_that_holds_a_text(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    filled = [at for at, cell in enumerate(cells, 1) if cell.strip() and not is_no_text(cell)]
    kept = [" ".join(cells[at - 1].split()) for at in filled]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerows([["id", "Statement"], *([number, cell] for number, cell in enumerate(cells))])
    as_csv = written(folder / "a.csv", file.getvalue())
    as_lines = folder / "a.jsonl.gz"
    with gzip.open(as_lines, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"statement": cell}) + "\n" for cell in [*cells, ""])
    assert [text for text, _ in read(as_csv)] == kept
    found = read(as_lines)
    assert [text for text, _ in found] == kept
    assert [line for _, line in found] == filled


def test_parquet_counts_rows_and_a_column_can_be_named(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"fact": ["The sun is hot.", None, "Ice is cold."], "n": [1, 2, 3]}), path)
    assert read(path, column="Fact") == [("The sun is hot.", 1), ("Ice is cold.", 3)]
    with pytest.raises(UserError, match=r"columns are \['fact', 'n'\]; expected text .* --column"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("f.csv", "text,Text,id\nIt rains.,It is dry.,1\n", "each of the columns 'text', 'Text' could"),
        ("f.csv", "text,text\nIt rains.,It is dry.\n", "each of the columns 'text', 'text' could"),
        (
            "f.jsonl",
            '{"asked": {"content": "It rains."}, "told": {"content": "It is dry."}}\n',
            "each of the columns 'asked.content', 'told.content' could hold the statements",
        ),
    ],
)
def test_two_columns_that_could_each_hold_the_statements_are_asked_about(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=told):
        list(read_statements(str(tmp_path / name)))


def test_what_programs_write_where_there_is_no_text_is_blank(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("id,text\n1,NULL\n2,It rains.\n3,#N/A\n")
    blanks: list[None] = []
    read = read_statements(str(tmp_path / "f.csv"), on_blank=lambda: blanks.append(None))
    assert [statement.text for statement in read] == ["It rains."]
    assert len(blanks) == 2


def test_rows_that_one_column_with_a_mark_may_have_joined_are_told(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text('text\nBo sleeps.\n"He said so.\nIt rains.\nIt is dry."\n"a\nb"\n')
    notes: list[str] = []
    read = [each.text for each in read_statements(str(tmp_path / "f.csv"), on_note=notes.append)]
    assert read == ["Bo sleeps.", "He said so. It rains. It is dry.", "a b"]
    told = (
        "texts of several lines, as the one from line 3 to 5, are one row each (--quoting none: a row a line)"
    )
    assert notes == [f"{tmp_path / 'f.csv'}: {told}"]


def test_a_row_without_a_text_is_an_error_that_names_it_or_is_left_out(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl", '{"text": "The sun is hot."}\n{"text": 7}\n{"other": "x"}\nnot JSON\n'
    )
    with pytest.raises(UserError, match=r"a\.jsonl, line 2: 7 is not a text; .*--skip-bad-rows"):
        read(path)
    left_out: list[str] = []
    assert read(path, on_bad_row=left_out.append) == [("The sun is hot.", 1)]
    assert [message.partition(": ")[0].rpartition(" ")[2] for message in left_out] == ["2", "3", "4"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.txt",
            "a café\n".encode() + b"not \xff here",
            r"a\.txt, line 2: the byte 0xff is not valid UTF-8",
        ),
        ("b.txt", b"fine here\nnot \0 here", r"b\.txt, line 2: holds '.x00', so this is not text"),
        ("a.csv", b"id,other\n1,2\n", r"a\.csv: the columns are \['id', 'other'\]"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read(written(tmp_path / name, content))
    with pytest.raises(UserError, match=r"c\.txt: cannot be read: No such file"):
        read(tmp_path / "c.txt")


def test_a_folder_stands_for_its_markdown_and_text_files(tmp_path: Path) -> None:
    for name in ("b.md", "a.txt", "c.py", ".hidden.md", "in/d.markdown", ".git/e.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    b = str(tmp_path / "b.md")
    assert files_of(["-", b, str(tmp_path)]) == [
        "-",
        b,
        str(tmp_path / "a.txt"),
        str(tmp_path / "in/d.markdown"),
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: holds no file that ends in \.md"):
        files_of([str(tmp_path / "empty")])


def test_a_text_that_stands_in_several_places_is_one_text() -> None:
    corpus = Corpus()
    for file, line in (("a", 1), ("b", 7)):
        corpus.add(Statement("The sun is hot.", file, line))
    corpus.add(Statement("Ice is cold.", "b", 9))
    assert corpus.texts == ["The sun is hot.", "Ice is cold."]
    assert corpus.places == [["a:1", "b:7"], ["b:9"]]
    assert corpus.statements == 3


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a text on standard input."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


ONE_COLUMN = "fact\nThe shop is open on Monday.\nThe shop is closed on Monday.\n"


def test_a_column_on_standard_input_is_read_as_text_and_that_is_said(piped: Callable[[str], None]) -> None:
    piped(ONE_COLUMN)
    notes: list[str] = []
    statements = list(read_statements("-", on_note=notes.append))
    assert statements[0].text == "fact The shop is open on Monday."
    assert [note.partition(";")[0] for note in notes] == ["stdin: read as plain text"]
    assert "--delimiter comma" in notes[0]
    piped("The shop is open on Monday.\nThe shop is closed on Monday.\n")
    assert len(list(read_statements("-", on_note=notes.append))) == 2
    assert len(notes) == 1


def test_a_column_on_standard_input_is_a_table_if_its_delimiter_is_given(
    piped: Callable[[str], None],
) -> None:
    piped(ONE_COLUMN)
    with pytest.raises(UserError, match=r"--column has no effect; leave it out, or .*--delimiter comma"):
        list(read_statements("-", column="fact"))
    piped(ONE_COLUMN)
    statements = read_statements("-", column="fact", format=TableFormat(delimiter="comma"))
    assert [statement.line for statement in statements] == [2, 3]
