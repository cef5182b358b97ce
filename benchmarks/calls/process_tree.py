"""CPU and memory of a process and all its descendants, from Linux's /proc."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")

ThreadTimes = Mapping[tuple[int, int], tuple[str, float]]


def processes_of(root: int) -> list[int]:
    """Return the process ids of a tree."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := _stat(folder)):
            children[int(fields[1])].append(int(folder.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if (PROC / str(pid)).exists():
            found.append(pid)
            todo += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """Return the CPU seconds of a tree, with those of the children that have ended and were waited for."""
    return sum(sum(map(int, fields[11:15])) / TICKS for pid in processes_of(root) if (fields := _stat(PROC / str(pid))))


def memory_mb(root: int) -> dict[str, float]:
    """Return the tree's proportional and private memory in MB."""
    total: dict[str, int] = defaultdict(int)
    for pid in processes_of(root):
        for name, kb in re.findall(r"^(\w+):\s+(\d+) kB", _read(PROC / f"{pid}/smaps_rollup"), re.MULTILINE):
            total[name] += int(kb)
    return {"pss": total["Pss"] / 1024, "private": (total["Private_Clean"] + total["Private_Dirty"]) / 1024}


def thread_times(root: int) -> ThreadTimes:
    """Return name and CPU seconds of each thread of a tree."""
    times: dict[tuple[int, int], tuple[str, float]] = {}
    for pid in processes_of(root):
        for task in _tasks(pid):
            ran = _read(task / "schedstat").split()
            if ran:
                name = "main" if task.name == str(pid) else _read(task / "comm").strip()
                times[pid, int(task.name)] = (name, int(ran[0]) / 1e9)
    return times


def between(before: ThreadTimes, after: ThreadTimes) -> dict[str, float]:
    """Return the CPU seconds by thread name that were spent between two looks; the largest first."""
    spent: dict[str, float] = defaultdict(float)
    for key, (name, seconds) in after.items():
        spent[re.sub(r"[\d#-]+$", "", name)] += seconds - before.get(key, (name, 0.0))[1]
    return {name: round(spent[name], 2) for name in sorted(spent, key=lambda n: -spent[n]) if spent[name] > 0.01}


def machine_busy(before: list[int], after: list[int]) -> float:
    """Return which share of the machine's CPU time was spent between two calls of `machine_times`."""
    spent = [b - a for a, b in zip(before, after, strict=True)]
    return 1.0 - (spent[3] + spent[4]) / max(1, sum(spent))


def machine_times() -> list[int]:
    """Return the machine's CPU times."""
    return [int(word) for word in _read(PROC / "stat").splitlines()[0].split()[1:]]


def _tasks(pid: int) -> list[Path]:
    try:
        return list((PROC / str(pid) / "task").iterdir())
    except OSError:
        return []


def _stat(folder: Path) -> list[str]:
    text = _read(folder / "stat")
    return text[text.rindex(")") + 2 :].split() if text else []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # it has ended meanwhile
