"""Calls the sales agent on a LiveKit server, with what is installed beside the running Python: for `noxfile.py`.

`openrtc demo` speaks in text where no speech recognition is installed; this is a call in a real room in any case.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OPENRTC = str(Path(sys.executable).parent / "openrtc")
START_SECONDS = 90
"""For the server and the worker: under two seconds each, and many times that on a busy machine."""


def choose_url() -> str:
    """Return the address of a server on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{free.getsockname()[1]}"


def wait_for_worker(log: Path) -> None:
    """Wait until the worker is registered; end the program with its log where it is not in time."""
    deadline = time.monotonic() + START_SECONDS
    while "registered worker" not in (text := log.read_text(encoding="utf-8")):
        if time.monotonic() > deadline:
            sys.exit(f"the worker did not start:\n{text}")
        time.sleep(0.2)


def place_call() -> subprocess.CompletedProcess[str]:
    """Start a server and a worker, call, and stop them again."""
    url = f"--url={choose_url()}"
    worker = [OPENRTC, "dev", "--with-server", "--offline", url, "--port=0", "--log-level=info"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "worker.log"
        with log.open("w") as output, subprocess.Popen(worker, stdout=output, stderr=output) as running:
            try:
                wait_for_worker(log)
                command = [OPENRTC, "call", "sales", "--json", url, "--say=what are the prices"]
                return subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", timeout=120, check=False)
            finally:
                running.send_signal(signal.SIGINT)


def main() -> int:
    """Place the call, print what came of it, and return the exit code."""
    done = place_call()
    print(done.stdout)
    if importlib.util.find_spec("pocketsphinx"):
        return done.returncode
    print("no speech recognition for this Python: the agent must greet, but cannot answer")
    return 0 if json.loads(done.stdout or "{}").get("greeting") else 1


if __name__ == "__main__":
    sys.exit(main())
