"""The documents hold together: links lead somewhere, flags exist, and every kind of failure is explained."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from help_texts import flags_of
from servers import ScriptedJudge, verdict

from benchmarks.judge.failures import kinds_table
from benchmarks.report.__main__ import main as report
from kimera.console.commands import COMMANDS

ROOT = Path(__file__).parent.parent
WITH_PYTHON = ("README.md", "docs/async.md", "docs/files.md", "docs/reactor.md")
SNIPPETS = [
    snippet
    for name in WITH_PYTHON
    for snippet in re.findall(r"```python\n(.*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
]
NAMES = {command.module: name for name, command in COMMANDS.items()}
OURS = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
DOCUMENTS = [*(ROOT / name for name in OURS), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)[^)]*\)", document.read_text(encoding="utf-8"))
    assert [target for target in targets if not (document.parent / target).exists()] == []


def commands_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """(name, arguments) of each command of ours that a text shows, in a block or in a line."""
    text = re.sub(r"\\\n *", "", text)
    shown = re.findall(r"^ {2,4}((?:kimera|python -m) .*?)(?:  .*)?$", text, re.MULTILINE)
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for line in shown + re.findall(r"`((?:kimera|python -m)\s[^`]+)`", outside):
        words = shlex.split(line, comments=True)
        if words[1] == "-m" and words[2] in NAMES:
            yield NAMES[words[2]], words[3:]
        elif words[0] == "kimera" and not words[1].isupper():
            yield words[1], words[2:]


def is_understood(name: str, words: list[str]) -> bool:
    """Of words such as stats|clear the first is meant; what is only named needs no arguments."""
    parser = import_module(COMMANDS[name].home).build_parser()
    given = [word.partition("|")[0] for word in takewhile(lambda word: word != ">", words) if word != "..."]
    if not {word.partition("=")[0] for word in given if word.startswith("--")} <= flags_of(parser):
        return False  # not there, or an earlier name
    try:
        parser.parse_args(given or ["--help"])
    except SystemExit as end:
        return end.code == 0
    return True


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_is_understood(document: Path) -> None:
    shown = commands_in(document.read_text(encoding="utf-8"))
    assert [[name, *words] for name, words in shown if not is_understood(name, words)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_in_the_help_of_a_command_is_understood(name: str) -> None:
    shown = list(commands_in(import_module(COMMANDS[name].home).build_parser().format_help()))
    assert [[name, *words] for name, words in shown if not is_understood(name, words)] == []
    assert shown or name == "simulate"


def test_the_documents_show_commands() -> None:
    shown = {name for document in DOCUMENTS for name, _ in commands_in(document.read_text("utf-8"))}
    assert shown == COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.splitlines()[0])
def test_the_python_of_the_documents_runs(
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
    assert kinds_table() in (ROOT / "docs" / "async.md").read_text(encoding="utf-8")


def named_in_tables(text: str) -> list[str]:
    """What the first column of the tables names."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]


def test_the_map_names_each_module_once_and_no_file_that_is_gone() -> None:
    """Without the measurements; the judge's modules are in docs/async.md."""
    sections = re.split(r"^##+ (.+)\n", (ROOT / "docs" / "architecture.md").read_text("utf-8"), flags=re.M)
    folders = zip(sections[1::2], sections[2::2], strict=True)
    of_folders = ((folder, text) for folder, text in folders if re.match(r"(kimera|benchmarks)/", folder))
    named = [folder + name for folder, text in of_folders for name in named_in_tables(text)]
    assert [name for name in named if not (ROOT / name).exists()] == []
    judge = named_in_tables((ROOT / "docs" / "async.md").read_text("utf-8").partition("\n## Rules\n")[0])
    named += [f"benchmarks/judge/{name}" for name in judge if not (ROOT / "benchmarks" / name).exists()]
    modules = [
        path.relative_to(ROOT).as_posix()
        for package in ("kimera", "benchmarks")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py" and path.parent.name != "perf"
    ]
    assert {module: named.count(module) for module in modules if named.count(module) != 1} == {}


def test_nothing_is_left_to_be_filled_in() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("`<!-- kimera: ignore -->`", "")  # of a scan
        assert "<!--" not in text, document


def test_the_sample_in_the_readme_is_what_the_kept_run_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "docs" / "real-judge" / "everyday", tmp_path / "everyday")
    assert report([str(tmp_path / "everyday")]) == 0
    blocks = re.findall(r"```\n(Dataset: .*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (shown,) = blocks
    *printed, path = capsys.readouterr().out.strip().splitlines()
    *sample, shown_path = shown.strip().splitlines()
    assert sample == printed
    assert Path(shown_path).parts[-2:] == Path(path).parts[-2:] == ("everyday", "report.html")
