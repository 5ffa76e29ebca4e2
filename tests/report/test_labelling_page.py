"""report.html as a place to label, in a real browser: by keyboard, blind, kept, exported and imported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_runs import HOSTILE
from pages import DESKTOP
from playwright.sync_api import Browser, Page

from benchmarks import llm_compare
from benchmarks.report import __main__ as report

PAIRS = 200


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a finished run without labels. Ids and texts are attacks."""
    folder = tmp_path_factory.mktemp("labelling")
    pairs = [
        {
            "id": f"<i>p{i}</i>",
            "text1": f"<b>{i}</b> {HOSTILE[:-2]}",
            "text2": "</script><script>window.ran = 1</script>",
        }
        for i in range(PAIRS)
    ]
    written(folder / "pairs.jsonl", pairs)
    written(folder / "scores.jsonl", [{"id": f"<i>p{i}</i>", "score": 0.321} for i in range(PAIRS)])
    flags = ["--local-only", "--local", f"scores:{folder / 'scores.jsonl'}", "--max-pairs", "0", "--no-viz"]
    assert llm_compare.main([str(folder / "pairs.jsonl"), *flags, "--out", str(folder / "run")]) == 0
    return folder / "run" / "report.html"


def written(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


@pytest.fixture
def opened(browser: Browser, page_file: Path) -> Iterator[Callable[[], Page]]:
    """Opens the page anew in the same browser, which keeps what it kept."""
    context = browser.new_context(viewport=DESKTOP)

    def open_page() -> Page:
        for page in context.pages:
            page.close()
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(page_file.as_uri())
        page.locator(".label-card").focus()
        return page

    yield open_page
    context.close()


def progress(page: Page) -> str:
    return page.locator(".label-progress").inner_text()


def violations(page: Page) -> list[tuple[str, str]]:
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]


def exported(page: Page, path: Path) -> list[dict[str, Any]]:
    with page.expect_download() as download:
        page.locator(".label-export").click()
    download.value.save_as(path)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_labels_by_keyboard_are_blind_can_be_undone_and_carry_notes(
    opened: Callable[[], Page], tmp_path: Path
) -> None:
    page = opened()
    assert progress(page) == f"0 of {PAIRS} pairs labelled"
    page.fill("#label-who", "Ana")
    page.locator(".label-card").focus()
    assert "score 0.321" not in page.locator("#label-pairs").inner_text()  # blind
    for key in "cnts":
        page.keyboard.press(key)
    assert progress(page) == f"3 of {PAIRS} pairs labelled"
    page.keyboard.press("u")
    page.keyboard.press("u")
    assert progress(page) == f"2 of {PAIRS} pairs labelled"
    page.keyboard.press("e")
    page.keyboard.type("not sure, but")
    page.keyboard.press("Enter")
    page.keyboard.press("c")
    assert "score 0.321" in page.locator(".label-last").inner_text()
    given = exported(page, tmp_path / "labels.jsonl")
    assert [each["label"] for each in given] == ["contradiction", "not_contradiction", "contradiction"]
    assert [each["note"] for each in given] == ["", "", "not sure, but"]
    assert {(each["who"], each["block"]) for each in given} == {("Ana", "random")}
    assert all(each["id"] == f"<i>p{each['place']}</i>" and 0 < each["probability"] <= 1 for each in given)


def test_two_hundred_labels_outlive_the_page_move_to_another_browser_and_count_and_axe_finds_nothing(
    opened: Callable[[], Page], browser: Browser, page_file: Path, tmp_path: Path
) -> None:
    opened().keyboard.type("cnnt" * 25)
    page = opened()
    assert progress(page) == f"100 of {PAIRS} pairs labelled"
    page.keyboard.type("cnnt" * 25)
    page.get_by_text("Every pair on this page has a label").wait_for()
    given = exported(page, tmp_path / "labels.jsonl")
    assert len({each["place"] for each in given}) == PAIRS

    elsewhere = browser.new_context().new_page()
    elsewhere.goto(page_file.as_uri())
    assert progress(elsewhere) == f"0 of {PAIRS} pairs labelled"
    elsewhere.set_input_files("#label-import", tmp_path / "labels.jsonl")
    elsewhere.get_by_text(f"{PAIRS} labels are read").wait_for()
    assert exported(elsewhere, tmp_path / "again.jsonl") == given
    elsewhere.context.close()

    assert report.main([str(page_file.parent), "--no-viz", "--labels", str(tmp_path / "again.jsonl")]) == 0
    dataset = json.loads((page_file.parent / "summary.json").read_text("utf-8"))["dataset"]
    assert (dataset["labelled"], dataset["contradictions"]) == (150, 50)
    page = opened()
    assert progress(page) == f"{PAIRS} of {PAIRS} pairs labelled"  # the page of the new report goes on
    assert violations(page) == []


def test_texts_stay_texts_and_keys_work_only_there(opened: Callable[[], Page]) -> None:
    page = opened()
    page.keyboard.press("c")
    assert page.evaluate("window.ran") is None
    assert page.locator("#labelling :is(script, b, i)").count() == 0
    page.locator("#label-note").fill("")
    page.keyboard.press("c")
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("c")
    assert progress(page) == f"1 of {PAIRS} pairs labelled"
