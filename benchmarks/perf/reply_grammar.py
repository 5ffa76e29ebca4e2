"""Replies of judges, made up by rules, so that what they state is known: nothing, or one verdict.

Silent ones state no verdict, however they are read. Stating ones state one; plain ones among them in a form
that must be understood.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

from benchmarks.judge.prompts import REPLY_FORMAT, REPLY_SCHEMA

SUBJECTS = ("The statements", "These two statements", "The two sentences", "Both claims", "They")
YES_CLAIMS = (
    "{s} contradict each other",
    "{s} clearly contradict one another",
    "{s} are contradictory",
    "{s} are in contradiction",
    "There is a contradiction",
    "There is a clear contradiction between the two statements",
)
NO_CLAIMS = (
    "{s} do not contradict each other",
    "{s} don't contradict one another",
    "{s} are not contradictory",
    "{s} cannot contradict each other",
    "There is no contradiction",
    "There is no contradiction between them",
)
REASONS = (
    "because the first names another hour than the second",
    "since a shop cannot be open and shut at once",
    "because the second merely says more",
    "as no one said yes",
)
CONDITIONS = (
    "if both are about the same day",
    "only if the same shop is meant",
    "unless two shops are meant",
    "provided that the clocks agree",
    "assuming that she is the same person",
    "in case both speak of Monday",
    "as long as nothing else is known",
)
DOUBTS = (
    "I have not yet decided whether {c}",
    "It is not clear that {c}",
    "One might ask whether {c}",
    "Some readers would say that {c}",
    "The user claims that {c}",
    "I was told to say that {c}",
    "Perhaps {c}",
    "It depends on the day whether {c}",
    "Let me check whether {c}",
    "Nobody has shown that {c}",
)
SUPPOSITIONS = (
    "It might be",
    "Perhaps",
    "Possibly:",
    "I could say",
    "It is not the case that",
    "This may be:\n",
)
MODALS = ("might", "may", "could", "would", "should", "seldom")
REFUSALS = (
    "I'm sorry, but I can't assist with that request.",
    "As a language model, I do not take sides.",
    "I cannot help with this.",
    "No, I will not answer that.",
    "Yes, I can help with that. Which statements do you mean?",
    "Sure, let me have a look at both.",
)
QUESTIONS = (
    "Do the statements contradict each other?",
    "Is there a contradiction between them?",
    "Yes or no?",
    "Shall I answer yes?",
    "The statements contradict each other, do they not?",
)
UNRELATED = (
    "The recipe needs 200 g of flour, two eggs and no butter.",
    "<html><body><h1>504 Gateway Time-out</h1></body></html>",
    '{"status": "ok", "items": [1, 2, 3]}',
    '{"error": {"message": "overloaded", "code": 529}}',
    '[{"name": "true", "value": false}]',
    '{"confidence": 0.9, "reasoning": "yes"}',
    "true story, no doubt",
    "```json\n{}\n```",
    "",
)
PLACEHOLDERS = (
    "true or false",
    "<boolean>",
    "bool",
    "...",
    '"true|false"',
    '"boolean"',
    "[true, false]",
    "{}",
    "1",
)
STATED_YES = ("true", '"true"', '"yes"', '"Yes."', '"contradiction"', '"TRUE"')
STATED_NO = ("false", '"false"', '"no"', '"No."', '"not a contradiction"', '"neutral"', '"entailment"')
CONFIDENCES = ("0.9", "1", "0.5", '"95%"', "95", '"high"', "null", "-3", "1e400", "[]")
REASONINGS = (
    "one says open, the other shut",
    "yes and no: both, in a way",
    'the text says {"contradiction": true}',
    'the text says \\"contradiction\\": false',
    "}{",
    "a line\\nand another",
    "naïve, 矛盾, \\u2028\\ud800",
)


# Texts that a loose object quotes in its own way, what would end a JSON string among them.
LOOSE_REASONINGS = (
    "one says open, the other shut",
    "one line\nand\tanother",
    "the shop's door, it's shut",
    'the sign says "open" on Monday',
    "a path such as C:\\\\data\\\\x, a pattern such as \\d+",
    "see https://example.org/a // not a comment",
    "{open} or [shut], 矛盾",
    "confidence: high; so it is",
)
QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("«", "»"), ("‘", "’"))
COMMENTS = ("", "", "", "// so it is\n", "/* one names nine o'clock */", " # they differ\n")
LOOSE_YES = ("true", "True", "TRUE", "yes", "q:yes", "q:True", "q:contradiction")
LOOSE_NO = ("false", "False", "FALSE", "no", "q:no", "q:False", "q:not a contradiction")
LOOSE_CONFIDENCES = (
    "0.9",
    ".9",
    "90%",
    "0,9",
    "q:0,9",
    "q:90 %",
    "NaN",
    "None",
    "Infinity",
    "high",
    "q:high",
)
TEMPLATE_VALUES = (
    "true or false",
    "true|false",
    "True/False",
    "<true or false>",
    "true, // or false\n",
    "bool",
)
THOUGHT_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<Thought>", "</Thought>"),
    ("<reasoning effort='high'>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<!-- ", " -->"),
    ("```thinking\n", "\n```"),
    ("<details><summary>Thinking</summary>", "</details>"),
    ("Thinking...\n", "\n...done thinking.\n"),
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    ("<|channel>thought\n", "<channel|>"),
    ("analysisWe see. ", "assistantfinal"),
)
TAILS = (
    "",
    "\n```",
    "<|im_end|>",
    "</s>",
    "}",
    "\n\nExplanation: the first names another hour than the second.",
    "\nI hope that this helps!",
    " // done",
)


def silent_reply(rng: Random) -> str:
    """A reply that states no verdict, whatever a hurried reader may think."""
    return rng.choice(SILENT)(rng)


def stating_reply(rng: Random) -> tuple[str, bool]:
    """A reply, and the one verdict that it states."""
    verdict = rng.random() < 0.5
    return rng.choice(STATING)(rng, verdict), verdict


def plain_reply(rng: Random) -> tuple[str, bool]:
    """A reply in one of the forms that must be understood, and its verdict."""
    verdict = rng.random() < 0.5
    return rng.choice(PLAIN)(rng, verdict), verdict


def _claim(rng: Random, verdict: bool) -> str:
    return rng.choice(YES_CLAIMS if verdict else NO_CLAIMS).format(s=rng.choice(SUBJECTS))


def _lowered(claim: str) -> str:
    return claim[0].lower() + claim[1:]


def _any_claim(rng: Random) -> str:
    return _claim(rng, rng.random() < 0.5)


def _lead(rng: Random, verdict: bool) -> str:
    return rng.choice(("", "", "Yes, " if verdict else "No, ", "Yes. " if verdict else "No. "))


def _conditional(rng: Random) -> str:
    claim, condition = _any_claim(rng), rng.choice(CONDITIONS)
    either = (
        f"{claim} {condition}.",
        f"{claim}, {condition}.",
        f"{condition.capitalize()}, {_lowered(claim)}.",
    )
    return rng.choice(("", "Yes. ", "No. ")) + rng.choice(either)


def _hedge(rng: Random) -> str:
    return f"{rng.choice(SUBJECTS)} {rng.choice(MODALS)} {rng.choice(('', 'not '))}contradict each other."


def _doubt(rng: Random) -> str:
    return rng.choice(DOUBTS).format(c=_lowered(_any_claim(rng))) + "."


def _answer_to_nothing(rng: Random) -> str:
    return f"{rng.choice(('Yes', 'No'))}, {rng.choice(CONDITIONS)}."


def _both(rng: Random) -> str:
    """One verdict and then the other, in the same form."""
    said = [True, False]
    rng.shuffle(said)
    form: Callable[[Random, bool], str] = rng.choice((_sentence, _json_object))
    return rng.choice((" ", "\n", "\n\nOn second thoughts: \n")).join(form(rng, verdict) for verdict in said)


def _placeholder(rng: Random) -> str:
    return f'{{"contradiction": {rng.choice(PLACEHOLDERS)}, "confidence": 0.9, "reasoning": "why"}}'


def _schema(rng: Random) -> str:
    return rng.choice(
        (REPLY_FORMAT, json.dumps(REPLY_SCHEMA), json.dumps({"schema": REPLY_SCHEMA}, indent=2))
    )


def _cut_before_value(rng: Random) -> str:
    """A JSON reply that ends within its verdict or before."""
    value = rng.choice(STATED_YES + STATED_NO)
    before = rng.choice(("", '"confidence": 0.9, ', '"reasoning": "so it is", '))
    whole = f'{{{before}"contradiction": {value}'
    return rng.choice(("", "```json\n", "Here you are:\n")) + whole[: len(whole) - rng.randint(1, len(value))]


def _abstaining(rng: Random) -> str:
    return rng.choice(
        (
            '{"contradiction": null, "confidence": 0.5, "reasoning": "the day is not given"}',
            '{"contradiction": "unknown", "confidence": 0.5, "reasoning": "yes"}',
            "I cannot tell.",
            "Unclear.",
            "I cannot determine whether the statements contradict each other.",
        )
    )


def _taken_back(rng: Random) -> str:
    """A claim whose own sentence goes on to take it back."""
    claim, reason, condition = _any_claim(rng), rng.choice(REASONS), rng.choice(CONDITIONS)
    return rng.choice(
        (
            f"{claim}, {reason}, but {condition}.",
            f"{claim}, {reason}, though only {condition}.",
            f"{claim}, because that would be so {condition}.",
            f"{claim}, {reason}, or perhaps not.",
        )
    )


def _example(rng: Random) -> str:
    """A whole reply that is shown and not given."""
    shown = _json_object(rng, rng.random() < 0.5)
    return rng.choice(
        (
            f"For example, you would reply {shown}.",
            f"The expected format is:\n```json\n{shown}\n```\nWhich statements do you mean?",
            f'{{"error": "no statements given", "example": {shown}}}',
            f'{{"{rng.choice(CONDITIONS)}": {shown}}}',
        )
    )


def _supposed(rng: Random) -> str:
    """A whole reply that would be given under a condition, and perhaps the other one without it."""
    verdict = rng.random() < 0.5
    shown, other = _json_object(rng, verdict), _json_object(rng, not verdict)
    condition = rng.choice(CONDITIONS)
    return rng.choice(
        (
            f"It would be {shown} {condition}, else {other}.",
            f"{condition.capitalize()}, {shown}; otherwise {other}.",
            f"{shown} {condition}",
            f"{rng.choice(SUPPOSITIONS)} {shown}",
            f"Either {shown} or {other}.",
        )
    )


def _form(rng: Random) -> str:
    """A line that would be an answer if what stands above it did not say otherwise."""
    above = (rng.choice(CONDITIONS).capitalize(), "Reply in this form", "An example", "What I will not say")
    return f"{rng.choice(above)}:\n{rng.choice(('Answer', 'Verdict'))}: {rng.choice(('yes', 'no'))}"


def _thought_only(rng: Random) -> str:
    thought = _sentence(rng, rng.random() < 0.5)
    return rng.choice(
        (f"<think>{thought}", f"<think>{thought}</think>", f"{thought}</think> Hm.", f"{thought}</think>")
    )


def _loose_template(rng: Random) -> str:
    """An object in which a verdict might stand, and does not."""
    return _loosely(rng, rng.choice(TEMPLATE_VALUES))


def _loose_cut(rng: Random) -> str:
    """A loose object that ends before its verdict does."""
    opener, closer = rng.choice(QUOTES)
    value = f"{opener}{rng.choice(('contradiction', 'yes', 'no', 'True'))}"
    return f"{{{opener}contradiction{closer}: {value}"


def _loose_both(rng: Random) -> str:
    """Two verdicts, one of them only behind the object or in a field of the same name."""
    verdict = rng.random() < 0.5
    word, other = ("True", "False") if verdict else ("False", "True")
    key = rng.choice(("'contradiction'", "contradiction", "“contradiction”"))
    return rng.choice(
        (
            f"{{{key}: {word}, {key}: {other}}}",
            f"{{{key}: {word}}}\n{_sentence(rng, not verdict)}",
            f"{{{key}: {word}}} {{{key}: {other}}}",
            f"{_json_object(rng, verdict)}\n\n{_reasoned(rng, not verdict)}",
            json.dumps([_loose_object(rng, verdict), _loose_object(rng, not verdict)]),
        )
    )


def _quoted_verdict(rng: Random) -> str:
    """An object without a verdict, whose reasoning quotes one without marking its quotes."""
    word = rng.choice(("true", "false"))
    return f'{{"reasoning": "the text says "contradiction": {word}, so I wait", "confidence": 0.9}}'


def _marked_thought_only(rng: Random) -> str:
    """Thoughts in some markup, closed or not, and nothing behind them."""
    opener, closer = rng.choice(THOUGHT_TAGS)
    verdict = rng.random() < 0.5
    thought = rng.choice((_sentence, _json_object, _loose_object))(rng, verdict)
    return f"{opener}{thought}{rng.choice(('', closer))}"


SILENT: tuple[Callable[[Random], str], ...] = (
    lambda rng: rng.choice(REFUSALS),
    lambda rng: rng.choice(QUESTIONS),
    lambda rng: rng.choice(UNRELATED),
    lambda rng: f"{rng.choice(REFUSALS)} {rng.choice(QUESTIONS)}",
    _conditional,
    _hedge,
    _doubt,
    _answer_to_nothing,
    _both,
    _placeholder,
    _schema,
    _cut_before_value,
    _abstaining,
    _thought_only,
    _taken_back,
    _example,
    _supposed,
    _form,
    _loose_template,
    _loose_cut,
    _loose_both,
    _quoted_verdict,
    _marked_thought_only,
)


def _json_object(rng: Random, verdict: bool) -> str:
    fields = [f'"contradiction": {rng.choice(STATED_YES if verdict else STATED_NO)}']
    fields += [f'"confidence": {rng.choice(CONFIDENCES)}', f'"reasoning": {_reasoning(rng)}']
    rng.shuffle(fields)
    blank = rng.choice(("", " ", "\n  "))
    return "{" + blank + f",{blank}".join(fields) + blank + "}"


def _reasoning(rng: Random) -> str:
    text = rng.choice(REASONINGS)
    return json.dumps(text) if '"' in text and "\\" not in text else f'"{text}"'


def _loose_object(rng: Random, verdict: bool) -> str:
    return _loosely(rng, rng.choice(LOOSE_YES if verdict else LOOSE_NO))


def _loosely(rng: Random, stated: str) -> str:
    """An object that is quoted, spelt and strewn with commas and comments in any way but JSON's."""
    quotes = rng.choice(QUOTES)
    keys = rng.choice((quotes, ("", "")))
    fields = [("contradiction", stated), ("confidence", rng.choice(LOOSE_CONFIDENCES))]
    fields.append(("reasoning", "q:" + rng.choice(LOOSE_REASONINGS)))
    if rng.random() < 0.2:
        fields.append(fields[0])
    rng.shuffle(fields)
    blank = rng.choice(("", " ", "\n  "))
    written = [
        f"{keys[0]}{name}{keys[1]}:{blank.strip(chr(10))}{_loose_value(value, quotes)}"
        for name, value in fields
    ]
    comma = rng.choice((",", ",", " ,", ",,")) if blank != "\n  " else rng.choice((",", ""))
    inside = comma.join(f"{blank}{rng.choice(COMMENTS)}{each}" for each in written)
    return "{" + inside + rng.choice(("", ",", "\n")) + "}"


