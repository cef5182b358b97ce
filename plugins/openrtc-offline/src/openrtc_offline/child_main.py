"""What every child process does: answer messages on stdin until the worker is gone."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from openrtc_offline.framing import Message, read_message, write_message

Answer = Callable[[dict[str, Any], bytes], Message]


def serve(start: Callable[[], Answer]) -> None:
    """Answer messages on stdin with messages on stdout; a failure to answer is told, and ends nothing.

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
        write_message(replies, *_answered(answer, header, payload))


def _answered(answer: Answer, header: dict[str, Any], payload: bytes) -> Message:
    try:
        return answer(header, payload)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}, b""


def _end_with_parent(parent: int) -> None:
    # A fork of the worker can hold stdin open after the worker has died.
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
