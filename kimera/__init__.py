"""Kimera: contradictions between pairs of statements, found locally."""

from importlib import import_module
from typing import TYPE_CHECKING

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
    _HOMES = {
        "ContradictionHead": "head",
        "EmbeddingCache": "cache",
        "Encoder": "encoder",
        "Failure": "pairs",
        "Pair": "pairs",
        "Reactor": "reactor",
        "UserError": "errors",
        "Verdict": "pairs",
        "pairs_of": "pair_tables",
    }

    def __getattr__(name: str) -> object:
        """A public name, from its module at first use: a command that needs none starts at once."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
