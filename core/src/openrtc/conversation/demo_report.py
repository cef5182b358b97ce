"""`DemoReport`: what the demo prints."""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from openrtc.catalog.catalog import Catalog
from openrtc.conversation.broken_pipe import when_reader_goes
from openrtc.conversation.call_record import CallRecord, Shown, Turn
from openrtc.conversation.happenings import Called, Failed, HandedOver, Heard, Said
from openrtc.conversation.timeline import most_at_once, timeline
from openrtc.conversation.way import Choice, Way

INDENT = "  "
LABEL = 9


class DemoReport:
    """Prints the demo, calmly: colours and a live line for each call on a terminal, plain lines in a pipe.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._running: list[CallRecord] = []
        self._lock = threading.Lock()
        when_reader_goes(console, _broken_pipe)

    def when_reader_goes(self, gone: Callable[[], None]) -> None:
        """Call ``gone`` when nobody reads the output any more, instead of raising `BrokenPipeError`."""
        when_reader_goes(self._console, gone)

    def open(self, pid: int) -> None:
        """Print the first line."""
        title = Text.assemble(("OpenRTC demo", "bold"), (f"   every agent in one process, PID {pid}", "dim"))
        self._print(title)

    def agents(self, catalog: Catalog, names: Sequence[str]) -> None:
        """List the agents."""
        self._print()
        wide = max(len(name) for name in names)
        for name in names:
            agent = catalog.get(name)
            version = f" {agent.entry.version}" if agent.entry else ""
            summary = (agent.spec.summary if agent.spec else "") or (agent.entry.summary if agent.entry else "")
            source = f"{agent.distribution}{version}"
            self._line(name.ljust(wide), f"{source}: {summary}" if summary else source, style="bold green", label=wide)

    def way(self, choice: Choice, *, offline: bool) -> None:
        """Say which way the demo takes and how to get a better one."""
        self._print()
        self._line("how", choice.because)
        if offline:
            self._line("models", "offline ones where an agent names none: no key, no account, no download")
        if choice.better:
            self._line("better", choice.better)

    def left_out(self, name: str, why: str) -> None:
        """Say that an agent is not called."""
        self._line("left out", f"{name}: {why}", style="yellow")

    def warn(self, line: str) -> None:
        """Print a line of the log."""
        self._print(Text(f"! {line}", style="yellow"))

    def watch(self, calls: Sequence[CallRecord]) -> None:
        """Show what goes on in each call, on a terminal."""
        self._running = list(calls)
        self._print()
        if self._console.is_terminal:
            self._live = Live(get_renderable=self._status, console=self._console, transient=True, refresh_per_second=6)
            self._live.start()

    def call(self, record: CallRecord, way: Way) -> None:
        """Print a call that has ended."""
        with self._lock:
            self._running = [call for call in self._running if call is not record]
        self._print(self._heading(record))
        for turn in record.turns:
            self._turn(turn, way)
        if record.problem:
            self._line("failed", record.problem, style="bold red")
        self._print()

    def stop_watching(self) -> None:
        """All calls have ended."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def close(self, calls: Sequence[CallRecord], *, pid: int, seconds: float, megabytes: float) -> None:
        """Print which calls ran side by side, and the sum."""
        held = [call for call in calls if call.ended > call.began > 0]
        if len(held) > 1:
            self._print(Text(f"side by side in process {pid}: up to {most_at_once(held)} calls at once", style="bold"))
            for line in timeline(held, width=min(self._console.width, 100) - 2 * len(INDENT)):
                self._print(Text(f"{INDENT}{line}"))
            self._print()
        good, agents = sum(call.good for call in calls), len({call.agent for call in calls if call.good})
        self._print(
            Text(
                f"{_count(good, 'good call')} of {len(calls)}, {_count(agents, 'agent')}, one process (PID {pid}), "
                f"{seconds:.0f} s, {megabytes:.0f} MB",
                style="bold green" if good == len(calls) else "bold red",
            )
        )

    def failures(self, failures: Iterable[tuple[str, str]]) -> None:
        """Print one line for each agent that did not answer."""
        for name, why in failures:
            self._line("failed", f"{name}: {why}", style="bold red")

    def invite(self, name: str, way: Way) -> None:
        """Say how to go on."""
        needs = "" if way is Way.LOCAL_SERVER else ", once livekit-server is on the PATH"
        self._print()
        self._line("go on", f"openrtc console {name}   chat with {name} in the terminal")
        self._line("", f"openrtc dev --with-server   take calls in rooms of a LiveKit server{needs}")

    def _heading(self, record: CallRecord) -> Text:
        heading = Text.assemble((record.room, "bold"), " -> ", (record.agent, "bold green"))
        if record.decision is not None:
            heading.append(f"   {record.decision.rule}: {record.decision.reason}", style="dim")
        return heading

    def _turn(self, turn: Turn, way: Way) -> None:
        if turn.asked and (way is Way.TEXT or turn.asked.lower() not in _heard(turn)):
            self._line("asked", turn.asked)
        first = True
        for what in turn.happened:
            label, text, style = _shown(what)
            if isinstance(what, Said) and first and turn.asked and turn.latency is not None:
                text, first = f"{text}  ({turn.latency:.2f} s)", False
            self._line(label, text, style=style)

    def _status(self) -> Group:
        with self._lock:
            running = list(self._running)
        wide = max((len(call.room) for call in running), default=0)
        lines = [f"{INDENT}{call.room.ljust(wide)}  {call.doing}" for call in running]
        return Group(*(Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in lines))

    def _line(self, name: str, text: str, *, style: str = "dim", label: int = LABEL) -> None:
        """Print a label and a text; on a terminal, the text's further lines stand below its first."""
        margin = len(INDENT) + label + 1
        folded = textwrap.wrap(text, max(20, self._console.width - margin)) or [""]
        start = Text.assemble(INDENT, (name.ljust(label), style), " ", folded[0])
        self._print(start)
        for line in folded[1:]:
            self._print(Text(" " * margin + line))

    def _print(self, text: Text | None = None) -> None:
        self._console.print(text if text is not None else Text(), soft_wrap=True)


def _broken_pipe() -> None:
    raise BrokenPipeError


def _heard(turn: Turn) -> str:
    return " ".join(what.text for what in turn.happened if isinstance(what, Heard)).lower().rstrip(".?!")


def _shown(what: Shown) -> tuple[str, str, str]:
    if isinstance(what, Heard):
        return "heard", what.text, "blue"
    if isinstance(what, Called):
        return "called", f"{what.signature} failed: {what.result}" if what.failed else what.signature, "cyan"
    if isinstance(what, Said):
        return "said", what.text, "green"
    if isinstance(what, HandedOver):
        return "handed", f"over to {what.to}", "magenta"
    assert isinstance(what, Failed)
    return "failed", what.what, "bold red"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
