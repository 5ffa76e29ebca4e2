"""What a package gives is imported at its first use: a command that needs none of it starts at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def at_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """The `__getattr__` of a package. homes: of each name that it gives, the module in it that defines it."""

    def name_of(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return name_of
