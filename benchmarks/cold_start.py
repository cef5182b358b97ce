"""Cold start of `openrtc list-agents`, as a ratio to importing the libraries that it shows its table with.

    python benchmarks/cold_start.py [RUNS]

Both commands are run alternately, so that the machine's mood is the same for both; the figure is the ratio of the
smallest CPU times (user and system) and, in parentheses, of the medians. The fake distributions have entry points of
other groups, as most installed packages have. Bytecode is cached, as pip leaves it.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BASELINE = [sys.executable, "-c", "import rich.table, rich.console, importlib_metadata"]
COMMANDS = {
    "list-agents": [sys.executable, "-m", "openrtc", "list-agents"],
    "list-agents --json": [sys.executable, "-m", "openrtc", "list-agents", "--json"],
    "route --room r": [sys.executable, "-m", "openrtc", "route", "--room", "r"],
}
DISTRIBUTIONS = (0, 300, 1000)


def main() -> None:
    """Print the table."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'distributions added':>20}" + "".join(f"{name:>26}" for name in COMMANDS))
    for count in DISTRIBUTIONS:
        with tempfile.TemporaryDirectory() as folder:
            install_fakes(Path(folder), count)
            ratios = [ratio(command, folder, runs) for command in COMMANDS.values()]
        print(f"{count:>20}" + "".join(f"{least:>17.2f} ({median:.2f})" for least, median in ratios), flush=True)


def install_fakes(folder: Path, count: int) -> None:
    """Write so many distributions, of which one in three has entry points."""
    for number in range(count):
        info = folder / f"fake_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fake-{number}\nVersion: 1.0\n\n" + "text\n" * 200)
        if number % 3 == 0:
            (info / "entry_points.txt").write_text(f"[console_scripts]\nfake-{number} = fake:main\n")


def ratio(command: list[str], folder: str, runs: int) -> tuple[float, float]:
    """Return how much CPU ``command`` takes for each second of the baseline: by the minimums and by the medians."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = folder
    times: dict[str, list[float]] = {"command": [], "baseline": []}
    for _ in range(runs + 1):
        times["command"].append(cpu_seconds(command, environment))
        times["baseline"].append(cpu_seconds(BASELINE, environment))
    measured = {name: values[1:] for name, values in times.items()}  # the first run wrote the bytecode
    least = min(measured["command"]) / min(measured["baseline"])
    return least, statistics.median(measured["command"]) / statistics.median(measured["baseline"])


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """Run a command and return the CPU time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
