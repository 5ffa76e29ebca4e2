"""Why a judge gave no verdict: the one table of the kinds of failure, and the error that has one of them.

    a pair without a verdict
    ├── no reply         timeout  connection  tls  unreachable  cancelled
    ├── a refusal
    │   ├── come back    rate_limited  long_wait  expired
    │   ├── a fault      server_error
    │   ├── the account  auth  forbidden  quota
    │   ├── the address  unknown_model  wrong_url
    │   └── the request  bad_request  adapting  parameter  refused  batch_refused
    ├── no use of it     bad_response  format_failed  missing  unparseable  truncated
    ├── withheld         abstained  content_filter  divided
    ├── an error of ours internal
    └── the run's end    interrupted  not_asked  max_cost  error_rate  source

Whoever wants to know what a kind means asks `kind_of(name)` for a flag, and compares no set of names: a new
kind is one entry in `KINDS`. Sets, remedies, and the table in docs/async.md follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.judge.api import Api
from benchmarks.judge.usage import Usage, unstated
from kimera.pairs import Failure

Following = Literal["retried", "asked again at once", "asked again, twice at most", "nothing", "ends the run"]
Seen = Literal["attempt", "pair", "run", "pair and run"]


@dataclass(frozen=True, slots=True)
class FailureKind:
    """Why there is no verdict, and what follows.

    seen: who gets to see it: whoever looks at a pair's attempts, at the pair, or at the run's last lines.
    remedy: what the user can do, where a run ends by it; `remedy_for` says it in the names of an API.

    The flags are the questions that others ask:
    is_answer: has the judge answered, so that nothing failed?
    is_unasked: was no request made for this pair?
    is_silence: did no reply come, so that nobody knows whether it was billed?
    is_limit: is it a request to come back, and no fault?
    has_resets: does the moment when a limit is reset say how long to wait?
    is_fault: did the endpoint break?
    may_be_form: may how the request is written be what is wrong?
    may_name_a_part: may its words name the part of the request that is wrong?
    may_be_room: may the limit on the reply's length be what is wrong?
    is_elsewhere: is it worth listing what the endpoint offers instead?
    is_setting: is it a setting that caused it, which a run keeps as it began?
    """

    name: str
    seen: Seen
    follows: Following
    meaning: str
    remedy: str = ""
    is_answer: bool = False
    is_unasked: bool = False
    is_silence: bool = False
    is_limit: bool = False
    has_resets: bool = False
    is_fault: bool = False
    may_be_form: bool = False
    may_name_a_part: bool = False
    may_be_room: bool = False
    is_elsewhere: bool = False
    is_setting: bool = False

    @property
    def is_failure(self) -> bool:
        """Whether it speaks against a pair that was asked about."""
        return not (self.is_answer or self.is_unasked)

    def remedy_for(self, api: Api) -> str:
        hint = f"; {api.base_url_hint}" if api.base_url_hint else ""
        return self.remedy.format(key=api.key_variable, base_url_hint=hint)


KINDS = (
    FailureKind(
        "timeout",
        "pair",
        "retried",
        "no complete reply within the time limit of the attempt",
        is_silence=True,
    ),
    FailureKind(
        "connection", "pair", "retried", "the connection was refused, reset or cut off", is_silence=True
    ),
    FailureKind(
        "rate_limited",
        "pair",
        "retried",
        "429, as the status or inside a 200",
        is_limit=True,
        has_resets=True,
    ),
    FailureKind(
        "expired",
        "pair",
        "retried",
        "the batch ended before this request was processed, which costs nothing",
        is_limit=True,
    ),
    FailureKind(
        "server_error",
        "pair",
        "retried",
        "408, 409, 5xx, as the status or inside a 200",
        is_fault=True,
        may_be_form=True,
        may_name_a_part=True,
        may_be_room=True,
    ),
    FailureKind(
        "adapting",
        "attempt",
        "asked again at once",
        "a refusal after which the next request is written differently: it named a parameter, a limit or the "
        "reply's format, or different forms of the request are being tried",
    ),
    FailureKind("bad_response", "pair", "asked again, twice at most", "200, but not a completion"),
    FailureKind(
        "format_failed",
        "pair",
        "asked again, twice at most",
        "the endpoint could not make the reply keep to its format; the second time another format is "
        "requested",
    ),
    FailureKind(
        "missing",
        "attempt",
        "asked again at once",
        "a reply to several pairs (`--pairs-per-request`) without a usable verdict on this one, which is "
        "then asked about alone",
    ),
    FailureKind("unparseable", "pair", "asked again, twice at most", "a reply that states no verdict"),
    FailureKind(
        "truncated",
        "pair",
        "asked again, twice at most",
        "the reply was cut off at the token limit; it is requested again with a higher limit, or with a "
        "lower one if the endpoint refuses more",
    ),
    FailureKind("abstained", "pair", "nothing", "the judge says that it cannot tell", is_answer=True),
    FailureKind(
        "divided", "pair", "nothing", "the members of a panel all answered, and their verdicts come to a tie"
    ),
    FailureKind("content_filter", "pair", "nothing", "the endpoint or the model refused this pair"),
    FailureKind(
        "interrupted", "pair and run", "nothing", "the run was stopped before the pair was asked again"
    ),
    FailureKind(
        "forbidden", "pair", "nothing", "403 from an endpoint that has answered others", may_name_a_part=True
    ),
    FailureKind(
        "bad_request",
        "pair",
        "nothing",
        "400 and other statuses that would be the same again",
        may_be_form=True,
        may_name_a_part=True,
        may_be_room=True,
    ),
    FailureKind(
        "internal",
        "pair",
        "nothing",
        "an error of Kimera's own; the message names the file with its traceback",
    ),
    FailureKind(
        "cancelled",
        "attempt",
        "nothing",
        "the request was under way when the run was stopped at once",
        is_silence=True,
    ),
    FailureKind("not_asked", "pair", "nothing", "the run ended before this pair", is_unasked=True),
    FailureKind(
        "unreachable",
        "pair and run",
        "ends the run",
        "no reply came at all, after ten attempts that could not connect or fifty without an answer",
        "check --base-url and that the server runs",
    ),
    FailureKind(
        "tls",
        "pair and run",
        "ends the run",
        "the server's certificate was not accepted",
        "set SSL_CERT_FILE to the certificate authority of that server",
    ),
    FailureKind(
        "auth",
        "pair and run",
        "ends the run",
        "401, 403, or a 400 that names the key, before any pair was answered",
        "check {key}",
        may_name_a_part=True,
    ),
    FailureKind(
        "long_wait",
        "pair and run",
        "ends the run",
        "a limit that asks for a pause of more than two minutes",
        "the limit is reached for now; continue later with --resume",
    ),
    FailureKind(
        "quota",
        "pair and run",
        "ends the run",
        "402, or a refusal that waiting does not help: the account has no credit, is unpaid or suspended",
        "top up the account or use another key, then continue with --resume",
        has_resets=True,
        may_be_room=True,
    ),
    FailureKind(
        "unknown_model",
        "pair and run",
        "ends the run",
        "the model or the deployment is unknown, retired or not available to this key",
        "choose another one with --model NAME, or KIMERA_MODEL in the environment",
        is_elsewhere=True,
        is_setting=True,
    ),
    FailureKind(
        "wrong_url",
        "pair and run",
        "ends the run",
        "404, 405, 410 or 3xx before any pair was answered: the API is not at this URL",
        "check --base-url{base_url_hint}",
        is_elsewhere=True,
        is_setting=True,
    ),
    FailureKind(
        "parameter",
        "pair and run",
        "ends the run",
        "a refusal that names a parameter which `--param` gave, before any pair was answered",
        "change that --param, or leave it out",
        is_setting=True,
    ),
    FailureKind(
        "refused",
        "pair and run",
        "ends the run",
        "no pair was ever answered, and for two pairs every form of the request was refused",
        "the endpoint's own message is above; check --model and --base-url",
    ),
    FailureKind(
        "batch_refused",
        "pair and run",
        "ends the run",
        "the endpoint takes no batches, has refused this one, or it was cancelled there",
        "mend what the message says and continue with --resume, or start a new run without --batch",
    ),
    FailureKind(
        "max_cost", "run", "ends the run", "the next request might cost more than is left of `--max-cost`"
    ),
    FailureKind(
        "error_rate",
        "run",
        "ends the run",
        "more of the last pairs failed than `--max-error-rate` allows",
    ),
    FailureKind("source", "run", "ends the run", "the pairs could not be read any further"),
)


def _that(follows: Following) -> frozenset[str]:
    return frozenset(kind.name for kind in KINDS if kind.follows == follows)


RETRIED = _that("retried")
REPAIRED = _that("asked again, twice at most")
FATAL = _that("ends the run")
_ANY_API = Api("", "the API key", "")  # the docs speak of all of them
_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_of(name: str) -> FailureKind:
    """The kind of this name; one that is not in the table, such as a local detector's, has no flag."""
    return _BY_NAME.get(name) or FailureKind(name, "pair", "nothing", "")


def unasked_in(errors: Mapping[str, int]) -> int:
    """How many of these failures, counted by kind, are pairs that nobody was asked about."""
    return sum(count for kind, count in errors.items() if kind_of(kind).is_unasked)


def kinds_table() -> str:
    """The table of docs/async.md."""
    head = ("| kind | seen in | what follows | meaning | remedy |", "| --- | --- | --- | --- | --- |")
    rows = (
        f"| `{kind.name}` | {kind.seen} | {kind.follows} | {kind.meaning} | {kind.remedy_for(_ANY_API)} |"
        for kind in KINDS
    )
    return "\n".join((*head, *rows)).replace("|  |", "| |")


INTERRUPTED = Failure("interrupted", "stopped by Ctrl-C or SIGTERM")


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
