"""Which lines changed since a revision of git, so that a scan may look at these alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kimera.corpus.texts import Statement
from kimera.errors import UserError

_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_BEGINS = re.compile(r"\s*(?:[-*+#>|=:.]|\d+[.)]\s|$)")  # what is no more of the paragraph before
_ENDED = re.compile(r"[.!?:][\"'”’)\]]*\s*$")
_HEADING_OR_BLANK = re.compile(r"\s*(?:#.*)?")


class _Change(NamedTuple):
    """The new lines in place of removed ones; empty where there are none, and begins at the line before then.

    begins, ends: the first and the last of the lines removed, "" without any.
    """

    lines: range
    begins: str = ""
    ends: str = ""

    def touches(self, statement: Statement) -> bool:
        """Whether it changed the statement's lines, or took its end or its beginning away."""
        first, last = statement.line, max(statement.line, statement.end)
        lines = self.lines
        if lines and first < lines.stop and lines.start <= last:
            return True
        before = lines.start - 1 if lines else lines.start
        after = lines.stop if lines else lines.start + 1
        if first <= before < last and not lines:
            return True
        if not statement.end:  # a row of a table ends with its line
            return False
        lost_end = before == last and not _BEGINS.match(self.begins) and not _ENDED.search(statement.text)
        parted = _ENDED.search(self.ends) or _HEADING_OR_BLANK.fullmatch(self.ends)
        return lost_end or (after == first and not parted)


class ChangedLines:
    """Since a revision, in the files as they are now; a file that git does not know is wholly new."""

    def __init__(self, revision: str) -> None:
        self._revision = revision
        self._repositories: dict[Path, _Repository] = {}
        self._changes: dict[str, list[_Change] | None] = {}

    def hold(self, statement: Statement) -> bool:
        """Whether one of its lines is among them. Raises UserError outside of a repository."""
        if statement.file not in self._changes:
            self._changes[statement.file] = self._of_file(statement.file)
        changes = self._changes[statement.file]
        if changes is None:
            return True
        if not statement.by_line:
            return bool(changes)
        return any(change.touches(statement) for change in changes)

    def _of_file(self, name: str) -> list[_Change] | None:
        """None where all of it is new."""
        path = Path(os.path.realpath(name))
        top = next((parent for parent in path.parents if (parent / ".git").exists()), None)
        if top is None:
            raise UserError(f"--diff {self._revision}: {name} is in no git repository")
        if top not in self._repositories:
            self._repositories[top] = _Repository(top, self._revision)
        return self._repositories[top].of_file(path.relative_to(top).as_posix())


class _Repository:
    """The lines that changed in it. Raises UserError without git, and for a revision that is none."""

    def __init__(self, top: Path, revision: str) -> None:
        if revision.startswith("-"):
            raise UserError(f"--diff {revision}: not a revision; give one such as main or HEAD~1")
        self._known = set(_git(top, "ls-files", "-z").split("\0"))
        diff = _git(
            *(top, "diff", "--unified=0", "--no-color", "--no-ext-diff", "--find-renames"),
            *("--no-textconv", "--inter-hunk-context=0"),  # whatever is configured: lines of the files
            *("--src-prefix=a/", "--dst-prefix=b/", revision, "--"),
        )
        self._changed: dict[str, list[_Change] | None] = dict(_of_diff(diff))

    def of_file(self, path: str) -> list[_Change] | None:
        return self._changed.get(path, []) if path in self._known else None


def _git(top: Path, *words: str) -> str:
    git = shutil.which("git")
    if git is None:
        raise UserError("--diff needs git, which is not installed here")
    command = [git, "-C", str(top), "-c", "core.quotePath=false", *words]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - a revision, and no flag
    if done.returncode:
        told = done.stderr.decode(errors="replace").strip().split("\n")[0]
        raise UserError(f"--diff: git {words[0]} in {top}: {told}")
    return done.stdout.decode("utf-8", "surrogateescape")


def _of_diff(diff: str) -> Iterator[tuple[str, list[_Change] | None]]:
    """Each file with its changes; None for one that is not text."""
    lines = iter(diff.split("\n"))
    path, changes = "", list[_Change]()
    for line in lines:
        if line.startswith("+++ "):
            path, changes = _path(line[4:]), []
            yield path, changes
        elif found := _HUNK.match(line):
            removed, added = (1 if count is None else int(count) for count in (found[1], found[3]))
            told = [next(lines, "")[1:] for _ in range(removed + added)]  # may begin like a heading
            gone = told[:removed] or [""]
            changes.append(_Change(range(int(found[2]), int(found[2]) + added), gone[0], gone[-1]))
        elif line.startswith("Binary files ") and line.endswith(" differ"):
            yield line.removesuffix(" differ").rpartition(" and b/")[2], None


def _path(told: str) -> str:
    """Git quotes names that hold quotation marks and control characters."""
    told = told.removesuffix("\t")
    if told.startswith('"'):
        told = told[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")
    return told.removeprefix("b/")
