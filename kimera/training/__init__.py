"""Fits a stage of the reactor on labelled pairs, and writes its card."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "TrainSettings",
    "build_parser",
    "fit_stage",
]

if TYPE_CHECKING:
    from kimera.training.fitting import fit_stage
    from kimera.training.train_settings import TrainSettings, build_parser
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "fitting": ["fit_stage"],
            "train_settings": ["TrainSettings", "build_parser"],
        },
    )
