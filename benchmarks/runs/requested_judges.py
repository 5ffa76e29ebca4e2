"""The judges that the flags of a comparison ask for: their API, their parameters, prices and clients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from benchmarks.judge import (
    AUTO,
    DEFAULT_PROTOCOL,
    REASONING_FIRST,
    BatchOptions,
    CostLimit,
    Price,
    Prompt,
    RateLimits,
    ReplyCache,
    form_asked_first,
    httpx_available,
    leaves,
    load_prompt,
    parameters_for,
    price_among,
    price_of,
    protocol_at,
    protocol_named,
    repriced_by,
    resolved_base_url,
)
from benchmarks.openai_async import AsyncOpenAIClient
from benchmarks.settings import RunSettings
from kimera.console import note
from kimera.errors import UserError

if TYPE_CHECKING:
    from benchmarks.judge import ChatProtocol
    from kimera.pairs import Pair

# What --simulate asks: fast enough to watch, wrong often enough to be worth a comparison.
SIMULATED_LATENCY_MS, SIMULATED_SPREAD_MS, SIMULATED_ERROR_RATE = 200.0, 80.0, 0.05


def protocol_of(settings: RunSettings) -> ChatProtocol:
    """How the API of its judges speaks; the simulator speaks them all."""
    if settings.protocol != AUTO:
        return protocol_named(settings.protocol)
    return protocol_named(DEFAULT_PROTOCOL if settings.simulate else protocol_at(settings.base_url))


def judges_base_url(settings: RunSettings) -> str:
    return resolved_base_url(settings.base_url, protocol_of(settings))


def prompt_of(settings: RunSettings) -> Prompt:
    """What its judges are asked. Raises UserError for a file that cannot be used so."""
    first = settings.reasoning == REASONING_FIRST
    return load_prompt(settings.prompt, settings.classes, reasoning_first=first)


def parameters_of(settings: RunSettings, model: str) -> dict[str, Any]:
    """What --param gives the requests to one of its judges. Raises UserError for what cannot be given."""
    return parameters_for(settings.params, model, settings.models or (model,), protocol_of(settings).rules)


def price_for(settings: RunSettings, model: str, base_url: str) -> Price | None:
    """None where it is not known. Raises UserError where --max-cost needs it."""
    told = _told_price(settings, model)
    price = told or price_of(model, base_url)
    if settings.batch and not told:
        price = price and price.halved()
    if settings.max_cost and not price:
        raise UserError(f"--max-cost needs a price, and none is known for {model}; give --price IN,OUT")
    if settings.max_cost and not told and (repricing := _repricing(settings, model)):
        raise UserError(
            f"--max-cost needs the price of {model} with its {repricing}, and list prices are those of "
            "standard processing; give --price IN,OUT"
        )
    return price


def check_parameters(settings: RunSettings, model: str) -> None:
    """Says where --logprobs does nothing. Raises UserError for parameters that make no sense in this run."""
    protocol = protocol_of(settings)
    ours = dict(protocol.first_form(logprobs=settings.logprobs).optional)
    left = dict(form_asked_first(protocol, parameters_of(settings, model)).optional)
    if settings.votes and "seed" in ours and "seed" not in left:
        raise UserError(
            "--param seed does not go with --votes: with one seed all votes would say the same; leave it "
            "out, and each vote gets a seed of its own"
        )
    if settings.logprobs and "logprobs" not in ours:
        note(f"--logprobs does nothing here: --protocol {protocol.name} has no probabilities of tokens")


def _told_price(settings: RunSettings, model: str) -> Price | None:
    """What the flags say of one of its judges, as it is asked."""
    models = settings.models or (model,)
    told = price_among(settings.price, "--price", model, models)
    if not settings.batch:
        return told
    return price_among(settings.batch_price, "--batch-price", model, models) or (told and told.halved())


def _repricing(settings: RunSettings, model: str) -> str:
    """The parameters that change what a token costs, in words; empty for none."""
    paths = (path for path, _ in leaves(parameters_of(settings, model)))
    return " and ".join(repriced_by(protocol_of(settings).rules, paths))


def client_of(
    settings: RunSettings,
    model: str,
    prompt: Prompt,
    simulator: str | None,
    limits: list[CostLimit],
    replies: ReplyCache | None,
) -> tuple[AsyncOpenAIClient, Price | None]:
    concurrency = settings.concurrency or 1
    if concurrency != 1 and not httpx_available():
        note(f"httpx is not installed, so --async {concurrency} becomes sync mode: one request at a time")
        concurrency = 1
    client = AsyncOpenAIClient(
        "none" if simulator else settings.api_key,
        model,
        concurrency,
        simulator or settings.base_url,
        settings.timeout,
        settings.max_retries,
        prompt=prompt,
        headers=dict(settings.headers),
        rates=None if settings.batch else RateLimits(settings.rpm, settings.tpm),
        replies=replies,
        logprobs=settings.logprobs,
        protocol=protocol_of(settings),
        params=parameters_of(settings, model),
        sampled=settings.votes is not None,
        batch=BatchOptions(size=settings.batch_requests) if settings.batch else None,
        pairs_per_request=settings.pairs_per_request,
    )
    price = price_for(settings, model, client.endpoint.base_url)
    is_listed = price and not _told_price(settings, model)
    if is_listed and (repricing := _repricing(settings, model)):
        note(f"dollars of {model} are those of standard processing; give --price for its {repricing}")
    if settings.max_cost and price:
        client.cost_limit = CostLimit(settings.max_cost, price, limits, note)
    return client, price


@contextlib.contextmanager
def simulated(
    pairs: Iterable[Pair], prompt: Prompt, swap: bool, error_rate: float = SIMULATED_ERROR_RATE
) -> Iterator[str]:
    """The base URL of a simulated judge that knows the labels of these pairs."""
    # A server and its processes, which runs that are read back do not need.
    from benchmarks.simulator import SimulatorConfig, SimulatorProcess, answers_for

    config = SimulatorConfig(
        latency_ms=SIMULATED_LATENCY_MS, spread_ms=SIMULATED_SPREAD_MS, error_rate=error_rate
    )
    with SimulatorProcess(config, answers_for(pairs, prompt.question, swap)) as server:
        yield server.base_url
