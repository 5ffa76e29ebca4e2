"""The place to label in report.html: what its words and controls are; labelling.js does the rest."""

from __future__ import annotations

from benchmarks.report.html_parts import escape
from benchmarks.report.label_queue import LabelQueue
from benchmarks.stats import DOUBTFUL, NEXT, RANDOM

LABELLING = "Label pairs"
BLOCKS = {
    RANDOM: "drawn at random from those without a label",
    DOUBTFUL: "whose label is probably wrong",
    NEXT: "without a label on which detectors differ or are unsure",
}
KEYS = (
    ("c", "contradiction", "Contradiction"),
    ("n", "not_contradiction", "No contradiction"),
    ("t", "cannot_tell", "Cannot tell"),
    ("s", "skip", "Skip"),
    ("u", "undo", "Undo"),
    ("e", "edit", "Note"),
)


IN_BROWSER = (
    "Labels are kept in this browser and sent nowhere: export them, and\n<code>kimera report DIR --labels "
    "labels.jsonl</code> counts them."
)
FILES = """
<div class="label-files"><button type="button" class="label-export">Export labels.jsonl</button>
<label>Import labels.jsonl<input type="file" id="label-import" accept=".jsonl,.json,.txt"></label></div>"""


def label_section(queue: LabelQueue, written_to: str = "") -> str:
    """Its HTML, empty where there is nothing to label.

    written_to: the file that a server adds labels to; without one the browser keeps them.
    """
    counts = {block: count for block, count in queue.counts().items() if count}
    if not counts:
        return ""
    told = "; ".join(f"{count:,} {BLOCKS[block]}" for block, count in counts.items())
    written = f"Each label is added to <code>{escape(written_to)}</code> the moment it is given."
    kept = written if written_to else IN_BROWSER
    buttons = "".join(
        f'<button type="button" data-act="{name}">{text} <kbd>{key.upper()}</kbd></button>'
        for key, name, text in KEYS
    )
    return f"""<p>This page holds {sum(counts.values()):,} pairs to label, in this order: {told}. Verdicts and
scores of a pair are shown after its label. {kept}</p>
<noscript><p>Labelling needs JavaScript.</p></noscript>
<div id="labelling" hidden>
<p class="label-progress" aria-live="polite"></p>
<div class="label-card" tabindex="0" role="group" aria-label="The pair to label; keys: C contradiction, N no
contradiction, T cannot tell, S skip, U undo, E note"></div>
<div class="label-keys">{buttons}</div>
<div class="label-fields"><label>Note<input id="label-note" maxlength="1000" autocomplete="off"></label>
<label>Your name<input id="label-who" maxlength="200" autocomplete="off"></label></div>
<div class="label-last" aria-live="polite"></div>{"" if written_to else FILES}
<p class="label-told" aria-live="polite"></p>
</div>"""
