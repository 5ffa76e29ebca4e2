"""Notebooks, Word, PDF and AsciiDoc: where a statement stands, and what a broken or hostile file comes to."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path

import pytest
from docx import Document
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter

from kimera.corpus.asciidoc import sentences_of_asciidoc
from kimera.corpus.ignore_marks import without_marks
from kimera.corpus.office_process import MAX_UNPACKED
from kimera.corpus.prose import CODE
from kimera.corpus.statements import MAX_BYTES, read_statements
from kimera.errors import UserError
from kimera.scan import main

ASCIIDOC = """\
= The server
Jane Doe <jane@example.org>
:toc:

The *server* listens on port `8080` by default. See <<ports,the ports>>
and https://example.org[the site] for more.

== A heading states nothing

// A comment states nothing here.
NOTE: It must be restarted after _each_ change.

[source,bash]
----
this is no statement at all
----

.A title of a block
* The first item is here. +
  It goes on here.
* The second one is here.
+
--
A paragraph joined is here.
--

term one::
  The definition is here.

 a literal paragraph is no statement

[%header,cols="1,1"]
|===
|Flag |Default
|`--port` |8080
|--host
|localhost
|===

An old heading
--------------

image::picture.png[A picture is not a statement]

====
The last one is here.footnote:[Not this one at all.]
====
"""


def places(path: Path) -> list[tuple[str, str]]:
    return [(each.text, each.place.removeprefix(f"{path}:")) for each in read_statements(str(path))]


def pdf(*pages: str, packed: bytes | None = None) -> bytes:
    """One page a text, in which lines end where the text's do. packed: the content of all pages instead."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    kids = []
    for text in pages:
        shown = " ".join(f"({line}) Tj T*" for line in text.split("\n"))
        content = packed or f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET".encode()
        how = b"/Filter /FlateDecode " if packed else b""
        objects.append(b"<< %b/Length %d >> stream\n%b\nendstream" % (how, len(content), content))
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<< /Type /Pages /Kids [%b] /Count %d >>" % (listed, len(kids))
    file = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(file))
        file += b"%d 0 obj %b endobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(file))
    return file + head + table + end


def encrypted(content: bytes) -> bytes:
    writer, file = PdfWriter(clone_from=PdfReader(io.BytesIO(content))), io.BytesIO()
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(file)
    return file.getvalue()


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("word/document.xml", "w") as part,
    ):
        for _ in range(MAX_UNPACKED // (16 << 20) + 1):
            part.write(bytes(16 << 20))
    return file.getvalue()


def test_asciidoc_gives_what_a_reader_sees_and_the_lines() -> None:
    assert [(each.text, each.line) for each in sentences_of_asciidoc(ASCIIDOC)] == [
        ("The server listens on port 8080 by default.", 5),
        ("See the ports and the site for more.", 5),
        ("It must be restarted after each change.", 11),
        ("The first item is here.", 19),
        ("It goes on here.", 20),
        ("The second one is here.", 21),
        ("A paragraph joined is here.", 24),
        ("The definition is here.", 28),
        ("Flag: --port; Default: 8080", 35),
        ("Flag: --host; Default: localhost", 36),
        ("The last one is here.", 46),
    ]


@given(
    st.lists(
        st.sampled_from([*ASCIIDOC.split("\n"), "|===", "--", "....", "[listing]", "a:: b"]), max_size=30
    )
)
def test_any_asciidoc_is_read_to_its_end_and_every_line_is_one_of_it(lines: list[str]) -> None:
    for sentence in sentences_of_asciidoc("\n".join(lines)):
        assert 1 <= sentence.line <= sentence.end <= len(lines)


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        (".md", "```\n{mark}\n```"),
        (".md", "    {mark}"),
        (".md", "Write `{mark}` behind it."),
        (".rst", "::\n\n   .. kimera: ignore"),
        (".rst", ".. code-block:: rst\n\n   .. kimera: ignore"),
        (".adoc", "----\n// kimera: ignore\n----"),
    ],
)
def test_a_mark_that_is_shown_as_code_keeps_nothing_out(kind: str, example: str) -> None:
    shown = f"Text.\n\n{example.format(mark='<!-- kimera: ignore -->')}\n\nThis one counts here.\n"
    assert without_marks(shown, CODE[kind]) == (shown, frozenset())
    with_one = f"{shown}\nThis one does not. <!-- kimera: ignore -->\n"
    assert without_marks(with_one, CODE[kind])[1] == {with_one.count("\n")}


