"""Findings as SARIF 2.1.0, which pages of code scanning and editors read: a result a finding."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kimera.corpus.about_scan import About
from kimera.corpus.finding_groups import Group
from kimera.corpus.findings import CONTRADICTS, DUPLICATES, SUPERSEDES, fields_of
from kimera.version import __version__

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "kimeraPair/v1"
_RULES = {
    CONTRADICTS: (
        "warning",
        "Two statements that may contradict each other",
        "Both cannot be true of the same situation and time. A candidate to read: whether they speak of the "
        "same situation no model knows.",
    ),
    SUPERSEDES: (
        "note",
        "A newer statement that may supersede an older one",
        "Both speak of the same thing, cannot both be true, and one is newer.",
    ),
    DUPLICATES: ("note", "Two statements that say the same", "Each follows from the other."),
}
_TOLD = ("text1", "places1")  # of every pair the same, and said by the result
_INDEX = {kind: index for index, kind in enumerate(_RULES)}


def render_sarif(groups: Sequence[Group], about: About) -> str:
    """One run. Fingerprints follow from the texts alone, so files and lines may move."""
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "Kimera",
                "version": __version__,
                "informationUri": "https://pypi.org/project/kimera-reactor/",
                "rules": [_rule(kind, *texts) for kind, texts in _RULES.items()],
            }
        },
        "invocations": [_invocation(about)],
        "results": [_result(group) for group in groups],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=1) + "\n"


def _rule(kind: str, level: str, short: str, whole: str) -> dict[str, Any]:
    return {
        "id": kind,
        "name": kind.capitalize(),
        "shortDescription": {"text": short},
        "fullDescription": {"text": whole},
        "defaultConfiguration": {"level": level},
    }


def _invocation(about: About) -> dict[str, Any]:
    told = [f"Not all: {about.incomplete}."] if about.incomplete else []
    told += [f"What makes a pair a finding: {about.threshold}."] if about.threshold else []
    told += [f"{about.ignored:,} statements are ignored by a mark in the text."] if about.ignored else []
    level = "warning" if about.incomplete else "note"
    notes = [{"level": level, "message": {"text": text}} for text in told]
    return {"executionSuccessful": not about.incomplete} | (
        {"toolExecutionNotifications": notes} if notes else {}
    )


def _result(group: Group) -> dict[str, Any]:
    first = group.first
    score = first.judge_confidence or first.score
    own = [*_locations(first.places1, first.text1)]
    others = [each for finding in group.findings for each in _locations(finding.places2, finding.text2)]
    related = [{"id": number} | each for number, each in enumerate([*own[1:], *others], 1)]
    return {
        "ruleId": first.kind,
        "ruleIndex": _INDEX[first.kind],
        "level": _RULES[first.kind][0],
        "message": {"text": _message(group, len(own))},
        "locations": own[:1],
        "relatedLocations": related,
        "partialFingerprints": {FINGERPRINT: first.key},
        "properties": {
            "pairs": [
                {name: value for name, value in fields_of(finding).items() if name not in _TOLD}
                for finding in group.findings
            ]
        },
    } | ({"rank": round(100 * score, 1)} if isfinite(score) else {})


def _message(group: Group, places: int) -> str:
    """With a link to the first place of each other statement, by its number among the related ones."""
    number, lines = places, []
    for finding in group.findings:
        lines.append(f"[{_link(finding.text2)}]({number})")
        number += len(finding.places2)
    return f"“{_outside_links(group.first.text1)}” {group.first.says}: {'; '.join(lines)}"


def _link(text: str) -> str:
    """As the text of a link, in which brackets and backslashes are escaped: SARIF 2.1.0, 3.11.6."""
    return re.sub(r"[\\\[\]]", r"\\\g<0>", _plain(text))


def _outside_links(text: str) -> str:
    """What looks like a link of its own is none."""
    return _link(text) if "](" in text else _plain(text)


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _locations(places: Iterable[str], text: str) -> Iterator[dict[str, Any]]:
    for place in places:
        file, _, at = place.rpartition(":")
        yield {
            "physicalLocation": {
                "artifactLocation": {"uri": _uri(file)},
                # Pages of code scanning take no location without a line, and a page of PDF has none.
                "region": {"startLine": int(at) if at.isdigit() else 1, "snippet": {"text": _plain(text)}},
            },
            "message": {"text": _outside_links(text)},
        } | ({} if at.isdigit() else {"logicalLocations": [{"name": at}]})


def _uri(file: str) -> str:
    if os.path.isabs(file):
        return Path(file).as_uri()
    return quote(file.replace(os.sep, "/").removeprefix("./"), errors="replace")
