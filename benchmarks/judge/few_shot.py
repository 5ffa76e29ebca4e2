"""Examples in the prompt: pairs with their answers, shown as earlier turns of the conversation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kimera.pairs import CONTRADICTION, ENTAILMENT, NEUTRAL, Pair

CONFIDENCE = 0.9  # of every example: 1 would have a judge claim that always
_REASONS = {
    CONTRADICTION: "They cannot both be true.",
    ENTAILMENT: "Statement 2 must be true where statement 1 is.",
    NEUTRAL: "Both can be true, and neither follows from the other.",
}
_NO_CONTRADICTION = "Both can be true."


@dataclass(frozen=True)
class Examples:
    """name: of the file that they are from. turns: each a question and the reply to it."""

    name: str
    turns: tuple[tuple[str, str], ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.turns).encode()).hexdigest()

    def messages(self) -> list[dict[str, str]]:
        return [
            {"role": role, "content": content}
            for turn in self.turns
            for role, content in zip(("user", "assistant"), turn, strict=True)
        ]

    def settings(self) -> dict[str, Any]:
        """What they are, JSON-ready."""
        return {"name": self.name, "shots": len(self.turns), "sha256": self.sha256}


def examples_of(
    name: str, pairs: Sequence[Pair], question: Callable[[str, str], str], fields: Sequence[str]
) -> Examples:
    """These pairs, all of them labelled. question: words two texts. fields: of the reply, in their order."""
    return Examples(name, tuple((question(pair.text1, pair.text2), _reply(pair, fields)) for pair in pairs))


def _reply(pair: Pair, fields: Sequence[str]) -> str:
    reason = _REASONS.get(pair.label or "", "") if "relation" in fields else ""
    if not reason:
        reason = _REASONS[CONTRADICTION] if pair.is_contradiction else _NO_CONTRADICTION
    stated = {
        "contradiction": bool(pair.is_contradiction),
        "relation": pair.label,
        "confidence": CONFIDENCE,
        "reasoning": reason,
        "cannot_tell": False,
    }
    return json.dumps({name: stated[name] for name in fields}, ensure_ascii=False)
