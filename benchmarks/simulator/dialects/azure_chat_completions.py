"""Chat completions of a deployment on Azure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from benchmarks.simulator.dialects.chat_completions import ChatCompletions
from benchmarks.simulator.replies import Reply
from benchmarks.simulator.simulation import SimulatorConfig


class AzureChatCompletions(ChatCompletions):
    """What is gone is the deployment."""

    name = "azure"
    path = "/openai/deployments/{model}/chat/completions"
    mark = "api-key"

    def key_in(self, headers: Mapping[str, str]) -> str:
        return headers.get(self.mark, "")

    def refusal(self, reply: Reply, config: SimulatorConfig) -> Reply:
        if reply.outcome != "model_gone":
            return super().refusal(reply, config)
        told = {
            "code": "DeploymentNotFound",
            "message": "The API deployment for this resource does not exist.",
        }
        return replace(reply, body=json.dumps({"error": told}).encode(), status=404)


AZURE_CHAT_COMPLETIONS = AzureChatCompletions()
