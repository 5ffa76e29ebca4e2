"""The command kimera: what it starts, refuses, teaches and completes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from servers import Canned, ScriptedJudge

from kimera import __version__
from kimera.cli import build_parser
from kimera.console.commands import COMMANDS, as_called

ROOT = Path(__file__).parent.parent
# What pip makes of [project.scripts].
SCRIPT = """\
#!{python}
import sys
from kimera.cli import main
if __name__ == "__main__":
    sys.exit(main())
"""
HEAVY = {"aiohttp", "httpx", "matplotlib", "onnxruntime", "scipy", "sklearn", "torch", "transformers"}
COMPLETE = """\
eval "$2"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
read -ra COMP_WORDS <<< "$1"
[[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete kimera
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH with the command in it, as an installer leaves it."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "kimera"
    script.write_text(SCRIPT.format(python=sys.executable), encoding="utf-8")
    script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def completion(path: Path) -> str:
    """What a user's bash evaluates once."""
    pytest.importorskip("argcomplete")
    return run(path, "kimera", "completion", "bash").stdout


def run(path: Path, *command: str, cwd: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    on_path = f"{path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": on_path, **more}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_command_is_a_module_that_python_starts_too() -> None:
    for name, command in COMMANDS.items():
        module = import_module(command.home)
        assert callable(module.main), name
        assert module.build_parser().prog == f"python -m {command.module}" or name == "completion"
        assert find_spec(command.module), name


def test_help_names_every_command_shows_examples_and_waits_for_no_large_library(path: Path) -> None:
    done = run(path, "kimera", "--help", PYTHONPROFILEIMPORTTIME="1")
    imported, others = told_of_imports(done.stderr)
    assert (done.returncode, others, imported & HEAVY) == (0, [], set())
    assert all(
        re.search(rf"^  {name}  +{re.escape(it.summary)}$", done.stdout, re.MULTILINE)
        for name, it in COMMANDS.items()
    )
    assert "kimera compare --simulate" in done.stdout


def test_the_version_is_that_of_the_package(path: Path) -> None:
    assert run(path, "kimera", "--version").stdout == f"kimera {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_speaks_of_it_as_it_was_called_and_waits_for_no_large_library(
    path: Path, name: str
) -> None:
    short = run(path, "kimera", name, "--help", PYTHONPROFILEIMPORTTIME="1")
    imported, others = told_of_imports(short.stderr)
    assert (short.returncode, others, imported & HEAVY) == (0, [], set())
    long = run(path, sys.executable, "-m", COMMANDS[name].module, "--help")
    assert (long.returncode, long.stderr) == (0, "")
    assert short.stdout.startswith(f"usage: kimera {name} ")
    assert "python -m" not in short.stdout
    assert name == "completion" or "kimera " + name not in long.stdout


def told_of_imports(told: str) -> tuple[set[str], list[str]]:
    """(the packages that were imported, lines that tell of something else)."""
    lines = told.splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return {name.partition(".")[0] for name in names}, [
        line for line in lines if not line.startswith("import time:")
    ]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("compar", "did you mean compare?"),
        ("distill", "did you mean distil?"),
        ("simulator", "did you mean simulate?"),
        ("judge-scan", "did you mean judged-scan"),
        ("xyz", "there are compare, scan, "),
    ],
)
def test_a_wrong_command_is_refused_with_the_nearest(path: Path, word: str, meant: str) -> None:
    done = run(path, "kimera", word, "--simulate")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"there is no command '{word}'; {meant}" in done.stderr


