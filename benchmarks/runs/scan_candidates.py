"""The candidates of a scan as the pairs of a run, and what a run over them says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kimera.corpus import CONTRADICTS, MIN_SCORE, SUPERSEDES, Context, Finding, pair_key
from kimera.files import replacing
from kimera.pairs import CONTRADICTION, NOT_CONTRADICTION, Failure, Pair, Verdict

if TYPE_CHECKING:
    from benchmarks.runs.finished_run import FinishedRun
    from kimera.corpus import Corpus, Screened

CANDIDATES = "candidates.jsonl"
_ANSWER = "simulated_contradiction"

Said: TypeAlias = Verdict | Failure | None


def write_candidates(
    corpus: Corpus,
    screened: Screened,
    accepted: set[str],
    path: Path,
    answers: Callable[[str, str], bool] | None = None,
) -> tuple[int, list[str]]:
    """A line a pair that is not accepted, the likeliest first.

    Each has texts and id as a dataset has them, places and scores. answers: of a simulated judge, which are
    written beside. Gives how many there are, and the keys of those that are accepted.
    """
    columns = (screened.first, screened.second, screened.score, screened.cosine)
    written, left_out = 0, []
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        for first, second, score, cosine in zip(*map(np.ndarray.tolist, columns), strict=True):
            text1, text2 = corpus.texts[first], corpus.texts[second]
            if accepted and (key := pair_key(text1, text2, corpus.subjects[first])) in accepted:
                left_out.append(key)
                continue
            written += 1
            row = {
                "id": str(written),
                "text1": text1,
                "text2": text2,
                "places1": corpus.places[first],
                "places2": corpus.places[second],
                "screen_score": score if isfinite(score) else None,
                "cosine": cosine,
                "about": _about(corpus, first, second),
            } | ({_ANSWER: answers(text1, text2)} if answers else {})
            file.write(f"{json.dumps(row)}\n")
    return written, left_out


def known_answers(path: Path) -> list[Pair]:
    """The candidates with the answers of a simulated judge as their labels."""
    with path.open(encoding="utf-8") as file:
        return [
            Pair(row["text1"], row["text2"], label=CONTRADICTION if row.get(_ANSWER) else NOT_CONTRADICTION)
            for row in map(json.loads, file)
        ]


def _about(corpus: Corpus, first: int, second: int) -> dict[str, Any]:
    """Of what and when two statements speak, and under which headings, as fields of a finding."""
    newer = corpus.newer(first, second)
    return {
        "kind": SUPERSEDES if newer else CONTRADICTS,
        "newer": newer,
        "subject": corpus.subjects[first],
        "time1": corpus.time(first),
        "time2": corpus.time(second),
        "context1": corpus.contexts[first],
        "context2": corpus.contexts[second],
    }


def _fields(about: dict[str, Any]) -> dict[str, Any]:
    """What `_about` gave, as JSON has it; of an earlier version it has no contexts."""
    return about | {name: Context(*about[name]) for name in ("context1", "context2") if name in about}


class Judged:
    """What a run over candidates says of them.

    open: candidates without a verdict. unsure: those that the cascade calls contradictions without the judge
    though the local detector is not sure; they are no findings. Both are counted by `findings`.
    """

    def __init__(self, run: FinishedRun) -> None:
        self._run = run
        [local], [judge] = run.run.of_role("local"), run.run.of_role("judge")
        self._judge, self._local = judge.title, local.title
        names = [detector.name for detector in run.run.detectors]
        self._places = names.index(local.name), names.index(judge.name)
        self.open = 0
        self.unsure = 0

    def findings(self) -> Iterator[Finding]:
        """What the cascade calls contradictions; where it came to no end, what the judge has so far."""
        self.open = self.unsure = 0
        with (self._run.folder / CANDIDATES).open(encoding="utf-8") as file:
            candidates = map(json.loads, file)
            for pair, said in self._run.rows():
                row = next(candidate for candidate in candidates if candidate["id"] == pair.id)
                local, judge = (said[place] for place in self._places)
                if finding := self._finding(row, local, judge, said[-1]):
                    yield finding

    def _finding(self, row: dict[str, Any], local: Said, judge: Said, verdict: Said) -> Finding | None:
        if not isinstance(verdict, Verdict):
            self.open += 1
            return None
        score = local.score if isinstance(local, Verdict) else float("nan")
        judged = isinstance(judge, Verdict)
        if not verdict.contradiction:
            return None
        if not judged and not score >= MIN_SCORE:
            self.unsure += 1
            return None
        return Finding(
            score,
            row["text1"],
            row["text2"],
            row["places1"],
            row["places2"],
            float("nan") if row["screen_score"] is None else row["screen_score"],
            row["cosine"],
            judge=self._judge if judged else "",
            judge_confidence=verdict.confidence if judged else None,
            reasoning=verdict.reasoning if judged else "",
            detector=self._local,
            **_fields(row.get("about", {})),
        )
