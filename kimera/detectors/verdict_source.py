"""What a local detector is: whatever gives verdicts on pairs of texts on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from kimera.pairs import Failure, Pair, Verdict

THRESHOLD = 0.5  # of a score, from which on the verdict is contradiction
# What a source may count of its work; see `VerdictSource.counts`.
COUNTED = ("texts", "encoded", "from_cache", "read", "read_from_cache", "to_deep", "load_s")


class VerdictSource(Protocol):
    """The reactor is one. A class of your own may inherit from this, and then has to define `stream` alone.

    | member | what it gives |
    | --- | --- |
    | `kind` | what people call such a one, a noun: "reactor", "NLI model" |
    | `settings` | what decides its verdicts and how they are computed, JSON-ready; no name is in `COUNTED` |
    | `fingerprints` | what decides its verdicts, part by part; where one changes, a run cannot go on |
    | `trained_on` | titles of the data sets that it was fitted on, perhaps none; None: nobody knows |
    | `counts` | the work done so far, by any of the names in `COUNTED`, and `workers_used` |
    | `take_settings` | goes on as an earlier session of its run did; by default there is nothing to take |
    | `settle` | what its first pairs decide, such as a precision, is decided by these; by default nothing |
    | `stream` | a verdict or a failure a pair, in order |
    | `__enter__`, `__exit__` | what it needs is opened and closed |
    """

    @property
    def kind(self) -> str:
        return "local detector"

    @property
    def settings(self) -> Mapping[str, Any]:
        return {}

    @property
    def fingerprints(self) -> Mapping[str, str]:
        return {}

    @property
    def trained_on(self) -> list[str] | None:
        return None

    @property
    def counts(self) -> Mapping[str, float]:
        """load_s, seconds to load models, is left out of its speed. workers_used: the most at once."""
        return {}

    def take_settings(self, settings: Mapping[str, Any]) -> None:
        """settings: what `settings` were when an earlier session of the run ended, which gave verdicts.

        Whatever was settled on only then is taken over, so that a run's verdicts are all made alike.
        """
        return  # with an empty body it would be abstract

    def settle(self, pairs: Sequence[Pair]) -> None:
        """pairs: the first ones of a run. Of a detector that is part of another, not all may come to it.

        All further calls of `stream` keep to what these have decided, until the next `settle`.
        """
        return  # as above

    def stream(
        self,
        pairs: Iterable[Pair],
        workers: int | None = None,
        on_progress: Callable[[int], object] | None = None,
    ) -> Iterator[Verdict | Failure]:
        """Takes pairs only as it needs them.

        workers: processes; None is this one with all its cores. on_progress: is told by how many pairs the
        work has moved on. `latency_ms` of each verdict is its batch's time over its pairs, loading left out.
        """
        ...

    def __enter__(self) -> object:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        return None  # with an empty body it would be abstract
