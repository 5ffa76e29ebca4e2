"""What the simulated judge is like and what it says: settings, answers and draws, without a socket.

Every draw is a hash of the seed, the pair and, where it may differ from one request for a pair to the next,
of how often that pair was asked before: order and concurrency change nothing, and a retry can succeed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple, TypeVar

from benchmarks.judge import DEFAULT_JUDGE, questions_in, without_reply_format
from kimera.console import option, share
from kimera.errors import UserError
from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL, RELATIONS, Pair

MODEL = "simulated-judge"
COMMON_MODELS = (MODEL, DEFAULT_JUDGE)  # which err alike, so that it is the same to name either or none
# What may go wrong with a request, drawn anew for each.
FAULTS = (
    "rate_limited",
    "server_error",
    "dropped",
    "stalled",
    "truncated",
    "malformed",
    "html_body",
    "cut_short",
    "hostile",
    "format_failed",
)
# In which shape refusals are told, see benchmarks.simulator.shapes; what may be gone.
REFUSAL_SHAPES = ("openai", "list", "detail", "gateway", "string", "flat", "text", "html", "opaque")
GONE = ("", "unknown", "retired", "deployment", "address", "openai", "vllm", "ollama", "llama.cpp", "azure")
# What may be wrong with a reply about several pairs, drawn anew for each: a number that is not there, one
# that is there twice, one that no pair has; and, which is no fault, sentences around the JSON.
GROUP_FAULTS = ("number_missing", "number_twice", "number_wrong", "text_around")
# Pairs that get no verdict however often they are asked.
WITHHELD = ("content_filter", "abstained")
# Request parameters that an endpoint may be told to refuse; "json_schema" is that type of response_format.
REFUSABLE = (
    "temperature",
    "response_format",
    "json_schema",
    "max_tokens",
    "max_completion_tokens",
    "seed",
    "logprobs",
    "reasoning_effort",
    "service_tier",
    "top_p",
    "verbosity",
)
KEY_BYTES = 16
BESIDE_OTHERS = 1_000_000  # more repeats than there are: a pair beside others is one that was asked otherwise

T = TypeVar("T")


def _option(flag: str, default: T, told: str) -> T:
    """A field that is also a flag. What is not given is the profile's; --help shows that of the plain one."""
    shown = f" (plain: {default})" if default not in (False, "", ()) else ""
    takes, metavar = _value_of(flag, default)
    negatable = isinstance(default, bool)
    return option(default, flag, type=takes, metavar=metavar, negatable=negatable, help=told + shown)


def _value_of(flag: str, default: object) -> tuple[Callable[[str], object], str]:
    """What makes a value of a flag's text, and what --help calls it. A float without a unit is a share."""
    if isinstance(default, float):
        unit = flag.rpartition("-")[2].upper()
        return (float, unit) if unit in ("MS", "S") else (share, "SHARE")
    if isinstance(default, tuple):
        return _names, "NAME,..."
    return (int, "N") if isinstance(default, int) else (str, "NAME")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


