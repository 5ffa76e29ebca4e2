"""report.html in a real browser: it opens from disk, runs only its own script, and everyone can use it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from made_runs import GUESSES, HOSTILE, LABELLED, RUNS, judge, reactor, rows_of, run_of
from pages import DESKTOP, INTRUSION, PHONE
from playwright.sync_api import Browser, Page

from benchmarks.report import build_summary, write_report
from benchmarks.report.page import render_page
from benchmarks.report.pair_table import PairTable
from benchmarks.runs.run_result import RunResult
from kimera.pairs import Failure, Pair, Verdict

KINDS = (
    "two detectors",
    "four detectors",
    "eight detectors",
    "one detector, no labels",
    "all failed",
    "one pair",
    "hostile names",
)
BIDI = "abc\u202edef\u2066ghi\u200f"
EVIL = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 1</script>",
    "</style><img src=x onerror='window.ran = 1'>",
    "<!-- <script>",
    "]]> &lt;b&gt; &amp; \\u003cb\\u003e",
    BIDI,
    "one\u2028two\u2029three\u0085four",
    "lone \ud800 surrogate",
    "\x00\x07\x1b[31m",
    "two\nlines\tand a tab",
]
SHOWN = {
    BIDI: "abc\\u202edef\\u2066ghi\\u200f",
    EVIL[6]: "one\\u2028two\\u2029three\\u0085four",
    EVIL[7]: "lone \\ud800 surrogate",
    EVIL[8]: "\\u0000\\u0007\\u001b[31m",
}


class Visit:
    """A page, with what the browser complained of and what it asked for."""

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.blocked: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.blocked.append(f"{request.url}: {request.failure}"))
        page.goto(path.as_uri())

    def ids(self) -> list[str]:
        return self.page.locator(".pairs tbody th").all_inner_texts()

    def count(self) -> str:
        return self.page.locator("[role=status]").inner_text()

    def sort_by(self, column: str) -> None:
        self.page.locator(f".pairs [data-column='{column}'] button").click()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a file, in a context of its own."""
    contexts = []

    def visit(path: Path, viewport: Any = DESKTOP, **options: Any) -> Visit:
        contexts.append(browser.new_context(viewport=viewport, **options))
        return Visit(contexts[-1].new_page(), path)

    yield visit
    for context in contexts:
        context.close()


def written(run: RunResult, folder: Path, rows: Any = None) -> Path:
    write_report(run, rows_of(run) if rows is None else rows, folder, viz=False)
    return folder / "report.html"


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a run of a kind, written once."""
    return functools.cache(lambda kind: written(RUNS[kind](), tmp_path_factory.mktemp("kind")))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a reactor and a judge, who disagree on some pairs and fail on others."""
    run = run_of(LABELLED, reactor(GUESSES), judge(np.where(np.arange(20) % 7 == 3, -1, LABELLED)))
    pairs = [
        Pair(f"Text {i} is red.", f"Text {i} is blue.", f"p{i}", labels(i), ("colour", "size")[i % 2])
        for i in range(20)
    ]
    said = [findings for _, findings in rows_of(run)]
    return written(run, tmp_path_factory.mktemp("two"), zip(pairs, said, strict=True))


def labels(i: int) -> str:
    return "contradiction" if LABELLED[i] else "neutral"


# Opening


@pytest.mark.parametrize("kind", KINDS)
def test_it_opens_without_a_complaint_and_asks_for_nothing_else(
    kind: str, visit: Callable[..., Visit], page_of: Callable[[str], Path]
) -> None:
    path = page_of(kind)
    opened = visit(path)
    assert opened.complaints == []
    assert opened.requests == [path.as_uri()]
    assert opened.page.locator(".decision h3").count() == 4
    assert opened.page.evaluate("window.ran") is None


def test_the_policy_lets_nothing_else_run_or_load(two: Path, visit: Callable[..., Visit]) -> None:
    opened = visit(two)
    opened.page.evaluate(INTRUSION)
    assert opened.page.evaluate("window.ran") is None
    assert opened.blocked == ["https://127.0.0.1:9/x: csp"]
    assert len([each for each in opened.complaints if "Content Security Policy" in each]) == 3


