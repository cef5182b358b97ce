"""How long a worker with 1, 20 and 100 agent packages takes from its start to its registration, on a real server.

    python benchmarks/worker_start.py [REPEATS]

Each package has a module of its own with one agent; what they have in common, livekit-agents, is imported once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.packages import Package
from openrtc.server import LocalServer

COUNTS = (1, 20, 100)
REGISTERED = "registered worker"
LIMIT_SECONDS = 120.0
MODULE = """
from livekit.agents import Agent


class Desk(Agent):
    def __init__(self):
        super().__init__(instructions="You answer.")
"""


def install_agents(folder: Path, count: int) -> str:
    """Write so many packages with an agent each; returns their names."""
    names = [f"desk-{number}" for number in range(count)]
    for name in names:
        module = name.replace("-", "_")
        Package(name=name, modules={f"{module}.py": MODULE}, agents={name: f"{module}:Desk"}).install_into(folder)
    return ",".join(names)


def seconds_to_register(server: LocalServer, folder: Path, allowed: str) -> float:
    """Start a worker and return how long it took to register."""
    keys = {"LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": server.api_key, "LIVEKIT_API_SECRET": server.api_secret}
    log = folder / "worker.log"
    with log.open("wb") as output:
        began = time.monotonic()
        worker = subprocess.Popen(
            [sys.executable, "-m", "openrtc", "start", "--port", "0", "--allow", allowed],
            env=os.environ | keys | {"PYTHONPATH": str(folder)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while REGISTERED not in log.read_text(errors="replace"):
                if worker.poll() is not None or time.monotonic() - began > LIMIT_SECONDS:
                    sys.exit(log.read_text(errors="replace")[-2000:])
                time.sleep(0.01)
            return time.monotonic() - began
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait()


def main() -> None:
    """Print the table."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times: dict[int, list[float]] = {count: [] for count in COUNTS}
    with LocalServer(port=0) as server:
        for _ in range(repeats + 1):
            for count in COUNTS:
                with tempfile.TemporaryDirectory() as folder:
                    allowed = install_agents(Path(folder), count)
                    times[count].append(seconds_to_register(server, Path(folder), allowed))
    print(f"{'packages':>10}{'median, s':>14}{'least, s':>14}")
    for count, measured in times.items():
        print(f"{count:>10}{median(measured[1:]):>14.2f}{min(measured[1:]):>14.2f}")


if __name__ == "__main__":
    main()
