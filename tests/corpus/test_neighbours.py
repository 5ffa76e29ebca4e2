"""The nearest vectors: exact where there are few, by a graph where there are many, kept between scans."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kimera.cache import NEIGHBOURS
from kimera.corpus.kept_neighbours import MAX_TABLES, MIN_TEXTS, KeptNeighbours, Table, mended
from kimera.corpus.neighbours import EXACT_ROWS, ROWS_PER_BLOCK, Neighbours, nearest

ROOT = Path(__file__).parents[2]


def unit_vectors(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_neighbours_are_the_nearest_others_in_order() -> None:
    vectors = unit_vectors(EXACT_ROWS + 100)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    exact = np.argsort(-cosines, axis=1)[:, :8]
    found = nearest(vectors, 8).rows
    assert (found != np.arange(len(vectors))[:, None]).all()
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]) > 7.8


def test_the_neighbours_of_few_vectors_are_exact() -> None:
    vectors = unit_vectors(EXACT_ROWS)
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(cosines, -2)
    assert (nearest(vectors, 8).rows == np.argsort(-cosines, axis=1)[:, :8]).all()


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_few_vectors_have_few_neighbours(count: int) -> None:
    found = nearest(unit_vectors(count), 5).rows
    assert found.shape == (count, 5)
    assert ((found >= 0).sum(axis=1) == min(count - 1, 5)).all()


@pytest.mark.slow
def test_the_same_vectors_give_the_same_neighbours() -> None:
    vectors = unit_vectors(ROWS_PER_BLOCK + 200)
    assert (nearest(vectors, 5).rows == nearest(vectors, 5).rows).all()


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.15, 0.3])
def test_ctrl_c_while_neighbours_are_found_is_a_keyboard_interrupt(delay_s: float) -> None:
    """In a process of its own; whether the graph is just built or asked depends on the machine."""
    code = (
        "import numpy as np\nfrom kimera.corpus.neighbours import nearest\n"
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
    nearest(unit_vectors(EXACT_ROWS + 1), 2)
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


def corpus_of(rows: range) -> tuple[list[str], np.ndarray]:
    vectors = unit_vectors(3000, 16)
    return [f"text {row}" for row in rows], vectors[rows.start : rows.stop]


@pytest.mark.slow
def test_neighbours_are_kept_between_scans_by_what_texts_say(tmp_path: Path) -> None:
    kept = KeptNeighbours(tmp_path, "encoder 1")
    texts, vectors = corpus_of(range(MIN_TEXTS))
    first = kept.nearest(texts, vectors, 6).rows
    assert (kept.nearest(texts, vectors, 6).rows == first).all()
    back = kept.nearest(texts[::-1], vectors[::-1], 6).rows[::-1]
    assert shared(len(texts) - 1 - back, first) == 1
    more, more_vectors = corpus_of(range(20, MIN_TEXTS + 20))
    found = kept.nearest(more, more_vectors, 6)
    assert shared(found.rows, exact(more_vectors, 6).rows) > 0.99
    assert len(list((tmp_path / NEIGHBOURS).iterdir())) == 1  # the newer one took the place of the older


@pytest.mark.slow
def test_a_table_of_another_encoder_and_a_damaged_one_are_not_taken(tmp_path: Path) -> None:
    texts, vectors = corpus_of(range(MIN_TEXTS))
    KeptNeighbours(tmp_path, "encoder 1").nearest(texts, vectors, 6)
    (before,) = (tmp_path / NEIGHBOURS).iterdir()
    KeptNeighbours(tmp_path, "encoder 2").nearest(texts, -vectors, 6)
    (other,) = set((tmp_path / NEIGHBOURS).iterdir()) - {before}
    other.write_bytes(other.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"cannot be read .* sought anew"):
        found = KeptNeighbours(tmp_path, "encoder 2").nearest(texts, -vectors, 6)
    assert shared(found.rows, exact(-vectors, 6).rows) > 0.99
    assert before.exists()


@pytest.mark.slow
def test_only_the_last_tables_are_kept(tmp_path: Path) -> None:
    (tmp_path / NEIGHBOURS).mkdir()
    for number in range(MAX_TABLES + 2):
        (tmp_path / NEIGHBOURS / f"0-{number}.npz").write_bytes(b"old")
    texts, vectors = corpus_of(range(MIN_TEXTS))
    KeptNeighbours(tmp_path, "encoder 1").nearest(texts, vectors, 6)
    left = [path.name for path in (tmp_path / NEIGHBOURS).iterdir()]
    assert len(left) == MAX_TABLES
    assert sum(name.startswith("0-") for name in left) == MAX_TABLES - 1
