"""The arrows: benchmarks over kimera, each wing over those below it, no circle, and no wing reached into.

The order of the wings is in pyproject.toml, under `tool.importlinter`. Imports within functions and those for
types alone count as much as any other: a module that is read beside another one is not apart from it.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from kimera.console.installation import how_to_install

grimp = pytest.importorskip("grimp", reason=f"needs import-linter: {how_to_install('dev')}")

ROOT = Path(__file__).parent.parent
PACKAGES = ("kimera", "benchmarks")
MEASURES_THE_INSIDE = "benchmarks.perf"  # as the tests do


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Of each module, those that it imports."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def wing_of(module: str) -> str:
    """The folder that a module lies in, such as `kimera.models`; empty for a face and what is on top."""
    package, name, *inside = module.split(".") + [""]
    return f"{package}.{name}" if inside[:-1] else ""


def test_each_wing_imports_only_what_is_below_it() -> None:
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True) == 0


def test_there_is_no_circle(imports: dict[str, set[str]]) -> None:
    circle: list[str] = []
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
    assert circle == []


def test_a_wing_is_imported_through_its_face(imports: dict[str, set[str]]) -> None:
    """What a wing gives is in its `__init__`: names, or here and there a module of it."""
    reached_into = [
        f"{importer} imports {imported}"
        for importer, all_imported in imports.items()
        for imported in all_imported
        if (wing := wing_of(imported))
        and not f"{importer}.".startswith((f"{wing}.", f"{MEASURES_THE_INSIDE}."))
        and imported.removeprefix(f"{wing}.") not in import_module(wing).__all__
    ]
    assert reached_into == []


def test_within_a_wing_its_own_face_is_not_imported(imports: dict[str, set[str]]) -> None:
    """It would be a circle: the face imports, at first use, what it gives."""
    assert [module for module, imported in imports.items() if wing_of(module) in imported] == []


def test_imports_for_types_and_within_functions_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "seen_by_grimp"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "typed.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from seen_by_grimp import late\n"
    )
    (package / "late.py").write_text("def work():\n    from seen_by_grimp.typed import name\n")
    monkeypatch.syspath_prepend(tmp_path)
    graph = grimp.build_graph("seen_by_grimp", cache_dir=None)
    assert graph.find_modules_directly_imported_by("seen_by_grimp.typed") == {"seen_by_grimp.late"}
    assert graph.find_modules_directly_imported_by("seen_by_grimp.late") == {"seen_by_grimp.typed"}
