"""A function of the user's own is a detector: whatever it answers, raises, or never comes back from."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kimera.detectors import FunctionDetector
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

PAIRS = [
    Pair(f"The lamp {n} is on.", f"The lamp {n} is {'not ' * (n % 3 == 0)}on.", id=str(n)) for n in range(20)
]
ROOT = Path(__file__).parent.parent.parent
Texts = list[tuple[str, str]]
YES: Any = "yes"

MODULE = """
    import asyncio, os, time

    SHARED = 0.9

    def detect(pairs):
        return [SHARED if "not" in second else 0.2 for _, second in pairs]

    async def detect_async(pairs):
        await asyncio.sleep(0.01)
        return detect(pairs)

    def hangs(pairs):
        if any("lamp 4 " in first for first, _ in pairs):
            time.sleep(600)
        return detect(pairs)

    def dies(pairs):
        if any("lamp 4 " in first for first, _ in pairs):
            os._exit(9)
        return detect(pairs)

    def process(pairs):
        time.sleep(0.05)
        return [(True, 0.9, str(os.getpid())) for _ in pairs]

    class Holder:
        @staticmethod
        def detect(pairs):
            return detect(pairs)
"""


def detect(pairs: Texts) -> list[float]:
    return [0.9 if "not" in second else 0.2 for _, second in pairs]


EXPECTED = [0.9 if n % 3 == 0 else 0.2 for n in range(20)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current one, with a module `own_rules`."""
    (tmp_path / "own_rules.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delitem(sys.modules, "own_rules", raising=False)
    return tmp_path


def seen(
    detector: FunctionDetector, workers: int | None = None, pairs: list[Pair] = PAIRS
) -> list[float | str]:
    outcomes = detector.stream(pairs, workers)
    return [one.kind if isinstance(one, Failure) else round(one.score, 6) for one in outcomes]


def refused(function: Callable[[Texts], Any], **options: Any) -> str:
    with pytest.raises(UserError) as error:
        seen(FunctionDetector(function, **options))
    return str(error.value)


@pytest.mark.parametrize("name", ["own_rules:detect", "own_rules.py:detect", "own_rules:Holder.detect"])
def test_a_function_is_found_by_its_name_in_the_current_folder(folder: Path, name: str) -> None:
    detector = FunctionDetector.named(name)
    assert seen(detector) == EXPECTED
    assert detector.settings["function"] == name


def test_a_file_is_found_by_its_path_and_may_import_what_lies_beside_it(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "beside_it.py").write_text("SCORE = 0.75\n")
    (folder / "deeper" / "own.py").write_text(
        "import beside_it\n\ndef detect(pairs):\n    return [beside_it.SCORE] * len(pairs)\n"
    )
    assert seen(FunctionDetector.named(f"{folder}/deeper/own.py:detect")) == [0.75] * 20


def test_a_file_in_the_current_folder_does_not_stand_in_for_a_module_later(folder: Path) -> None:
    FunctionDetector.named("own_rules:detect")
    assert sys.path[-1] == str(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("detect", "'detect' does not name a function; expected \"module:function\" or"),
        ("own_rules:", "does not name a function"),
        ("gone.py:detect", "there is no file gone.py"),
        ("gone_module:detect", "there is no module gone_module, neither installed nor in"),
        ("own_rules:detct", "own_rules has no detct; did you mean detect?"),
        ("own_rules:zzz", "own_rules has no zzz; it has detect, detect_async, hangs, dies, process"),
        ("own_rules:SHARED", "SHARED is 0.9, which cannot be called"),
        (
            "faulty:detect",
            "faulty cannot be imported: ZeroDivisionError: 'division by zero'; the traceback is in",
        ),
        ("faulty.py:detect", "faulty.py cannot be imported: ZeroDivisionError"),
        ("needs:detect", "needs cannot be imported: ModuleNotFoundError: \"No module named 'not_there'\""),
        ("quits:detect", "quits cannot be imported: SystemExit"),
        ("syntax.py:detect", "syntax.py cannot be imported: SyntaxError"),
    ],
)
def test_a_name_that_leads_nowhere_says_what_is_missing(folder: Path, name: str, message: str) -> None:
    (folder / "faulty.py").write_text("1 / 0\n")
    (folder / "needs.py").write_text("import not_there\n")
    (folder / "quits.py").write_text("raise SystemExit(3)\n")
    (folder / "syntax.py").write_text("def detect(:\n")
    with pytest.raises(UserError) as error:
        FunctionDetector.named(name)
    assert message in str(error.value)


