"""Tensors and what is to be known of them, in one safetensors file: nothing in it can be executed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

# One key: safetensors writes several in no fixed order, and the same weights should be the same bytes.
METADATA_KEY = "kimera"


def write_weights(path: str | Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Writes the file whole or not at all. metadata: JSON-ready."""
    content = save(dict(tensors), metadata={METADATA_KEY: json.dumps(metadata)})
    part = Path(f"{path}.part")
    part.write_bytes(content)  # safetensors' own writing makes a file that only its owner may read
    os.replace(part, path)


def read_weights(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors, metadata) of what `write_weights` wrote. Raises OSError, or ValueError for anything else."""
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = json.loads((stream.metadata() or {})[METADATA_KEY])
            return {name: stream.get_tensor(name) for name in stream.keys()}, metadata  # noqa: SIM118 (no dict)
    except (SafetensorError, LookupError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
