"""ReplyCache: what was paid for comes back, between processes, after a kill and after damage."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.judge.reply_cache import MAX_BODY_BYTES, PUTS_PER_CHECK, ReplyCache, default_path, reply_key
from benchmarks.llm_compare import main as compare
from kimera.cache.embedding_cache import REPLIES_FILE_NAME
from kimera.errors import UserError

URL = "https://api.openai.com/v1"

WRITER = """
import sys
from benchmarks.judge.reply_cache import ReplyCache, reply_key
with ReplyCache(sys.argv[1]) as cache:
    for number in range(int(sys.argv[3])):
        body = f"{sys.argv[2]} {number}".encode()
        cache.put(reply_key("url", body, 0), body)
        print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / REPLIES_FILE_NAME


def writer(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-c", WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def missing(path: Path, name: str, count: int) -> list[int]:
    """Which of a writer's replies are not there, byte for byte."""
    with ReplyCache(path) as cache:
        bodies = [f"{name} {number}".encode() for number in range(count)]
        return [i for i, body in enumerate(bodies) if cache.get(reply_key("url", body, 0)) != body]


def test_what_was_never_put_is_a_miss(path):
    with ReplyCache(path) as cache:
        assert cache.get(reply_key(URL, b"{}", 0)) is None


def test_a_later_run_finds_what_an_earlier_one_put(path):
    key = reply_key(URL, b"{}", 0)
    with ReplyCache(path) as cache:
        cache.put(key, b"reply")
    with ReplyCache(path) as cache:
        assert cache.get(key) == b"reply"


def test_putting_again_replaces_the_body(path):
    key = reply_key(URL, b"{}", 0)
    with ReplyCache(path) as cache:
        cache.put(key, b"first")
        cache.put(key, b"second")
        assert cache.get(key) == b"second"


def test_a_closed_cache_opens_again(path):
    cache, key = ReplyCache(path), reply_key(URL, b"{}", 0)
    cache.put(key, b"reply")
    cache.close()
    cache.close()
    assert cache.get(key) == b"reply"
    cache.close()


def test_a_body_beyond_the_bound_is_not_kept(path):
    large, largest = reply_key(URL, b"large", 0), reply_key(URL, b"largest", 0)
    with ReplyCache(path) as cache:
        cache.put(large, b"x" * MAX_BODY_BYTES)
        cache.put(largest, b"x" * (MAX_BODY_BYTES + 1))
        assert cache.get(large) == b"x" * MAX_BODY_BYTES
        assert cache.get(largest) is None


def test_address_request_and_sample_each_make_another_key():
    keys = [
        reply_key("https://a/v1", b"body", 0),
        reply_key("https://a/v", b"1body", 0),
        reply_key("https://a/v1", b"body", 1),
        reply_key("https://a/v1", b"other", 0),
        reply_key("https://b/v1", b"body", 0),
    ]
    assert len(set(keys)) == len(keys)


def test_a_key_is_the_same_in_every_process():
    """A changed key would make every reply kept so far unreachable."""
    assert reply_key(URL, b'{"model": "gpt-4o"}', 0).hex() == "3bfeccf4c17e9bb6289c69e50396d9ab"


@settings(deadline=None, max_examples=40)
@given(st.dictionaries(st.tuples(st.text(), st.binary(), st.integers(0, 9)), st.binary(), max_size=8))
def test_any_body_comes_back_under_its_own_key(replies):
    with tempfile.TemporaryDirectory() as folder, ReplyCache(Path(folder, REPLIES_FILE_NAME)) as cache:
        for request, body in replies.items():
            cache.put(reply_key(*request), body)
        assert {request: cache.get(reply_key(*request)) for request in replies} == replies


def test_processes_may_write_at_the_same_time(path):
    """Four writers begin with no file at all; nothing is lost and nobody warns."""
    writers = [writer(path, name, 200) for name in "abcd"]
    for each in writers:
        each.communicate(timeout=60)
    assert [each.returncode for each in writers] == [0, 0, 0, 0]
    assert [missing(path, name, 200) for name in "abcd"] == [[], [], [], []]


def test_an_open_cache_sees_what_another_process_puts(path):
    key = reply_key("url", b"other 0", 0)
    with ReplyCache(path) as cache:
        assert cache.get(key) is None
        writer(path, "other", 1).communicate(timeout=60)
        assert cache.get(key) == b"other 0"


def test_a_process_killed_in_the_middle_loses_nothing_that_it_put(path):
    process = writer(path, "killed", 10**9)
    assert process.stdout is not None
    while int(process.stdout.readline()) < 300:
        pass
    process.send_signal(signal.SIGKILL)
    put = 301 + len(process.stdout.read().splitlines()[:-1])
    process.stdout.close()
    process.wait(timeout=60)
    assert missing(path, "killed", put) == []


@pytest.mark.parametrize("content", [b"this is no database " * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(path, content):
    path.write_bytes(content)
    key = reply_key(URL, b"{}", 0)
    with ReplyCache(path) as cache:
        with pytest.warns(UserWarning, match="damaged"):
            cache.put(key, b"reply")
        assert cache.get(key) == b"reply"
    assert [aside.read_bytes() for aside in path.parent.glob("*.damaged-*")] == [content]


def test_pages_overwritten_in_the_middle_do_not_end_a_run(path):
    keys = [reply_key(URL, str(number).encode(), 0) for number in range(500)]
    with ReplyCache(path) as cache:
        for key in keys:
            cache.put(key, b"x" * 1000)
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with ReplyCache(path) as cache:
        with pytest.warns(UserWarning, match="damaged"):
            assert cache.get(keys[0]) is None
        cache.put(keys[0], b"again")
        assert cache.get(keys[0]) == b"again"


def test_a_damaged_file_that_another_run_has_set_aside_is_left_to_it(path):
    """A run that still has the old file open goes over to the new one instead of renaming that too."""
    keys = [reply_key(URL, str(number).encode(), 0) for number in range(500)]
    with ReplyCache(path) as cache:
        for key in keys:
            cache.put(key, b"x" * 1000)
    with ReplyCache(path) as late:
        assert late.get(keys[0]) == b"x" * 1000
        for suffix in ("-wal", "-shm", ""):
            os.rename(f"{path}{suffix}", f"{path}.aside{suffix}")
        with ReplyCache(path) as early:
            early.put(keys[-1], b"new")
        Path(f"{path}.aside").write_bytes(b"\xff" * Path(f"{path}.aside").stat().st_size)
        assert late.get(keys[-1]) == b"new"
    assert list(path.parent.glob("*.damaged-*")) == []


def test_a_file_of_another_version_is_left_alone_with_a_warning(path):
    with sqlite3.connect(path) as foreign:
        foreign.execute("PRAGMA user_version = 99")
    foreign.close()
    before = path.read_bytes()
    with ReplyCache(path) as cache:
        with pytest.warns(UserWarning, match="its layout is 99"):
            assert cache.get(b"key") is None
        with pytest.warns(UserWarning, match="its layout is 99"):
            cache.put(b"key", b"body")
    assert path.read_bytes() == before


def test_after_a_put_that_failed_the_cache_still_answers(path):
    """A file that refuses to be written, here by a trigger: one warning, no more writing, hits as before."""
    key = reply_key(URL, b"{}", 0)
    with ReplyCache(path) as cache:
        cache.put(key, b"reply")
        with sqlite3.connect(path) as other:
            other.execute(
                "CREATE TRIGGER full BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'it is full'); END"
            )
        other.close()
        with pytest.warns(UserWarning, match="it is full"):
            cache.put(b"second", b"body")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            cache.put(b"third", b"body")
            assert cache.get(key) == b"reply"


def test_a_folder_that_is_a_file_is_the_users_mistake(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="KIMERA_CACHE_DIR"):
        ReplyCache(tmp_path / "file" / REPLIES_FILE_NAME)


def test_the_environment_chooses_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert default_path() == tmp_path / "elsewhere" / REPLIES_FILE_NAME
    with ReplyCache() as cache:
        cache.put(b"key", b"body")
    assert default_path().exists()


def test_it_stays_within_its_size_and_the_oldest_replies_go(path):
    maximum = 2_000_000
    with ReplyCache(path, max_bytes=maximum) as cache:
        keys = [reply_key(URL, str(number).encode(), 0) for number in range(2_000)]
        for key in keys:
            cache.put(key, b"x" * 4_000)
        kept = [cache.get(key) is not None for key in keys]
    assert sum(path.stat().st_size for path in path.parent.iterdir()) < 2 * maximum + PUTS_PER_CHECK * 5_000
    assert kept[-1]
    assert not kept[0]
    assert kept == sorted(kept)  # the oldest went first


def test_a_run_closes_it(path, monkeypatch):
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(path.parent))
    flags = ["--judge-only", "--simulate", "--max-pairs", "4", "--cache-replies", "--no-viz", "--quiet"]
    assert compare([*flags, "--async", "4", "--out", str(path.parent / "run")]) == 0
    left = sorted(each.name for each in path.parent.glob(f"{REPLIES_FILE_NAME}*"))
    assert left == [REPLIES_FILE_NAME]  # SQLite takes its write-ahead log away with the last connection
