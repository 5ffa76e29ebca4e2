"""What a package gives is imported at its first use: a command that needs none of it starts at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def at_first_use(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """The `__getattr__` of a package. homes: of each module in it, the names that it gives."""
    home_of = {name: module for module, names in homes.items() for name in names}

    def name_of(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return name_of