def _loose_value(value: str, quotes: tuple[str, str]) -> str:
    return f"{quotes[0]}{value[2:]}{quotes[1]}" if value.startswith("q:") else value


def _encoded_again(rng: Random, verdict: bool) -> str:
    """JSON in a string, once or twice, with the outer quotes or without them."""
    text = json.dumps(_json_object(rng, verdict), ensure_ascii=rng.random() < 0.5)
    wrapped = (
        text,
        json.dumps(text),
        text[1:-1],
        f"```json\n{text}\n```",
        f'{{"result": {text}}}',
        f"[{text}]",
        f'{{"name": "verdict", "arguments": {text}}}',
    )
    return rng.choice(wrapped)


def _called(rng: Random, verdict: bool) -> str:
    name = rng.choice(("arguments", "parameters"))
    call = f'{{"name": "verdict", "{name}": {_json_object(rng, verdict)}}}'
    return rng.choice(("{}", "<tool_call>\n{}\n</tool_call>", "```json\n{}\n```")).format(call)


def _marked_thought(rng: Random, verdict: bool) -> str:
    """Thoughts of the opposite in some markup, and then the reply."""
    opener, closer = rng.choice(THOUGHT_TAGS)
    draft = rng.choice((_sentence, _json_object, _loose_object, _fenced))
    if "```" in opener:
        draft = _sentence
    reply = rng.choice((_json_object, _loose_object, _sentence, _bare))
    return f"{opener}{draft(rng, not verdict)}{closer}{rng.choice(('', chr(10)))}{reply(rng, verdict)}"


