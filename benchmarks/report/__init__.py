"""What a person sees of a run: a table in the terminal, and the files in its folder."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "CODES",
    "LABELS",
    "LabelFile",
    "LabelQueue",
    "ReportSettings",
    "asked_of",
    "build_summary",
    "draw_comparison",
    "print_summary",
    "read_labels",
    "render_decisions",
    "render_label_page",
    "render_markdown",
    "render_text",
    "require_labels",
    "shown",
    "two_runs_as_markdown",
    "two_runs_as_text",
    "visible",
    "write_changes_csv",
    "write_report",
    "write_results_csv",
]

if TYPE_CHECKING:
    from benchmarks.report.differences import two_runs_as_markdown, two_runs_as_text, write_changes_csv
    from benchmarks.report.label_file import LabelFile
    from benchmarks.report.label_page import render_label_page
    from benchmarks.report.label_queue import LabelQueue, asked_of
    from benchmarks.report.markdown import render_markdown
    from benchmarks.report.pair_table import shown, visible
    from benchmarks.report.people_labels import CODES, read_labels
    from benchmarks.report.picture import draw_comparison
    from benchmarks.report.report_settings import LABELS, ReportSettings, require_labels
    from benchmarks.report.results_csv import write_results_csv
    from benchmarks.report.run_files import write_report
    from benchmarks.report.summary import build_summary
    from benchmarks.report.text import print_summary, render_decisions, render_text
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "differences": ["two_runs_as_markdown", "two_runs_as_text", "write_changes_csv"],
            "label_file": ["LabelFile"],
            "label_page": ["render_label_page"],
            "label_queue": ["LabelQueue", "asked_of"],
            "pair_table": ["shown", "visible"],
            "people_labels": ["CODES", "read_labels"],
            "picture": ["draw_comparison"],
            "markdown": ["render_markdown"],
            "report_settings": ["LABELS", "ReportSettings", "require_labels"],
            "results_csv": ["write_results_csv"],
            "run_files": ["write_report"],
            "summary": ["build_summary"],
            "text": ["print_summary", "render_decisions", "render_text"],
        },
    )
