"""The base of the deep stage: all-mpnet-base-v2, 12 layers of 768, always the published weights."""

from __future__ import annotations

from pathlib import Path

from kimera.errors import UserError
from kimera.models.model_folders import file_digest

DEEP_MODEL = "all-mpnet-base-v2"
DEEP_NAMES = (DEEP_MODEL, f"sentence-transformers/{DEEP_MODEL}")
# What decides the outputs, as published; a folder may hold more.
PUBLISHED = {
    "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
}
DEEP_FINGERPRINT = f"sha256:{PUBLISHED['model.safetensors']}"


def is_deep_base(folder: Path) -> bool:
    """Whether a folder holds the published model."""
    return all(
        (folder / name).is_file() and file_digest(folder / name) == digest
        for name, digest in PUBLISHED.items()
    )


def require_deep_base(folder: Path) -> None:
    """Raise `UserError` where a folder holds another model."""
    for name, digest in PUBLISHED.items():
        if not (folder / name).is_file():
            raise UserError(f"{folder} has no {name}; expected the folder of {DEEP_MODEL}")
        if (found := file_digest(folder / name)) != digest:
            raise UserError(
                f"{folder / name} is damaged or not that of {DEEP_MODEL}: its SHA-256 is {found}, expected "
                f"{digest}"
            )
