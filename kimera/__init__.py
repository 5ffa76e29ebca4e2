"""Kimera: contradictions between pairs of statements, found locally."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__version__ = "0.6.0.dev0"
__all__ = [
    "ContradictionHead",
    "EmbeddingCache",
    "Encoder",
    "Failure",
    "Pair",
    "Reactor",
    "UserError",
    "Verdict",
    "pairs_of",
]

if TYPE_CHECKING:
    from kimera.cache import EmbeddingCache
    from kimera.encoder import Encoder
    from kimera.errors import UserError
    from kimera.head import ContradictionHead
    from kimera.pair_tables import pairs_of
    from kimera.pairs import Failure, Pair, Verdict
    from kimera.reactor import Reactor
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "ContradictionHead": "head",
            "EmbeddingCache": "cache",
            "Encoder": "encoder",
            "Failure": "pairs",
            "Pair": "pairs",
            "Reactor": "reactor",
            "UserError": "errors",
            "Verdict": "pairs",
            "pairs_of": "pair_tables",
        },
    )
