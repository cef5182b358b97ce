"""What runs in every child process, and the messages between it and the worker.

A message is a JSON header and raw bytes, each with its length before it.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

PARENT_CHECK_SECONDS = 1.0
"""How often a child looks whether the worker is still there."""

Message = tuple[dict[str, Any], bytes]
AnswerRequest = Callable[[dict[str, Any], bytes], Message]
"""Takes a request's header and bytes, and returns those of the answer."""

_LENGTH = struct.Struct("<I")


def serve(start: Callable[[], AnswerRequest]) -> None:
    """Answer messages on stdin with messages on stdout; a failure to answer is itself an answer, and ends nothing.

    Args:
        start: Loads what is needed and returns the function that answers.
    """
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever a library prints must not end up between two messages.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    answer = start()
    while True:
        try:
            header, payload = read_message(requests)
        except EOFError:
            return
        write_message(replies, *_answer_safely(answer, header, payload))


def write_message(stream: BinaryIO, header: dict[str, Any], payload: bytes = b"") -> None:
    """Write one message and flush it."""
    head = json.dumps(header).encode()
    stream.write(_LENGTH.pack(len(head)) + head + _LENGTH.pack(len(payload)) + payload)
    stream.flush()


def read_message(stream: BinaryIO) -> Message:
    """Read one message; raises `EOFError` when the other side is gone."""
    return json.loads(_read_part(stream)), _read_part(stream)


def _answer_safely(answer: AnswerRequest, header: dict[str, Any], payload: bytes) -> Message:
    try:
        return answer(header, payload)
    except Exception as error:  # one request that cannot be answered must not cost the others their child
        return {"error": f"{type(error).__name__}: {error}"}, b""


def _end_with_parent(parent: int) -> None:
    # A fork of the worker can hold stdin open after the worker has died: then there is no end of file.
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    os._exit(0)


def _read_part(stream: BinaryIO) -> bytes:
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    return _read_exactly(stream, length)


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError("the other process is gone")
    return data
