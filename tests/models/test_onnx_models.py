"""Cross-encoders on onnxruntime: torch's scores in float32, nearly those in int8, each its pair's own."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_models import random_weights, write_tiny_model

from kimera.errors import UserError
from kimera.models.cross_encoder import CrossEncoder
from kimera.models.cross_encoder_weights import CrossEncoderWeights
from kimera.models.row_quantisation import quantise_rows
from kimera.models.runtime import TORCH_ON_CPU

PAIRS = [
    (f"The {thing} of {place} is {'very ' * (number % 5)}old.", f"The {thing} was built last year.")
    for number, (thing, place) in enumerate(
        (thing, place)
        for thing in ("church", "bridge", "old town hall")
        for place in ("Bath", "New York", "Rome")
    )
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def weights(folder: Path) -> CrossEncoderWeights:
    return random_weights(folder)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
def test_float32_on_onnxruntime_is_what_torch_says(
    folder: Path, weights: CrossEncoderWeights, cache_dir: Path
) -> None:
    on_torch = CrossEncoder(weights, folder, backend="torch").logits(PAIRS)
    on_onnx = CrossEncoder(weights, folder, precision="float32", cache_dir=cache_dir).logits(PAIRS)
    assert np.ptp(on_torch, axis=0).min() > 0.1  # the pairs differ
    np.testing.assert_allclose(on_onnx, on_torch, atol=1e-5)


def test_int8_is_near(folder: Path, weights: CrossEncoderWeights, cache_dir: Path) -> None:
    whole = CrossEncoder(weights, folder, precision="float32", cache_dir=cache_dir).logits(PAIRS)
    int8 = CrossEncoder(weights, folder, precision="int8", cache_dir=cache_dir).logits(PAIRS)
    assert CrossEncoder(weights, folder, cache_dir=cache_dir).runtime.precision == "int8"
    assert np.abs(int8 - whole).max() < 0.1 * np.abs(whole).max()
    assert not np.array_equal(int8, whole)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_score_belongs_to_its_pair(
    precision, folder: Path, weights: CrossEncoderWeights, cache_dir: Path
) -> None:
    encoder = CrossEncoder(weights, folder, precision=precision, cache_dir=cache_dir)
    alone = np.concatenate([encoder.logits([pair]) for pair in PAIRS])
    loud = ("!" * 40, "? " * 20)  # a neighbour with other ranges
    together = encoder.logits([*PAIRS[::-1], loud])[:-1][::-1]
    np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.slow
def test_processes_may_make_the_same_file_at_once_and_need_no_torch(
    folder: Path, weights: CrossEncoderWeights, tmp_path: Path
) -> None:
    weights.save(tmp_path / "verify.safetensors")
    script = (
        "import sys; from kimera.models.cross_encoder import CrossEncoder;"
        f"encoder = CrossEncoder({str(tmp_path / 'verify.safetensors')!r}, {str(folder)!r},"
        f" cache_dir={str(tmp_path)!r});"
        "print(encoder.predict([('The cat sleeps.', 'The cat runs.')]).tolist(), 'torch' in sys.modules,"
        " 'transformers' in sys.modules)"
    )
    command = [sys.executable, "-W", "error::UserWarning:kimera", "-c", script]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    both = [start(), start()]
    (one, told), (other, told_too) = (process.communicate(timeout=120) for process in both)
    later = start()
    third, silence = later.communicate(timeout=120)
    assert [process.returncode for process in (*both, later)] == [0, 0, 0]
    assert one.split("]]")[0] == other.split("]]")[0] == third.split("]]")[0] != ""
    assert "preparing cross-encoder in int8, once, in" in told + told_too
    assert [text[-12:] for text in (one, other, third)] == ["False False\n"] * 3
    assert silence == ""
    assert [path.suffix for path in (tmp_path / "models").iterdir()] == [".onnx"]


def test_where_no_network_can_be_made_torch_does_the_work(
    folder: Path, weights: CrossEncoderWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # as where that package is not installed
    encoder = CrossEncoder(weights, folder, cache_dir=tmp_path)
    with pytest.warns(UserWarning, match="torch is used, in float32"):
        found = encoder.logits(PAIRS)
    assert encoder.runtime == TORCH_ON_CPU
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(
            found, CrossEncoder(weights, folder, backend="torch").logits(PAIRS), atol=1e-5
        )


def test_what_goes_on_from_earlier_outputs_is_computed_as_they_were(
    folder: Path, weights: CrossEncoderWeights, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    int8, exact, again, other = (
        CrossEncoder(weights, folder, precision=precision, cache_dir=cache_dir)
        for precision in ("int8", "float32", "int8", "int8")
    )
    again.go_on_from(int8.output_fingerprint)
    assert again.runtime == int8.runtime
    other.go_on_from(exact.output_fingerprint)  # as where onnxruntime had failed
    assert other.runtime == TORCH_ON_CPU
    with pytest.raises(UserError, match="would compute on onnx in float32, and earlier verdicts"):
        exact.go_on_from(int8.output_fingerprint)
    assert exact.runtime.backend == "onnx"
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as where that package is broken
    with pytest.raises(UserError, match=r"no network .* were made with one, in int8\. Begin a new run"):
        again.logits(PAIRS)


def test_where_no_file_can_be_written_the_network_works_from_memory(
    folder: Path, weights: CrossEncoderWeights, cache_dir: Path, tmp_path: Path
) -> None:
    """A limit on the size of files fails as a full disk does: in the middle of writing."""
    weights.save(tmp_path / "verify.safetensors")
    script = (
        "import resource, sys; from kimera.models.cross_encoder import CrossEncoder;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000));"
        f"encoder = CrossEncoder({str(tmp_path / 'verify.safetensors')!r}, {str(folder)!r},"
        f" cache_dir={str(tmp_path)!r});"
        f"print(*encoder.logits({PAIRS!r}).ravel().tolist()); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    logits, with_torch = run.stdout.splitlines()
    assert with_torch == "False"
    known = CrossEncoder(weights, folder, cache_dir=cache_dir).logits(PAIRS)
    np.testing.assert_array_equal(np.array(logits.split(), np.float32), known.ravel())
    assert "cannot be written" in run.stderr
    assert "every start prepares it again" in run.stderr
    assert list((tmp_path / "models").iterdir()) == []


def cut_off(content: bytes) -> bytes:
    return content[:1000]


def emptied(content: bytes) -> bytes:
    return b""


def one_bit_flipped(content: bytes) -> bytes:
    """In the middle of the weights, where onnxruntime would not see it."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 64]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut_off, emptied, one_bit_flipped])
