"""The pictures of a report in docs/: that of the kept run with a real model, photographed in a browser.

python -m benchmarks.perf.report_pictures [FOLDER]    (make pictures)

Needs the dev extra and Debian's chromium.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

RUN = Path(__file__).parents[2] / "docs" / "real-judge" / "everyday"
Theme: TypeAlias = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
WIDTH, HEIGHT = 1100, 1500


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    folder = Path(given[0] if given else "docs/pictures")
    browser = shutil.which("chromium")
    if not browser:
        print("error: no chromium; on Debian: apt-get install chromium", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    for theme in THEMES:
        _photograph(RUN / "report.html", browser, theme, folder / f"report-{theme}.png")
    print(f"pictures in {folder}")
    return 0


def _photograph(page: Path, browser: str, theme: Theme, path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        context = chromium.new_context(color_scheme=theme, viewport={"width": WIDTH, "height": HEIGHT})
        tab = context.new_page()
        tab.goto(page.as_uri())
        tab.screenshot(path=path)
        chromium.close()


if __name__ == "__main__":
    raise SystemExit(main())