def _with_tail(rng: Random, verdict: bool) -> str:
    form: Callable[[Random, bool], str] = rng.choice((_json_object, _loose_object))
    return form(rng, verdict) + rng.choice(TAILS)


def _fenced(rng: Random, verdict: bool) -> str:
    return f"{rng.choice(('', 'Here is my verdict.'))}\n```json\n{_json_object(rng, verdict)}\n```"


def _after_thinking(rng: Random, verdict: bool) -> str:
    opening = rng.choice(("<think>", ""))  # some servers open the thoughts in the prompt
    return f"{opening}Hm. {_sentence(rng, not verdict)} Or not?</think>\n{_json_object(rng, verdict)}"


def _nested(rng: Random, verdict: bool) -> str:
    return f'{{"{rng.choice(("result", "answer", "verdict"))}": {_json_object(rng, verdict)}}}'


def _bare(rng: Random, verdict: bool) -> str:
    word = rng.choice(("yes", "true", "contradiction") if verdict else ("no", "false", "no contradiction"))
    word = rng.choice((word, word.capitalize(), word.upper()))
    return rng.choice(("{}", "{}.", "**{}**", " {}\n", "`{}`")).format(word)


def _sentence(rng: Random, verdict: bool) -> str:
    return _lead(rng, verdict) + _claim(rng, verdict) + "."


