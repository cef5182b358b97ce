"""A process of this package that answers requests: a JSON line and bytes in, a JSON line and bytes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

TESTS = Path(__file__).resolve().parent.parent


def environment(*folders: Path, **variables: str) -> dict[str, str]:
    """Return this process's environment, with this package, and ``folders`` before it, on the Python path."""
    paths = [str(folder) for folder in folders] + [str(TESTS), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)} | variables


def read_message(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Return the next message, or None at the end."""
    line = stream.readline()
    if not line:
        return None
    head = json.loads(line)
    return head, stream.read(head.pop("bytes"))


def write_message(stream: IO[bytes], head: dict[str, Any], body: bytes = b"") -> None:
    """Write one message."""
    stream.write(json.dumps(head | {"bytes": len(body)}).encode() + b"\n" + body)
    stream.flush()


class Child:
    """The process, started with the first request, one request at a time.

    Args:
        module: What ``python -m`` runs.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, head: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Return the answer to a request.

        Raises:
            RuntimeError: The process has ended.
        """
        with self._lock:
            stdin, stdout = self._pipes()
            write_message(stdin, head, body)
            answer = read_message(stdout)
        if answer is None:
            raise RuntimeError(f"{self._module} has ended without an answer")
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process:
            for pipe in self._pipes():
                pipe.close()
            self._process.wait(10)
            self._process = None

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        self._process = self._process or subprocess.Popen(
            [sys.executable, "-m", self._module], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process was started without pipes")
        return stdin, stdout