@dataclass(frozen=True, kw_only=True)
class SimulatorConfig:
    """What the judge is like: each field is also a flag of the command line, and its help says what it means.

    Shares are probabilities from 0 to 1. Raises UserError for a value that makes no sense.
    """

    latency_ms: float = _option("--latency-ms", 500.0, "mean time to an answer")
    spread_ms: float = _option(
        "--spread-ms", 0.0, "standard deviation of that time (log-normal); 0 is always the mean"
    )
    one_at_a_time: bool = _option(
        "--one-at-a-time", False, "answer one request after the other, each with its latency"
    )
    seed: int = _option("--seed", 0, "seed of all random draws")
    error_rate: float = _option(
        "--error-rate",
        0.0,
        "share of pairs judged wrongly; of pairs judged to be none, also the share that take entailment for "
        "neutral or the reverse, where three classes are asked for",
    )
    models_alike: bool = _option(
        "--models-alike",
        False,
        "answer every model alike; otherwise each name but that of the default model makes errors of its own",
    )
    flip_rate: float = _option(
        "--flip-rate",
        0.0,
        "share of verdicts that change when asked again, with the texts swapped, or beside other pairs",
    )
    content_filter: float = _option(
        "--content-filter", 0.0, "share of pairs withheld: as a 400, a finish_reason or a refusal"
    )
    abstained: float = _option(
        "--abstained", 0.0, "share of pairs for which the judge says that it cannot tell"
    )
    hostile_text: float = _option(
        "--hostile-text", 0.0, "share of pairs whose reasoning holds control characters and markup"
    )
    rate_limited: float = _option(
        "--rate-limited", 0.0, "share of requests refused at once with 429 and Retry-After"
    )
    server_error: float = _option("--server-error", 0.0, "share of requests answered with 500")
    dropped: float = _option("--dropped", 0.0, "share of requests whose connection is cut without a reply")
    stalled: float = _option(
        "--stalled", 0.0, "share of requests left without a reply for --stall-s, then cut"
    )
    truncated: float = _option(
        "--truncated", 0.0, "share of replies whose body ends before its Content-Length"
    )
    malformed: float = _option(
        "--malformed", 0.0, "share of replies whose completion is prose that states no verdict"
    )
    html_body: float = _option(
        "--html-body", 0.0, "share of requests answered 200 with a page of HTML, as a proxy would"
    )
    cut_short: float = _option(
        "--cut-short", 0.0, "share of replies whose completion ends half-way, with finish_reason length"
    )
    hostile: float = _option(
        "--hostile", 0.0, "share of replies that no client expects, with status 200: huge, deep, mistyped ..."
    )
    format_failed: float = _option(
        "--format-failed", 0.0, "share of requests answered 400, since the reply failed to keep to its format"
    )
    number_missing: float = _option(
        "--number-missing", 0.0, "share of replies to several pairs that leave one of them out"
    )
    number_twice: float = _option(
        "--number-twice", 0.0, "share of replies to several pairs that give two of them one number"
    )
    number_wrong: float = _option(
        "--number-wrong", 0.0, "share of replies to several pairs that give one a number that no pair has"
    )
    text_around: float = _option(
        "--text-around", 0.0, "share of replies to several pairs with sentences around the JSON"
    )
    retry_after_s: float = _option(
        "--retry-after-s", 1.0, "seconds that a 429 of --rate-limited or --max-in-flight-cap asks to wait"
    )
    stall_s: float = _option("--stall-s", 600.0, "seconds that a stalled request waits")
    requests_per_minute: int = _option("--requests-per-minute", 0, "limit on requests per minute; 0 is none")
    tokens_per_minute: int = _option(
        "--tokens-per-minute", 0, "limit on prompt and completion tokens per minute; 0 is none"
    )
    burst_s: float = _option("--burst-s", 1.0, "seconds of either limit that may be used at once")
    limit_headers: bool = _option("--limit-headers", True, "state both limits in x-ratelimit headers")
    max_in_flight_cap: int = _option(
        "--max-in-flight-cap",
        0,
        "refuse more requests in flight than this, and state it in no header; 0 is no limit",
    )
    strict: bool = _option(
        "--strict", False, "refuse what OpenAI refuses: unknown parameters, loose schemas ..."
    )
    ignores_schema: bool = _option(
        "--ignores-schema", False, "answer in prose or fenced JSON unless asked to repair that"
    )
    ignores_order: bool = _option(
        "--ignores-order", False, "state the verdict ahead of the reasoning unless asked to repair that"
    )
    refuses: tuple[str, ...] = _option("--refuses", (), "parameters refused with 400, separated by commas")
    refusal_shape: str = _option(
        "--refusal-shape", "openai", f"shape of chat completions' error messages: {', '.join(REFUSAL_SHAPES)}"
    )
    wait_in_body: bool = _option(
        "--wait-in-body", False, "state in the body, not in headers, how long to wait"
    )
    errors_in_200: bool = _option("--errors-in-200", False, "report errors in replies of status 200")
    max_reply_tokens: int = _option(
        "--max-reply-tokens", 0, "refuse requests whose limit on the reply's tokens is higher; 0 refuses none"
    )
    gone: str = _option("--gone", "", f"refuse every request because this is gone: {', '.join(GONE[1:])}")
    models: tuple[str, ...] = _option("--models", (), "models that GET /models lists, separated by commas")
    ends_on: str = _option(
        "--ends-on", "", "state in headers and in the list of models that these end on this day, 2026-12-31"
    )
    foreign_filters: bool = _option(
        "--foreign-filters", False, "report withheld pairs in other words than OpenAI's"
    )
    reasoning_tokens: int = _option("--reasoning-tokens", 0, "tokens spent on thinking before each answer")
    reasoning_beside: bool = _option(
        "--reasoning-beside", False, "count those beside the completion's tokens, as xAI does, not in them"
    )
    cached_share: float = _option(
        "--cached-share", 0.0, "share of the prompt's tokens that come from the cache"
    )
    written_share: float = _option(
        "--written-share",
        0.0,
        "share of the prompt's tokens that are put into the cache, of APIs that count these",
    )
    quota_exhausted: bool = _option(
        "--quota-exhausted", False, "refuse everything with 429 insufficient_quota"
    )
    batch_s: float = _option("--batch-s", 1.0, "seconds until a batch has ended")
    batch_expired: float = _option(
        "--batch-expired", 0.0, "share of a batch's requests that it ends without having processed"
    )
    batch_dropped: float = _option(
        "--batch-dropped",
        0.0,
        "share of new batches that are taken, but whose connection is cut before a reply",
    )
    api_key: str = option(
        "",
        "--api-key",
        metavar="KEY",
        secret=True,
        help="accept this (made-up) key only; any or none by default",
    )

    def __post_init__(self) -> None:
        shares = (*_SHARES, *WITHHELD, *FAULTS, *GROUP_FAULTS)
        for name in shares:
            if not 0.0 <= getattr(self, name) <= 1.0:  # also refuses NaN
                raise UserError(f"simulator: {name} is {getattr(self, name)}; expected a share from 0 to 1")
        for name in _QUANTITIES:
            if not 0.0 <= getattr(self, name) < math.inf:
                raise UserError(f"simulator: {name} is {getattr(self, name)}; give a number from 0 up")
        for noun, names in (
            ("faults", FAULTS),
            ("pairs withheld", WITHHELD),
            ("replies to several pairs", GROUP_FAULTS),
        ):
            total = math.fsum(getattr(self, name) for name in names)
            if total > 1.0 + 1e-9:
                raise UserError(
                    f"simulator: the shares of {noun} add up to {total:g}; they may reach 1 together"
                )
        if self.cached_share + self.written_share > 1.0:
            raise UserError("simulator: cached_share and written_share are more than the prompt together")
        if self.spread_ms and not self.latency_ms:
            raise UserError("simulator: spread_ms needs a latency_ms above 0")
        for name, known in (("refusal_shape", REFUSAL_SHAPES), ("gone", GONE)):
            if getattr(self, name) not in known:
                raise UserError(f"simulator: {name} is {getattr(self, name)!r}; choose of {', '.join(known)}")
        if self.ends_on and not _is_day(self.ends_on):
            raise UserError(f"simulator: ends_on is {self.ends_on!r}; give a day such as 2026-12-31")
        for name in self.refuses:
            if name not in REFUSABLE:
                raise UserError(f"simulator: refuses {name!r}; it can refuse {', '.join(REFUSABLE)}")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_SHARES = (
    "error_rate",
    "flip_rate",
    "hostile_text",
    "cached_share",
    "written_share",
    "batch_expired",
    "batch_dropped",
)
_QUANTITIES = (
    "latency_ms",
    "spread_ms",
    "retry_after_s",
    "stall_s",
    "requests_per_minute",
    "tokens_per_minute",
    "burst_s",
    "max_in_flight_cap",
    "reasoning_tokens",
    "max_reply_tokens",
    "batch_s",
)

