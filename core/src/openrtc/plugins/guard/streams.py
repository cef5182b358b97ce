"""`PackageStreams`: streams for a package's code, so that OpenRTC's own stay open, unwrapped and clean.

Packages wrap ``sys.stdout``, close it, set its encoding, or point the descriptors below it somewhere else. What they
get here are streams of their own: both write to standard error, since standard output may be a document, and what
keeps one of them can use it for ever, whatever else becomes of the others.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass

from openrtc.posix import is_blocking

_NAMES = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
_DESCRIPTORS = {0: "standard input", 1: "standard output", 2: "standard error"}


class PackageStreams:
    """Stands for all streams from the beginning to the end of a package's code."""

    def __init__(self) -> None:
        self._before = {name: getattr(sys, name) for name in _NAMES}
        self._kept = {number: copy for number in _DESCRIPTORS if (copy := _Copy.of(number))}
        for name in _NAMES[1:3]:
            _flush(self._before[name])  # what was printed before comes before what the package prints
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        inputs, outputs = _open_input(), [_open_output(2, encoding) for _ in range(2)]
        self._given = dict(zip(_NAMES, [inputs, *outputs] * 2, strict=True))
        for name, stream in self._given.items():
            setattr(sys, name, stream)

    def restore(self) -> list[str]:
        """Put everything back; returns what was not as it had been given."""
        found = {name: getattr(sys, name, None) for name in _NAMES}
        for stream in (*found.values(), *self._given.values()):
            _flush(stream)
        for name, stream in self._before.items():
            setattr(sys, name, stream)
        replaced = [f"sys.{name}" for name in _NAMES if found[name] is not self._given[name]]
        return replaced + [_DESCRIPTORS[number] for number, copy in self._kept.items() if copy.put_back(number)]


class _OwnText(io.TextIOWrapper):
    """A text stream that stays usable: another one that wraps its buffer closes that when it is collected."""

    def close(self) -> None:
        """Write what is buffered."""
        _flush(self)

    def detach(self) -> io.BufferedIOBase:  # type: ignore[override]  # typeshed: BinaryIO
        """Return the buffer, and keep it."""
        _flush(self)
        return self.buffer  # type: ignore[return-value]  # as above


class _OwnBuffer(io.BufferedWriter):
    def close(self) -> None:
        """Write what is buffered."""
        _flush(self)

    def detach(self) -> io.RawIOBase:
        """Return the file, and keep it."""
        _flush(self)
        return self.raw  # type: ignore[return-value]  # typeshed has another name for it


class _OwnFile(io.FileIO):
    def close(self) -> None:
        """Leave the descriptor open, which is everybody's."""


def keep_streams_open() -> None:
    """Let nobody close standard output and error from now on, as whoever wraps them does when it is collected."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        try:
            usual = stream.fileno() == number
        except (AttributeError, OSError, ValueError):  # none, one that is no file, or a closed one
            continue
        if usual and not isinstance(stream, _OwnText):
            _flush(stream)
            own = _open_output(number, stream.encoding)
            setattr(sys, name, own)
            setattr(sys, f"__{name}__", own)


def _open_output(number: int, encoding: str) -> _OwnText:
    return _OwnText(
        _OwnBuffer(_OwnFile(number if _is_open(number) else _open_nothing(), "w", closefd=False)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=True,
    )


def _open_input() -> io.TextIOWrapper:
    # Empty: an import must not wait for keys, nor take what a command reads from its standard input.
    return open(_open_nothing(), encoding="utf-8", closefd=False)


_nothing: int | None = None


def _open_nothing() -> int:
    """Return the descriptor of the null device, one for the whole process: whoever keeps a stream may go on with it."""
    global _nothing
    if _nothing is None or not _is_open(_nothing):
        _nothing = os.open(os.devnull, os.O_RDWR)
    return _nothing


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Copy:
    """What a descriptor was."""

    number: int
    blocking: bool

    @classmethod
    def of(cls, number: int) -> _Copy | None:
        try:
            return cls(os.dup(number), is_blocking(number))
        except OSError:  # it is closed
            return None

    def put_back(self, number: int) -> bool:
        """Let the descriptor be what it was; returns whether it was not."""
        try:
            same = _is_open(number) and os.path.samestat(os.fstat(number), os.fstat(self.number))
            if not same:
                os.dup2(self.number, number)
            # One that does not block loses log lines whenever their reader is slower than they are written.
            unblocked = is_blocking(number) != self.blocking
            if unblocked:
                os.set_blocking(number, self.blocking)
            os.close(self.number)
        except OSError:  # the package has closed the copy, too
            return True
        return unblocked or not same


def _flush(stream: object) -> None:
    with contextlib.suppress(Exception):  # a package's own stream, or one that is closed
        stream.flush()  # type: ignore[attr-defined]  # what has none is left alone
