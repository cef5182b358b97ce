"""Cold start of commands, as a ratio to importing libraries that show and find such things: rich, importlib_metadata.

    python benchmarks/cold_start.py [RUNS]

All commands are run in turn, so that the machine's mood is the same for all; a figure is the ratio of the smallest CPU
times (user and system) and, in parentheses, of the medians. `llm plugins`, `datasette plugins` and `tox --version` are
measured too where they are installed beside this Python. The fake distributions have entry points of other groups, as
most installed packages have. Bytecode is cached, as pip leaves it. Below, the ``--help`` of commands, as a ratio to
``python -c "import argparse"``.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

BASELINE = [sys.executable, "-c", "import rich.table, rich.console, importlib_metadata"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "list-agents": [sys.executable, "-m", "openrtc", "list-agents"],
    "list-agents --json": [sys.executable, "-m", "openrtc", "list-agents", "--json"],
    "route --room r": [sys.executable, "-m", "openrtc", "route", "--room", "r"],
}
OTHERS = ("llm plugins", "datasette plugins", "tox --version")
PARSER = "import argparse"
HELPS = ("", "list-agents", "call", "dev", "start", "dispatch create")
DISTRIBUTIONS = (20, 300, 1000)


def main() -> None:
    """Print the table: a line for each command, a column for each number of distributions."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    commands = {"(the libraries)": BASELINE, **COMMANDS, **dict(commands_with_packages())}
    columns = []
    for count in DISTRIBUTIONS:
        with tempfile.TemporaryDirectory() as folder:
            install_fakes(Path(folder), count)
            columns.append(measure(commands, folder, runs))
    print(f"{'distributions added':>20}" + "".join(f"{count:>16}" for count in DISTRIBUTIONS))
    for name in commands:
        print(f"{name:>20}" + "".join(f"{ratio(column, name):>16}" for column in columns))
    milliseconds = min(columns[0]["(the libraries)"]) * 1000
    print(f"(the libraries): {milliseconds:.0f} ms of CPU")
    with tempfile.TemporaryDirectory() as folder:
        helps = {f"{name} --help".strip(): [sys.executable, "-m", "openrtc", *name.split(), "--help"] for name in HELPS}
        times = measure({PARSER: [sys.executable, "-c", PARSER], **helps}, folder, runs)
    for name in times:
        print(f"{name:>24}{ratio(times, name, PARSER):>16}")


def commands_with_packages() -> Iterator[tuple[str, list[str]]]:
    """Return the other tools' commands that are installed beside this Python."""
    for line in OTHERS:
        tool, *options = line.split()
        if path := shutil.which(tool, path=str(Path(sys.executable).parent)):
            yield line, [path, *options]


def install_fakes(folder: Path, count: int) -> None:
    """Write so many distributions, of which one in three has entry points."""
    for number in range(count):
        info = folder / f"fake_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fake-{number}\nVersion: 1.0\n\n" + "text\n" * 200)
        if number % 3 == 0:
            (info / "entry_points.txt").write_text(f"[console_scripts]\nfake-{number} = fake:main\n")


def measure(commands: Mapping[str, list[str]], folder: str, runs: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each run of each command."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = folder
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            times[name].append(cpu_seconds(command, environment))
    return {name: values[1:] for name, values in times.items()}  # the first run wrote the bytecode


def ratio(times: Mapping[str, list[float]], name: str, baseline: str = "(the libraries)") -> str:
    """Return how much CPU a command takes for each second of the baseline: by the minimums and by the medians."""
    base = times[baseline]
    median = statistics.median(times[name]) / statistics.median(base)
    return f"{min(times[name]) / min(base):.2f} ({median:.2f})"


def cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """Run a command and return the CPU time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
