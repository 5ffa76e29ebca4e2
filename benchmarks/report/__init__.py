"""What a person sees of a run: a table in the terminal, and the files in its folder."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "build_summary",
    "draw_comparison",
    "print_summary",
    "render_markdown",
    "render_text",
    "write_report",
    "write_results_csv",
]

if TYPE_CHECKING:
    from benchmarks.report.figure import draw_comparison
    from benchmarks.report.markdown import render_markdown
    from benchmarks.report.results_csv import write_results_csv
    from benchmarks.report.run_files import write_report
    from benchmarks.report.summary import build_summary
    from benchmarks.report.text import print_summary, render_text
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "build_summary": "summary",
            "draw_comparison": "figure",
            "print_summary": "text",
            "render_markdown": "markdown",
            "render_text": "text",
            "write_report": "run_files",
            "write_results_csv": "results_csv",
        },
    )
