"""The log of Kimera's own errors."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.judge.internal_errors import internal_error
from benchmarks.judge.reply_cache import ReplyCache
from benchmarks.judge.transports import HttpReply
from benchmarks.openai_async import AsyncOpenAIClient
from kimera.cache.error_log import LOG, MAX_LOG_BYTES, OLDER_LOG
from kimera.pairs import Failure, Verdict


def test_a_full_log_makes_room_and_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path))
    (tmp_path / LOG).write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    internal_error(ValueError("secret-value"), lambda text: text.replace("secret-value", "***"))
    assert (tmp_path / OLDER_LOG).stat().st_size == MAX_LOG_BYTES + 1
    assert "ValueError: ***" in (tmp_path / LOG).read_text(encoding="utf-8")
    assert "secret-value" not in (tmp_path / LOG).read_text(encoding="utf-8")


def test_without_a_folder_for_caches_the_log_lies_where_nobody_else_can_have_laid_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path / "a file"))
    told = [internal_error(ValueError("oops")).message for _ in range(2)]
    assert told[0] == told[1]
    folder = Path(told[0].partition("its traceback is in ")[2].partition(";")[0]).parent
    assert folder.stat().st_mode & 0o077 == 0
    assert folder.name != "kimera"
    shutil.rmtree(folder)


class _BrokenReplies(ReplyCache):
    """A cache of a user's own that fails."""

    def get(self, key: bytes) -> bytes | None:
        raise RuntimeError("the cache is broken")


def test_an_error_before_anything_is_sent_fails_its_pair_and_keeps_no_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path))

    async def ask() -> list[Verdict | Failure]:
        replies = _BrokenReplies(tmp_path / "replies.sqlite3")
        async with AsyncOpenAIClient(
            base_url="http://127.0.0.1:9/v1", max_concurrent=1, replies=replies
        ) as client:
            async with asyncio.timeout(10):
                return [(await client.judge("It rains.", "It is dry.")).result for _ in range(3)]

    results = asyncio.run(ask())
    assert [result.kind for result in results if isinstance(result, Failure)] == ["internal"] * 3
    assert "the cache is broken" in (tmp_path / LOG).read_text(encoding="utf-8")


class _BrokenList:
    """A transport of a user's own whose list of models fails."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> HttpReply:
        return HttpReply(404, {}, b'{"error": {"message": "no such model", "code": "model_not_found"}}')

    async def get(self, url: str, *_: object) -> HttpReply:
        raise RuntimeError("the list is broken")

    async def aclose(self) -> None:
        pass


def test_an_error_while_models_are_listed_is_logged_and_hides_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path))

    async def ask() -> Verdict | Failure:
        async with AsyncOpenAIClient(base_url="http://127.0.0.1:9/v1", transport=_BrokenList()) as client:
            return (await client.judge("It rains.", "It is dry.")).result

    result = asyncio.run(ask())
    assert isinstance(result, Failure)
    assert result.kind == "unknown_model"
    assert "the list is broken" in (tmp_path / LOG).read_text(encoding="utf-8")
