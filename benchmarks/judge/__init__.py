"""A remote model asked for a verdict: the client's parts, from the prompt to the reply."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "AUTO",
    "BATCH_SIZE",
    "BUILT_IN",
    "CHAT_COMPLETIONS",
    "CHOICES",
    "DEFAULT_JUDGE",
    "DEFAULT_PROMPT",
    "DEFAULT_PROTOCOL",
    "FIRST_BATCH_SIZE",
    "INTERRUPTED",
    "MAX_IN_FLIGHT",
    "NOT_ASKED_AGAIN",
    "NUMBER",
    "PROTOCOLS",
    "REASONING_FIRST",
    "REASONING_LAST",
    "SIMULATED_FINGERPRINT",
    "START",
    "TOKENS",
    "UNKNOWN",
    "VERDICTS",
    "AdaptiveLimit",
    "Api",
    "Ask",
    "Asking",
    "Attempt",
    "BatchLedger",
    "BatchOptions",
    "BatchTransport",
    "ChatProtocol",
    "Completion",
    "CostLimit",
    "Endpoint",
    "Estimate",
    "GroupAsking",
    "GroupPrompt",
    "InterruptedAskingError",
    "JudgeError",
    "LimitChange",
    "LoopChoice",
    "Outcome",
    "PairTerms",
    "Price",
    "Prompt",
    "RateLimits",
    "ReplyCache",
    "Request",
    "RetryBudget",
    "RetryPolicy",
    "Slots",
    "Transport",
    "Turn",
    "Usage",
    "asks_of",
    "batch_api_at",
    "billed_usage",
    "decided",
    "estimate",
    "event_loop",
    "examples_of",
    "form_asked_first",
    "httpx_available",
    "in_dollars",
    "internal_error",
    "is_local",
    "judge_all",
    "kind_of",
    "leaves",
    "load_prompt",
    "messages_about",
    "open_transport",
    "pairs_per_request",
    "parameter",
    "parameters_for",
    "price_among",
    "price_of",
    "protocol_at",
    "protocol_named",
    "questions_in",
    "repriced_by",
    "request_mark",
    "require_alone",
    "require_batches",
    "require_no_loop",
    "require_text",
    "resolved_base_url",
    "resolved_key",
    "stated_price",
    "typical_completion_tokens",
    "unasked_in",
    "unstated",
    "without_reply_format",
    "worst_case",
    "written_into",
]

if TYPE_CHECKING:
    from benchmarks.judge.adaptive import MAX_IN_FLIGHT, START, AdaptiveLimit, LimitChange
    from benchmarks.judge.api import Api
    from benchmarks.judge.asking import NOT_ASKED_AGAIN, Asking
    from benchmarks.judge.attempts import SIMULATED_FINGERPRINT, Attempt, Outcome
    from benchmarks.judge.batches import batch_api_at, require_batches
    from benchmarks.judge.batches.batch_ledger import BatchLedger
    from benchmarks.judge.batches.batch_transport import (
        BATCH_SIZE,
        FIRST_BATCH_SIZE,
        BatchOptions,
        BatchTransport,
    )
    from benchmarks.judge.chat_protocol import ChatProtocol, require_text
    from benchmarks.judge.completions import Completion
    from benchmarks.judge.endpoint import (
        Endpoint,
        Request,
        form_asked_first,
        request_mark,
        resolved_base_url,
        resolved_key,
    )
    from benchmarks.judge.event_loops import LoopChoice, event_loop
    from benchmarks.judge.failures import (
        INTERRUPTED,
        InterruptedAskingError,
        JudgeError,
        kind_of,
        unasked_in,
    )
    from benchmarks.judge.few_shot import examples_of
    from benchmarks.judge.group_asking import GroupAsking
    from benchmarks.judge.internal_errors import internal_error
    from benchmarks.judge.pair_groups import (
        NUMBER,
        VERDICTS,
        GroupPrompt,
        messages_about,
        pairs_per_request,
        questions_in,
        require_alone,
    )
    from benchmarks.judge.parameter_rules import repriced_by
    from benchmarks.judge.parameters import leaves, parameter, parameters_for, written_into
    from benchmarks.judge.pipeline import Ask, asks_of, judge_all
    from benchmarks.judge.pricing import (
        CostLimit,
        Estimate,
        Price,
        billed_usage,
        estimate,
        in_dollars,
        is_local,
        price_among,
        price_of,
        stated_price,
        typical_completion_tokens,
        worst_case,
    )
    from benchmarks.judge.prompts import (
        BUILT_IN,
        DEFAULT_JUDGE,
        DEFAULT_PROMPT,
        REASONING_FIRST,
        REASONING_LAST,
        Prompt,
        load_prompt,
        without_reply_format,
    )
    from benchmarks.judge.protocols import (
        AUTO,
        CHOICES,
        DEFAULT_PROTOCOL,
        PROTOCOLS,
        protocol_at,
        protocol_named,
    )
    from benchmarks.judge.protocols.chat_completions import CHAT_COMPLETIONS
    from benchmarks.judge.rates import RateLimits, Turn
    from benchmarks.judge.reply_cache import ReplyCache
    from benchmarks.judge.retries import RetryBudget, RetryPolicy
    from benchmarks.judge.running_loop import require_no_loop
    from benchmarks.judge.slots import Slots
    from benchmarks.judge.transport_choice import httpx_available, open_transport
    from benchmarks.judge.transports import Transport
    from benchmarks.judge.trials import PairTerms
    from benchmarks.judge.usage import TOKENS, UNKNOWN, Usage, unstated
    from benchmarks.judge.votes import decided
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "adaptive": ["AdaptiveLimit", "LimitChange", "MAX_IN_FLIGHT", "START"],
            "api": ["Api"],
            "asking": ["Asking", "NOT_ASKED_AGAIN"],
            "attempts": ["Attempt", "Outcome", "SIMULATED_FINGERPRINT"],
            "batches": ["batch_api_at", "require_batches"],
            "batches.batch_ledger": ["BatchLedger"],
            "batches.batch_transport": [
                "BATCH_SIZE",
                "BatchOptions",
                "BatchTransport",
                "FIRST_BATCH_SIZE",
            ],
            "chat_protocol": ["ChatProtocol", "require_text"],
            "completions": ["Completion"],
            "endpoint": [
                "Endpoint",
                "Request",
                "form_asked_first",
                "request_mark",
                "resolved_base_url",
                "resolved_key",
            ],
            "event_loops": ["LoopChoice", "event_loop"],
            "failures": [
                "INTERRUPTED",
                "InterruptedAskingError",
                "JudgeError",
                "kind_of",
                "unasked_in",
            ],
            "few_shot": ["examples_of"],
            "group_asking": ["GroupAsking"],
            "internal_errors": ["internal_error"],
            "pair_groups": [
                "GroupPrompt",
                "NUMBER",
                "VERDICTS",
                "messages_about",
                "pairs_per_request",
                "questions_in",
                "require_alone",
            ],
            "parameter_rules": ["repriced_by"],
            "parameters": ["leaves", "parameter", "parameters_for", "written_into"],
            "pipeline": ["Ask", "asks_of", "judge_all"],
            "pricing": [
                "CostLimit",
                "Estimate",
                "Price",
                "billed_usage",
                "estimate",
                "in_dollars",
                "is_local",
                "price_among",
                "price_of",
                "stated_price",
                "typical_completion_tokens",
                "worst_case",
            ],
            "prompts": [
                "BUILT_IN",
                "DEFAULT_JUDGE",
                "DEFAULT_PROMPT",
                "Prompt",
                "REASONING_FIRST",
                "REASONING_LAST",
                "load_prompt",
                "without_reply_format",
            ],
            "protocols": [
                "AUTO",
                "CHOICES",
                "DEFAULT_PROTOCOL",
                "PROTOCOLS",
                "protocol_at",
                "protocol_named",
            ],
            "protocols.chat_completions": ["CHAT_COMPLETIONS"],
            "rates": ["RateLimits", "Turn"],
            "reply_cache": ["ReplyCache"],
            "retries": ["RetryBudget", "RetryPolicy"],
            "running_loop": ["require_no_loop"],
            "slots": ["Slots"],
            "transport_choice": ["httpx_available", "open_transport"],
            "transports": ["Transport"],
            "trials": ["PairTerms"],
            "usage": ["TOKENS", "UNKNOWN", "Usage", "unstated"],
            "votes": ["decided"],
        },
    )
