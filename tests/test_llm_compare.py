"""The command line as people use it: a simulated judge, real files, processes where they are killed."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from commands import ended
from simulators import QUICK, SimulatorThread

from benchmarks.datasets import load_dataset
from benchmarks.judge.prompts import load_prompt
from benchmarks.llm_compare import main
from benchmarks.simulator.process import SimulatorProcess
from benchmarks.simulator.simulation import FAULTS, WITHHELD, SimulatorConfig, answers_for
from kimera.cache.embedding_cache import MODELS, EmbeddingCache
from kimera.cache.sqlite_files import default_folder
from kimera.reactor import Reactor

pytestmark = pytest.mark.slow  # whole runs, fits or installations

ROOT = Path(__file__).parent.parent
FILES = {"journal.jsonl", "results.csv", "summary.json", "summary.md", "report.html", "comparison.png"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """No key, no endpoint, and a cache of its own that knows the pairs that most tests use."""
    cache = tmp_path_factory.mktemp("cache")
    known = [
        *load_dataset(max_pairs=20),
        *load_dataset(max_pairs=30),
        *(box(number) for number in range(20)),
    ]
    Reactor(cache=EmbeddingCache(cache)).detect(known)
    (cache / MODELS).symlink_to(default_folder() / MODELS)  # prepared by the line above
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "KIMERA_"))}
    return {**kept, "KIMERA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}


def compare(
    environment: dict[str, str], cwd: Path, *arguments: object, viz: bool = False, **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command; without the picture, which takes half a second, unless it is asked for."""
    return ended(main, [*arguments, *([] if viz else ["--no-viz"])], cwd, {**environment, **more})


def judge_of(max_pairs: int, config: SimulatorConfig = QUICK) -> SimulatorThread:
    """A judge that knows this many of the embedded pairs; by default without faults or latency."""
    dataset = load_dataset(max_pairs=max_pairs)
    return SimulatorThread(config, answers_for(dataset, load_prompt("same-event").question))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def summary(folder: Path) -> dict[str, object]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def box(number: int) -> tuple[str, str]:
    return f"Box {number} is red.", f"Box {number} is blue."


