"""The simulated judge in a process of its own, and by hand: how it starts, what it says, how it ends."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from simulators import (
    ANSWERS,
    PAIRS,
    QUESTIONS,
    QUICK,
    ask,
    connect,
    port_of,
    request_body,
    verdict,
    wait_until,
)

from benchmarks.judge.prompts import load_prompt
from benchmarks.simulator.process import SimulatorProcess
from benchmarks.simulator.simulation import GoldAnswer
from kimera.errors import UserError


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionError:
        return False
    return True


@pytest.fixture(scope="module")
def judge() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(QUICK, ANSWERS) as process:
        yield process


def test_100_000_answers_reach_the_process() -> None:
    filler = {number.to_bytes(16): GoldAnswer(False, bytes(16)) for number in range(100_000)}
    with SimulatorProcess(QUICK, {**filler, **ANSWERS}) as judge:
        assert verdict(ask(judge, QUESTIONS[0])[1])["contradiction"] is True


def test_the_process_is_gone_after_the_block() -> None:
    with SimulatorProcess(QUICK, ANSWERS) as judge:
        port = port_of(judge)
    assert not is_listening(port)


def test_the_block_ends_while_requests_are_in_flight() -> None:
    with SimulatorProcess(replace(QUICK, stalled=1), ANSWERS) as judge:
        connection = connect(judge)
        connection.request("POST", "/v1/chat/completions", request_body(QUESTIONS[0]))
        wait_until(lambda: judge.stats()["in_flight"] == 1)
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()


def test_ctrl_c_is_left_to_the_parent() -> None:
    others = set(multiprocessing.active_children())
    with SimulatorProcess(QUICK, ANSWERS) as judge:
        [child] = set(multiprocessing.active_children()) - others
        assert child.pid is not None
        os.kill(child.pid, signal.SIGINT)
        child.join(0.2)
        assert ask(judge, QUESTIONS[0])[0].status == 200


def test_a_process_interrupted_while_it_starts_starts_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in a terminal reaches it before it can say that it does not listen."""
    others = set(multiprocessing.active_children())

    def interrupt() -> None:
        wait_until(lambda: set(multiprocessing.active_children()) > others)
        [child] = set(multiprocessing.active_children()) - others
        for _ in range(20):
            os.kill(child.pid or 0, signal.SIGINT)
            child.join(0.01)

    with ThreadPoolExecutor(1) as pool:
        interrupted = pool.submit(interrupt)
        with SimulatorProcess(QUICK, ANSWERS) as judge:
            assert ask(judge, QUESTIONS[0])[0].status == 200
            interrupted.result()
    assert capfd.readouterr() == ("", "")


def test_nothing_is_printed_whatever_clients_do(capfd: pytest.CaptureFixture[str]) -> None:
    """Dropped replies, half a request, no HTTP at all, and a client that goes while it waits."""
    requests = [
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhalf",
        b"\x16\x03\x01 this is not HTTP\r\n\r\n",
    ]
    with SimulatorProcess(replace(QUICK, dropped=0.5, stalled=0.5), ANSWERS) as judge:
        address = ("127.0.0.1", port_of(judge))
        for request in requests:
            with socket.create_connection(address) as connection:
                connection.sendall(request)
        for text in QUESTIONS[:10]:
            with pytest.raises((TimeoutError, ConnectionError)):
                ask(judge, text, timeout_s=0.1)
        wait_until(lambda: judge.stats()["in_flight"] == 0)
    assert capfd.readouterr() == ("", "")


def test_a_process_that_dies_while_starting_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    """The child cannot work with settings that are none."""
    with pytest.raises(UserError, match="ended while starting"):
        SimulatorProcess(None, ANSWERS).__enter__()  # type: ignore[arg-type]
    assert "AttributeError" in capfd.readouterr().err


PARENT = """
import time
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.process import SimulatorProcess
if __name__ == "__main__":
    with SimulatorProcess(SimulatorConfig(), {}) as judge:
        print(judge.base_url, flush=True)
        time.sleep(600)
"""
HASTY_PARENT = """
import multiprocessing, os, threading
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.process import SimulatorProcess
if __name__ == "__main__":
    threading.Thread(target=SimulatorProcess(SimulatorConfig(), {}).__enter__, daemon=True).start()
    while not multiprocessing.active_children():
        pass
    os._exit(0)
"""