PROFILES = {
    "plain": SimulatorConfig(),
    "openai": SimulatorConfig(
        strict=True, requests_per_minute=3_000, tokens_per_minute=2_000_000, cached_share=0.5
    ),
    "hidden-cap": SimulatorConfig(max_in_flight_cap=64, retry_after_s=0.2),
    "ignores-schema": SimulatorConfig(ignores_schema=True),
    "refuses-parameters": SimulatorConfig(
        refuses=("max_completion_tokens", "temperature", "response_format", "seed", "logprobs")
    ),
    "reasoning": SimulatorConfig(
        latency_ms=2_000, reasoning_tokens=1_500, refuses=("max_tokens", "temperature", "logprobs")
    ),
    "local": SimulatorConfig(latency_ms=200, one_at_a_time=True),
}


class GoldAnswer(NamedTuple):
    """What is known of a user message: its pair's gold answer, and the key of that pair in its own order.

    contradiction: None of a pair without a label, on which the judge abstains. relation: one of
    `kimera.pairs.RELATIONS`, None where the label is two-way.
    """

    contradiction: bool | None
    pair: bytes
    relation: str | None = None


def answer_key(message: str) -> bytes:
    """The 16 bytes by which a user message is known: a BLAKE2b digest.

    Without the words on the form of a reply, since an API whose replies are no text is not sent these.
    """
    asked = without_reply_format(message).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(asked, digest_size=KEY_BYTES).digest()


