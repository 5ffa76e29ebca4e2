"""A fine-tuned model of the Hugging Face hub, or in a folder: where it lies, and whether it may be read."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from kimera.console import note
from kimera.errors import UserError
from kimera.models.model_folders import model_json

# What is read, of the repository's top folder alone: others hold checkpoints and exports.
READ = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "README.md"]
BELOW = ["*/*"]
HEAD_PREFIX = "classifier."  # of the new layers' tensors in all `ENCODERS`
ENCODERS = frozenset(
    {
        "albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "modernbert",
        "mpnet", "roberta", "xlm-roberta",
    }
)  # fmt: skip
# How the types of models begin that read from left to right and classify by the last token.
DECODERS = ("bloom", "falcon", "gemma", "gpt", "llama", "mistral", "mixtral", "olmo", "opt", "phi", "qwen")
HEADED = "ForSequenceClassification"
ENCODER_DECODERS = ("t5", "mt5", "umt5", "bart", "mbart", "HHEMv2Config")


@dataclass(frozen=True)
class Checkpoint:
    """name: as it was given. folder: where its files lie. revision: its commit on the hub, if it is there."""

    name: str
    folder: Path
    revision: str | None = None

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """Read once, and not to be changed. Raises `UserError` where there is none, or it is damaged."""
        made = self.settings("config.json")
        if not made:
            raise UserError(f"{self._where} holds no config.json, so it is no model; give the folder of one")
        return made

    def settings(self, file: str) -> dict[str, Any]:
        """What a JSON file of it holds, nothing where there is no such file."""
        path = self.folder / file
        try:
            made = model_json(path) if path.is_file() else {}
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read as JSON: {error}; download or save it again") from None
        if not isinstance(made, dict):
            raise UserError(f"{path} holds no JSON object; download or save it again")
        return made

    @property
    def _where(self) -> str:
        return str(self.folder) if self.revision is None else f"{self.name} at revision {self.revision}"

    def require_classifier(self) -> None:
        """Raise `UserError` for what cannot classify pairs of texts, or would run code to be read."""
        config = self.config
        self._require_encoder(config)
        self._require_safetensors()
        self._require_tokenizer()
        architectures = config.get("architectures") or [HEADED]
        is_headed = any(HEADED in str(architecture) for architecture in architectures)
        if not is_headed or (config.get("model_type") in ENCODERS and not self._has_head()):
            raise UserError(
                f"{self._where} has no classification head ({', '.join(map(str, architectures))}): its "
                "weights would be drawn at random. Give a model that was fine-tuned on natural language "
                "inference"
            )

    def _require_encoder(self, config: dict[str, Any]) -> None:
        kind = str(config.get("model_type", ""))
        if config.get("is_encoder_decoder") or kind in ENCODER_DECODERS:
            raise UserError(
                f"{self._where} is an encoder-decoder ({kind}), which writes its answer as text or reads the "
                "pair twice; only encoders with a classification head are read. Give one, such as a BERT, "
                "RoBERTa or DeBERTa that was fine-tuned on natural language inference"
            )
        if kind.startswith(DECODERS):
            raise UserError(
                f"{self._where} is a decoder ({kind}), which classifies by the last token alone; only "
                "encoders are read. Give one, such as a BERT, RoBERTa or DeBERTa that was fine-tuned on "
                "natural language inference; a decoder that is served can be asked as a judge"
            )
        if config.get("auto_map") and kind not in ENCODERS:
            raise UserError(
                f"{self._where} needs Python code of its repository (auto_map in its config.json), which is "
                "never run here. Give a model of an architecture that the library transformers knows"
            )

    def _require_safetensors(self) -> None:
        if any(self.folder.glob("*.safetensors")):
            return
        pickled = next(iter(sorted(self.folder.glob("*.bin"))), None)
        what = f"only pickled weights ({pickled.name})" if pickled else "no weights as safetensors"
        raise UserError(
            f"{self._where} has {what}; a pickle can run code when it is read, so none is. If you trust it, "
            'save it again: python -c "from transformers import AutoModelForSequenceClassification as M, '
            f"AutoTokenizer as T; M.from_pretrained('{self.name}').save_pretrained('NEW_FOLDER'); "
            f"T.from_pretrained('{self.name}').save_pretrained('NEW_FOLDER')\", and give NEW_FOLDER"
        )

    def _require_tokenizer(self) -> None:
        if not (self.folder / "tokenizer.json").is_file():
            raise UserError(
                f"{self._where} has no fast tokenizer (tokenizer.json). Make one where the package "
                'sentencepiece is installed: python -c "from transformers import AutoTokenizer; '
                f"AutoTokenizer.from_pretrained('{self.name}').save_pretrained('FOLDER')\", and put FOLDER's "
                "tokenizer.json beside the weights"
            )

    def _has_head(self) -> bool:
        try:
            return any(name.startswith(HEAD_PREFIX) for path in self._weights() for name in _tensors(path))
        except (OSError, SafetensorError) as error:
            raise UserError(f"the weights of {self._where} are damaged ({error}); get them again") from None

    def _weights(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))

    @property
    def data_sets(self) -> list[str] | None:
        """Of the model card's metadata the data sets that it was fitted on; None where it does not tell."""
        path = self.folder / "README.md"
        if not path.is_file():
            return None
        from huggingface_hub import metadata_load  # takes a moment, and is seldom needed

        try:
            stated = (metadata_load(path) or {}).get("datasets")
        except Exception:  # noqa: BLE001 (a card may hold anything, and is not needed)
            return None
        titles = [stated] if isinstance(stated, str) else stated if isinstance(stated, list) else []
        return [str(title) for title in titles] or None


