"""The live page in a real browser: statements are typed, contradictions appear, and texts stay texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from live_servers import Served, serving
from pages import DESKTOP, INTRUSION, PHONE
from playwright.sync_api import Browser, Page, expect

from kimera.live.session import ContradictionFinder

CLOSED, OPEN = "The office is closed on Fridays.", "The office opens every day of the week."
TOKEN = "correct-horse-battery"  # noqa: S105 (of the tests)
EVIL = {
    "<script>window.ran = 1</script> is closed on Fridays.": None,
    "<img src=x onerror='window.ran = 1'> is open.": None,
    "]]> &lt;b&gt; &amp; \\u003cb\\u003e": None,
    "abc\u202edef\u2066ghi\u200f": "abc\\u202edef\\u2066ghi\\u200f",
    "one\u2028two\u0007three": "one\\u2028two\\u0007three",
    "word " * 190 + "x" * 40: None,
}


@pytest.fixture(scope="module")
def served(live_finder: ContradictionFinder) -> Iterator[Served]:
    with serving(live_finder) as served:
        yield served


class Visit:
    """The page of a server, with what the browser complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)

    def state(self, statements: list[str]) -> None:
        """Types them, and waits until all are answered."""
        expect(self.page.locator("#send")).to_be_enabled()
        before = self.page.locator("#statements > li").count()
        self.page.locator("#box").fill("\n".join(statements))
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#statements > li")).to_have_count(before + len(statements))
        expect(self.page.locator("#statements .note", has_text="checking")).to_have_count(0)

    def says(self, text: str) -> None:
        expect(self.page.locator("[role=status]")).to_have_text(text)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    contexts = []

    def visit(served: Served, viewport: Any = DESKTOP, **options: Any) -> Visit:
        contexts.append(browser.new_context(viewport=viewport, **options))
        return Visit(contexts[-1].new_page(), served.url)

    yield visit
    for context in contexts:
        context.close()


def test_statements_are_typed_and_a_contradiction_appears_beside_them(
    served: Served, visit: Callable[..., Visit]
) -> None:
    opened = visit(served)
    opened.state([CLOSED])
    opened.says("Statement 1 contradicts no earlier one.")
    opened.state(["My cat sleeps on the sofa.", OPEN])
    opened.says("Statement 3 contradicts 1.")
    [found] = opened.page.locator("#found > li").all()
    assert found.locator(".text").all_inner_texts() == [OPEN, CLOSED]
    assert found.locator(".number").all_inner_texts() == ["3", "1"]
    expect(found.locator(".verdict")).to_contain_text("P(contradiction) 0.")
    newest = opened.page.locator("#statements > li").first
    assert newest.locator(".text").inner_text() == OPEN
    assert newest.locator(".note").inner_text().startswith("contradicts 1 · ")
    assert newest.locator(".note").inner_text().endswith(" ms")
    assert opened.complaints == []


def test_the_keyboard_is_enough(served: Served, visit: Callable[..., Visit]) -> None:
    page = visit(served).page
    expect(page.locator("#box")).to_be_focused()
    page.keyboard.type(CLOSED)
    page.keyboard.press("Tab")
    expect(page.locator("#send")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#statements .note")).to_contain_text(" ms")
    expect(page.locator("#box")).to_be_focused()


def test_hostile_texts_stay_text(served: Served, visit: Callable[..., Visit]) -> None:
    opened = visit(served)
    opened.state(list(EVIL))
    shown = opened.page.locator("#statements .text").evaluate_all("all => all.map(each => each.textContent)")
    assert shown[::-1] == [as_shown or text.strip() for text, as_shown in EVIL.items()]
    assert opened.page.locator("li :is(script, img, b)").count() == 0
    assert opened.page.evaluate("() => window.ran") is None
    assert opened.complaints == []


def test_what_the_server_does_not_take_is_said_beside_the_statement(
    served: Served, visit: Callable[..., Visit]
) -> None:
    opened = visit(served)
    opened.state(["x" * 1_001])
    told = "not checked: the text has 1,001 characters; at most 1,000 are accepted"
    assert opened.page.locator("#statements .note").inner_text() == told


def test_statements_have_the_numbers_that_the_server_gives_them(
    served: Served, visit: Callable[..., Visit]
) -> None:
    opened = visit(served)
    opened.state([CLOSED, "x" * 1_001, OPEN])
    opened.says("Statement 2 contradicts 1.")
    assert opened.page.locator("#statements .number").all_inner_texts() == ["2", "–", "1"]
    assert opened.page.locator("#found .number").all_inner_texts() == ["2", "1"]


def test_a_token_is_asked_for_and_shown_nowhere(
    live_finder: ContradictionFinder, visit: Callable[..., Visit]
) -> None:
    with serving(live_finder, token=TOKEN) as served:
        opened = visit(served)
        opened.says("The server asks for a token.")
        expect(opened.page.locator("#entry")).to_be_hidden()
        for token, told in (("something else", "This token is wrong."), (TOKEN, "Connected.")):
            opened.page.get_by_label("Token").fill(token)
            opened.page.keyboard.press("Enter")
            opened.says(told)
        opened.state([CLOSED])
        assert TOKEN not in opened.page.content()
        assert TOKEN not in opened.page.url


def test_when_the_server_stops_the_page_says_so_and_can_begin_anew(
    live_finder: ContradictionFinder, visit: Callable[..., Visit]
) -> None:
    with serving(live_finder) as served:
        opened = visit(served)
        opened.state([CLOSED])
        served.stop()
        opened.says("The server has stopped.")
    expect(opened.page.locator("#send")).to_be_disabled()
    assert opened.page.locator("#statements > li").count() == 1
    opened.page.get_by_role("button", name="Start a new session").click()
    opened.says("The connection was lost.")
    assert opened.page.locator("#statements > li").count() == 0


def test_the_policy_lets_nothing_else_run_or_load(served: Served, visit: Callable[..., Visit]) -> None:
    opened = visit(served)
    opened.state([CLOSED])
    opened.page.evaluate(INTRUSION)
    assert opened.page.evaluate("() => window.ran") is None
    assert len([each for each in opened.complaints if "Content Security Policy" in each]) == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(scheme: str, served: Served, visit: Callable[..., Visit]) -> None:
    opened = visit(served, color_scheme=scheme, bypass_csp=True)  # axe is a script of its own
    opened.state([CLOSED, OPEN, "x" * 1_001])
    found = Axe().run(opened.page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_a_narrow_screen_needs_no_scrolling_sideways(served: Served, visit: Callable[..., Visit]) -> None:
    opened = visit(served, viewport=PHONE)
    opened.state([CLOSED, OPEN, "x" * 900])
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= 360
