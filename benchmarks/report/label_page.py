"""The place to label as a page of its own, whose labels a server on this machine writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report.conclusions import listed
from benchmarks.report.html_parts import escape, section, source
from benchmarks.report.label_queue import LabelQueue
from benchmarks.report.label_section import LABELLING, label_section
from kimera.files import html_page, page_policy, page_style

GIVEN = ("label", "note", "who", "when")


def render_label_page(
    queue: LabelQueue, lines: Mapping[int, Mapping[str, Any]], path: Path, who: str
) -> tuple[str, str]:
    """(HTML, its Content-Security-Policy). lines: of the file, by the place of the pair. who: labels them."""
    style = page_style() + source("page.css", "labelling.css")
    script = source("elements.js", "labelling.js")
    policy = page_policy(style, script, "connect-src 'self'", "frame-ancestors 'none'")
    given = {str(place): {name: str(line.get(name) or "") for name in GIVEN} for place, line in lines.items()}
    title = f"The run of {listed([detector.title for detector in queue.run.detectors])}"
    rows = queue.as_json(served={"who": who, "given": given})
    place = section(LABELLING, label_section(queue, str(path)))[1]
    body = "\n".join(
        (
            f"<header><h1>{escape(title)}</h1></header>\n<main>{place}</main>",
            f'<script id="label-rows" type="application/json">{rows}</script>',
            f"<script>{script}</script>",
        )
    )
    return html_page(escape(LABELLING), style, body), policy
