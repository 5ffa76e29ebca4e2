"""Kimera: contradictions between pairs of statements, found locally."""

from kimera.cache import EmbeddingCache
from kimera.encoder import Encoder
from kimera.errors import UserError
from kimera.head import ContradictionHead
from kimera.pairs import Failure, Pair, Verdict
from kimera.reactor import Reactor

__version__ = "0.5.0"
__all__ = [
    "ContradictionHead",
    "EmbeddingCache",
    "Encoder",
    "Failure",
    "Pair",
    "Reactor",
    "UserError",
    "Verdict",
]
