"""Kimera where people install it: from a wheel, outside the checkout; and without httpx."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # whole runs, fits or installations

ROOT = Path(__file__).parent.parent


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


def test_an_installed_wheel_works_outside_the_checkout(tmp_path: Path) -> None:
    """With everything that it needs from its own folders: prompts, dataset, weights."""
    source = tmp_path / "source"
    for name in source_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)], tmp_path
    )
    assert built.returncode == 0, built.stderr
    target = tmp_path / "target"
    wheel = next(tmp_path.glob("kimera-*.whl"))
    installed = run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], tmp_path)
    assert installed.returncode == 0, installed.stderr
    where = run(
        [sys.executable, "-c", "import benchmarks, kimera; print(benchmarks.__file__, kimera.__file__)"],
        tmp_path,
        PYTHONPATH=str(target),
    )
    assert where.stdout.count(str(target)) == 2
    done = run(
        [sys.executable, "-m", "benchmarks.llm_compare", "--simulate", "--max-pairs", "2", "--out", "run"],
        tmp_path,
        PYTHONPATH=str(target),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "summary.json").exists()
    live = "from kimera.live import page, protocol; page.load_page(), protocol.load_schema()"
    assert run([sys.executable, "-c", live], tmp_path, PYTHONPATH=str(target)).stderr == ""
    check_installation_beside_a_broken_checkout(source, target)


def check_installation_beside_a_broken_checkout(source: Path, target: Path) -> None:
    """test_v050.py, and the processes it starts, import what is installed."""
    (source / "kimera" / "__init__.py").write_text(
        "raise RuntimeError('of the checkout')\n", encoding="utf-8"
    )
    script = (
        "import test_v050 as checks\n"
        "with checks.away_from_here():\n"
        "    checks.test_import(), checks.test_help()\n"
        "    print(__import__('kimera').__file__)"
    )
    checked = run([sys.executable, "-c", script], source, PYTHONPATH=str(target))
    assert checked.stdout.strip() == str(target / "kimera" / "__init__.py"), checked.stderr


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
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-c", os.devnull, "--rootdir", "."]
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT)])
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


@pytest.fixture(scope="module")
def python_without_httpx() -> Iterator[str]:
    """A throwaway environment with this one's packages (hard links, not copies) and httpx uninstalled."""
    folder = Path(tempfile.mkdtemp(dir=sys.prefix, prefix="without-httpx-"))
    try:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        shutil.rmtree(site)
        shutil.copytree(sysconfig.get_path("purelib"), site, copy_function=os.link, symlinks=True)
        python = str(folder / "bin" / "python")
        subprocess.run(
            [python, "-m", "pip", "uninstall", "--yes", "--quiet", "httpx", "httpx-aiohttp"], check=True
        )
        yield python
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_without_httpx_the_reactor_runs(python_without_httpx: str, tmp_path: Path) -> None:
    done = run(
        [python_without_httpx, "-m", "benchmarks.llm_compare", "--async", "8", "--kimera-only"]
        + ["--max-pairs", "2", "--no-viz", "--out", "run"],
        tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 0, done.stderr


def test_without_httpx_async_says_so_and_becomes_sync(python_without_httpx: str, tmp_path: Path) -> None:
    gone = run([python_without_httpx, "-c", "import httpx"], tmp_path)
    assert "ModuleNotFoundError" in gone.stderr
    done = run(
        [python_without_httpx, "-m", "benchmarks.llm_compare", "--async", "8", "--simulate", "--judge-only"]
        + ["--max-pairs", "4", "--no-viz", "--out", "run"],
        tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 0, done.stderr
    assert "httpx is not installed" in done.stderr
    judge = json.loads((tmp_path / "run" / "summary.json").read_text())["detectors"]["simulated-judge"]
    assert (judge["mode"], judge["answered"], judge["concurrency"], judge["concurrency_used"]) == (
        "sync",
        4,
        8,
        1,
    )
