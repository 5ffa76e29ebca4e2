"""How one API of judges speaks: what is to be written for another one, and nothing else of the pipeline is.

| method | what it says |
| --- | --- |
| `name` | what `--protocol` and a summary call it |
| `api` | whose API it is, for messages; the variables of its key and base URL; the base URL of its maker |
| `url` | where a request to a model is posted to, behind a base URL |
| `headers` | how the key is shown, and what else the API wants to be told with each request |
| `rules` | which parameters a user cannot give with each request, and which change its price |
| `first_form` | what the first request asks for: formats, names of the limit, what can be left out |
| `body` | a request that asks for what a form says, in the API's own words |
| `read_error` | what a refusal says, whatever its status; None for a reply that is none |
| `read` | the completion that a body holds |
| `limits_in` | what the headers of a reply say of the limits on requests and on tokens a minute |
| `models_url` | where the models on offer are listed, behind a base URL; empty where they are not |
| `read_models` | the names in that list |

It is listed in `protocols/__init__.py`, so that `--protocol` can name it.

`Endpoint` does the rest for all of them: it keeps keys out of what it gives, learns from refusals
(`adaptation.py`), keeps replies and counts silences; `asking.py` and `pipeline.py` ask again. How long a
server asks to wait is read from headers and bodies of any kind (`waits.py`), and so is what its refusals are
about (`refusals.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from benchmarks.judge.api import Api
from benchmarks.judge.completions import Completion
from benchmarks.judge.error_bodies import ErrorReply
from benchmarks.judge.parameter_rules import ParameterRules
from benchmarks.judge.rates import StatedLimit
from benchmarks.judge.request_form import RequestForm
from kimera.errors import UserError

Messages = list[dict[str, str]]


class ChatProtocol(Protocol):
    """One API. It holds no state: one value serves any number of endpoints."""

    @property
    def name(self) -> str: ...

    @property
    def api(self) -> Api: ...

    @property
    def rules(self) -> ParameterRules: ...

    def url(self, base_url: str, model: str) -> str: ...

    def headers(self, key: str) -> dict[str, str]:
        """Those that only this API wants; none shows a key that is empty."""
        ...

    def first_form(self, *, logprobs: bool) -> RequestForm:
        """logprobs: whether the probabilities of the reply's tokens are asked for, if the API has them."""
        ...

    def body(self, messages: Messages, model: str, form: RequestForm, sample: int = 0) -> bytes:
        """sample: which of several askings of the same question; each has a seed of its own, if any does.

        form.schema is that of the reply, its fields in the order in which they are to be written. What a user
        gives with --param is put into the body afterwards. The same arguments give the same bytes: kept
        replies are found by them.
        """
        ...

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes) -> ErrorReply | None:
        """headers: names in lower case. An error inside a body of status 200 is a refusal too."""
        ...

    def read(self, body: bytes) -> Completion:
        """Raises JudgeError: "bad_response" for what is no completion, "content_filter" for one withheld."""
        ...

    def limits_in(self, headers: Mapping[str, str]) -> dict[str, StatedLimit]:
        """By "requests" and "tokens"; what the headers say nothing of is absent, or None."""
        ...

    def models_url(self, base_url: str) -> str: ...

    def read_models(self, body: bytes) -> list[str]:
        """Of any bytes; empty for what is no such list. `offered_models.names_in` reads the usual ones."""
        ...


def require_text(
    protocol: ChatProtocol,
    *,
    reasoning_first: bool = False,
    examples: bool = False,
    votes: bool = False,
    several_pairs: bool = False,
) -> None:
    """Raises UserError where this is asked for of an API that gives a probability and writes nothing."""
    if protocol.first_form(logprobs=False).writes_text:
        return
    for flag, is_asked, reason in (
        ("--reasoning first", reasoning_first, "it writes no reasoning"),
        ("--examples", examples, "a request holds one pair and no earlier turns"),
        ("--votes", votes, "no answer is drawn, so asking again would say the same"),
        ("--pairs-per-request", several_pairs, "a request holds one pair"),
    ):
        if is_asked:
            raise UserError(
                f"{flag} does not go with --protocol {protocol.name}, which gives a probability and no text: "
                f"{reason}; leave it out, or choose a protocol whose models write"
            )
