"""A judge on loopback that is no model: answers from labels, with limits and faults on demand."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "FAULTS",
    "MODEL",
    "SimulateSettings",
    "SimulatorConfig",
    "SimulatorProcess",
    "answers_for",
]

if TYPE_CHECKING:
    from benchmarks.simulator.process import SimulatorProcess
    from benchmarks.simulator.simulate_settings import SimulateSettings
    from benchmarks.simulator.simulation import FAULTS, MODEL, SimulatorConfig, answers_for
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "process": ["SimulatorProcess"],
            "simulate_settings": ["SimulateSettings"],
            "simulation": ["FAULTS", "MODEL", "SimulatorConfig", "answers_for"],
        },
    )