def test_a_file_that_was_damaged_is_made_anew(
    damage: Callable[[bytes], bytes],
    folder: Path,
    weights: CrossEncoderWeights,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = CrossEncoder(weights, folder, cache_dir=tmp_path).logits(PAIRS)
    [file] = (tmp_path / "models").iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = CrossEncoder(weights, folder, cache_dir=tmp_path).logits(PAIRS)
    assert f"{file} is damaged and is prepared again" in capsys.readouterr().err
    np.testing.assert_array_equal(found, whole)
    assert [path.read_bytes() for path in (tmp_path / "models").iterdir()] == [content]


def test_half_precision_is_near(folder: Path, weights: CrossEncoderWeights) -> None:
    """As on a GPU, but on the CPU, where torch can do it too."""
    whole = CrossEncoder(weights, folder, backend="torch").logits(PAIRS)
    half = CrossEncoder(weights, folder, backend="torch", precision="float16").logits(PAIRS)
    assert half.dtype == np.float32
    assert not np.array_equal(half, whole)
    np.testing.assert_allclose(half, whole, atol=0.02)


@pytest.mark.parametrize(("threads", "parts"), [(1, 1), (2, 2), (4, 4)])
def test_few_pairs_of_one_length_are_shared_out_among_the_cores(
    threads: int, parts: int, folder: Path, weights: CrossEncoderWeights, cache_dir: Path
) -> None:
    pairs = [(f"It is the year 199{digit}.", "It is late.") for digit in range(8)]
    encoder = CrossEncoder(weights, folder, cache_dir=cache_dir, threads=threads)
    places = [place for place, _ in encoder.batches(pairs)]
    assert [len(part) for part in places] == [8 // parts] * parts
    assert sorted(np.concatenate(places)) == list(range(8))


def test_no_pairs_give_no_scores(folder: Path, weights: CrossEncoderWeights, cache_dir: Path) -> None:
    assert CrossEncoder(weights, folder, cache_dir=cache_dir).predict([]).shape == (0, 3)


def test_rows_of_zeros_and_shared_inputs_are_quantised() -> None:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    matrices = {name: random.normal(size=(8, 5)).astype(np.float32) for name in ("a", "b")}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", name], [f"y{name}"]) for name in matrices],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "m", 8])],
        [helper.make_tensor_value_info(f"y{name}", TensorProto.FLOAT, ["n", "m", 5]) for name in matrices],
        [numpy_helper.from_array(matrix, name) for name, matrix in matrices.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    quantise_rows(model)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node].count("QuantizeLinear") == 1
    assert not {"a", "b"} & {tensor.name for tensor in model.graph.initializer}
    rows = random.normal(size=(2, 3, 8)).astype(np.float32)
    rows[0, 1] = 0
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, found in zip(matrices, session.run(None, {"x": rows}), strict=True):
        np.testing.assert_allclose(found, rows @ matrices[name], atol=0.1)
        assert (found[0, 1] == 0).all()
