"""What the runs have shown: a table, a plot and JSON."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median

from measure import Result

COLUMNS = (
    "calls", "worker", "runs", "CPU s a call-minute", "CPU / callers' CPU", "of process", "MB a call", "idle MB",
    "start s", "reply p50/p95 s", "in worker p50/p95 s", "lost", "holes", "lag p99 ms", "machine busy",
)  # fmt: skip
BASE = "process"


def table(results: Sequence[Result]) -> str:
    """Return all results as a table in Markdown, the means of repeats with their spread."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for calls, worker in dict.fromkeys((result.calls, result.worker) for result in results):
        runs = [result for result in results if (result.calls, result.worker) == (calls, worker)]
        base = [result.relative for result in results if (result.calls, result.worker) == (calls, BASE)]
        lines.append("| " + " | ".join(_cells(calls, worker, runs, base)) + " |")
    return "\n".join(lines)


def _cells(calls: int, worker: str, runs: Sequence[Result], base: Sequence[float]) -> list[str]:
    replies = [reply for run in runs for reply in run.replies]
    in_worker = [reply for run in runs for reply in run.in_worker]
    lags = [lag for run in runs for lag in run.lags]
    ratio = f"{mean(run.relative for run in runs) / mean(base):.2f}" if base else "–"
    return [
        str(calls),
        worker,
        str(len(runs)),
        _spread(runs, lambda run: run.cpu),
        _spread(runs, lambda run: run.relative),
        ratio,
        _spread(runs, lambda run: run.memory_per_call, 1),
        f"{mean(run.idle['pss'] for run in runs):.0f}",
        f"{mean(run.start for run in runs):.1f}",
        _median_and_tail(replies),
        _median_and_tail(in_worker),
        f"{sum(run.lost for run in runs)}/{sum(run.turns for run in runs)}",
        str(sum(run.holes for run in runs)),
        f"{percentile(lags, 0.99):.0f}",
        f"{mean(run.machine_busy for run in runs):.2f}",
    ]


def _median_and_tail(seconds: Sequence[float]) -> str:
    return f"{percentile(seconds, 0.5):.2f}/{percentile(seconds, 0.95):.2f}" if seconds else "–"


def _spread(runs: Iterable[Result], value: Callable[[Result], float], digits: int = 2) -> str:
    values = [value(run) for run in runs]
    return f"{mean(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies; 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def machine() -> dict[str, str]:
    """Return what the results depend on."""
    names = ("livekit-agents", "livekit", "livekit-local-inference")
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    return {"python": platform.python_version(), "cores": str(cores)} | {name: version(name) for name in names}


def plot(results: Sequence[Result]) -> str:
    """Return the workers' CPU, relative to that of the callers, as a picture (SVG)."""
    groups = dict.fromkeys((result.calls, result.worker) for result in results)
    values = {key: [r.relative for r in results if (r.calls, r.worker) == key] for key in groups}
    largest = max(max(group) for group in values.values())
    rows = [_row(number, key, group, largest) for number, (key, group) in enumerate(values.items())]
    height = 40 + 24 * len(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{height}" font-family="sans-serif" '
        f'font-size="12"><text x="8" y="18">CPU of the worker / CPU of the callers (line: spread)</text>'
        f"{''.join(rows)}</svg>\n"
    )


def _row(number: int, key: tuple[int, str], values: Sequence[float], largest: float) -> str:
    calls, worker = key
    top, scale = 32 + 24 * number, 460 / largest
    middle = median(values)
    return (
        f'<text x="8" y="{top + 13}">{worker}, {calls} calls</text>'
        f'<rect x="190" y="{top}" width="{middle * scale:.0f}" height="16" fill="#4a7ebb"/>'
        f'<line x1="{190 + min(values) * scale:.0f}" x2="{190 + max(values) * scale:.0f}" y1="{top + 8}" '
        f'y2="{top + 8}" stroke="black"/><text x="{200 + max(values) * scale:.0f}" y="{top + 13}">{middle:.2f}</text>'
    )