@pytest.mark.parametrize("words", [["--hlep"], ["--hlep", "compare", "--simulate"]], ids=" ".join)
def test_a_wrong_flag_before_the_command_is_named(path: Path, words: list[str]) -> None:
    done = run(path, "kimera", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("unrecognized arguments: --hlep; did you mean --help?\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistyped_flag_of_any_command_is_refused_with_the_nearest(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where something else is missing, which argparse would speak of first."""
    with pytest.raises(SystemExit, match="2"):
        import_module(COMMANDS[name].home).main(["--hlep"])
    told = capsys.readouterr()
    assert (told.out, "unrecognized arguments: --hlep; did you mean --help?\n" in told.err) == ("", True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("compare --max-pair 5", "--max-pair; did you mean --max-pairs?"),
        ("compare --max_pairs=5", "--max_pairs; did you mean --max-pairs?"),
        ("compare -max-pairs 5", "-max-pairs; did you mean --max-pairs?"),
        ("compare --api-kye=sk-secret", "--api-kye; did you mean --api-key?"),
        ("compare --most-snt 0.5", "--most-snt; did you mean --max-sent?"),
        ("scan docs --colunm fact", "--colunm; did you mean --column?"),
        ("diff a b --jsn --marign 2", "--jsn --marign; did you mean --json and --margin?"),
        ("cache clear --onyl models", "--onyl; did you mean --only?"),
        ("simulate --no-limit-haeders", "--no-limit-haeders; did you mean --no-limit-headers?"),
        ("report run --quite-another-thing", "--quite-another-thing"),
    ],
)
def test_what_is_meant_is_a_flag_that_help_shows(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *rest = words.split()
    with pytest.raises(SystemExit, match="2"):
        import_module(COMMANDS[name].home).main(rest)
    shown = capsys.readouterr().err
    assert shown.endswith(f"unrecognized arguments: {told}\n")
    assert "sk-secret" not in shown


def test_what_only_looks_like_a_mistyped_flag_is_none() -> None:
    parser = import_module("kimera.live.__main__").build_parser()
    assert parser.parse_args(["--min-cosine", "-0.5"]).min_cosine == -0.5
    assert parser.parse_args(["--least-cosine", "0.5"]).min_cosine == 0.5
    parser = import_module("benchmarks.diff").build_parser()
    assert parser.parse_args(["--margin", "3", "--", "--a", "-b"]).a == "--a"


def test_no_command_at_all_shows_what_there_is(path: Path) -> None:
    done = run(path, "kimera")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == build_parser().format_help()


def test_a_command_takes_the_flags_that_follow_and_gives_its_exit_code(path: Path, tmp_path: Path) -> None:
    given = run(path, "kimera", "cache", "stats", "--cache-dir", str(tmp_path / "none"))
    assert (given.returncode, "there is no such folder" in given.stderr) == (2, True)
    assert run(path, "kimera", "cache", "stats", "--cache-dir", str(tmp_path)).returncode == 0


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        (["kimera", "compare"], "kimera compare"),
        ([sys.executable, "-m", "benchmarks.llm_compare"], "python -m benchmarks.llm_compare"),
    ],
    ids=["kimera", "python"],
)
def test_the_way_on_after_an_error_is_the_way_that_was_taken(
    path: Path, tmp_path: Path, serve: Callable[[Any], ScriptedJudge], called: list[str], shown: str
) -> None:
    judge = ["--judge-only", "--base-url", serve(Canned(status=401)).base_url, "--model", "any"]
    done = run(path, *called, *judge, "--max-pairs", "2", "--no-viz", "--out", "run", cwd=tmp_path)
    assert done.returncode == 1
    assert f"go on with: {shown} --resume run" in done.stderr


def test_a_text_names_commands_alone() -> None:
    """This process is pytest, whose user may have no command kimera."""
    assert as_called("kimera judged-scan docs; kimera scan docs") == (
        "python -m benchmarks.scan docs; python -m kimera.scan docs"
    )
    for text in ("kimera/weights/verify.safetensors", "kimera scan-like", "kimera 0.6.0", "a kimera"):
        assert as_called(text) == text


@pytest.mark.parametrize(
    ("line", "offered", "not_offered"),
    [
        ("kimera ", set(COMMANDS), {"--max-pairs"}),
        ("kimera com", {"compare", "completion"}, {"cache"}),
        ("kimera compare --ma", {"--max-pairs", "--max-cost"}, {"--model"}),
        ("kimera scan --least", set(), {"--least-score"}),
        ("kimera live --reactor ", {"screen", "both"}, {"verify"}),
        ("kimera cache ", {"stats", "clear", "merge"}, {"compare"}),
        ("kimera compare pyp", {"pyproject.toml"}, {"README.md"}),
    ],
)
def test_bash_completes_commands_flags_choices_and_files(
    path: Path, completion: str, line: str, offered: set[str], not_offered: set[str]
) -> None:
    done = run(path, "bash", "-c", COMPLETE, "bash", line, completion)
    given = set(done.stdout.replace(" ", "\n").split())
    assert (offered - given, not_offered & given, done.stderr) == (set(), set(), "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_what_is_completed_without_argcomplete_is_nothing_and_starts_nothing(path: Path) -> None:
    """The shell may still know of it after it was uninstalled: it then calls the command with these set."""
    hidden = "import sys; sys.modules['argcomplete'] = None; sys.argv = ['kimera']"
    asked = "import os; os.environ |= {'_ARGCOMPLETE': '1', 'COMP_LINE': 'kimera c', 'COMP_POINT': '8'}"
    done = run(path, sys.executable, "-c", f"{hidden}; {asked}; from kimera.cli import main; main()")
    assert (done.returncode, done.stdout) == (1, "")


def test_the_start_of_a_command_does_not_import_what_completes(path: Path) -> None:
    script = "import sys; sys.argv = ['kimera', '--version']; from kimera.cli import main"
    told = "import atexit; atexit.register(lambda: print('argcomplete' in sys.modules))"
    assert run(path, sys.executable, "-c", f"{script}; {told}; main()").stdout.endswith("False\n")