def write_pairs(path: Path, count: int, label: bool = True) -> Path:
    lines = (
        {"id": f"p{i}", "text1": box(i)[0], "text2": box(i)[1]}
        | ({"label": ("contradiction", "neutral")[i % 2]} if label else {})
        for i in range(count)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_both_detectors_end_in_one_result(environment: dict[str, str], tmp_path: Path) -> None:
    options = ("--simulate", "--async", 8, "--max-pairs", 30, "--out", "run")
    done = compare(environment, tmp_path, *options, viz=True)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == FILES
    assert len({row["id"] for row in rows(run)}) == 30
    detectors = summary(run)["detectors"]
    assert {"kimera", "simulated-judge"} == set(detectors)
    judge, reactor = detectors["simulated-judge"], detectors["kimera"]
    assert (judge["simulated"], judge["mode"], judge["concurrency"], judge["answered"]) == (
        True,
        "async",
        8,
        30,
    )
    assert (reactor["simulated"], reactor["mode"], reactor["workers"], reactor["failed"]) == (
        False,
        "single",
        1,
        0,
    )
    assert judge["roc_auc"] > 0.8
    assert 1 < judge["mean_in_flight"] <= 8
    assert [(entry["a"], entry["b"]) for entry in summary(run)["agreement"]] == [
        ("kimera", "simulated-judge")
    ]
    assert "simulated-judge (simulated)" in done.stdout
    assert done.stdout.splitlines()[-1] == str(run.resolve() / "report.html")
    whole = (run / "summary.md").read_text(encoding="utf-8")
    assert "simulated" in whole
    assert "async, 8 in flight" in whole


def test_without_a_judge_to_ask_it_stops_and_names_four_ways_on(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = compare(environment, tmp_path)
    assert done.returncode == 2
    assert all(way in done.stderr for way in ("OPENAI_API_KEY", "--simulate", "--base-url", "--kimera-only"))
    assert list(tmp_path.iterdir()) == []


def test_kimera_only_needs_no_key_even_with_async(environment: dict[str, str], tmp_path: Path) -> None:
    done = compare(
        environment, tmp_path, "--kimera-only", "--async", 8, "--max-pairs", 20, "--out", "run", "--no-viz"
    )
    assert done.returncode == 0, done.stderr
    assert set(summary(tmp_path / "run")["detectors"]) == {"kimera"}
    assert not (tmp_path / "run" / "comparison.png").exists()


def test_a_second_run_on_the_same_pairs_encodes_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    settings = []
    for name in ("first", "second"):
        options = ("--kimera-only", "--max-pairs", 10, "--cache-dir", tmp_path / "cache", "--out", name)
        compare(environment, tmp_path, *options)
        settings.append(summary(tmp_path / name)["detectors"]["kimera"]["settings"])
    assert settings[0]["encoded"] == settings[1]["from_cache"] == settings[1]["texts"] > 10
    assert settings[1]["encoded"] == 0


def test_the_summary_says_how_many_processes_were_asked_for(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = compare(
        environment, tmp_path, "--kimera-only", "--max-pairs", 20, "--mp", 2, "--no-viz", "--out", "run"
    )
    assert done.returncode == 0, done.stderr
    reactor = summary(tmp_path / "run")["detectors"]["kimera"]
    assert (reactor["mode"], reactor["workers"]) == ("mp", 2)
    assert "2 requested" in (tmp_path / "run" / "summary.md").read_text(), (
        "so few texts are not worth two processes"
    )


def test_sync_and_async_say_the_same(environment: dict[str, str], tmp_path: Path) -> None:
    options = ("--simulate", "--judge-only", "--max-pairs", 6, "--no-viz")
    compare(environment, tmp_path, *options, "--out", "sync")
    compare(environment, tmp_path, *options, "--async", 6, "--out", "async")
    verdicts = [
        [(row["id"], row["simulated-judge (simulated)_score"]) for row in rows(tmp_path / name)]
        for name in ("sync", "async")
    ]
    assert verdicts[0] == verdicts[1]
    sync, asynchronous = (summary(tmp_path / name) for name in ("sync", "async"))
    assert sync["detectors"]["simulated-judge"]["mode"] == "sync"
    assert sync["detectors"]["simulated-judge"].keys() == asynchronous["detectors"]["simulated-judge"].keys()


def test_json_on_standard_output_is_the_summary_and_nothing_else(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = compare(
        environment,
        tmp_path,
        "--simulate",
        "--judge-only",
        "--async",
        4,
        "--max-pairs",
        4,
        "--json",
        "--out",
        "run",
    )
    assert json.loads(done.stdout) == summary(tmp_path / "run")


def test_a_folder_that_holds_a_run_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    options = ("--kimera-only", "--max-pairs", 20, "--no-viz", "--out", "run")
    compare(environment, tmp_path, *options)
    before = (tmp_path / "run" / "journal.jsonl").read_bytes()
    done = compare(environment, tmp_path, *options)
    assert done.returncode == 2
    assert "holds a run already" in done.stderr
    assert (tmp_path / "run" / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--async", "0"], "--async"),
        (["--max-pairs", "-1"], "--max-pairs"),
        (["--timeout", "nan"], "--timeout"),
        (["--kimera-only", "--judge-only"], "not allowed with"),
        (["no-such-file.csv", "--kimera-only"], "no-such-file.csv"),
        (["--simulate", "--prompt", "no-such-prompt"], "no-such-prompt"),
        (["--simulate", "--model", "a", "--model", "a"], "--model"),
        (["--kimera-only", "--encoder", "no-such-model-anywhere"], "no-such-model-anywhere"),
        (["--judge-only", "--base-url", "ftp://x"], "ftp://x"),
        (["--judge-only", "--base-url", "https://judge.example/v1"], "OPENAI_API_KEY"),
        (["--judge-only", "--base-url", "http://localhost:9/v1", "--max-cost", "1"], "--price"),
        (["--resume", "nowhere"], "nowhere"),
        (["--resume", "nowhere", "--dry-run"], "--dry-run"),
        (["--dry-run", "--json"], "--json"),
    ],
)
def test_wrong_usage_exits_2_and_says_what(
    environment: dict[str, str], tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = compare(environment, tmp_path, *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_simulated_judge_needs_labels(environment: dict[str, str], tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", 4, label=False)
    done = compare(environment, tmp_path, path, "--simulate")
    assert done.returncode == 2
    assert "labels" in done.stderr


def test_a_simulated_judge_that_is_not_asked_needs_no_labels(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", 4, label=False)
    done = compare(environment, tmp_path, path, "--kimera-only", "--simulate", "--no-viz")
    assert done.returncode == 0, done.stderr


def test_without_labels_metrics_are_absent_not_invented(environment: dict[str, str], tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", 4, label=False)
    done = compare(environment, tmp_path, path, "--kimera-only", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert "contradictions" not in summary(tmp_path / "run")["dataset"]
    reactor = summary(tmp_path / "run")["detectors"]["kimera"]
    assert "accuracy" not in reactor
    assert "accuracy" in reactor["absent"]


def test_the_key_is_in_no_output_and_no_file(environment: dict[str, str], tmp_path: Path) -> None:
    key = "sk-very-secret-1234567890"
    with SimulatorThread(SimulatorConfig(latency_ms=0, api_key="another"), {}) as judge:
        done = compare(
            environment,
            tmp_path,
            "--judge-only",
            "--base-url",
            judge.base_url,
            "--out",
            "run",
            OPENAI_API_KEY=key,
        )
    assert done.returncode == 1
    assert "check OPENAI_API_KEY" in done.stderr
    written = b"".join(path.read_bytes() for path in (tmp_path / "run").iterdir())
    assert key.encode() not in written + (done.stdout + done.stderr).encode()


@pytest.mark.parametrize("faults", [FAULTS[::2], FAULTS[1::2]], ids=["first half", "second half"])
def test_every_fault_ends_in_a_verdict_or_a_failure_of_each_pair(
    environment: dict[str, str], tmp_path: Path, faults: tuple[str, ...]
) -> None:
    """300 pairs, each fault on 10 % of the requests: all at once would leave hardly one answered."""
    dataset = load_dataset(max_pairs=300)
    shares = dict.fromkeys((*faults, *WITHHELD), 0.1)
    config = SimulatorConfig(latency_ms=5, retry_after_s=0.05, stall_s=30, **shares)
    options = ("--max-pairs", 300, "--async", 32, "--timeout", 0.5, "--max-retries", 2, "--out", "run")
    options = (*options, "--max-failed", 1)
    with SimulatorProcess(config, answers_for(dataset, load_prompt("same-event").question)) as judge:
        done = compare(environment, tmp_path, "--judge-only", "--base-url", judge.base_url, *options)
        met = judge.stats()["outcomes"]
    assert done.returncode == 0, done.stderr
    assert set(shares) <= set(met)
    found = rows(tmp_path / "run")
    assert [row["id"] for row in found] == [pair.id for pair in dataset]
    verdicts = [row["gpt-4o (simulated)_contradiction"] for row in found]
    kinds = [row["gpt-4o (simulated)_error"].partition(":")[0] for row in found]
    assert all(bool(verdict) != bool(kind) for verdict, kind in zip(verdicts, kinds, strict=True))
    told = summary(tmp_path / "run")["detectors"]["gpt-4o"]
    assert told["errors"] == Counter(filter(None, kinds))
    assert told["errors"].keys() >= {*WITHHELD}
    assert told["answered"] == len(list(filter(None, verdicts))) > 100


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_where_it_stopped(
    ending: signal.Signals, environment: dict[str, str], tmp_path: Path
) -> None:
    """Exit 130, a way on; --resume asks only what is missing, and the result is that of one run."""
    command = [sys.executable, "-m", "benchmarks.llm_compare", "--simulate", "--max-pairs", "30", "--no-viz"]
    run = subprocess.Popen(
        [*command, "--out", "run", "--async", "4"],
        cwd=tmp_path,
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    journal = tmp_path / "run" / "journal.jsonl"
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b'"simulated-judge","index"') < 10:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    run.send_signal(ending)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    assert errors.count("stopping: waiting for the requests in flight") == 1
    assert "--resume run" in errors
    finished = journal.read_bytes().count(b'"simulated-judge","index"')
    assert 10 <= finished < 30
    assert len(rows(tmp_path / "run")) == 30, "a run that was cut short shows what it has"

    done = compare(environment, tmp_path, "--resume", "run", "--async", 30)
    assert done.returncode == 0, done.stderr
    assert journal.read_bytes().count(b'"simulated-judge","index"') == 30
    assert journal.read_bytes().count(b'"kimera","index"') == 30
    assert summary(tmp_path / "run")["detectors"]["simulated-judge"]["cut_off"] == 0
    whole = compare(environment, tmp_path, *command[3:], "--async", 30, "--out", "whole")
    assert whole.returncode == 0
    for column in ("id", "kimera_score", "simulated-judge (simulated)_score"):
        assert [row[column] for row in rows(tmp_path / "run")] == [
            row[column] for row in rows(tmp_path / "whole")
        ]


def test_what_was_killed_goes_on_too(environment: dict[str, str], tmp_path: Path) -> None:
    """SIGKILL in the middle: what was finished is not asked again."""
    run = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.llm_compare",
            "--simulate",
            "--judge-only",
            "--max-pairs",
            "30",
            "--out",
            "run",
            "--async",
            "4",
            "--no-viz",
            "--price",
            "1,2",
        ],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = tmp_path / "run" / "journal.jsonl"
    wait_for_lines(journal, 10)
    run.kill()
    run.wait()
    with journal.open("ab") as file:
        file.write(b'{"detector":"simulated-judge","ind')
    done = compare(environment, tmp_path, "--resume", "run", "--async", 30)
    assert done.returncode == 0, done.stderr
    indices = [json.loads(line)["index"] for line in journal.read_text().splitlines() if '"index"' in line]
    assert sorted(indices) == list(range(30))
    assert summary(tmp_path / "run")["detectors"]["simulated-judge"]["cut_off"] == 1
    assert "at least \\$" in (tmp_path / "run" / "summary.md").read_text()  # as of requests in flight then


def test_another_run_is_not_gone_on_with(environment: dict[str, str], tmp_path: Path) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", 6)
    prompt = tmp_path / "mine.txt"
    prompt.write_text("{text1} / {text2}", encoding="utf-8")
    begun = compare(
        environment,
        tmp_path,
        path,
        "--simulate",
        "--judge-only",
        "--prompt",
        prompt,
        "--out",
        "run",
        "--no-viz",
    )
    assert begun.returncode == 0, begun.stderr
    changed = compare(environment, tmp_path, "--resume", "run", "--max-pairs", "3")
    assert (changed.returncode, "--max-pairs" in changed.stderr) == (2, True)
    prompt.write_text("{text2} / {text1}", encoding="utf-8")
    changed = compare(environment, tmp_path, "--resume", "run")
    assert (changed.returncode, "prompt" in changed.stderr) == (2, True)
    prompt.write_text("{text1} / {text2}", encoding="utf-8")
    write_pairs(path, 7)
    changed = compare(environment, tmp_path, "--resume", "run")
    assert (changed.returncode, "dataset" in changed.stderr) == (2, True)
    path.unlink()
    gone = compare(environment, tmp_path, "--resume", "run")
    assert gone.returncode == 2
    assert "must be where it was, or in this folder" in gone.stderr


@pytest.mark.parametrize(("allowed", "code", "word"), [("0.1", 1, "error"), ("0.9", 0, "note")])
def test_failed_pairs_are_told_last_and_end_in_a_failure_if_they_are_too_many(
    environment: dict[str, str], tmp_path: Path, allowed: str, code: int, word: str
) -> None:
    dataset = load_dataset(max_pairs=20)
    withholding = SimulatorConfig(latency_ms=0, content_filter=0.5)
    with SimulatorThread(withholding, answers_for(dataset, load_prompt("same-event").question)) as judge:
        options = ("--judge-only", "--base-url", judge.base_url, "--max-pairs", 20, "--async", 2)
        done = compare(environment, tmp_path, *options, "--max-failed", allowed, "--out", "run")
    last = done.stderr.splitlines()[-1]
    assert done.returncode == code
    assert re.match(
        rf"{word}: gpt-4o failed on \d+ of 20 pairs \(content_filter \d+\); the most frequent error is: ",
        last,
    )
    assert ("more than --max-failed" in last) == (code == 1)


def test_a_run_that_goes_on_in_sync_mode_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    dataset = load_dataset(max_pairs=20)
    withholding = SimulatorConfig(latency_ms=0, content_filter=0.5)
    with SimulatorThread(withholding, answers_for(dataset, load_prompt("same-event").question)) as judge:
        options = ("--judge-only", "--base-url", judge.base_url, "--max-pairs", 20, "--max-failed", 1)
        compare(environment, tmp_path, *options, "--async", 4, "--out", "run")
        done = compare(environment, tmp_path, "--resume", "run", "--async", 1)
    assert done.returncode == 0, done.stderr
    told = summary(tmp_path / "run")["detectors"]["gpt-4o"]
    assert (told["mode"], told["concurrency"], told["concurrency_used"]) == ("sync", 1, 1)
    shown = (tmp_path / "run" / "summary.md").read_text()
    assert re.search(r"sync, one at a time(, by uvloop)? \|", shown)


def test_a_judge_that_ctrl_c_kept_from_beginning_was_not_run(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "benchmarks.llm_compare", "--simulate", "--judge-only", "--verbose"]
    run = subprocess.Popen(
        [*command, "--model", "first", "--model", "second", "--out", "run"],
        cwd=tmp_path,
        env=environment,
        text=True,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for_lines(tmp_path / "run" / "journal.jsonl", 3)
    run.send_signal(signal.SIGINT)
    told, _ = run.communicate(timeout=30)
    assert run.returncode == 130
    assert re.search(r"^mode +sync, one at a time(, by uvloop)? +not run$", told, re.MULTILINE)


def test_a_dataset_that_changes_meanwhile_fails_the_run_and_names_the_way_on(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = write_pairs(tmp_path / "pairs.jsonl", 8)
    run = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.llm_compare", path, "--simulate", "--judge-only", "--out", "run"],
        cwd=tmp_path,
        env=environment,
        text=True,
        stderr=subprocess.PIPE,
    )
    wait_for_lines(tmp_path / "run" / "journal.jsonl", 3)
    write_pairs(path, 9)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "has changed since it was first read" in errors
    assert "go on with: python -m benchmarks.llm_compare --resume run" in errors


def wait_for_lines(journal: Path, count: int) -> None:
    """Until the journal holds this many outcomes."""
    deadline = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b'"index"') < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("torn", [b"", b'{"journal":1,"created":"2026'])
def test_a_run_that_was_killed_before_its_header_was_written_is_none(
    environment: dict[str, str], tmp_path: Path, torn: bytes
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal.jsonl").write_bytes(torn)
    resumed = compare(environment, tmp_path, "--resume", "run")
    assert (resumed.returncode, "no run was started there" in resumed.stderr) == (2, True)
    begun = compare(environment, tmp_path, "--kimera-only", "--max-pairs", 2, "--no-viz", "--out", "run")
    assert begun.returncode == 0, begun.stderr
    assert len(rows(tmp_path / "run")) == 2


def test_another_file_of_the_journals_name_is_not_deleted(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "journal.jsonl").write_bytes(b'{"mine": 1}')
    done = compare(environment, tmp_path, "--kimera-only", "--out", ".")
    assert done.returncode == 2
    assert (tmp_path / "journal.jsonl").read_bytes() == b'{"mine": 1}'


def test_a_repeated_run_with_kept_replies_asks_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    with judge_of(10) as judge:
        for name in ("first", "second"):
            done = compare(
                environment,
                tmp_path,
                "--judge-only",
                "--base-url",
                judge.base_url,
                "--max-pairs",
                10,
                "--cache-replies",
                "--price",
                "1,2",
                "--out",
                name,
            )
            assert done.returncode == 0, done.stderr
        assert judge.stats()["requests"] == 10
    first, second = (summary(tmp_path / name)["detectors"]["gpt-4o"] for name in ("first", "second"))
    assert first["accuracy"] == second["accuracy"]
    assert first["dollars"] > 0
    assert (second["dollars"], second["from_cache"], second["attempts"]) == (0, 10, 0)
    assert "10 answered from the cache" in (tmp_path / "second" / "summary.md").read_text()
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.diff", "first", "second", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    part = json.loads(told)["detectors"]["gpt-4o"]
    assert part["settings"]["replies from the cache"] == {"a": None, "b": 10}
    assert part["absent"]["dollars"] == (
        "of run B, replies came from the cache, so what they cost is not known"
    )


def test_asking_again_and_in_the_other_order_is_reported(environment: dict[str, str], tmp_path: Path) -> None:
    done = compare(
        environment,
        tmp_path,
        "--simulate",
        "--judge-only",
        "--async",
        16,
        "--max-pairs",
        10,
        "--repeat",
        2,
        "--swap",
        "--out",
        "run",
    )
    assert done.returncode == 0, done.stderr
    judge = summary(tmp_path / "run")["detectors"]["simulated-judge"]
    assert (
        judge["stability"]
        == {"repeat": 2, "swap": True, "flip_rate": 0.0, "order_disagreement": 0.0} | judge["stability"]
    )
    assert judge["attempts"] == 40
    assert len(rows(tmp_path / "run")) == 10


def test_a_dry_run_sends_nothing_and_needs_no_key(environment: dict[str, str], tmp_path: Path) -> None:
    done = compare(environment, tmp_path, "--dry-run", "--max-pairs", 20, "--repeat", 2)
    assert done.returncode == 0, done.stderr
    assert "40 requests" in done.stdout
    assert "$" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_cost_limit_that_a_dry_run_names_is_enough(environment: dict[str, str], tmp_path: Path) -> None:
    options = ("--judge-only", "--max-pairs", 20, "--async", 4, "--price", "2.5,10")
    told = compare(environment, tmp_path, *options, "--dry-run").stdout
    enough = re.search(r"Give at least \$([\d.]+);", told)
    assert enough
    with judge_of(20) as judge:
        options += ("--base-url", judge.base_url, "--max-cost", enough[1])
        assert compare(environment, tmp_path, *options).returncode == 0


def test_a_cost_limit_is_not_passed(environment: dict[str, str], tmp_path: Path) -> None:
    with judge_of(0) as judge:
        done = compare(
            environment,
            tmp_path,
            "--judge-only",
            "--base-url",
            judge.base_url,
            "--max-pairs",
            0,
            "--async",
            8,
            "--price",
            "10,40",
            "--max-cost",
            "0.5",
            "--out",
            "run",
        )
        assert done.returncode == 1
        assert "max_cost" in done.stderr
        assert "--resume run --max-cost DOLLARS, with more than 0.5" in done.stderr
        assert 0.3 < summary(tmp_path / "run")["detectors"]["gpt-4o"]["dollars"] <= 0.5
        done = compare(environment, tmp_path, "--resume", "run", "--max-cost", 5)
    assert done.returncode == 0, done.stderr


def test_help_teaches(environment: dict[str, str], tmp_path: Path) -> None:
    done = compare(environment, tmp_path, "--help")
    assert done.returncode == 0
    for part in ("examples:", "starting values for --async", "4 to 6", "8 to 12", "10 to 20", "exit codes"):
        assert part in done.stdout
    told = " ".join(done.stdout.split())
    assert "true and 1 mean contradiction" in told
    assert "rate limits (429) are retried up to four times as often" in told


def test_output_that_nobody_reads_is_no_error(environment: dict[str, str], tmp_path: Path) -> None:
    command = f"{sys.executable} -m benchmarks.llm_compare --kimera-only --max-pairs 2 --no-viz | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_a_simulator_asked_by_its_address_is_called_simulated_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with judge_of(4) as judge:
        done = compare(
            environment,
            tmp_path,
            "--judge-only",
            "--base-url",
            judge.base_url,
            "--max-pairs",
            4,
            "--out",
            "run",
            "--no-viz",
        )
    assert done.returncode == 0, done.stderr
    assert "gpt-4o (simulated)" in done.stdout
    assert summary(tmp_path / "run")["detectors"]["gpt-4o"]["simulated"] is True


def test_a_run_over_a_file_of_this_folder_goes_on_from_anywhere_and_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_text('{"text1": "It is on.", "text2": "It is off."}\n')
    flags = ["--kimera-only", "--reactor", "screen", "--no-viz", "--quiet"]
    assert main(["pairs.jsonl", *flags, "--out", "run"]) == 0
    assert main(["--resume", "run", "--quiet"]) == 0
    monkeypatch.chdir("/")
    assert main(["--resume", str(tmp_path / "run"), "--quiet"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("Dataset: ")] == [
        "Dataset: pairs.jsonl, 1 pair, none labelled."
    ] * 3


def test_the_reactor_alone_needs_nothing_of_a_judge(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--max-cost", "5", "--model", "of unknown price", "--base-url", "nowhere"]
    assert main(["--kimera-only", *flags, "--dry-run"]) == 0
    assert "without effect beside --kimera-only: --model, --base-url, --max-cost" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "model"),
    [
        (["--reactor", "deep"], "all-mpnet-base-v2"),
        (["--local", "kimera:screen>kimera:deep"], "all-mpnet-base-v2"),
        (["--local", "nobody/a-model"], "nobody/a-model"),
    ],
)
def test_a_dry_run_fetches_no_model_and_says_which_it_would(
    flags: list[str],
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path / "cache"))
    weights = ["--deep-weights", str(tmp_path / "weights")]
    assert main(["--kimera-only", *flags, *weights, "--dry-run"]) == 0
    told = capsys.readouterr()
    assert f"note: {model} is not on this machine; the run would fetch it from the" in told.err
    assert "nothing was sent" in told.out
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    "given",
    [
        "statement1;statement2;verdict;extra\nIt rains.;It is dry.;contradiction;x\nAb.;Cd.;;y\n",
        '[{"s1": "It rains.", "s2": "It is dry.", "gold": "Contradiction ", "extra": 1},'
        ' {"s1": "Ab.", "s2": "Cd."}]',
    ],
    ids=["CSV", "JSON"],
)
def test_pairs_come_from_standard_input_and_partly_labelled_ones_are_simulated(
    environment: dict[str, str], tmp_path: Path, given: str
) -> None:
    command = [sys.executable, "-m", "benchmarks.llm_compare", "-", "--judge-only", "--simulate", "--no-viz"]
    done = subprocess.run(
        [*command, "--out", "run"], input=given, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "1 pairs without a label are left out" in done.stderr
    assert "standard input: columns not used: 'extra'" in done.stderr
    assert [row["text1"] for row in rows(tmp_path / "run")] == ["It rains."]
    again = compare(environment, tmp_path, "--resume", "run")
    assert again.returncode == 0, again.stderr
    assert summary(tmp_path / "run")["dataset"]["name"] == "standard input"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["kimera"], "--model kimera: Kimera uses that name itself"),
        (["cascade"], "--model cascade: Kimera uses that name"),
        (["cascade_run"], "--model cascade_run: Kimera uses that name itself"),
        (["gpt-4o", "gpt-4o"], "--model gpt-4o is given twice"),
        ([""], "--model: the name is blank"),
        (["  "], "--model: the name is blank"),
        ([" gpt-4o"], "blanks around it"),
        (["gpt\x1b[31m"], r"--model 'gpt\x1b[31m': the name has"),
        (["gpt\n4o"], "characters that cannot be shown"),
        (["gpt-4o", "kimera/gpt-4o"], "--model kimera/gpt-4o: Kimera uses that name for two detectors"),
        (["a", "b", "b/a"], "--model b/a: Kimera uses that name for two"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--cascade", "0.3"], ["--judge-only"], ["--dry-run"]])
def test_a_name_that_a_run_could_not_keep_apart_is_refused_before_anything_is_asked(
    names: list[str], flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [part for name in names for part in ("--model", name)]
    assert main(["--simulate", *models, *flags, "--out", str(tmp_path / "run")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--prevalence", "0.1"], "--prevalence restates figures that take labels"),
        (["--calibrate", "platt"], "--calibrate takes labels"),
        (["--fail-if", "kimera.f1 < 0.8"], "this run cannot have such a figure: no pair carries a label"),
        (["--fail-if", "kimera.f1.low < 0.8"], "no pair carries a label"),
        (["--fail-if", "kimera.latency_ms.p95 > 9"], "kimera has none"),
        (["--fail-if", "kimera.dollars > 9"], "kimera has none"),
        (["--fail-if", "kimera.at_prevalence.f1 > 9"], "no pair carries a label"),
    ],
)
def test_figures_that_a_run_cannot_have_are_refused_before_it_begins(
    flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl", 4, label=False)
    assert main([str(pairs), "--kimera-only", *flags, "--out", str(tmp_path / "run")]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        ("m.stability.flip_rate > 0.1", "--repeat is not given"),
        ("m.stability.order_disagreement > 0.1", "--swap is not given"),
        ("m.calibration.brier > 0.1", "--logprobs is not given"),
        ("m.at_prevalence.f1 < 0.1", "--prevalence is not given"),
        ("m.calibrated.brier > 0.1", "--calibrate is not given"),
        ("m.thresholds.f1 < 0.1", "m has none"),
        ("m.workers_used < 2", "m has none"),
    ],
)
def test_a_gate_on_what_no_flag_asks_for_is_refused_before_anything_is_asked(
    gate: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--simulate", "--model", "m", "--fail-if", gate, "--out", str(tmp_path / "run")]
    assert main(flags) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_that_could_not_begin_names_no_way_on(environment: dict[str, str], tmp_path: Path) -> None:
    """A disk that is full before the journal's first line: nothing is there to go on with."""
    script = (
        "import resource, sys; from benchmarks.llm_compare import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40)); sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--kimera-only", "--no-cache", "--out", "run"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "nothing was begun in run" in done.stderr
    assert "go on with" not in done.stderr
