"""What asking a judge costs: prices per token, an estimate before a run, a limit during one."""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from benchmarks.judge.attempts import Attempt
from benchmarks.judge.model_scope import require_judge
from benchmarks.judge.usage import Usage, unstated
from kimera.errors import UserError

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
TOKENS_PER_PRICE = 1_000_000
BYTES_PER_TOKEN = 4  # of English; most tokenizers are within a third of it
REASONED_COMPLETION_TOKENS = 120  # of a few sentences and a verdict
TYPICAL_COMPLETION_TOKENS = 50  # a verdict and a sentence; a judge that thinks first writes far more
# What the chat format may add to the bytes of a request: role marks, and a system message of the provider's.
CHAT_OVERHEAD_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars per million tokens; where a provider has no price for cached input, that of all input.

    written_input: of what is put into its cache; None where that is input like any other.
    """

    input: float
    cached_input: float
    output: float
    written_input: float | None = None

    def cost(self, usage: Usage) -> float:
        """Dollars for what is counted of it; `usage.is_known` says whether that is all.

        Cached and written tokens are parts of the prompt, reasoning tokens one of the completion. Where an
        endpoint tells nothing of its cache, none of the prompt was cached.
        """
        prompt, completion, cached = usage.prompt or 0, usage.completion or 0, usage.cached or 0
        cached = min(cached, prompt)
        written = min(usage.written or 0, prompt - cached)
        dollars = (prompt - cached) * self.input + cached * self.cached_input + completion * self.output
        return (dollars + written * self._for_writing) / TOKENS_PER_PRICE

    @property
    def _for_writing(self) -> float:
        """What is paid for it beside the price of input."""
        return 0.0 if self.written_input is None else self.written_input - self.input

    def halved(self) -> Price:
        """That of batches, at every provider whose batches are asked for here."""
        return Price(
            input=self.input / 2,
            cached_input=self.cached_input / 2,
            output=self.output / 2,
            written_input=None if self.written_input is None else self.written_input / 2,
        )

    def costs(self, tokens: np.ndarray) -> np.ndarray:
        """Dollars, float64 (n,), of n pairs: tokens (n, 5), of the kinds and in the order of `TOKENS`."""
        prompt, completion, cached, _, written = tokens.astype(np.float64).T
        cached = np.minimum(cached, prompt)
        written = np.minimum(written, prompt - cached)
        dollars = (prompt - cached) * self.input + cached * self.cached_input + completion * self.output
        return np.asarray((dollars + written * self._for_writing) / TOKENS_PER_PRICE)


def price_of(model: str, base_url: str) -> Price | None:
    """The list price of a model at an endpoint, from the table that the installed genai-prices ships.

    The provider is the one whose address `base_url` is; the network is not asked. The price is the one of
    this hour, for standard processing and for prompts below the provider's first tier of long ones (32,000
    tokens or more); of writing to a prompt cache the one for its usual time.

    None where nobody can say: a local or unknown endpoint, a model that the provider does not list, one
    without a price per token for input and output, and one that costs a fee per request besides.
    """
    if is_local(base_url):
        return None
    import genai_prices  # takes long, and runs without a provider need none

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
        written_input=None if listed.cache_write_mtok is None else _below_tiers(listed.cache_write_mtok),
    )


def _below_tiers(price: Decimal | TieredPrices) -> float:
    return float(price if isinstance(price, Decimal) else price.base)


def is_local(base_url: str) -> bool:
    """Whether an endpoint is on this machine, where nothing is paid unless a price is given."""
    return urlsplit(base_url).hostname in LOOPBACK


def parse_price(text: str) -> Price:
    """Reads `IN,OUT`, `IN,CACHED,OUT` or `IN,CACHED,WRITTEN,OUT`, dollars per million tokens.

    Raises UserError for anything else.
    """
    try:
        prices = [float(part) for part in text.split(",")]
    except ValueError:
        prices = []
    if len(prices) not in {2, 3, 4} or not all(0 <= price < math.inf for price in prices):
        raise UserError(
            f"price {text!r}: expected IN,OUT, IN,CACHED,OUT or IN,CACHED,WRITTEN,OUT in dollars per million "
            "tokens, as in 2.5,10"
        )
    cached = prices[min(1, len(prices) - 2)]
    if cached > prices[0]:
        raise UserError(
            f"price {text!r}: cached input would cost more than uncached input; the order is IN,CACHED,OUT"
        )
    written = prices[2] if len(prices) == 4 else None
    return Price(input=prices[0], cached_input=cached, output=prices[-1], written_input=written)


def stated_price(text: str) -> str:
    """The text, if it is [MODEL:]PRICE as `parse_price` reads it. Raises ArgumentTypeError."""
    try:
        _model_and_price(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _model_and_price(text: str) -> tuple[str, Price]:
    """The model is empty where the price is of all judges."""
    model, colon, price = text.rpartition(":")
    if colon and not model.strip():
        raise UserError(f"price {text!r}: no model stands before the colon")
    return model.strip(), parse_price(price)


def price_among(texts: Sequence[str], flag: str, model: str, models: Sequence[str]) -> Price | None:
    """What a flag's values, each [MODEL:]PRICE, say of one model: its own price before that of all.

    models: the judges of the run. Raises UserError for a model that is none of them, and for two prices of
    one.
    """
    prices: dict[str, Price] = {}
    for text in texts:
        named, price = _model_and_price(text)
        require_judge(named, models, f"{flag} {text}")
        if named in prices:
            raise UserError(f"{flag} is given twice for {named or 'all judges'}; give it once")
        prices[named] = price
    return prices.get(model, prices.get(""))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would ask for, roughly: no tokenizer was used. `dollars` is None without a known price."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float | None


def typical_completion_tokens(reasoning_first: bool) -> int:
    return REASONED_COMPLETION_TOKENS if reasoning_first else TYPICAL_COMPLETION_TOKENS


def estimate(
    prompts: Iterable[str],
    price: Price | None,
    completion_tokens: int = TYPICAL_COMPLETION_TOKENS,
    verdicts: int = 0,
) -> Estimate:
    """Estimates one request for each prompt, all its messages as one text; retries and repairs come on top.

    completion_tokens: of one verdict. verdicts: how many there are in all, where a prompt asks for several.
    A token is taken for four bytes of UTF-8: four characters of English, somewhat more than one of Chinese.
    """
    requests = total_bytes = 0
    for prompt in prompts:
        requests += 1
        total_bytes += len(prompt.encode("utf-8", "surrogatepass"))
    prompt_tokens, all_completions = (
        math.ceil(total_bytes / BYTES_PER_TOKEN),
        (verdicts or requests) * completion_tokens,
    )
    dollars = price.cost(Usage(prompt_tokens, all_completions)) if price else None
    return Estimate(requests, prompt_tokens, all_completions, dollars)


def billed_usage(attempt: Attempt) -> Usage:
    """The tokens that an attempt is billed for, as far as they are known.

    A request that the endpoint refused (a status other than 200) costs nothing but what it says. One whose
    reply did not come whole may have been answered, and billed, all the same; so was a reply that states no
    tokens.
    """
    is_stated = attempt.status == 200 or bool(attempt.usage.prompt)
    return attempt.usage if is_stated else unstated(attempt.status)


def in_dollars(dollars: float) -> str:
    """With four decimals, and with as many as show something where these would be zeros."""
    return f"${dollars:,.4f}" if dollars >= 0.00005 or not dollars else f"${Decimal(f'{dollars:.1g}'):f}"


def worst_case(price: Price, prompt_bytes: int, max_tokens: int) -> Usage:
    """The dearest that a request can be: a token a byte, the longest reply, nothing cheaper from a cache."""
    prompt = prompt_bytes + CHAT_OVERHEAD_TOKENS
    ways = ({"cached": prompt}, {"cached": 0}, {"cached": 0, "written": prompt})
    return max((Usage(prompt, max_tokens, **way) for way in ways), key=price.cost)


class CostLimit:
    """Keeps what a run spends within `dollars`: each request's worst case is set aside before it is sent.

    Holds as long as a judge counts no more tokens than were set aside; where one does, nothing more can be
    reserved once the limit is reached. What a judge does not count is reckoned as what was set aside for it;
    `say` is told so once. Tokens are summed, not dollars, so that no rounding adds up. For use
    in one event loop:

        while (reservation := limit.reserve(len(body), max_tokens)) is None:
            if not limit.in_flight:
                return  # nothing will be given back: the money is spent
            await limit.settlement()
        ...
        limit.settle(reservation, billed_usage(attempt))
    """

    def __init__(
        self,
        dollars: float,
        price: Price,
        others: list[CostLimit] | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> None:
        """others: the limits of the run's other judges, which share the same dollars; this one joins them."""
        self.dollars = dollars
        self.price = price
        self._all = others if others is not None else []
        self._all.append(self)
        self._say = say
        self.in_flight = 0
        self.reckoned = 0  # replies that did not say what they cost
        self._earlier_unknown = 0
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
        for _ in range(self._earlier_unknown):  # nothing is left of them that says how large they were
            self._spent += worst
        self._earlier_unknown = 0
        if not self._committed() + self.price.cost(worst) <= self.dollars:
            return None
        self._reserved += worst
        self.in_flight += 1
        return worst

    @property
    def committed(self) -> Usage:
        """Tokens spent, and set aside for what is in flight."""
        return self._spent + self._reserved

    def _committed(self) -> float:
        return math.fsum(limit.price.cost(limit.committed) for limit in self._all)

    def explain(self, prompt_bytes: int, max_tokens: int) -> str:
        """Why a request of this size is not sent."""
        worst = self.price.cost(worst_case(self.price, prompt_bytes, max_tokens))
        spent = f"${self._committed():.4f} of ${self.dollars:g} is spent"
        return f"{spent}, and the next request may cost ${worst:.4f}"

    def add_earlier(self, usage: Usage, unknown: int = 0) -> None:
        """Counts what an earlier session of the run has spent.

        unknown: its requests that may have been billed besides; each is reckoned as the next one's worst.
        """
        self._spent += usage
        self._earlier_unknown += unknown

    def settle(self, reservation: Usage, usage: Usage, *, replied: bool = True) -> None:
        """Replaces a reservation by what the request cost; what is unknown of it counts as spent whole.

        replied: whether there was a reply, which might have said what it cost.
        """
        self._reserved -= reservation
        self._spent += usage.filled(reservation)
        if replied and not usage.is_known:
            self.reckoned += 1
            if self.reckoned == 1:
                aside = in_dollars(self.price.cost(reservation))
                self._say(
                    "a reply did not state its tokens: --max-cost counts such a reply as the full amount "
                    f"that was reserved for it, here {aside}, so the run may end early"
                )
        self.in_flight -= 1
        self._settlement.set()
        self._settlement = asyncio.Event()

    async def settlement(self) -> None:
        """Returns once a request in flight has been settled."""
        await self._settlement.wait()
