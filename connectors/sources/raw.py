"""A file as a stream of bytes or text, gunzipped and decoded on the way, so that it need not fit into memory."""

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from connectors.sources.errors import SourceError
from connectors.sources.schema import Format

_BLOCK = 1 << 20  # characters read at a time
_LONGEST = 64 << 20  # characters of lines held at once, however few lines they are


class Raw(NamedTuple):
    """A file that can be read from its beginning as often as one likes.

    Args:
        path: for messages, and to be opened.
        content: its bytes where they can be had only once (a pipe), else None.
    """

    path: Path
    content: bytes | None

    @contextlib.contextmanager
    def opened(self) -> Iterator["io.BufferedReader[Any]"]:
        """Its bytes, gunzipped.

        Raises:
            SourceError: it cannot be read, or is damaged as a gzip file, then or later.
        """
        try:
            with self._plain() as stream:
                if not is_packed(stream):
                    yield stream
                    return
                with gzip.open(stream, "rb") as unpacked, io.BufferedReader(unpacked) as buffered:
                    yield buffered
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{self.path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def is_plain_file(self) -> bool:
        """Whether other programs find its bytes at its path as they are given here."""
        if self.content is not None:
            return False
        with self._plain() as stream:
            return not is_packed(stream)

    def _plain(self) -> io.BufferedReader:
        return self.path.open("rb") if self.content is None else io.BufferedReader(io.BytesIO(self.content))


def is_packed(stream: io.BufferedReader) -> bool:
    """Whether gzip's mark stands first; the stream stays where it is."""
    return stream.peek(2)[:2] == b"\x1f\x8b"


class Source(NamedTuple):
    """What is known of a file before its rows are read.

    Args:
        rows: about how many it has: lines of a text, rows of a Parquet file.
        damaged: some bytes cannot be decoded.
    """

    raw: Raw
    format: Format
    encoding: str
    rows: int
    damaged: bool

    @property
    def path(self) -> Path:
        return self.raw.path

    @contextlib.contextmanager
    def text(self, newline: str) -> Iterator[io.TextIOWrapper]:
        """The file's text; U+FFFD stands for what cannot be decoded.

        Args:
            newline: as for `open`.
        """
        with self.raw.opened() as stream:
            # Damage has been found already: where there is none, nothing is replaced.
            with io.TextIOWrapper(stream, encoding=self.encoding, errors="replace", newline=newline) as text:
                yield text


def blocks(stream: io.TextIOWrapper, rows: int) -> Iterator[list[str]]:
    """The lines of a text with their ends, about `rows` at a time, fewer where they are long."""
    # A step is no more than the lines asked for, even when they are short.
    step = min(_BLOCK, rows * 16)
    while lines := stream.readlines(step):
        length = step
        while len(lines) < rows and length < _LONGEST and (more := stream.readlines(step)):
            lines += more
            length += step
        yield lines
