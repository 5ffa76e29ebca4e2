"""MDX, reStructuredText and HTML: what a reader takes for a statement, and the line on which it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from kimera.corpus.statements import read_statements

MDX = """---
title: Server
---
import Note from "./note"
import {
  Tabs,
} from "./tabs"

export const meta = { port: 1 }

# Server

The server listens on port 8080 by default.

<Note type="warning" on={() => ({ a: 1 })}>
  Restart it after each change.
</Note>

<Card
  title="Not a statement of prose"
  href="/x"
/>

The limit is {limit} and `{braces}` stay in code.

{/* This comment is no statement at all. */}

```js
const text = "This is no prose either.";
```

<Tabs><Tab>    It takes four arguments here.</Tab></Tabs>
"""
RST = """
======
Server
======

:author: Somebody of the team

The server listens on port ``8080`` by default. See :ref:`the page <page>`
and `the site <https://example.org>`_ for more.

.. note::

   It must be restarted after *each* change.

.. warning:: Nobody should open this port.

.. code-block:: python

   this = "is no prose at all"

.. This comment is no statement.

Run it like this::

    server --port is a literal block

- The first point is made here.
- The second point goes
  over two lines.

+-----+-----+
| a b | c d |
+-----+-----+

=======  ==========
Flag     Default
=======  ==========
--port   8080, or
         what is set
=======  ==========

Another title
-------------

The last sentence stands here.
"""
HTML = """<!doctype html>
<html><head><title>No statement is here</title><style>p { a b c }</style></head>
<body><nav><a href="/">Home is over there</a></nav>
<h1>A heading is not one</h1>
<p>The server listens on <code>8080</code> by
default &amp; on loopback.</p>
<ul><li>The first point is made here.</li>
<li>The second one too.</li></ul>
<pre>this is some code</pre>
<script>var a = "this is no prose";</script>
<p>The last sentence stands here.
</body></html>
"""


def read(path: Path, content: str) -> list[tuple[str, int]]:
    path.write_text(content, encoding="utf-8")
    return [(statement.text, statement.line) for statement in read_statements(str(path))]


def test_mdx_is_markdown_without_what_only_a_program_reads(tmp_path: Path) -> None:
    assert read(tmp_path / "a.mdx", MDX) == [
        ("The server listens on port 8080 by default.", 13),
        ("Restart it after each change.", 16),
        ("The limit is and {braces} stay in code.", 24),
        ("It takes four arguments here.", 32),
    ]


@pytest.mark.parametrize(
    "matter",
    ["---\ntitle: The title is set.\n---\n", '+++  \ntitle = "The title is set."\n[a]\nb = 1\n+++ \n'],
)
@pytest.mark.parametrize("name", ["a.md", "a.mdx", "a.html"])
def test_what_stands_before_a_page_for_its_generator_is_left_out(
    tmp_path: Path, name: str, matter: str
) -> None:
    body = "\n<p>The server listens here.</p>\n" if name == "a.html" else "\nThe server listens here.\n"
    assert read(tmp_path / name, matter + body) == [("The server listens here.", matter.count("\n") + 2)]


def test_restructuredtext_gives_its_paragraphs_lists_and_notes(tmp_path: Path) -> None:
    assert read(tmp_path / "a.rst", RST) == [
        ("The server listens on port 8080 by default.", 8),
        ("See the page and the site for more.", 8),
        ("It must be restarted after each change.", 13),
        ("Nobody should open this port.", 15),
        ("Run it like this:", 23),
        ("The first point is made here.", 27),
        ("The second point goes over two lines.", 28),
        ("Flag: --port; Default: 8080, or what is set", 38),
        ("The last sentence stands here.", 45),
    ]


def test_what_sphinx_adds_to_restructuredtext_is_read_as_its_text(tmp_path: Path) -> None:
    text = """\
.. versionadded:: 3.1
   The server takes a :py:class:`~a.Port` and :cmd:`ports <to-a-port>`.

.. toctree::
   :maxdepth: 2

   This is the name of a page

.. note::
   It has a note.

   .. warning::

      The inner one stands on this line.

      .. deprecated:: 4.0 It goes away in five.

|product| is :unknown:`what it is` and `so is`:this:.
"""
    assert read(tmp_path / "a.rst", text) == [
        ("The server takes a a.Port and ports.", 2),
        ("It has a note.", 10),
        ("The inner one stands on this line.", 14),
        ("It goes away in five.", 16),
        ("product is what it is and so is.", 18),
    ]


def test_html_gives_its_blocks_of_text(tmp_path: Path) -> None:
    assert read(tmp_path / "a.html", HTML) == [
        ("The server listens on 8080 by default & on loopback.", 5),
        ("The first point is made here.", 7),
        ("The second one too.", 8),
        ("The last sentence stands here.", 11),
    ]


@pytest.mark.parametrize(
    "page",
    [
        "<title>A title is here</title><p>The server listens here.",
        "<head><title>A title is here</title>\n<body><p>The server listens here.",
        "<head><meta charset=utf-8><script>it is a script</script><p>The server listens here.",
        "<head><noscript><p>This is a page for others.</p></noscript></head><p>The server listens here.",
        "<dl><dt>The port it takes<dd>The server listens here.</dl><p>It waits for you.",
        "<dl><dt>The port it takes</dl><p>The server listens here.",
    ],
)
def test_html_may_leave_out_the_end_tags_that_it_may(tmp_path: Path, page: str) -> None:
    texts = [text for text, _ in read(tmp_path / "a.html", page)]
    assert "The server listens here." in texts
    assert not [text for text in texts if "is a" in text or "title" in text]


@pytest.mark.parametrize(
    ("extension", "text"),
    [
        (".md", "# Setup\n\n{}\n\n## Linux `x`\n\n{}\n\n{}\n"),
        (".rst", "Setup\n=====\n\n{}\n\nLinux ``x``\n-----------\n\n{} {}\n"),
        (".adoc", "= Setup\n\n{}\n\nLinux `x`\n---------\n\n{}\n\n{}\n"),
        (".html", "<h1>Setup</h1><p>{}</p><dl><dt>Linux <code>x</code><dd>{}<p>{}</dl>"),
    ],
)
def test_headings_and_the_sentence_before_go_with_a_statement(
    tmp_path: Path, extension: str, text: str
) -> None:
    path = tmp_path / f"a{extension}"
    path.write_text(text.format("It comes first here.", "It goes under both.", "So does this one."))
    assert [statement.context for statement in read_statements(str(path))] == [
        (("Setup",), ""),
        (("Setup", "Linux x"), ""),
        (("Setup", "Linux x"), "It goes under both."),
    ]
