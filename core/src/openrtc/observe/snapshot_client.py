"""Asks every worker of this user what it does now."""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from openrtc.observe.socket_folder import is_stale, socket_folder

ANSWER_SECONDS = 2.0


def snapshots() -> list[dict[str, Any]]:
    """Return the snapshot of each worker that runs, by process id; one that does not answer has only pid and state.

    Sockets that dead workers have left are removed.
    """
    paths = sorted(socket_folder().glob("*.sock"), key=lambda path: (len(path.stem), path.stem))
    if not paths:
        return []
    with ThreadPoolExecutor(max_workers=min(16, len(paths))) as asking:
        return [answer for answer in asking.map(_ask, paths) if answer is not None]


def _ask(path: Path) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads(_read(path))
        return answer
    except (ConnectionRefusedError, FileNotFoundError):
        if is_stale(path):
            path.unlink(missing_ok=True)
        return None
    except (OSError, ValueError):
        pid = int(path.stem) if path.stem.isdigit() else 0
        return {"pid": pid, "state": "does not answer", "calls": []} if _runs(pid) else None


def _read(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(ANSWER_SECONDS)
        client.connect(str(path))
        parts = []
        while part := client.recv(65536):
            parts.append(part)
        return b"".join(parts)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
