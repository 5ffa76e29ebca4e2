"""What a run has learnt survives: the death of the process, a torn line, any text."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.runs.journal import Journal, JournalReader, result_of, result_record
from kimera.errors import UserError
from kimera.pairs import Failure, Verdict

ROOT = Path(__file__).parents[2]
HEADER = {"dataset": "d"}
TORN_HEADER = pytest.param(
    b'{"journal": 1}',
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write(path: Path, count: int) -> list[int]:
    """A journal of `count` records; their offsets."""
    with Journal(path, header=HEADER) as journal:
        return [journal.append({"index": index}) for index in range(count)]


def read(path: Path) -> list[dict[str, object]]:
    with JournalReader(path) as reader:
        return [record for _, record in reader]


def run_script(script: str, path: Path, timeout_s: float = 20) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout_s,
    )  # fmt: skip


def test_each_line_is_in_the_file_when_append_returns(path: Path) -> None:
    with Journal(path, header=HEADER) as journal:
        for index in range(5):
            journal.append({"index": index})
            assert read(path) == [{"index": number} for number in range(index + 1)]


def test_a_process_killed_right_after_append_loses_nothing(path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from benchmarks.runs.journal import Journal
        journal = Journal(Path(sys.argv[1]), header={})
        for index in range(100):
            journal.append({"index": index, "text": "x" * 5000})
        os.kill(os.getpid(), signal.SIGKILL)
        """
    assert run_script(script, path).returncode == -signal.SIGKILL
    assert [record["index"] for record in read(path)] == list(range(100))


def test_a_reader_gives_the_header_and_the_records_in_order(path: Path) -> None:
    write(path, 3)
    with JournalReader(path) as reader:
        assert reader.header["dataset"] == "d"
        assert [record["index"] for _, record in reader] == [0, 1, 2]
        assert [record["index"] for _, record in reader] == [0, 1, 2], "and once more"


def test_a_journal_goes_on_where_it_ended(path: Path) -> None:
    write(path, 2)
    with Journal(path) as journal:
        offset = journal.append({"index": 2})
    assert [record["index"] for record in read(path)] == [0, 1, 2]
    with JournalReader(path) as reader:
        assert reader.at(offset) == {"index": 2}


def test_a_new_journal_overwrites_nothing(path: Path) -> None:
    write(path, 2)
    with pytest.raises(FileExistsError):
        Journal(path, header=HEADER)
    assert len(read(path)) == 2


@pytest.mark.parametrize("torn", [b"{", b'{"index": 2', b'{"index": 2}', b"\xff" * 200_000])
def test_a_torn_last_line_is_left_out_by_readers_and_dropped_on_reopening(path: Path, torn: bytes) -> None:
    write(path, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert [record["index"] for record in read(path)] == [0, 1]
    with Journal(path) as journal:
        assert path.read_bytes() == whole
        journal.append({"index": 7})
    assert [record["index"] for record in read(path)] == [0, 1, 7]


@given(cut=st.integers(1, 400))
@settings(max_examples=40, deadline=None)
def test_wherever_the_file_is_cut_the_whole_lines_before_remain(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "journal.jsonl"
    offsets = write(path, 20)
    whole = path.read_bytes()
    cut = min(cut, len(whole) - offsets[0])
    path.write_bytes(whole[:-cut])
    kept = whole[: len(whole) - cut].count(b"\n") - 1
    with Journal(path) as journal:
        journal.append({"index": "after"})
    assert [record["index"] for record in read(path)] == [*range(kept), "after"]


@pytest.mark.parametrize("bad", [b"{torn\n", b"[1]\n", b"\n", b"\xff\xfe\n", b'{"index": 1}{"index": 2}\n'])
def test_a_bad_line_elsewhere_is_an_error_that_names_it(path: Path, bad: bytes) -> None:
    write(path, 2)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], bad, *lines[2:]]))
    with pytest.raises(UserError, match=r"journal\.jsonl, line 3: this is not a JSON object"):
        read(path)


def test_a_line_of_brackets_is_an_error_that_names_it(path: Path) -> None:
    write(path, 1)
    with path.open("ab") as file:
        file.write(b"[" * 100_000 + b"\n")
    with pytest.raises(UserError, match="line 3"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"journal": 999}\n', b"a,b,c\n", b"\x00\xff\n"])
