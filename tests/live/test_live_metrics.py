"""What a server has done, in the text format of Prometheus."""

from __future__ import annotations

import asyncio
import re

import httpx
from live_servers import Served, serving

from kimera.live.client import LiveClient
from kimera.live.metrics import Metrics
from kimera.live.session import ContradictionFinder

CLOSED, OPEN = "The office is closed on Fridays.", "The office opens every day of the week."
TOKEN = "correct-horse-battery"  # noqa: S105 (of the tests)


def samples(text: str) -> dict[str, float]:
    """By name and labels. Every line has to be of the format, and each name told before its samples."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        assert re.fullmatch(
            r'# HELP \w+ .+|# TYPE \w+ (counter|gauge|histogram)|\w+(\{\w+="[^"]*"\})? [\d.e-]+', line
        ), line
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    assert text.endswith("\n")
    return found


def test_answers_and_what_is_held_are_counted(live_finder: ContradictionFinder) -> None:
    async def run(served: Served) -> dict[str, float]:
        async with LiveClient(served.url) as client:
            _ = [answer async for answer in client.check_all([CLOSED, " ", OPEN])]
            reply = await asyncio.to_thread(httpx.get, f"{served.url}/metrics")
            assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert OPEN not in reply.text
            return samples(reply.text)

    with serving(live_finder) as served:
        counted = asyncio.run(run(served))
        httpx.post(f"{served.url}/check", json={"text": OPEN})
        after = samples(httpx.get(f"{served.url}/metrics").text)
    assert (counted["kimera_live_sessions"], counted["kimera_live_statements"]) == (1, 2)
    assert counted['kimera_live_answers_total{kind="checked"}'] == 2
    assert counted['kimera_live_answers_total{kind="empty_text"}'] == 1
    assert counted["kimera_live_contradictions_total"] == 1
    assert counted["kimera_live_check_seconds_count"] == 2
    assert after['kimera_live_answers_total{kind="bad_field"}'] == 1


def test_a_bucket_holds_what_the_ones_before_it_hold() -> None:
    metrics = Metrics()
    for latency_ms in (1, 5, 6, 10_000):
        metrics.count({"type": "checked", "contradictions": [], "latency_ms": latency_ms, "failed": 2})
    counted = samples(metrics.text({}))
    buckets = [value for name, value in counted.items() if "_bucket" in name]
    assert (buckets[0], buckets[1], buckets[-2], buckets[-1]) == (2, 3, 3, 4)
    assert counted["kimera_live_check_seconds_sum"] == 10.012
    assert counted["kimera_live_failed_candidates_total"] == 8


def test_the_token_is_asked_for(live_finder: ContradictionFinder) -> None:
    with serving(live_finder, token=TOKEN) as served:
        assert httpx.get(f"{served.url}/metrics").status_code == 401
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{served.url}/metrics", headers=headers).status_code == 200
