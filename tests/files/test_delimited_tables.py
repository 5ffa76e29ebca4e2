"""Delimited text: in whichever dialect rows were written, they are read as they were, or refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kimera.errors import UserError
from kimera.files.pair_columns import Roles
from kimera.files.pair_files import ReadCounts, read_pairs
from kimera.files.tables import TableFormat

CASES = {
    "quotes.tsv": (
        "premise\thypothesis\tlabel\n"
        'It rains in the valley.\t"Go home now.\tneutral\n'
        'It snows in May.\tIt is warm."\tneutral\n'
        "It rains.\tIt is dry.\tcontradiction\n"
    ),
    "quotes.csv": (
        "premise,hypothesis,label\nIt rains.,It is wet.,entailment\n"
        'He said so.,"Go home now.,neutral\n'
        "It snows.,It is warm.,contradiction\nThe shop is open.,The shop is closed.,contradiction\n"
    ),
}
SETTINGS = settings(deadline=None, max_examples=60)
# Few characters, so that marks meet each other.
CELLS = st.text(st.sampled_from("ab \",;\t|\n\r'ä"), min_size=1, max_size=8).filter(str.strip)
LINES = st.text(st.sampled_from("ab \",;|'ä"), min_size=1, max_size=8).filter(str.strip)


def rows_of(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, str, str]]]:
    row = st.tuples(cells, cells, st.sampled_from(["neutral", "contradiction"]))
    return st.lists(row, min_size=1, max_size=6)


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts(path: Path, **options: object) -> list[tuple[str, str, str | None]]:
    return [(pair.text1, pair.text2, pair.label) for pair in read_pairs(path, **options)]  # type: ignore[arg-type]


def read_back(path: Path, **options: object) -> list[tuple[str, str, str | None]] | None:
    """The rows, or None where the file is refused."""
    try:
        return texts(path, **options)
    except UserError:
        return None


def notes_on(path: Path, **options: object) -> str:
    notes: list[str] = []
    list(read_pairs(path, on_note=notes.append, **options))  # type: ignore[arg-type]
    return "\n".join(notes)


# Never other rows


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@SETTINGS
@given(rows=rows_of(CELLS), delimiter=st.sampled_from(",;|\t"), name=st.sampled_from(["p.csv", "p.tsv"]))
def test_quoted_text_is_read_as_it_was_written_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    name: str,
    quoting: int,
    encoding: str,
) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("premise", "hypothesis", "label"), *rows])
    path = write(tmp_path_factory.mktemp("d") / name, file.getvalue().encode(encoding))
    assert read_back(path) in (rows, None)
    plain = all(mark not in cell for row in rows for cell in row for mark in '"\n\r')
    assert read_back(path) == rows or not plain
    assert texts(path, format=TableFormat(delimiter, "csv")) == rows


@SETTINGS
@given(rows=rows_of(LINES))
def test_tabs_without_quoting_are_read_with_every_mark(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    content = "".join("\t".join(row) + "\n" for row in [("premise", "hypothesis", "label"), *rows])
    path = write(tmp_path_factory.mktemp("t") / "p.tsv", content)
    assert texts(path, format=TableFormat(quoting="none")) == rows
    # A cell that is written exactly as a writer would quote another one can only be told by the flag.
    assume(not any(cell.startswith('"') and cell.endswith('"') for row in rows for cell in row))
    assert texts(path) == rows


@SETTINGS
@given(rows=rows_of(LINES.filter(lambda cell: '"' not in cell)), at=st.data())
def test_a_mark_that_is_never_closed_costs_its_own_row_alone(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], at: st.DataObject
) -> None:
    broken = at.draw(st.integers(0, len(rows) - 1))
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONE, delimiter="|", escapechar="\\", lineterminator="\n")
    assume(not any("|" in cell for row in rows for cell in row))
    writer.writerows([("premise", "hypothesis", "label"), *rows])
    lines = file.getvalue().split("\n")
    lines[broken + 1] = lines[broken + 1].replace("|", '|"', 1)
    path = write(tmp_path_factory.mktemp("b") / "p.csv", "\n".join(lines))
    others = [row for number, row in enumerate(rows) if number != broken]
    with pytest.raises(UserError, match=f"line {broken + 2}: quotes are out of place"):
        texts(path)
    if others:
        assert texts(path, skip_bad_rows=True) == others


# Quoting


def test_a_row_with_an_open_mark_is_dropped_and_reading_goes_on_at_the_next_line(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", CASES["quotes.csv"])
    with pytest.raises(UserError, match=r"q\.csv, line 3: quotes are out of place.*--skip-bad-rows"):
        texts(path)
    told: list[str] = []
    counts = ReadCounts()
    pairs = list(read_pairs(path, skip_bad_rows=True, on_bad_row=told.append, counts=counts))
    assert [pair.id for pair in pairs] == ["1", "3", "4"]
    assert (counts.rows, counts.bad_rows, len(told)) == (4, 1, 1)


def test_a_row_that_would_take_others_along_and_still_fit_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", CASES["quotes.tsv"].replace("\t", ","))
    with pytest.raises(UserError, match=r"line 2: .* its field would take the next row along"):
        texts(path)
    assert len(texts(path, format=TableFormat(quoting="csv"))) == 2


def test_tabs_are_read_without_quoting_where_a_mark_is_not_closed(tmp_path: Path) -> None:
    path = write(tmp_path / "q.tsv", CASES["quotes.tsv"])
    assert texts(path)[:2] == [
        ("It rains in the valley.", '"Go home now.', "neutral"),
        ("It snows in May.", 'It is warm."', "neutral"),
    ]
    assert "quotation marks are read as text (--quoting csv" in notes_on(path)


def test_where_no_row_can_be_used_the_error_says_how_the_marks_were_read(tmp_path: Path) -> None:
    rows = '"It rains."\t"It is dry."\t"contradiction"\n"It snows."\t"It is cold."\t"neutral"\n'
    path = write(tmp_path / "q.tsv", f"text1\ttext2\tlabel\n{rows}")
    with pytest.raises(
        UserError, match=r"not a fault of single rows; quotation marks .* \(--quoting csv takes"
    ):
        texts(path)
    assert texts(path, format=TableFormat(quoting="csv"))[0] == ("It rains.", "It is dry.", "contradiction")


@pytest.mark.parametrize(
    ("rows", "text1"),
    [
        ('a\t"He said ""go"" now."\n', 'He said "go" now.'),
        ('a\t"one\ttwo"\n', "one\ttwo"),
        ('a\t"one\ntwo"\n', "one\ntwo"),
        ('a\t"Hello, there."\nb\tNo.\n', "Hello, there."),
        ('a\t"Hello, there."\nb\tNo, no.\n', '"Hello, there."'),
        ('a\t"Go home."\nb\tNo.\n', '"Go home."'),
        ('a\t"Go home," he said.\nb\tNo.\n', '"Go home," he said.'),
    ],
)
def test_marks_around_fields_between_tabs_quote_only_where_writers_put_them(
    tmp_path: Path, rows: str, text1: str
) -> None:
    path = write(tmp_path / "q.tsv", f"text2\ttext1\n{rows}")
    assert texts(path)[0][0] == text1


def test_a_text_of_several_lines_is_one_field(tmp_path: Path) -> None:
    """Letters hold commas; what is no row by itself is no row."""
    letter = '"Dear Anna, dear Ben,\n\nthe shop is open, as ever.\nYours, Carl","It is shut.",contradiction\n'
    path = write(tmp_path / "q.csv", f"text1,text2,label\n{letter}a,b,neutral\n{letter}")
    assert [text1.count("\n") for text1, _, _ in texts(path)] == [3, 0, 3]


def test_a_quoting_that_is_stated_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "q.csv", 'text1,text2\n"a",b\n')
    assert texts(path, format=TableFormat(quoting="none")) == [('"a"', "b", None)]
    tabs = write(tmp_path / "q.tsv", 'text1\ttext2\n"a"\tb\n')
    assert texts(tabs) == [('"a"', "b", None)]
    assert texts(tabs, format=TableFormat(quoting="csv")) == [("a", "b", None)]


# Delimiters


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("premise;hypothesis;label\nIt rains.;It is dry, here.;contradiction\n", "semicolon"),
        ("premise\thypothesis\tlabel\nIt rains.\tIt is dry, here.\tcontradiction\n", "tab"),
        ("premise|hypothesis|label\nIt rains.|It is dry, here.|contradiction\n", "pipe"),
        ("sep=;\npremise;hypothesis;label\nIt rains.;It is dry, here.;contradiction\n", "semicolon"),
        (
            '\ufeff"sep=;"\r\npremise;hypothesis;label\r\nIt rains.;It is dry, here.;contradiction\r\n',
            "semicolon",
        ),
        ("sep=\t\npremise\thypothesis\tlabel\nIt rains.\tIt is dry, here.\tcontradiction\n", "tab"),
    ],
)
def test_a_delimiter_is_recognised_and_said(tmp_path: Path, content: str, title: str) -> None:
    path = write(tmp_path / "p.csv", content)
    assert texts(path) == [("It rains.", "It is dry, here.", "contradiction")]
    assert f"the delimiter is the {title}" in notes_on(path)


def test_what_a_name_promises_is_not_said(tmp_path: Path) -> None:
    assert notes_on(write(tmp_path / "p.csv", "text1,text2\na,b\n")) == ""


def test_columns_that_the_user_names_tell_the_delimiter_too(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "erste, kurz;zweite\nEs regnet, oft.;Es ist, ja, nass.\n")
    assert texts(path, roles=Roles("erste, kurz", "zweite")) == [
        ("Es regnet, oft.", "Es ist, ja, nass.", None)
    ]


@pytest.mark.parametrize("stated", ["^", "semicolon", "tab", "\\t"])
def test_a_delimiter_that_is_stated_holds(tmp_path: Path, stated: str) -> None:
    delimiter = {"semicolon": ";", "^": "^"}.get(stated, "\t")
    path = write(tmp_path / "p.csv", f"text1{delimiter}text2,x\na{delimiter}b,c\n".replace(",x", ""))
    assert texts(path, format=TableFormat(stated)) == [("a", "b,c", None)]


def test_a_delimiter_that_can_be_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--delimiter 'ab': give one character, or comma, semicolon"):
        texts(write(tmp_path / "p.csv", "text1,text2\na,b\n"), format=TableFormat("ab"))


def test_lines_of_nothing_but_delimiters_are_no_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "text1;text2;;\r\na;b;;\r\n;;;\r\n\r\n")
    assert texts(path) == [("a", "b", None)]


# Encodings

GERMAN = "premise;hypothesis;label\nDer Laden ist für Gäste geöffnet.;Er schließt um fünf.;neutral\n"
RUSSIAN = "premise;hypothesis\n" + "Магазин сегодня открыт.;Магазин сегодня закрыт.\n" * 3
CURLY = "premise,hypothesis\nHe said “go home” – now…,It’s €5.\n"


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        (GERMAN, "windows-1252", "read as windows-1252, which is a guess"),
        (GERMAN, "latin-1", "read as windows-1252, which is a guess"),
        (CURLY, "windows-1252", "read as windows-1252, which is a guess"),
        (RUSSIAN, "windows-1251", "read as windows-1251, which is a guess"),
        (GERMAN, "utf-16", "read as UTF-16"),
        (GERMAN, "utf-16-be", "read as UTF-16-BE"),
    ],
)
def test_an_encoding_is_recognised_and_said(tmp_path: Path, content: str, encoding: str, said: str) -> None:
    path = write(tmp_path / "p.csv", content.encode(encoding))
    expected = texts(write(tmp_path / "utf8.csv", content.encode()))
    assert texts(path) == expected
    assert said in notes_on(path)


@pytest.mark.parametrize(
    "text",
    ["It’s late here.", "Die Tür ist zu.", "Es ist süß.", "§ 5 holds.", "20 °C are warm.", "5 µm wide"],
)
def test_one_accent_among_ascii_letters_is_no_text_of_east_asia(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "p.csv", f"text1,text2\n{text},It is so.\n".encode("windows-1252"))
    assert texts(path) == [(text, "It is so.", None)]
    assert "read as windows-1252, which is a guess" in notes_on(path)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("彼は Python を使う。", "cp932"), ("他使用 Python 编程。", "gb18030"), ("서울은 수도이다.", "cp949")],
)
def test_texts_of_east_asia_are_read_in_their_encoding(tmp_path: Path, text: str, encoding: str) -> None:
    path = write(tmp_path / "p.csv", ("text1,text2\n" + f"{text},{text}\n" * 4).encode(encoding))
    assert texts(path) == [(text, text, None)] * 4
    assert f"read as {encoding}, which is a guess" in notes_on(path)


def test_an_encoding_that_is_stated_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "text1,text2\nСнег,Дождь\n".encode("koi8-r"))
    assert texts(path, format=TableFormat(encoding="koi8-r")) == [("Снег", "Дождь", None)]
    with pytest.raises(UserError, match="--encoding klingon: no such encoding"):
        texts(path, format=TableFormat(encoding="klingon"))


def test_one_bad_byte_among_good_ones_is_its_rows_fault(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "text1,text2\ncafé,b\n".encode() + b"caf\xe9,d\n")
    with pytest.raises(UserError, match="line 3: the byte 0xe9 is not valid UTF-8"):
        texts(path)
    assert texts(path, skip_bad_rows=True) == [("café", "b", None)]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_the_header_of_a_file_that_was_joined_to_another_is_no_row(
    tmp_path: Path, mark: str, quote: str
) -> None:
    rows = [("text1", "text2"), ("It rains.", "It is dry."), ("text1", "text2"), ("It snows.", "It is hot.")]
    lines = [",".join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    path = tmp_path / "p.csv"
    path.write_text("".join(f"{mark if line == lines[0] else ''}{line}\n" for line in lines), "utf-8")
    with pytest.raises(UserError, match="line 3: the header stands here again, as where files were joined"):
        texts(path)
    assert texts(path, skip_bad_rows=True) == [(*rows[1], None), (*rows[3], None)]


@pytest.mark.parametrize("rule", ["-----|-----", " --- | :---: "])
def test_a_rule_under_the_header_is_no_row(tmp_path: Path, rule: str) -> None:
    path = write(tmp_path / "p.csv", f"text1|text2\n{rule}\nIt rains.|It is dry.\n")
    with pytest.raises(UserError, match="line 2: a rule of hyphens, as tools draw under a header, is no row"):
        texts(path)
    assert texts(path, skip_bad_rows=True) == [("It rains.", "It is dry.", None)]


def test_a_byte_order_mark_before_a_quoted_field_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('\ufeff"text1","text2"\n\ufeff"It rains, here.","It is dry."\n', "utf-8")
    assert texts(path) == [("It rains, here.", "It is dry.", None)]


def test_a_spreadsheet_is_refused_with_the_way_on(tmp_path: Path) -> None:
    for name in ("p.xlsx", "p.csv"):
        with pytest.raises(
            UserError, match="is a spreadsheet or an archive, not text; save the sheet as CSV"
        ):
            texts(write(tmp_path / name, b"PK\x03\x04 and so on"))


def test_a_line_longer_than_what_csv_takes_ends_in_no_traceback(tmp_path: Path) -> None:
    path = write(tmp_path / "long.csv", "text1,text2\n" + "a" * (1 << 24) + "a,b\n")
    assert [len(pair.text1) for pair in read_pairs(path)] == [(1 << 24) + 1]
