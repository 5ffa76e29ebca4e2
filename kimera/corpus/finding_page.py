"""Findings as a page to read: by file, with the words in which two statements differ marked. No script."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from itertools import count

from kimera.corpus.about_scan import About
from kimera.corpus.finding_groups import Group
from kimera.corpus.findings import DUPLICATES, Finding, visible
from kimera.corpus.texts import Context
from kimera.files import Segments, html_page, marked, page_policy, page_style
from kimera.local_names import REACTOR
from kimera.version import __version__

STYLE = """
ol { padding-left: 2.5rem; }
li { max-width: 52rem; margin-bottom: 1.75rem; }
li p { max-width: none; margin-bottom: .2rem; }
.place, .score, .context { font-size: .875rem; color: var(--soft); }
.other { margin: .5rem 0 .75rem; padding-left: .75rem; border-left: 2px solid var(--line); }
"""


def render_html(groups: Sequence[Group], about: About) -> str:
    """Every text is escaped; the policy of the page lets no script run."""
    title = f"{len(groups):,} candidate{'' if len(groups) == 1 else 's'} to read"
    style = page_style() + STYLE
    by_file: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_file[_file_of(group)].append(group)
    numbers = count(1)
    sections = [_section(file, by_file[file], numbers) for file in by_file]
    body = (
        f'<header>\n<p class="maker">Kimera {__version__}</p>\n<h1>{title}</h1>\n{_about(groups, about)}\n'
        f"</header>\n<main>\n{chr(10).join(sections)}\n</main>"
    )
    return html_page(title, style, body, page_policy(style, ""))


def _file_of(group: Group) -> str:
    places = group.first.places1 or group.first.places2
    return places[0].rpartition(":")[0] if places else ""


def _about(groups: Sequence[Group], about: About) -> str:
    pairs = sum(len(group.findings) for group in groups)
    size = f"{about.statements:,} statements ({about.texts:,} distinct)" if about.statements else ""
    files = f"in {about.files:,} file{'' if about.files == 1 else 's'}" if about.files else ""
    told = [
        " ".join(filter(None, [size, files])),
        about.threshold,
        f"{pairs:,} pairs" if pairs > len(groups) else "",
        f"{about.ignored:,} statement{'' if about.ignored == 1 else 's'} ignored by a mark in the text"
        if about.ignored
        else "",
        about.when,
    ]
    same = ", or may say the same" if any(group.first.kind == DUPLICATES for group in groups) else ""
    missing = f'\n<p class="banner"><strong>Not all: {_shown(about.incomplete)}.</strong></p>'
    return (
        f'<p class="about">{_shown("; ".join(filter(None, told)))}</p>\n'
        f"<p>Pairs of statements that may not both be true{same}, by the model or the judge that is named. "
        "No model knows whether two statements speak of the same situation, so read each pair: it may be a "
        "false alarm. Words that only one of two statements has are marked. By file, the most certain first."
        "</p>"
        f"{missing if about.incomplete else ''}"
    )


def _section(file: str, groups: Sequence[Group], numbers: count[int]) -> str:
    items = "\n".join(f'<li value="{next(numbers)}">\n{_item(group)}\n</li>' for group in groups)
    return f"<section>\n<h2>{_shown(file)}</h2>\n<ol>\n{items}\n</ol>\n</section>"


def _item(group: Group) -> str:
    """What several pairs share is shown once, and has no marks: each of the others differs elsewhere."""
    pieces = [marked(finding.text1, finding.text2) for finding in group.findings]
    own = pieces[0][0] if len(pieces) == 1 else [group.first.text1]
    first = group.first
    head = f"{_said(own, first.context1)}\n{_places(first.places1, first.time1)}"
    others = (_other(finding, other) for finding, (_, other) in zip(group.findings, pieces, strict=True))
    return "\n".join([head, *others])


def _other(finding: Finding, other: Segments) -> str:
    lines = [
        f'<p class="score">{escape(finding.says)}</p>',
        _said(other, finding.context2),
        _places(finding.places2, finding.time2),
    ]
    if finding.judge:
        confidence = finding.judge_confidence or 0.0
        reasoning = _shown(finding.reasoning)
        lines.append(f"<p>{_shown(finding.judge)}, confidence {confidence:.2f}: {reasoning}</p>")
    by = "" if finding.detector == REACTOR else f" by {_shown(finding.detector)}"
    lines.append(f'<p class="score">score {finding.score:.3f}{by}</p>')
    return f'<div class="other">\n{chr(10).join(lines)}\n</div>'


def _with_marks(pieces: Segments) -> str:
    return "".join(
        f"<mark>{_shown(piece)}</mark>" if at % 2 else _shown(piece) for at, piece in enumerate(pieces)
    )


def _said(pieces: Segments, context: Context) -> str:
    """A statement below its headings and the statement before it."""
    told = filter(None, [" › ".join(context.headings), context.before])
    greyed = "".join(f'<p class="context">{_shown(text)}</p>\n' for text in told)
    return f"{greyed}<p>{_with_marks(pieces)}</p>"


def _places(places: Sequence[str], time: str) -> str:
    told = ", ".join([*places, *([f"of {time}"] if time else [])])
    return f'<p class="place">{_shown(told)}</p>'


def _shown(text: str) -> str:
    return escape(visible(text))
