"""What one API's words are for what the simulated judge reads, says and refuses."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Protocol

from benchmarks.judge import Usage
from benchmarks.simulator.replies import ApiError, Reply, Said
from benchmarks.simulator.requests import Call
from benchmarks.simulator.simulation import SimulatorConfig
from benchmarks.simulator.throttling import Level


class Dialect(Protocol):
    """One API as the simulator speaks it. It holds no state.

    name: of the protocol that a client speaks. path: where it is posted to, behind the version's folder; it
    may hold `{model}`. mark: a header that its clients alone send; empty where there is none.
    """

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def mark(self) -> str: ...

    def key_in(self, headers: Mapping[str, str]) -> str:
        """The key that a client shows; empty without one."""
        ...

    def read(self, body: bytes, model: str, config: SimulatorConfig, known: Container[bytes]) -> Call:
        """model: that of the path, if it holds one. known: the keys of messages that hold a pair.

        Raises RefusedError for what is none of its requests.
        """
        ...

    def withheld(self, form: float, config: SimulatorConfig) -> Said | ApiError:
        """One of the ways in which its filters show themselves; form: from 0 to 1, settles which."""
        ...

    def fault(self, form: float) -> ApiError:
        """One of the ways in which its servers fail; form: from 0 to 1, settles which."""
        ...

    def format_failed(self) -> Said | ApiError:
        """What comes where the model's reply did not keep to its format."""
        ...

    def completion(
        self, number: int, call: Call, said: Said, usage: Usage, config: SimulatorConfig
    ) -> bytes: ...

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        """A reply that tells an error, in its own words. `reply.error` is there."""
        ...

    def limit_headers(self, levels: Mapping[str, Level]) -> dict[str, str]: ...

    def models(self, names: Sequence[str], ends_on: str) -> object:
        """The list of models, JSON-ready.

        ends_on: the day on which they all end, for a list that says so; empty where none does.
        """
        ...
