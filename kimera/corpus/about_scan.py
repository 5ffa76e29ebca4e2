"""What a list of findings says of the scan that made it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """incomplete: what the scan has not looked at, "" where it is whole.

    statements: of the corpus, of which `texts` are distinct; files: that it was read from; 0 where not known.
    ignored: statements that a mark in the text keeps out. threshold: what makes a pair a finding, in words.
    when: in ISO 8601.
    """

    incomplete: str = ""
    statements: int = 0
    texts: int = 0
    files: int = 0
    ignored: int = 0
    threshold: str = ""
    when: str = ""
