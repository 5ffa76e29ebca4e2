"""Vectors of texts and scores of pairs that were computed before, on disk."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "ERROR_LOG_NAMES",
    "MAX_BYTES",
    "MODELS",
    "NEIGHBOURS",
    "PUT_TOGETHER",
    "REPLIES_FILE_NAME",
    "CacheSettings",
    "EmbeddingCache",
    "Identity",
    "connect",
    "default_folder",
    "drop_oldest",
    "give_back_pages",
    "identity",
    "is_damage",
    "log_error",
    "make_folder",
    "set_aside",
]

if TYPE_CHECKING:
    from kimera.cache.cache_settings import CacheSettings
    from kimera.cache.embedding_cache import (
        ERROR_LOG_NAMES,
        MAX_BYTES,
        MODELS,
        NEIGHBOURS,
        REPLIES_FILE_NAME,
        EmbeddingCache,
    )
    from kimera.cache.error_log import log_error
    from kimera.cache.put_together import PUT_TOGETHER
    from kimera.cache.sqlite_files import (
        Identity,
        connect,
        default_folder,
        drop_oldest,
        give_back_pages,
        identity,
        is_damage,
        make_folder,
        set_aside,
    )
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "cache_settings": ["CacheSettings"],
            "embedding_cache": [
                "ERROR_LOG_NAMES",
                "EmbeddingCache",
                "MAX_BYTES",
                "MODELS",
                "NEIGHBOURS",
                "REPLIES_FILE_NAME",
            ],
            "error_log": ["log_error"],
            "put_together": ["PUT_TOGETHER"],
            "sqlite_files": [
                "Identity",
                "connect",
                "default_folder",
                "drop_oldest",
                "give_back_pages",
                "identity",
                "is_damage",
                "make_folder",
                "set_aside",
            ],
        },
    )
