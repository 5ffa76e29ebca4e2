"""What a server has done since it started, in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from kimera.live.protocol import Message
from kimera.version import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12)  # of the histogram


class Metrics:
    """Counts answers. Texts, names of sessions and tokens are in none of its labels."""

    def __init__(self) -> None:
        self._answers: Counter[str] = Counter({"checked": 0})
        self._contradictions = 0
        self._failed = 0
        self._latencies = [0] * (len(BOUNDS_S) + 1)
        self._latency_s = 0.0

    def count(self, answer: Message) -> None:
        """answer: a `checked`, or an `error`."""
        if answer["type"] == "error":
            self._answers[answer["kind"]] += 1
            return
        self._answers["checked"] += 1
        self._contradictions += len(answer["contradictions"])
        self._failed += answer.get("failed", 0)
        latency_s = answer["latency_ms"] / 1000
        self._latencies[bisect_left(BOUNDS_S, latency_s)] += 1
        self._latency_s += latency_s

    def text(self, held: Mapping[str, int]) -> str:
        """held: what the server holds now, by name."""
        families = [
            *_family("build_info", "gauge", "The software.", [(f'{{version="{__version__}"}}', 1)]),
            *(line for name, value in held.items() for line in _held(name, value)),
            *_family(
                "answers_total",
                "counter",
                "Answers to statements: checked, or the kind of the error.",
                [(f'{{kind="{kind}"}}', count) for kind, count in sorted(self._answers.items())],
            ),
            *_family("contradictions_total", "counter", "Pairs reported.", [("", self._contradictions)]),
            *_family(
                "failed_candidates_total",
                "counter",
                "Candidates on which the detector gave no verdict.",
                [("", self._failed)],
            ),
            *_family(
                "check_seconds", "histogram", "From a statement's arrival to its answer.", self._histogram()
            ),
        ]
        return "".join(f"{line}\n" for line in families)

    def _histogram(self) -> Iterator[tuple[str, float]]:
        total = 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._latencies, strict=True):
            total += count
            yield f'_bucket{{le="{bound}"}}', total
        yield "_sum", round(self._latency_s, 6)
        yield "_count", total


def _held(name: str, value: int) -> Iterator[str]:
    return _family(name, "gauge", f"The {name} that are held now.", [("", value)])


def _family(name: str, kind: str, help: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    """samples: what follows the name, and the value."""
    whole = f"kimera_live_{name}"
    yield f"# HELP {whole} {help}"
    yield f"# TYPE {whole} {kind}"
    yield from (f"{whole}{rest} {value}" for rest, value in samples)