def test_the_traceback_of_an_import_is_in_the_log_that_is_named(folder: Path) -> None:
    (folder / "faulty.py").write_text("1 / 0\n")
    with pytest.raises(UserError) as error:
        FunctionDetector.named("faulty:detect")
    log = Path(str(error.value).rpartition("the traceback is in ")[2])
    assert 'faulty.py", line 1' in log.read_text()


@pytest.mark.parametrize(
    ("answer", "score", "source"),
    [
        (0.75, 0.75, "stated"),
        (1, 1.0, "stated"),
        (0.5, 0.5, "stated"),
        (True, 1.0, "verdict"),
        (False, 0.0, "verdict"),
        (np.float32(0.75), 0.75, "stated"),
        (np.bool_(True), 1.0, "verdict"),
        ((True, 0.75), 0.75, "stated"),
        ((False, 0.75, "since"), 0.25, "stated"),
        ((np.bool_(False), np.float64(0.75)), 0.25, "stated"),
        ((True, 0.1), 0.5, "stated"),
        (Verdict(True, 0.75, score_source="calibrated"), 0.75, "calibrated"),
        (Verdict(np.bool_(True), np.float32(0.75)), 0.75, "stated"),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_an_answer_of_any_kind_is_a_verdict(answer: Any, score: float, source: str) -> None:
    for verdict in FunctionDetector(lambda pairs: [answer] * len(pairs)).stream(PAIRS[:3]):
        assert isinstance(verdict, Verdict)
        assert (verdict.score, verdict.score_source, type(verdict.contradiction)) == (score, source, bool)


@pytest.mark.parametrize("kind", [np.array, tuple, iter, np.float32])
def test_answers_come_in_an_array_a_tuple_or_one_by_one(kind: Any) -> None:
    found = FunctionDetector(lambda pairs: kind(detect(pairs))).stream(PAIRS)
    assert [one.score for one in found if isinstance(one, Verdict)] == pytest.approx(EXPECTED, abs=1e-6)


def test_a_failure_is_an_answer_too() -> None:
    failure = Failure("abstained", "not for me")
    assert list(FunctionDetector(lambda pairs: [failure] * len(pairs)).stream(PAIRS[:2])) == [failure] * 2


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (lambda n: [0.5] * (n - 1), "it gave 4 answers for 5 pairs; expected a list with one answer a pair"),
        (lambda n: [0.5] * n + [0.5], "it gave 6 answers for 5 pairs"),
        (lambda _: 0.5, "it gave 0.5; expected a list"),
        (lambda _: None, "it gave None"),
        (lambda n: "x" * n, "it gave 'xxxxx'"),
        (lambda n: dict.fromkeys(range(n), 0.5), "it gave {0: 0.5"),
        (
            lambda n: [0.5] * (n - 1) + [float("nan")],
            "the score of its answer 4 is nan; expected a number from",
        ),
        (
            lambda n: [0.5, 1.2] + [0.5] * (n - 2),
            "the score of its answer 1 is 1.2; expected a number from 0 to 1",
        ),
        (lambda n: [-0.1] * n, "the score of its answer 0 is -0.1"),
        (lambda n: ["contradiction"] * n, "its answer 0 is 'contradiction'"),
        (lambda n: [None] * n, "its answer 0 is None"),
        (lambda n: [(0.7, 0.9)] * n, "its answer 0 says 0.7 whether there is a contradiction"),
        (lambda n: [(True, 90)] * n, "the confidence of its answer 0 is 90"),
        (lambda n: [(True, 0.9, 3)] * n, "the reasoning of its answer 0 is 3"),
        (lambda n: [True] + [0.5] * (n - 1), "it gave bools and scores in one batch"),
        (lambda n: [Verdict(True, 0.9, score_source="guess")] * n, "score_source of its answer 0 is 'guess'"),
        (lambda n: [Verdict(YES, 0.9)] * n, "contradiction of its answer 0 is 'yes'; expected a bool"),
        (lambda n: np.zeros((n, 3)), "it gave an array of shape (5, 3); expected one of shape (pairs,)"),
        (lambda n: np.full(n, np.nan), "the score of its answer 0 is nan"),
    ],
)
def test_answers_that_break_the_contract_end_the_work_at_their_batch(
    answers: Callable[[int], Any], message: str
) -> None:
    told = refused(lambda pairs: answers(len(pairs)), batch_size=5)
    assert ", batch 1 (of 5 pairs): " in told
    assert message in told


