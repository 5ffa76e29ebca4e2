"""The event loop is that which is asked for, or uvloop where installed; orjson reads as json does."""

from __future__ import annotations

import importlib.util
import json
import math

import pytest

from benchmarks.fast_json import read_json
from benchmarks.judge.event_loops import event_loop


def test_the_loop_is_uvloops_where_it_is_installed_unless_another_is_asked_for() -> None:
    assert event_loop("asyncio") == ("asyncio", None)
    name, make = event_loop("auto")
    assert name == ("uvloop" if importlib.util.find_spec("uvloop") else "asyncio")
    if make:
        loop = make()
        assert type(loop).__module__.startswith("uvloop")
        loop.close()


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": [2.5, null]}',
        '"line\nbreak"',
        '"\\ud800"',
        "[1e400, -0]",
        str(2**64 - 1),
        "\u00e9",
        "",
        "{",
    ],
)
def test_json_is_read_as_pythons_own_reads_it(text: str) -> None:
    own = json.JSONDecoder(strict=False)
    try:
        expected = own.decode(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011
            read_json(text)
    else:
        assert read_json(text) == expected
    assert math.isnan(read_json("NaN"))
