"""A tiny transformer with the packaged model's tokenizer: real in every part, and fitted in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from kimera.models.cross_encoder import base_fingerprint, model_folder, open_network, tensors_of
from kimera.models.cross_encoder_weights import CrossEncoderWeights
from kimera.models.model_folders import DEFAULT_MODEL

SIZES = {
    "vocab_size": 30_522,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


def write_tiny_model(folder: Path) -> Path:
    import transformers

    return _write(
        folder, transformers.BertModel, transformers.BertConfig(**SIZES, max_position_embeddings=64)
    )


def write_tiny_mpnet(folder: Path) -> Path:
    """Of the deep stage's kind. Its vocabulary is the packaged model's, so that one tokenizer serves both."""
    import transformers

    config = transformers.MPNetConfig(**SIZES, max_position_embeddings=66)
    return _write(folder, transformers.MPNetModel, config)


def _write(folder: Path, network: Any, config: Any) -> Path:
    import torch

    torch.manual_seed(0)
    network(config, add_pooling_layer=False).save_pretrained(folder)
    shutil.copy(model_folder(DEFAULT_MODEL) / "tokenizer.json", folder)
    return folder


def random_weights(folder: Path) -> CrossEncoderWeights:
    """A cross-encoder that nobody fitted: its scores mean nothing, and differ from pair to pair."""
    network, new_layers = open_network(folder)
    after = tensors_of(network)
    before = {name: tensor for name, tensor in after.items() if name not in new_layers}
    random = np.random.default_rng(0)
    moved = {
        name: tensor + random.normal(0, 0.3, tensor.shape).astype(np.float32)
        for name, tensor in after.items()
        if "word_embeddings" not in name
    }
    return CrossEncoderWeights.between(before, moved, 48, base_fingerprint(folder, str(folder)), "tiny")
