"""Folders to the files of prose in them, and what of a folder is passed over, by kind.

A folder of today holds much that its owner did not write: what git ignores, packages, builds. That is left
out, and each kind is counted and named, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kimera.console import how_to_install
from kimera.corpus.documents import DOCUMENTS
from kimera.corpus.prose import READERS
from kimera.errors import UserError
from kimera.files import STANDARD_INPUT

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

PROSE = (*READERS, *DOCUMENTS)
OF_OTHERS = (
    *("node_modules", "bower_components", "vendor", "third_party", "third-party", "site-packages", "venv"),
    *("build", "_build", "dist", "*.egg-info", "__pycache__", "htmlcov"),
)
"""Folders that hold what others wrote, or what a program made: as .gitignore would name them."""

_IGNORED = "in .gitignore"
_HIDDEN, _OTHERS, _EXCLUDED, _LINKED = "hidden", "vendored or built", "by --exclude", "links to folders"
_NAMED = 4  # of a kind, in a message

# Kinds that hold no statements: pictures, sound, film, fonts, programs and their settings, archives.
_NO_PROSE = frozenset(
    f".{extension}"
    for extension in re.findall(
        r"\S+",
        "png jpg jpeg gif svg webp ico bmp tif tiff avif psd ai eps drawio puml mmd dot "
        "mp3 wav ogg flac m4a mp4 mov avi webm mkv woff woff2 ttf otf eot "
        "py pyi pyc pyx js mjs cjs jsx ts tsx css scss sass less java kt kts c h cc cpp hpp cs go rs rb php "
        "pl swift m mm scala clj ex exs erl hs ml lua r jl sh bash zsh fish ps1 bat cmd sql vue svelte "
        "toml yaml yml ini cfg conf env lock properties xml xsd xsl plist gradle cmake mk map snap patch "
        "diff zip gz tgz bz2 xz 7z rar tar jar whl so dll dylib exe bin o a class wasm dat db sqlite pt onnx "
        "safetensors npy npz pkl key pem crt log tmp bak swp",
    )
)
_NAMES_WITHOUT_PROSE = frozenset({"makefile", "dockerfile", "jenkinsfile", "cname", "license", "codeowners"})


@dataclass(frozen=True)
class Files:
    """The files of a corpus.

    passed_over: by extension, how many others of their folders could hold statements and are not read.
    set_aside: by kind, the files and folders within that were not looked at, though prose could be there.
    idle: the patterns of --exclude that nothing matched.
    """

    names: list[str]
    passed_over: Counter[str]
    set_aside: dict[str, list[str]] = field(default_factory=dict)
    idle: Sequence[str] = ()

    @property
    def left_out(self) -> str:
        """What was passed over for its kind, in a sentence; "" where nothing was."""
        if not self.passed_over:
            return ""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.passed_over.most_common())
        count = self.passed_over.total()
        return (
            f"{count} file{'s were' if count > 1 else ' was'} skipped, of {len(self.names) + count}: "
            f"{kinds}; of a folder only {', '.join(PROSE)} are read; name other files to read them"
        )

    @property
    def set_aside_told(self) -> str:
        """What was set aside, by kind; "" where nothing was."""
        kinds = "; ".join(f"{kind}: {_some(paths)}" for kind, paths in self.set_aside.items())
        return f"left out of the folders: {kinds}" if kinds else ""

    @property
    def not_entered(self) -> str:
        """What was set aside, and how it is read; "" where nothing was."""
        told = self.set_aside_told
        return f"{told}; to read one of them name it, or give --exclude '!NAME'" if told else ""


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more


def files_of(names: Iterable[str], exclude: Sequence[str] = ()) -> list[str]:
    """The names, with each folder replaced by the files of prose in it, sorted.

    Each file once. exclude: patterns as in .gitignore, which win over it; "!NAME" reads what would be left
    out. Raises UserError for a folder without any.
    """
    return corpus_files(names, exclude).names


def corpus_files(names: Iterable[str], exclude: Sequence[str] = ()) -> Files:
    """`files_of`, and what their folders hold beside."""
    by_path: dict[str, str] = {}
    others: dict[str, str] = {}
    walk = _Walk(exclude)
    for name in names:
        if name == STANDARD_INPUT or not Path(name).is_dir():
            by_path.setdefault(name if name == STANDARD_INPUT else os.path.realpath(name), name)
            continue
        inside = sorted(walk.files_in(Path(name)))
        prose = [path for path in inside if path.suffix.lower() in PROSE]
        if not prose:
            raise UserError(_without_prose(name, walk))
        for path in prose:
            by_path.setdefault(os.path.realpath(path), str(path))
        others |= {os.path.realpath(path): _kind(path) for path in inside if _may_hold_prose(path)}
    kinds = Counter(kind for path, kind in others.items() if path not in by_path)
    set_aside = {kind: sorted(paths) for kind, paths in walk.set_aside.items()}
    return Files(list(by_path.values()), kinds, set_aside, walk.idle)


def _without_prose(name: str, walk: _Walk) -> str:
    beside = Files([], Counter(), {kind: sorted(paths) for kind, paths in walk.set_aside.items()}).not_entered
    told = f"; {beside}" if beside else "; name the files"
    return f"{name}: holds no file that ends in {', '.join(PROSE)}{told}"


def _may_hold_prose(path: Path) -> bool:
    return path.suffix.lower() not in _NO_PROSE and path.name.lower() not in _NAMES_WITHOUT_PROSE


def _kind(path: Path) -> str:
    return path.suffix.lower() or "without an extension"


class _Walk:
    """Through folders, with what is set aside on the way, by kind."""

    def __init__(self, exclude: Sequence[str]) -> None:
        self._exclude = exclude
        self._patterns = [".*", *(f"{name}/" for name in OF_OTHERS), *exclude]
        self._kinds = [_HIDDEN, *(_OTHERS for _ in OF_OTHERS), *(_EXCLUDED for _ in exclude)]
        self._matched: set[int] = set()
        self.set_aside: dict[str, list[str]] = {}

    @property
    def idle(self) -> list[str]:
        first = len(self._patterns) - len(self._exclude)
        return [text for at, text in enumerate(self._exclude, first) if at not in self._matched]

    def files_in(self, folder: Path) -> Iterator[Path]:
        """Raises UserError without the library that reads the patterns, and for a pattern that is none."""
        try:
            rules = _spec(self._patterns)
        except ValueError as error:
            raise UserError(f"--exclude: not a pattern of .gitignore: {error}") from None
        ignored = _ignored_above(folder)
        yield from self._within(folder, folder, rules, ignored)

    def _within(
        self, folder: Path, root: Path, rules: GitIgnoreSpec, ignored: list[tuple[Path, GitIgnoreSpec]]
    ) -> Iterator[Path]:
        if (own := folder / ".gitignore").is_file():
            ignored = [*ignored, (folder.resolve(), _ignored_by(own))]
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(folder) / entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            linked = not is_folder and entry.is_dir()
            if kind := self._kind_of(path, root, rules, ignored, is_folder or linked):
                if is_folder or linked or path.suffix.lower() in PROSE:
                    self.set_aside.setdefault(kind, []).append(str(path))
            elif linked:
                self.set_aside.setdefault(_LINKED, []).append(str(path))
            elif is_folder:
                yield from self._within(path, root, rules, ignored)
            elif path.is_file():
                yield path

    def _kind_of(
        self,
        path: Path,
        root: Path,
        rules: GitIgnoreSpec,
        ignored: list[tuple[Path, GitIgnoreSpec]],
        is_folder: bool,
    ) -> str:
        """Why it is set aside; "" where it is not."""
        end = "/" if is_folder else ""
        said = rules.check_file(f"{path.relative_to(root).as_posix()}{end}")
        if said.index is not None:
            self._matched.add(said.index)
            return self._kinds[said.index] if said.include else ""
        return _IGNORED if _is_ignored(path, is_folder, ignored) else ""


def _is_ignored(path: Path, is_folder: bool, ignored: list[tuple[Path, GitIgnoreSpec]]) -> bool:
    """By the nearest .gitignore that speaks of it, as git has it."""
    place = path.parent.resolve() / path.name
    for base, spec in reversed(ignored):
        said = spec.check_file(f"{place.relative_to(base).as_posix()}{'/' if is_folder else ''}")
        if said.include is not None:
            return said.include
    return False


def _ignored_above(folder: Path) -> list[tuple[Path, GitIgnoreSpec]]:
    """Of the folders above it in the same repository; none where it is ignored itself: it was named."""
    place = folder.resolve()
    above = list(place.parents)
    root = next((at for at, parent in enumerate([place, *above]) if (parent / ".git").exists()), 0)
    files = [parent / ".gitignore" for parent in reversed(above[:root])]
    specs = [(file.parent, _ignored_by(file)) for file in files if file.is_file()]
    return [] if _is_ignored(place, True, specs) else specs


def _ignored_by(file: Path) -> GitIgnoreSpec:
    """Lines that are no pattern are passed over, as git does."""
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return _spec([line for line in lines if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    try:
        _spec([line])
    except ValueError:
        return False
    return True


def _spec(patterns: Sequence[str]) -> GitIgnoreSpec:
    """Raises ValueError for what is no pattern."""
    if find_spec("pathspec") is None:
        raise UserError(f"reading a folder needs pathspec; run: {how_to_install('scan')}")
    from pathspec import GitIgnoreSpec  # an extra

    return GitIgnoreSpec.from_lines(patterns)
