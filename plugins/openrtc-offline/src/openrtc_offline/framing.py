"""Messages between the worker and its child processes: a JSON header and raw bytes, each with its length before it."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO

Message = tuple[dict[str, Any], bytes]

_LENGTH = struct.Struct("<I")


def write_message(stream: BinaryIO, header: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message and flush it."""
    head = json.dumps(header).encode()
    stream.write(_LENGTH.pack(len(head)) + head + _LENGTH.pack(len(payload)) + payload)
    stream.flush()


def read_message(stream: BinaryIO) -> Message:
    """Read one message; raises `EOFError` when the other side is gone."""
    return json.loads(_read_part(stream)), _read_part(stream)


def _read_part(stream: BinaryIO) -> bytes:
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    return _read_exactly(stream, length)


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError("the other process is gone")
    return data