def _tensors(path: Path) -> list[str]:
    with safe_open(path, "numpy") as tensors:
        return list(tensors.keys())


def find_checkpoint(name: str, revision: str | None = None, *, quiet: bool = False) -> Checkpoint:
    """The folder of this name, or else the model in the hub's local cache, or else from the hub.

    quiet: no note where the local cache was taken. Raises `UserError` where there is none, or the hub cannot
    be reached.
    """
    folder = Path(name)
    if folder.is_dir():
        if revision is not None:
            raise UserError(f"{name} is a folder, which has no revisions; leave the revision out")
        return Checkpoint(name, folder)
    cached = _from_hub(name, revision, local_files_only=True)
    if cached is not None and _is_whole(cached):
        if not quiet:
            where = f"revision {cached.name}, from the local cache of the Hugging Face hub"
            note(f"{name} is {where}; the hub was not asked")
        return Checkpoint(name, cached, cached.name)
    fetched = _from_hub(name, revision, local_files_only=False)
    if fetched is None:
        raise UserError(f"{name} is not complete in the hub's local cache, and the hub is switched off")
    return Checkpoint(name, fetched, fetched.name)


def is_cached(name: str, revision: str | None = None) -> bool:
    """Whether a model of the hub is whole in its local cache; the hub is not asked. Raises as above."""
    cached = _from_hub(name, revision, local_files_only=True)
    return cached is not None and _is_whole(cached)


def _is_whole(folder: Path) -> bool:
    """Whether another program left all that is needed, and not, say, the tokenizer alone."""
    index = folder / "model.safetensors.index.json"
    needed = {"config.json", "tokenizer.json"}
    needed |= set(model_json(index)["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    return all((folder / file).is_file() for file in needed)


def _from_hub(name: str, revision: str | None, *, local_files_only: bool) -> Path | None:
    """The folder of a snapshot; None where it is not in the local cache and only that was to be asked."""
    from huggingface_hub import errors, snapshot_download  # takes a moment, and folders do without

    try:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                local_files_only=local_files_only,
                allow_patterns=READ,
                ignore_patterns=BELOW,
            )
        )
    except errors.HFValidationError:
        raise UserError(
            f"{name!r} is no folder here, and cannot be a model's name on the Hugging Face hub, which is "
            "OWNER/NAME; check the spelling"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(
            f"{name} has no revision {revision!r} on the Hugging Face hub; give another"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{name!r} is no folder here and no public model of the Hugging Face hub; check the spelling. "
            "For a private or gated model log in first: hf auth login"
        ) from None
    except Exception as error:  # httpx, the operating system and the hub raise a dozen kinds: it is not there
        if local_files_only:
            return None
        at = f" at revision {revision}" if revision else ""
        raise UserError(
            f"{name!r} is no folder here, is not in the local cache of the Hugging Face hub{at}, and the hub "
            f"cannot be reached ({type(error).__name__}). Give a folder, or fetch it where there is a "
            f"network: hf download {name}"
        ) from error
