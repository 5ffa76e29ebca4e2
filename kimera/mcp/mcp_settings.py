"""The settings of `kimera mcp`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from kimera.console import Groups, changed, host_and_port, option
from kimera.live import LiveSettings
from kimera.reactor_settings import ModelSettings, ReactorSettings

TOKEN = "KIMERA_MCP_TOKEN"  # noqa: S105 (its name)


@dataclass(frozen=True, kw_only=True)
class McpSettings(ModelSettings):
    """What the command takes."""

    GROUPS: ClassVar[Groups] = {
        "server": ("folder", "http", "token", "store"),
        "models": (ModelSettings, "no_cache"),
    }
    folder: str | None = option(
        None,
        nargs="?",
        metavar="FOLDER",
        outward=True,
        help="the folder whose files the tool scan_files may read, and nothing outside it (default: none, "
        "and the tool is not offered)",
    )
    http: tuple[str, int] | None = option(
        None,
        "--http",
        type=host_and_port,
        metavar="HOST:PORT",
        outward=True,
        help="serve streamable HTTP at http://HOST:PORT/mcp instead of standard input and output; port 0 "
        "takes any free one, and a HOST that other machines can reach needs a token",
    )
    token: str | None = option(
        None,
        "--token",
        metavar="TEXT",
        secret=True,
        variable=TOKEN,
        help="token that clients of --http have to send, as Authorization: Bearer TEXT. Other users of this "
        f"machine can read the command line, so prefer to set {TOKEN}",
    )
    store: Path | None = changed(
        LiveSettings,
        "store",
        help="SQLite file in which remembered statements are kept; without it they are gone when the server "
        "ends",
    )
    no_cache: bool = changed(ReactorSettings, "no_cache", overrules=())
