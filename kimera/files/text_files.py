"""Files of text, perhaps gzipped: in which encoding they are, and their lines.

UTF-8 is what a file is taken for unless a byte-order mark, its NULs or its bytes say otherwise. Bytes that
are not valid in the encoding come as `_STRAY_BYTE`s, so that one bad row is one row's fault.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import IO, cast

from kimera.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
# What a file may be in when it is not Unicode: what spreadsheets and editors of many countries write.
# charset-normalizer takes more, and then short texts fit far too many.
_EAST_ASIAN = ("cp932", "gb18030", "big5", "cp949")
_LEGACY = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "koi8_r"),
    *_EAST_ASIAN,
)
_WESTERN = "cp1252"  # of Latin-1 a superset where texts are concerned
_TITLES = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32"}
_BLOCK = 1 << 20  # bytes
_PIECE = 1 << 17  # characters
_SAMPLE = 1 << 16
_STRAY_BYTE = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of a byte that is not valid
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")  # what cp932 makes of most single bytes of Latin letters
_MARKS = (  # UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec of Python's, and what to say of how it was found ("" where that goes without saying)."""

    codec: str = "utf-8-sig"
    note: str = ""

    @property
    def title(self) -> str:
        return _TITLES.get(self.codec, re.sub(r"^cp(?=125\d$)", "windows-", self.codec))


