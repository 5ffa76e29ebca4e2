"""Folders to files: what is read, what is passed over, and that each kind of it is counted and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from kimera.corpus.folders import corpus_files, files_of
from kimera.errors import UserError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with what its owner wrote, a.md and sub/b.md, among what others did."""
    for name in (
        "a.md",
        "sub/b.md",
        "sub/node_modules/x/readme.md",
        "build/out.html",
        "vendor/lib/notes.txt",
        ".github/c.md",
        "drafts/d.md",
        "sub/e.txt",
        "sub/keep.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("The shop is open today.\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("drafts/\n*.txt\n")
    (tmp_path / "sub" / ".gitignore").write_text("!keep.txt\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_only_what_the_owner_of_a_folder_wrote_is_read_and_the_rest_is_named_by_kind(tree: Path) -> None:
    files = corpus_files(["."])
    assert files.names == ["a.md", "sub/b.md", "sub/keep.txt"]
    assert files.set_aside == {
        "hidden": [".git", ".github"],
        "vendored or built": ["build", "sub/node_modules", "vendor"],
        "in .gitignore": ["drafts", "sub/e.txt"],
    }
    assert "in .gitignore: drafts, sub/e.txt" in files.not_entered


def test_a_pattern_leaves_out_more_or_brings_back(tree: Path) -> None:
    assert files_of(["."], ["sub/", "!drafts/", "!vendor/", "!notes.txt"]) == [
        "a.md",
        "drafts/d.md",
        "vendor/lib/notes.txt",
    ]
    files = corpus_files(["."], ["sub/", "none/"])
    assert files.set_aside["by --exclude"] == ["sub"]
    assert files.idle == ["none/"]


def test_the_rules_of_the_repository_hold_in_a_folder_of_it_and_not_for_what_is_named(tree: Path) -> None:
    assert files_of(["sub"]) == ["sub/b.md", "sub/keep.txt"]
    assert files_of(["drafts", "build", "sub/e.txt"]) == ["drafts/d.md", "build/out.html", "sub/e.txt"]


def test_a_folder_of_which_nothing_remains_says_what_was_left_out(tree: Path) -> None:
    with pytest.raises(UserError, match=r"sub: holds no file .* by --exclude: sub/b\.md, sub/keep\.txt"):
        files_of(["sub"], ["b.md", "keep.txt"])


def test_a_pattern_that_is_none_is_an_error(tree: Path) -> None:
    with pytest.raises(UserError, match=r"--exclude: not a pattern of \.gitignore"):
        files_of(["."], ["!"])


def test_lines_of_gitignore_that_are_no_pattern_are_passed_over_and_a_mark_of_its_encoding_too(
    tree: Path,
) -> None:
    (tree / ".gitignore").write_bytes("\ufeffdrafts/\n!\nlone\\\n*.txt\n".encode())
    assert corpus_files(["."]).set_aside["in .gitignore"] == ["drafts", "sub/e.txt"]


def test_a_link_to_a_folder_is_not_followed_and_named(tree: Path) -> None:
    (tree / "sub" / "link").symlink_to(tree / "drafts")
    assert corpus_files(["sub"]).set_aside["links to folders"] == ["sub/link"]


def test_what_a_folder_holds_beside_is_counted_by_kind(tmp_path: Path) -> None:
    for name in (
        "a.md",
        "b.mdx",
        "c.rst",
        "d.org",
        "e.org",
        "f.odt",
        "g.png",
        "h.py",
        ".git/i.org",
        "LICENSE",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = corpus_files([str(tmp_path), str(tmp_path / "f.odt")])
    assert [Path(name).name for name in files.names] == ["a.md", "b.mdx", "c.rst", "f.odt"]
    assert files.passed_over == {".org": 2}
    assert files.left_out.startswith("2 files were skipped, of 6: 2 .org; of a folder only .md, ")
