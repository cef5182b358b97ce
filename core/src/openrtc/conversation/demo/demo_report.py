"""`DemoReport`: what the demo prints."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Iterable, Sequence
from itertools import accumulate

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from openrtc.catalog.catalog import Catalog
from openrtc.conversation.demo.call_record import CallRecord, RecordedTurn, TurnEvent
from openrtc.conversation.demo.transport import ChosenTransport, Transport
from openrtc.conversation.interrupts import handle_broken_pipe
from openrtc.conversation.session_events import HandedOver, Heard, Said, ToolUsed

_INDENT = "  "
LABEL = 9
"""Columns of a label such as ``left out``."""

_MOST_COLUMNS = 100
"""Of the timeline: on a wide screen, and in a pipe, its bars would be too far from their names to be read."""

_LEAST_BAR = 10
"""Columns of a bar at least, even where the line is broken for it."""


class DemoReport:
    """Prints the demo, calmly: colours and a live line for each call on a terminal, plain lines in a pipe.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live: Live | None = None
        self._running: list[CallRecord] = []
        # rich draws the live lines in a thread of its own.
        self._lock = threading.Lock()
        handle_broken_pipe(console, _raise_broken_pipe)

    def show_title(self, pid: int) -> None:
        """Print the first line."""
        title = Text.assemble(("OpenRTC demo", "bold"), (f"   every agent in one process, PID {pid}", "dim"))
        self._print(title)

    def show_agents(self, catalog: Catalog, names: Sequence[str]) -> None:
        """List the agents."""
        self._print()
        wide = max(len(name) for name in names)
        for name in names:
            agent = catalog.get(name)
            version = f" {agent.entry.version}" if agent.entry else ""
            summary = (agent.spec.summary if agent.spec else "") or (agent.entry.summary if agent.entry else "")
            source = f"{agent.distribution}{version}"
            self._line(name.ljust(wide), f"{source}: {summary}" if summary else source, style="bold green", label=wide)

    def show_transport(self, chosen: ChosenTransport, *, offline: bool) -> None:
        """Say which transport the demo uses and how to get a better one."""
        self._print()
        self._line("how", chosen.because)
        if offline:
            self._line("models", "offline ones where an agent names none: no key, no account, no download")
        if chosen.better:
            self._line("better", chosen.better)

    def show_left_out(self, name: str, why: str) -> None:
        """Say that an agent is not called."""
        self._line("left out", f"{name}: {why}", style="yellow")

    def show_log(self, line: str) -> None:
        """Print a line of the log."""
        self._line("log", line, style="yellow")

    def show_call(self, record: CallRecord) -> None:
        """Print a call that has ended."""
        with self._lock:
            self._running = [call for call in self._running if call is not record]
        heading = Text.assemble((record.room, "bold"), " -> ", (record.agent, "bold green"))
        if record.decision is not None:
            heading.append(f"   {record.decision.rule}: {record.decision.reason}", style="dim")
        self._print(heading)
        for turn in record.turns:
            self._show_turn(turn)
        if record.problem:
            self._line("failed", record.problem, style="bold red")
        self._print()

    def show_sum(self, calls: Sequence[CallRecord], *, pid: int, seconds: float, megabytes: float) -> None:
        """Print which calls ran side by side, and the sum."""
        held = [call for call in calls if call.ended > call.began > 0]
        if len(held) > 1:
            at_once = f"up to {count_most_at_once(held)} calls at once"
            self._print(Text(f"side by side in process {pid}: {at_once}", style="bold"))
            for line in draw_timeline(held, width=min(self.console.width, _MOST_COLUMNS) - 2 * len(_INDENT)):
                self._print(Text(f"{_INDENT}{line}"))
            self._print()
        good, agents = sum(call.good for call in calls), len({call.agent for call in calls if call.good})
        self._print(
            Text(
                f"{_count(good, 'good call')} of {len(calls)}, {_count(agents, 'agent')}, one process (PID {pid}), "
                f"{seconds:.0f} s, {megabytes:.0f} MB",
                style="bold green" if good == len(calls) else "bold red",
            )
        )

    def show_failures(self, failures: Iterable[tuple[str, str]]) -> None:
        """Print one line for each agent that did not answer: its name and why."""
        for name, why in failures:
            self._line("failed", f"{name}: {why}", style="bold red")

    def show_next_steps(self, name: str, transport: Transport) -> None:
        """Say how to go on."""
        needs = "" if transport is Transport.LOCAL_SERVER else ", once livekit-server is on the PATH"
        self._print()
        self._line("go on", f"openrtc console {name}   chat with {name} in the terminal")
        self._line("", f"openrtc dev --with-server   take calls in rooms of a LiveKit server{needs}")

    def start_live(self, calls: Sequence[CallRecord]) -> None:
        """Show what goes on in each call, on a terminal."""
        self._running = list(calls)
        self._print()
        if self.console.is_terminal:
            self._live = Live(get_renderable=self._draw, console=self.console, transient=True, refresh_per_second=6)
            self._live.start()

    def stop_live(self) -> None:
        """Take away what `start_live` shows."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> Group:
        with self._lock:
            running = list(self._running)
        wide = max((len(call.room) for call in running), default=0)
        lines = [f"{_INDENT}{call.room.ljust(wide)}  {call.describe_activity()}" for call in running]
        return Group(*(Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in lines))

    def _show_turn(self, turn: RecordedTurn) -> None:
        # Speech that was understood word for word need not be shown twice.
        if turn.asked and turn.asked.lower() not in _join_heard(turn):
            self._line("asked", turn.asked)
        first = True
        for event in turn.events:
            label, text, style = _describe_event(event)
            if isinstance(event, Said) and first and turn.asked and turn.latency is not None:
                text, first = f"{text}  ({turn.latency:.2f} s)", False
            self._line(label, text, style=style)

    def _line(self, name: str, text: str, *, style: str = "dim", label: int = LABEL) -> None:
        """Print a label and a string; on a terminal, the string's further lines stand below its first."""
        margin = len(_INDENT) + label + 1
        folded = textwrap.wrap(text, max(20, self.console.width - margin), break_on_hyphens=False) or [""]
        self._print(Text.assemble(_INDENT, (name.ljust(label), style), " ", folded[0]))
        for line in folded[1:]:
            self._print(Text(" " * margin + line))

    def _print(self, text: Text | None = None) -> None:
        self.console.print(text if text is not None else Text(), soft_wrap=True)