@contextmanager
def open_binary(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The file's content, unpacked. Raises UserError, also in the block, if it cannot be read."""
    try:
        packed = path.suffix.lower() == ".gz" or is_gzip(path)
        with gzip.open(path) if packed else path.open("rb") as file:
            yield cast(IO[bytes], file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{name}: the gzip data is broken ({error}); fetch or pack the file again") from error
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror or error}") from error


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def find_encoding(path: Path, name: str, stated: str | None = None) -> Encoding:
    """The encoding of a file, which is read through if it begins without a mark.

    stated: by the user; a byte-order mark is left out all the same. Raises UserError if there is none such.
    """
    if stated:
        return Encoding(_codec(stated))
    try:
        with open_binary(path, name) as file:
            return _encoding_of(file)
    except UserError:  # whoever reads the lines can say at which one it breaks
        return Encoding()


def _encoding_of(file: IO[bytes]) -> Encoding:
    start = file.read(4096)
    if marked := next((codec for mark, codec in _MARKS if start.startswith(mark)), ""):
        encoding = Encoding(marked)
        return encoding if marked == "utf-8-sig" else Encoding(marked, f"read as {encoding.title}")
    if wide := _without_mark(start):
        return Encoding(
            wide, f"read as {wide.upper()}, as its NUL bytes suggest (set it with --encoding NAME)"
        )
    return _narrow_encoding(start, file)


def _codec(stated: str) -> str:
    try:
        codec = codecs.lookup(stated).name
        "".encode(codec)  # not of the codecs from bytes to bytes, as gzip's
    except (LookupError, ValueError) as error:
        raise UserError(
            f"--encoding {stated}: no such encoding; give, say, utf-8, windows-1252, latin-1 or utf-16"
        ) from error
    return "utf-8-sig" if codec == "utf-8" else codec


def _without_mark(start: bytes) -> str:
    """UTF-16 of texts that are mostly Latin has a NUL in every other byte."""
    half = len(start) // 2
    if half < 2:
        return ""
    high_first, low_first = (start[at::2].count(0) / half for at in (0, 1))
    if max(high_first, low_first) < 0.4 or min(high_first, low_first) > 0.1:
        return ""
    return "utf-16-be" if high_first > low_first else "utf-16-le"


def _narrow_encoding(start: bytes, file: IO[bytes]) -> Encoding:
    """UTF-8, unless most of what is not ASCII is not valid in it: then whatever it looks like."""
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    valid = stray = 0
    sample = bytearray()
    for block in chain((start,), iter(partial(file.read, _BLOCK), b"")):
        if block.isascii():
            continue
        text = decode(block)
        strays = len(_STRAY_BYTE.findall(text))
        stray += strays
        valid += len(text) - len(text.encode("ascii", "ignore")) - strays
        if len(sample) < _SAMPLE:
            telling = (line for line in BytesIO(block) if not line.isascii())
            sample += b"".join(telling)[: _SAMPLE - len(sample)]
    return Encoding() if stray <= valid else _guess(bytes(sample))


def _guess(sample: bytes) -> Encoding:
    """By charset-normalizer; where Windows-1252 fits as well as the best, it is the likeliest by far."""
    from charset_normalizer import from_bytes  # takes a while, and few files need it

    matches = [
        match
        for match in from_bytes(sample, cp_isolation=list(_LEGACY))
        if match.encoding not in _EAST_ASIAN or _is_running(sample.decode(match.encoding, "replace"))
    ]
    by_codec = {match.encoding: match for match in matches}
    western, best = by_codec.get(_WESTERN), matches[0] if matches else None
    if (
        best is None
        or (western and western.chaos <= best.chaos and western.coherence >= best.coherence)
        or (best.encoding != _WESTERN and _same_text(sample, best.encoding))
    ):
        codec = _WESTERN
    else:
        codec = best.encoding
    title = Encoding(codec).title
    return Encoding(codec, f"is not UTF-8; read as {title}, which is a guess (set it with --encoding NAME)")


def _is_running(text: str) -> bool:
    """Whether most characters beyond ASCII stand together, as in texts of East Asia.

    One of them among Latin letters is an accent or an apostrophe of another encoding.
    """
    runs = _NOT_ASCII.findall(_HALF_WIDTH.sub("", text))
    return 2 * sum(len(run) for run in runs if len(run) > 1) > sum(map(len, _NOT_ASCII.findall(text)))


def _same_text(sample: bytes, codec: str) -> bool:
    return sample.decode(codec, "replace") == sample.decode(_WESTERN, "replace")


def text_lines(path: Path, encoding: Encoding, name: str, newline: str = "") -> Generator[str]:
    """Lines with their ends, as TextIOWrapper's `newline` has them; a byte-order mark is left out."""
    return _pieces(path, encoding, name, newline, lambda file: file)


def text_blocks(path: Path, encoding: Encoding, name: str) -> Generator[str]:
    """The text in pieces of bounded size, which do not end where lines do."""
    return _pieces(path, encoding, name, "\n", lambda file: iter(partial(file.read, _PIECE), ""))


def text_head(path: Path, encoding: Encoding, name: str) -> str:
    """What a file begins with."""
    with closing(text_blocks(path, encoding, name)) as blocks:
        return next(blocks, "")


def _pieces(
    path: Path,
    encoding: Encoding,
    name: str,
    newline: str,
    pieces_of: Callable[[TextIOWrapper], Iterable[str]],
) -> Generator[str]:
    number = 0
    # What is half of a character in UTF-16 and 32 cannot be escaped as a byte can.
    errors = "surrogatepass" if encoding.codec.startswith(("utf-16", "utf-32")) else "surrogateescape"
    try:
        with (
            open_binary(path, name) as binary,
            TextIOWrapper(binary, encoding=encoding.codec, errors=errors, newline=newline) as text,
        ):
            for piece in pieces_of(text):
                yield piece.removeprefix("\ufeff") if not number else piece
                number += piece.count("\n") or 1
    except UnicodeError as error:
        raise UserError(
            f"{name}: is not {encoding.title} after line {number} ({error}); name its encoding with "
            "--encoding"
        ) from error
    except UserError as error:  # of the file: at which line it broke
        raise UserError(_at_line(str(error), number)) from error


def _at_line(message: str, number: int) -> str:
    for fault in ("the gzip data is broken", "cannot be read"):
        message = message.replace(fault, f"{fault} after line {number}", 1)
    return message


def not_valid(text: str, encoding: Encoding) -> str:
    """The fault of a text with bytes that its encoding does not know, or ""."""
    stray = _STRAY_BYTE.search(text)
    if stray is None:
        return ""
    remedy = (
        "save the file as UTF-8, or name its encoding with --encoding"
        if encoding.codec == "utf-8-sig"
        else "name the file's encoding with --encoding"
    )
    return f"the byte 0x{ord(stray[0]) - 0xDC00:02x} is not valid {encoding.title}; {remedy}"
