"""Files within one folder, and nothing outside it, whatever a client asks for."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from errno import ELOOP
from pathlib import Path
from stat import S_ISREG

from kimera.corpus import Corpus, Files, Statement, corpus_files, read_statements
from kimera.errors import UserError
from kimera.files import STANDARD_INPUT

MAX_BYTES = 64 << 20  # of a file, of which a copy is made


class ConfinedFiles:
    """A folder that may be read. Raises UserError where it is none."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"{folder}: this is not a folder; name the one whose files may be scanned")
        self._root = Path(os.path.realpath(folder))

    def corpus(
        self, names: Sequence[str], column: str | None, max_statements: int
    ) -> tuple[Corpus, list[str]]:
        """The statements of these files and folders, by paths relative to the root; and what was not read.

        Raises UserError for a path outside the folder, one that is not there, and too many statements.
        """
        asked = [str(self._inside(name)) for name in names]
        files = self._files(asked)
        not_read = [self._told(reason) for reason in (files.left_out, files.set_aside_told) if reason]
        corpus, read = Corpus(), 0
        for name in files.names:
            if not self._holds(name):  # a link to a file elsewhere
                not_read.append(f"{self._told(name)} leads out of the folder")
                continue
            for statement in self._statements(name, column, not_read):
                if read == max_statements:
                    raise UserError(
                        f"the files hold more than {max_statements:,} statements, the most that one call "
                        "scans; name fewer of them, or run kimera scan in a terminal"
                    )
                corpus.add(statement)
                read += 1
        self._make_relative(corpus)
        return corpus, not_read

    def _files(self, asked: Sequence[str]) -> Files:
        try:
            return corpus_files(asked)
        except UserError as error:
            raise UserError(self._told(str(error))) from None

    def _statements(self, name: str, column: str | None, not_read: list[str]) -> Iterator[Statement]:
        try:
            with self._copy_of(name) as copy:
                yield from read_statements(
                    name,
                    column=column,
                    path=copy,
                    on_bad_row=lambda fault: not_read.append(self._told(fault)),
                )
        except UserError as error:
            raise UserError(self._told(str(error))) from None

    @contextmanager
    def _copy_of(self, name: str) -> Iterator[Path]:
        """Of the file that was opened, whatever is put in its place meanwhile."""
        with tempfile.TemporaryDirectory(prefix="kimera-") as folder:
            path = Path(folder) / Path(name).name
            try:
                with open(self._opened(name), "rb") as file, path.open("wb") as copy:
                    about = os.fstat(file.fileno())
                    if not S_ISREG(about.st_mode):
                        raise UserError(f"{name}: this is no file")
                    if about.st_size > MAX_BYTES:
                        raise UserError(
                            f"{name}: has {about.st_size >> 20:,} MiB, and one call reads at most "
                            f"{MAX_BYTES >> 20} MiB of a file; run kimera scan in a terminal"
                        )
                    shutil.copyfileobj(file, copy)
            except OSError as error:
                raise UserError(f"{name}: cannot be read: {error.strerror}") from None
            yield path

    def _opened(self, name: str) -> int:
        """A descriptor of a file that lies within the folder: no link on the way to it is followed.

        So none that is put there between the check and this leads out. Raises OSError for such a link.
        """
        real = Path(os.path.realpath(name))
        if not real.is_relative_to(self._root):
            raise OSError(ELOOP, os.strerror(ELOOP))
        if os.open not in os.supports_dir_fd:  # Windows, where to make links is a privilege
            return os.open(real, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        *folders, last = real.relative_to(self._root).parts
        at = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:
                inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
            return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        finally:
            os.close(at)

    def _inside(self, name: str) -> Path:
        if "\0" in name or name == STANDARD_INPUT:
            raise UserError(f"{name!r} is not a path; give paths relative to the folder of this server")
        path = self._root / name
        if not self._holds(path):
            raise UserError(
                f"{name!r} is outside the folder that this server may read; give paths relative to it, such "
                "as '.' for all of it"
            )
        if not (path.is_file() or path.is_dir()):
            raise UserError(f"{name!r}: there is no such file or folder; give paths relative to the server's")
        return path

    def _holds(self, path: str | Path) -> bool:
        """Where the path leads in the end counts."""
        return Path(os.path.realpath(path)).is_relative_to(self._root)

    def _told(self, text: str) -> str:
        """Without the path of the folder, which is nobody's business."""
        return text.replace(f"{self._root}{os.sep}", "").replace(str(self._root), ".")

    def _make_relative(self, corpus: Corpus) -> None:
        corpus.places[:] = [[self._told(place) for place in places] for places in corpus.places]
