"""Commands name the same things by the same flags."""

from __future__ import annotations

from itertools import combinations

import pytest

from benchmarks.flag_tables import COMMANDS
from kimera.console.options import Option, command_line, options_of
from kimera.live.__main__ import main as live
from kimera.train import build_parser, main
from kimera.training.train_settings import TrainSettings

# One name for things that differ: a file or a folder, findings or weights, a seed of this or that.
OWN_MEANING = {"--out", "--resume", "--seed", "--skip-bad-rows", "--reactor", "--shard", "--quiet", "--swap"}
OWN_MEANING |= {"--api-key", "--stall-s"}  # what the simulated judge accepts, and how long it stalls
OWN_MEANING |= {"--labels"}  # people's, of a report; of a model's outputs elsewhere
# The same thing of something else: candidates or pairs, vectors or scores, statements as they come, a run of
# before or two of them, one detector or several, or the client of a simulated judge.
OWN_WORDS = {"--cascade", "--max-sent", "--min-cosine", "--encoder", "--mp", "--cache-dir", "--no-cache"}
OWN_WORDS |= {"--margin", "--prevalence", "--fail-if", "--json", "--prompt", "--local", "--token", "--store"}
OWN_WORDS |= {"--simulate"}  # from the labels of the pairs, or from planted ones
OWN_METAVAR = {"--min-cosine"}


def by_flag(command: str) -> dict[str, Option]:
    return {each.flag: each for each in options_of(COMMANDS[command]).values() if each.flag}


def _taken(declared: Option) -> tuple[object, ...]:
    return declared.nargs, declared.repeated, declared.is_switch, declared.choices


@pytest.mark.parametrize(("one", "other"), list(combinations(COMMANDS, 2)))
def test_a_flag_of_two_commands_takes_and_means_the_same(one: str, other: str) -> None:
    a, b = by_flag(one), by_flag(other)
    for flag in a.keys() & b.keys() - OWN_MEANING:
        assert _taken(a[flag]) == _taken(b[flag]), flag
        assert a[flag].metavar == b[flag].metavar or flag in OWN_METAVAR, flag
        assert a[flag].help == b[flag].help or flag in OWN_WORDS, flag


def test_training_takes_workers_as_every_command_does_and_as_it_did() -> None:
    for words in (["pairs.csv", "--mp", "3"], ["pairs.csv", "--workers", "3"]):
        assert command_line(TrainSettings, "train", build_parser().parse_args(words)).settings.mp == 3
    assert "--workers" not in build_parser().format_help()


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("--epochs", "0", "'0' is not a whole number of at least 1"),
        ("--seed", "1.5", "'1.5' is not a whole number of at least 0"),
        ("--swap", "1.5", "'1.5' is not a share from 0 to 1"),
    ],
)
def test_training_refuses_values_as_every_command_does(
    flag: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["pairs.csv", flag, value])
    assert f"argument {flag}: {told}" in capsys.readouterr().err


def test_flags_of_the_screen_are_refused_with_the_cross_encoder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pairs.csv", "--stage", "verify", "--mp", "2"]) == 2
    assert "--mp has no effect with --stage verify" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--encoder", "no-such-model-anywhere"], "no-such-model-anywhere"),
        (["--head", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--verify-weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--precision", "float16"], "float16"),
    ],
)
def test_live_takes_models_as_every_command_does(
    flags: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is refused by whatever would use it."""
    assert live(["--port", "0", *flags]) == 2
    assert told in capsys.readouterr().err
