"""The names of the reactor's stages, and what people may ask for."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Stage: TypeAlias = Literal["screen", "verify", "deep"]
Stages: TypeAlias = Literal["screen", "verify", "both", "deep", "screen,deep", "screen,verify,deep"]
ASKED: tuple[Stages, ...] = ("screen", "verify", "both", "deep", "screen,verify,deep")
HELP = (
    "screen: sentence vectors and a head; verify: a small cross-encoder, which reads both texts together; "
    "both: run both, and take the verdict of verify; deep: a large cross-encoder, surer and about ten times "
    "as slow; screen,verify,deep: each settles what it is sure of, and deep reads the rest"
)
BOTH: tuple[Stage, ...] = ("screen", "verify")
ALL: tuple[Stage, ...] = get_args(Stage)  # with bounds between them
# By stage, the setting that names weights of one's own.
WEIGHTS: dict[Stage, str] = {"screen": "head", "verify": "verify_weights", "deep": "deep_weights"}


def stages_of(stages: Stages) -> tuple[Stage, ...]:
    """The names in it, in their order."""
    if stages == "both":
        return BOTH
    return tuple(name for name in ALL if name in stages.split(","))
