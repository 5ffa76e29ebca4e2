"""One statement by a request: POST /check, under the rules and limits of the WebSocket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, ValidationError
from live_servers import FROM_SERVER, HeldFinder, Served, serving, welcomed

from kimera.live.protocol import load_schema
from kimera.live.session import ContradictionFinder

CLOSED, OPEN = "The office is closed on Fridays.", "The office opens every day of the week."
TOKEN = "correct-horse-battery"  # noqa: S105 (of the tests)
REQUEST = Draft202012Validator({**load_schema(), "$ref": "#/$defs/check_request"})


@pytest.fixture(scope="module")
def served(live_finder: ContradictionFinder) -> Iterator[Served]:
    with serving(live_finder, characters=100) as served:
        yield served


def asked(served: Served, body: Any, **headers: str) -> httpx.Response:
    """The reply, which has to be a message of the protocol."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    reply = httpx.post(f"{served.url}/check", content=content, headers=headers, timeout=20)
    if reply.status_code != 403:
        FROM_SERVER.validate(reply.json())
    return reply


def test_a_statement_is_checked_against_a_list_and_nothing_is_kept(served: Served) -> None:
    body = {"id": "mine", "text": OPEN, "against": ["My cat sleeps on the sofa.", CLOSED]}
    REQUEST.validate(body)
    reply = asked(served, body)
    assert reply.status_code == 200
    checked = reply.json()
    [found] = checked["contradictions"]
    assert (checked["id"], checked["number"]) == ("mine", 3)
    assert (found["earlier"]["number"], found["earlier"]["text"], found["later"]["text"]) == (2, CLOSED, OPEN)
    assert asked(served, {"text": OPEN, "against": []}).json()["contradictions"] == []
    assert served.holds(sessions=0, statements=0)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "not_json"),
        (b'"text"', 400, "not_json"),
        (b'{"text": "\xff"}', 400, "not_json"),
        ({"against": []}, 400, "bad_field"),
        ({"text": OPEN}, 400, "bad_field"),
        ({"text": OPEN, "against": [], "session": "a"}, 400, "bad_field"),
        ({"text": OPEN, "against": CLOSED}, 400, "bad_field"),
        ({"text": OPEN, "against": [3]}, 400, "bad_field"),
        ({"text": OPEN, "against": [], "remember": True}, 400, "bad_field"),
        ({"text": OPEN, "session": "a", "remember": 1}, 400, "bad_field"),
        ({"text": OPEN, "session": ""}, 400, "bad_field"),
        ({"text": OPEN, "against": [], "id": ""}, 400, "bad_field"),
        ({"text": " ", "against": []}, 400, "empty_text"),
        ({"text": "x" * 101, "against": []}, 413, "too_long"),
        ({"text": OPEN, "against": ["x"] * 257}, 413, "too_long"),
        ({"text": OPEN, "against": [], "more": "x" * 3_000_000}, 413, "too_large"),
        ({"text": OPEN, "session": "a"}, 400, "no_store"),
    ],
)
def test_what_is_no_request_is_refused_with_the_reason(
    served: Served, body: Any, status: int, kind: str
) -> None:
    reply = asked(served, body)
    assert (reply.status_code, reply.json()["kind"]) == (status, kind)
    if kind in ("bad_field", "empty_text"):
        with pytest.raises(ValidationError):
            REQUEST.validate(body)


def test_pages_and_hosts_are_let_in_as_by_the_websocket(live_finder: ContradictionFinder) -> None:
    body = {"text": OPEN, "against": [CLOSED]}
    page = "https://notes.example"
    with serving(live_finder, origins=(page,)) as served:
        assert asked(served, body, Origin="https://evil.example").status_code == 403
        assert asked(served, body, Host="evil.example").status_code == 403
        assert asked(served, body, Content_Type="text/plain").json()["kind"] == "not_json_type"
        reply = asked(served, body, Origin=page)
        assert (reply.status_code, reply.headers["Access-Control-Allow-Origin"]) == (200, page)
        before = httpx.options(f"{served.url}/check", headers={"Origin": page})
        assert (before.status_code, before.headers["Access-Control-Allow-Methods"]) == (204, "POST")
        assert httpx.get(f"{served.url}/check").status_code == 405


def test_the_token_is_asked_for(live_finder: ContradictionFinder) -> None:
    body = {"text": OPEN, "against": [CLOSED]}
    with serving(live_finder, token=TOKEN) as served:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            reply = asked(served, body, **headers)
            assert (reply.status_code, reply.json()["kind"]) == (401, "unauthorized")
        assert asked(served, body, Authorization=f"Bearer {TOKEN}").status_code == 200


def test_a_request_takes_the_place_of_a_session_while_it_lasts(live_finder: ContradictionFinder) -> None:
    body = {"text": OPEN, "against": [CLOSED]}
    with serving(live_finder, connections=1) as served:

        async def run() -> httpx.Response:
            async with welcomed(served):
                return await asyncio.to_thread(asked, served, body)

        busy = asyncio.run(run())
        assert (busy.status_code, busy.json()["kind"]) == (503, "busy")
        assert busy.headers["Retry-After"]
        assert served.holds(sessions=0, statements=0)
        assert asked(served, body).status_code == 200


def test_a_request_is_refused_when_the_server_stops() -> None:
    finder = HeldFinder()

    async def run(served: Served) -> httpx.Response:
        asking = asyncio.create_task(asyncio.to_thread(asked, served, {"text": OPEN, "against": [CLOSED]}))
        await asyncio.to_thread(finder.is_asked.wait)
        served.stop()
        finder.may_go.set()
        return await asking

    with serving(finder) as served:
        reply = asyncio.run(run(served))
    assert (reply.status_code, reply.json()["type"]) == (200, "checked")
