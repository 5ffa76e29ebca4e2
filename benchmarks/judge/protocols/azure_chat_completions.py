"""Chat completions of a deployment on Azure: its name in the address, with the version of the API."""

from __future__ import annotations

import os
from urllib.parse import quote

from benchmarks.judge.api import Api
from benchmarks.judge.protocols.chat_completions import ChatCompletions

VERSION_VARIABLE = "OPENAI_API_VERSION"
VERSION = "2024-10-21"  # the last before Azure's addresses without a version, which --protocol needs no more


class AzureChatCompletions(ChatCompletions):
    """The model is the deployment's name. Behind /openai/v1 Azure speaks chat completions as others do."""

    name = "azure"
    api = Api(
        provider="Azure OpenAI",
        key_variable="AZURE_OPENAI_API_KEY",
        base_url_variable="AZURE_OPENAI_ENDPOINT",
        base_url_hint="it is the resource's, as in https://NAME.openai.azure.com",
        spoken_at=r"[\w-]+\.openai\.azure\.com(/openai)?",  # chat completions are behind /openai/v1
    )

    def url(self, base_url: str, model: str) -> str:
        version = quote(os.environ.get(VERSION_VARIABLE) or VERSION)
        root = base_url.removesuffix("/openai")
        return f"{root}/openai/deployments/{quote(model)}/chat/completions?api-version={version}"

    def headers(self, key: str) -> dict[str, str]:
        return {"api-key": key} if key else {}

    def models_url(self, base_url: str) -> str:
        """None: what Azure lists are models, and not the deployments of them."""
        return ""


AZURE_CHAT_COMPLETIONS = AzureChatCompletions()
