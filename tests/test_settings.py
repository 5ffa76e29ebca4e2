"""Settings: what a declaration becomes, and what a configuration file may say beside flags."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.flag_tables import COMMANDS as WITH_TABLES
from benchmarks.flag_tables import PATH, flag_tables
from benchmarks.llm_compare import build_parser, main
from benchmarks.runs.requested_detectors import judges_of
from benchmarks.settings import RunSettings
from kimera.console.argument_types import share, whole
from kimera.console.commands import COMMANDS
from kimera.console.options import (
    CommandLine,
    Groups,
    changed,
    command_line,
    flag_table,
    option,
    options_of,
    parser_of,
    settings_of,
    words_of,
)
from kimera.errors import UserError
from kimera.live.__main__ import main as live
from kimera.scan import main as scan


@dataclass(frozen=True, kw_only=True)
class Shared:
    depth: int = option(3, "--depth", type=whole(1), metavar="N", help="how deep (default: %(default)s)")
    names: tuple[str, ...] = option((), "--name", repeated=True, metavar="A|B", help="who; 5 %% of all")


@dataclass(frozen=True, kw_only=True)
class Told(Shared):
    GROUPS: ClassVar[Groups] = {"where": ("place", "quiet"), "how": (Shared, "risk", "loud", "key")}
    place: str = option("here", nargs="?", metavar="PLACE", help="where")
    depth: int = changed(Shared, "depth", default=7)
    quiet: bool = option(False, "--quiet", one_session=True, help="say nothing")
    loud: bool = option(True, "--loud", negatable=True, help="say all")
    key: str | None = option(None, "--key", metavar="KEY", secret=True, help="what opens it")
    risk: float | None = option(None, "--risk", type=share, metavar="R", old=("--odds",), help="how likely")


def told(words: str) -> CommandLine[RunSettings]:
    return command_line(RunSettings, "compare", build_parser().parse_args(words.split()))


def parsed(words: str) -> CommandLine[Told]:
    return command_line(Told, "compare", parser_of(Told, "compare").parse_args(words.split()))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with no configuration file, and no environment that configures."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "KIMERA_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(content: str, name: str = "kimera.toml") -> None:
    Path(name).write_text(content, encoding="utf-8")


# What a declaration becomes


def test_what_is_not_given_has_its_default_and_is_known_not_to_be_given() -> None:
    command = parsed("--name a --odds 0.5 --name b")
    assert command.settings == Told(names=("a", "b"), risk=0.5)
    assert command.flags == {"names", "risk"}
    assert parsed("").settings == Told()
    assert parsed("--depth 7").flags == {"depth"}, "also where it is the default"


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Told().depth = 4  # type: ignore[misc]


def test_a_secret_is_not_shown() -> None:
    assert "sk-secret" not in repr(Told(key="sk-secret")) + repr(RunSettings(api_key="sk-secret"))


def test_a_switch_that_may_be_on_has_a_flag_that_turns_it_off() -> None:
    assert parsed("--no-loud").settings == Told(loud=False)
    assert parsed("--loud").flags == {"loud"}
    write("[compare]\nloud = false")
    assert not parsed("").settings.loud
    assert parsed("--loud").settings.loud
    assert "| `--loud, --no-loud` | say all |" in flag_table(Told)


def test_a_command_may_declare_a_shared_option_with_another_default() -> None:
    assert (Shared().depth, Told().depth) == (3, 7)
    assert "how deep (default: 7)" in parser_of(Told, "compare").format_help()


def test_a_command_says_which_options_stand_under_which_title() -> None:
    shown = parser_of(Told, "compare").format_help()
    order = ["where:", "PLACE", "--quiet", "how:", "--depth N", "--name A|B", "5 % of all", "--risk R"]
    places = [shown.rindex(part) for part in order]
    assert places == sorted(places)


def test_the_words_that_give_settings_again_give_the_same() -> None:
    settings = Told(names=("a", "b"), risk=0.5, quiet=True)
    words = list(words_of(settings, options_of(Shared)))
    assert words == ["--name", "a", "--name", "b"]
    assert parsed(" ".join(words)).settings.names == settings.names


def test_a_table_of_flags_is_markdown_that_holds_together() -> None:
    table = flag_table(Told)
    assert "| `--name A\\|B` | who; 5 % of all |" in table
    assert "| `--quiet` | say nothing |" in table
    assert "--odds" not in table


@pytest.mark.parametrize("name", WITH_TABLES)
def test_every_option_of_a_command_stands_under_one_title(name: str) -> None:
    settings = WITH_TABLES[name]
    parts = [
        [part] if isinstance(part, str) else options_of(part)
        for _, parts in settings.GROUPS.items()
        for part in parts
    ]
    names = [option for part in parts for option in part]
    assert sorted(names) == sorted(options_of(settings))


def test_the_page_of_flags_is_what_the_settings_declare() -> None:
    assert PATH.read_text(encoding="utf-8") == flag_tables(), "run: python -m benchmarks.flag_tables"
    assert list(WITH_TABLES) == [name for name, command in COMMANDS.items() if command.has_settings]


# Configuration files


def test_flags_win_over_a_file_and_that_over_the_environment_and_that_over_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert judges_of(told("").settings) == ["gpt-4o"]
    monkeypatch.setenv("KIMERA_MODEL", "of the environment")
    assert judges_of(told("").settings) == ["of the environment"]
    write('[compare]\nmodel = "of the file"')
    assert judges_of(told("").settings) == ["of the file"]
    assert judges_of(told("--model flag").settings) == ["flag"]
    assert judges_of(told("--config /dev/null --simulate").settings) == ["simulated-judge"]


def test_a_file_gives_what_flags_would_give() -> None:
    write(
        """
        [compare]
        dataset = "pairs.csv"
        max-pairs = 0
        async = "auto"
        max_failed = 0.25
        swap = true
        model = ["a", "b"]
        header = "X-Team: nli"
        cache-size = "500M"
        """,
        "mine.toml",
    )
    flags = (
        "pairs.csv --max-pairs 0 --async auto --max-failed 0.25 --swap --model a --model b --cache-size 500M"
    )
    command = told("--config mine.toml")
    assert command.settings == settings_of(
        RunSettings, vars(told(flags).settings) | {"headers": [("X-Team", "nli")]}
    )
    assert command.flags == set()
    assert command.in_file == {*told(flags).flags, "headers"}


def test_a_file_that_was_found_is_told_and_one_without_the_commands_table_is_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("[compare]\nrepeat = 2")
    assert told("").settings.repeat == 2
    assert capsys.readouterr().err == "note: flags are read from kimera.toml in this folder\n"
    write("[scan]\nmin-score = 0.9")
    assert told("").settings == RunSettings()
    assert capsys.readouterr().err == ""
    write("[compare]\nrepeat = 2")
    assert told("--config kimera.toml").settings.repeat == 2
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (
            "[compare]\nmax-pair = 5",
            "[compare]: 'max-pair' is no flag of this command; did you mean max-pairs?",
        ),
        ("[compare]\nmodels = 'a'", "'models' is no flag of this command; did you mean model?"),
        ("[compare]\nmost-sent = 0.5", "'most-sent' is no flag of this command"),
        ("[compare]\n'\\u001b[31m' = 1", r"'\\u001b[31m' is no flag"),
        ("[compare]\nconfig = 'a.toml'", "'config' is no flag of this command"),
        ("[compare]\nmax-pairs = 5\nmax_pairs = 5", "'max_pairs' is given twice"),
        ("[compare]\nmax-pairs = 1.5", "'max-pairs': '1.5' is not a whole number of at least 0"),
        ("[compare]\nmax-pairs = true", "'max-pairs': true is not a number or a text"),
        ("[compare]\nmax-pairs = [1]", "'max-pairs': [1] is not a number or a text"),
        ("[compare]\nmax-cost = nan", "'max-cost': 'nan' is not a number above 0"),
        ("[compare]\nmodel = 4", "'model': 4 is not a text"),
        ("[compare]\nmodel = ['a', ['b']]", "'model': [\"b\"] is not a text"),
        ("[compare]\nkimera-only = 'yes'", "'kimera-only': \"yes\" is neither true nor false"),
        ("[compare]\ndevice = 'gpu'", "'device': 'gpu' is not one of cpu, cuda, mps, auto"),
        ("[compare]\nseed = 2026-01-31", "'seed': \"2026-01-31\" is not a number or a text"),
        ("[compare]\nkimera-only = true\ncascade = 0.1", "kimera-only and cascade cannot be combined"),
        (
            "max-pairs = 5",
            "'max-pairs' is none of compare, scan, judged-scan, live, mcp, train, report, label, diff, ",
        ),
        ("[compares]\n", "did you mean compare?"),
        ("[completion]\nshell = 'zsh'", "'completion' is none of compare"),
        ("compare = 5", "compare is not a table; write [compare]"),
        ("[compare", "this is not TOML: "),
        ("[compare]\nmodel = 'a'\nmodel = 'b'", "this is not TOML: "),
    ],
)
def test_what_a_file_gets_wrong_is_told_with_its_place(content: str, error: str) -> None:
    write(content)
    with pytest.raises(UserError) as raised:
        told("")
    assert str(raised.value).startswith("kimera.toml")
    assert error in str(raised.value)


def test_a_file_that_cannot_be_read_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    Path("latin.toml").write_bytes(b"[compare]\nmodel = '\xe9'")
    for name, error in (("none.toml", "No such file"), (".", "Is a directory"), ("latin.toml", "not TOML")):
        assert main(["--config", name, "--kimera-only"]) == 2
        assert error in capsys.readouterr().err
    with pytest.raises(UserError, match="cannot be read"):
        command_line(RunSettings, "compare", build_parser().parse_args(["--config", ""]))


@pytest.mark.parametrize("line", ['base-url = "http://x/v1"', 'header = ["X-A: b"]', 'ray-address = "x:1"'])
def test_a_file_that_was_only_found_does_not_decide_where_texts_and_keys_go(line: str) -> None:
    write(f"[compare]\n{line}")
    with pytest.raises(UserError, match=r"if you trust the file, give --config kimera\.toml"):
        told("--model any")
    assert told("--config kimera.toml").in_file


def test_nor_where_findings_and_weights_are_written_nor_who_may_connect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write('[scan]\nout = "important.txt"\n[live]\nallow-origin = "https://example.org"')
    write("Nothing here contradicts anything.", "facts.txt")
    assert scan(["facts.txt"]) == 2
    assert live(["--port", "0"]) == 2
    assert capsys.readouterr().err.count("give --config kimera.toml") == 2
    assert not Path("important.txt").exists()


ONLY_READ = {
    "dataset",
    "files",
    "eval",
    "examples",
    "planted",
    "labels",
    "prompt",
    "sources",
    "head",
    "verify_weights",
    "scan_weights",
    "deep_weights",
    "stage_bounds",
    "start",
    "average",
    "reweight",
    "teacher",
}


@pytest.mark.parametrize("command", WITH_TABLES)
def test_whatever_is_written_to_is_named_by_no_file_that_was_only_found(command: str) -> None:
    """By metavar: a new option that takes a file or a folder is written to, or among those only read."""
    taking = {"DIR", "FILE", "NAME|FILE", "WEIGHTS", "CARD", "JSON"}
    written = {
        name: each.outward
        for name, each in options_of(WITH_TABLES[command]).items()
        if each.metavar in taking and name not in ONLY_READ and not each.is_required  # those in no file
    }
    assert all(written.values()), written


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("compare", "out = 'x'"),
        ("compare", "resume = 'x'"),
        ("compare", "cache-dir = 'x'"),
        ("judged-scan", "folder = 'x'"),
        ("scan", "baseline = 'x'"),
        ("scan", "write-baseline = true"),
        ("train", "cache-dir = 'x'"),
        ("diff", "csv = 'x'"),
        ("distil", "out = 'x'"),
        ("cache", "cache-dir = 'x'"),
        ("cache", "folders = ['x']"),
    ],
)
def test_nor_where_runs_caches_and_baselines_are_written(command: str, line: str) -> None:
    write(f"[{command}]\n{line}")
    settings = WITH_TABLES[command]
    words = ["any" for declared in options_of(settings).values() if declared.is_required]
    words = ["stats"] if command == "cache" else words
    with pytest.raises(UserError, match=r"if you trust the file, give --config kimera\.toml"):
        command_line(settings, command, parser_of(settings, command).parse_args(words))


@pytest.mark.parametrize(
    ("command", "words"),
    [("scan", "facts.txt"), ("train", "pairs.csv"), ("report", "run"), ("diff", "a b"), ("distil", "run")],
)
def test_what_a_command_line_cannot_do_without_stands_in_no_file(command: str, words: str) -> None:
    settings = WITH_TABLES[command]
    required = [declared.key for declared in options_of(settings).values() if declared.is_required]
    assert len(required) == len(words.split())
    for key in required:
        write(f'[{command}]\n{key} = "any"', "mine.toml")
        parsed = parser_of(settings, command).parse_args(["--config", "mine.toml", *words.split()])
        with pytest.raises(UserError, match=f"'{key}' is no flag of this command"):
            command_line(settings, command, parsed)


@pytest.mark.parametrize("flags", [[], ["--config", "kimera.toml"]])
def test_a_key_is_refused_in_any_file_and_not_shown(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write('[compare]\napi-key = "sk-secret"\n[live]\ntoken = "sk-secret"')
    assert main([*flags, "--kimera-only"]) == 2
    assert live(flags) == 2
    shown = capsys.readouterr().err
    assert "a key does not belong in a file; set OPENAI_API_KEY instead" in shown
    assert "set KIMERA_LIVE_TOKEN instead" in shown
    assert "sk-secret" not in shown


def test_a_flag_sets_aside_what_a_file_says_against_it() -> None:
    write("[compare]\ncascade = 0.02\nmax-sent = 0.5\ncache-size = 5")
    assert (told("--kimera-only").settings.cascade, told("--kimera-only").settings.max_sent) == (None, None)
    assert told("--cascade 0.1").settings.max_sent == 0.5
    assert told("--no-cache").settings.cache_size is None
    write("[compare]\nno-cache = true")
    assert not told("--cache-size 1G").settings.no_cache


def test_help_comes_whatever_the_file_holds(capsys: pytest.CaptureFixture[str]) -> None:
    write("[")
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    assert "--config FILE" in capsys.readouterr().out


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_min=True), st.booleans(), st.lists(st.text(min_size=1)))
def test_any_value_means_the_same_in_a_file_and_as_a_flag(
    pairs: int, failed: float, swap: bool, models: list[str]
) -> None:
    lines = [f"max-pairs = {pairs}", f"max-failed = {failed!r}", f"swap = {str(swap).lower()}"]
    escaped = ["".join(f"\\U{ord(letter):08X}" for letter in model) for model in models]
    lines.append("model = [{}]".format(", ".join(f'"{model}"' for model in escaped)))
    write("[compare]\n" + "\n".join(lines))
    flags = [f"--max-pairs={pairs}", f"--max-failed={failed!r}", *["--swap"] * swap]
    flags += [f"--model={model}" for model in models]
    by_flag = command_line(
        RunSettings, "compare", build_parser().parse_args(["--config", "/dev/null", *flags])
    )
    assert told("").settings == by_flag.settings
