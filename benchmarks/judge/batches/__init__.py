"""Judges at half the price: requests in batches, answered within a day, over the providers' batch APIs.

A further API is its file and its line in `batch_api_at`.
"""

from __future__ import annotations

from benchmarks.judge.batches.anthropic_batches import AnthropicBatches
from benchmarks.judge.batches.batch_api import BatchApi
from benchmarks.judge.batches.openai_batches import OpenAIBatches
from benchmarks.judge.chat_protocol import ChatProtocol
from kimera.errors import UserError

HAVE_BATCHES = ("anthropic", "chat-completions", "responses")
VERSION = "/v1"  # how the addresses of a batch's requests begin, whatever the base URL is


def batch_api_at(protocol: ChatProtocol, base_url: str, model: str) -> BatchApi:
    """How batches are made there. Raises UserError for a protocol without them."""
    require_batches(protocol)
    url = protocol.url(base_url, model)
    if protocol.name == "anthropic":
        return AnthropicBatches(url)
    return OpenAIBatches(base_url, VERSION + url.removeprefix(base_url))


def require_batches(protocol: ChatProtocol) -> None:
    """Raises UserError for a protocol without them."""
    if protocol.name not in HAVE_BATCHES:
        raise UserError(
            f"--batch does not go with --protocol {protocol.name}: only chat-completions, responses and "
            "anthropic have batches here; leave it out"
        )
