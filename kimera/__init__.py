"""Kimera: contradictions between pairs of statements, found locally."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use
from kimera.version import __version__

__all__ = [
    "ContradictionHead",
    "EmbeddingCache",
    "Encoder",
    "Failure",
    "Pair",
    "Reactor",
    "UserError",
    "Verdict",
    "__version__",
    "pairs_of",
]

if TYPE_CHECKING:
    from kimera.cache import EmbeddingCache
    from kimera.errors import UserError
    from kimera.files import pairs_of
    from kimera.models import ContradictionHead, Encoder
    from kimera.pairs import Failure, Pair, Verdict
    from kimera.reactor import Reactor
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "cache": ["EmbeddingCache"],
            "errors": ["UserError"],
            "files": ["pairs_of"],
            "models": ["ContradictionHead", "Encoder"],
            "pairs": ["Failure", "Pair", "Verdict"],
            "reactor": ["Reactor"],
        },
    )
