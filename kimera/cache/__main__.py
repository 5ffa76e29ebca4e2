"""The command line, python -m kimera.cache: what the caches hold, and their end."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.console import exit_quietly

    exit_quietly()

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from kimera.cache.cache_settings import KINDS, CacheSettings
from kimera.cache.embedding_cache import (
    ERROR_LOG_NAMES,
    FILE_NAME,
    MAX_BYTES,
    MODELS,
    NEIGHBOURS,
    REPLIES_FILE_NAME,
    EmbeddingCache,
)
from kimera.cache.put_together import without_packages
from kimera.cache.sqlite_files import default_folder
from kimera.console import DONE, CommandLine, command_line, exit_code_of, note, parser_of, tell
from kimera.errors import UserError

DESCRIPTION = """\
The caches: vectors of texts and scores of pairs by the reactor, the neighbours that a scan found for the next
one, its models prepared for onnxruntime or put together, and the judges' replies that --cache-replies kept.
What is deleted is computed again when it is needed; the base of the reactor's stage deep needs its packages
or the hub for that, and replies have to be paid for again.

  stats   says where the caches are, how large they are, and how many entries they hold
  clear   deletes all of them and the log of Kimera's own errors, or with --only one kind
  merge   adds the vectors and scores of other folders, such as those of shards on several machines, within
          --cache-size

examples:
  kimera cache stats
  kimera cache clear --only models
  kimera cache merge shard_1 shard_2 --cache-dir whole
"""


def build_parser() -> argparse.ArgumentParser:
    return parser_of(CacheSettings, "cache", description=DESCRIPTION)


def main(arguments: Sequence[str] | None = None) -> int:
    parsed = build_parser().parse_args(arguments)
    return exit_code_of(lambda: _run(command_line(CacheSettings, "cache", parsed)))


def _run(told: CommandLine[CacheSettings]) -> int:
    settings = told.settings
    folder = default_folder() if settings.cache_dir is None else Path(settings.cache_dir)
    if settings.command == "merge":
        return _merge([Path(name) for name in settings.folders], folder, settings.cache_size or MAX_BYTES)
    _refuse_idle(told)
    _check(folder, given=settings.cache_dir is not None)
    if settings.command == "clear":
        _clear(folder, (settings.only,) if settings.only else KINDS)
    else:
        _show(folder)
    return DONE


def _refuse_idle(told: CommandLine[CacheSettings]) -> None:
    """What a configuration file says is meant for every command of the cache, and not held against one."""
    command = told.settings.command
    if told.settings.folders and "folders" in told.flags:
        raise UserError(f"{command} takes no DIR; name the folder with --cache-dir")
    if "only" in told.flags and command != "clear":
        raise UserError(f"{command} takes no --only")


def _merge(folders: Sequence[Path], into: Path, max_bytes: int) -> int:
    if not folders:
        raise UserError("merge: give the folders whose vectors and scores are to be added")
    for folder in folders:
        if not (folder / FILE_NAME).is_file():
            raise UserError(f"{folder}: there is no cache in it ({FILE_NAME}); nothing was merged")
    cache = EmbeddingCache(into, max_bytes=max_bytes)
    expected = cache.count()
    for folder in folders:
        added = cache.add_from(EmbeddingCache(folder))
        expected += added
        tell(f"{folder}: {added:,} entries added")
    kept = cache.count()
    tell(f"{into}: {kept:,} entries")
    if kept < expected:
        note(
            f"{expected - kept:,} of the oldest entries were dropped; to keep them, give a larger "
            "--cache-size"
        )
    return DONE


def _check(folder: Path, given: bool) -> None:
    """The default folder need not be there yet; one that was given may be a slip of the pen."""
    if folder.is_dir() or not (given or folder.exists()):
        return
    reason = "this is not a folder" if folder.exists() else "there is no such folder"
    raise UserError(f"{folder}: {reason}; give the one that holds the caches with --cache-dir")


def _show(folder: Path) -> None:
    entries = EmbeddingCache(folder).count() if (folder / FILE_NAME).exists() else 0
    vectors, neighbours, replies, models = (_files(folder, kind) for kind in KINDS)
    tell(f"folder: {folder}{'' if folder.exists() else ' (does not exist yet)'}")
    tell(f"vectors and scores: {entries:,} entries, {_megabytes(vectors)}")
    tell(f"files of neighbours: {len(neighbours)}, {_megabytes(neighbours)}")
    tell(f"replies of judges: {_megabytes(replies)}")
    tell(f"files of models: {len(models)}, {_megabytes(models)}")


def _clear(folder: Path, kinds: Sequence[str]) -> None:
    paths = [path for kind in kinds for path in _files(folder, kind)]
    description = f"{_megabytes(paths)} in {folder} ({', '.join(kinds)})"
    logs = [folder / name for name in ERROR_LOG_NAMES] if tuple(kinds) == KINDS else []
    for path in (*paths, *logs):
        path.unlink(missing_ok=True)
    lost = without_packages(folder / MODELS) if "models" in kinds else []
    if "models" in kinds:
        shutil.rmtree(folder / MODELS, ignore_errors=True)
    tell(f"deleted: {description}")
    for name in lost:
        note(
            f"{name} was put together out of packages that are not installed any more; where it is needed "
            "again, it is fetched from the Hugging Face hub, or they have to be installed again"
        )


def _files(folder: Path, kind: str) -> list[Path]:
    """Of one of KINDS; of a database also its write-ahead log, and damaged ones that were set aside."""
    pattern = {
        "vectors": f"{FILE_NAME}*",
        "neighbours": f"{NEIGHBOURS}/*",
        "replies": f"{REPLIES_FILE_NAME}*",
        "models": f"{MODELS}/**/*",
    }[kind]
    return [path for path in folder.glob(pattern) if path.is_file()]


def _megabytes(paths: Sequence[Path]) -> str:
    return f"{sum(path.stat().st_size for path in paths) / 1e6:,.1f} MB"


if __name__ == "__main__":
    sys.exit(main())
