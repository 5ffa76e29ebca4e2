"""The words of the judge pipeline: an attempt, an outcome, and why a judge gave no verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.usage import Usage, unstated
from kimera.pairs import Failure, Verdict

# What the simulator signs its replies with: whoever asks it, its numbers are marked as simulated.
SIMULATED_FINGERPRINT = "fp_simulated"

Following = Literal["retried", "asked again at once", "asked again, twice at most", "nothing", "ends the run"]


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Why there is no verdict, and what follows. remedy: what the user can do, where a run ends by it."""

    name: str
    follows: Following
    meaning: str
    remedy: str = ""


# The one table of these: sets, remedies and the table in docs/async.md follow from it.
KINDS = (
    FailureKind("timeout", "retried", "no complete reply within the time limit of the attempt"),
    FailureKind("connection", "retried", "the connection was refused, reset or cut off"),
    FailureKind("rate_limited", "retried", "429, as the status or inside a 200"),
    FailureKind("server_error", "retried", "408, 409, 5xx, as the status or inside a 200"),
    FailureKind(
        "adapting",
        "asked again at once",
        "a refusal after which the next request is written differently: it named a parameter, a limit or the "
        "reply's format, or different forms of the request are being tried",
    ),
    FailureKind("bad_response", "asked again, twice at most", "200, but not a chat completion"),
    FailureKind(
        "format_failed",
        "asked again, twice at most",
        "the endpoint could not make the reply keep to its format; the second time another format is "
        "requested",
    ),
    FailureKind("unparseable", "asked again, twice at most", "a reply that states no verdict"),
    FailureKind(
        "truncated",
        "asked again, twice at most",
        "the reply was cut off at the token limit; it is requested again with a higher limit, or with a "
        "lower one if the endpoint refuses more",
    ),
    FailureKind("abstained", "nothing", "the judge says that it cannot tell"),
    FailureKind("content_filter", "nothing", "the endpoint or the model refused this pair"),
    FailureKind("interrupted", "nothing", "the run was stopped before the pair was asked again"),
    FailureKind("forbidden", "nothing", "403 from an endpoint that has answered others"),
    FailureKind("bad_request", "nothing", "400 and other statuses that would be the same again"),
    FailureKind(
        "internal", "nothing", "an error of Kimera's own; the message names the file with its traceback"
    ),
    FailureKind(
        "unreachable",
        "ends the run",
        "no reply came at all, after ten attempts that could not connect or fifty without an answer",
        "check --base-url and that the server runs",
    ),
    FailureKind(
        "tls",
        "ends the run",
        "the server's certificate was not accepted",
        "set SSL_CERT_FILE to the certificate authority of that server",
    ),
    FailureKind(
        "auth",
        "ends the run",
        "401, 403, or a 400 that names the key, before any pair was answered",
        "check OPENAI_API_KEY",
    ),
    FailureKind(
        "long_wait",
        "ends the run",
        "a limit that asks for a pause of more than two minutes",
        "the limit is reached for now; continue later with --resume",
    ),
    FailureKind(
        "quota",
        "ends the run",
        "402, or a refusal that waiting does not help: the account has no credit, is unpaid or suspended",
        "top up the account or use another key, then continue with --resume",
    ),
    FailureKind(
        "unknown_model",
        "ends the run",
        "the model or the deployment is unknown, retired or not available to this key",
        "check --model",
    ),
    FailureKind(
        "wrong_url",
        "ends the run",
        "404, 405, 410 or 3xx before any pair was answered: there are no chat completions at this URL",
        "check --base-url; it usually ends in /v1",
    ),
    FailureKind(
        "refused",
        "ends the run",
        "no pair was ever answered, and for two pairs every form of the request was refused",
        "the endpoint's own message is above; check --model and --base-url",
    ),
)


def _that(follows: Following) -> frozenset[str]:
    return frozenset(kind.name for kind in KINDS if kind.follows == follows)


RETRIED = _that("retried")
REPAIRED = _that("asked again, twice at most")
FATAL = _that("ends the run")
REMEDIES = {kind.name: kind.remedy for kind in KINDS if kind.remedy}


def kinds_table() -> str:
    """The table of docs/async.md."""
    rows = (f"| `{kind.name}` | {kind.follows} | {kind.meaning} |" for kind in KINDS)
    return "\n".join(("| kind | what follows | meaning |", "| --- | --- | --- |", *rows))


INTERRUPTED = Failure("interrupted", "stopped by Ctrl-C")


class InterruptedAskingError(Exception):
    """The run was told to stop before this pair had an outcome."""


class JudgeError(Exception):
    """A judge gave no verdict. `kind` is one of `KINDS`; the message holds no key. It never changes.

    wait_s: how long the server asked to wait before the next attempt, where it did.
    usage: what the failed attempt cost all the same.
    """

    _FACTS = ("kind", "message", "status", "wait_s", "usage")

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        status: int | None = None,
        wait_s: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.status = status
        self.wait_s = wait_s
        self.usage = usage or unstated(status)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._FACTS and name in self.__dict__:
            raise AttributeError(
                f"{name} of a JudgeError does not change; but({name}=...) gives another error"
            )
        super().__setattr__(name, value)

    def but(self, **changes: Any) -> JudgeError:
        """The same error with other facts."""
        facts = {name: getattr(self, name) for name in self._FACTS} | changes
        return JudgeError(facts.pop("kind"), facts.pop("message"), **facts)

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
