"""The lock and the lowest versions are those of pyproject.toml: whoever changes it runs `make lock`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"].values()
ASKED = [Requirement(line) for line in sum(EXTRAS, PROJECT["dependencies"])]
LOCKS = ("requirements.lock", "requirements-lowest.txt")


def lines_of(name: str) -> list[Requirement]:
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = (line.partition(" #")[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_version_is_pinned_exactly(lock: str) -> None:
    assert all(re.fullmatch(r"==[^*,]+", str(line.specifier)) for line in lines_of(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_all_that_pyproject_asks_for_is_pinned_to_a_version_that_it_allows(lock: str) -> None:
    pinned: dict[str, list[str]] = {}
    for line in lines_of(lock):
        pinned.setdefault(canonicalize_name(line.name), []).append(str(line.specifier).removeprefix("=="))
    for asked in ASKED:
        versions = pinned.get(canonicalize_name(asked.name), [])
        assert versions, f"{lock} lacks {asked.name}: run `make lock`"
        assert all(asked.specifier.contains(version, prereleases=True) for version in versions), asked


@pytest.mark.parametrize("lock", LOCKS)
def test_no_address_of_one_machine_is_in_a_lock(lock: str) -> None:
    assert not re.search(
        r"https?://|file:|--(find-links|index|hash)", (ROOT / lock).read_text(encoding="utf-8")
    )


def test_versions_held_back_by_hand_are_those_of_both_locks() -> None:
    for held in lines_of("constraints.txt"):
        for lock in LOCKS:
            assert held in lines_of(lock), f"{held} is not in {lock}: run `make lock`"
