"""How `openrtc top` looks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from openrtc.dispatch.local_drift import read_drift
from openrtc.errors import one_line

WIDE = 110
"""Columns from which on the rule that chose the agent, and more of each worker, is shown."""

LATENCY = (1.2, 2.0)
"""Seconds to an answer that callers notice, and that they do not wait for. Like those below: yellow from, red from."""
LOAD = (0.8, 1.0)
"""Shares of the load at which the LiveKit server offers no more calls."""
LAG = (50, 250)
"""Milliseconds by which the loop runs late."""
CPU_SHARE = (0.2, 0.5)
"""Shares of one core that a single call takes."""
BLOCKED = (100, 1000)
"""Milliseconds for which a call's code has held up all others."""

BAR = 8
"""Characters of the bar that shows how many slots are taken."""


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
    Column("Beat", wide=True),
    Column("Memory"),
    Column("Served", wide=True),
    Column("Failed", wide=True),
    Column("Rejected"),
    Column("Drift"),
    Column("Up"),
)
CALL_COLUMNS = (
    Column("Room", words=True),
    Column("Call", words=True, wide=True),
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


def build_screen(workers: Sequence[dict[str, Any]], width: int, *, live: bool = False) -> RenderableType:
    """Return what is shown: a table of workers, and a table of calls.

    Args:
        workers: Their snapshots.
        width: Columns of the terminal.
        live: Whether it is shown again and again.
    """
    calls = [(worker, call) for worker in workers for call in worker["calls"]]
    parts: list[RenderableType] = [
        _build_head(workers, len(calls), live),
        Text(),
        _build_table(WORKER_COLUMNS, width, map(_worker_cells, workers)),
    ]
    for worker in workers:
        if names := worker.get("isolated"):
            text = (
                f"{worker['pid']}: {', '.join(names)} blocked the loop again and again: a process for each further call"
            )
            parts.append(_show(text, "yellow"))
        if names := worker.get("paused"):
            parts.append(_show(f"{worker['pid']}: {', '.join(names)} paused: no new calls", "yellow"))
        for name, reason in worker.get("broken", {}).items():
            parts.append(_show(f"{worker['pid']}: {name} is broken: {reason}", "red"))
        parts += [_show(f"{worker['pid']}: {drift}", "yellow") for drift in read_drift(worker)]
        for name, reason in worker.get("left_out", {}).items():
            parts.append(_show(f"{worker['pid']}: {name} is left out: {reason}", "yellow"))
        if reason := worker.get("roll_out_failed"):
            parts.append(_show(f"{worker['pid']}: the last roll-out has failed: {reason}", "red"))
        parts += [_show(f"{worker['pid']}: {line}", "yellow") for line in _list_left_behind(worker)]
        if growth := worker.get("growth_estimate"):
            parts.append(Text(f"{worker['pid']}: {_describe_growth(growth)}", style="dim"))
    if calls:
        parts += [Text(), _build_table(CALL_COLUMNS, width, (_call_cells(worker, call) for worker, call in calls))]
        parts += [_show(line[:width], "dim") for _, call in calls if (line := _describe_words(call))]
    else:
        parts += [Text(), Text("no call is live", style="dim")]
    return Group(*parts)


def _describe_words(call: dict[str, Any]) -> str:
    """Return what was said last in a call; empty where that is not shown, or nothing was said."""
    heard, said = (one_line(call.get(name) or "") for name in ("last_heard", "last_said"))
    words = "   ".join([f"heard: {heard}"] * bool(heard) + [f"said: {said}"] * bool(said))
    return f"{call['room']}   {words}" if words else ""


def _build_head(workers: Sequence[dict[str, Any]], calls: int, live: bool) -> Text:
    head = Text.assemble(
        ("openrtc top", "bold"),
        f"   {_format_count(len(workers), 'worker')}, {_format_count(calls, 'call')}",
        style="default",
    )
    if live:
        head.append(f"   {time.strftime('%H:%M:%S')}   Ctrl-C ends", style="dim")
    return head


def _list_left_behind(worker: dict[str, Any]) -> Iterator[str]:
    for name, left in worker.get("left_behind", {}).items():
        counts = [_format_count(left[kind], kind[:-1]) for kind in ("tasks", "threads", "rooms") if left[kind]]
        calls = _format_count(left["calls"], "call")
        yield f"{name or 'this program'} left {', '.join(counts)} behind in {calls}, such as {left['place']}"


def _describe_growth(growth: dict[str, Any]) -> str:
    files = growth["descriptors"]
    and_files = "" if files is None else f" and {files:+.1f} descriptors"
    return f"about {growth['memory_mb']:+.2f} MB{and_files} a call, an estimate over {growth['calls']} calls"


def _build_table(columns: Sequence[Column], width: int, rows: Iterable[list[Text]]) -> Table:
    shown = [number for number, column in enumerate(columns) if width >= WIDE or not column.wide]
    filled = [[Text(columns[number].title) for number in range(len(columns))], *rows]
    gap = 2 if width >= WIDE else 1  # beside the one that the box has between two columns
    widths = _choose_widths(columns, shown, filled, width - (gap + 1) * len(shown))
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


def _choose_widths(columns: Sequence[Column], shown: list[int], rows: list[list[Text]], room: int) -> dict[int, int]:
    """Return the width of each column that is shown: figures as wide as they are, words within what is left."""
    longest = {number: max(len(row[number].plain) for row in rows) for number in shown}
    words = {number: longest[number] for number in shown if columns[number].words}
    return longest | _fit_widths(words, room - sum(longest.values()) + sum(words.values()))


def _fit_widths(natural: dict[int, int], room: int) -> dict[int, int]:
    """Return the widths of columns that must fit into ``room`` together: the narrow ones get all that they want."""
    widths: dict[int, int] = {}
    for left, (number, width) in zip(
        range(len(natural), 0, -1), sorted(natural.items(), key=lambda one: one[1]), strict=True
    ):
        widths[number] = max(1, min(width, room // left))
        room -= widths[number]
    return widths


def _worker_cells(worker: dict[str, Any]) -> list[Text]:
    state = worker["state"]
    if state == "blocked":
        state = f"blocked for {worker['loop_beat_seconds']:.0f} s"
    state_cell = Text(
        state, style="green" if state == "ready" else "yellow" if state in ("draining", "starting") else "bold red"
    )
    if "sessions" not in worker:  # it did not answer
        return [Text(str(worker["pid"])), state_cell, *(Text("") for _ in WORKER_COLUMNS[2:])]
    full = worker["load"] / worker["load_limit"]
    # A worker of an earlier release does not say when its loop has last beaten.
    lag, beat = worker["loop_lag_ms"], worker.get("loop_beat_seconds", 0.0)
    rejects, drift = sum(worker["rejects"].values()), len(worker.get("drift", ()))
    return [
        Text(str(worker["pid"])),
        state_cell,
        _show(worker["isolation"]),
        _show(worker["agent_name"] or "-"),
        _build_bar(worker["sessions"], worker["max_sessions"]),
        _colour(f"{full:.0%}", full, LOAD),
        _colour(f"{lag:.0f} ms", lag, LAG),
        _colour(f"{beat:.1f} s", beat * 1000, LAG),
        Text(_format_megabytes(worker["memory_mb"])),
        Text(str(worker["served"])),
        Text(str(worker["failed"]), style="red" if worker["failed"] else ""),
        Text(str(rejects), style="yellow" if rejects else ""),
        Text(str(drift or "-"), style="yellow" if drift else ""),
        Text(_format_duration(worker["uptime_seconds"])),
    ]


def _call_cells(worker: dict[str, Any], call: dict[str, Any]) -> list[Text]:
    latency, share, blocked = call["last_latency_seconds"], call["cpu_share"], call["blocked_ms"]
    return [
        _show(call["room"]),
        _show(call["job_id"], "dim"),
        _show(call["agent"], "cyan"),
        _show(call["rule"] or "-", "dim"),
        _show(call["distribution"] or "-", "dim"),
        Text(str(worker["pid"]), style="dim"),
        Text(_format_duration(call["age_seconds"]) if call["state"] == "live" else call["state"]),
        Text(str(call["turns"])),
        Text("-", style="dim") if latency is None else _colour(f"{latency:.2f} s", latency, LATENCY),
        Text("-", style="dim") if share is None else _colour(f"{share:.1%}", share, CPU_SHARE),
        _colour(f"{blocked:.0f} ms" if blocked else "-", blocked, BLOCKED),
        Text(str(call["errors"] or "-"), style="red" if call["errors"] else ""),
    ]


def _show(text: str, style: str = "") -> Text:
    """Return what somebody else has named or said as a piece of one line."""
    return Text(one_line(text), style=style)


def _build_bar(taken: int, most: int) -> Text:
    share = min(1.0, taken / most)
    full = round(share * BAR) or (1 if taken else 0)
    style = "red" if share >= 1 else "yellow" if share >= 0.8 else "green"
    return Text.assemble(("━" * full, style), ("━" * (BAR - full), "dim"), f" {taken}/{most}")


def _colour(text: str, value: float, limits: tuple[float, float]) -> Text:
    yellow, red = limits
    return Text(text, style="bold red" if value >= red else "yellow" if value >= yellow else "")


def _format_duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    if whole < 86_400:
        return f"{whole // 3600}:{whole % 3600 // 60:02} h"
    return f"{whole // 86_400} d"


def _format_megabytes(megabytes: float) -> str:
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _format_count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
