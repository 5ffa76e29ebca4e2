"""The APIs that the simulated judge speaks, each in a file of its own: as `--protocol` names them."""

from __future__ import annotations

from benchmarks.simulator.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from benchmarks.simulator.dialects.azure_chat_completions import AZURE_CHAT_COMPLETIONS
from benchmarks.simulator.dialects.chat_completions import CHAT_COMPLETIONS
from benchmarks.simulator.dialects.dialect import Dialect
from benchmarks.simulator.dialects.gemini import GEMINI
from benchmarks.simulator.dialects.openai_decisions import OPENAI_DECISIONS
from benchmarks.simulator.dialects.openai_responses import OPENAI_RESPONSES
from benchmarks.simulator.dialects.system_one import SYSTEM_ONE

DIALECTS: tuple[Dialect, ...] = (
    CHAT_COMPLETIONS,
    ANTHROPIC_MESSAGES,
    OPENAI_RESPONSES,
    OPENAI_DECISIONS,
    GEMINI,
    SYSTEM_ONE,
    AZURE_CHAT_COMPLETIONS,
)
