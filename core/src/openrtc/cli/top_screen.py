"""How `openrtc top` looks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

WIDE = 110
"""Columns from which on the rule that chose the agent, and more of each worker, is shown."""

SLOW, TOO_SLOW = 1.2, 2.0
"""Seconds to an answer that callers notice, and that they do not wait for."""

BAR = 8


class Column(NamedTuple):
    """A column of a table: one of words gives way where the terminal is narrow, one of figures does not."""

    title: str
    words: bool = False
    wide: bool = False


WORKER_COLUMNS = (
    Column("Worker"),
    Column("State", words=True),
    Column("Isolation", words=True, wide=True),
    Column("Name", words=True, wide=True),
    Column("Calls"),
    Column("Load"),
    Column("Lag"),
    Column("Memory"),
    Column("Served", wide=True),
    Column("Failed", wide=True),
    Column("Rejected"),
    Column("Up"),
)
CALL_COLUMNS = (
    Column("Room", words=True),
    Column("Agent", words=True),
    Column("Rule", words=True, wide=True),
    Column("Package", words=True, wide=True),
    Column("Worker", wide=True),
    Column("Age"),
    Column("Turns"),
    Column("Latency"),
    Column("CPU"),
    Column("Blocked"),
    Column("Errors", wide=True),
)


def screen(workers: Sequence[dict[str, Any]], width: int, *, live: bool = False) -> RenderableType:
    """Return what is shown: a table of workers, and a table of calls.

    Args:
        workers: Their snapshots.
        width: Columns of the terminal.
        live: Whether it is shown again and again.
    """
    calls = [(worker, call) for worker in workers for call in worker["calls"]]
    parts: list[RenderableType] = [
        _head(workers, len(calls), live),
        Text(),
        _table(WORKER_COLUMNS, width, map(_worker, workers)),
    ]
    if calls:
        parts += [Text(), _table(CALL_COLUMNS, width, (_call(worker, call) for worker, call in calls))]
    else:
        parts += [Text(), Text("no call is live", style="dim")]
    return Group(*parts)


def _head(workers: Sequence[dict[str, Any]], calls: int, live: bool) -> Text:
    head = Text.assemble(
        ("openrtc top", "bold"), f"   {_counted(len(workers), 'worker')}, {_counted(calls, 'call')}", style="default"
    )
    if live:
        head.append(f"   {time.strftime('%H:%M:%S')}   Ctrl-C ends", style="dim")
    return head


def _table(columns: Sequence[Column], width: int, rows: Iterable[list[Text]]) -> Table:
    shown = [number for number, column in enumerate(columns) if width >= WIDE or not column.wide]
    filled = [[Text(columns[number].title) for number in range(len(columns))], *rows]
    gap = 2 if width >= WIDE else 1  # beside the one that the box has between two columns
    widths = _widths(columns, shown, filled, width - (gap + 1) * len(shown))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), show_edge=False)
    for number in shown:
        table.add_column(
            columns[number].title,
            justify="left" if columns[number].words else "right",
            no_wrap=True,
            overflow="ellipsis",
            width=widths[number],
            style="bold" if number == 0 else "",
        )
    for row in filled[1:]:
        table.add_row(*(row[number] for number in shown))
    return table


def _widths(columns: Sequence[Column], shown: list[int], rows: list[list[Text]], room: int) -> dict[int, int]:
    """Return the width of each column that is shown: figures as wide as they are, words within what is left."""
    longest = {number: max(len(row[number].plain) for row in rows) for number in shown}
    words = {number: longest[number] for number in shown if columns[number].words}
    return longest | _fitted(words, room - sum(longest.values()) + sum(words.values()))


def _fitted(wanted: dict[int, int], room: int) -> dict[int, int]:
    """Return the widths of columns that must fit into ``room`` together: the narrow ones get all that they want."""
    fitted: dict[int, int] = {}
    for left, (number, width) in zip(
        range(len(wanted), 0, -1), sorted(wanted.items(), key=lambda one: one[1]), strict=True
    ):
        fitted[number] = max(1, min(width, room // left))
        room -= fitted[number]
    return fitted


def _worker(worker: dict[str, Any]) -> list[Text]:
    state = worker["state"]
    told = Text(
        state, style="green" if state == "ready" else "yellow" if state in ("draining", "starting") else "bold red"
    )
    if "sessions" not in worker:  # it did not answer
        return [Text(str(worker["pid"])), told, *(Text("") for _ in WORKER_COLUMNS[2:])]
    full = worker["load"] / worker["load_limit"]
    lag = worker["loop_lag_ms"]
    rejects = sum(worker["rejects"].values())
    return [
        Text(str(worker["pid"])),
        told,
        Text(worker["isolation"]),
        Text(worker["agent_name"] or "-"),
        _bar(worker["sessions"], worker["max_sessions"]),
        _warm(f"{full:.0%}", full, 0.8, 1.0),
        _warm(f"{lag:.0f} ms", lag, 50, 250),
        Text(_megabytes(worker["memory_mb"])),
        Text(str(worker["served"])),
        Text(str(worker["failed"]), style="red" if worker["failed"] else ""),
        Text(str(rejects), style="yellow" if rejects else ""),
        Text(_duration(worker["uptime_seconds"])),
    ]


def _call(worker: dict[str, Any], call: dict[str, Any]) -> list[Text]:
    latency, share, blocked = call["last_latency_seconds"], call["cpu_share"], call["blocked_ms"]
    return [
        Text(call["room"]),
        Text(call["agent"], style="cyan"),
        Text(call["rule"] or "-", style="dim"),
        Text(call["distribution"] or "-", style="dim"),
        Text(str(worker["pid"]), style="dim"),
        Text(_duration(call["age_seconds"]) if call["state"] == "live" else "joining"),
        Text(str(call["turns"])),
        Text("-", style="dim") if latency is None else _warm(f"{latency:.2f} s", latency, SLOW, TOO_SLOW),
        Text("-", style="dim") if share is None else _warm(f"{share:.1%}", share, 0.2, 0.5),
        _warm(f"{blocked:.0f} ms" if blocked else "-", blocked, 100, 1000),
        Text(str(call["errors"] or "-"), style="red" if call["errors"] else ""),
    ]


def _bar(taken: int, most: int) -> Text:
    share = min(1.0, taken / most)
    full = round(share * BAR) or (1 if taken else 0)
    style = "red" if share >= 1 else "yellow" if share >= 0.8 else "green"
    return Text.assemble(("━" * full, style), ("━" * (BAR - full), "dim"), f" {taken}/{most}")


def _warm(text: str, value: float, warm: float, hot: float) -> Text:
    return Text(text, style="bold red" if value >= hot else "yellow" if value >= warm else "")


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 86_400:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86_400} d"


def _megabytes(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
