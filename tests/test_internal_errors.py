"""The log of Kimera's own errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.internal_errors import LOG, MAX_LOG_BYTES, OLDER_LOG, internal_error


def test_a_full_log_makes_room_and_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path))
    (tmp_path / LOG).write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    internal_error(ValueError("secret-value"), lambda text: text.replace("secret-value", "***"))
    assert (tmp_path / OLDER_LOG).stat().st_size == MAX_LOG_BYTES + 1
    assert "ValueError: ***" in (tmp_path / LOG).read_text(encoding="utf-8")
    assert "secret-value" not in (tmp_path / LOG).read_text(encoding="utf-8")
