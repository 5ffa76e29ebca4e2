"""The first run on a bare cache, as a newcomer starts it: no process imports a deep-learning framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kimera.cache.embedding_cache import MODELS
from kimera.models.encoder import TEXTS_WORTH_A_POOL

pytestmark = pytest.mark.slow  # many whole runs

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"torch", "transformers", "sentence_transformers"}


def run(folder: Path, *arguments: str, **more: str) -> tuple[Counter[str], str]:
    """(how many processes of the command imported each module, what it printed)."""
    command = [sys.executable, "-m", "benchmarks.llm_compare", *arguments]
    environment = {
        **os.environ,
        **more,
        "PYTHONPATH": str(ROOT),
        "PYTHONPROFILEIMPORTTIME": "1",  # each process, workers too, tells on standard error what it imports
    }
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return Counter(line.rpartition("|")[2].strip() for line in lines), done.stdout


def test_one_process_needs_no_framework(tmp_path: Path) -> None:
    """Of the reactor and of a simulated judge, whose processes count too."""
    imported, _ = run(tmp_path, "--simulate", "--max-pairs", "20", KIMERA_CACHE_DIR=str(tmp_path / "cache"))
    assert not FRAMEWORKS & set(imported)
    assert {"onnxruntime", "onnx", "tokenizers"} <= set(imported)
    prepared = sorted(path.name.split("-int8-")[0] for path in (tmp_path / "cache" / MODELS).iterdir())
    assert prepared == ["cross-encoder", "encoder"]


def test_worker_processes_need_no_framework(tmp_path: Path) -> None:
    pairs = [
        {"text1": f"{n} people walk.", "text2": f"{n} people sit.", "label": "contradiction"}
        for n in range(TEXTS_WORTH_A_POOL // 2)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(f"{json.dumps(pair)}\n" for pair in pairs))
    imported, printed = run(
        tmp_path, "pairs.jsonl", "--kimera-only", "--mp", "2", "--max-pairs", "0", "--no-cache", "--verbose"
    )
    assert not FRAMEWORKS & set(imported)
    assert imported["onnxruntime"] == 3  # this process and two workers
    assert "2 processes" in printed
