"""The one table of the kinds of failure."""

from __future__ import annotations

import ast
from pathlib import Path

import benchmarks.judge.failures
from benchmarks.judge.failures import FATAL, KINDS, REPAIRED, RETRIED, kind_of, unasked_in

NAMES = {kind.name for kind in KINDS}
PACKAGE = Path(str(benchmarks.__file__)).parent


def test_the_tree_that_is_drawn_holds_every_kind_once() -> None:
    tree = str(benchmarks.judge.failures.__doc__).partition("Whoever")[0].split()
    assert sorted(name for name in tree if name in NAMES) == sorted(NAMES)


def test_a_kind_is_retried_or_repaired_or_ends_the_run_and_never_two_of_these() -> None:
    assert RETRIED.isdisjoint(REPAIRED | FATAL)
    assert REPAIRED.isdisjoint(FATAL)
    assert {kind.name for kind in KINDS if kind.remedy} <= FATAL


def test_who_may_see_a_kind_that_ends_a_run_looks_at_the_run() -> None:
    assert [kind.name for kind in KINDS if kind.name in FATAL and "run" not in kind.seen] == []


def test_a_kind_that_is_not_in_the_table_is_a_failure_without_any_flag() -> None:
    assert kind_of("empty_text").is_failure
    assert not kind_of("empty_text").is_limit


def test_what_was_not_asked_is_told_by_its_flag_and_by_no_name() -> None:
    unasked = [kind.name for kind in KINDS if kind.is_unasked]
    assert unasked_in({"timeout": 1, "empty_text": 2, **dict.fromkeys(unasked, 3)}) == 3 * len(unasked) > 0
    counted = [path.name for path in PACKAGE.rglob("*.py") if 'get("not_asked"' in path.read_text("utf-8")]
    assert counted == []


def test_nobody_else_keeps_a_set_of_kinds() -> None:
    """A set, a list or a tuple of names that says which kinds are treated alike, in a comparison."""
    sets = [
        f"{path.name}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare)
        for side in node.comparators
        if isinstance(side, ast.Set | ast.Tuple | ast.List)
        and {each.value for each in side.elts if isinstance(each, ast.Constant)} & NAMES
    ]
    assert sets == []
