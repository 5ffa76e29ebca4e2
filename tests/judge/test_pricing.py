"""Prices, estimates and the cost limit: the dollars are those of a hand sum, and nobody invents any."""

import argparse
import asyncio
import re
import socket
import subprocess
import sys
from dataclasses import replace

import genai_prices
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators import PAIRS, QUICK, SimulatorThread

from benchmarks.judge.attempts import Attempt
from benchmarks.judge.pricing import (
    CHAT_OVERHEAD_TOKENS,
    CostLimit,
    Estimate,
    Price,
    billed_usage,
    estimate,
    parse_price,
    price_among,
    price_of,
    stated_price,
    worst_case,
)
from benchmarks.judge.prompts import Prompt
from benchmarks.judge.protocols import protocol_named
from benchmarks.judge.usage import UNKNOWN, Usage
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.errors import UserError

OPENAI = "https://api.openai.com/v1"
GPT_4O = Price(input=2.5, cached_input=1.25, output=10)


def test_a_cost_is_the_hand_sum():
    """1,000 fresh and 500 cached prompt tokens, and 200 of completion: 0.0025 + 0.000625 + 0.002 dollars."""
    usage = Usage(prompt=1500, completion=200, cached=500)
    assert GPT_4O.cost(usage) == pytest.approx(0.005125, abs=1e-9)


def test_reasoning_is_paid_as_a_part_of_the_completion_and_not_again():
    assert GPT_4O.cost(Usage(completion=900, reasoning=800)) == GPT_4O.cost(Usage(completion=900))


def test_more_cached_tokens_than_the_prompt_has_earn_nothing():
    assert GPT_4O.cost(Usage(prompt=100, cached=10_000)) == GPT_4O.cost(Usage(prompt=100, cached=100))


token_counts = st.integers(0, 2**30)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.builds(Usage, token_counts, token_counts, st.just(0)), max_size=20))
def test_the_cost_of_a_sum_is_the_sum_of_the_costs(usages):
    total = GPT_4O.cost(sum(usages, Usage()))
    assert total == pytest.approx(sum(map(GPT_4O.cost, usages)), rel=1e-12, abs=1e-9)


def test_gpt_4o_has_its_list_price():
    assert price_of("gpt-4o", OPENAI) == GPT_4O


def test_a_dated_snapshot_of_a_model_has_a_price():
    assert price_of("gpt-4o-mini-2024-07-18", OPENAI) == price_of("gpt-4o-mini", OPENAI)


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4-turbo", "gpt-5.4", "gpt-5.6-sol", "o3"])
def test_a_request_costs_what_the_price_table_makes_of_it(model):
    """Models with a plain price, none for cached input, tiers by length, tiers and dates, and dates."""
    table_usage = genai_prices.Usage(input_tokens=1500, cache_read_tokens=500, output_tokens=200)
    expected = genai_prices.calc_price(table_usage, model, provider_api_url=OPENAI).total_price
    price = price_of(model, OPENAI)
    assert price is not None
    assert price.cost(Usage(prompt=1500, completion=200, cached=500)) == pytest.approx(
        float(expected), abs=1e-9
    )


def test_without_a_price_for_cached_input_it_costs_what_all_input_does():
    price = price_of("gpt-4-turbo", OPENAI)
    assert price is not None
    assert price.cached_input == price.input > 0


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("gpt-4o", "http://127.0.0.1:8000/v1"),
        ("gpt-4o", "http://localhost:8000/v1"),
        ("gpt-4o", "https://llm.example.org/v1"),
        ("gpt-4o", "https://api.deepseek.com"),
        ("no-such-model", OPENAI),
        ("", OPENAI),
        ("text-embedding-3-small", OPENAI),  # no output
        ("sonar-pro", "https://api.perplexity.ai"),  # a fee per request besides
    ],
)
def test_what_has_no_certain_price_has_none(model, base_url):
    assert price_of(model, base_url) is None


def test_another_provider_is_known_by_its_address():
    assert price_of("deepseek-chat", "https://api.deepseek.com/v1") is not None


def test_a_price_is_found_without_a_network(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert price_of("gpt-4o-mini", OPENAI) is not None


def test_the_price_table_is_loaded_only_when_asked_for():
    code = "import sys, benchmarks.judge.pricing; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("2.5,10", Price(input=2.5, cached_input=2.5, output=10)),
        ("2.5,1.25,10", GPT_4O),
        (" 0.15 , 0.6 ", Price(input=0.15, cached_input=0.15, output=0.6)),
        ("0,0", Price(input=0, cached_input=0, output=0)),
    ],
)
def test_a_price_is_given_as_two_or_three_numbers(text, price):
    assert parse_price(text) == price


@pytest.mark.parametrize(
    "text", ["", "2.5", "2.5,", "5,1,2,3,4", "-1,10", "nan,10", "2.5,inf", "$2,$10", "a,b"]
)
def test_anything_else_is_the_users_mistake(text):
    with pytest.raises(UserError, match="IN,OUT, IN,CACHED,OUT or IN,CACHED,WRITTEN,OUT"):
        parse_price(text)


