"""Flags that speak of one judge of a run: [MODEL:]VALUE."""

from __future__ import annotations

from collections.abc import Sequence

from kimera.errors import UserError


def require_judge(model: str, models: Sequence[str], given: str) -> None:
    """Raises UserError where `given`, a flag and its value, names a model that is no judge of the run.

    model: empty where it speaks of all judges.
    """
    if model and model not in models:
        raise UserError(f"{given}: no judge of this run is called {model!r}; they are {', '.join(models)}")
