"""What a person sees of a run: a table in the terminal, and the files in its folder."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "ReportSettings",
    "build_summary",
    "draw_comparison",
    "print_summary",
    "render_markdown",
    "render_text",
    "two_runs_as_markdown",
    "two_runs_as_text",
    "write_changes_csv",
    "write_report",
    "write_results_csv",
]

if TYPE_CHECKING:
    from benchmarks.report.differences import two_runs_as_markdown, two_runs_as_text, write_changes_csv
    from benchmarks.report.markdown import render_markdown
    from benchmarks.report.picture import draw_comparison
    from benchmarks.report.report_settings import ReportSettings
    from benchmarks.report.results_csv import write_results_csv
    from benchmarks.report.run_files import write_report
    from benchmarks.report.summary import build_summary
    from benchmarks.report.text import print_summary, render_text
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "differences": ["two_runs_as_markdown", "two_runs_as_text", "write_changes_csv"],
            "picture": ["draw_comparison"],
            "markdown": ["render_markdown"],
            "report_settings": ["ReportSettings"],
            "results_csv": ["write_results_csv"],
            "run_files": ["write_report"],
            "summary": ["build_summary"],
            "text": ["print_summary", "render_text"],
        },
    )
