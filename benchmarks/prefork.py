"""What a further worker costs: forked from a process that has loaded everything, against started separately.

Usage: ``python benchmarks/prefork.py [--workers 4]``. Linux only (``/proc/*/smaps_rollup``).
It starts a LiveKit server on this machine. The agents are those that are installed here.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from openrtc.server import LocalServer

SETTLE_SECONDS = 5.0
REGISTERED = re.compile(r"worker (\d+) \(pid (\d+)\) is registered, ([0-9.]+) s")


def main() -> None:
    """Print a table: the first worker, a further one, and one that is started again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4)
    args = parser.parse_args()
    with LocalServer(port=0) as server, tempfile.TemporaryDirectory() as folder:
        connection = {"LIVEKIT_URL": server.url, "LIVEKIT_API_KEY": server.api_key}
        environ = {**os.environ, **connection, "LIVEKIT_API_SECRET": server.api_secret}
        print(f"{'':24}{'private MB':>12}{'PSS MB':>10}{'registered after s':>22}")
        measure_separate_workers(environ, Path(folder))
        measure_forked_workers(environ, Path(folder), args.workers)


def measure_separate_workers(environ: dict[str, str], folder: Path) -> None:
    """Measure two workers that are started separately."""
    with started(environ, folder / "one") as one, started(environ, folder / "two") as two:
        began = [time.monotonic(), time.monotonic()]
        after = [wait_for(log, "registered worker") - begin for (_, log), begin in zip((one, two), began, strict=True)]
        time.sleep(SETTLE_SECONDS)
        row("started separately", [one[0].pid, two[0].pid], after)


def measure_forked_workers(environ: dict[str, str], folder: Path, workers: int) -> None:
    """Measure the workers of one supervisor, and some that are started again."""
    with started(environ, folder / "many", "--processes", str(workers)) as (supervisor, log):
        wait_for(log, "is registered", workers)
        time.sleep(SETTLE_SECONDS)
        pids = {int(number): int(pid) for number, pid, _ in REGISTERED.findall(log.read_text())}
        row("supervisor", [supervisor.pid], [])
        row("parent of the workers", [psutil.Process(pids[0]).ppid()], [])
        row(f"forked, each of {workers}", list(pids.values()), seconds(log)[:workers])
        row("all processes together", [supervisor.pid, psutil.Process(pids[0]).ppid(), *pids.values()], [], sum)
        os.kill(pids[0], signal.SIGKILL)
        wait_for(log, "is registered", workers + 1)
        time.sleep(SETTLE_SECONDS)
        again = [int(pid) for _, pid, _ in REGISTERED.findall(log.read_text())][-1]
        row("forked again, on its own", [again], seconds(log)[workers:])


@contextmanager
def started(environ: dict[str, str], log: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run ``openrtc start`` with its output in ``log``."""
    with log.open("wb") as output:
        command = [sys.executable, "-m", "openrtc", "start", "--port", "0", *options]
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(log: Path, text: str, count: int = 1, timeout: float = 120.0) -> float:
    """Wait until ``text`` stands ``count`` times in a log; returns the time on the monotonic clock."""
    until = time.monotonic() + timeout
    while log.read_text().count(text) < count:
        if time.monotonic() > until:
            raise SystemExit(f"{text!r} did not come:\n{log.read_text()}")
        time.sleep(0.01)
    return time.monotonic()


def seconds(log: Path) -> list[float]:
    """Return how long each worker took from its start until it was registered."""
    return [float(after) for _, _, after in REGISTERED.findall(log.read_text())]


def row(
    name: str, pids: list[int], after: list[float], together: Callable[[Iterable[float]], float] = statistics.median
) -> None:
    """Print one line: the median over the processes, or their sum."""
    memory = [memory_of(pid) for pid in pids]
    private, pss = together([one[0] for one in memory]), together([one[1] for one in memory])
    print(f"{name:24}{private:12.1f}{pss:10.1f}{', '.join(f'{one:.2f}' for one in after):>22}")


def memory_of(pid: int) -> tuple[float, float]:
    """Return the private memory and the proportional share of a process, in MB."""
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE))
    return (int(found["Private_Clean"]) + int(found["Private_Dirty"])) / 1024, int(found["Pss"]) / 1024


if __name__ == "__main__":
    main()
