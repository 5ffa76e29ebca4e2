"""A model is found by its folder or its name, and one that cannot be read is refused with the remedy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from model_hub import COMMIT, NOBODY, hub_of

from kimera.detectors import NLIModel
from kimera.errors import UserError
from kimera.models import find_checkpoint
from kimera.pairs import Verdict

PAIR = ("a dog sleeps", "no dog sleeps")


def without_head(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def without_a_layer(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "layer.1" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def changed(**settings: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "pickled"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights as safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"damaged"), "are damaged"),
        (lambda folder: (folder / "config.json").unlink(), "holds no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no fast tokenizer"),
        (without_head, "no classification head"),
        (without_a_layer, "lacks weights of the network"),
        (changed(architectures=["BertModel"]), "no classification head"),
        (changed(model_type="t5", is_encoder_decoder=True), "is an encoder-decoder"),
        (changed(model_type="qwen3", architectures=["Qwen3ForSequenceClassification"]), "is a decoder"),
        (changed(id2label={"first": "contradiction"}), "id2label of its config.json"),
        (changed(model_type="own", auto_map={"AutoModel": "code.Model"}), "needs Python code"),
        (changed(model_type="no-such-model"), "cannot be read as a classifier"),
    ],
)
def test_a_folder_that_is_no_classifier_is_refused(
    nli_model: Callable[..., Path], tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    shutil.copytree(nli_model("bert"), folder := tmp_path / "model")
    spoil(folder)
    with pytest.raises(UserError, match=message):
        NLIModel(folder, precision="float32", cache=None).detect([PAIR])


def test_the_configuration_is_read_once(nli_model: Callable[..., Path]) -> None:
    checkpoint = find_checkpoint(str(nli_model("bert")))
    checkpoint.require_classifier()
    assert checkpoint.config is checkpoint.config


def test_what_is_no_folder_and_no_name_of_the_hub_is_refused(nli_model: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="is OWNER/NAME"):
        NLIModel("no/such/folder")
    with pytest.raises(UserError, match="has no revisions"):
        NLIModel(nli_model("bert"), revision="main")


HUB_SCRIPT = """
import sys
from kimera.detectors import NLIModel
from kimera.errors import UserError
for name, _, revision in (word.partition("@") for word in sys.argv[1:]):
    try:
        detector = NLIModel(name, revision=revision or None, precision="float32", cache=None)
        [verdict] = detector.detect([("a dog sleeps", "no dog sleeps")])
        frameworks = "torch" in sys.modules, "transformers" in sys.modules
        print(verdict.score, detector.settings["revision"], *frameworks)
    except UserError as error:
        print(error)
"""


def from_hub(cache: Path, *names: str, address: str = NOBODY) -> subprocess.CompletedProcess[str]:
    """A line for each model (NAME or NAME@REVISION): its first verdict; of the hub at this address."""
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_ENDPOINT": address}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", HUB_SCRIPT, *names]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


@pytest.mark.slow
def test_a_name_is_fetched_from_the_hub_once(nli_model: Callable[..., Path], tmp_path: Path) -> None:
    shutil.copytree(nli_model("bert"), folder := tmp_path / "model")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    shutil.copytree(nli_model("bert"), folder / "checkpoint-10")
    cache = tmp_path / "cache"
    with hub_of("somebody/nli", folder) as (address, asked):
        fetched = from_hub(cache, "somebody/nli", address=address)
        assert fetched.stdout.split()[1] == COMMIT, fetched.stderr
        assert f"/somebody/nli/resolve/{COMMIT}/model.safetensors" in asked
        assert not [path for path in asked if "pytorch_model" in path or "checkpoint-10/" in path]
        asked.clear()
        again = from_hub(cache, "somebody/nli@main", "somebody/other", address=address)
        assert again.stdout.split()[:2] == fetched.stdout.split()[:2]
        assert not [path for path in asked if "somebody/nli" in path]
        assert "no public model of the Hugging Face hub" in again.stdout


@pytest.mark.slow
def test_a_name_is_looked_for_in_the_local_cache_of_the_hub(
    nli_model: Callable[..., Path], tmp_path: Path
) -> None:
    place = tmp_path / "models--somebody--nli"
    shutil.copytree(nli_model("bert"), place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    [expected] = NLIModel(nli_model("bert"), precision="float32", cache=None).detect(
        [("a dog sleeps", "no dog sleeps")]
    )
    cached = from_hub(tmp_path, "somebody/nli", "somebody/other")
    assert isinstance(expected, Verdict)
    assert cached.stdout.splitlines()[0].split() == [str(expected.score), COMMIT, "False", "False"]
    assert f"revision {COMMIT}, from the local cache of the Hugging Face hub" in cached.stderr
    assert "the hub cannot be reached" in cached.stdout
    assert "hf download somebody/other" in cached.stdout
