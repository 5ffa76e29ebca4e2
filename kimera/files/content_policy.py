"""The policy of a page that stands in one file: nothing runs or loads but its own style and script."""

from __future__ import annotations

import base64
import hashlib


def page_policy(style: str, script: str, *more: str) -> str:
    """A Content-Security-Policy by the hashes of both. more: further directives."""
    allowed = f"style-src '{_hash(style)}'", f"script-src '{_hash(script)}'"
    return "; ".join(("default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'", *more))


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
