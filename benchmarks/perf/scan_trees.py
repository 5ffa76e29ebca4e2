"""Corpora for scans: documentation in Debian packages, and tables of facts.

python -m benchmarks.perf.scan_trees --trees FOLDER     # fetches what the shipped scores are fitted on

The packages are fetched by apt, in the versions named here (https://snapshot.debian.org keeps them), and
unpacked by dpkg-deb. What is read of them are the reStructuredText and Markdown sources that Sphinx keeps
beside its pages, without lists of changes, releases and licences.
"""

from __future__ import annotations

import argparse
import html.entities
import mimetypes
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from kimera.corpus.statements import read_statements
from kimera.corpus.texts import Statement

LEFT_OUT = ("change", "release", "history", "news", "whatsnew", "license", "contributors", "authors")
MAX_FACTS = 1000
Purpose = Literal["fit", "measure"]


@dataclass(frozen=True, slots=True)
class Tree:
    """A package of documentation. use: whether the weights are fitted on it, or it is only measured."""

    package: str
    version: str
    licence: str
    use: Purpose


TREES = (
    Tree("python-jinja2-doc", "3.1.2-1+deb12u3", "BSD-3-Clause", "fit"),
    Tree("python-attr-doc", "22.2.0-1", "MIT", "fit"),
    Tree("python-requests-doc", "2.28.1+dfsg-1", "Apache-2.0", "fit"),
    Tree("python-structlog-doc", "22.3.0-2", "Apache-2.0 or MIT", "fit"),
    Tree("supervisor-doc", "4.2.5-1", "BSD-derived (Repoze)", "fit"),
    Tree("python-bottle-doc", "0.12.23-1.1", "MIT", "fit"),
    Tree("python-werkzeug-doc", "2.2.2-3+deb12u1", "BSD-3-Clause", "fit"),
    Tree("python-certbot-doc", "2.1.0-4", "Apache-2.0", "measure"),
    Tree("python-click-doc", "8.1.3-2", "BSD-3-Clause", "measure"),
    Tree("python-coverage-doc", "6.5.0+dfsg1-2", "Apache-2.0", "measure"),
    Tree("python-hypothesis-doc", "6.67.1-1", "MPL-2.0", "measure"),
    Tree("ocrmypdf-doc", "14.0.1+dfsg1-1", "CC BY-SA 4.0", "measure"),
    Tree("pelican-doc", "4.8.0+dfsg-1", "AGPL-3.0", "measure"),
)
_CAPITAL = re.compile(r"^([A-Z]+) CAPITAL LETTER ([A-Z]{3,}(?: WITH [A-Z]+)?)$")
TABLES: dict[str, Purpose] = {
    "media types": "fit",
    "entities": "fit",
    "letters": "fit",
    "constants": "measure",
    "prices": "measure",
}


def statements_of(name: str, folder: Path) -> list[Statement]:
    """Of a tree, by its package, or of a table; fetched into the folder where it is not there yet."""
    if name in TABLES:
        made_by = {
            "media types": _media_types,
            "entities": _entities,
            "letters": _letters,
            "constants": _constants,
            "prices": _prices,
        }
        facts = islice(dict.fromkeys(made_by[name]()), MAX_FACTS)
        return [Statement(fact, name, line) for line, fact in enumerate(facts, 1)]
    tree = next(tree for tree in TREES if tree.package == name)
    sources = folder / f"{tree.package}_{tree.version}"
    if not sources.exists():
        _fetch(tree, sources)
    return [
        replace(each, file=str(path.relative_to(sources)))
        for path in sorted(sources.rglob("*"))
        if path.is_file()
        for each in read_statements(str(path))
    ]


def _fetch(tree: Tree, sources: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        command = ["apt-get", "download", "-q", f"{tree.package}={tree.version}"]
        subprocess.run(command, cwd=temporary, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (ours)
        [package] = Path(temporary).glob("*.deb")
        unpacked = Path(temporary) / "unpacked"
        subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True)  # noqa: S603, S607 (ours)
        for path in sorted(unpacked.rglob("_sources/**/*.txt")):
            if path.is_symlink():
                continue
            inside = "/".join(path.parts[path.parts.index("_sources") + 1 :]).removesuffix(".txt")
            if not any(word in inside.lower() for word in LEFT_OUT):
                target = sources / (inside if inside.endswith((".rst", ".md")) else f"{inside}.rst")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


def _media_types() -> Iterator[str]:
    for ending, kind in sorted(mimetypes.MimeTypes().types_map[True].items()):
        yield f"Files that end in {ending} are of the media type {kind}."


def _entities() -> Iterator[str]:
    for code, name in sorted(html.entities.codepoint2name.items()):
        yield f"The entity {name} is the character of the code point {code}."


def _letters() -> Iterator[str]:
    """Of Unicode, those with two cases: rows that differ in one of two opposites, and often in that alone."""
    for upper in map(chr, range(sys.maxunicode)):
        lower = upper.lower()
        if lower != upper and len(lower) == 1 and (found := _CAPITAL.search(unicodedata.name(upper, ""))):
            for case, letter in (("uppercase", upper), ("lowercase", lower)):
                yield f"The {case} form of {found[1]} {found[2]} takes {len(letter.encode())} bytes in UTF-8."


def _constants() -> Iterator[str]:
    """Of CODATA, as scipy has them (in the public domain)."""
    from scipy.constants import physical_constants

    for name, (value, unit, _) in sorted(physical_constants.items()):
        yield f"The {name} is {value:g} {unit}".rstrip() + "."


def _prices() -> Iterator[str]:
    """Of language models, as genai-prices has them (MIT)."""
    from genai_prices.data import providers

    for provider in providers:
        for model in provider.models:
            prices = model.prices if not isinstance(model.prices, list) else model.prices[-1].prices
            for side, price in (("input", prices.input_mtok), ("output", prices.output_mtok)):
                if isinstance(price, int | float) or hasattr(price, "as_tuple"):
                    yield f"{provider.name} charges {price} dollars per million {side} tokens of {model.id}."


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trees", type=Path, required=True, metavar="FOLDER")
    folder = parser.parse_args(arguments).trees
    for tree in (tree for tree in TREES if tree.use == "fit"):
        statements_of(tree.package, folder)
        print(folder / f"{tree.package}_{tree.version}")
    for name in (name for name, use in TABLES.items() if use == "fit"):
        path = folder / f"{name}.txt"
        path.write_text("\n\n".join(statement.text for statement in statements_of(name, folder)) + "\n")
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