def start(*command: str | os.PathLike[str]) -> subprocess.Popen[str]:
    """A Python process that finds the same modules as this one."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_the_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with start(script) as parent:
        assert parent.stdout is not None
        port = int(re.findall(r":(\d+)/v1", parent.stdout.readline())[0])
        assert is_listening(port)
        parent.kill()
        wait_until(lambda: not is_listening(port))


def test_a_parent_that_ends_while_its_judge_starts_is_not_an_error_of_the_judge(tmp_path: Path) -> None:
    """As Ctrl-C in a comparison's first moments leaves it."""
    script = tmp_path / "parent.py"
    script.write_text(HASTY_PARENT)
    with start(script) as parent:
        _, errors = parent.communicate(timeout=60)  # until the child, which writes there too, has ended
    assert (parent.returncode, errors) == (0, "")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    file = tmp_path / "pairs.jsonl"
    rows = [{"text1": pair.text1, "text2": pair.text2, "label": pair.label} for pair in PAIRS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_by_hand_it_says_how_to_use_it_and_ctrl_c_stops_it_cleanly(dataset: Path) -> None:
    with dataset.open("a") as file:
        file.write('{"text1": "One text."}\n')
    command = ["-m", "benchmarks.simulator", "--port", "0", "--dataset", dataset, "--skip-bad-rows"]
    with start(*command) as process:
        assert process.stdout is not None
        opening = [process.stdout.readline() for _ in range(3)]
        assert "OPENAI_BASE_URL=http://127.0.0.1:" in "".join(opening)
        assert f"knows {2 * len(PAIRS)} questions" in opening[0]  # for two classes, and for three
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")


def test_a_profile_can_be_chosen_and_its_settings_overridden(dataset: Path) -> None:
    """The profile's limit is told, the overridden one with the flag's value; strictness is switched off."""
    options = [
        "--profile",
        "openai",
        "--requests-per-minute",
        "90",
        "--no-strict",
        "--refuses",
        "seed,logprobs",
    ]
    command = [
        "-m",
        "benchmarks.simulator",
        "--port",
        "0",
        "--dataset",
        dataset,
        "--latency-ms",
        "0",
        *options,
    ]
    with start(*command) as process:
        assert process.stdout is not None
        port = int(re.findall(r":(\d+)/v1", process.stdout.readline())[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/v1/chat/completions", request_body("?", unheard_of=1))
        lenient = connection.getresponse()
        lenient_error = json.loads(lenient.read())["error"]
        connection.request("POST", "/v1/chat/completions", request_body("?", logprobs=True))
        refusal = json.loads(connection.getresponse().read())["error"]
        connection.close()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert lenient.headers["x-ratelimit-limit-requests"] == "90"
    assert lenient.headers["x-ratelimit-limit-tokens"] == "2000000"
    assert (lenient_error["code"], refusal["param"]) == ("unknown_pair", "logprobs")


@pytest.mark.parametrize("prompt", ["collection", "two.txt", "any.txt"])
def test_by_hand_it_answers_whoever_asks_for_two_classes_or_for_three(
    prompt: str, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a prompt that words the reply itself, as many as that asks for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.txt").write_text('{text1} {text2} Reply in JSON with "contradiction".')
    (tmp_path / "any.txt").write_text("{text1} or {text2}?")
    serve = ["-m", "benchmarks.simulator", "--port", "0", "--dataset", dataset, "--prompt", prompt]
    pair = PAIRS[1]
    with start(*serve, "--latency-ms", "0") as process:
        assert process.stdout is not None
        port = int(re.findall(r":(\d+)/v1", process.stdout.readline())[0])
        said = {}
        for classes in (2,) if prompt == "two.txt" else (2, 3):
            asked = load_prompt(prompt, classes)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            body = json.dumps({"model": "m", "messages": asked.messages(pair.text1, pair.text2)})
            connection.request("POST", "/v1/chat/completions", body)
            reply = json.loads(connection.getresponse().read())
            connection.close()
            said[classes] = json.loads(reply["choices"][0]["message"]["content"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert "relation" not in said[2]
    assert all(each["contradiction"] is False for each in said.values())
    assert said.get(3, {"relation": "entailment"})["relation"] == "entailment"


def test_a_setting_that_makes_no_sense_is_a_clear_error_by_hand(dataset: Path) -> None:
    with start("-m", "benchmarks.simulator", "--dataset", dataset, "--refuses", "top_k") as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.startswith("error: simulator: refuses 'top_k'")


def test_a_port_in_use_is_a_clear_error(judge: SimulatorProcess, dataset: Path) -> None:
    port = str(port_of(judge))
    with start("-m", "benchmarks.simulator", "--port", port, "--dataset", dataset) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert errors.startswith(f"error: port {port} cannot be used")
