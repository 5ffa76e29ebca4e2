"""What the simulated judge is like, by hand: a profile, below a configuration file, below flags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.simulator.__main__ import build_parser, main
from benchmarks.simulator.simulate_settings import SimulateSettings, config_of
from benchmarks.simulator.simulation import PROFILES, SimulatorConfig
from kimera.console.options import command_line


def config(words: str = "") -> SimulatorConfig:
    return config_of(command_line(SimulateSettings, "simulate", build_parser().parse_args(words.split())))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with no configuration file."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_what_it_says_where_nothing_else_is_said(profile: str) -> None:
    assert config(f"--profile {profile}") == PROFILES[profile]


def test_without_a_profile_it_is_the_plain_one() -> None:
    assert config() == SimulatorConfig()


def test_flags_override_a_profile_also_where_they_say_what_the_plain_one_does() -> None:
    told = config("--profile openai --no-strict --requests-per-minute 0 --refuses seed,logprobs")
    expected: dict[str, Any] = {"strict": False, "requests_per_minute": 0, "refuses": ("seed", "logprobs")}
    assert told == replace(PROFILES["openai"], **expected)


def test_a_file_overrides_the_profile_and_flags_override_the_file(folder: Path) -> None:
    lines = ['profile = "openai"', "strict = false", "latency-ms = 20", 'refuses = "seed,logprobs"']
    (folder / "kimera.toml").write_text("\n".join(["[simulate]", *lines]))
    expected: dict[str, Any] = {"strict": False, "latency_ms": 20.0, "refuses": ("seed", "logprobs")}
    assert config() == replace(PROFILES["openai"], **expected)
    assert config("--strict --latency-ms 5") == replace(
        PROFILES["openai"], **{**expected, "strict": True, "latency_ms": 5.0}
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--error-rate 2", "argument --error-rate: '2' is not a share from 0 to 1"),
        ("--port 70000", "argument --port: '70000' is not a port; give 0 to 65535"),
        ("--profile strict", "argument --profile: invalid choice: 'strict'"),
    ],
)
def test_a_value_that_no_flag_takes_is_named(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words.split())
    assert told in capsys.readouterr().err


def test_values_that_make_no_sense_together_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dropped", "0.6", "--malformed", "0.6"]) == 2
    assert capsys.readouterr().err.startswith("error: simulator: the shares of faults add up to 1.2")