def answer_keys(message: str) -> tuple[bytes, ...]:
    """Of each pair that a user message asks about."""
    return tuple(map(answer_key, questions_in(message)))


def key_of_all(keys: tuple[bytes, ...]) -> bytes:
    """One key for pairs that are asked about together; of one alone its own."""
    return keys[0] if len(keys) == 1 else hashlib.blake2b(b"".join(keys), digest_size=KEY_BYTES).digest()


def answers_for(
    pairs: Iterable[Pair], render: Callable[[str, str], str], swap: bool = False
) -> dict[bytes, GoldAnswer]:
    """Maps the key of each pair's user message, as `render(text1, text2)` words it, to its answer.

    swap: know the pairs in the other order of their texts too. Of pairs with the same texts the first label
    stands: one judge gives them one answer. Without a label it abstains. Raises UserError if no pair has one.
    """
    answers: dict[bytes, GoldAnswer] = {}
    swapped: dict[bytes, GoldAnswer] = {}
    labelled = 0
    for pair in pairs:
        labelled += pair.is_contradiction is not None
        key = answer_key(render(pair.text1, pair.text2))
        answer = GoldAnswer(pair.is_contradiction, key, pair.label if pair.label in RELATIONS else None)
        _add(answers, key, answer)
        if swap:
            _add(swapped, answer_key(render(pair.text2, pair.text1)), answers[key])
    if not labelled:
        raise UserError("no pair has a label: the simulated judge answers from labels only")
    return swapped | answers  # a pair's own label goes before that of its mirror image


def _add(answers: dict[bytes, GoldAnswer], key: bytes, answer: GoldAnswer) -> None:
    """The first answer stands, unless it is none."""
    if key not in answers or answers[key].contradiction is None:
        answers[key] = answer


