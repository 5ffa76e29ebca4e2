"""What the tests of pages share: the sizes of screens, and what a page's policy has to stop."""

from __future__ import annotations

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
# Three things that the policy forbids: a picture from elsewhere, a handler in markup, a script of one's own.
INTRUSION = """() => {
    const markup = "<img src='https://127.0.0.1:9/x'><p onclick='ran = 1'>";
    document.body.insertAdjacentHTML("beforeend", markup);
    document.body.lastElementChild.click();
    const script = document.createElement("script");
    script.textContent = "window.ran = 1";
    document.body.append(script);
}"""
