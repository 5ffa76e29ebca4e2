"""A Hugging Face hub on loopback, which has one model."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOBODY = "http://127.0.0.1:9"  # where no hub is


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's API as a download of one model needs."""

    name: str
    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        files = [file for file in sorted(self.folder.rglob("*")) if file.is_file()]
        names = [file.relative_to(self.folder).as_posix() for file in files]
        if path == f"/api/models/{self.name}/revision/main":
            self.answer(json.dumps({"id": self.name, "sha": COMMIT, "siblings": []}).encode())
        elif path == f"/api/models/{self.name}/tree/{COMMIT}":
            sizes = zip(names, files, strict=True)
            tree = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": name}
                for name, file in sizes
            ]
            self.answer(json.dumps(tree).encode())
        elif (name := path.removeprefix(f"/{self.name}/resolve/{COMMIT}/")) in names:
            self.answer((self.folder / name).read_bytes(), ETag=f'"{name}"', **{"X-Repo-Commit": COMMIT})
        else:
            self.answer(b"", 404, **{"X-Error-Code": "RepoNotFound"})

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub_of(name: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(the address of a hub that has this model, by its name OWNER/NAME; the paths that it is asked for)."""
    asked: list[str] = []
    handler = type("HubOfOne", (Hub,), {"name": name, "folder": folder, "asked": asked})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