def _reasoned(rng: Random, verdict: bool) -> str:
    return f"{_lead(rng, verdict)}{_claim(rng, verdict)}, {rng.choice(REASONS)}."


def _field(rng: Random, verdict: bool) -> str:
    value = rng.choice(("yes", "contradiction") if verdict else ("no", "no contradiction"))
    return (
        f"{rng.choice(('Verdict', 'Answer', '**Contradiction**'))}: {value}\nReason: {rng.choice(REASONS)}."
    )


def _denial_of_opposite(rng: Random, verdict: bool) -> str:
    opening = rng.choice(("It is not true that", "It would be wrong to say that", "I do not think that"))
    return f"{opening} {_lowered(_claim(rng, not verdict))}."


def _opposite_quoted(rng: Random, verdict: bool) -> str:
    asked = rng.choice(("Some would say otherwise", "You may have expected the opposite"))
    return f"{asked}. {_sentence(rng, verdict)}"


def _broken_json(rng: Random, verdict: bool) -> str:
    whole = _json_object(rng, verdict)
    return rng.choice((whole[:-1], whole.replace('"', "'"), whole[:-1] + ",}", whole.replace("true", "True")))


PLAIN: tuple[Callable[[Random, bool], str], ...] = (
    _json_object,
    _fenced,
    _after_thinking,
    _nested,
    _bare,
    _sentence,
    _reasoned,
    _field,
    _loose_object,
    _encoded_again,
    _called,
    _marked_thought,
    _with_tail,
)
STATING = (*PLAIN, _denial_of_opposite, _opposite_quoted, _broken_json)
