"""kimera label: labels by single keys, in a terminal and on a page, of which no end of it loses any."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from benchmarks import label, llm_compare
from benchmarks.report import __main__ as report

if TYPE_CHECKING:
    from playwright.sync_api import Browser


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
    assert f"3 of 10 pairs labelled: {out}\nThe report with them: " in told
    assert f"{folder} --labels {out}" in told
    assert "pairs drawn at random come first" in told
    assert report.main([str(folder), "--no-viz", "--labels", str(out)]) == 0
    people = json.loads((folder / "summary.json").read_text("utf-8"))["dataset"]["people"]
    assert people["who"] == [{"name": "labels", "labels": 2}]


@pytest.mark.parametrize("torn", ['{"id": "p1", "pla', '{"id": "p1", "note": "caf\u00e9"'])
def test_a_line_that_a_death_cut_short_is_told_of_and_labels_go_on_behind_the_whole_ones(
    torn: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "labels.jsonl"
    whole = json.dumps({"id": "p0", "label": "cannot_tell"})
    for before in (f"{whole}\n{torn}".encode()[:-1], torn.encode()[:-1], whole.encode()):
        out.write_bytes(before)
        (tmp_path / "keys").write_text("c\nq\n")
        with (tmp_path / "keys").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            assert label.main([str(folder), "--out", str(out)]) == 0
        lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
        kept = ["cannot_tell"] if before.startswith(whole.encode()) else []
        assert [line["label"] for line in lines] == [*kept, "contradiction"]
        assert ("was cut short" in capsys.readouterr().err) == (before != whole.encode())


def test_a_file_is_of_one_person(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "labels.jsonl"
    before = json.dumps({"id": "p0", "label": "contradiction", "who": "Ana"})
    out.write_text(before, encoding="utf-8-sig")  # as some editors write it, without an end of line
    assert label.main([str(folder), "--out", str(out), "--who", "Ben"]) == 2
    assert "holds labels by Ana; a file is of one person" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr(sys, "stdin", StringIO("c\nq\n"))
    assert label.main([str(folder), "--out", str(out), "--who", "Ana"]) == 0
    lines = [json.loads(line) for line in out.read_text("utf-8-sig").splitlines()]
    assert len(lines) == 2
    assert lines[0]["id"] == "p0"


def test_a_full_disk_leaves_a_file_of_labels_that_can_be_read(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    script = """
        import io, resource, signal, sys
        from benchmarks import label
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        for limit, keys in ((most, "c\\nq\\n"), (300, "c\\nc\\nq\\n"), (most, "c\\nq\\n")):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
            sys.stdin = io.StringIO(keys)
            print("ended with", label.main([sys.argv[1], "--out", sys.argv[2]]))
        """
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.findall("ended with ([0-9])", done.stdout) == ["0", "2", "0"]
    assert "labels.jsonl: cannot be written: File too large" in " ".join(done.stderr.split())
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [line["label"] for line in lines] == ["contradiction"] * 2


def test_a_full_disk_is_told_to_the_page(folder: Path, tmp_path: Path) -> None:
    script = """
        import resource, sys
        from benchmarks import label
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        sys.exit(label.main([sys.argv[1], "--out", sys.argv[2], "--page"]))
        """
    out = tmp_path / "labels.jsonl"
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder), str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        address = re.findall(r"http://127\.0\.0\.1:\d+/\S+/", process.stdout.readline())[0]
        line = {"place": 0, "label": "contradiction", "note": "", "who": ""}
        assert httpx.post(f"{address}labels", json=line, trust_env=False).status_code == 507
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
        assert "cannot be written: File too large; the label was not written" in " ".join(told.split())
        assert out.read_bytes() == b""
    finally:
        process.kill()


def test_the_page_writes_each_label_when_it_is_given_and_only_for_itself(
    folder: Path, tmp_path: Path, browser: Browser
) -> None:
    out = tmp_path / "<b>labels.jsonl"
    command = [sys.executable, "-m", "benchmarks.label", str(folder), "--out", str(out), "--who", "Ana"]
    process = subprocess.Popen([*command, "--page"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        greeting = process.stdout.readline()
        address = re.findall(r"http://127\.0\.0\.1:\d+/\S+/", greeting)[0]
        page = browser.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(address)
        page.locator(".label-card").focus()
        for key in "cun":  # of two labels of one pair the later one is the later line
            page.keyboard.press(key)
        assert not page.locator("#label-who").is_editable()  # as the command was told
        page.fill("#label-note", "</script>")
        page.locator(".label-card").focus()
        with page.expect_response(lambda answer: "cannot_tell" in (answer.request.post_data or "")):
            page.keyboard.press("t")
        lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
        assert [line["label"] for line in lines] == ["contradiction", "not_contradiction", "cannot_tell"]
        assert lines[0]["place"] == lines[1]["place"]
        assert (lines[2]["note"], lines[2]["who"]) == ("</script>", "Ana")
        page.reload()
        assert page.locator(".label-progress").inner_text() == "2 of 10 pairs labelled"

        line = json.dumps({"place": 0, "label": "contradiction", "note": "", "who": ""})
        elsewhere = address.replace("127.0.0.1", "example.org")
        for url, headers, body, status in (
            (f"{address}labels", {"Origin": "https://example.org"}, line, 403),
            (f"{address}labels", {"Origin": "null"}, line, 403),
            (f"{address}labels", {"Host": elsewhere.split("/")[2]}, line, 403),
            (re.sub(r"[^/]+/$", "guessed/labels", address), {}, line, 404),
            (f"{address}labels", {}, line.replace("contradiction", "maybe"), 400),
            (f"{address}labels", {}, "[]", 400),
        ):
            assert httpx.post(url, headers=headers, content=body, trust_env=False).status_code == status
        assert len(out.read_text("utf-8").splitlines()) == 3

        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        page.locator(".label-card").focus()
        page.keyboard.press("c")
        page.get_by_text("This label is not saved").wait_for()
        assert page.locator(".label-progress").inner_text() == "2 of 10 pairs labelled"
        page.close()
    finally:
        process.kill()
