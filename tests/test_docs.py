"""The documents hold together: links lead somewhere, flags exist, and every kind of failure is explained."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import ScriptedJudge, verdict

from benchmarks.judge import FATAL, REPAIRED, RETRIED
from benchmarks.options import build_parser

ROOT = Path(__file__).parent.parent
SNIPPETS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
OURS = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = [*(ROOT / name for name in OURS), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_flags_of_the_comparison_exist(document: Path) -> None:
    known = {flag for action in build_parser()._actions for flag in action.option_strings}
    commands = re.findall(r"benchmarks\.llm_compare([^\n`#]*)", document.read_text(encoding="utf-8"))
    used = {flag for command in commands for flag in re.findall(r"--[a-z-]+", command)}
    assert used <= known


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.splitlines()[0])
def test_the_readmes_python_runs(
    snippet: str,
    serve: Callable[[Any], ScriptedJudge],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OPENAI_BASE_URL", serve(verdict()).base_url)
    exec(snippet, {"__name__": "__main__"})  # noqa: S102 (our own)
    assert capsys.readouterr().out


def test_every_kind_of_failure_is_explained() -> None:
    text = (ROOT / "docs" / "async.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert explained >= FATAL | REPAIRED | RETRIED | {
        "adapting",
        "abstained",
        "content_filter",
        "interrupted",
    }
    ends = set(re.findall(r"^\| `(\w+)` \| ends the run", text, re.MULTILINE))
    assert ends == FATAL


def test_nothing_is_left_to_be_filled_in() -> None:
    for document in DOCUMENTS:
        assert "<!--" not in document.read_text(encoding="utf-8"), document