def test_a_file_that_is_no_journal_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"journal\.jsonl, line 1"):
        JournalReader(path)


@pytest.mark.parametrize("content", [b"", b'{"journal": 1', TORN_HEADER, b"a,b,c\n1,2,3\n"])
def test_what_is_no_journal_is_not_gone_on_with(path: Path, content: bytes) -> None:
    """Least of all is its last line cut off."""
    path.write_bytes(content)
    with pytest.raises(UserError):
        Journal(path).close()
    assert path.read_bytes() == content


def test_a_journal_has_one_writer(path: Path) -> None:
    with Journal(path, header=HEADER), pytest.raises(UserError):
        Journal(path).close()


def test_a_full_disk_leaves_a_journal_that_can_be_read(path: Path) -> None:
    """The write that fails may have put half of its line into the file."""
    script = """
        import resource, signal, sys
        from pathlib import Path
        from benchmarks.runs.journal import Journal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with Journal(Path(sys.argv[1]), header={}) as journal:
            journal.append({"index": 0})
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
            try:
                journal.append({"index": 1, "text": "x" * 1000})
            except OSError:
                print("refused")
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            offset = journal.append({"index": 2})
            print(offset)
        """
    done = run_script(script, path)
    refused, offset = done.stdout.split()
    assert refused == "refused"
    assert [record["index"] for record in read(path)] == [0, 2]
    with JournalReader(path) as reader:
        assert reader.at(int(offset)) == {"index": 2}


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


def without_surrogate_pairs(text: str) -> str:
    """JSON cannot tell a pair of surrogates from the character that they stand for."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@pytest.mark.slow
@given(
    st.lists(
        st.dictionaries(
            ANY_TEXT, ANY_TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False), max_size=3
        ),
        max_size=8,
    )
)
@settings(max_examples=100, deadline=None)
def test_every_record_is_read_back_exactly_from_its_offset(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "journal.jsonl"
    records = [
        {
            without_surrogate_pairs(key): without_surrogate_pairs(value) if isinstance(value, str) else value
            for key, value in record.items()
        }
        for record in records
    ]
    with Journal(path, header=HEADER) as journal:
        offsets = [journal.append(record) for record in records]
    with JournalReader(path) as reader:
        assert [reader.at(offset) for offset in reversed(offsets)] == records[::-1]
        assert list(reader) == list(zip(offsets, records, strict=True))


def test_a_look_at_an_offset_does_not_disturb_a_reading_in_order(path: Path) -> None:
    offsets = write(path, 4)
    with JournalReader(path) as reader:
        seen = [(record["index"], reader.at(offsets[0])["index"]) for _, record in islice(reader, 9)]
    assert seen == [(index, 0) for index in range(4)]


@pytest.mark.parametrize(
    "result",
    [
        Verdict(True, 0.75, 'a "reason"\n\ud800', 12.5, 3.25, "logprobs"),
        Verdict(False, 1.0),
        Failure("timeout", "no reply", 99.5),
    ],
)
def test_results_come_back_from_a_journal_as_they_were(path: Path, result: Verdict | Failure) -> None:
    with Journal(path, header=HEADER) as journal:
        offset = journal.append({"index": 0, **result_record(result)})
    with JournalReader(path) as reader:
        assert result_of(reader.at(offset)) == result


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"verdict": None},
        {"verdict": {"contradiction": True}},
        {"verdict": {"contradiction": True, "confidence": 7}},
        {"failure": {"kind": "x"}},
        {"failure": {"a": 1}},
    ],
)
def test_a_record_without_a_result_is_an_error(record: dict[str, object]) -> None:
    with pytest.raises(UserError, match="no verdict or failure"):
        result_of(record)


def test_lines_are_synced_to_the_disk_while_the_run_goes_on(path: Path) -> None:
    """Closing need not be reached: the thread that syncs is there, and ends with the journal."""
    with Journal(path, header=HEADER):
        assert "journal-sync" in [thread.name for thread in threading.enumerate()]
    assert "journal-sync" not in [thread.name for thread in threading.enumerate()]


def test_a_journal_is_plain_lines_of_json(path: Path) -> None:
    write(path, 2)
    lines = path.read_text(encoding="ascii").splitlines()
    assert [json.loads(line) for line in lines] == [{"journal": 1, **HEADER}, {"index": 0}, {"index": 1}]
    assert os.stat(path).st_mode & 0o777 == 0o644
