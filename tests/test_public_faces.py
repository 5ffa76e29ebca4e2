"""Every public face says in `__all__` what it gives: all of it, and nothing that came in by accident."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What the documents show, or people start by name. Any other module with an `__all__` is held to it too.
FACES = {
    "kimera",
    "kimera.cache",
    "kimera.classifier",
    "kimera.workers.engine",
    "kimera.errors",
    "kimera.models.head",
    "kimera.live",
    "kimera.live.client",
    "kimera.mcp",
    "kimera.pairs",
    "kimera.reactor",
    "kimera.scan",
    "kimera.train",
    "benchmarks.cascade",
    "benchmarks.diff",
    "benchmarks.distil",
    "benchmarks.llm_compare",
    "benchmarks.openai_sync",
    "benchmarks.report",
    "benchmarks.scan",
    "benchmarks.simulator",
}
PACKAGES = ("kimera", "benchmarks")
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the two packages, by its dotted name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {name_of(path): ast.parse(path.read_text("utf-8")) for path in paths}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements of a module, those under `if TYPE_CHECKING` among them."""
    for statement in tree.body:
        yield from (*statement.body, *statement.orelse) if isinstance(statement, ast.If) else (statement,)


def assigned(tree: ast.Module) -> set[str]:
    statements = [node for node in top_level(tree) if isinstance(node, ast.Assign | ast.AnnAssign)]
    targets = [
        target
        for node in statements
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def defined(tree: ast.Module) -> set[str]:
    """Classes, functions and the names of types: what looks public without an underscore."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in top_level(tree) if isinstance(node, kinds)} | {
        node.target.id
        for node in top_level(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and ast.unparse(node.annotation) == "TypeAlias"
    }


def taken_from(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name) of each import of a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, name.name) for name in node.names)


def with_all() -> list[str]:
    return sorted(name for name, tree in modules().items() if "__all__" in assigned(tree))


def public(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


@cache
def imported_by_others() -> dict[str, set[str]]:
    """Which names of each module others import: modules, tests, programs, and examples in the documents."""
    trees = dict(modules())
    programs = [*(ROOT / "tests").rglob("*.py"), *ROOT.glob("*.py")]
    trees |= {path.name: ast.parse(path.read_text("utf-8")) for path in programs}
    wanted: dict[str, set[str]] = {}
    for importer, tree in trees.items():
        for module, name in taken_from(tree):
            if module != importer:
                wanted.setdefault(module, set()).add(name)
    for path in DOCUMENTS:
        for module, names in re.findall(
            r"^ *from ([\w.]+) import (.+)$", path.read_text("utf-8"), re.MULTILINE
        ):
            wanted.setdefault(module, set()).update(name.strip() for name in names.split(","))
    return wanted


def test_every_face_says_what_it_gives() -> None:
    assert FACES - set(with_all()) == set()


def test_a_wing_is_opened_without_what_it_gives() -> None:
    script = "import sys, kimera, kimera.live; sys.exit(bool({'aiohttp', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("face", with_all())
def test_a_face_has_every_name_that_it_says_it_gives(face: str) -> None:
    module = importlib.import_module(face)
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


@pytest.mark.parametrize("face", with_all())
def test_what_a_face_defines_is_given_or_underscored(face: str) -> None:
    given = importlib.import_module(face).__all__
    assert sorted(public(defined(modules()[face])) - set(given)) == []


@pytest.mark.parametrize("face", with_all())
def test_what_others_take_from_a_face_is_given(face: str) -> None:
    taken = imported_by_others().get(face, set())
    inside = {name for name in taken if f"{face}.{name}" in modules()}
    assert sorted(taken - inside - {"__version__"} - set(importlib.import_module(face).__all__)) == []


@pytest.mark.parametrize("face", with_all())
def test_a_face_gives_nothing_of_another_library(face: str) -> None:
    tree = modules()[face]
    ours = {name for module, name in taken_from(tree) if module.split(".")[0] in PACKAGES}
    given = set(importlib.import_module(face).__all__)
    assert sorted(given - assigned(tree) - defined(tree) - ours) == []


@pytest.mark.parametrize("module", sorted(imported_by_others().keys() & modules().keys()))
def test_nothing_is_taken_from_where_it_came_in_by_accident(module: str) -> None:
    taken, tree = imported_by_others()[module], modules()[module]
    inside = {name for name in taken if f"{module}.{name}" in modules()}
    given = set(importlib.import_module(module).__all__) if "__all__" in assigned(tree) else set()
    assert sorted(taken - inside - assigned(tree) - defined(tree) - given) == []


@pytest.mark.parametrize("module", sorted(imported_by_others().keys() & modules().keys()))
def test_no_underscored_name_is_reached_into(module: str) -> None:
    taken = imported_by_others()[module]
    assert sorted(name for name in taken if re.match("_(?!_)", name)) == []
