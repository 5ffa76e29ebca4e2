"""What asking a judge costs: prices per token, an estimate before a run, a limit during one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.judge import Attempt
from benchmarks.usage import Usage
from kimera.errors import UserError

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

TOKENS_PER_PRICE = 1_000_000
BYTES_PER_TOKEN = 4  # of English; most tokenizers are within a third of it
TYPICAL_COMPLETION_TOKENS = 50  # a verdict and a sentence; a judge that thinks first writes far more
# What the chat format may add to the bytes of a request: role marks, and a system message of the provider's.
CHAT_OVERHEAD_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars per million tokens; where a provider has no price for cached input, that of all input."""

    input: float
    cached_input: float
    output: float

    def cost(self, usage: Usage) -> float:
        """Dollars. Cached tokens are a part of the prompt, reasoning tokens of the completion."""
        cached = min(usage.cached, usage.prompt)
        return (
            (usage.prompt - cached) * self.input + cached * self.cached_input + usage.completion * self.output
        ) / TOKENS_PER_PRICE

    def costs(self, tokens: np.ndarray) -> np.ndarray:
        """Dollars, float64 (n,), of n pairs: tokens (n, 3), of the prompt, the completion, and cached."""
        prompt, completion, cached = tokens.astype(np.float64).T
        cached = np.minimum(cached, prompt)
        dollars = (prompt - cached) * self.input + cached * self.cached_input + completion * self.output
        return np.asarray(dollars / TOKENS_PER_PRICE)


def price_of(model: str, base_url: str) -> Price | None:
    """The list price of a model at an endpoint, from the table that the installed genai-prices ships.

    The provider is the one whose address `base_url` is; the network is not asked. The price is the one of
    this hour, for standard processing and for prompts below the provider's first tier of long ones (32,000
    tokens or more). What some providers add for writing to their prompt cache is not in it.

    None where nobody can say: a local or unknown endpoint, a model that the provider does not list, one
    without a price per token for input and output, and one that costs a fee per request besides.
    """
    import genai_prices

    try:
        listed = genai_prices.calc_price(genai_prices.Usage(), model, provider_api_url=base_url).model_price
    except LookupError:
        return None
    if listed.input_mtok is None or listed.output_mtok is None or listed.requests_kcount is not None:
        return None
    cached = listed.input_mtok if listed.cache_read_mtok is None else listed.cache_read_mtok
    return Price(
        input=_below_tiers(listed.input_mtok),
        cached_input=_below_tiers(cached),
        output=_below_tiers(listed.output_mtok),
    )


def _below_tiers(price: Decimal | TieredPrices) -> float:
    return float(price if isinstance(price, Decimal) else price.base)


def parse_price(text: str) -> Price:
    """Reads `IN,OUT` or `IN,CACHED,OUT`, dollars per million tokens. Raises UserError for anything else."""
    try:
        prices = [float(part) for part in text.split(",")]
    except ValueError:
        prices = []
    if len(prices) not in {2, 3} or not all(0 <= price < math.inf for price in prices):
        raise UserError(
            f"price {text!r}: expected IN,OUT or IN,CACHED,OUT in dollars per million tokens, as in 2.5,10"
        )
    if prices[-2] > prices[0]:
        raise UserError(
            f"price {text!r}: cached input would cost more than other input; the order is IN,CACHED,OUT"
        )
    return Price(input=prices[0], cached_input=prices[-2], output=prices[-1])


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would ask for, roughly: no tokenizer was used. `dollars` is None without a known price."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None


def estimate(
    prompts: Iterable[str], price: Price | None, completion_tokens: int = TYPICAL_COMPLETION_TOKENS
) -> Estimate:
    """Estimates one request for each prompt, all its messages as one text; retries and repairs come on top.

    A token is taken for four bytes of UTF-8: four characters of English, somewhat more than one of Chinese.
    """
    requests = total_bytes = 0
    for prompt in prompts:
        requests += 1
        total_bytes += len(prompt.encode("utf-8", "surrogatepass"))
    usage = Usage(math.ceil(total_bytes / BYTES_PER_TOKEN), requests * completion_tokens)
    dollars = price.cost(usage) if price else None
    return Estimate(requests, usage.prompt, usage.completion, dollars)


