"""The settings of `kimera cache`, two of which every command has that keeps a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from kimera.console import Groups, option, size

KINDS = ("vectors", "neighbours", "replies", "models")
CacheCommand: TypeAlias = Literal["stats", "clear", "merge"]
COMMANDS = get_args(CacheCommand)


@dataclass(frozen=True, kw_only=True)
class CacheSettings:
    """What the command takes. only: None is all kinds. cache_size: in bytes."""

    GROUPS: ClassVar[Groups] = {"": ("command", "folders", "cache_dir", "only", "cache_size")}
    command: CacheCommand = option(
        "stats", choices=COMMANDS, metavar="|".join(COMMANDS), help="what to do with them"
    )
    folders: tuple[str, ...] = option(
        (), nargs="*", metavar="DIR", outward=True, help="merge: folders to take entries from"
    )
    cache_dir: str | None = option(
        None,
        "--cache-dir",
        metavar="DIR",
        path=True,
        outward=True,
        help="folder of the cache (default: KIMERA_CACHE_DIR, or the user's cache folder)",
    )
    only: str | None = option(
        None, "--only", choices=KINDS, help="clear: the only kind to delete (default: all)"
    )
    cache_size: int | None = option(
        None,
        "--cache-size",
        type=size,
        metavar="SIZE",
        help="maximum size of the cache on disk, e.g. 500M or 4G; the oldest entries are deleted (default: "
        "2G)",
    )