def test_a_cached_price_in_the_wrong_place_is_noticed():
    with pytest.raises(UserError, match="the order is IN,CACHED,OUT"):
        parse_price("2.5,10,1.25")


ONE = Price(input=1, cached_input=1, output=2)
OTHER = Price(input=3, cached_input=3, output=4)


@pytest.mark.parametrize(
    ("texts", "model", "price"),
    [
        ([], "a", None),
        (["1,2"], "a", ONE),
        (["1,2", "a:3,4"], "a", OTHER),
        (["a:3,4", "1,2"], "b:8b", ONE),
        (["b:8b:3,4"], "b:8b", OTHER),
        (["b:8b:3,4"], "a", None),
    ],
)
def test_a_models_own_price_goes_before_that_of_all(texts, model, price):
    assert price_among(texts, "--price", model, ["a", "b:8b"]) == price
    assert [stated_price(text) for text in texts] == texts


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["c:1,2"], "--price c:1,2: no judge of this run is called 'c'; they are a, b"),
        (["1,2", "3,4"], "--price is given twice for all judges"),
        (["a:1,2", "a:1,2"], "--price is given twice for a;"),
    ],
)
def test_prices_that_contradict_each_other_are_the_users_mistake(texts, reason):
    with pytest.raises(UserError, match=re.escape(reason)):
        price_among(texts, "--price", "a", ["a", "b"])


@pytest.mark.parametrize("text", [":1,2", " :1,2", "a:", "a:1", "a=1,2"])
def test_a_flag_says_at_once_what_is_wrong_with_a_price(text):
    with pytest.raises(argparse.ArgumentTypeError, match="price"):
        stated_price(text)


def test_an_estimate_counts_a_token_for_four_characters_of_english():
    dollars = (200 * 2.5 + 2 * 50 * 10) / 1e6
    assert estimate(iter(["a" * 300, "b" * 500]), GPT_4O) == Estimate(
        2, 200, 100, pytest.approx(dollars, abs=1e-12)
    )


def test_an_estimate_takes_a_chinese_character_for_more_than_a_quarter_of_a_token():
    assert estimate(["猫在垫子上"], GPT_4O).prompt_tokens == 4


def test_without_a_price_an_estimate_has_no_dollars():
    assert estimate(["text"], None, completion_tokens=7) == Estimate(1, 1, 7, None)


def test_an_estimate_of_nothing_is_nothing():
    assert estimate([], GPT_4O) == Estimate(0, 0, 0, 0.0)


@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_a_refused_request_is_billed_nothing(status):
    assert billed_usage(Attempt(10.0, status, "refused", Usage())) == Usage()


@pytest.mark.parametrize(
    "attempt",
    [
        Attempt(30_000.0, None, "timeout", Usage()),
        Attempt(10.0, None, "connection", Usage()),
        Attempt(10.0, 200, None, UNKNOWN),
        Attempt(10.0, 200, "bad_response", UNKNOWN),
    ],
)
def test_what_may_have_been_billed_is_not_called_free(attempt):
    assert billed_usage(attempt) == UNKNOWN


def test_an_unusable_reply_is_billed_like_any_other():
    usage = Usage(prompt=300, completion=1024)
    assert billed_usage(Attempt(10.0, 200, "truncated", usage)) == usage


def test_the_worst_case_of_a_request_is_reserved_and_replaced_by_its_cost():
    limit = CostLimit(1.0, GPT_4O)
    reservation = limit.reserve(prompt_bytes=1000, max_tokens=1024)
    assert reservation is not None
    worst = ((1000 + CHAT_OVERHEAD_TOKENS) * 2.5 + 1024 * 10) / 1e6
    assert (limit.spent, limit.reserved) == (0, pytest.approx(worst, abs=1e-12))
    limit.settle(reservation, Usage(prompt=300, completion=50))
    assert (limit.spent, limit.reserved) == (pytest.approx(0.00125, abs=1e-12), 0)


def test_a_request_of_unknown_usage_counts_as_its_worst_case():
    limit = CostLimit(1.0, GPT_4O)
    reservation = limit.reserve(1000, 1024)
    assert reservation is not None
    reserved = limit.reserved
    limit.settle(reservation, UNKNOWN)
    assert (limit.spent, limit.reserved) == (reserved, 0)


def test_what_is_known_of_a_request_counts_and_the_rest_is_reckoned_and_said_once():
    said = []
    limit = CostLimit(1.0, GPT_4O, say=said.append)
    for _ in range(2):
        reservation = limit.reserve(1000, 1024)
        assert reservation is not None
        limit.settle(reservation, Usage(prompt=300, completion=None, cached=None))
    assert limit.spent == pytest.approx(2 * (300 * 2.5 + 1024 * 10) / 1e6)
    assert len(said) == 1
    assert "$0.0134" in said[0]


def test_replies_of_an_earlier_session_without_usage_are_reckoned_like_the_next_request():
    limit = CostLimit(0.05, GPT_4O)  # the worst case of a request is 0.01338
    limit.add_earlier(Usage(prompt=300, completion=50), unknown=3)
    assert limit.reserve(1000, 1024) is None
    assert limit.spent == pytest.approx(0.00125 + 3 * 0.01338)


