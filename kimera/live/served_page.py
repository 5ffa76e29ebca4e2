"""The page: one file, which a policy lets run only its own script, and ask only this server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files

from kimera.files import page_policy

BESIDE_OWN = ("connect-src 'self'", "img-src data:", "frame-ancestors 'none'")


@dataclass(frozen=True, slots=True)
class Page:
    """body: HTML. headers: what a browser must not do with it."""

    body: str
    headers: dict[str, str]


def load_page() -> Page:
    body = (files("kimera.live") / "page.html").read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": page_policy(_inside("style", body), _inside("script", body), *BESIDE_OWN),
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Page(body, headers)


def _inside(tag: str, body: str) -> str:
    return "".join(re.findall(f"<{tag}>(.*?)</{tag}>", body, re.DOTALL))
