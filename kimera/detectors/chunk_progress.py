"""How far a chunk of pairs has come, in whole pairs."""

from __future__ import annotations

from collections.abc import Callable


class ChunkProgress:
    """Tells how far a chunk's pairs have come."""

    def __init__(self, pairs: int, tell: Callable[[int], object] | None) -> None:
        self._pairs = pairs
        self._tell = tell
        self._told = 0

    def part(self, start: float, end: float) -> Callable[[int, int], None]:
        """Tells of a part of the chunk's work, from one share of it to another: (done, of) of the part."""
        return lambda done, of: self.reach(start + (end - start) * done / of)

    def reach(self, share: float) -> None:
        """So much of the chunk's work is done; told is what that adds in whole pairs."""
        added = int(self._pairs * share) - self._told
        if added > 0 and self._tell is not None:
            self._told += added
            self._tell(added)