def test_without_javascript_all_but_the_table_of_pairs_is_there(
    two: Path, visit: Callable[..., Visit]
) -> None:
    page = visit(two, java_script_enabled=False).page
    assert "needs JavaScript" in page.locator("#pairs-to-look-at noscript").inner_text()
    assert page.locator("#pair-table").is_hidden()
    assert page.locator("svg").count() >= 3
    assert page.get_by_role("row", name="balanced accuracy").is_visible()


# Who decides


def test_a_simulated_judge_is_called_so_wherever_it_is_named(two: Path, visit: Callable[..., Visit]) -> None:
    told = visit(two).page.locator("body").text_content() or ""
    assert told.count("gpt-4o-mini") == told.count("gpt-4o-mini (simulated)") > 10
    assert "not from a language model" in told


def test_the_decision_answers_with_its_numbers(two: Path, visit: Callable[..., Visit]) -> None:
    told = visit(two).page.locator(".decision").inner_text()
    assert "kimera has 58.8% of 17 labelled pairs right, gpt-4o-mini (simulated) 100.0%" in told
    assert "kimera minus gpt-4o-mini (simulated) is -41.2 points, 95 % interval -64.0 to -15.2, so " in told
    assert "is higher here; McNemar's exact test: p 0.016" in told
    assert "kimera: 0.9 ms a pair of its own time, 400 pairs/s over its whole pass, no fee." in told
    assert "those that kimera is least sure of: a cascade that sends these to gpt-4o-mini (simulated)" in told


def test_a_priced_judge_is_given_its_dollars(visit: Callable[..., Visit], tmp_path: Path) -> None:
    priced = replace(judge(LABELLED, simulated=False), dollars=0.05)
    page = visit(written(run_of(LABELLED, reactor(GUESSES), priced), tmp_path)).page
    assert "$2.50 for 1,000 pairs" in page.locator(".decision").inner_text()
    assert page.locator("figcaption", has_text="Cost and quality").is_visible()


def cascade(sent: float | None) -> dict[str, Any]:
    curve = [
        {"sent": share, "accuracy": 0.5 + share / 2, "f1": 0.5, "mcc": 0.1, "dollars": share * 0.05}
        | {"intervals": {"accuracy": [0.4 + share / 2, min(1.0, 0.6 + share / 2)]}}
        | {"difference": share / 2 - 0.5, "difference_interval": [-0.6, 0.1]}
        for share in (0.0, 0.5, 1.0)
    ]
    found = None if sent is None else {"sent": sent, "dollars": sent * 0.05, "accuracy": 0.75}
    names = {"reactor": "kimera", "judge": "gpt-4o-mini", "pairs": 20, "margin": 0.02, "absent": {}}
    return {**names, "curve": curve, "indistinguishable": found, "not_worse": None}