def _uniforms(purpose: str, seed: int, key: bytes, attempt: int = 0) -> tuple[float, float]:
    """Two independent numbers in (0, 1), fixed by the arguments."""
    digest = hashlib.blake2b(b"%b %d %d %b" % (purpose.encode(), seed, attempt, key), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
    return ((first >> 12) + 0.5) * 2.0**-52, ((second >> 12) + 0.5) * 2.0**-52


def _pick(draw: float, config: SimulatorConfig, names: tuple[str, ...]) -> str | None:
    """The name into whose share of the unit interval a draw falls, or None."""
    for name in names:
        draw -= getattr(config, name)
        if draw < 0:
            return name
    return None


def drawn_by(config: SimulatorConfig, model: str, pair: bytes) -> bytes:
    """The key by which a model's errors on a pair are drawn: that of the pair for `COMMON_MODELS`."""
    if config.models_alike or model in COMMON_MODELS:
        return pair
    return hashlib.blake2b(pair + model.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def draw_verdict(
    config: SimulatorConfig, pair: bytes, gold: bool, repeat: int = 0, swapped: bool = False
) -> tuple[bool, float]:
    """The answer and its confidence, 0.55 to 0.99: about 0.84 on average when right, 0.70 when wrong.

    repeat: how often that message was answered before. Only repeats and swapped pairs may flip.
    """
    mistake, sureness = _uniforms("verdict", config.seed, pair)
    wrong = mistake < config.error_rate
    if config.flip_rate and (repeat or swapped):
        wrong ^= _uniforms("flip", config.seed, pair, 2 * repeat + swapped)[0] < config.flip_rate
    return gold != wrong, round(0.55 + 0.44 * (sureness**2 if wrong else sureness**0.5), 2)


def draw_relation(config: SimulatorConfig, pair: bytes, contradiction: bool, gold: str | None) -> str:
    """The class that goes with a verdict. gold: of the label, None where it is two-way."""
    if contradiction:
        return CONTRADICTION
    mistake, side = _uniforms("relation", config.seed, pair)
    if gold == CONTRADICTION:  # the verdict is wrong already, and so is either class
        return ENTAILMENT if side < 0.5 else NEUTRAL
    is_entailment = (gold == ENTAILMENT) != (mistake < config.error_rate)
    return ENTAILMENT if is_entailment else NEUTRAL


def draw_withheld(config: SimulatorConfig, pair: bytes) -> tuple[str | None, float]:
    """Why a pair gets no verdict, one of `WITHHELD` or None, and a number in (0, 1) that settles its form."""
    if not (config.content_filter or config.abstained):
        return None, 0.0
    draw, form = _uniforms("withheld", config.seed, pair)
    return _pick(draw, config, WITHHELD), form


def draw_style(config: SimulatorConfig, pair: bytes) -> tuple[bool, float]:
    """Whether the reasoning is hostile, and a number in (0, 1) that settles the form of prose."""
    if not (config.hostile_text or config.ignores_schema):
        return False, 0.0
    hostility, form = _uniforms("style", config.seed, pair)
    return hostility < config.hostile_text, form


def draw_fault(config: SimulatorConfig, key: bytes, attempt: int) -> tuple[str | None, float]:
    """What goes wrong with the request number `attempt` (from 1) for a message, one of `FAULTS` or None.

    Beside it stands a number in (0, 1) that settles its form.
    """
    draw, form = _uniforms("fault", config.seed, key, attempt)
    return _pick(draw, config, FAULTS), form


def draw_group_fault(config: SimulatorConfig, key: bytes, attempt: int) -> tuple[str | None, float]:
    """What is wrong with a reply to several pairs, one of `GROUP_FAULTS` or None; a number settles where."""
    draw, place = _uniforms("group", config.seed, key, attempt)
    return _pick(draw, config, GROUP_FAULTS), place


def draw_latency_ms(config: SimulatorConfig, key: bytes, attempt: int) -> float:
    """The time to an answer: log-normal with the mean and standard deviation asked for (Box-Muller)."""
    if not config.spread_ms:
        return config.latency_ms
    first, second = _uniforms("latency", config.seed, key, attempt)
    normal = math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * second)
    variance = math.log1p((config.spread_ms / config.latency_ms) ** 2)
    return config.latency_ms * math.exp(math.sqrt(variance) * normal - variance / 2.0)