def count_most_at_once(calls: Sequence[CallRecord]) -> int:
    """Return how many of the calls ran at the same time, at most."""
    # At one moment an end counts before a beginning.
    changes = sorted([(call.began, 1) for call in calls] + [(call.ended, -1) for call in calls])
    return max(accumulate(change for _, change in changes), default=0)


def draw_timeline(calls: Sequence[CallRecord], width: int) -> list[str]:
    """Return a line for each call: its room, a bar on a common axis of time, and its seconds.

    Args:
        calls: Calls that have ended.
        width: Columns of a line.
    """
    origin = min(call.began for call in calls)
    whole = max(call.ended for call in calls) - origin
    name = max(len(call.room) for call in calls)
    seconds = [f"{call.began - origin:4.1f} - {call.ended - origin:4.1f} s" for call in calls]
    columns = max(_LEAST_BAR, min(width, _MOST_COLUMNS) - name - len(seconds[0]) - 4)

    def find_column(moment: float) -> int:
        return round((moment - origin) / whole * columns) if whole else 0

    lines = []
    for call, span in zip(calls, seconds, strict=True):
        start = find_column(call.began)
        bar = " " * start + "=" * max(1, find_column(call.ended) - start)
        lines.append(f"{call.room.ljust(name)}  {bar.ljust(columns)}  {span}")
    return lines


def _raise_broken_pipe() -> None:
    raise BrokenPipeError  # `openrtc.cli.main` ends the command quietly for it


def _join_heard(turn: RecordedTurn) -> str:
    return " ".join(event.text for event in turn.events if isinstance(event, Heard)).lower().rstrip(".?!")


def _describe_event(event: TurnEvent) -> tuple[str, str, str]:
    """Return a label, a string and the label's style."""
    if isinstance(event, Heard):
        return "heard", event.text, "blue"
    if isinstance(event, ToolUsed):
        return "called", f"{event.signature} failed: {event.result}" if event.failed else event.signature, "cyan"
    if isinstance(event, Said):
        return "said", event.text, "green"
    if isinstance(event, HandedOver):
        return "handed", f"over to {event.to}", "magenta"
    return "failed", event.what, "bold red"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