def test_a_request_that_might_pass_the_limit_is_refused_until_another_is_settled():
    limit = CostLimit(0.02, GPT_4O)
    first = limit.reserve(1000, 1024)
    assert first is not None
    assert limit.reserve(1000, 1024) is None
    limit.settle(first, Usage(prompt=300, completion=50))
    assert limit.reserve(1000, 1024) is not None


def test_a_limit_that_no_request_fits_refuses_the_first():
    limit = CostLimit(0.0001, GPT_4O)
    assert limit.reserve(1000, 1024) is None
    assert limit.in_flight == 0


def test_a_judge_that_counts_more_than_was_reserved_ends_the_reserving():
    limit = CostLimit(0.02, GPT_4O)
    reservation = limit.reserve(1000, 1024)
    assert reservation is not None
    limit.settle(reservation, Usage(prompt=10**9))
    assert limit.reserve(0, 1) is None


def test_what_is_written_to_the_cache_has_a_price_of_its_own() -> None:
    price = parse_price("4,1,5,20")
    usage = Usage(prompt=1000, completion=100, cached=200, written=300)
    assert price.cost(usage) == pytest.approx((500 * 4 + 200 * 1 + 300 * 5 + 100 * 20) / 1e6)
    assert price.halved().cost(usage) == pytest.approx(price.cost(usage) / 2)
    assert price.costs(np.array([usage.as_tuple()], np.uint64))[0] == pytest.approx(price.cost(usage))
    assert parse_price("4,1,20").cost(usage) == pytest.approx((800 * 4 + 200 + 100 * 20) / 1e6)
    worst = worst_case(price, 1000, 50)
    assert price.cost(worst) == pytest.approx(((1000 + CHAT_OVERHEAD_TOKENS) * 5 + 50 * 20) / 1e6)


@pytest.mark.parametrize("name", ["chat-completions", "responses", "anthropic", "decisions"])
def test_what_a_reply_says_was_written_is_counted(name: str) -> None:
    config = replace(QUICK, cached_share=0.5, written_share=0.25)
    with SimulatorThread(config) as server:
        client = AsyncOpenAIClient(
            base_url=server.base_url,
            model="m",
            protocol=protocol_named(name),
            prompt=Prompt("test", "1", "", "First: {text1} Second: {text2} Reply in JSON."),
        )

        async def ask() -> Usage:
            async with client:
                return (await client.judge(PAIRS[0].text1, PAIRS[0].text2)).usage

        usage, stats = asyncio.run(ask()), server.stats()
    assert usage.written == stats["written_tokens"] > 0


@st.composite
def requests(draw):
    """(bytes, most tokens, how soon it is settled, usage within the bound, in part or unknown)."""
    size, maximum = draw(st.integers(0, 5000)), draw(st.integers(1, 5000))
    prompt = draw(st.integers(0, size + CHAT_OVERHEAD_TOKENS))
    usage = Usage(prompt, draw(st.integers(0, maximum)), draw(st.integers(0, prompt)))
    told = draw(st.sampled_from([usage, replace(usage, completion=None), UNKNOWN]))
    return size, maximum, draw(st.integers(0, 5)), told


@settings(deadline=None, max_examples=200)
@given(
    dollars=st.floats(0, 0.2),
    price=st.builds(Price, input=st.floats(0, 50), cached_input=st.floats(0, 60), output=st.floats(0, 100)),
    asked=st.lists(requests(), max_size=40),
)
def test_whatever_the_order_spending_never_passes_the_limit(dollars, price, asked):
    limit = CostLimit(dollars, price)
    in_flight = []
    for size, maximum, place, usage in asked:
        reservation = limit.reserve(size, maximum)
        if reservation is not None:
            in_flight.insert(place, (reservation, usage))
        if reservation is None or len(in_flight) > 4:
            while in_flight and len(in_flight) > 2:
                limit.settle(*in_flight.pop())
                assert limit.spent <= dollars * (1 + 1e-12)
    for reservation, usage in in_flight:
        limit.settle(reservation, usage)
    assert limit.spent <= dollars * (1 + 1e-12)
    assert (limit.reserved, limit.in_flight) == (0, 0)


def test_workers_that_wait_for_money_use_the_limit_up_and_end():
    """Eight workers, room for two worst cases at a time: each waits for another's change, none for ever."""
    limit = CostLimit(0.05, GPT_4O)
    usage = Usage(prompt=300, completion=50)  # 0.00125 dollars; the worst case is 0.01338

    async def work() -> None:
        while True:
            while (reservation := limit.reserve(1000, 1024)) is None:
                if not limit.in_flight:
                    return
                await limit.settlement()
            await asyncio.sleep(0)
            limit.settle(reservation, usage)

    async def run() -> None:
        async with asyncio.timeout(30):
            await asyncio.gather(*(work() for _ in range(8)))

    asyncio.run(run())
    assert 0.05 - 0.01338 - 0.00125 < limit.spent <= 0.05
