"""The weights in this package, and weights of one's own in their place."""

from __future__ import annotations

from pathlib import Path

from kimera.console import as_called
from kimera.errors import UserError
from kimera.models import (
    DEFAULT_MODEL,
    PACKAGED_NAMES,
    ContradictionHead,
    CrossEncoderWeights,
    Encoder,
    folder_digest,
)

SHIPPED_HEAD = Path(__file__).parent / "weights" / "head.safetensors"
SHIPPED_CROSS_ENCODER = SHIPPED_HEAD.with_name("verify.safetensors")
SHIPPED_DEEP = SHIPPED_HEAD.with_name("deep.safetensors")
SHIPPED_NEIGHBOUR_HEAD = SHIPPED_HEAD.with_name("neighbours.safetensors")
SHIPPED_BOUNDS = SHIPPED_HEAD.with_name("stage_bounds.json")


def load_head(path: str | Path | None, encoder: Encoder) -> ContradictionHead:
    if path is None and encoder.name not in PACKAGED_NAMES:
        raise UserError(
            f"no head is shipped for the encoder {encoder.name!r}. Fit one and pass it: "
            f"{as_called('kimera train')} FILE --encoder {encoder.name} --out HEAD; "
            f"then --head HEAD on the command line, or Reactor(encoder={encoder.name!r}, head=HEAD)"
        )
    return ContradictionHead.load(SHIPPED_HEAD if path is None else path)


def base_of(weights: str | Path, encoder: Encoder) -> str:
    """The model that a cross-encoder was made from: the encoder's, if that is it, or else the default one."""
    if encoder.folder is None or encoder.name in PACKAGED_NAMES:
        return DEFAULT_MODEL
    is_base = CrossEncoderWeights.load(weights).base == folder_digest(encoder.folder, encoder.name)
    return encoder.name if is_base else DEFAULT_MODEL
