"""Live with another local detector: over the real server, with what it says and what it fails on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from live_servers import Served, serving, welcomed
from tiny_models import write_tiny_model

from kimera.corpus.cosine_floors import MIN_FLOOR
from kimera.detectors import Chain, FunctionDetector, NLIModel, VerdictSource
from kimera.live import Checked, LiveClient
from kimera.live.__main__ import main
from kimera.live.candidate_rule import CandidateRule, own_floor
from kimera.live.contradictions import NumberedStatement
from kimera.live.live_settings import LiveSettings
from kimera.live.session import ContradictionFinder, Session
from kimera.reactor import Reactor

CLOSED, OPEN = "The office is closed on Fridays.", "The office opens every day of the week."
NEVER = "The office is never closed on Fridays."
RULES = """\
def negates(pairs):
    if any("opens" in text for pair in pairs for text in pair):
        raise ValueError("opens is no word of mine")
    return [0.9 if ("never" in first) != ("never" in second) else 0.1 for first, second in pairs]
"""


@pytest.fixture(scope="module")
def screen() -> Reactor:
    return Reactor(cache=None, stages="screen")


@contextlib.contextmanager
def served(reactor: Reactor, detector: VerdictSource) -> Iterator[Served]:
    finder = ContradictionFinder(reactor, CandidateRule(), detector, "mine")
    finder.load()
    with serving(finder) as server:
        yield server


async def answers_to(url: str, *texts: str) -> list[Checked]:
    async with LiveClient(url) as client:
        return [await client.check(text) for text in texts]


def test_a_function_decides_and_the_answer_names_it(screen: Reactor) -> None:
    with served(screen, FunctionDetector(lambda pairs: [0.8] * len(pairs))) as server:
        [_, last] = asyncio.run(answers_to(server.url, CLOSED, OPEN))
        [found] = last.contradictions
        assert (found.stage, found.detector, found.score, last.failed) == ("local", "mine", 0.8, 0)


def test_the_earlier_statement_is_read_first(screen: Reactor) -> None:
    read: list[tuple[str, str]] = []

    def remember(pairs: list[tuple[str, str]]) -> list[float]:
        read.extend(pairs)
        return [0.0] * len(pairs)

    with served(screen, FunctionDetector(remember)) as server:
        asyncio.run(answers_to(server.url, CLOSED, OPEN))
    assert read[-1] == (CLOSED, OPEN)


def test_what_the_detector_fails_on_is_in_the_answer_and_in_the_log(
    screen: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    def halts(pairs: list[tuple[str, str]]) -> list[float]:
        if any(OPEN in pair for pair in pairs):
            raise ValueError("no")
        return [0.9] * len(pairs)

    with served(screen, FunctionDetector(halts, batch_size=1)) as server:
        answers = asyncio.run(answers_to(server.url, CLOSED, OPEN, NEVER))
    assert [answer.failed for answer in answers] == [0, 1, 1]
    assert [len(answer.contradictions) for answer in answers] == [0, 0, 1]
    assert "mine failed on 1 of 1 pairs; raised: " in caplog.text


def test_a_detector_that_fails_its_first_pair_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fails.py").write_text("def f(pairs):\n    raise ValueError('no such service')\n")
    assert main(["--port", "0", "--local", "fails.py:f"]) == 2
    printed = capsys.readouterr()
    assert "error: fails.py:f failed on the pair that it is tried on before the server listens" in printed.err
    assert "no such service" in printed.err
    assert "Listening" not in printed.out


def test_answers_that_are_none_refuse_the_statement_and_the_session_goes_on(screen: Reactor) -> None:
    def wrong(pairs: list[tuple[str, str]]) -> list[float]:
        return [2.0 if OPEN in pair else 0.1 for pair in pairs]

    async def run(server: Served) -> list[str]:
        async with welcomed(server) as talk:
            return [(await talk.say(text))["type"] for text in (CLOSED, OPEN, NEVER[:-1])]

    with served(screen, FunctionDetector(wrong, batch_size=1)) as server:
        assert asyncio.run(run(server))[:2] == ["checked", "error"]


def test_a_chain_and_an_nli_model_decide_as_they_do_anywhere(
    screen: Reactor, nli_model: Callable[..., Path]
) -> None:
    model = NLIModel(nli_model("bert"), cache=None)
    [verdict] = model.detect([(CLOSED, OPEN)])
    chain = Chain({"first": FunctionDetector(lambda pairs: [0.5] * len(pairs)), "model": model})
    for detector in (model, chain):
        with served(screen, detector) as server:
            [_, last] = asyncio.run(answers_to(server.url, CLOSED, OPEN))
        scores = [found.score for found in last.contradictions]
        assert scores == ([pytest.approx(verdict.score, abs=1e-4)] if verdict.contradiction else [])


def test_another_encoder_needs_no_head_beside_a_detector_and_a_floor_of_its_own(
    tmp_path: Path,
) -> None:
    encoder = str(write_tiny_model(tmp_path))
    headless = Reactor(encoder, cache=None, stages="verify")
    with served(headless, FunctionDetector(lambda pairs: [0.8] * len(pairs))) as server:
        [_, last] = asyncio.run(answers_to(server.url, CLOSED, OPEN))
    assert [found.detector for found in last.contradictions] == ["mine"]
    with pytest.raises(ValueError, match="no head"):
        ContradictionFinder(headless, CandidateRule())
    # Its cosines are nearly all above 0.4; as its own floor a session takes what few of its pairs reach.
    words = ("alpha beta", "gamma", "delta door", "open", "closed shop")
    texts = [f"{first} {second}" for first in words for second in words]
    assert _read_together(headless, CandidateRule(max_chosen=64), texts) > 200
    assert 0 < _read_together(headless, CandidateRule(max_chosen=64, is_own_floor=True), texts) < 60


def _read_together(reactor: Reactor, rule: CandidateRule, texts: Sequence[str]) -> int:
    finder = ContradictionFinder(reactor, rule, FunctionDetector(lambda pairs: [0.8] * len(pairs)))
    session = Session()
    found = finder.check([(session, NumberedStatement(n, str(n), text)) for n, text in enumerate(texts)])
    return sum(len(of_one.contradictions) for of_one in found)


def test_a_repeated_statement_does_not_raise_a_sessions_own_floor() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 0, 0, 0, 0, 1, 2]]
    assert own_floor(vectors) == MIN_FLOOR
    assert own_floor(vectors[:5]) is None


@pytest.mark.parametrize("cosine", [0.3, 0.9])
def test_two_statements_are_not_judged_by_a_floor_that_is_their_own_cosine(cosine: float) -> None:
    two = np.array([[1, 0, 0], [cosine, np.sqrt(1 - cosine**2), 0]], np.float32)
    assert own_floor(two) is None
    assert own_floor(two[[0, 1, 0, 1, 1]]) is None
    assert own_floor(np.vstack([two, np.eye(3, dtype=np.float32)[2]])) is not None


@pytest.mark.parametrize(
    ("settings", "is_own"),
    [
        (LiveSettings(), False),
        (LiveSettings(encoder="another"), True),
        (LiveSettings(encoder="another", min_cosine=0.3), False),
    ],
)
def test_only_what_was_neither_measured_nor_given_is_a_sessions_own(
    settings: LiveSettings, is_own: bool
) -> None:
    assert settings.rule.is_own_floor == is_own
    assert settings.rule.min_cosine == (settings.min_cosine or 0.4)


def test_the_command_takes_a_function_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(RULES)
    command = [sys.executable, "-m", "kimera.live", "--port", "0", "--local", "rules.py:negates"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout
        [url] = re.findall(r"Listening on (http://127\.0\.0\.1:\d+)/", process.stdout.readline())
        answers = asyncio.run(answers_to(url, CLOSED, NEVER, OPEN))
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert [found.detector for found in answers[1].contradictions] == ["rules.py:negates"]
    assert answers[2].failed > 0
    assert "note: rules.py:negates decides; its scores are not calibrated" in errors
    assert "opens is no word of mine" in errors


def test_ctrl_c_pressed_again_and_again_ends_the_command_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kimera.live", "--port", "0", "--reactor", "screen"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("Listening")
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        _, errors = process.communicate(timeout=30)
    assert errors.splitlines()[-1] == "Stopping."
    assert process.returncode in {130, -signal.SIGINT}  # the last one may hit the interpreter's own end


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--local", "scores:said.csv"), "no file holds their scores"),
        (("--local", "kimera", "--local", "kimera:screen"), "as a chain: 'kimera>kimera:screen'"),
        (("--local", "kimera:screen", "--reactor", "both"), "leave out one of the two"),
        (("--local", "no_such_module:detect"), "there is no module no_such_module"),
    ],
)
def test_what_cannot_decide_is_an_error(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    assert main(flags) == 2
    assert told in capsys.readouterr().err
