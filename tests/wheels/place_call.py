"""Calls the sales agent on a LiveKit server, with what is installed beside the running Python: for ``nox -s wheels``.

`openrtc demo` speaks in text where no speech recognition is installed; this is a call in a real room in any case.
"""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

OPENRTC = str(Path(sys.executable).parent / "openrtc")
LOG = Path("worker.log")
START_SECONDS = 90
"""For the server and the worker: under two seconds each, and many times that on a busy machine."""


def choose_url() -> str:
    """Return the address of a server on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{free.getsockname()[1]}"


def wait_for_log(pattern: str) -> re.Match[str]:
    """Wait until the worker's log has a match, and return it; end the program with the log where none comes."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(pattern, LOG.read_text(encoding="utf-8")):
            return found
        time.sleep(0.2)
    sys.exit(f"the worker did not start:\n{LOG.read_text(encoding='utf-8')}")


def place_call() -> subprocess.CompletedProcess[str]:
    """Start a server and a worker, call, and stop them again."""
    worker = [OPENRTC, "dev", "--with-server", "--offline", f"--url={choose_url()}", "--port=0", "--log-level=info"]
    with LOG.open("w") as log, subprocess.Popen(worker, stdout=log, stderr=log) as running:
        try:
            access = wait_for_log(r"openrtc call AGENT (--url .+)")[1].split()
            wait_for_log("registered worker")
            command = [OPENRTC, "call", "sales", "--json", "--say=what are the prices", *access]
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