@pytest.mark.parametrize(
    ("sent", "claim", "support"),
    [
        (
            0.5,
            "50% of the pairs",
            "Accuracy 0.750 (0.650 to 0.850) against 1.000, for $0.025 instead of $0.05",
        ),
        (
            None,
            "More than 50%",
            "more accurate than a cascade in which kimera sends it up to 50% of the pairs",
        ),
    ],
)
def test_a_cascade_says_which_pairs_need_the_judge(
    sent: float | None, claim: str, support: str, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    run = run_of(LABELLED, reactor(GUESSES), replace(judge(LABELLED, simulated=False), dollars=0.05))
    table = PairTable()
    assert len(list(table.watching(rows_of(run)))) == 20
    summary = build_summary(run) | {"cascade": [cascade(sent)]}
    path = tmp_path / "report.html"
    path.write_text(render_page(summary, run, table), encoding="utf-8")
    opened = visit(path)
    told = opened.page.locator(".decision").inner_text()
    assert claim in told
    assert support in told
    drawn = opened.page.get_by_role("img", name="Cascade: kimera, then gpt-4o-mini")
    assert drawn.locator(".band").count() == 1
    assert drawn.locator(".dot.hollow").count() == (sent is not None)
    assert opened.complaints == []


# The table of pairs


def test_a_click_on_a_header_sorts_and_a_second_one_turns_it(two: Path, visit: Callable[..., Visit]) -> None:
    opened = visit(two)
    in_order = opened.ids()
    assert in_order[:3] == ["p2", "p3", "p4"]
    opened.sort_by("id")
    assert opened.ids() == in_order
    assert opened.page.locator("th[aria-sort=ascending]").inner_text().startswith("pair")
    opened.sort_by("id")
    assert opened.ids() == in_order[::-1]
    assert opened.page.locator("th[aria-sort=descending]").count() == 1
    opened.sort_by("1")
    scores = opened.page.locator(".pairs tbody td:nth-child(5)").all_inner_texts()
    values = [re.sub(r"\D*(\d\.\d+)?", r"\1", text, count=1) for text in scores]
    assert values == sorted(values, key=lambda value: value or "9")
    assert "timeout" in scores[-1]


def test_the_keyboard_does_all_that_the_mouse_does(two: Path, visit: Callable[..., Visit]) -> None:
    opened = visit(two)
    page = opened.page
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the decision"
    page.locator("#pairs-search").focus()
    page.keyboard.type("text 1")
    assert {each[:2] for each in opened.ids()} == {"p1"}
    page.keyboard.press("Tab")
    page.keyboard.press("f")  # a select goes to the option that begins so
    assert page.locator("#pairs-kind").input_value() == "f"
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.locator(":focus").evaluate("each => each.closest('th') !== null"):
            break
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("pair")
    assert opened.ids() == ["p17", "p10"]
    page.locator(".texts button").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".texts button").first.get_attribute("aria-expanded") == "true"
    assert "timeout" in page.locator(".reasons").first.inner_text()


def test_filters_and_the_search_narrow_what_is_shown(two: Path, visit: Callable[..., Visit]) -> None:
    opened = visit(two)
    page = opened.page
    everything = opened.ids()
    page.select_option("#pairs-kind", "f")
    assert opened.ids() == ["p3", "p10", "p17"]
    page.select_option("#pairs-detector", label="kimera")
    assert opened.count() == "No pair fits."
    page.select_option("#pairs-kind", "w")
    wrong = [f"p{i}" for i in range(20) if GUESSES[i] != LABELLED[i]]
    assert opened.ids() == wrong
    page.select_option("#pairs-category", label="size")
    assert opened.ids() == [each for each in wrong if int(each[1:]) % 2]
    page.fill("#pairs-search", "TEXT 17 IS B")
    assert opened.ids() == ["p17"]
    page.select_option("#pairs-category", label="colour")
    assert opened.ids() == []
    for name in ("kind", "detector", "category"):
        page.select_option(f"#pairs-{name}", "")
    assert opened.ids() == ["p17"]
    page.fill("#pairs-search", "")
    assert opened.ids() == everything


def test_words_that_differ_are_marked(two: Path, visit: Callable[..., Visit]) -> None:
    marks = visit(two).page.locator(".pairs tbody tr").first.locator("mark")
    assert marks.all_inner_texts() == ["red", "blue"]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 pairs on all of which two detectors disagree."""
    verdicts = np.arange(2_000, dtype=np.int64).astype(np.int8) % 2
    run = run_of(verdicts, reactor(verdicts), judge((1 - verdicts).astype(np.int8)))
    rows = (
        (
            Pair(f"The box with number {i} is red.", f"The box with number {i} is blue.", f"p{i}"),
            [Verdict(bool(i % 2), 0.5 + i / 4_000), Verdict(i % 2 == 0, 0.9, "It says so.")],
        )
        for i in range(2_000)
    )
    return written(run, tmp_path_factory.mktemp("many"), rows)


def test_two_thousand_pairs_are_paged_sorted_and_searched(many: Path, visit: Callable[..., Visit]) -> None:
    opened = visit(many)
    assert opened.count() == "1 to 50 of 2,000 pairs"
    opened.page.get_by_role("button", name="Next").click()
    assert opened.count() == "51 to 100 of 2,000 pairs"
    assert opened.ids()[0] == "p50"
    opened.sort_by("0")
    assert (opened.count(), opened.ids()[0]) == ("1 to 50 of 2,000 pairs", "p1998")
    assert opened.page.get_by_role("button", name="Previous").is_disabled()
    opened.page.fill("#pairs-search", "number 199")
    assert opened.count() == "1 to 11 of 11 pairs"
    assert opened.page.get_by_role("button", name="Next").is_disabled()


# Hostile texts


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every text, id, category, reasoning and name is an attack, or 100 kB long."""
    run = run_of(LABELLED, reactor(GUESSES, EVIL[1]), judge(LABELLED, EVIL[2]), dataset=EVIL[3])
    texts = [*EVIL, "x" * 100_000, "word " * 20_000]
    rows = [
        (Pair(text, f"no {text}", text, "neutral", text), [Verdict(True, 0.9, text), Failure("broken", text)])
        for text in texts
    ]
    return written(run, tmp_path_factory.mktemp("hostile"), rows)


