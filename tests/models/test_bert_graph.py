"""Graphs written from config.json and safetensors: what torch's own export says, to the last bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tiny_models import random_weights, write_tiny_model

from kimera.models.bert_graph import (
    BertConfig,
    UnknownNetwork,
    classifier_graph,
    read_tensors,
    sentence_graph,
)
from kimera.models.cross_encoder import CrossEncoder, load_tensors, open_network, tensors_of
from kimera.models.cross_encoder_weights import CrossEncoderWeights
from kimera.models.encoder import Encoder, unit_vectors_module
from kimera.models.model_folders import DEFAULT_MODEL, find_folder, load_model
from kimera.models.onnx_models import OnnxModel, exported, prepared
from kimera.models.pair_model import logits_module
from kimera.models.runtime import Precision
from kimera.models.tokens import Tokenizer, Tokens
from kimera.reactor import SHIPPED_CROSS_ENCODER

if TYPE_CHECKING:
    import onnx

pytestmark = pytest.mark.slow  # many whole runs

TEXTS = ["", "A man sleeps.", "Ein Satz über 2 + 2 = 5!", *(f"number {n} {'of all ' * n}" for n in range(24))]
PAIRS = list(zip(TEXTS, TEXTS[::-1], strict=True))
PRECISIONS: tuple[Precision, Precision] = ("float32", "int8")


def output(source: Path | bytes, tokens: Tokens) -> np.ndarray:
    batches = list(OnnxModel(source, threads=1).batches(tokens))
    order = np.concatenate([rows for rows, _ in batches])
    return np.concatenate([values for _, values in batches])[np.argsort(order)]


def write_sentence_model(folder: Path, **settings: object) -> Path:
    """A tiny model with the files that sentence-transformers wants. settings: of its config.json."""
    import transformers

    write_tiny_model(folder)
    saved = json.loads((folder / "config.json").read_text())
    transformers.BertModel(
        transformers.BertConfig(**(saved | settings)), add_pooling_layer=False
    ).save_pretrained(folder)
    packaged = find_folder(DEFAULT_MODEL)
    assert packaged is not None
    shutil.copytree(packaged / "1_Pooling", folder / "1_Pooling")
    for name in ("modules.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(packaged / name, folder)
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling | {"word_embedding_dimension": 32}))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": 48, "do_lower_case": False})
    )
    return folder


def change_tensors(folder: Path, change: Callable[[str, np.ndarray], tuple[str, np.ndarray]]) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(dict(change(name, tensor) for name, tensor in tensors.items()), path, metadata={"format": "pt"})


def change_json(path: Path, **settings: object) -> None:
    saved = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(saved | settings))


@pytest.fixture(scope="module")
def packaged() -> Path:
    folder = find_folder(DEFAULT_MODEL)
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def sentence_export(packaged: Path) -> onnx.ModelProto:
    model = load_model(DEFAULT_MODEL, packaged)
    model[0].auto_model.set_attn_implementation("eager")
    return exported(unit_vectors_module(model))


@pytest.fixture(scope="module")
def cross_encoder_export(packaged: Path) -> onnx.ModelProto:
    network, _ = open_network(packaged)
    load_tensors(network, CrossEncoderWeights.load(SHIPPED_CROSS_ENCODER).applied_to(tensors_of(network)))
    return exported(logits_module(network))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_sentence_vectors_of_the_packaged_model_are_those_of_the_export(
    precision: Precision, packaged: Path, sentence_export: onnx.ModelProto, tmp_path: Path
) -> None:
    tokens = Tokenizer(packaged, 256).of_texts(TEXTS)
    built = prepared(
        tmp_path,
        "built",
        "",
        precision,
        lambda: sentence_graph(BertConfig.read(packaged), read_tensors(packaged)),
    )
    export = prepared(tmp_path, "export", "", precision, lambda: copied(sentence_export))
    np.testing.assert_array_equal(output(built, tokens), output(export, tokens))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_logits_of_the_shipped_cross_encoder_are_those_of_the_export(
    precision: Precision, packaged: Path, cross_encoder_export: onnx.ModelProto, tmp_path: Path
) -> None:
    tensors = CrossEncoderWeights.load(SHIPPED_CROSS_ENCODER).applied_to(read_tensors(packaged))
    tokens = Tokenizer(packaged, 256).of_pairs(PAIRS)
    built = prepared(
        tmp_path, "built", "", precision, lambda: classifier_graph(BertConfig.read(packaged), tensors)
    )
    export = prepared(tmp_path, "export", "", precision, lambda: copied(cross_encoder_export))
    np.testing.assert_array_equal(output(built, tokens), output(export, tokens))


def copied(export: onnx.ModelProto) -> onnx.ModelProto:
    """Whoever prepares a network may change it."""
    copy = type(export)()
    copy.CopyFrom(export)
    return copy


def test_the_graphs_are_valid_onnx(tmp_path: Path) -> None:
    import onnx

    folder = write_tiny_model(tmp_path)
    config, tensors = BertConfig.read(folder), read_tensors(folder)
    after = random_weights(folder).applied_to(tensors)
    for model in (sentence_graph(config, tensors), classifier_graph(config, after)):
        onnx.checker.check_model(model, full_check=True)


def half(name: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    return name, tensor.astype(np.float16)


def with_prefix(name: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    return f"bert.{name}", tensor


def old_name(name: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"
    ), tensor


def as_it_was(name: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    return name, tensor


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"num_hidden_layers": 3, "num_attention_heads": 4, "layer_norm_eps": 0.01}, as_it_was),
        ({"intermediate_size": 48, "type_vocab_size": 3, "max_position_embeddings": 50}, as_it_was),
        ({}, half),
        ({}, with_prefix),
    ],
)
def test_any_plain_bert_is_written_without_torch(
    settings: dict[str, object], change: Callable[..., tuple[str, np.ndarray]], tmp_path: Path
) -> None:
    folder = write_sentence_model(tmp_path / "model", **settings)
    change_tensors(folder, change)
    sentence_graph(BertConfig.read(folder), read_tensors(folder))  # refuses nothing
    assert_as_torch(folder, tmp_path)


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"hidden_act": "relu"}, as_it_was),
        ({"hidden_act": "gelu_new"}, as_it_was),
        ({"position_embedding_type": "relative_key"}, as_it_was),
        ({}, old_name),
    ],
)
def test_what_is_not_known_here_is_exported_by_torch(
    settings: dict[str, object], change: Callable[..., tuple[str, np.ndarray]], tmp_path: Path
) -> None:
    folder = write_sentence_model(tmp_path / "model", **settings)
    change_json(folder / "config.json", **settings)
    change_tensors(folder, change)
    with pytest.raises(UnknownNetwork):
        sentence_graph(BertConfig.read(folder), read_tensors(folder))
    assert_as_torch(folder, tmp_path)


def test_a_setting_of_sentence_transformers_that_changes_the_network_is_heeded(tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path / "model")
    change_json(folder / "sentence_bert_config.json", config_args={"hidden_act": "relu"})
    assert_as_torch(folder, tmp_path)


def test_weights_in_several_files_or_in_bfloat16_are_read_by_torch(tmp_path: Path) -> None:
    import transformers

    folder = write_sentence_model(tmp_path / "model")
    network = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
    for save in (
        lambda: network.save_pretrained(folder, max_shard_size="1MB"),
        lambda: network.bfloat16().save_pretrained(folder),
    ):
        for path in folder.glob("model*"):
            path.unlink()
        save()
        with pytest.raises(UnknownNetwork):
            sentence_graph(BertConfig.read(folder), read_tensors(folder))
        assert_as_torch(folder, tmp_path)


def assert_as_torch(folder: Path, cache_dir: Path) -> None:
    on_torch = Encoder(folder, backend="torch").encode(TEXTS)
    assert np.ptp(on_torch, axis=0).max() > 0.01  # the texts differ
    on_onnx = Encoder(folder, precision="float32", cache_dir=cache_dir)
    np.testing.assert_allclose(on_onnx.encode(TEXTS), on_torch, atol=1e-5)
    assert on_onnx.runtime.backend == "onnx"


def with_another_activation(folder: Path) -> None:
    change_json(folder / "config.json", hidden_act="relu")


def in_several_files(folder: Path) -> None:
    import transformers

    network = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
    (folder / "model.safetensors").unlink()
    network.save_pretrained(folder, max_shard_size="1MB")


@pytest.mark.parametrize("change", [with_another_activation, in_several_files])
def test_a_cross_encoder_of_another_kind_of_model_is_exported_by_torch(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    change(folder)
    weights = random_weights(folder)
    on_torch = CrossEncoder(weights, folder, backend="torch").logits(PAIRS)
    on_onnx = CrossEncoder(weights, folder, precision="float32", cache_dir=tmp_path)
    np.testing.assert_allclose(on_onnx.logits(PAIRS), on_torch, atol=1e-5)
    assert on_onnx.runtime.backend == "onnx"


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"model_type": "bert", "hidden_act": ["gelu"]}'])
def test_a_config_that_says_something_else_is_refused(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UnknownNetwork):
        BertConfig.read(tmp_path)