def test_what_was_answered_before_a_breach_is_kept(folder: Path) -> None:
    detector = FunctionDetector(
        lambda pairs: [1.5 if "lamp 7" in one else 0.5 for one, _ in pairs], batch_size=2
    )
    stream = detector.stream(PAIRS)
    assert len([next(stream) for _ in range(6)]) == 6
    with pytest.raises(UserError, match=r"batch 4 \(of 2 pairs\): the score of its answer 1 is 1.5"):
        next(stream)


def raises_for_lamp_4(pairs: Texts) -> list[float]:
    if any("lamp 4 " in first for first, _ in pairs):
        raise KeyError("no such lamp")
    return detect(pairs)


def test_what_it_raises_fails_its_batch_and_is_in_the_log_that_is_named(folder: Path) -> None:
    outcomes = list(FunctionDetector(raises_for_lamp_4, batch_size=2).stream(PAIRS))
    failures = {n: one for n, one in enumerate(outcomes) if isinstance(one, Failure)}
    assert [*failures] == [4, 5]
    assert failures[4].kind == "raised"
    assert "raises_for_lamp_4 raised KeyError: 'no such lamp'; its traceback is in" in failures[4].message
    log = Path(failures[4].message.rpartition("its traceback is in ")[2])
    assert "raise KeyError" in log.read_text()


@pytest.mark.parametrize("workers", [None, 1])
def test_what_it_raises_shows_no_key_of_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int | None
) -> None:
    monkeypatch.setenv("MY_SERVICE_API_KEY", "abc-12345678")
    monkeypatch.setenv("DB_PASSWORD", "two\nlines of it")
    monkeypatch.setenv("SHORT_TOKEN", "lamp")
    (folder / "leaky.py").write_text(
        "import os\n"
        "def detect(pairs):\n"
        "    raise ValueError('x' * 120, f\"lamp refused: {os.environ['MY_SERVICE_API_KEY']}\", "
        "os.environ['DB_PASSWORD'])\n"
    )
    [failure, *_] = FunctionDetector.named("leaky.py:detect", workers=workers).stream(PAIRS)
    assert isinstance(failure, Failure)
    log = Path(failure.message.rpartition("its traceback is in ")[2]).read_text()
    for told in (failure.message, log):
        assert "lamp refused: ***" in told
        assert "abc-12345678" not in told
        assert "lines of it" not in told


def test_a_module_that_cannot_be_imported_shows_no_key_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "abc-12345678")
    (folder / "unready.py").write_text("import os\nraise RuntimeError('no ' + os.environ['MY_SECRET'])\n")
    with pytest.raises(UserError, match=r"RuntimeError: 'no \*\*\*';") as error:
        FunctionDetector.named("unready.py:detect")
    log = Path(str(error.value).rpartition("the traceback is in ")[2]).read_text()
    assert "RuntimeError: no ***" in log
    assert "abc-12345678" not in log


def test_a_generator_that_raises_half_way_fails_its_batch(folder: Path) -> None:
    def half(pairs: Texts) -> Any:
        yield 0.5
        raise ValueError("half")

    assert seen(FunctionDetector(half, batch_size=10)) == ["raised"] * 20


def test_ctrl_c_is_not_swallowed() -> None:
    def interrupted(pairs: Texts) -> list[float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seen(FunctionDetector(interrupted))


def test_an_empty_text_never_reaches_the_function() -> None:
    pairs = [Pair("a", "b"), Pair(" ", "b"), Pair("a", "")]
    assert seen(FunctionDetector(lambda texts: [0.5] * len(texts), batch_size=2), pairs=pairs) == [
        0.5,
        "empty_text",
        "empty_text",
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 20, 64])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_async_function_gives_the_same_in_order_for_any_batches(batch_size: int, concurrency: int) -> None:
    async def slower_first(pairs: Texts) -> list[float]:
        await asyncio.sleep(0.02 if "lamp 0 " in pairs[0][0] else 0.0)
        return detect(pairs)

    detector = FunctionDetector(slower_first, batch_size=batch_size, concurrency=concurrency)
    assert seen(detector) == EXPECTED


@pytest.mark.parametrize(("asked", "expected"), [(5, 5), (1, 1), (None, 4)])
def test_as_many_batches_of_an_async_function_are_in_flight_as_asked_for(
    asked: int | None, expected: int
) -> None:
    now, most = 0, 0

    async def counted(pairs: Texts) -> list[float]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return detect(pairs)

    detector = FunctionDetector(counted, batch_size=1, concurrency=asked)
    assert seen(detector) == EXPECTED
    assert (most, detector.settings["concurrency"]) == (expected, expected)


