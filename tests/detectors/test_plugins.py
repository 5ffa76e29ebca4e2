"""A local detector that another package brings: it is installed, and then a name for --local."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULE = '''\
from kimera.detectors import VerdictSource
from kimera.errors import UserError
from kimera.pairs import Verdict


class Negation(VerdictSource):
    """A contradiction is what says one of these words."""

    kind = "negation rule"

    def __init__(self, rest):
        if not rest:
            raise UserError("negation: give the word after a colon, as in negation:not")
        self.word = rest

    @property
    def settings(self):
        return {"word": self.word}

    def stream(self, pairs, workers=None, on_progress=None):
        for pair in pairs:
            yield Verdict(self.word in pair.text2.split(), 0.9)


def nothing(rest):
    return rest


def broken(rest):
    raise RuntimeError("no such thing")
'''
FILES = {
    "negation_rule.py": MODULE,
    "negation_rule-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: negation-rule\nVersion: 1.0\n",
    "negation_rule-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "negation_rule-1.0.dist-info/entry_points.txt": (
        "[kimera.detectors]\nnegation = negation_rule:Negation\nbroken = negation_rule:broken\n"
        "nothing = negation_rule:nothing\n"
    ),
    "negation_rule-1.0.dist-info/RECORD": "",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip put the package into."""
    folder = tmp_path_factory.mktemp("package")
    wheel = folder / "negation_rule-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", str(site), str(wheel)], check=True)
    return site


def compare(installed: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    command = [sys.executable, "-m", "benchmarks.llm_compare", "--kimera-only", "--no-viz", "--quiet"]
    return subprocess.run(
        [*command, *flags], capture_output=True, text=True, env=environment, check=False, cwd=installed.parent
    )


def test_an_installed_package_brings_a_detector(installed: Path, tmp_path: Path) -> None:
    done = compare(installed, "--local", "negation:not", "--max-pairs", "50", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    detector = summary["detectors"]["negation:not"]
    assert (detector["kind"], detector["answered"]) == ("negation rule", 50)
    assert detector["settings"] == {"word": "not"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing:x", "negation_rule:nothing gave str; expected one of a class that inherits"),
        ("negation", "give the word after a colon"),
        (
            "broken:x",
            "negation_rule:broken, which another package brings, failed: RuntimeError: no such thing",
        ),
    ],
)
def test_one_that_cannot_be_made_ends_the_run_before_it_begins(
    installed: Path, name: str, words: str, tmp_path: Path
) -> None:
    done = compare(installed, "--local", name, "--out", str(tmp_path / "run"))
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