def billed_usage(attempt: Attempt) -> Usage | None:
    """The tokens that an attempt is billed for, or None where only an upper bound is known.

    A request that the endpoint refused (a status other than 200) costs nothing. One whose reply did not come
    whole may have been answered, and billed, all the same; so was a reply that states no tokens.
    """
    if attempt.status is None:
        return None
    if attempt.status != 200:
        return Usage()
    return attempt.usage if attempt.usage.prompt else None


def worst_case(price: Price, prompt_bytes: int, max_tokens: int) -> Usage:
    """The dearest that a request can be: a token a byte, the longest reply, nothing cheaper from a cache."""
    prompt = prompt_bytes + CHAT_OVERHEAD_TOKENS
    cached = prompt if price.cached_input > price.input else 0
    return Usage(prompt, max_tokens, cached)


class CostLimit:
    """Keeps what a run spends within `dollars`: each request's worst case is set aside before it is sent.

    Holds as long as a judge counts no more tokens than were set aside; where one does, nothing more can be
    reserved once the limit is reached. Tokens are summed, not dollars, so that no rounding adds up. For use
    in one event loop:

        while (reservation := limit.reserve(len(body), max_tokens)) is None:
            if not limit.in_flight:
                return  # nothing will be given back: the money is spent
            await limit.settlement()
        ...
        limit.settle(reservation, billed_usage(attempt))
    """

    def __init__(self, dollars: float, price: Price, others: list[CostLimit] | None = None) -> None:
        """others: the limits of the run's other judges, which share the same dollars; this one joins them."""
        self.dollars = dollars
        self.price = price
        self._all = others if others is not None else []
        self._all.append(self)
        self.in_flight = 0
        self._spent = Usage()
        self._reserved = Usage()
        self._settlement = asyncio.Event()

    @property
    def spent(self) -> float:
        """Dollars, those that may have been billed for requests without a known usage among them."""
        return self.price.cost(self._spent)

    @property
    def reserved(self) -> float:
        """Dollars set aside for the requests in flight."""
        return self.price.cost(self._reserved)

    def reserve(self, prompt_bytes: int, max_tokens: int) -> Usage | None:
        """Sets a request's worst case aside and gives it, or None if the limit might then be passed.

        prompt_bytes: the length of the request's whole body, schema and all; a prompt has at most one token
        a byte, and CHAT_OVERHEAD_TOKENS. max_tokens: the most that the completion, reasoning included, has.
        """
        worst = worst_case(self.price, prompt_bytes, max_tokens)
        if not self._committed() + self.price.cost(worst) <= self.dollars:
            return None
        self._reserved += worst
        self.in_flight += 1
        return worst

    def _committed(self) -> float:
        return math.fsum(limit.price.cost(limit._spent + limit._reserved) for limit in self._all)

    def explain(self, prompt_bytes: int, max_tokens: int) -> str:
        """Why a request of this size is not sent."""
        worst = self.price.cost(worst_case(self.price, prompt_bytes, max_tokens))
        spent = f"${self._committed():.4f} of ${self.dollars:g} is spent"
        return f"{spent}, and the next request may cost ${worst:.4f}"

    def add_earlier(self, usage: Usage) -> None:
        """Counts what an earlier session of the run has spent."""
        self._spent += usage

    def settle(self, reservation: Usage, usage: Usage | None) -> None:
        """Replaces a reservation by what the request cost; None counts it as spent whole."""
        self._reserved += Usage(-reservation.prompt, -reservation.completion, -reservation.cached)
        self._spent += reservation if usage is None else usage
        self.in_flight -= 1
        self._settlement.set()
        self._settlement = asyncio.Event()

    async def settlement(self) -> None:
        """Returns once a request in flight has been settled."""
        await self._settlement.wait()
