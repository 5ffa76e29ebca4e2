"""Files that appear whole or not at all; what is no file is written to as it stands."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from kimera.files import write_text


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    real, link = tmp_path / "kept" / "out.txt", tmp_path / "link.txt"
    real.write_text("before")
    link.symlink_to(real)
    write_text(link, "after")
    assert link.is_symlink()
    assert real.read_text() == "after"
    write_text(real, "again")
    assert [path.name for path in real.parent.iterdir()] == ["out.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "one line\n")
    reader.join(timeout=30)
    assert read == ["one line\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_dev_null_stays_a_device() -> None:
    if not stat.S_ISCHR(os.stat(os.devnull).st_mode):
        pytest.skip("there is no such device here")
    write_text(Path(os.devnull), "nothing")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
