"""How to install an extra into this copy of Kimera: a checkout, or an installed wheel."""

from __future__ import annotations

from pathlib import Path

DISTRIBUTION = "kimera-reactor"  # the packages in it are kimera and benchmarks
ROOT = Path(__file__).resolve().parents[2]


def how_to_install(extra: str) -> str:
    """The command that adds the extra, wherever it is run; in the checkout's own folder the short form."""
    if not _is_checkout():
        return f'pip install "{DISTRIBUTION}[{extra}]"'
    place = "." if Path.cwd() == ROOT else ROOT
    return f'pip install -e "{place}[{extra}]"'


def _is_checkout() -> bool:
    """Whether the packages lie in their source tree. Beside a wheel there may be another's pyproject.toml."""
    project = ROOT / "pyproject.toml"
    return project.is_file() and f'name = "{DISTRIBUTION}"' in project.read_text(encoding="utf-8")
