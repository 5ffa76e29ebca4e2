"""Checks for agents over the Model Context Protocol, `kimera mcp`: see docs/mcp.md."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = ["McpSettings"]

if TYPE_CHECKING:
    from kimera.mcp.mcp_settings import McpSettings
else:
    __getattr__ = at_first_use(__name__, {"mcp_settings": ["McpSettings"]})
