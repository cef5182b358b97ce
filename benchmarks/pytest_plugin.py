"""What the pytest plugin of openrtc-core costs a test run that does not use it: `python benchmarks/pytest_plugin.py`.

In one fresh interpreter after another: the import of pytest, then of the plugin, and what pytest reads of the metadata
of each distribution that brings a plugin. It prints the median of each in milliseconds, and their ratio.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

RUNS = 9
_CHILD = """
import json, sys, time
began = time.perf_counter()
import pytest
imported = time.perf_counter()
import openrtc.testing.plugin
plugin = time.perf_counter()
from importlib.metadata import distribution
ours = distribution("openrtc-core")
files = time.perf_counter()
known = [str(file) for file in ours.files or ()]
read = time.perf_counter()
print(json.dumps({"pytest": imported - began, "plugin": plugin - imported, "metadata": read - files}))
"""


def main() -> None:
    """Measure, and print."""
    runs = [_measure() for _ in range(RUNS)]
    medians = {name: statistics.median(run[name] for run in runs) * 1000 for name in runs[0]}
    ours = medians["plugin"] + medians["metadata"]
    for name, ms in medians.items():
        print(f"{name:9} {ms:7.2f} ms")
    print(f"ours      {ours:7.2f} ms, {ours / medians['pytest']:.1%} of the import of pytest")


def _measure() -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
