"""Contradictions that a scan found, and the baseline: those that were looked at and accepted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from math import isfinite
from pathlib import Path

from kimera.corpus.texts import NO_CONTEXT, Context
from kimera.errors import UserError
from kimera.files import write_text
from kimera.local_names import REACTOR

MIN_SCORE = 0.8  # of a finding that no judge has confirmed, by the scores of pairs
DEFAULT_MIN_SCORE = 0.3  # by those of scans
CONTRADICTS, SUPERSEDES, DUPLICATES = "contradicts", "supersedes", "duplicates"
KINDS = (CONTRADICTS, SUPERSEDES, DUPLICATES)
DIGITS = 6
BASELINE = "kimera-scan-baseline-"
BASELINE_FORMAT = f"{BASELINE}1"
ENTRY = ("key", "text1", "text2")
BASELINE_START = f'{{"format": "{BASELINE}'


@dataclass(frozen=True, slots=True)
class Finding:
    """Two statements that contradict each other, and every place where each stands, as "file:line".

    score: P(contradiction) by the detector; screen_score: by the head that screened, NaN without one. cosine:
    of their vectors. detector: the local one that gave the score, by its title. judge: the model that
    confirmed it, with its confidence (0.5 to 1) and reasoning; empty, and None, where the detector decided
    alone.
    context1, context2: headings above each, the outermost first, and the statement before it. kind: one of
    `KINDS`. Of duplicates the score is P(entailment), the lower one of both directions. newer:
    which of the two supersedes the other, 1 or 2; 0 elsewhere. subject, time1, time2: where the table says.
    """

    score: float
    text1: str
    text2: str
    places1: Sequence[str]
    places2: Sequence[str]
    screen_score: float
    cosine: float
    judge: str = ""
    judge_confidence: float | None = None
    reasoning: str = ""
    detector: str = REACTOR
    kind: str = CONTRADICTS
    newer: int = 0
    subject: str = ""
    time1: str = ""
    time2: str = ""
    context1: Context = NO_CONTEXT
    context2: Context = NO_CONTEXT

    @property
    def key(self) -> str:
        return pair_key(self.text1, self.text2, self.subject)

    @property
    def says(self) -> str:
        """What the first statement is said to do to the second."""
        if self.kind == SUPERSEDES:
            return "may supersede, being newer" if self.newer == 1 else "may be superseded by a newer one"
        return "may say the same as" if self.kind == DUPLICATES else "may contradict"

    def turned(self) -> Finding:
        """The same, the second statement first."""
        return replace(
            self,
            text1=self.text2,
            text2=self.text1,
            places1=self.places2,
            places2=self.places1,
            time1=self.time2,
            time2=self.time1,
            context1=self.context2,
            context2=self.context1,
            newer={1: 2, 2: 1}.get(self.newer, 0),
        )


def fields_of(finding: Finding) -> dict[str, object]:
    """By the names that files have for them, numbers rounded, the newest fields last; NaN is None."""
    rounded = {
        name: (round(value, DIGITS) if isfinite(value) else None) if isinstance(value, float) else value
        for name, value in asdict(finding).items()
    }
    later = {name: rounded.pop(name) for name in ("detector", "kind", "newer", "subject", "time1", "time2")}
    context: dict[str, object] = {}
    for number, about in (("1", finding.context1), ("2", finding.context2)):
        del rounded[f"context{number}"]
        context |= {f"headings{number}": about.headings, f"before{number}": about.before}
    return rounded | {"key": finding.key} | later | {"newer": finding.newer or None} | context


def visible(text: str) -> str:
    """What a terminal or a browser would obey and not show (escapes, marks of direction) as its code."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)


def pair_key(text1: str, text2: str, subject: str = "") -> str:
    """Names two texts, in whichever order and wherever they stand, and their subject."""
    whole = blake2b(digest_size=16)
    for digest in sorted(map(_digest, (text1, text2))):
        whole.update(digest)
    if subject:
        whole.update(_digest(subject))
    return whole.hexdigest()


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def strongest_first(findings: Iterable[Finding]) -> list[Finding]:
    """By the judge's confidence where there is one, then by score.

    Of equal ones by the texts, so that the order does not depend on the files'.
    """
    return sorted(
        findings,
        key=lambda each: (-(each.judge_confidence or 0.0), -each.score, each.text1, each.text2),
    )


def is_baseline(path: Path) -> bool:
    """Whether the file is a baseline, of this version or another."""
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(len(BASELINE_START)) == BASELINE_START
    except (OSError, ValueError):
        return False


def read_baseline(path: Path) -> set[str]:
    """The keys of accepted findings. Raises UserError if the file is missing or is no baseline."""
    return {entry["key"] for entry in _entries(path)}


def _entries(path: Path) -> list[dict[str, str]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != BASELINE_FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        return [{name: str(entry[name]) for name in ENTRY} for entry in content["accepted"]]
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}; write a baseline with --write-baseline"
        ) from error
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise UserError(
            f"{path} is not a baseline of this version of Kimera ({type(error).__name__}: {error}). "
            "Write a new one with --write-baseline."
        ) from error


def replace_baseline(path: Path, findings: Iterable[Finding], keep: Collection[str] = ()) -> int:
    """Accepts these findings, and of those that the file holds already the ones whose keys are to be kept.

    One line a finding, in the order of the keys, with both texts for whoever reviews the file. Gives how many
    are accepted no longer.
    """
    before: list[dict[str, str]] = []
    with contextlib.suppress(UserError):  # not there, or of another version
        before = _entries(path)
    accepted = {entry["key"]: entry for entry in before if entry["key"] in keep}
    accepted |= {
        finding.key: {"key": finding.key, "text1": finding.text1, "text2": finding.text2}
        for finding in findings
    }
    lines = ",\n".join(json.dumps(accepted[key], ensure_ascii=False) for key in sorted(accepted))
    head = f'{{"format": "{BASELINE_FORMAT}", "accepted": ['
    write_text(path, f"{head}\n{lines}\n]}}\n")
    return len({entry["key"] for entry in before} - accepted.keys())
