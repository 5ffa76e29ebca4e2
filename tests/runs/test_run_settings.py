"""What a run was begun with is in its header, all but secrets, and decides how it may go on."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from benchmarks.llm_compare import build_parser, main
from benchmarks.runs.finished_run import infos_in
from benchmarks.runs.journal import Journal
from benchmarks.runs.judged_scan_settings import JudgedScanSettings, comparison_command_line
from benchmarks.runs.requested_detectors import judges_of, plan_of, planned
from benchmarks.runs.run_folder import JOURNAL, header_in, header_of, resumed_settings, settings_in
from benchmarks.scan import build_parser as judged_scan_parser
from benchmarks.settings import RunSettings
from benchmarks.wanted_labels import WantedLabels
from kimera.console.options import CommandLine, command_line, options_of
from kimera.errors import UserError

OPTIONS = options_of(RunSettings)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int": st.integers(0, 10**9),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "str": st.text(),
    # A word that is a path here comes back as the whole path, which another test holds.
    "tuple[str, ...]": st.lists(st.text().filter(lambda word: word not in {".", "..", "/"})).map(tuple),
    "tuple[tuple[str, str], ...]": st.lists(st.tuples(st.text(), st.text())).map(tuple),
    "WantedLabels": st.builds(WantedLabels, width=st.floats(0.001, 0.5)),
    "int | Literal['auto']": st.integers(1, 99) | st.just("auto"),
}


def values_of(name: str, annotation: str) -> st.SearchStrategy[Any]:
    """All that a setting can be, and some that its flag would refuse."""
    plain = annotation.removesuffix(" | None")
    choices = OPTIONS[name].choices
    values = st.sampled_from(list(choices)) if choices else VALUES[plain]
    return values if plain == annotation else st.none() | values


ANY = st.builds(
    RunSettings, **{each.name: values_of(each.name, str(each.type)) for each in fields(RunSettings)}
)


@pytest.fixture(autouse=True)
def _in_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def begin(settings: RunSettings, **identity: Any) -> str:
    """The folder of a run that was begun with these settings, and came no further."""
    Path("run").mkdir(exist_ok=True)
    Path("run", JOURNAL).unlink(missing_ok=True)
    header = header_of(settings, "2026-01-31", {"dataset": {"name": "pairs", "sha256": "0"}, **identity})
    Journal(Path("run", JOURNAL), header=header).close()
    return "run"


def told(words: str) -> CommandLine[RunSettings]:
    return command_line(RunSettings, "compare", build_parser().parse_args(words.split()))


def gone_on(words: str) -> RunSettings:
    """The settings of the run in the folder, with these flags over them."""
    return resumed_settings(told(words), "run")[0]


@given(ANY)
@profile(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_settings_come_back_from_a_header_as_they_were_and_secrets_do_not(settings: RunSettings) -> None:
    back = settings_in(header_in(begin(settings)))
    for name, declared in OPTIONS.items():
        value = getattr(settings, name)
        if declared.secret or declared.one_session:
            assert getattr(back, name) == declared.default
        elif declared.path and value:
            assert getattr(back, name) in (value, os.path.abspath(value))
        else:
            assert getattr(back, name) == value


@given(ANY)
@profile(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_settings_that_a_run_began_with_are_not_held_against_it(settings: RunSettings) -> None:
    begin(settings)
    command = CommandLine(settings, flags=frozenset(OPTIONS))
    resumed, _ = resumed_settings(command, "run")
    assert replace(resumed, **{name: "" for name in OPTIONS if OPTIONS[name].path}) == replace(
        settings, **{name: "" for name in OPTIONS if OPTIONS[name].path}
    )


def test_no_key_and_no_headers_value_is_in_a_header() -> None:
    begin(RunSettings(api_key="sk-secret", headers=(("X-Key", "sk-secret"),)))
    written = Path("run", JOURNAL).read_text(encoding="utf-8")
    assert "sk-secret" not in written
    assert json.loads(written)["header_names"] == ["X-Key"]


@pytest.mark.parametrize("name", sorted(name for name, declared in OPTIONS.items() if declared.identity))
def test_no_other_value_of_what_makes_a_run_goes_on_with_it(name: str) -> None:
    begin(RunSettings())
    default = getattr(RunSettings(), name)
    other = {bool: True, int: 9, float: 0.5, tuple: ("other",)}.get(type(default), "other")
    command = CommandLine(replace(RunSettings(), **{name: other}), flags=frozenset([name]))
    with pytest.raises(UserError, match=f"--resume run: {OPTIONS[name].shown} was .* when this run began"):
        resumed_settings(command, "run")


def test_one_price_as_earlier_versions_wrote_it_is_one_of_several() -> None:
    begin(RunSettings())
    header = header_in("run")
    header["options"]["price"] = "2.5,10"
    assert settings_in(header).price == ("2.5,10",)


def test_what_a_flag_says_of_the_rest_holds_for_the_run_that_goes_on() -> None:
    begin(RunSettings(concurrency=16, max_cost=1.0, timeout=9.0))
    resumed = gone_on("--max-cost 5 --json")
    assert (resumed.concurrency, resumed.max_cost, resumed.timeout, resumed.json) == (16, 5.0, 9.0, True)


def test_a_file_that_is_named_is_held_to_what_the_run_began_with_as_flags_are() -> None:
    begin(RunSettings(max_pairs=20, concurrency=16))
    Path("mine.toml").write_text("[compare]\nmax-pairs = 20\nasync = 4", encoding="utf-8")
    assert gone_on("--config mine.toml").concurrency == 4
    Path("mine.toml").write_text("[compare]\nmax-pairs = 30", encoding="utf-8")
    told_to = "--max-pairs was 20 when this run began; take it out of mine.toml, or start a new run"
    with pytest.raises(UserError, match=told_to):
        gone_on("--config mine.toml")


def test_a_file_that_was_only_found_leaves_the_run_as_it_is() -> None:
    """Else the command that Kimera prints to go on would fail, where flags had won over the file."""
    begin(RunSettings(max_pairs=20, concurrency=16))
    Path("kimera.toml").write_text("[compare]\nmax-pairs = 30\nasync = 4\nquiet = true", encoding="utf-8")
    resumed = gone_on("")
    assert (resumed.max_pairs, resumed.concurrency, resumed.quiet) == (20, 16, True)


def test_a_run_goes_on_with_the_model_that_the_environment_named_where_it_began() -> None:
    begin(RunSettings(), judge={"models": ["of the environment"], "base_url": "http://x/v1"})
    assert gone_on("").models == ("of the environment",)
    with pytest.raises(UserError, match="--model was 'of the environment' when this run began"):
        gone_on("--model gpt-4o")


def test_a_judged_scan_changes_of_its_run_what_both_commands_have() -> None:
    """Its --out and its --delimiter are of findings and of the corpus, not of the run."""
    begin(RunSettings(cascade=0.05, prompt="collection", max_failed=1.0))
    Path("mine.toml").write_text('[judged-scan]\ndelimiter = ";"\nprompt = "collection"', encoding="utf-8")
    words = ["--resume", "run", "--async", "8", "--out", "x.csv", "--config", "mine.toml"]
    command = command_line(JudgedScanSettings, "judged-scan", judged_scan_parser().parse_args(words))
    resumed, _ = resumed_settings(comparison_command_line(command), "run")
    assert (resumed.concurrency, resumed.prompt, resumed.max_failed) == (8, "collection", 1.0)
    assert (resumed.out, resumed.delimiter) == (None, None)


def test_a_whole_run_may_be_told_by_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pairs.jsonl").write_text('{"text1": "It is on.", "text2": "It is off."}\n', encoding="utf-8")
    lines = ['dataset = "pairs.jsonl"', "kimera-only = true", 'reactor = "screen"', "no-viz = true"]
    Path("kimera.toml").write_text("\n".join(["[compare]", *lines, "quiet = true"]), encoding="utf-8")
    assert main(["--out", "run"]) == 0
    assert main(["--resume", "run"]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("Dataset: pairs.jsonl, 1 pair, none labelled") == 2
    assert shown.err.count("note: flags are read from kimera.toml in this folder\n") == 2


def test_settings_themselves_say_what_follows_from_several_of_them() -> None:
    assert RunSettings(simulate=True).asks_simulator
    assert not RunSettings(simulate=True, kimera_only=True).asks_simulator
    assert not RunSettings(kimera_only=True).asks_simulator
    assert plan_of(RunSettings()) is None
    plan = plan_of(RunSettings(cascade=0.1, max_sent=0.5, seed=4))
    assert plan
    assert plan.settings == {"risk": 0.1, "max_sent": 0.5, "seed": 4}


def test_local_detectors_are_planned_in_the_order_of_the_run_and_keep_their_names_to_themselves() -> None:
    settings = RunSettings(models=("m",), local=("kimera:screen", "rules=my.module:detect"))
    assert [(info.name, info.kind) for info in planned(settings)] == [
        ("kimera:screen", "reactor"),
        ("rules", "function"),
        ("m", "judge"),
    ]
    cascade = replace(settings, cascade=0.1, first="rules")
    assert [info.name for info in planned(cascade)] == ["rules", "kimera:screen", "m", "cascade"]
    assert planned(cascade)[-1].sides == ("rules", "m")
    chain = replace(cascade, then=("kimera",))
    assert planned(chain)[0].name == "rules > kimera"
    for taken in ("rules", "kimera:screen/rules"):
        with pytest.raises(UserError, match=f"--model {taken}: Kimera uses that name"):
            judges_of(replace(settings, models=("m", taken)))


def test_a_run_of_before_local_detectors_had_names_has_the_reactor() -> None:
    before_0_6_0 = {"judge": {"models": ["m"]}, "options": {"models": ["m"]}}
    assert [info.name for info in infos_in(before_0_6_0)] == ["kimera", "m"]
