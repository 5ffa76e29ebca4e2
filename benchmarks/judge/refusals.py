"""What a refusal means: its kind, and which part of our own request it is about.

No vendor's words are known here. A refusal is read by its status, by which of our own fields and values it
names, and by common words for what can be wrong (a model, an account, a filter, a length).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.judge.error_bodies import ErrorBody, in_words, read_error_body
from benchmarks.judge.failures import JudgeError, kind_of
from benchmarks.judge.waits import body_wait_s, never_today, server_wait_s

# Each part of a request by the words for it in many APIs; separators are blanks, hyphens, dots or underlines.
# Those of one API stand in its `ParameterRules`.
PARTS = {
    "format": r"response (?:format|schema|json schema)|json schema|json object|json mode"
    r"|structured (?:outputs?|generation|response)|guided (?:json|decoding)|output (?:schema|format)",
    "limit": r"max(?:imum)? (?:completion |output |new |generated |generation )?tokens?|max (?:new )?length"
    r"|max completion|num predict|output token limit",
    "temperature": r"temperature",
    "seed": r"(?:random )?seed",
    "logprobs": r"(?:top )?log ?probs?|log probabilit(?:y|ies)",
    "stream": r"(?<!non )stream(?:ing)?",
    "system": r"system (?:role|messages?|prompts?)|role system"
    r"|roles must alternate|(?:messages )?\d+ role",
}
GIVEN = "given"  # begins what `Refusal.names` calls a parameter of the user's
# Parameters by words that any message may hold: they count where a refusal points at them or quotes them.
_COMMON = {"user", "stop", "store", "metadata", "provider", "route", "reasoning", "text", "options"}
_WEAK_FORMAT = re.compile(r"\b(?:schema|json|grammar|format|additional properties|strict)\b")
_QUOTED = re.compile(r"(?<!\w)(['\"`])(.{1,200}?)\1(?!\w)")

_MODEL = r"(?:models?|deployments?|engines?)"
_GONE = (
    r"not (?:be )?(?:found|exist\w*|available|recogni[sz]ed|known|valid|supported|deployed|loaded"
    r"|served|registered"
    r"|located|accessible|present|offered|hosted|listed|permitted|allowed|enabled|installed|ready for use)"
    r"|(?:no|any) (?:longer|more)|n[o']t exist|doesn ?t exist|unknown|invalid|nonexistent|missing"
    r"|unavailable|unrecogni[sz]ed"
    r"|unsupported|retired|decommission\w*|deprecated|discontinued|sunset|shut ?down|removed"
    r"|end of (?:life|support)"
    r"|withdrawn|(?:not|n t) have access|no access|turned off|switched off|deleted|expired|inaccessible"
    r"|not a (?:valid|known)"
)
_NOT = (
    r"no(?: such| known| matching| available)?|unknown|invalid|unrecogni[sz]ed|unsupported"
    r"|nonexistent|non existent"
    r"|missing|wrong|not an? (?:valid|known|available)|(?:(?:can)?not|n t|unable to|failed to|fail to) "
    r"(?:find|locate|resolve|load|serve|support|recogni[sz]e|know|have)|without|access to(?: the)?|retired"
)
# What a model does that is there.
_SAID = (
    r"(?:(?:has|have|had|just) )?(?:generat|produc|return|emitt|creat|repl[iy]|respond|answer|gave|wrote"
    r"|sent)\w*"
)
_NO_MODEL = re.compile(
    rf"\b{_MODEL}\b(?! (?:output|response|repl(?:y|ies)|answer|generation|completion)s?\b)(?! {_SAID}\b)"
    rf"(?:(?! with | for (?:this|that) |support(?:s|ing)? ).){{0,60}}?\b(?:{_GONE})(?:\b|$)"
    rf"|\b(?:{_NOT})\b(?: (?!(?:by|from)\b)\w+){{0,4}}? {_MODEL}\b(?! {_SAID}\b)"
    r"(?! (?:input|output|response|configuration|parameter))"
)
_LACKS_FEATURE = re.compile(
    rf"\b(?:(?:with|by|for|in|on) (?:this|that|the|your)(?: \w+)? |supports? ).{{0,20}}$"
    rf"|{_MODEL} (?:does|do|can) ?n"
)
_RETIRED = re.compile(
    r"\b(?:retired|decommission\w*|deprecated|discontinued|sunset|no longer|end of (?:life|support)"
    r"|shut ?down|withdrawn"
    r"|removed|turned off|switched off|expired)\b"
)
_DEPLOYMENT = re.compile(r"\bdeployments?\b")
_SPENT = re.compile(
    r"\bquota|billing|\bcredits?\b|\bbalance\b|payment|\bpaid\b|\bfunds?\b|suspend|arrear|overdue"
    r"|top up|recharge"
    r"|spend(?:ing)? (?:limit|cap)|budget|good standing|subscription|deactivated|disabled account"
    r"|account.{0,30}"
    r"(?:disabled|closed|inactive|frozen|blocked)|free (?:tier|trial).{0,30}(?:over|used|exhaust"
    r"|expired|ended)|purchase|\bplan\b"
)
# What no wait heals, whatever wait is told beside it.
_SPENT_FOR_GOOD = re.compile(
    r"insufficient (?:quota|balance|funds?|credits?|account)|billing (?:hard )?(?:limit|not active"
    r"|inactive)|suspend|arrear"
    r"|overdue|(?:out of|no|not enough|used up (?:all )?(?:your|the)?|exhausted (?:your|the|all)?"
    r"|ran out of|lack of) ?"
    r"(?:\w+ )?(?:credits?|balance|funds)\b(?! (?:were|was|have|has|are|is|will) )"
    r"|credits?.{0,20}(?:exhausted|depleted|used up|too low|run out)"
    r"|balance.{0,20}(?:exhausted|depleted|too low|negative|insufficient|not enough|zero)|deactivated"
    r"|payment required"
)
_FILTERED = re.compile(
    r"content (?:management |usage |safety )?(?:policy|policies|filter\w*|moderation|violat\w*)"
    r"|safety|moderat(?:ion|ed)|flagged"
    r"|harmful|inappropriate|sensitive|usage polic|prohibited|jailbreak|responsible ai"
    r"|data inspection|guardrail"
    r"|(?:prompt|input|content|request|text|output|response)s?(?: \w+){0,3} (?:was |were |is |been "
    r"|has been )?(?:blocked|censored|withheld)"
    r"|acceptable use|objectionable|violat\w* .{0,40}polic|risk control|unsafe|offensive"
    r"|explicit content|policy violation|blocked by"
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size|limit)|too (?:long|many tokens)|token limit|prompt.{0,30}(?:long"
    r"|large|exceed)"
    r"|input.{0,30}(?:too long|too large|exceed)|maximum (?:input|sequence|prompt|model)"
    r"|exceed\w* .{0,40}(?:length|tokens|window)"
    r"|reduce (?:the|your) (?:length|prompt|messages|input)|payload too large|entity too large"
)
_KEY = re.compile(
    r"\bapi ?key|access ?(?:key|token)|unauthori[sz]ed|authenticat|credential|\bbearer\b"
    r"|invalid token|\btoken\b.{0,20}(?:invalid|expired)"
)
_GENERATION = re.compile(
    r"(?:generat|produc|decod|pars|complet|sampl|emit|creat|write|return|output|answer|respon|model'?s).{0,60}"
    r"(?:\bfail|invalid|not valid|could not|couldn|malformed|unable|not match|did not|didn"
    r"|not conform|cannot be|can not|broken|violat)"
    r"|(?:\bfail|invalid|not valid|could not|couldn|unable|malformed|did not|didn).{0,60}(?:generat"
    r"|produc|decod|pars|complet|sampl|emit|output|answer)"
    r"|(?:invalid|malformed|incomplete|broken|not? valid) .{0,40}\b(?:from|by) (?:the |this )?model"
)
_ABOUT_FORMAT = re.compile(r"json|schema|format|structur|grammar|object|pars|valid|tool")
_RANGE = re.compile(
    r"too (?:large|long|many|high|big|small|low)|at most|at least|maxim|minim|exceed|range|between"
    r"|less than|greater"
    r"|above|below|must be|has to|have to|should be|up to|upper|limit of|<=|>=|\[\d|afford|fewer"
    r"|lower|larger than|only|allows?|supports? "
)
_NOT_TAKEN = re.compile(
    r"unsupported param|not support|does ?n.t support|unknown|unrecogni|unexpected|extra"
    r"|not permitted|not allowed|instead|deprecated"
    r"|not accept|no such|invalid (?:param|arg|field|key|name)|not a (?:valid|known)"
)
_ON_A_PARAMETER = re.compile(
    r"param|argument|\bfields?\b|\boptions?\b|featur|capabilit|propert|combination|setting"
)
_UNUSABLE_ADDRESS = {404, 405, 410}


def field_pattern(given: Iterable[Sequence[str]], own: Mapping[str, str]) -> re.Pattern[str]:
    """Finds PARTS, and before them parameters of the user's, each a path of names; GIVEN0 is the first.

    own: further words for some of PARTS, as patterns.
    """
    groups = []
    for number, path in enumerate(given):
        whole, last = in_words(".".join(path)), in_words(path[-1])
        words = "|".join(re.escape(name) for name in dict.fromkeys((whole, last)) if name)
        if words:
            groups.append(rf"(?P<{GIVEN}{number}>\b(?:{words})\b)")
    for name, words in PARTS.items():
        groups.append(rf"(?P<{name}>\b(?:{'|'.join(filter(None, (words, own.get(name))))})\b)")
    return re.compile("|".join(groups))


_FIELD = field_pattern((), {})


@dataclass(frozen=True)
class Refusal:
    """What a refusal says, as far as it can be told.

    error: its kind if nothing is done about it. names: which of PARTS it is about, the surest first.
    numbers: those it mentions. is_range: it speaks of how large something may be. is_generation: the reply
    could not be made to keep to its format, which may be otherwise the next time. is_clear: nothing is to be
    found out by asking in other ways. is_too_long: this pair is. words: by which the same refusal is known
    again.
    """

    error: JudgeError
    names: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    is_range: bool = False
    is_missing: bool = False
    is_generation: bool = False
    is_clear: bool = False
    is_too_long: bool = False
    words: str = ""


def read_refusal(
    status: int,
    body: bytes | ErrorBody,
    headers: Mapping[str, str] | None = None,
    *,
    model: str = "",
    question: str = "",
    now: float = 0.0,
    has_answered: bool = False,
    fields: re.Pattern[str] = _FIELD,
) -> Refusal:
    """The refusal that a status, headers and a body mean. question: the pair, whose own texts prove nothing.

    fields: of `field_pattern`, where the request holds parameters of the user's.

    has_answered: whether the endpoint has answered any pair: then words alone do not end a run.
    """
    stated = body if isinstance(body, ErrorBody) else read_error_body(body)
    said = _said(stated, model, question)
    names = tuple(_names(stated, question, fields, has_answered=has_answered))
    kind = _kind_of(status, stated, said, names, has_answered)
    limited = kind_of(kind).has_resets
    waits = (server_wait_s(headers or {}, now, limited), body_wait_s(stated, now, limited))
    wait_s = max((wait for wait in waits if wait is not None), default=None)
    if kind == "quota" and status == 429 and wait_s is not None and not _SPENT_FOR_GOOD.search(said):
        kind = "rate_limited"
    if kind == "rate_limited" and wait_s is None and never_today(stated):
        kind = "long_wait"
    if status == 401 and kind == "auth":  # servers quote the key in this message
        message = "the endpoint did not accept the key"
    else:
        message = f"{stated.message or 'no message'}{_remedy(kind, said)}"
    return Refusal(
        JudgeError(kind, f"HTTP {status}: {message}", status=status, wait_s=wait_s),
        names=names,
        numbers=tuple(
            int(digits) for digits in re.findall(r"(?<![\w.])\d{2,7}(?![\w.]*\w)", " ".join(stated.sentences))
        ),
        is_range=bool(_RANGE.search(said)) and not _NOT_TAKEN.search(said),
        is_missing=bool(re.search(r"required|missing|must (?:be )?(?:set|provide|specif)|not set", said)),
        is_generation=names[:1] in ((), ("format",)) and _is_generation(stated, said),
        is_clear=not kind_of(kind).may_be_form or status in {413, 502, 503, 504, 529},
        is_too_long=status == 413 or bool(_TOO_LONG.search(said)),
        words=re.sub(r"\S*\d\S*", "", f"{status} {said}")[:400],
    )


def read_error(status: int, body: bytes) -> JudgeError:
    """The error that a status other than 200 and its body mean, before anything is known of the endpoint."""
    return read_refusal(status, body).error


def _said(told: ErrorBody, model: str, question: str) -> str:
    """All its words and codes in lower case, without what it quotes of the pair; the model is "model"."""
    text = " . ".join((*told.sentences, *told.codes))
    text = _QUOTED.sub(
        lambda quoted: " " if len(quoted[2]) > 12 and quoted[2] in question else quoted[0], text
    )
    if len(model) > 2:
        text = re.sub(rf"(?<!\w){re.escape(model)}(?!\w)", " model ", text, flags=re.IGNORECASE)
    return " ".join(re.sub(r"[_\"'`’*:,()\[\]-]+", " ", text.lower()).split())


def _names(told: ErrorBody, question: str, fields: re.Pattern[str], *, has_answered: bool) -> Iterator[str]:
    """Which of PARTS it is about: what it points at, then what it quotes, then what it mentions.

    Words that only may mean the reply's format count until the endpoint has answered.
    """
    sentences = " . ".join(told.sentences)
    quoted = " . ".join(match[2] for match in _QUOTED.finditer(sentences))
    asked = set(re.findall(r"\w+", question.lower()))
    seen: set[str] = set()
    for text, is_certain in (
        (" . ".join(told.names), True),
        (quoted, True),
        (" . ".join((sentences, *told.codes)), False),
    ):
        plain = " ".join(in_words(word) for word in re.split(r"\s+", text) if word) if text else ""
        for match in fields.finditer(plain):
            name = str(match.lastgroup)
            is_common = name.startswith(GIVEN) and match[0] in _COMMON
            if name not in seen and (is_certain or not (is_common or set(match[0].split()) <= asked)):
                seen.add(name)
                yield name
    if has_answered:
        return
    if "format" not in seen and _WEAK_FORMAT.search(f"{sentences} {' '.join(told.names)}".lower()):
        yield "format"


def _kind_of(status: int, told: ErrorBody, said: str, names: tuple[str, ...], has_answered: bool) -> str:
    if status == 401:
        return "auth"
    if status == 402:
        return "quota"
    if status == 429:
        return "quota" if _SPENT.search(said) else "rate_limited"
    if status in {408, 409, 425} or status >= 500:
        return _kind_of_fault(status, said, names, has_answered)
    if _FILTERED.search(said) and not _SPENT_FOR_GOOD.search(said) and not (names and status != 403):
        return "content_filter"
    if names and status not in {403, *_UNUSABLE_ADDRESS} and not _is_no_model(status, told, said, names):
        return "bad_request"
    if status == 403:
        return _kind_of_403(told, said, names, has_answered)
    if _is_no_model(status, told, said, names) and (
        not has_answered or status in _UNUSABLE_ADDRESS or _by_code(told)
    ):
        return "unknown_model"
    if status in _UNUSABLE_ADDRESS or 300 <= status < 400:
        if status == 404 and (names or _ON_A_PARAMETER.search(said)):
            return "bad_request"
        return "wrong_url"
    if has_answered or _TOO_LONG.search(said):
        return "bad_request"
    if _KEY.search(said):
        return "auth"
    return "quota" if _SPENT.search(said) else "bad_request"


def _kind_of_fault(status: int, said: str, names: tuple[str, ...], has_answered: bool) -> str:
    """Some servers answer 500 where they mean 404 or 402: believed where nothing was ever answered."""
    if not has_answered and not names and status in {500, 501, 503}:
        if _NO_MODEL.search(said) and re.search(
            r"not (?:be )?found|not exist|n t exist|unknown|no such|invalid", said
        ):
            return "unknown_model"
        if _SPENT_FOR_GOOD.search(said):
            return "quota"
    return "server_error"


def _kind_of_403(told: ErrorBody, said: str, names: tuple[str, ...], has_answered: bool) -> str:
    if _is_no_model(403, told, said, names):
        return "unknown_model"
    if _SPENT.search(said) and not has_answered:
        return "quota"
    return "forbidden" if has_answered else "auth"


def _by_code(told: ErrorBody) -> bool:
    return any(_NO_MODEL.search(code) for code in told.codes)


def _is_no_model(status: int, told: ErrorBody, said: str, names: tuple[str, ...]) -> bool:
    """Whether the model itself is missing, and not something that it lacks."""
    if _by_code(told) or "model" in (name.lower().rpartition(".")[2] for name in told.names):
        return not names or _by_code(told)
    if names:
        return False
    if status in {404, 410} and re.search(rf"\b{_MODEL}\b", said) and not _ON_A_PARAMETER.search(said):
        return True
    match = _NO_MODEL.search(said)
    return bool(match) and not _LACKS_FEATURE.search(said[: match.start()] if match else "")


def _is_generation(told: ErrorBody, said: str) -> bool:
    """Whether it is the reply that failed, and not the request: it may be another one the next time."""
    if "failedgeneration" in told.keys:
        return True
    return bool(_GENERATION.search(said) and _ABOUT_FORMAT.search(said)) and not re.search(
        r"support|unknown|unrecogni|permitted|allowed|deprecated|cannot be used|not available"
        r"|invalid (?:param|schema|type|value|argument)",
        said,
    )


def _remedy(kind: str, said: str) -> str:
    """What to do about it, where that is more than the remedy of its kind."""
    if kind != "unknown_model":
        return ""
    if _DEPLOYMENT.search(said):
        return "; give the name of the deployment as --model, not that of the model in it"
    if _RETIRED.search(said):
        return "; this model is retired, so give another as --model"
    return ""
