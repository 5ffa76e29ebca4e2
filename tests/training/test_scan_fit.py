"""kimera train --stage scan: documentation to scores of scans, which a scan then takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kimera.scan import main as scan
from kimera.train import main as train

PARTS = ("worker", "parser", "server", "cache", "index", "queue", "logger", "router")
THINGS = ("file", "connection", "table", "message", "record", "session", "folder", "token", "page", "query")
SAYS = (
    "The {part} keeps each {thing} for {number} seconds unless it is closed before.",
    "By default the {part} is allowed to read a {thing} that is larger than {number} bytes.",
    "Each {part} may hold {number} copies of a {thing} at a time, since they are small.",
    "A {thing} must be valid before the {part} sends it to the next of {number} receivers.",
)


def write_documentation(folder: Path) -> None:
    folder.mkdir()
    for part in PARTS:
        lines = [
            says.format(part=part, thing=thing, number=3 + 7 * len(part) + len(thing) * place)
            for thing in THINGS
            for place, says in enumerate(SAYS)
        ]
        (folder / f"{part}.md").write_text(f"# The {part}\n\n" + "\n\n".join(lines) + "\n")


@pytest.mark.slow
def test_scores_fitted_on_a_folder_have_a_card_and_are_taken_by_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_documentation(tmp_path / "docs")
    assert train(["docs", "--stage", "scan", "--out", "ours.json"]) == 0
    fitted = json.loads((tmp_path / "ours.json").read_text())
    assert fitted["corpora"] == ["docs: 320 statements"]
    assert fitted["weights"]["typed_shared"] > 0
    card = (tmp_path / "ours.md").read_text()
    assert fitted["stages"]["verify"] in card
    assert "| 0.3 | 0." in card
    contradicting = "The worker keeps each file for 200 seconds unless it is closed before."
    (tmp_path / "docs" / "more.md").write_text(contradicting + "\n")
    capsys.readouterr()
    assert scan(["docs", "--scan-weights", "ours.json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any(contradicting in (each["text1"], each["text2"]) for each in found)
    (tmp_path / "ours.json").write_text(json.dumps(fitted | {"stages": {"verify": "sha256:0"}}))
    assert scan(["docs", "--scan-weights", "ours.json"]) == 2
    assert "other weights of verify" in capsys.readouterr().err


def test_what_cannot_be_fitted_on_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.md").write_text("The worker is closed after 30 seconds and keeps its files.\n")
    (tmp_path / "a.csv").write_text("text\nIt is a row here.\n")
    for arguments, told in (
        (["a.md"], "too little to fit on"),
        (["a.csv"], "is a table"),
        (["none"], "none"),
        (["a.md", "--epochs", "2"], "--epochs has no effect with --stage scan"),
        (["a.md", "--swap", "0.5"], "--swap has no effect with --stage scan"),
        (["a.md", "--label", "gold"], "--label has no effect with --stage scan"),
    ):
        assert train([*arguments, "--stage", "scan"]) == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "scan.json").exists()
