"""How a judge's reply is read: the verdict that it states, or why there is none."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.fast_json import read_json
from benchmarks.judge.loose_json import LooseDecoder, unescaped
from benchmarks.judge.relations import relation_of, why_unclear
from benchmarks.judge.thinking import without_thoughts


@dataclass(frozen=True, slots=True)
class Reply:
    """What a reply states. `confidence` and `relation` (of three classes) are None where it states none.

    reasons_first: whether it gives reasons ahead of its verdict.
    """

    contradiction: bool
    confidence: float | None
    reasoning: str
    relation: str | None = None
    reasons_first: bool = dataclasses.field(default=False, compare=False)


class ReplyError(ValueError):
    """A reply without a verdict. kind: "unparseable" (may be asked again) or "abstained" (an answer)."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def parse_reply(text: str, classes: int = 2, *, reasoning_first: bool = False) -> Reply:
    """Reads a verdict from JSON, strict or loose, fenced or inside prose, a bare yes or no, a clear sentence.

    classes: how many were asked for; of 3, the relation is read as well, where one is stated. Never guesses:
    raises ReplyError where no verdict is stated, where two are stated that differ, where the relation says
    otherwise than the verdict, and where the judge says that it cannot tell; with reasoning_first also where
    no reasoning stands ahead of the verdict.
    """
    text = text[:MAX_REPLY_CHARS]
    stated = _verdicts_in(text, reasoning_first)
    if reasoning_first and not any(reply.reasons_first for reply in stated):
        raise ReplyError(
            "unparseable", f"no reasoning stands ahead of the verdict in the reply {_shorten(text)}"
        )
    if classes != 3:  # nobody asked for a relation: what a field of that name says is anybody's guess
        return replace(stated[-1], relation=None) if stated[-1].relation else stated[-1]
    relations = [reply.relation for reply in stated if reply.relation]
    if unclear := why_unclear(stated[-1].contradiction, relations):
        raise ReplyError("unparseable", f"{unclear} in one reply {_shorten(text)}")
    return replace(stated[-1], relation=relations[-1]) if relations else stated[-1]


def _verdicts_in(text: str, reasoning_first: bool = False) -> list[Reply]:
    """What the reply states, once or several times, always the same verdict. Raises ReplyError."""
    if (plain := _plain_reply(text.strip())) is not None:
        return [plain]
    text = spoken(text)
    stated = _json_replies(text, reasoning_first) or list(_prose_verdicts(_outside_verdict_objects(text)))
    verdicts = {reply.contradiction if reply else None for reply in stated}
    if verdicts == {None} or (not verdicts and _ABSTAINS.fullmatch(_plain(text))):
        raise ReplyError("abstained", "the judge says that it cannot tell")
    if not verdicts:
        raise ReplyError("unparseable", f"no verdict in the reply {_shorten(text)}")
    if len(verdicts) > 1:
        raise ReplyError("unparseable", f"different verdicts in one reply {_shorten(text)}")
    return [reply for reply in stated if reply]


def _plain_reply(text: str) -> Reply | None:
    """The verdict of a text that is one JSON object and nothing else, as nearly all are: read once."""
    try:
        value, end = _JSON.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    is_plain = end == len(text) and isinstance(value, dict) and isinstance(value.get("contradiction"), bool)
    return next(_reply_of(value), None) if is_plain else None


def conclusion(thoughts: str) -> str:
    """The JSON object that a text of thoughts ends in; empty if there is none, or another says otherwise.

    Sentences in thoughts state nothing: they may be taken back.
    """
    text = spoken(thoughts[-MAX_REPLY_CHARS:]).rstrip("` \n")
    verdicts = {reply.contradiction if reply else None for reply in _json_replies(text)}
    last = max((start for start, end, _ in _objects(text) if end == len(text)), default=len(text))
    return text[last:] if len(verdicts) == 1 else ""


def spoken(text: str) -> str:
    """A reply without thoughts, and out of the string that it may have been encoded in once more."""
    text = text.strip()
    return text if is_json_reply(text) else _out_of_strings(without_thoughts(text))


def is_json_reply(text: str) -> bool:
    """Whether a reply is one JSON object whose `contradiction` is a boolean or null, as the schema asks."""
    stated = json_object(text).get("contradiction", "")
    return stated is None or isinstance(stated, bool)