def test_of_a_notebook_cells_of_markdown_are_read_by_their_number(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A heading\n", "\n", "The pump is on at night.\n"]},
        {"cell_type": "code", "source": "text = 'this is no statement'"},
        {
            "cell_type": "markdown",
            "source": "It is left out. <!-- kimera: ignore -->\n\n|a|b|\n|-|-|\n|c|d e|",
        },
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    assert places(tmp_path / "a.ipynb") == [
        ("The pump is on at night.", "cell 1"),
        ("a: c; b: d e", "cell 3"),
    ]


def test_word_is_read_by_paragraphs_and_rows(tmp_path: Path) -> None:
    document = Document()
    document.add_heading("A heading states nothing here")
    document.add_paragraph("The pump is on. The lamp is off.")
    table = document.add_table(2, 2)
    for at, text in enumerate(("Flag", "Default", "--port", "8080")):
        table.cell(at // 2, at % 2).text = text
    document.save(str(tmp_path / "a.docx"))
    assert places(tmp_path / "a.docx") == [
        ("The pump is on.", "paragraph 2"),
        ("The lamp is off.", "paragraph 2"),
        ("Flag: --port; Default: 8080", "table 1, row 2"),
    ]


def test_pdf_is_read_by_pages(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("The pump is on\nat night.", "The pump is nev-\ner on."))
    assert places(tmp_path / "a.pdf") == [
        ("The pump is on at night.", "page 1"),
        ("The pump is never on.", "page 2"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.ipynb", b"[" * 100_000, "is no Jupyter notebook (RecursionError"),
        ("a.ipynb", b'{"cells": 3}', "is no Jupyter notebook (TypeError"),
        ("a.docx", b"PK\x03\x04 and no more", "is no .docx"),
        ("a.docx", b"\xd0\xcf\x11\xe0" + bytes(512), "is encrypted, or of a Word before 2007"),
        ("a.docx", zip_bomb(), "unpacks to 272 MiB, and at most 256 are read"),
        ("a.pdf", b"%PDF-1.4\nnothing", "cannot be read, so it may be broken"),
        ("a.pdf", encrypted(pdf("The pump is on.")), "is encrypted; save it without a password"),
        ("a.pdf", pdf("", ""), "no page of it holds text"),
        ("a.pdf", pdf("x", packed=zlib.compress(bytes(80 << 20), 1)), "cannot be read, so it may be broken"),
    ],
    ids=range(9),
)
def test_a_broken_or_hostile_document_is_told_by_its_name_and_left_out(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    faults: list[str] = []
    assert list(read_statements(str(path), on_bad_row=faults.append)) == []
    (fault,) = faults
    assert fault.startswith(f"{path}: {told}")


@pytest.mark.parametrize("name", ["server.docx", "server.pdf", "server.ipynb"])
def test_a_document_is_scanned_and_its_places_are_told(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"The default timeout of the server is {seconds} seconds." for seconds in (30, 60)]
    path, unit = tmp_path / name, {"docx": "paragraph", "pdf": "page", "ipynb": "cell"}[name.split(".")[1]]
    if unit == "paragraph":
        document = Document()
        for text in texts:
            document.add_paragraph(text)
        document.save(str(path))
    elif unit == "page":
        path.write_bytes(pdf(*texts))
    else:
        path.write_text(
            json.dumps({"cells": [{"cell_type": "markdown", "source": [text]} for text in texts]})
        )
    assert main([str(path), "--quiet"]) == 0
    (found,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert sorted(found["places1"] + found["places2"]) == [f"{path}:{unit} 1", f"{path}:{unit} 2"]


def test_a_broken_document_ends_a_scan_that_is_not_to_drop_files(tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(
        UserError, match=r"a\.ipynb: is no Jupyter notebook .*leave it out with --skip-bad-rows"
    ):
        list(read_statements(str(tmp_path / "a.ipynb")))


def test_a_file_of_prose_that_is_too_large_or_none_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for path, told in ((tmp_path / "a.txt", "prose is read whole"), (Path("/dev/zero"), "this is no file")):
        with pytest.raises(UserError, match=told):
            list(read_statements(str(path)))
