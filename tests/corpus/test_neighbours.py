"""The nearest vectors: exact where there are few, by a graph where there are many, kept between scans."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kimera.cache import NEIGHBOURS
from kimera.corpus.exact_neighbours import SAMPLED, for_each_block, highest, sampled_columns
from kimera.corpus.kept_neighbours import MAX_TABLES, MIN_TEXTS, KeptNeighbours, Table, mended
from kimera.corpus.neighbours import ROWS_PER_BLOCK, Neighbours, nearest, nearest_by_graph

ROOT = Path(__file__).parents[2]


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_neighbours_by_a_graph_are_nearly_always_the_nearest_others_in_order() -> None:
    vectors = unit_vectors(600)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    exact = np.argsort(-cosines, axis=1)[:, :8]
    found = nearest_by_graph(vectors, 8).rows
    assert (found != np.arange(len(vectors))[:, None]).all()
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]) > 7.8


@pytest.mark.parametrize("count", [10, 600, 5000])
def test_the_neighbours_of_few_vectors_are_exact(count: int) -> None:
    vectors = unit_vectors(count)
    told: list[int] = []
    found, expected = nearest(vectors, 8, on_progress=told.append), exact(vectors, 8)
    assert np.allclose(found.cosines, expected.cosines, atol=1e-6)
    assert (found.rows == expected.rows).mean() > 0.999  # two may be as near
    assert sum(told) == 2 * count


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_few_vectors_have_few_neighbours(count: int) -> None:
    for seek in (nearest, nearest_by_graph):
        found = seek(unit_vectors(count), 5).rows
        assert found.shape == (count, 5)
        assert ((found >= 0).sum(axis=1) == min(count - 1, 5)).all()


@pytest.mark.slow
def test_the_same_vectors_give_the_same_neighbours() -> None:
    vectors = unit_vectors(ROWS_PER_BLOCK + 200)
    assert (nearest_by_graph(vectors, 5).rows == nearest_by_graph(vectors, 5).rows).all()
    assert (nearest(vectors, 5).rows == nearest(vectors, 5).rows).all()


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("search", ["nearest", "nearest_by_graph"])
def test_ctrl_c_while_neighbours_are_found_is_a_keyboard_interrupt(delay_s: float, search: str) -> None:
    """In a process of its own; whether the graph is just built or asked depends on the machine."""
    code = (
        f"import numpy as np\nfrom kimera.corpus.neighbours import {search} as nearest\n"
        "vectors = np.random.default_rng(0).normal(size=(4096, 64)).astype(np.float32)\n"
        "nearest(vectors[:1000], 3)\nprint(flush=True)\nwhile True:\n    nearest(vectors, 30)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert told.rstrip().endswith("KeyboardInterrupt")


def test_finding_neighbours_loads_nothing_that_torch_would_hang_beside() -> None:
    nearest_by_graph(unit_vectors(600), 2)
    assert "usearch" not in sys.modules


def exact(vectors: np.ndarray, count: int) -> Neighbours:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :count].astype(np.int32)
    return Neighbours(order, np.take_along_axis(cosines, order, axis=1))


def shared(one: np.ndarray, other: np.ndarray) -> float:
    """The share of neighbours that both have in common, in whatever order."""
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(one, other, strict=True)]))


def keys_of(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.uint64) * np.uint64(2_654_435_761)


@pytest.mark.parametrize("seed", range(6))
def test_a_table_of_a_corpus_that_changed_is_that_of_an_exact_search(seed: int) -> None:
    """Texts go, come and change their places."""
    rng = np.random.default_rng(seed)
    vectors = unit_vectors(600, 8, seed)
    before = rng.permutation(560)
    after = rng.permutation(np.concatenate([before[15:], rng.choice(np.arange(560, 600), 12, replace=False)]))
    known = Table(keys_of(before), exact(vectors[before], 12))
    table = mended(known, keys_of(after), vectors[after], 8)
    assert table is not None
    found, expected = table.neighbours.first(8), exact(vectors[after], 8)
    assert np.allclose(found.cosines, expected.cosines, atol=1e-6)
    assert (found.rows == expected.rows).mean() > 0.999  # two may be as near


def test_a_table_mended_again_and_again_stays_right() -> None:
    rng = np.random.default_rng(7)
    vectors = unit_vectors(1200, 8)
    rows = np.arange(600)
    table = Table(keys_of(rows), exact(vectors[rows], 12))
    for begin in range(600, 1200, 6):
        rows = np.concatenate([rng.permutation(rows)[6:], np.arange(begin, begin + 6)])
        changed = mended(table, keys_of(rows), vectors[rows], 8)
        assert changed is not None
        table = changed
    assert np.allclose(table.neighbours.first(8).cosines, exact(vectors[rows], 8).cosines, atol=1e-6)


def test_what_a_table_knows_too_little_of_is_sought_anew() -> None:
    vectors = unit_vectors(600, 8)
    rows = np.arange(500)
    known = Table(keys_of(rows), exact(vectors[rows], 12))
    assert mended(known, keys_of(rows + 100), vectors[100:], 8) is None
    assert mended(known, keys_of(rows), vectors[rows], 8) is known


def test_with_as_many_neighbours_as_texts_nothing_is_mended() -> None:
    vectors = unit_vectors(601, 8)
    rows = np.arange(600)
    known = Table(keys_of(rows), exact(vectors[rows], 599))
    assert mended(known, keys_of(rows + 1), vectors[1:], 5) is not None
    known = Table(keys_of(rows), Neighbours.none(600, 600))
    assert mended(known, keys_of(rows + 1), vectors[1:], 0) is None


def corpus_of(rows: range) -> tuple[list[str], np.ndarray]:
    vectors = unit_vectors(3000, 16)
    return [f"text {row}" for row in rows], vectors[rows.start : rows.stop]


def tables(folder: Path) -> set[Path]:
    return set((folder / NEIGHBOURS).iterdir())


@pytest.mark.slow
def test_neighbours_are_kept_between_scans_by_what_texts_say(tmp_path: Path) -> None:
    kept = KeptNeighbours(tmp_path, "encoder 1")
    texts, vectors = corpus_of(range(MIN_TEXTS))
    told: list[int] = []
    first = kept.nearest(texts, vectors, 6, on_progress=told.append).rows
    (table,) = tables(tmp_path)
    written = table.stat().st_ino
    assert (kept.nearest(texts, vectors, 6, on_progress=told.append).rows == first).all()
    assert table.stat().st_ino == written  # it was read, and not made again
    back = kept.nearest(texts[::-1], vectors[::-1], 6, on_progress=told.append).rows[::-1]
    assert shared(len(texts) - 1 - back, first) == 1
    more, more_vectors = corpus_of(range(20, MIN_TEXTS + 20))
    found = kept.nearest(more, more_vectors, 6, on_progress=told.append)
    assert shared(found.rows, exact(more_vectors, 6).rows) > 0.99
    assert sum(told) == 4 * 2 * MIN_TEXTS
    assert len(tables(tmp_path)) == 3  # that of the texts turned round, and of those that came


@pytest.mark.slow
def test_a_part_of_a_corpus_leaves_the_table_of_the_whole_one(tmp_path: Path) -> None:
    kept = KeptNeighbours(tmp_path, "encoder 1")
    texts, vectors = corpus_of(range(2400))
    kept.nearest(texts, vectors, 6)
    (whole,) = tables(tmp_path)
    first = kept.nearest(texts[:MIN_TEXTS], vectors[:MIN_TEXTS], 6).rows
    (part,) = tables(tmp_path) - {whole}
    written = part.stat().st_ino
    assert (kept.nearest(texts[:MIN_TEXTS], vectors[:MIN_TEXTS], 6).rows == first).all()
    assert part.stat().st_ino == written  # though the whole one knows these texts too


def turned_bit(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def with_cosines_of_nine(content: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as kept:
        return npz(keys=kept["keys"], rows=kept["rows"], cosines=np.full_like(kept["cosines"], 9))


def with_one_row(content: bytes) -> bytes:
    with np.load(io.BytesIO(content)) as kept:
        return npz(keys=kept["keys"], rows=np.int32(1), cosines=kept["cosines"])


def as_npy(_: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:1000],
        lambda content: turned_bit(content, content.rindex(b"PK\x01\x02") + 10),  # the method of compression
        lambda content: b"",
        as_npy,
        with_one_row,
        with_cosines_of_nine,
    ],
)
def test_a_damaged_table_is_deleted_and_all_is_sought(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    texts, vectors = corpus_of(range(MIN_TEXTS))
    KeptNeighbours(tmp_path, "encoder 1").nearest(texts, vectors, 6)
    (table,) = tables(tmp_path)
    whole = table.read_bytes()
    table.write_bytes(damage(whole))
    with pytest.warns(UserWarning, match=r"is damaged .*neighbours are sought anew"):
        found = KeptNeighbours(tmp_path, "encoder 1").nearest(texts, vectors, 6)
    assert shared(found.rows, exact(vectors, 6).rows) > 0.99
    assert table.read_bytes() == whole


@pytest.mark.slow
def test_a_table_of_another_encoder_is_not_taken_and_a_folder_of_its_name_hurts_nobody(
    tmp_path: Path,
) -> None:
    texts, vectors = corpus_of(range(MIN_TEXTS))
    KeptNeighbours(tmp_path, "encoder 1").nearest(texts, vectors, 6)
    (before,) = tables(tmp_path)
    mark = before.name.partition("-")[0]
    (before.parent / f"{mark}-folder.npz").mkdir()
    found = KeptNeighbours(tmp_path, "encoder 2").nearest(texts, -vectors[::-1], 6)
    assert shared(found.rows, exact(-vectors[::-1], 6).rows) > 0.99
    with pytest.warns(UserWarning, match="cannot be read"):
        KeptNeighbours(tmp_path, "encoder 1").nearest(texts, vectors, 6)
    assert before.exists()


@pytest.mark.slow
def test_the_tables_that_were_not_used_for_longest_make_room(tmp_path: Path) -> None:
    kept = KeptNeighbours(tmp_path, "encoder 1")
    texts, vectors = corpus_of(range(MIN_TEXTS))
    kept.nearest(texts, vectors, 6)
    (mine,) = tables(tmp_path)
    os.utime(mine, (0, 0))
    kept.nearest(texts, vectors, 6)  # used, so it is the youngest again
    for number in range(MAX_TABLES):
        old = mine.parent / f"0-{number}.npz"
        old.write_bytes(b"old")
        os.utime(old, (1000 + number, 1000 + number))
    left = mine.parent / ".killed.part"
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    others, other_vectors = corpus_of(range(500, MIN_TEXTS + 500))
    kept.nearest(others, other_vectors, 6)
    names = {path.name for path in tables(tmp_path)}
    assert len(names) == MAX_TABLES
    assert mine.name in names
    assert not names & {"0-0.npz", "0-1.npz", left.name}


def test_of_statements_in_few_forms_few_columns_are_sorted() -> None:
    """However evenly they stand: the columns that bound the highest are drawn at random."""
    forms = unit_vectors(8, 32)
    vectors = np.tile(forms, (512, 1)) + 0.05 * unit_vectors(4096, 32, seed=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors[:64] @ vectors.T
    columns, values = highest(cosines, 16)
    assert np.allclose(values, -np.sort(-cosines, axis=1)[:, :16])
    assert np.allclose(np.take_along_axis(cosines, columns, axis=1), values)
    sample = cosines[:, sampled_columns(4096, 16 * SAMPLED)]
    least = np.sort(sample, axis=1)[:, -16]
    assert (cosines >= least[:, None]).sum(axis=1).max() < 4096 / 8


def test_a_vector_that_is_no_number_is_far_from_all() -> None:
    vectors = unit_vectors(50)
    vectors[7] = np.nan
    found = nearest(vectors, 5)
    assert np.isfinite(found.cosines).all()
    assert (found.cosines[7] == 0).all()
    others = exact(np.delete(vectors, 7, axis=0), 5)
    assert np.allclose(np.delete(found.cosines, 7, axis=0)[:, 0], others.cosines[:, 0])


def test_an_error_in_one_thread_ends_the_others() -> None:
    seen = []

    def seek(block: np.ndarray, near: np.ndarray) -> None:
        seen.append(len(block))
        raise ValueError("no")

    vectors = unit_vectors(8192)
    with pytest.raises(ValueError, match="no"):
        for_each_block(vectors, np.arange(8192), seek)
    assert sum(seen) < 8192
