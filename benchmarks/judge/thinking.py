"""What a reply says once its thoughts are taken out: drafts and quotations in them are no verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NAMES = (
    r"think(?:ing)?(?:[ _-]?process)?|thoughts?(?:[ _-]?process)?|chain[ _-]of[ _-]thoughts?|cot"
    r"|reason(?:ing)?|reflect(?:ion|ing)?|analysis|scratch[ _-]?pad|monologue"
    r"|deliberat(?:ion|ing|e)|rationale|plan(?:ning)?|brainstorm(?:ing)?"
)
# <think>, </ant:thinking>, [THINK], <|begin_of_thought|>, <|END_THINKING|>, ◁/think▷, <reasoning depth="2">
_TAG = re.compile(
    r"[<\[◁⟨【＜]\|?\s?(?P<slash>/?)\|?\s?(?:(?P<edge>begin|start|end)(?:[ _-]of)?[ _-])?"
    rf"(?:\w{{1,20}}[:_.-]|(?-i:[a-z]{{1,8}}(?=[A-Z])))?(?P<name>{_NAMES})(?P<end>[ _-]end)?"
    r"(?:\s[^<>\n]{0,80})?\|?[>\]▷⟩】＞]",
    re.IGNORECASE,
)
_OTHERS = re.compile(
    r"<!--.*?(?:-->|\Z)"
    rf"|(?<!`)`{{3,8}}+[ ]?(?:{_NAMES})\b.*?(?:```|\Z)"
    rf"|<details>\s{{0,20}}<summary>[^<]{{0,80}}\b(?:{_NAMES})\b[^<]{{0,80}}</summary>.*?(?:</details>|\Z)"
    r"|^Thinking\.\.\.[ ]*\n.*?(?:\.\.\.done thinking\.|\Z)"
    r"|^[^\w\n{]{0,10}(?:thinking|thoughts?(?: process)?|chain of thought|scratch ?pad|internal monologue)"
    r"[^\w\n{]{0,5}(?:[:\n]|\Z).*?"
    r"(?=^[^\w\n]{0,10}(?:(?:my|the|final) ){0,2}(?:answer|verdict|output|response|reply|result|decision)\b"
    r"|\{|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_CHANNEL = re.compile(r"(?:<\|channel\|?>\s{0,5}(\w*)|<channel\|>)(.*?)(?=<\|?channel\|?>|\Z)", re.DOTALL)
_TURN_ENDS = re.compile(r"<\|(?:end|start|return|call)\|>.*", re.DOTALL)
# Channels whose marks were dropped on the way: "analysisThey ask ...assistantfinal{...}".
_UNMARKED_CHANNELS = re.compile(r"\Aanalysis(?=[A-Z]).*?(?:assistantfinal(?:json)?|\Z)", re.DOTALL)
_MARKS = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|</?s>|<(?:eos|end_of_turn)>|\[/?INST\]"
    r"|</?(?:final[ _-]?)?(?:answer|output|response|result|verdict|solution|json|tool_call)>",
    re.IGNORECASE,
)


def without_thoughts(text: str) -> str:
    """The reply without thoughts in whatever markup, and without the marks around it.

    A thought that is never closed goes on to the end, one that is only closed began before the reply.
    """
    if "channel" in text and (channels := _CHANNEL.findall(text)):
        text = "\n".join(_said_in(channels))
    text = "".join(_outside_tags(_UNMARKED_CHANNELS.sub("", text)))
    return _MARKS.sub(" ", _OTHERS.sub(" ", text)).strip()


def _said_in(channels: list[tuple[str, str]]) -> Iterator[str]:
    """What the channels hold that speak to the user, or to a tool."""
    for name, text in channels:
        if name.lower() in {"", "final", "commentary", "response"}:
            yield _TURN_ENDS.sub("", text.rpartition("<|message|>")[2])


def _outside_tags(text: str) -> Iterator[str]:
    tags = list(_TAG.finditer(text))
    closing = [bool(tag["slash"] or tag["end"] or (tag["edge"] or "").lower() == "end") for tag in tags]
    names = [tag["name"].lower() for tag in tags]
    last = {name: number for number, name in enumerate(names) if closing[number]}
    opened = [number for number in range(len(tags)) if not closing[number]]
    first_open = opened[0] if opened else len(tags)
    begin = max((tags[number].end() for number in range(first_open) if closing[number]), default=0)
    awaited: str | None = None
    for number, tag in enumerate(tags):
        if awaited is None and not closing[number]:
            yield text[begin : tag.start()]
            awaited = names[number] if last.get(names[number], -1) > number else ""
        elif awaited is not None and closing[number] and awaited in {"", names[number]}:
            begin, awaited = tag.end(), None
    if awaited is None:
        yield text[begin:]
