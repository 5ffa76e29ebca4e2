"""Replies that state one verdict and are no strict JSON: each kind in shapes that are not the grammar's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.judge.reply_reading import Reply, ReplyError, conclusion, parse_reply

ROOT = Path(__file__).parents[2]
STRICT = '{"contradiction": true, "confidence": 0.9, "reasoning": "r"}'
OTHER = '{"contradiction": false, "confidence": 0.8, "reasoning": "s"}'


def read(text: str) -> Reply | None:
    try:
        return parse_reply(text)
    except ReplyError:
        return None


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "one\ntwo"}', "one\ntwo"),
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "one\r\n\r\ntwo"}', "one\r\n\r\ntwo"),
        ('{"reasoning": "a\ttab", "contradiction": true, "confidence": 0.9}', "a\ttab"),
        (
            '{"contradiction": true, "confidence": 0.9, "reasoning": "bell\x07 and \x1b[0m"}',
            "bell\x07 and \x1b[0m",
        ),
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "\x00"}', "\x00"),
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "the shop\\\'s door"}', "the shop's door"),
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "5 \\% of \\$9"}', "5 % of $9"),
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "\\(x\\) and \\_y\\_"}', "(x) and _y_"),
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "\\u12 and \\x41"}', "u12 and x41"),
        (
            '{"contradiction": true, "confidence": 0.9, "reasoning": "a \\\n line goes on"}',
            "a \n line goes on",
        ),
        ('{"contradiction": true, "confidence": 0.9, "reasoning": "it says "open" and "shut"."}', None),
    ],
)
def test_any_character_and_escape_may_stand_in_a_string(text: str, reasoning: str | None) -> None:
    assert read(text) == Reply(True, 0.9, reasoning or 'it says "open" and "shut".')


@pytest.mark.parametrize(
    "text",
    [
        "{'contradiction': True, 'confidence': 0.9, 'reasoning': 'r'}",
        "{'contradiction': True, 'confidence': 0.9, 'reasoning': \"r\"}",
        "{`contradiction`: `true`, `confidence`: `0.9`, `reasoning`: `r`}",
        '{contradiction: true, confidence: 0.9, reasoning: "r"}',
        "{contradiction: yes, confidence: 90%, reasoning: r}",
        "{“contradiction”: true, “confidence”: 0.9, “reasoning”: “r”}",
        "{„contradiction“: true, „confidence“: „0,9“, „reasoning“: „r“}",
        "{ « contradiction » : true, « confidence » : 0.9, «reasoning»: «r» }",
        '{"contradiction"：true，"confidence"：0.9，"reasoning"："r"}',
        '{"contradiction": TRUE, "confidence": 0.9, "reasoning": "r",}',
        '{,"contradiction": true,, "confidence": 0.9, "reasoning": "r",\n}',
        '{"contradiction": true\n"confidence": 0.9\n"reasoning": "r"}',
        '{"contradiction": true; "confidence": 0.9; "reasoning": "r"}',
        '{"contradiction" => true, "confidence" => 0.9, "reasoning" => "r"}',
        '{"contradiction": true, // they cannot both be\n"confidence": 0.9, /* sure */ "reasoning": "r"}',
        '{\n  # one\n  "contradiction": true,\n  "confidence": 0.9,  # two\n  "reasoning": "r"  # three\n}',
        '\ufeff{"contradiction":\u00a0true,\u200b"confidence": 0.9, "reasoning": "r"}',
        '{"contradiction": true, "contradiction": true, "confidence": 0.9, "reasoning": "r"}',
        '{"contradiction": true, "confidence": 0.9, "reasoning": "r"',
        '```python\nverdict = {"contradiction": True, "confidence": 0.9, "reasoning": "r"}\n```',
        '~~~json5\n{contradiction: true, confidence: .9, reasoning: "r",}\n~~~',
        '{"is_contradiction": true, "Confidence": "90 percent", "REASONING": "r"}',
    ],
)
def test_quotes_literals_commas_and_comments_may_be_those_of_any_language(text: str) -> None:
    assert read(text) == Reply(True, 0.9, "r")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(STRICT),
        json.dumps(json.dumps(STRICT)),
        json.dumps(STRICT)[1:-1],
        f"```json\n{json.dumps(STRICT)}\n```",
        json.dumps([STRICT]),
        json.dumps({"result": STRICT}),
        json.dumps({"output": {"answer": STRICT}}),
        json.dumps({"name": "verdict", "arguments": STRICT}),
        f'<tool_call>\n{{"name": "verdict", "parameters": {STRICT}}}\n</tool_call>',
        f'{{"type": "function", "name": "verdict", "input": {STRICT}}}',
        f"'{STRICT}'",
        json.dumps(json.dumps(json.loads(STRICT), indent=2)),
        '{\\n  \\"contradiction\\": true,\\n  \\"confidence\\": 0.9,\\n  \\"reasoning\\": \\"r\\"\\n}',
    ],
)
def test_json_may_stand_in_a_string_or_a_call(text: str) -> None:
    assert read(text) == Reply(True, 0.9, "r")


@pytest.mark.parametrize(
    "tail",
    [
        "}",
        "\n```\n",
        "<|im_end|>",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>",
        "</s>",
        "\n\nThe first says that it rains; the second, that it is dry.",
        "\n\n**Explanation:** the sets {1, 2} and {3} share nothing.",
        f"\n{STRICT}",
        "\n// end of reply",
        "\nYes, they contradict each other.",
    ],
)
def test_what_follows_the_json_takes_nothing_from_it(tail: str) -> None:
    assert read(STRICT + tail) == Reply(True, 0.9, "r")


@pytest.mark.parametrize(
    "thoughts",
    [
        "<think>{}</think>",
        "<THINKING>\n{}\n</THINKING>\n",
        "<thought>{}</thought>",
        '<reasoning depth="2">{}</reasoning>',
        "<scratchpad>{}</scratchpad>",
        "<inner_monologue>{}</inner_monologue>",
        "<x:think>{}</x:think>",
        "[THINK]{}[/THINK]",
        "[thinking] {} [/thinking]",
        "◁think▷{}◁/think▷",
        "<|thinking|>{}<|/thinking|>",
        "<|begin_of_thought|>{}<|end_of_thought|>",
        "<|START_THINKING|>{}<|END_THINKING|>",
        "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|channel|>analysis<|message|>{}<|end|>"
        "<|start|>assistant<|channel|>commentary to=functions.verdict <|constrain|>json<|message|>",
        "<|channel>thought\n{}<channel|>",
        "analysisI compare. {}assistantfinal",
        "{}</think>",
        "{}\n[/THINK]\n",
        "<!-- {} -->",
        "<details>\n<summary>My thought process</summary>\n{}\n</details>\n",
        "Thinking...\n{}\n...done thinking.\n",
    ],
)
def test_thoughts_in_any_markup_are_no_reply(thoughts: str) -> None:
    for draft in (OTHER, "They do not contradict each other."):
        assert read(thoughts.replace("{}", draft) + STRICT) == Reply(True, 0.9, "r")
        assert read(thoughts.replace("{}", draft)) is None


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{STRICT}",
        f"[THINK]{STRICT}",
        f"◁think▷ {STRICT}",
        f"<|channel|>analysis<|message|>{STRICT}",
        "analysisThe statements contradict each other.",
        "Thinking: They contradict each other.",
        "**Thoughts**\nThey contradict each other.",
        "```thinking\nYes\n```",
    ],
)
def test_a_thought_that_never_ends_is_all_there_is(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        f"{STRICT} No.",
        f"{STRICT}\n\nThe statements do not contradict each other.",
        f"{STRICT}\n{{'contradiction': False}}",
        "{'contradiction': True, 'contradiction': False}",
        "{contradiction: yes, reasoning: 'r', contradiction: no}",
        json.dumps([STRICT, OTHER]),
        json.dumps(f"{STRICT} {OTHER}"),
        json.dumps({"results": [STRICT, OTHER]}),
        '{"contradiction": true, "reasoning": "cut off} {"contradiction": false, "reasoning": "s"}',
        f"<think>Hm.</think>{STRICT}<think>No.</think>{OTHER}",
        f'{{"contradiction": true, broken {{}} {OTHER}',
    ],
)
def test_two_verdicts_that_differ_are_none_in_any_spelling(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "{'contradiction': True or False, 'confidence': 0.9}",
        '{"contradiction": true, // or false\n"confidence": 0.9}',
        '{"contradiction": true, /* either true or false */ "confidence": 0.9}',
        "{contradiction: true|false, confidence: 0.0-1.0}",
        "{contradiction: <bool>, confidence: <number>}",
        '{"contradiction": True',
        "{'contradiction': 'yes",
        "{contradiction: true",
        "{'reasoning': 'they contradict each other', 'confidence': 0.9}",
        '{"reasoning": "it says "contradiction": true, I think", "confidence": 0.9}',
        "{'contradiction': None, 'confidence': 0.5}",
        "{contradiction: [true, false]}",
    ],
)
def test_what_might_be_said_is_not_said(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize(
    ("stated", "confidence"),
    [
        ("90%", 0.9),
        ('"90 %"', 0.9),
        ("0,9", 0.9),
        ('"0,9"', 0.9),
        ('"97,5 %"', 0.975),
        (".9", 0.9),
        ('"90 per cent"', 0.9),
        ("NaN", None),
        ("Infinity", None),
        ("nan", None),
        ("None", None),
        ("high", None),
        ('"very sure"', None),
        ("about 90%", None),
        ("", None),
    ],
)
def test_a_confidence_is_a_number_that_is_stated_or_none(stated: str, confidence: float | None) -> None:
    reply = read(f'{{"contradiction": true, "confidence": {stated or chr(34) * 2}, "reasoning": "r"}}')
    assert reply == Reply(True, confidence, "r")


def test_two_confidences_that_differ_are_none() -> None:
    assert read('{"contradiction": true, "confidence": 0.9, "confidence": 0.6}') == Reply(True, None, "")


@pytest.mark.parametrize(
    ("thoughts", "found"),
    [
        (STRICT, STRICT),
        (f"They differ, so the answer is {STRICT}", STRICT),
        (f"They differ.\n```json\n{STRICT}\n```\n", STRICT),
        (f"{STRICT} But is that so? I would say {STRICT}", STRICT),
        ("They contradict each other.", ""),
        (f"First {STRICT}, then {OTHER}", ""),
        (f"Perhaps {STRICT}. But no, they speak of two shops.", ""),
        ("", ""),
    ],
)
def test_of_thoughts_only_the_json_that_they_end_in_counts(thoughts: str, found: str) -> None:
    assert conclusion(thoughts) == found


@pytest.mark.parametrize(
    "unit",
    [
        "`",
        "'",
        "“",
        '"/*',
        "#",
        "{'",
        "{a:",
        "<think>",
        "<think></thought>",
        "[/THINK]",
        "<!--",
        "\n",
        ' "a",',
    ]
    + ['{\\"', "analysisA", "<|channel|>", "<details>", '"a":{', "//", "contradiction: ", ",，"],
)
def test_no_repetition_holds_up_the_run(unit: str) -> None:
    """In a process of its own, since nothing in this one could end it."""
    script = (
        "from benchmarks.judge.reply_reading import *\n"
        "for begin in ('', '{', '{\"contradiction\": true, \"reasoning\": \"', \"{'contradiction': \"):\n"
        f"    try: parse_reply(begin + {unit!r} * {50_000 // len(unit)})\n"
        "    except ReplyError: pass\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=os.environ, check=True, timeout=10)
