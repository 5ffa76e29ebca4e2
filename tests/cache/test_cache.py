"""EmbeddingCache: what is stored comes back, between processes and after damage."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimera.cache.__main__ import main
from kimera.cache.embedding_cache import FILE_NAME, EmbeddingCache
from kimera.cache.put_together import PUT_TOGETHER, without_packages
from kimera.cache.sqlite_files import default_folder
from kimera.errors import UserError

DIMENSION = 4

WRITER = """
import sys
import numpy as np
from kimera.cache.embedding_cache import EmbeddingCache
cache = EmbeddingCache(sys.argv[1])
for start in range(0, 200, 20):
    texts = [f"{sys.argv[2]} {number}" for number in range(start, start + 20)] + ["shared"]
    cache.put_many("encoder", texts, np.full((21, 4), 0.5))
"""


def vectors_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, DIMENSION)).astype(np.float32)


def test_vectors_come_back_bit_for_bit_and_the_rest_is_reported_missing(tmp_path):
    cache, stored = EmbeddingCache(tmp_path), vectors_of(2)
    cache.put_many("encoder", ["one", "two"], stored)
    vectors, found = cache.get_many("encoder", ["two", "unknown", "one"], DIMENSION)
    assert found.tolist() == [True, False, True]
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, [stored[1], np.zeros(DIMENSION), stored[0]])


def test_another_encoder_finds_nothing(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.put_many("encoder", ["text"], vectors_of(1))
    assert not cache.get_many("encoder 2", ["text"], DIMENSION)[1].any()


def test_fingerprint_and_text_do_not_run_together(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.put_many("ab", ["c"], vectors_of(1))
    assert not cache.get_many("a", ["bc"], DIMENSION)[1].any()


def test_more_texts_than_one_query_holds_are_all_found(tmp_path):
    cache, stored = EmbeddingCache(tmp_path), vectors_of(2500)
    texts = [str(number) for number in range(2500)]
    cache.put_many("encoder", texts, stored)
    np.testing.assert_array_equal(cache.get_many("encoder", texts, DIMENSION)[0], stored)


def test_storing_a_text_again_replaces_its_vector(tmp_path):
    cache, stored = EmbeddingCache(tmp_path), vectors_of(2)
    for vector in stored:
        cache.put_many("encoder", ["text"], vector[None])
    np.testing.assert_array_equal(cache.get_many("encoder", ["text"], DIMENSION)[0], stored[1:])


def test_a_vector_of_another_length_counts_as_missing(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.put_many("encoder", ["text"], vectors_of(1))
    assert not cache.get_many("encoder", ["text"], DIMENSION + 1)[1].any()


def test_no_texts_are_no_rows(tmp_path):
    vectors, found = EmbeddingCache(tmp_path).get_many("encoder", [], DIMENSION)
    assert vectors.shape == (0, DIMENSION)
    assert found.shape == (0,)


# Single characters from everything, lone surrogates too: st.text() alone leaves those out.
ANY_TEXT = st.text(st.characters(exclude_categories=())).map(str)


@settings(deadline=None, max_examples=40)
@given(texts=st.lists(ANY_TEXT, unique=True, max_size=8))
def test_any_text_is_a_key_of_its_own(texts):
    with tempfile.TemporaryDirectory() as folder:
        cache, stored = EmbeddingCache(folder), vectors_of(len(texts))
        cache.put_many("encoder", texts, stored)
        np.testing.assert_array_equal(cache.get_many("encoder", texts, DIMENSION)[0], stored)


def test_processes_may_write_at_the_same_time(tmp_path):
    """Four writers begin with no file at all; nothing is lost and nobody warns."""
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, f"writer {number}"]) for number in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    texts = [f"writer {writer} {number}" for writer in range(4) for number in range(200)] + ["shared"]
    assert EmbeddingCache(tmp_path).get_many("encoder", texts, DIMENSION)[1].all()


@pytest.mark.parametrize("content", [b"this is no database " * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path, content):
    cache, stored = EmbeddingCache(tmp_path), vectors_of(1)
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert not cache.get_many("encoder", ["text"], DIMENSION)[1].any()
    cache.put_many("encoder", ["text"], stored)
    np.testing.assert_array_equal(cache.get_many("encoder", ["text"], DIMENSION)[0], stored)
    assert [path.read_bytes() for path in tmp_path.glob("*.damaged-*")] == [content]


def test_a_page_overwritten_in_the_middle_does_not_end_a_run(tmp_path):
    cache = EmbeddingCache(tmp_path)
    texts = [str(number) for number in range(5000)]
    cache.put_many("encoder", texts, vectors_of(5000))
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[16384:] = os.urandom(len(content) - 16384)
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.warns(UserWarning, match="damaged"):
        assert not cache.get_many("encoder", texts, DIMENSION)[1].any()


def test_damage_that_sqlite_cannot_put_into_words_is_damage_too(tmp_path):
    """Its message quotes the name of a table, which here is no UTF-8."""
    cache = EmbeddingCache(tmp_path)
    cache.put_many("encoder", ["one"], vectors_of(1))
    with closing(sqlite3.connect(cache.path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = cache.path.read_bytes()
    assert b"CREATE TABLE" in content
    cache.path.write_bytes(
        content.replace(b"CREATE TABLE", b"CREATX TABLE").replace(b"vectors", b"\xb6ectors")
    )
    with pytest.warns(UserWarning, match="damaged"):
        assert not cache.get_many("encoder", ["one"], DIMENSION)[1].any()
    cache.put_many("encoder", ["one"], vectors_of(1))
    assert cache.count() == 1


def test_a_file_of_another_layout_is_a_warning_and_a_miss(tmp_path):
    with sqlite3.connect(tmp_path / FILE_NAME) as foreign:
        foreign.execute("PRAGMA user_version = 1")
    foreign.close()
    with pytest.warns(UserWarning, match="could not be used"):
        assert not EmbeddingCache(tmp_path).get_many("encoder", ["text"], DIMENSION)[1].any()


def test_a_folder_that_is_a_file_is_the_users_mistake(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as caught:
        EmbeddingCache(tmp_path / "file")
    assert all(way in str(caught.value) for way in ("--cache-dir", "KIMERA_CACHE_DIR", "--no-cache"))
    assert "\n" not in str(caught.value)


def test_the_environment_chooses_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert default_folder() == tmp_path / "elsewhere"
    assert EmbeddingCache().path.parent == tmp_path / "elsewhere"


def test_the_file_stays_near_its_bound_and_the_oldest_go_first(tmp_path):
    maximum = 2_000_000
    cache = EmbeddingCache(tmp_path, max_bytes=maximum)
    vectors = np.ones((200, 384), np.float32)
    for turn in range(20):  # 6 MB in all
        cache.put_many("print", [f"{turn} {number}" for number in range(200)], vectors)
        assert cache.path.stat().st_size < maximum + 200 * 2_000
    _, newest = cache.get_many("print", [f"19 {number}" for number in range(200)], 384)
    _, oldest = cache.get_many("print", [f"0 {number}" for number in range(200)], 384)
    assert newest.all()
    assert not oldest.any()
    assert 600 < cache.count() < 1400


def test_a_lower_bound_makes_the_file_smaller(tmp_path):
    EmbeddingCache(tmp_path).put_many("print", list(map(str, range(1500))), np.ones((1500, 384), np.float32))
    cache = EmbeddingCache(tmp_path, max_bytes=500_000)
    assert cache.path.stat().st_size > 2_000_000
    cache.put_many("print", ["one more"], np.ones((1, 384), np.float32))
    assert cache.path.stat().st_size < 600_000
    assert cache.get_many("print", ["one more", "1499"], 384)[1].all()


@pytest.mark.slow
def test_the_command_tells_what_is_there_and_deletes_it(tmp_path):
    EmbeddingCache(tmp_path).put_many("print", ["one", "two"], np.ones((2, 4), np.float32))
    (tmp_path / "models" / "base").mkdir(parents=True)
    for name in ("encoder.onnx", "base/weights"):
        (tmp_path / "models" / name).write_bytes(b"0" * 500_000)
    (tmp_path / "replies.sqlite3").write_bytes(b"0" * 3_000_000)
    (tmp_path / "mine.txt").write_text("not of the cache")

    def cache(*words):
        command = [sys.executable, "-m", "kimera.cache", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    told = cache("stats", "--cache-dir", tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert "2 entries" in told.stdout
    assert "files of models: 2, 1.0 MB" in told.stdout
    assert "replies of judges: 3.0 MB" in told.stdout
    assert cache("clear", "--only", "models", "--cache-dir", tmp_path).stdout.startswith("deleted: 1.0 MB")
    assert "2 entries" in cache("stats", "--cache-dir", tmp_path).stdout
    (tmp_path / "errors.log").touch()
    assert cache("clear", "--cache-dir", tmp_path).stdout.startswith("deleted: 3.")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert "0 entries" in cache("stats", "--cache-dir", tmp_path).stdout
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert cache("shrink").returncode == 2


@pytest.mark.parametrize("command", ["stats", "clear"])
def test_the_command_refuses_what_is_no_folder_and_touches_nothing(tmp_path, capsys, command):
    file = tmp_path / "file"
    file.write_text("mine")
    for place, fault in ((file, "this is not a folder"), (tmp_path / "absent", "there is no such folder")):
        assert main([command, "--cache-dir", str(place)]) == 2
        told = capsys.readouterr()
        assert told.err.startswith(f"error: {place}: {fault}")
        assert told.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert file.read_text() == "mine"


def test_a_default_folder_that_is_not_there_yet_is_no_error(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KIMERA_CACHE_DIR", str(tmp_path / "later"))
    assert main(["stats"]) == 0
    assert f"folder: {tmp_path / 'later'} (does not exist yet" in capsys.readouterr().out
    assert not (tmp_path / "later").exists()


def test_folders_are_merged_and_what_is_there_stays(tmp_path, capsys):
    for name, texts in (("one", ["a", "b"]), ("two", ["b", "c"]), ("whole", ["c"])):
        EmbeddingCache(tmp_path / name).put_many("encoder", texts, vectors_of(len(texts)))
    before = EmbeddingCache(tmp_path / "whole").get_many("encoder", ["c"], DIMENSION)[0]
    folders = [str(tmp_path / name) for name in ("one", "two")]
    assert main(["merge", *folders, "--cache-dir", str(tmp_path / "whole")]) == 0
    told = capsys.readouterr().out
    assert [line.rpartition(": ")[2] for line in told.splitlines()] == [
        "2 entries added",
        "0 entries added",
        "3 entries",
    ]
    vectors, found = EmbeddingCache(tmp_path / "whole").get_many("encoder", ["a", "b", "c"], DIMENSION)
    assert found.all()
    np.testing.assert_array_equal(vectors, [*vectors_of(2), *before])


def test_a_merge_keeps_within_its_bound_and_says_what_it_dropped(tmp_path, capsys):
    for name in ("one", "two"):
        texts = [f"{name} {number}" for number in range(3000)]
        EmbeddingCache(tmp_path / name).put_many("encoder", texts, np.ones((3000, 384), np.float32))
    one, two = (tmp_path / name for name in ("one", "two"))
    assert (
        main(["merge", str(one), str(two), "--cache-dir", str(tmp_path / "whole"), "--cache-size", "6M"]) == 0
    )
    kept = EmbeddingCache(tmp_path / "whole").count()
    assert 2500 < kept < 4000
    assert f"note: {6000 - kept:,} of the oldest entries were dropped" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ([], "merge: give the folders"),
        (["one", "nowhere"], "nowhere: there is no cache in it (embeddings.sqlite3); nothing was merged"),
        (["one", "damaged"], "damaged/embeddings.sqlite3 could not be merged into"),
        (["one", "other"], "its layout is 7"),
        (["one", "whole"], "whole: this is the cache that the others are merged into"),
    ],
)
def test_what_cannot_be_merged_is_named(tmp_path, monkeypatch, capsys, folders, told):
    monkeypatch.chdir(tmp_path)
    EmbeddingCache("one").put_many("encoder", ["a"], vectors_of(1))
    EmbeddingCache("other").put_many("encoder", ["a"], vectors_of(1))
    EmbeddingCache("whole").put_many("encoder", ["a"], vectors_of(1))
    with closing(sqlite3.connect(tmp_path / "other" / FILE_NAME)) as db:
        db.execute("PRAGMA user_version = 7")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / FILE_NAME).write_bytes(b"no database, whatever it is called" * 100)
    assert main(["merge", *folders, "--cache-dir", "whole"]) == 2
    assert told in capsys.readouterr().err


def test_without_a_command_the_command_alone_is_missing(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert capsys.readouterr().err.endswith("arguments are required: stats|clear|merge\n")


def test_other_commands_take_no_folders_beside(tmp_path, capsys):
    assert main(["clear", str(tmp_path)]) == 2
    assert "clear takes no DIR" in capsys.readouterr().err


def test_a_file_speaks_to_every_command_of_the_cache_and_a_flag_to_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    EmbeddingCache("one").put_many("encoder", ["a"], vectors_of(1))
    (tmp_path / "mine.toml").write_text('[cache]\ncache-dir = "whole"\nfolders = ["one"]\nonly = "models"\n')
    assert main(["merge", "--config", "mine.toml"]) == 0
    assert main(["stats", "--config", "mine.toml"]) == 0
    assert "whole\nvectors and scores: 1 entries" in capsys.readouterr().out
    assert main(["clear", "--config", "mine.toml", "--only", "vectors"]) == 0
    assert "(vectors)" in capsys.readouterr().out
    assert main(["stats", "--config", "mine.toml", "--only", "models"]) == 2
    assert "stats takes no --only" in capsys.readouterr().err


def test_a_model_whose_packages_are_gone_is_not_said_to_come_back_from_them(tmp_path, capsys):
    (tmp_path / "models" / "all-mpnet-base-v2").mkdir(parents=True)
    assert main(["clear", "--cache-dir", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert told.startswith("note: all-mpnet-base-v2 was put together out of packages that are not installed")
    assert main(["clear", "--cache-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""


def test_a_model_whose_packages_are_there_is_put_together_again(tmp_path):
    (tmp_path / "models" / "all-mpnet-base-v2").mkdir(parents=True)
    for name in PUT_TOGETHER["all-mpnet-base-v2"]:
        assert without_packages(tmp_path / "models", [str(tmp_path)]) == ["all-mpnet-base-v2"]
        information = tmp_path / f"{name.replace('-', '_')}-0.0.1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
    assert without_packages(tmp_path / "models", [str(tmp_path)]) == []
