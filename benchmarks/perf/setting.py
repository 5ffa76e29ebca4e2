"""What a measurement runs in: the machine, in a line, and a simulated judge that knows so many pairs."""

from __future__ import annotations

import os
import platform
from datetime import date
from functools import partial
from pathlib import Path

from benchmarks.datasets import load_dataset
from benchmarks.judge.prompts import DEFAULT_PROMPT, load_prompt
from benchmarks.simulator.process import SimulatorProcess
from benchmarks.simulator.simulation import SimulatorConfig, answers_for
from kimera.corpus.scan_files import scan_bar
from kimera.pairs import Pair

NO_BAR = partial(scan_bar, True)  # of a scan


def setting() -> str:
    """The date, the processor, its cores, the system and Python: what a figure is worth little without."""
    return (
        f"{date.today().isoformat()}; {_processor()}, {os.cpu_count()} cores; {platform.system()}, "
        f"Python {platform.python_version()}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def embedded_pairs(count: int) -> list[Pair]:
    return list(load_dataset(max_pairs=count))


def simulated_judge(pairs: list[Pair], latency_ms: float) -> SimulatorProcess:
    """A judge that takes the same time for every pair and makes no faults; not started yet."""
    answers = answers_for(pairs, load_prompt(DEFAULT_PROMPT).question)
    return SimulatorProcess(SimulatorConfig(latency_ms=latency_ms, spread_ms=0.0), answers)


def peak_mib() -> float:
    """Linux's own count of this process; getrusage's would begin at the peak of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