def test_a_sync_function_and_a_worker_process_do_one_batch_at_a_time(folder: Path) -> None:
    assert FunctionDetector(detect).settings["concurrency"] == 1
    assert FunctionDetector.named("own_rules.py:detect_async").settings["concurrency"] == 4
    detector = FunctionDetector.named("own_rules.py:detect_async", workers=1, batch_size=5)
    assert detector.settings["concurrency"] == 1
    assert seen(detector) == EXPECTED


def test_the_settings_say_what_the_last_call_used(folder: Path) -> None:
    detector = FunctionDetector.named("own_rules.py:detect_async", batch_size=5)
    assert len(list(detector.stream(PAIRS, workers=1))) == len(PAIRS)
    assert detector.settings["concurrency"] == 1
    assert len(list(detector.stream(PAIRS))) == len(PAIRS)
    assert detector.settings["concurrency"] == 4


def test_an_object_with_an_async_call_is_async_and_works_within_a_running_loop() -> None:
    class Own:
        async def __call__(self, pairs: Texts) -> list[float]:
            return detect(pairs)

    async def main() -> list[float | str]:
        return seen(FunctionDetector(Own(), batch_size=4))

    assert asyncio.run(main()) == EXPECTED


def test_a_function_that_hides_that_it_is_async_is_told_so() -> None:
    async def hidden(pairs: Texts) -> list[float]:
        return detect(pairs)

    assert "expected it to be declared with async def" in refused(lambda pairs: hidden([*pairs]))


def test_an_async_function_that_takes_too_long_is_cancelled() -> None:
    cancelled: list[str] = []

    async def hangs(pairs: Texts) -> list[float]:
        if "lamp 4 " in pairs[0][0]:
            try:
                await asyncio.sleep(600)
            finally:
                cancelled.append(pairs[0][0])
        return detect(pairs)

    found = seen(FunctionDetector(hangs, batch_size=2, timeout_s=0.2, concurrency=2))
    assert found == [*EXPECTED[:4], "timeout", "timeout", *EXPECTED[6:]]
    assert cancelled == ["The lamp 4 is on."]


def test_a_timeout_of_its_own_is_what_it_raised(folder: Path) -> None:
    async def own(pairs: Texts) -> list[float]:
        raise TimeoutError("of its own")

    assert seen(FunctionDetector(own, timeout_s=5)) == ["raised"] * 20


def test_what_is_in_flight_ends_with_who_stops_listening() -> None:
    ended = threading.Event()

    async def endless(pairs: Texts) -> list[float]:
        if "lamp 0 " in pairs[0][0]:
            return detect(pairs)
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()
        return []

    stream = FunctionDetector(endless, batch_size=1, concurrency=2).stream(PAIRS)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert ended.wait(5)


def test_a_sync_function_that_hangs_fails_its_batch_and_is_left_alone() -> None:
    let_go = threading.Event()

    def hangs(pairs: Texts) -> list[float]:
        if "lamp 4 " in pairs[0][0]:
            let_go.wait(60)
        return detect(pairs)

    found = seen(FunctionDetector(hangs, batch_size=2, timeout_s=0.2))
    let_go.set()
    assert found == [*EXPECTED[:4], "timeout", "timeout", *EXPECTED[6:]]


def test_after_five_hanging_batches_the_detector_gives_up_and_names_the_remedy() -> None:
    let_go = threading.Event()
    told = refused(lambda pairs: let_go.wait(60), batch_size=2, timeout_s=0.05)
    let_go.set()
    assert "5 batches took more than 0.05 s each and still go on" in told
    assert "workers=1" in told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_rules:detect", "own_rules.py:detect_async"])
@pytest.mark.parametrize("workers", [1, 2])
def test_processes_give_the_same_as_this_one(folder: Path, name: str, workers: int) -> None:
    detector = FunctionDetector.named(name, batch_size=3)
    assert seen(detector, workers) == seen(detector) == EXPECTED
    assert detector.counts["workers_used"] == workers


@pytest.mark.slow
def test_so_many_processes_work_as_are_asked_for_and_none_is_left(folder: Path) -> None:
    detector = FunctionDetector.named("own_rules:process", batch_size=1, workers=2)
    outcomes = list(detector.stream(PAIRS))
    processes = {int(one.reasoning) for one in outcomes if isinstance(one, Verdict)}
    assert len(processes) == 2
    assert os.getpid() not in processes
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [("own_rules:hangs", "timeout"), ("own_rules:dies", "worker_died")]
)
def test_a_process_that_hangs_or_dies_costs_its_batch_and_another_goes_on(
    folder: Path, name: str, kind: str
) -> None:
    begun = time.monotonic()
    found = seen(FunctionDetector.named(name, batch_size=2, timeout_s=1.0), 2)
    assert found == [*EXPECTED[:4], kind, kind, *EXPECTED[6:]]
    assert time.monotonic() - begun < 30


