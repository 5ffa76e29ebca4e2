"""kimera label: labels by single keys in a terminal, of which Ctrl-C loses none."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import label, llm_compare
from benchmarks.report import __main__ as report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over ten pairs without labels."""
    where = tmp_path_factory.mktemp("label")
    pairs = [json.dumps({"id": f"p{i}", "text1": f"\x1b[31m{i}", "text2": "b"}) for i in range(10)]
    scores = [json.dumps({"id": f"p{i}", "score": 0.9}) for i in range(10)]
    (where / "pairs.jsonl").write_text("\n".join(pairs), encoding="utf-8")
    (where / "scores.jsonl").write_text("\n".join(scores), encoding="utf-8")
    flags = ["--local-only", "--local", f"scores:{where / 'scores.jsonl'}", "--no-viz"]
    assert llm_compare.main([str(where / "pairs.jsonl"), *flags, "--out", str(where / "run")]) == 0
    return where / "run"


def until(terminal: int, words: str) -> str:
    """What it shows, up to these words."""
    shown = ""
    while words not in shown:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


def test_keys_label_and_an_interrupted_sitting_goes_on(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "benchmarks.label", str(folder), "--out", str(out), "--who", "Ana"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    try:
        first = until(ours, "q quit: ")
        assert "\\u001b[31m" in first  # texts command no terminal
        os.write(ours, b"c")
        assert "contradiction, score 0.900" in until(ours, "q quit: ")
        os.write(ours, b"n")
        assert "2 of 10 labelled" in until(ours, "q quit: ")
        process.send_signal(2)
        assert process.wait(timeout=20) == 130
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["label"] for line in lines] == ["contradiction", "not_contradiction"]


def test_lines_do_for_keys_the_last_label_can_be_given_again_and_the_report_counts_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.jsonl"
    for keys in ("c\nu\nn\ns\nq\n", "c\nt\n"):
        (tmp_path / "keys").write_text(keys)
        with (tmp_path / "keys").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert label.main([str(folder), "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert f"1 of 10 pairs labelled: {out}" in told
    assert f"3 of 10 pairs labelled: {out}" in told
    assert report.main([str(folder), "--no-viz", "--labels", str(out)]) == 0
    people = json.loads((folder / "summary.json").read_text("utf-8"))["dataset"]["people"]
    assert people["who"] == [{"name": "labels", "labels": 2}]
