"""The page: one file, which a policy lets run only its own script, and ask only this server."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Page:
    """body: HTML. headers: what a browser must not do with it."""

    body: str
    headers: dict[str, str]


def load_page() -> Page:
    body = (files("kimera.live") / "page.html").read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": _policy(_inside("style", body), _inside("script", body)),
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Page(body, headers)


def _inside(tag: str, body: str) -> str:
    return "".join(re.findall(f"<{tag}>(.*?)</{tag}>", body, re.DOTALL))


def _policy(style: str, script: str) -> str:
    sources = f"style-src '{_hash(style)}'; script-src '{_hash(script)}'; connect-src 'self'; img-src data:"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