@pytest.mark.slow
def test_an_exception_in_a_process_is_logged_with_its_own_traceback(folder: Path) -> None:
    (folder / "own_faults.py").write_text("def detect(pairs):\n    return 1 / 0\n")
    (failure, *_) = FunctionDetector.named("own_faults:detect").stream(PAIRS, 1)
    assert isinstance(failure, Failure)
    assert 'own_faults.py", line 2' in Path(failure.message.rpartition(" is in ")[2]).read_text()


@pytest.mark.slow
def test_a_breach_of_the_contract_in_a_process_ends_the_work(folder: Path) -> None:
    (folder / "own_faults.py").write_text("def detect(pairs):\n    return [2.0] * len(pairs)\n")
    with pytest.raises(UserError, match=r"own_faults:detect, batch 1 .* the score of its answer 0 is 2.0"):
        seen(FunctionDetector.named("own_faults:detect"), 2)


@pytest.mark.slow
def test_a_module_that_only_its_process_cannot_import_is_an_error(folder: Path) -> None:
    detector = FunctionDetector.named("own_rules:detect")
    (folder / "own_rules.py").write_text("import sys\nsys.exit(4)\n")
    with pytest.raises(UserError, match="own_rules cannot be imported: SystemExit"):
        seen(detector, 1)


@pytest.mark.slow
def test_a_function_of_a_script_works_in_processes(folder: Path) -> None:
    (folder / "script.py").write_text(
        textwrap.dedent("""
        from kimera.detectors import FunctionDetector

        def detect(pairs):
            return [0.75 for _ in pairs]

        if __name__ == "__main__":
            print([one.score for one in FunctionDetector(detect).stream([("a", "b")] * 3, workers=2)])
        """)
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py"], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stdout == "[0.75, 0.75, 0.75]\n", done.stderr


@pytest.mark.parametrize(
    "function", [lambda pairs: detect([*pairs]), functools.partial(detect), FunctionDetector(detect).stream]
)
def test_what_has_no_name_cannot_be_had_by_processes(function: Any) -> None:
    with pytest.raises(UserError, match="leave workers out, or define it with def at the top of a module"):
        FunctionDetector(function, workers=2)
    with pytest.raises(UserError, match="other processes cannot import"):
        list(FunctionDetector(function).stream(PAIRS, workers=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; give 1 or more"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"timeout_s": 0}, "timeout_s is 0; expected seconds above 0"),
        ({"timeout_s": float("nan")}, "timeout_s is nan"),
        ({"workers": 0}, "workers is 0"),
        ({"concurrency": 3}, "is not async, so concurrency=3 has no effect"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    assert message in refused(detect, **options)


def test_what_cannot_be_called_is_refused() -> None:
    assert "'x' cannot be called; expected a function, or its name" in refused("x")  # type: ignore[arg-type]


def test_settings_change_with_the_file_of_the_function_and_are_fit_for_json(folder: Path) -> None:
    before = FunctionDetector.named("own_rules.py:detect").settings
    (folder / "own_rules.py").write_text(textwrap.dedent(MODULE).replace("0.2", "0.3"))
    after = FunctionDetector.named("own_rules.py:detect").settings
    assert {name for name in before if before[name] != after[name]} == {"source_sha256"}
    assert json.loads(json.dumps(after)) == after


def test_the_latency_of_a_verdict_is_its_batch_s_time_over_its_pairs() -> None:
    def slow(pairs: Texts) -> list[float]:
        time.sleep(0.1)
        return detect(pairs)

    (verdict, *_) = FunctionDetector(slow, batch_size=10).stream(PAIRS)
    assert isinstance(verdict, Verdict)
    assert 10 <= verdict.latency_ms < 30


def test_progress_is_told_by_pairs_and_pairs_are_taken_as_they_are_needed() -> None:
    told: list[int] = []
    taken: list[Pair] = []

    def source() -> Any:
        for pair in PAIRS:
            taken.append(pair)
            yield pair

    stream = FunctionDetector(detect, batch_size=8).stream(source(), on_progress=told.append)
    next(stream)
    assert len(taken) == 8
    list(stream)
    assert told == [8, 8, 4]
