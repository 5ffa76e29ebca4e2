"""Verdicts that something else wrote: matched by id or by texts, and refused where they are not clear."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kimera.detectors import ScoresFile
from kimera.errors import UserError
from kimera.pairs import Failure, Pair, Verdict

PAIRS = [Pair(f"The lamp {n} is on.", f"The lamp {n} is off.", id=f"p{n}") for n in range(6)]
FORMATS = ("scores.csv", "scores.tsv", "scores.jsonl", "scores.json", "scores.parquet")


def written(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str = ",") -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([*rows]), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps([*rows]))
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        file = io.StringIO()
        delimiter = "\t" if path.suffix == ".tsv" else delimiter
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(file.getvalue(), encoding="utf-8")
    return path


def scores(path: Path, pairs: list[Pair] = PAIRS) -> list[float | str]:
    outcomes = ScoresFile(path).stream(pairs)
    return [one.kind if isinstance(one, Failure) else round(one.score, 9) for one in outcomes]


def refused(path: Path, pairs: list[Pair] = PAIRS) -> str:
    with pytest.raises(UserError) as error:
        scores(path, pairs)
    return str(error.value)


@pytest.mark.parametrize("name", FORMATS)
def test_scores_are_read_by_id_from_every_kind_of_table(tmp_path: Path, name: str) -> None:
    rows = [{"id": pair.id, "score": n / 5} for n, pair in enumerate(PAIRS)]
    assert scores(written(tmp_path / name, rows)) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_without_ids_both_texts_say_which_pair_a_row_is_of(tmp_path: Path) -> None:
    rows = [{"premise": f" {p.text1} ", "hypothesis": p.text2, "p_contradiction": 0.25} for p in PAIRS]
    assert scores(written(tmp_path / "a.csv", rows)) == [0.25] * 6


def test_texts_do_not_change_sides(tmp_path: Path) -> None:
    rows = [{"text1": p.text2, "text2": p.text1, "score": 0.25} for p in PAIRS]
    assert "no row is of any of the pairs" in refused(written(tmp_path / "a.csv", rows))


RESULTS = [
    {
        "id": pair.id,
        "text1": pair.text1,
        "text2": pair.text2,
        "label": "contradiction",
        "kimera_contradiction": "true" if n > 2 else "false",
        "kimera_confidence": max(n / 5, 1 - n / 5),
        "kimera_score": n / 5,
        "kimera_latency_ms": 7,
        "kimera_reasoning": "said",
        "kimera_calibrated_score": 0.5,
        "kimera_screen_score": 0.4,
        "agreement": "true",
    }
    for n, pair in enumerate(PAIRS)
]
OF_A_JUDGE = {"gpt_contradiction": "true", "gpt_score": 0.9}


@pytest.mark.parametrize("name", FORMATS)
def test_the_results_of_a_run_are_taken_where_they_are_of_one_detector(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, RESULTS)
    assert scores(path) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    row = ScoresFile(path).row_of(PAIRS[0])
    assert row
    assert row.verdict
    assert (row.latency_ms, row.verdict.reasoning) == (7, "said")


def test_of_several_detectors_the_one_that_is_meant_has_to_be_named(tmp_path: Path) -> None:
    path = written(tmp_path / "results.csv", [row | OF_A_JUDGE for row in RESULTS])
    assert refused(path).endswith(
        "several detectors have answers here: kimera, gpt; give one of them, as in FILE#kimera"
    )
    named = ScoresFile(path, detector="gpt").stream(PAIRS)
    assert [verdict.score for verdict in named if isinstance(verdict, Verdict)] == [0.9] * 6
    with pytest.raises(UserError, match=r"no detector kimra here: kimera, gpt; did you mean #kimera\?"):
        ScoresFile(path, detector="kimra")
    with pytest.raises(UserError, match=r"no column x_score or x_verdict.*leave out #x"):
        ScoresFile(written(tmp_path / "a.csv", [{"id": "p0", "score": 0.4}]), detector="x")


def test_the_columns_of_the_pairs_are_known_by_the_names_they_have_there(tmp_path: Path) -> None:
    told = {"id": "case", "text1": "claim one", "text2": "claim two"}
    of_ids = [{"case": pair.id, "id": n, "score": 0.25} for n, pair in enumerate(PAIRS)]
    of_texts = [{"claim one": pair.text1, "claim two": pair.text2, "score": 0.25} for pair in PAIRS]
    of_one = [{"case": pair.id, "claim one": pair.text1, "score": 0.25} for pair in PAIRS]
    usual = [{"id": pair.id, "score": 0.25} for pair in PAIRS]
    for number, rows in enumerate((of_ids, of_texts, of_one, usual)):
        path = written(tmp_path / f"{number}.csv", rows)
        outcomes = list(ScoresFile(path, pair_columns=told).stream(PAIRS))
        assert [outcome.score for outcome in outcomes if isinstance(outcome, Verdict)] == [0.25] * 6


@pytest.mark.parametrize(
    ("row", "score"),
    [
        ({"verdict": "contradiction"}, 1.0),
        ({"verdict": "Neutral"}, 0.0),
        ({"contradiction": "true"}, 1.0),
        ({"is_contradiction": "no"}, 0.0),
        ({"contradiction": "1"}, 1.0),
        ({"contradiction": "0.0"}, 0.0),
        ({"contradiction": "0.7"}, 0.7),
        ({"verdict": "entailment", "confidence": "0.9"}, 0.1),
        ({"prediction": "contradiction", "confidence": "0.9"}, 0.9),
        ({"verdict": "contradiction", "confidence": "0.2"}, 0.5),
        ({"P(contradiction)": "0.3", "P(neutral)": "0.7"}, 0.3),
        ({"contradiction": "0.3", "entailment": "0.2", "neutral": "0.5"}, 0.3),
        ({"contradiction": "0.3", "neutral": "0.7", "prediction": "neutral"}, 0.3),
        ({"source": "gpt", "prediction": "entailment"}, 0.0),
        ({"label": "contradiction", "score": "0.1"}, 0.1),
    ],
)
def test_a_verdict_a_confidence_and_a_score_are_read_by_their_names(
    tmp_path: Path, row: dict[str, Any], score: float
) -> None:
    assert scores(written(tmp_path / "a.csv", [{"id": "p0", **row}]), PAIRS[:1]) == [score]


def test_a_bare_verdict_says_that_it_states_no_confidence(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"id": "p0", "verdict": True}, {"id": "p1", "score": 0.5}])
    first, second = ScoresFile(path).stream(PAIRS[:2])
    assert first == Verdict(True, 1.0, score_source="verdict")
    assert second == Verdict(True, 0.5)


def test_reasoning_latency_and_cost_are_kept(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": "p0",
            "verdict": "contradiction",
            "reasoning": "On is not off. é",
            "latency_ms": 12.5,
            "cost": 0.002,
        },
        {"id": "p1", "verdict": "neutral", "reasoning": "", "latency_ms": "", "cost": ""},
    ]
    file = ScoresFile(written(tmp_path / "a.csv", rows), role="judge")
    told, untold = file.row_of(PAIRS[0]), file.row_of(PAIRS[1])
    assert told is not None
    assert untold is not None
    assert told.verdict == Verdict(True, 1.0, "On is not off. é", 12.5, score_source="verdict")
    assert (told.number, told.cost, told.latency_ms) == (2, 0.002, 12.5)
    assert (untold.cost, untold.latency_ms) == (None, None)
    assert file.row_of(PAIRS[2]) is None
    assert (file.has_latencies, file.kind) == (True, "judge's results file")


def test_seconds_become_milliseconds(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", [{"id": "p0", "score": 1, "latency_s": 0.5}])
    row = ScoresFile(path).row_of(PAIRS[0])
    assert row is not None
    assert row.latency_ms == 500.0


def test_pairs_without_a_row_and_rows_without_an_answer_are_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "p3", "score": ""},
        {"id": "p4", "score": 0.9},
        {"id": "other", "score": 0.1},
    ]
    found = scores(written(tmp_path / "a.csv", rows))
    assert found == ["no_row", "no_row", "no_row", "no_verdict", 0.9, "no_row"]
    told = capsys.readouterr().err
    assert "3 rows; id from 'id', score from 'score'" in told
    assert "rows without a score or a verdict: 1" in told
    assert "rows that are of none of the pairs asked about: 1" in told


def test_a_failed_request_in_json_lines_may_lack_its_score(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [{"id": "p0", "error": "500"}, {"id": "p1", "score": 0.9}])
    assert scores(path, PAIRS[:2]) == ["no_verdict", 0.9]


def test_a_row_that_is_there_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"id": "p0", "score": 0.9}, {"id": "p0", "score": "0.90"}]
    assert scores(written(tmp_path / "a.csv", rows), PAIRS[:1]) == [0.9]
    assert "rows that repeat an earlier one of the same pair: 1" in capsys.readouterr().err


@pytest.mark.parametrize("keys", [("id",), ("text1", "text2")])
def test_rows_that_say_different_things_of_a_pair_are_refused_with_their_lines(
    tmp_path: Path, keys: tuple[str, ...]
) -> None:
    rows = [{**{key: getattr(PAIRS[0], key) for key in keys}, "score": score} for score in (0.9, 0.2)]
    message = refused(written(tmp_path / "a.csv", rows))
    assert "lines 2 and 3 are of the same pair, with the score 0.9 and the score 0.2" in message


def test_ids_that_match_by_chance_do_not_outweigh_the_texts(tmp_path: Path) -> None:
    pairs = [Pair(p.text1, p.text2, id=str(n)) for n, p in enumerate(PAIRS, 1)]
    rows = [{"id": n, "text1": p.text1, "text2": p.text2, "score": n / 5} for n, p in enumerate(PAIRS)]
    assert scores(written(tmp_path / "a.csv", rows), pairs) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_an_id_of_a_pair_with_texts_of_none_is_refused(tmp_path: Path) -> None:
    rows = [{"id": "p0", "text1": "Something", "text2": "else", "score": 0.4}]
    assert "line 2 has the id 'p0' of a pair, but other texts" in refused(written(tmp_path / "a.csv", rows))


def test_texts_that_stand_on_several_rows_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    twins = [Pair("a", "b", id="x"), Pair("a", "b", id="y"), Pair("a", "b", id="z")]
    rows = [{"id": n, "text1": "a", "text2": "b", "score": s} for n, s in (("x", 0.1), ("y", 0.9))]
    path = written(tmp_path / "a.csv", rows)
    assert scores(path, twins[:2]) == [0.1, 0.9]
    assert "lines 2 and 3 say different things of the same texts" in refused(path, twins)


def test_where_nothing_matches_an_example_of_each_side_is_shown(tmp_path: Path) -> None:
    message = refused(written(tmp_path / "a.csv", [{"id": "row-1", "score": 0.4}]))
    assert "Its first row has the id 'row-1'; the first pair has the id 'p0'" in message


def test_the_part_of_a_run_that_is_left_may_have_no_rows_where_the_run_has(tmp_path: Path) -> None:
    file = ScoresFile(written(tmp_path / "a.csv", [{"id": "p0", "score": 0.4}]))
    with pytest.raises(UserError, match="no row is of any of the pairs"):
        file.check(PAIRS[1:])
    file.check(PAIRS)
    assert [type(one) for one in file.stream(PAIRS[3:])] == [Failure] * 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"score": "NaN"}, "line 2: score is 'NaN'; expected the probability of a contradiction, a number"),
        ({"score": "1.2"}, "line 2: score is '1.2'"),
        ({"score": "-0.1"}, "line 2: score is '-0.1'"),
        ({"score": "87%"}, "line 2: score is '87%'"),
        ({"verdict": "maybe"}, "line 2: verdict is 'maybe'; expected contradiction, entailment, neutral or"),
        ({"verdict": "2"}, "line 2: verdict is '2'"),
        ({"verdict": "neutral", "confidence": "95"}, "line 2: confidence is '95'"),
        ({"score": "0.5", "cost": "-1"}, "line 2: cost is '-1'; expected a number of at least 0"),
        ({"score": "0.5", "latency_ms": "inf"}, "line 2: latency_ms is 'inf'"),
        ({"verdict": "neutral", "score": "0.98"}, "rename score to confidence"),
        ({"confidence": "0.98"}, "a confidence alone does not say in what"),
        ({"text": "x"}, "expected a score, named for example score or p_contradiction"),
        ({"score": "0.5", "p_contradiction": "0.5"}, "'score' and 'p_contradiction' could each be the score"),
    ],
)
def test_a_value_that_is_none_is_refused_with_its_place(
    tmp_path: Path, row: dict[str, Any], message: str
) -> None:
    assert message in refused(written(tmp_path / "a.csv", [{"id": "p0", **row}]), PAIRS[:1])


def test_nan_in_parquet_is_refused(tmp_path: Path) -> None:
    rows = [{"id": "p0", "score": 0.5}, {"id": "p1", "score": float("nan")}]
    assert "row 2: score is nan" in refused(written(tmp_path / "a.parquet", rows))


def test_how_sure_a_classifier_is_of_its_label_is_not_taken_for_a_score(tmp_path: Path) -> None:
    rows = [
        {"id": "p0", "label": "CONTRADICTION", "score": 0.9},
        {"id": "p1", "label": "NEUTRAL", "score": 0.8},
    ]
    assert "rename score to p_contradiction if it is that" in refused(written(tmp_path / "a.csv", rows))
    stated = ScoresFile(tmp_path / "a.csv", columns={"verdict": "label", "confidence": "score"})
    assert [round(one.score, 6) for one in stated.stream(PAIRS[:2]) if isinstance(one, Verdict)] == [0.9, 0.2]


@pytest.mark.parametrize("rows", [[{"score": 0.5, "note": "x"}], [{"id": "", "score": 0.5}]])
def test_rows_that_no_pair_can_be_found_by_are_refused(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    assert "id" in refused(written(tmp_path / "a.csv", rows))


def test_a_file_that_is_not_there_and_a_part_that_is_not_known_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        ScoresFile(tmp_path / "none.csv")
    with pytest.raises(UserError, match="columns has 'scores'"):
        ScoresFile(tmp_path / "none.csv", columns={"scores": "x"})


def test_settings_change_with_the_content_and_are_fit_for_json(tmp_path: Path) -> None:
    one = ScoresFile(written(tmp_path / "a.csv", [{"id": "p0", "score": 0.4}])).settings
    two = ScoresFile(written(tmp_path / "a.csv", [{"id": "p0", "score": 0.5}])).settings
    assert one | {"sha256": ""} == {
        "file": "a.csv",
        "sha256": "",
        "rows": 1,
        "columns": {"id": "id", "score": "score"},
    }
    assert one["sha256"] != two["sha256"]
    assert json.loads(json.dumps(two)) == two


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20).filter(
    lambda text: bool(text.strip()) and text.strip().casefold() not in {"null", "nan", "none", "na", "n/a"}
)
TABLES = st.lists(
    st.tuples(TEXTS, TEXTS, st.floats(0, 1), TEXTS),
    min_size=1,
    max_size=12,
    unique_by=lambda row: tuple(" ".join(text.split()) for text in row[:2]),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=TABLES,
    form=st.sampled_from(
        [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.jsonl", ""), ("a.parquet", "")]
    ),
    by_id=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_table_gives_its_scores_in_whatever_order_its_rows_stand(
    tmp_path: Path, table: list[tuple[str, str, float, str]], form: tuple[str, str], by_id: bool, seed: int
) -> None:
    pairs = [Pair(one, two, id=f"n{n}") for n, (one, two, _, _) in enumerate(table)]
    keys = [{"id": p.id} if by_id else {"text1": p.text1, "text2": p.text2} for p in pairs]
    rows = [key | {"score": row[2], "reasoning": row[3]} for key, row in zip(keys, table, strict=True)]
    random.Random(seed).shuffle(rows)  # noqa: S311 (no secret)
    found = list(ScoresFile(written(tmp_path / form[0], rows, form[1])).stream(pairs))
    assert all(isinstance(one, Verdict) for one in found)
    for verdict, (_, _, score, reasoning) in zip(found, table, strict=True):
        assert isinstance(verdict, Verdict)
        assert verdict.score == pytest.approx(score, abs=1e-12)
        assert verdict.reasoning.strip() == reasoning.strip()


def test_a_text_that_was_kept_from_running_in_a_spreadsheet_is_the_same_text(tmp_path: Path) -> None:
    rows = [{"text1": "'=1+1 is two", "text2": "'quoted'", "score": 0.25}]
    assert scores(written(tmp_path / "a.csv", rows), [Pair("=1+1 is two", "'quoted'")]) == [0.25]
