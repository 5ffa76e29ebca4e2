"""The words of the judge pipeline: an attempt, an outcome, and why a judge gave no verdict.

JudgeError.kind     retried   ends the run   meaning
------------------  --------  -------------  ---------------------------------------------------------
timeout             yes                      no whole reply within the attempt's bound
connection          yes                      refused, reset or cut off
rate_limited        yes                      429
server_error        yes                      408, 409, 5xx
adapting            at once                  400 naming a parameter, which the next attempt leaves out
bad_response        repaired                 200, but not a chat completion
unparseable         repaired                 a reply that states no verdict
truncated           repaired                 a reply cut off at the token limit
abstained                                    the judge says that it cannot tell
content_filter                               the endpoint or the model refused this pair
interrupted                                  the run was stopped before the pair was asked again
forbidden                                    403 from an endpoint that has answered others
bad_request                                  400 and other statuses that repeat themselves
unreachable                   yes            no reply has ever come from this endpoint
tls                           yes            the server's certificate was not accepted
auth                          yes            401, 403, or a 400 that speaks of the key
long_wait                     yes            429 asking for a pause of more than two minutes
quota                         yes            402, or a 429 that never heals
unknown_model                 yes            404 naming the model, or a 400 that says so
wrong_url                     yes            404, 405, 3xx: not a chat completions endpoint
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.usage import Usage, unstated
from kimera.pairs import Failure, Verdict

# What the simulator signs its replies with: whoever asks it, its numbers are marked as simulated.
SIMULATED_FINGERPRINT = "fp_simulated"
RETRIED = frozenset({"timeout", "connection", "rate_limited", "server_error"})
REPAIRED = frozenset({"bad_response", "unparseable", "truncated"})
FATAL = frozenset({"unreachable", "tls", "auth", "quota", "long_wait", "unknown_model", "wrong_url"})

REMEDIES = {
    "unreachable": "check --base-url and that the server runs",
    "tls": "set SSL_CERT_FILE to the certificate authority of that server",
    "auth": "check OPENAI_API_KEY",
    "quota": "top up the account or use another key; --resume goes on from here",
    "long_wait": "its limit is reached for now; --resume goes on from here later",
    "unknown_model": "check --model",
    "wrong_url": "check --base-url; it usually ends in /v1",
}


INTERRUPTED = Failure("interrupted", "stopped by Ctrl-C")


class InterruptedAskingError(Exception):
    """The run was told to stop before this pair had an outcome."""


class JudgeError(Exception):
    """A judge gave no verdict. `kind` is one of the words above; the message holds no key.

    wait_s: how long the server asked to wait before the next attempt, where it did.
    parameter: what a 400 names as the parameter at fault. usage: what the failed attempt cost all the same.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        wait_s: float | None = None,
        parameter: str = "",
        usage: Usage | None = None,
    ) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.status = status
        self.wait_s = wait_s
        self.parameter = parameter
        self.usage = usage or unstated(status)

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: the time from slot held to body read, the status, and the kind of error if it failed."""

    latency_ms: float
    status: int | None
    error: str | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that asking about one pair brought.

    raw: the last reply's text, empty if none came. stated_confidence: as the judge put it, before clamping,
    also where the verdict's confidence comes from logprobs. from_cache: the reply was not paid for again.
    found_in: where the reply stood, if not in the message's content.
    """

    result: Verdict | Failure
    attempts: tuple[Attempt, ...]
    raw: str = ""
    system_fingerprint: str = ""
    stated_confidence: float | None = None
    from_cache: bool = False
    found_in: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether the judge has answered: with a verdict, or that it cannot tell."""
        return isinstance(self.result, Verdict) or self.result.kind == "abstained"

    @property
    def usage(self) -> Usage:
        """Over all attempts: a failed attempt costs too."""
        return sum((attempt.usage for attempt in self.attempts), Usage())


def read_error(status: int, body: bytes) -> JudgeError:
    """The error that a status other than 200 and its body mean."""
    code, message, parameter = _error_fields(body)
    kind = _kind_of(status, code, message.lower())
    if status == 401:  # servers quote the key in this message
        message = "the endpoint did not accept the key"
    return JudgeError(kind, f"HTTP {status}: {message or 'no message'}", status=status, parameter=parameter)


def _kind_of(status: int, code: str, message: str) -> str:
    if status == 402:
        return "quota"
    if status == 429:
        return "quota" if code in {"insufficient_quota", "billing_hard_limit_reached"} else "rate_limited"
    if status in {401, 403}:
        return "auth"
    if status in {408, 409} or status >= 500:
        return "server_error"
    if code == "model_not_found" or (status == 404 and "model" in message):
        return "unknown_model"
    if status in {404, 405} or 300 <= status < 400:
        return "wrong_url"
    if code in {"content_filter", "content_policy_violation"}:
        return "content_filter"
    return "bad_request"


def _error_fields(body: bytes) -> tuple[str, str, str]:
    """(code, message, parameter) of an OpenAI-like error body, or the body's beginning as a message."""
    try:
        error: Any = json.loads(body)
        if isinstance(error, list) and len(error) == 1:  # as Google's endpoint wraps it
            error = error[0]
        if isinstance(error, dict):
            error = error.get("error", error)
        if isinstance(error, Mapping):
            message = error.get("message") or error.get("detail") or ""
            code = _text(error.get("code")) or _text(error.get("type"))
            return code, _one_line(_shown(message)), _text(error.get("param")) or _located(message)
        return "", _one_line(_text(error)), ""
    except (ValueError, RecursionError):
        return "", _one_line(body[:2000].decode("utf-8", "replace")), ""


def _shown(message: Any) -> str:
    return message if isinstance(message, str) else json.dumps(message)


def _located(message: Any) -> str:
    """The parameter that a validation error points at, as FastAPI does: [{"loc": ["body", "max_tokens"]}]."""
    if isinstance(message, Mapping):
        message = message.get("detail")
    first = message[0] if isinstance(message, list) and message else None
    location = first.get("loc") if isinstance(first, Mapping) else None
    return _text(location[-1]) if isinstance(location, list) and location else ""


def refused_for_good(message: str) -> str | None:
    """The fatal kind that a 400 means in other words than OpenAI's, or None.

    To be believed only of an endpoint that has answered nothing: a message may quote the pair's own texts.
    """
    message = message.lower()
    if re.search(r"\bapi[ _-]?key\b", message):
        return "auth"
    if re.search(
        r"\bmodel\b.*\b(?:invalid|not valid|not found|unknown|does not exist)|\b(?:invalid|unknown) model\b|"
        r"not a valid model",
        message,
    ):
        return "unknown_model"
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())[:2000]
