"""What is sent in batches is paid for once, whatever goes wrong on the way, and whatever a server says."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from simulators import SimulatorThread
from test_batches import AT_ONCE, KNOWN, NOWHERE, PROMPT, SOON, asked, options

from benchmarks.judge.batches.anthropic_batches import AnthropicBatches
from benchmarks.judge.batches.batch_api import BatchApi
from benchmarks.judge.batches.batch_ledger import BatchLedger, SubmittedBatch, digest_of
from benchmarks.judge.batches.batch_transport import BatchOptions, BatchTransport
from benchmarks.judge.batches.calls import Calls, Patience
from benchmarks.judge.batches.earlier_requests import EarlierRequests
from benchmarks.judge.batches.openai_batches import OpenAIBatches
from benchmarks.judge.failures import InterruptedAskingError, JudgeError
from benchmarks.judge.transport_choice import open_transport
from benchmarks.judge.transports import HttpReply
from benchmarks.llm_compare import main
from benchmarks.runs import price_for
from benchmarks.runs.requested_judges import client_of
from benchmarks.settings import RunSettings
from kimera.errors import UserError

URL = f"{NOWHERE}/chat/completions"
OPENAI = OpenAIBatches(NOWHERE, "/v1/chat/completions")
ANTHROPIC = AnthropicBatches(f"{NOWHERE}/messages")
BODY = b'{"a": 1}'
KEY = "sk-0123456789abcdef"


class Api:
    """A transport that says what a function says of each call, and counts the posts."""

    def __init__(self, says: Callable[[str, str], HttpReply]) -> None:
        self._says = says
        self.posts = 0

    async def post(self, url: str, *_: object) -> HttpReply:
        self.posts += 1
        return self._says("POST", url)

    async def get(self, url: str, *_: object) -> HttpReply:
        return self._says("GET", url)

    async def aclose(self) -> None:
        raise AssertionError("whoever opened it closes it")


def ok(told: Any) -> HttpReply:
    return HttpReply(200, {}, json.dumps(told).encode())


def reply_to(
    transport: Api, api: BatchApi, batch: BatchOptions, waits_s: float = 5, **settings: Any
) -> HttpReply:
    async def ask() -> HttpReply:
        batches = BatchTransport(transport, api, batch, 1.0, **settings)
        try:
            return await asyncio.wait_for(batches.post(URL, {}, BODY, 1.0), waits_s)
        finally:
            await batches.aclose()

    return asyncio.run(ask())


def ledger_with(folder: Path, batch_id: str = "") -> BatchLedger:
    """One in which an earlier session has written down a batch of the one request."""
    ledger = BatchLedger(folder)
    batch = SubmittedBatch("m", 1e9, (digest_of(URL, BODY),))
    ledger.begin(batch)
    if batch_id:
        ledger.created(batch, batch_id)
    return BatchLedger(folder)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_of_another_key_loses_no_batch_that_was_submitted(tmp_path: Path, status: int) -> None:
    api = Api(lambda method, url: HttpReply(status, {}, b'{"error": {"message": "not yours"}}'))
    batch = options(ledger=ledger_with(tmp_path, "b"))
    if status == 401:  # as an endpoint says it of any request
        assert reply_to(api, OPENAI, batch).status == 401
    else:
        with pytest.raises(JudgeError, match=r"not yours.*batch b stays written down in .*ledger\.jsonl"):
            reply_to(api, OPENAI, batch)
    assert [kept.id for kept in BatchLedger(tmp_path)] == ["b"]
    assert api.posts == 0


def anthropic_batch(batch_id: str, made: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    counts = {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0}
    return {"id": batch_id, "created_at": made, "request_counts": counts, "processing_status": "ended"}


def test_a_batch_is_looked_for_behind_others_of_its_size(tmp_path: Path) -> None:
    names = {"known": "k-0", "stranger": "s-0", "ours": "m-0"}

    def says(method: str, url: str) -> HttpReply:
        if "?limit" in url:
            first = "after_id" not in url
            shown = ["known", "stranger"] if first else ["ours"]
            return ok({"data": [anthropic_batch(name) for name in shown], "has_more": first})
        batch_id = url.removesuffix("/results").rpartition("/")[2]
        if url.endswith("/results"):
            message = {"from": batch_id}
            return ok({"custom_id": names[batch_id], "result": {"type": "succeeded", "message": message}})
        return ok(anthropic_batch(batch_id))

    ledger = ledger_with(tmp_path)
    other = SubmittedBatch("k", 1e9, ("other",))
    ledger.begin(other)
    ledger.created(other, "known")
    api = Api(says)
    reply = reply_to(api, ANTHROPIC, options(ledger=ledger))
    assert json.loads(reply.body) == {"from": "ours"}
    assert api.posts == 0


def test_a_mark_is_looked_for_on_every_page_since_the_batch_was_begun(tmp_path: Path) -> None:
    lines = {"o": {"custom_id": "m-0", "response": {"status_code": 200, "body": {"is": "ours"}}}}

    def says(method: str, url: str) -> HttpReply:
        if "?limit" in url:
            first = "after" not in url
            marked = {"id": "other" if first else "b", "metadata": {"mark": "?" if first else "m"}}
            return ok({"data": [{**marked, "created_at": 2e9}], "has_more": True})
        return ok(lines["o"] if "/content" in url else {"status": "completed", "output_file_id": "o"})

    reply = reply_to(Api(says), OPENAI, options(ledger=ledger_with(tmp_path)))
    assert json.loads(reply.body) == {"is": "ours"}


def test_a_provider_that_fails_is_asked_again_after_pauses_that_grow() -> None:
    said: list[str] = []
    pace = replace(AT_ONCE, first_look_s=0.0, full_s=0.01, longest_full_s=0.03)

    def says(method: str, url: str) -> HttpReply:
        if method == "GET":
            return ok({"data": []})
        if url.endswith("/files"):
            return ok({"id": "f"})
        return HttpReply(500 if len(said) < 3 else 400, {}, b"down")

    with pytest.raises(JudgeError, match="refused with 400"):
        reply_to(Api(says), OPENAI, options(pace=pace, say=said.append))
    assert len(said) == 3
    assert all("500: down; submitting again in" in message for message in said)


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"[]", b"{}"])
def test_a_page_that_is_no_reply_of_the_api_ends_the_run_and_keeps_the_batch(page: bytes) -> None:
    api = Api(lambda method, url: ok({"id": "x"}) if method == "POST" else HttpReply(200, {}, page))
    run = asked(NOWHERE, transport=api)
    assert run["stats"]["errors"] == {"batch_refused": 1, "not_asked": 149}
    assert "no" in run["results"][0].message
    assert api.posts == 2, "one file, one batch"


def test_a_wrong_key_ends_the_run_at_once() -> None:
    with SimulatorThread(replace(SOON, api_key=KEY), KNOWN) as judge:
        run = asked(judge.base_url, api_key="sk-another-0123456789")
        assert judge.stats()["batches"] == []
    assert run["stats"]["errors"] == {"auth": 1, "not_asked": 149}


def test_what_a_server_quotes_of_the_key_is_never_said() -> None:
    said: list[str] = []
    begins = b"x" * 290  # a message is cut at 300: half a key would be left

    def says(method: str, url: str) -> HttpReply:
        return HttpReply(503 if not said else 400, {}, begins + KEY.encode())

    with pytest.raises(JudgeError) as raised:
        reply_to(
            Api(says),
            OPENAI,
            options(say=said.append, patience=Patience(0.01)),
            clean=lambda body: body.replace(KEY.encode(), b"***"),
        )
    assert said
    assert "sk-0" not in "".join(said) + raised.value.message


@pytest.mark.parametrize("steps", range(6))
def test_whoever_leaves_waits_for_nothing_however_far_a_batch_is(steps: int) -> None:
    async def leave() -> None:
        api = Api(lambda method, url: ok({"id": "x", "status": "in_progress"}))
        batches = BatchTransport(api, OPENAI, options(size=1), 1.0)
        asking = asyncio.create_task(batches.post(URL, {}, BODY, 1.0))
        for _ in range(steps):
            await asyncio.sleep(0)
        batches.leave()
        with pytest.raises(InterruptedAskingError):
            await asyncio.wait_for(asking, 1)
        await batches.aclose()

    asyncio.run(leave())


@pytest.mark.parametrize("code", ["request_timeout", "something_new", None])
def test_a_request_that_failed_within_its_batch_is_asked_again(code: str | None) -> None:
    line = {"custom_id": "m-0", "response": None, "error": {"code": code, "message": "x"}}

    async def replies() -> list[Any]:
        ended = {"status": "completed", "error_file_id": "e"}
        api = Api(lambda method, url: ok(line if "/content" in url else ended))
        return [reply async for _, reply in OPENAI.replies(Calls(api, {}, 1.0), "b")]

    assert [reply.status for reply in asyncio.run(replies())] == [500]


SERVED = {"custom_id": "m-0", "response": {"status_code": 200, "body": {"is": "ours"}}}
FAILED = {"custom_id": "m-0", "error": {"code": "x"}}
ANOTHERS = {"custom_id": "other-0", "response": {"status_code": 200, "body": {"is": "another's"}}}
EMPTY = {"id": "a line that says nothing"}


def lines(*told: Any) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in told)


@pytest.mark.parametrize(
    "files",
    [
        [lines(SERVED)[:-9], lines(SERVED)],
        [b"", lines(SERVED)],
        [b"<html>log in</html>", lines(SERVED)],
        [lines(EMPTY), lines(SERVED)],
        [lines(ANOTHERS, SERVED)],
        [lines(SERVED, ANOTHERS, FAILED)],
        [lines(FAILED, SERVED)],
    ],
)
def test_replies_that_come_torn_or_beside_others_are_not_paid_for_again(
    tmp_path: Path, files: list[bytes]
) -> None:
    left = iter(files)

    def says(method: str, url: str) -> HttpReply:
        if url.endswith("/content"):
            return HttpReply(200, {}, next(left))
        return ok(
            {"status": "completed", "request_counts": {"total": 1, "completed": 1}, "output_file_id": "o"}
        )

    api = Api(says)
    reply = reply_to(api, OPENAI, options(ledger=ledger_with(tmp_path, "b")))
    assert json.loads(reply.body) == {"is": "ours"}
    assert api.posts == 0
    assert next(left, None) is None


def test_replies_that_stay_torn_end_the_run_and_keep_the_batch(tmp_path: Path) -> None:
    ended = {"status": "completed", "output_file_id": "o"}
    api = Api(lambda method, url: HttpReply(200, {}, b'{"cut') if "/content" in url else ok(ended))
    with pytest.raises(JudgeError, match=r"no reply of a batch API: \{\"cut"):
        reply_to(api, OPENAI, options(ledger=ledger_with(tmp_path, "b")))
    assert [(kept.id, kept.is_over) for kept in BatchLedger(tmp_path)] == [("b", False)]


@pytest.mark.parametrize("batch_id", ["../files/x", "x\x1b[2J"])
def test_an_id_that_is_none_gets_into_no_address_and_onto_no_terminal(batch_id: str) -> None:
    api = Api(lambda method, url: ok({"id": "f" if url.endswith("/files") else batch_id, "data": []}))
    said: list[str] = []
    with pytest.raises(TimeoutError):  # nobody knows whether it was taken, so that it is looked for
        reply_to(api, OPENAI, options(say=said.append), waits_s=0.2)
    assert not any("submitted as" in message for message in said)


def test_of_two_batches_alike_whose_making_went_unheard_none_is_submitted_twice() -> None:
    async def ask(base_url: str) -> None:
        api = AnthropicBatches(f"{base_url}/messages")
        api.max_bytes = 1500  # requests that wait together go in batches of one
        carrier = open_transport(4)
        batches = BatchTransport(carrier, api, options(), 5.0)
        await asyncio.gather(
            *(batches.post(URL, {}, b'{"a": "%1000d"}' % number, 1.0) for number in range(3))
        )
        await batches.aclose()
        await carrier.aclose()

    with SimulatorThread(replace(SOON, batch_dropped=1.0)) as judge:
        asyncio.run(ask(judge.base_url))
        assert judge.stats()["batches"] == [1, 1, 1]


def test_a_batch_that_shows_up_late_is_waited_for(tmp_path: Path) -> None:
    looks = 0

    def says(method: str, url: str) -> HttpReply:
        nonlocal looks
        if "?limit" in url:
            looks += 1
            made = {"id": "b", "created_at": time.time(), "metadata": {"mark": "m"}}
            return ok({"data": [made] if looks > 5 else []})
        return (
            HttpReply(200, {}, lines(SERVED))
            if "/content" in url
            else ok({"status": "completed", "output_file_id": "o"})
        )

    ledger = BatchLedger(tmp_path)
    ledger.begin(SubmittedBatch("m", time.time(), (digest_of(URL, BODY),)))
    patient = replace(AT_ONCE, appears_s=30)
    api = Api(says)
    reply_to(api, OPENAI, options(ledger=BatchLedger(tmp_path), pace=patient))
    assert api.posts == 0


def test_answers_are_claimed_before_what_is_under_way_and_faults_not_at_all() -> None:
    ledger = BatchLedger()
    for mark, status in (("fault", 503), ("way", 0), ("refused", 400), ("useless", 200), ("good", 200)):
        batch = SubmittedBatch(mark, 1.0, ("d",), id=mark)
        ledger.begin(batch)
        if status:
            ledger.keep(batch, {0: HttpReply(status, {}, b"")})
    earlier = EarlierRequests(ledger, {"good-0"})
    claimed = [earlier.claim("d") for _ in range(4)]
    assert [found[0].mark if found else None for found in claimed] == ["useless", "way", "refused", None]


def test_limits_a_minute_hold_nothing_back_that_goes_in_batches() -> None:
    settings = RunSettings(batch=True, rpm=1.0, tpm=1.0)
    client, _ = client_of(settings, "m", PROMPT, NOWHERE, [], None)
    assert [client.endpoint.rates.reserve(1000).wait_s for _ in range(3)] == [0.0, 0.0, 0.0]


def test_prices_and_sizes_of_batches_without_batches_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--simulate", "--judge-only", "--max-pairs", "4", "--dry-run"]
    assert main([*flags, "--batch-price", "1,2", "--batch-requests", "5"]) == 0
    assert (
        "without effect unless --batch is given: --batch-requests, --batch-price" in capsys.readouterr().err
    )


def test_a_price_of_batches_is_a_price_that_is_told() -> None:
    settings = RunSettings(
        batch=True, max_cost=1.0, params=("service_tier=flex",), base_url="https://api.openai.com/v1"
    )
    with pytest.raises(UserError, match="--max-cost needs the price"):
        price_for(settings, "gpt-4o", "https://api.openai.com/v1")
    told = price_for(replace(settings, batch_price=("3,4",)), "gpt-4o", "https://api.openai.com/v1")
    assert told is not None
    assert told.input == 3.0


def test_a_dry_run_refuses_what_the_run_would(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--judge-only", "--batch", "--max-pairs", "4", "--dry-run"]
    assert main([*flags, "--protocol", "gemini", "--model", "g"]) == 2
    assert "--batch does not go with --protocol gemini" in capsys.readouterr().err
    assert main([*flags, "--simulate"]) == 0
    assert "4 requests in batches, about" in capsys.readouterr().out