def test_hostile_texts_stay_text(hostile: Path, visit: Callable[..., Visit]) -> None:
    opened = visit(hostile)
    firsts = opened.page.locator(".texts .text:first-child bdi").evaluate_all(
        "all => all.map(each => each.textContent)"
    )
    assert firsts[: len(EVIL)] == [SHOWN.get(text, text) for text in EVIL]
    assert opened.page.evaluate("window.ran") is None
    assert opened.complaints == []
    assert opened.requests == [hostile.as_uri()]
    inside = ".pairs tbody :is(script, style, img, b)"
    assert opened.page.locator(inside).count() == 0


def test_texts_of_100_kb_are_cut_and_the_page_says_so(hostile: Path, visit: Callable[..., Visit]) -> None:
    page = visit(hostile).page
    assert (
        "Texts are cut after 4,000 characters; the whole text is in results.csv."
        in page.locator("#pairs-to-look-at").inner_text()
    )
    long = page.locator(".pairs tbody tr").nth(len(EVIL)).locator(".text bdi").first
    assert long.text_content() == "x" * 4_000 + "… (4,000 of 100,000 characters)"
    row = page.locator(".pairs tbody tr").nth(len(EVIL))
    before = row.bounding_box()
    row.get_by_role("button").click()
    after = row.bounding_box()
    assert before is not None
    assert after is not None
    assert before["height"] < 400 < after["height"]


def test_no_name_reaches_the_page_as_markup(hostile: Path) -> None:
    source = hostile.read_text(encoding="utf-8")
    assert len(re.findall("<script", source)) == 3
    assert len(re.findall("</script", source)) == 3
    assert len(re.findall("</style", source)) == 1
    assert "<!--" not in source
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u2028\u2029\ud800-\udfff]", source)


# For everyone


@pytest.mark.parametrize(("kind", "scheme"), [("two", "light"), ("two", "dark"), ("hostile", "light")])
def test_axe_finds_nothing(
    kind: str, scheme: str, request: pytest.FixtureRequest, visit: Callable[..., Visit]
) -> None:
    page = visit(request.getfixturevalue(kind), color_scheme=scheme).page
    page.locator(".texts button").first.click()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_dark_and_light_follow_the_system(two: Path, visit: Callable[..., Visit]) -> None:
    brightness = "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
    light, dark = (visit(two, color_scheme=scheme).page.evaluate(brightness) for scheme in ("light", "dark"))
    assert dark < 60 < 200 < light


@pytest.mark.parametrize("kind", ["two detectors", "four detectors", "hostile names"])
def test_a_narrow_screen_scrolls_tables_and_not_the_page(
    kind: str, visit: Callable[..., Visit], page_of: Callable[[str], Path]
) -> None:
    page = visit(page_of(kind), viewport=PHONE).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    cards = page.locator(".scroll:has(.pairs)")
    assert cards.evaluate("each => each.scrollWidth <= each.clientWidth"), (
        "nothing of a row is off the screen"
    )