@functools.lru_cache(maxsize=1)  # of a reply, several ask whether it is one
def json_object(text: str) -> Mapping[str, Any]:
    """The JSON object that a text is, which nobody may change; empty where it is none."""
    try:
        value = read_json(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def is_meant(around: str) -> bool:
    """Whether what is said around JSON neither takes it back nor calls it an example or a condition."""
    return not (
        _RETRACTED.search(around) or _EXAMPLE.search(around) or _SUPPOSED_BEFORE.search(around[-100:])
    )


MAX_REPLY_CHARS = 50_000  # a verdict fits in a few hundred; the rest of a runaway reply is not worth reading
MAX_PROSE_CHARS = 5_000
MIN_REASONING_CHARS = 40  # of prose; "Here is my verdict:" is none
MAX_LOOSE_OBJECTS = 10  # of braces that are no JSON; each may have to be read to the text's end
MAX_WRAPPINGS = 4

_WORDS = {
    "true": True,
    "yes": True,
    "contradiction": True,
    "contradictory": True,
    "false": False,
    "no": False,
    "no contradiction": False,
    "not a contradiction": False,
    "not contradiction": False,
    "not contradictory": False,
    "entailment": False,
    "neutral": False,
}
_ABSTAINS = re.compile(
    r"\W*(?:(?:i|we)\s+)?(?:cannot|can't|can not|could not|couldn't|unable to)\s+"
    r"(?:tell|say|determine|decide|judge|know)\b[^{}]*|\W*(?:unknown|unclear|uncertain|undetermined)\W*",
    re.IGNORECASE,
)


def _json_replies(text: str, reasoning_first: bool = False) -> list[Reply | None]:
    """The verdicts of the JSON objects in a text; None for one that abstains.

    reasoning_first: whether what stands ahead of them is the reasoning that was asked for, which may weigh
    and take back.

    Only outermost objects count, and only whole ones: what is inside another may be a draft or an example.
    Sentences behind the last verdict may state another one, and so may objects that cannot be read, or that
    are only supposed ("it would be {...} if ...").
    """
    replies: list[Reply | None] = []
    unread: set[bool] = set()
    outside, end = "", 0
    for start, after, value in _objects(text):
        before = text[end:start]
        outside += before
        end = after
        if value is None:
            unread |= _words_for_verdicts(text[start:after])
        verdict = _verdict_object(value)
        if verdict and (_SUPPOSED_BEFORE.search(before[-100:]) or _SUPPOSED_AFTER.match(text, after)):
            unread |= {reply.contradiction for reply in _reply_of(verdict) if reply}
        elif verdict and not _EXAMPLE.search(_clause(before)):
            replies += (_with_reasons(reply, outside) for reply in _reply_of(verdict))
    if _RETRACTED.search(("" if reasoning_first else outside) + text[end:]):
        return []
    said = {reply.contradiction for reply in replies if reply}
    others = unread.union(reply.contradiction for reply in _prose_verdicts(text[end:])) - said
    return [*replies, *(Reply(other, None, "") for other in others if said)]


def _with_reasons(reply: Reply | None, before: str) -> Reply | None:
    """A verdict without reasons of its own has those that are said ahead of it."""
    reasons = " ".join(before.split())
    if reply is None or reply.reasoning.strip() or len(reasons) < MIN_REASONING_CHARS:
        return reply
    return replace(reply, reasoning=reasons[:MAX_PROSE_CHARS], reasons_first=True)


def _outside_verdict_objects(text: str) -> str:
    """What is said around them: a line of an object that is only supposed is no sentence."""
    around, end = "", 0
    for start, after, value in _objects(text):
        if _verdict_object(value):
            around += f"{text[end:start]} ... "
            end = after
    return around + text[end:]


def _objects(text: str) -> Iterator[tuple[int, int, Any]]:
    """(start, end, value) of what each outermost brace opens; the value is None where nobody can read it."""
    end = loose = 0
    while (start := text.find("{", end)) >= 0:
        try:
            value, end = _JSON.raw_decode(text, start)
        except (ValueError, RecursionError):
            loose += 1
            value, end = (
                _loose_object(text, start) if loose <= MAX_LOOSE_OBJECTS else _unreadable(text, start)
            )
        yield start, end, value


def _loose_object(text: str, start: int) -> tuple[Any, int]:
    """Where the quoting is not sure, no other verdict may stand in the object, be it only quoted."""
    try:
        value, end = _LOOSE_JSON.raw_decode(text, start)
    except (ValueError, RecursionError):
        return _unreadable(text, start)
    verdict = _verdict_object(value)
    stated = {reply.contradiction for reply in _reply_of(verdict) if reply} if verdict else set()
    agrees = not verdict or _words_for_verdicts(text[start:end]) <= stated
    return (value, end) if agrees else _unreadable(text, start)


def _words_for_verdicts(text: str) -> set[bool]:
    """What may be the verdicts of a text in which nobody can tell fields from what a string quotes."""
    return {_WORDS[match[1].lower()] for match in _FIELD_IN_OBJECT.finditer(text)}


def _unreadable(text: str, start: int) -> tuple[None, int]:
    return None, _end_of_braces(text, start)


def _verdict_object(value: Any, wrappings: int = 0) -> dict[str, Any] | None:
    """The object with the verdict, also out of {"result": {...}}, a call of a tool, a list, or a string."""
    if wrappings > MAX_WRAPPINGS:
        return None
    if isinstance(value, dict):
        if "contradiction" in value:
            return value
        inner = next(iter(value.values())) if len(value) == 1 and _WRAPPERS & value.keys() else None
        if "name" in value:
            inner = next((value[name] for name in _ARGUMENTS if name in value), None)
        return _verdict_object(inner, wrappings + 1)
    if isinstance(value, list) and len(value) == 1:
        return _verdict_object(value[0], wrappings + 1)
    if isinstance(value, str):
        inside = [inner for _, _, inner in _objects(value)]
        return _verdict_object(inside, wrappings + 1) if len(inside) == 1 else None
    return None


def _clause(before: str) -> str:
    """What introduces the place that `before` ends at: the rest of its last sentence."""
    return re.split(r"[.!?]\s", before[-300:])[-1]


def _end_of_braces(text: str, start: int) -> int:
    """The end of what the brace at `start` opens: the text's end where it is never closed."""
    depth = 0
    for token in _BRACE_OR_STRING.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return len(text)


def _merged(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keys in lower case. Of two values for one key neither is trusted; two verdicts spoil the object."""
    value: dict[str, Any] = {}
    for key, item in items:
        name = key.strip(" *`").lower().replace(" ", "_")
        name = "contradiction" if name in _VERDICT_KEYS else name
        disagree = name in value and value[name] != item
        if disagree and name == "contradiction":
            raise ValueError("two verdicts")
        value[name] = None if disagree else item
    return value


_JSON = json.JSONDecoder(object_pairs_hook=_merged, strict=False)
_LOOSE_JSON = LooseDecoder(object_pairs_hook=_merged)


def _out_of_strings(text: str) -> str:
    """JSON that was encoded as a string, with its outer quotes or without them."""
    for _ in range(MAX_WRAPPINGS):
        fenced = _FENCE.fullmatch(text)
        inner = fenced[1] if fenced else text
        try:
            value = json.loads(inner, strict=False) if inner.startswith(('"', "[")) else None
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            value = "\n".join(value)
        if not isinstance(value, str) and _ESCAPED_OBJECT.match(inner, max(0, inner.find("{"))):
            value = unescaped(inner)
        if not isinstance(value, str):
            break
        text = value.strip()
    return text


def _reply_of(value: dict[str, Any]) -> Iterator[Reply | None]:
    stated = value["contradiction"]
    if isinstance(stated, str):
        word = _plain(stated)
        stated = None if _ABSTAINS.fullmatch(word) else _WORDS.get(word.strip(" .").lower())
        if stated is None and not _ABSTAINS.fullmatch(word):
            return
    if stated is None or value.get("cannot_tell") is True:
        yield None
    elif isinstance(stated, bool):
        reasoning = value.get("reasoning")
        reasoning = reasoning if isinstance(reasoning, str) else ""
        order = list(value)
        yield Reply(
            stated,
            _confidence(value.get("confidence")),
            reasoning,
            relation_of(value.get("relation")),
            reasons_first=bool(reasoning.strip()) and order.index("reasoning") < order.index("contradiction"),
        )


def _confidence(value: Any) -> float | None:
    """A share up to 1, or a percentage ("95%", "95", 95); a number between may be on any scale."""
    percent = False
    if isinstance(value, str):
        number = _NUMBER.fullmatch(" ".join(value[:60].split()))
        percent = bool(number and number[2])
        value = float(number[1].replace(",", ".")) if number else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    if percent or value >= 50:
        return value / 100
    return float(value) if value <= 1 else None


_VERDICT_KEYS = {"contradiction", "contradictory", "contradicts", "contradict", "is_contradiction"}
_ARGUMENTS = ("arguments", "parameters", "input")
_FENCE = re.compile(r"```\w*\s(.*)\s```", re.DOTALL)
_ESCAPED_OBJECT = re.compile(r"\{(?:\s|\\[nrt]){0,50}\\+\"")
_NUMBER = re.compile(r"\+?(\d{1,3}(?:[.,]\d{1,20})?|[.,]\d{1,20}) ?(%|percent|per cent)?", re.IGNORECASE)
_SUBJECT = (
    r"(?:(?:the|these|those|both|two|given)\s+){0,3}"
    r"(?:statements?|sentences?|claims?|texts?|they|it|this|these)"
)
_ADVERB = r"(?:\s+(?:clearly|directly|indeed|logically|do|does|therefore|thus|each|both))*"
_ADJECTIVE = r"(?:contradictory|a contradiction|in contradiction)"
_DENIED = r"(?:\s+(?:do|does|can)\s*(?:not|n't)|\s+don't|\s+doesn't|\s+cannot)"
_WRAPPERS = {
    "result",
    "results",
    "verdict",
    "answer",
    "response",
    "output",
    "json",
    "data",
    "final_answer",
} | {*_ARGUMENTS}
_CONDITION = (
    r"unless|if|would|could|might|may|perhaps|maybe|possibly|whether|assuming|suppos\w+|provided|case"
    r"|as long as"
)
_HEDGE = rf"\b(?:{_CONDITION}|but|yet|except|although|though|however|were|only|otherwise)\b"
_MODEL_OF = (
    r"examples?|e\.g|(?<!json )form(?:at)?|schema|template|expected|would (?:reply|answer|look)|not say|never"
)
_EXAMPLE = re.compile(
    rf"\b(?:{_MODEL_OF}|unless|if|assuming|suppos\w+|provided|in case|as long as)\b", re.IGNORECASE
)
# What stands right before or behind an object that is one of several, or so only under a condition.
_SUPPOSED_BEFORE = re.compile(
    r"\b(?:(?:would|could|might|may|'d)(?: (?:well|then|also|only|even|not|have)){0,2}"
    r" (?:be|been|give|say|reply|answer|return|output|respond|go|choose|pick|become|mean|get)"
    r"(?: (?:with|the|an?|my|reply|answer|verdict|output|result|object)){0,4}"
    r"|perhaps|possibly|maybe|otherwise|(?<!thing )else|either|if so|(?<!or )not(?: that| the case that)?"
    r")[\s:,`*\"'(-]{0,20}(?:```\w*\s*)?$",
    re.IGNORECASE,
)
_SUPPOSED_AFTER = re.compile(
    r"[ \t]*[,;(]?[ \t]*(?:but |and |only |except ){0,2}(?:if|unless|when(?:ever)?|where|provided|providing"
    r"|assuming|supposing|in case|as long as|so long as|depending|otherwise|or)\b"
)
_UNMEANT = re.compile(rf"\b(?:{_CONDITION}|{_MODEL_OF}|like|not)\b", re.IGNORECASE)
_RETRACTED = re.compile(
    r"\b(?:kidding|sorry|mistaken?|wrong|retract|rather not|second thoughts?|unclear|unsure|not sure"
    r"|can(?:no|')t (?:tell|say|decide)|which statements)\b",
    re.IGNORECASE,
)
_REASON = (
    r"(?: ?[,;:(-]? ?(?:because|since|given that|as(?! (?:long|far|soon|if|though)\b))\b"
    rf"(?:(?!{_HEDGE})[^?])*)?"
)
_LEAD = r"(?:(?:therefore|thus|so|hence|overall|but|however|in conclusion|in summary)\s*,?\s*)?"
_OBJECT = r"(?:\s+(?:each other|one another|the (?:first|second|other)(?: one| statement)?))?"
_BETWEEN = r"(?:clear |direct )?contradiction(?: between (?:them|the (?:two )?statements))?"
_SAYS_YES = re.compile(
    rf"{_LEAD}(?:{_SUBJECT}{_ADVERB}\s+(?:contradicts?|(?:are|is)(?:\s+(?:clearly|directly|indeed|mutually))*"
    rf"\s+{_ADJECTIVE}){_OBJECT}|there is an? {_BETWEEN}){_REASON}",
    re.IGNORECASE,
)
_SAYS_NO = re.compile(
    rf"{_LEAD}(?:{_SUBJECT}(?:{_DENIED}{_ADVERB}\s+contradict|\s+(?:are|is)\s*(?:not|n't)(?:\s+\w+ly)?"
    rf"\s+{_ADJECTIVE}){_OBJECT}|there is no {_BETWEEN}){_REASON}",
    re.IGNORECASE,
)
_BRACE_OR_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}]', re.DOTALL)
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_FIELD_IN_OBJECT = re.compile(rf"\bcontradiction[^\w\\]{{1,8}}({_WORD})\b", re.IGNORECASE)
_FIELD = re.compile(
    rf"(?:contradiction|verdict|answer) ?[:=] ?({_WORD})(?:[.,;:!(-](?!.*(?:\bor\b|//|\|)).*)?", re.IGNORECASE
)
_YES_NO = re.compile(r"(yes|no)\b\s*(?:[,:;-]\s*)?", re.IGNORECASE)


def _prose_verdicts(text: str) -> Iterator[Reply]:
    """The verdicts that whole sentences state. "Yes" before one counts, "yes, I can help" does not.

    A sentence that speaks of contradicting in any other way ("if they contradict ...", "they might ...")
    makes the whole reply unclear.
    """
    lines = re.sub(r"[*_`#\"]+", "", text[:MAX_PROSE_CHARS]).splitlines()
    bare = _WORDS.get(_plain(" ".join(lines)).strip(" .!").lower())
    if bare is not None:
        yield Reply(bare, None, "")
        return
    fields = [_field(lines, number) for number in range(len(lines))]
    answers = [_WORDS[field[1].lower()] for field in fields if field]
    leads: list[bool] = []
    ahead: list[str] = []  # sentences before the first that states something
    for sentence in _sentences(
        " ".join(line for line, field in zip(lines, fields, strict=True) if not field)
    ):
        lead = _YES_NO.match(sentence)
        claim = sentence[lead.end() :] if lead else sentence
        leads += [lead[1].lower() == "yes"] if lead else []
        if _SAYS_NO.fullmatch(claim):
            answers.append(False)
        elif _SAYS_YES.fullmatch(claim):
            answers.append(True)
        elif "contradict" in claim.lower() or _RETRACTED.search(claim):
            return
        if not (answers or leads):
            ahead.append(sentence)
    if answers:
        first_field = next((number for number, field in enumerate(fields) if field), None)
        reasons = " ".join(ahead if first_field is None else lines[:first_field])
        has_reasons = len(reasons.strip()) >= MIN_REASONING_CHARS
        yield from (
            Reply(answer, None, text[:300], reasons_first=has_reasons)
            for answer in dict.fromkeys(answers + leads)
        )


def _field(lines: list[str], number: int) -> re.Match[str] | None:
    """A line such as "Verdict: yes", unless what introduces it says that it is not meant."""
    field = _FIELD.fullmatch(_plain(lines[number]))
    return field if field and not _UNMEANT.search(_clause("\n".join(lines[:number]))) else None


def _sentences(text: str) -> Iterator[str]:
    """Sentences without their last stop; questions are left out, since they state nothing."""
    for sentence in re.split(r"(?<=[.!?]) ", _plain(text)):
        if not sentence.endswith("?"):
            yield sentence.strip(" .!-")


def _plain(text: str) -> str:
    """One blank for each run of white space: patterns with several runs side by side would take for ever."""
    spaced = " ".join(text[:MAX_PROSE_CHARS].split())
    return re.sub(r"\b(it|that|this)'s\b", r"\1 is", spaced, flags=re.IGNORECASE)


def _shorten(text: str, maximum: int = 80) -> str:
    return repr(text if len(text) <= maximum else text[:maximum] + "...")
