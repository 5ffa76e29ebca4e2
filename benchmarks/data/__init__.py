"""The datasets that have a name, and where others come from."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "EMBEDDED",
    "EMBEDDED_FILES",
    "DatasetSource",
    "FileSource",
    "HubLoader",
    "HubSource",
    "families_of",
    "load_from_hub",
]

if TYPE_CHECKING:
    from benchmarks.data.dataset_sources import (
        EMBEDDED,
        EMBEDDED_FILES,
        DatasetSource,
        FileSource,
        HubLoader,
        HubSource,
        load_from_hub,
    )
    from benchmarks.data.families import families_of
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "dataset_sources": [
                "EMBEDDED",
                "EMBEDDED_FILES",
                "FileSource",
                "HubLoader",
                "HubSource",
                "DatasetSource",
                "load_from_hub",
            ],
            "families": ["families_of"],
        },
    )