def test_on_a_phone_a_row_says_its_label_and_who_gave_which_verdict(
    two: Path, visit: Callable[..., Visit]
) -> None:
    page = visit(two, viewport={"width": 390, "height": 844}).page
    cells = page.locator(".pairs tbody tr").first.locator("td[data-name]")
    names = ["label", "kimera", "gpt-4o-mini (simulated)", "kind", "category"]
    assert cells.evaluate_all("each => each.map((cell) => cell.dataset.name)") == names
    for place in range(len(names)):
        box = cells.nth(place).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_every_section_is_in_the_navigation(two: Path, visit: Callable[..., Visit]) -> None:
    page = visit(two).page
    headings = page.locator("main > section > h2").all_inner_texts()
    assert page.locator("nav a").all_inner_texts() == headings


def test_of_long_texts_a_row_shows_the_sentences_that_decided(
    visit: Callable[..., Visit], tmp_path: Path
) -> None:
    filler = "Nothing of interest happened on that day. " * 40
    pair = Pair(f"{filler}The gate is open. {filler}", f"{filler}The gate is shut.", "long", "neutral")
    reasoning = (
        "verify: P(contradiction) 0.90; too long to be read at once; weighed, the strongest of 3 pairs of "
        'related sentences: "The gate is open." against "The gate is shut."'
    )
    said = Verdict(True, 0.9, reasoning, score_source="passages")
    rows = [(pair, [said])]
    page = visit(written(run_of(LABELLED[1:2], reactor(LABELLED[:1])), tmp_path, rows)).page
    texts = page.locator(".pairs tbody tr .text")
    shown = [text.inner_text() for text in texts.all() if text.is_visible()]
    assert [" ".join(text.split()) for text in shown] == [
        "1 st text the sentence that decided: … The gate is open. …",
        "2 nd text the sentence that decided: … The gate is shut. …",
    ]
    page.locator(".texts button").click()
    shown = [text.inner_text() for text in texts.all() if text.is_visible()]
    assert [len(text) > 1_000 for text in shown] == [True, True]


def test_print_shows_no_controls_and_whole_tables(two: Path, visit: Callable[..., Visit]) -> None:
    page = visit(two, color_scheme="dark").page
    page.emulate_media(media="print")
    for control in ("nav", ".controls", ".paging", ".skip", ".texts button"):
        assert page.locator(control).first.is_hidden(), control
    assert page.locator(".scroll").first.evaluate("each => getComputedStyle(each).overflowX") == "visible"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_every_plot_has_a_title_and_tells_what_it_shows(two: Path, visit: Callable[..., Visit]) -> None:
    plots = visit(two).page.locator("svg[role=img]")
    assert plots.count() >= 3
    for plot in plots.all():
        assert plot.locator("title").text_content()
        assert "kimera" in (plot.locator("desc").text_content() or "")


# What goes into the page


def test_rows_pass_the_table_one_at_a_time() -> None:
    taken = []

    def rows() -> Iterator[Any]:
        for i in range(3):
            taken.append(i)
            yield Pair(f"{i}", "b", label="contradiction"), [Verdict(False, 0.9)]

    passing = PairTable().watching(rows())
    assert next(passing)[0].text1 == "0"
    assert taken == [0]


def test_pairs_without_trouble_and_pairs_not_asked_stay_out() -> None:
    table = PairTable()
    right, unasked = Verdict(True, 0.9), Failure("not_asked", "the run ended before this pair")
    rows = [(Pair("a", "b", label="contradiction"), [right, each]) for each in (right, unasked, None)]
    assert list(table.watching(rows)) == rows
    assert (table.found, table.rows) == (0, [])


def test_what_the_page_holds_is_bounded() -> None:
    table = PairTable(max_characters=50_000)
    failed = (Pair(f"{HOSTILE} " * 500, "x" * 10_000), [Failure("broken", "y" * 10_000)])
    for _ in table.watching(failed for _ in range(20)):
        pass
    assert table.found == 20
    assert 0 < len(table.rows) < 20
    assert len(table.as_json()) < 70_000
