"""Opening files of accounting: plain or gzip (told by their first bytes), without a BOM."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from sim.errors import DataError

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading; what is compressed is read decompressed, a BOM is skipped.

    Reading inside the block may raise what the block turns into a refusal of the file.

    Raises:
        DataError: When the file is missing, empty or unreadable, or its compressed data are
            damaged or cut off.
    """
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError("no such file", str(path), "a file of accounting", path.name, near)
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == _GZIP
            inner = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)))
            stream = inner if packed else raw
            begin = stream.peek(3)[:3]
            if not begin:
                raise DataError("the file is empty", str(path), "rows of accounting")
            if begin[:2] in _UTF_16:
                raise DataError("UTF-16", str(path), "a text in UTF-8")
            if begin == _BOM:
                stream.read(3)
            yield cast(BinaryIO, stream)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        expected = "a whole file; decompress it by hand to use what is left of it"
        raise DataError("damaged or cut off gzip", str(path), expected, str(error)) from None
    except OSError as error:
        what = f"cannot be read, {error.strerror or error}"
        raise DataError(what, str(path), "a readable file") from None


LONGEST_LINE = 1_000_000  # bytes; assumed: no row of accounting is longer
BLOCK = 1 << 23  # bytes read at a time unless said otherwise


def blocks_of_lines(stream: BinaryIO, size: int | None = None) -> Iterator[tuple[bytes, bool]]:
    r"""Cut a stream at line ends, holding one block at a time.

    Line ends become `\n`, whatever they were (`\r\n` or `\n`). Of a line that is too long only the
    beginning is kept, `LONGEST_LINE` bytes and one more.

    Yields:
        Whole lines, and whether the last of them had no line end in the file (one is added).
    """
    rest, skipping = b"", False
    while piece := stream.read(size or BLOCK):
        if skipping:  # the remainder of a line that is too long
            _, found, piece = piece.partition(b"\n")
            if not found:
                continue
            yield rest + b"\n", False
            rest, skipping = b"", False
        whole, found, tail = piece.rpartition(b"\n")
        if found:
            yield (rest + whole + b"\n").replace(b"\r\n", b"\n"), False
            rest = tail
        else:
            rest += tail
        if len(rest) > LONGEST_LINE:
            rest, skipping = rest[: LONGEST_LINE + 1], True
    if rest:
        yield rest.removesuffix(b"\r") + b"\n", True
