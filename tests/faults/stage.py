"""`Stage`: one worker with a bystander's call in it, and faults one after the other, each with its own window."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livekit import api

from e2e.callers import Caller, CallersProcess
from e2e.recording import Recording
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import TRACEBACK, openrtc_worker
from faults.drifting_agents import DRIFTING
from faults.failing_agents import BYSTANDER, FAULTY_AGENTS
from faults.failing_hooks import FAULTY_HOOKS
from faults.failing_models import FAULTY_MODELS
from faults.greedy_agents import GREEDY, TALKATIVE
from faults.process_resources import SLACK, ProcessResources, describe_leak, processor_seconds
from faults.rows import PendingRow, Row
from faults.sharing_agents import SHARING_AGENTS
from faults.silence import silence_between
from openrtc.server.settings import find_free_port

PACKAGES = [TONE_AGENTS, BYSTANDER, FAULTY_AGENTS, FAULTY_MODELS, FAULTY_HOOKS, SHARING_AGENTS, TALKATIVE, GREEDY]
PACKAGES += [DRIFTING]
VICTIM = "victim"
AT_ONCE = 16
"""How many faults are injected side by side: most of them wait."""
PACE = 2.5
"""Time between the beginnings of such faults, as a multiple of what the worker works for one call: as much again is
worked by the server and by who calls, and some faults are several calls."""
HANG_UP_SECONDS = 8
"""What a tool has when its caller has left: less than the minute of the default, which a test would wait for."""
BREAK_SECONDS = 5
"""For how long code may block the loop: less than the 10 s of the default, for which a test would burn a processor."""
CONTROL_CALLS = 4
RATIO = 3.0
"""How much longer a bystander's longest hole may be than the control's."""
LEAST_CONTROL = 0.4
"""A control hole shorter than so many seconds counts as so many: the machine is busy at times."""
AGENTS_LEAVE_WITHIN = 25.0
"""livekit-agents itself gives a call that was still connecting 15 s."""
SETTLES_WITHIN = 3.0
LEFT_WITHIN = 20.0
"""Seconds within which a call's threads and descriptors are given back: 15 where it was still connecting."""
AGENT = api.ParticipantInfo.Kind.AGENT
CUT_OFF = 0.9
"""Share of a fault's time from which on a hole means that the bystander heard nothing at all."""
EDGE = 0.3
SURE = 1.0
"""Seconds of a blocked loop, over `AHEAD`, that must be heard."""
AHEAD = 3.0
"""Seconds of what an agent says that are ahead of the loop (speedup `playout`), where its voice is that fast."""
UNHEARD = 0.5
"""A hole of so many seconds in a block that is not longer than that is one of the machine's."""


POLL = 0.1
"""Seconds between two looks: many faults look at the same time."""

_STAGES = itertools.count(1)


class Fault:
    """One fault while it is injected.

    Args:
        stage: Where.
        what: What is done.
        lost: What is lost by it.
        alone: Whether no other fault is injected at the same time.
    """

    def __init__(self, stage: Stage, what: str, lost: str, *, alone: bool = True) -> None:
        self.stage = stage
        self.what = what
        self.began = time.time()
        self.ended = self.began
        self.lost = lost
        self.operator = ""
        self.blocked = 0.0
        """Seconds for which the fault blocks the loop of all calls: the bystander hears what is over `AHEAD`."""
        self.rooms: list[str] = []
        self.alone = alone
        self._open: list[str] = []
        self._ended: set[str] = set()
        self.victims: list[Caller] = []
        self._log_start = self._log_read = stage.worker.log_path.stat().st_size
        self._messages: list[tuple[str, str]] = []

    def log(self) -> str:
        """Return what the worker has logged since the fault began."""
        return self.stage.log(self._log_start)

    def room(self, agent: str) -> str:
        """Return the name of a new room for an agent."""
        name = f"{agent}-{next(self.stage.numbers)}"
        self.rooms.append(name)
        self._open.append(name)
        return name

    def call(self, agent: str, *, metadata: str = "", subscribes: bool = True) -> Caller:
        """Let a caller join a new room that goes to ``agent``."""
        room = self.room(agent)
        token = self.stage.api.token(room, VICTIM, room_metadata=metadata)
        caller = self.stage.callers.join(room, token, speaks=False, subscribes=subscribes)
        self.victims.append(caller)
        return caller

    def wait_for_report(self, pattern: str, timeout: float = 30.0, *, in_table: bool = True) -> str:
        """Wait for a warning or an error in the log; with ``in_table``, it is what the operator saw.

        Raises:
            AssertionError: There was none in time.
        """
        until = time.monotonic() + timeout
        while True:
            messages = [message for level, message in self.messages() if level != "info"]
            found = next((message for message in messages if re.search(pattern, message)), None)
            if found is not None:
                self.operator = _short(found) if in_table else self.operator
                return found
            assert self.stage.worker.running, f"the worker has ended\n{self.stage.worker.tail()}"
            assert time.monotonic() < until, f"no line like {pattern!r} in {timeout:g} s\n{self.log()}"
            time.sleep(POLL)

    def is_rejected(self, room: str) -> bool:
        """Whether a room was turned away, which is what the operator saw; else its agent has joined it for good."""
        until = time.monotonic() + 20.0
        while time.monotonic() < until:
            with tolerate_missing():
                if any(has_joined(one) for one in self.stage.api.participants(room)):
                    return False
            if rejections := [text for _, text in self.messages() if text.startswith(f"room {room!r}: rejected")]:
                self.operator = _short(rejections[0])
                self._ended.add(room)
                return True
            time.sleep(POLL)
        raise AssertionError(f"no agent joined room {room!r}, and nobody rejected it\n{self.log()[-2000:]}")

    def metrics(self) -> str:
        """Return what the worker's ``/metrics`` answers."""
        return self.stage.ask("/metrics")[1]

    def messages(self) -> list[tuple[str, str]]:
        """Return level and text of each line about its calls that the worker has logged since the fault began."""
        new = self.stage.log(self._log_read)
        whole = new[: new.rfind("\n") + 1]
        self._log_read += len(whole.encode())
        lines = [line for line in _json_lines(whole) if self.alone or self._is_about(line)]
        self._messages += [(line["level"], line["message"]) for line in lines]
        return self._messages

    def _is_about(self, line: dict[str, Any]) -> bool:
        if line.get("room") is None and line["logger"].startswith("openrtc"):
            return True  # what happens outside of calls may be of any of them
        named = {line.get("room"), *re.findall(r"[\w-]+", line["message"])}
        return not named.isdisjoint(self.rooms)

    def wait_until_ended(self, within: float = AGENTS_LEAVE_WITHIN) -> None:
        """Wait until no call of this fault is live, though the callers are still there."""
        if self.alone:
            self.stage.wait_until_idle(self.rooms, within)
        else:
            self.stage.wait_until_agents_left(self.rooms, within)
        self._ended.update(self.rooms)

    def hang_up(self) -> None:
        """End the calls: their rooms are deleted, which is quicker than that the callers leave.

        Not while an agent is still connecting: livekit-agents then waits 15 s, which is a fault of its own.
        """
        while self._open:
            room = self._open.pop()
            if room not in self._ended:
                self._wait_until_joined(room)
            with tolerate_missing():
                self.stage.api.delete_room(room)
        self.victims.clear()

    def _wait_until_joined(self, room: str) -> None:
        until = time.monotonic() + SETTLES_WITHIN
        while self.stage.live_calls() > 1 and time.monotonic() < until:
            with tolerate_missing():
                agents = [one for one in self.stage.api.participants(room) if one.kind == AGENT]
                if agents and all(map(has_joined, agents)):
                    return
            time.sleep(POLL)

    def everybody_leaves(self) -> None:
        """Let the callers leave."""
        for victim in self.victims:
            victim.leave()
        self.victims.clear()


@dataclass(frozen=True, slots=True)
class Injection:
    """One of several faults that are injected side by side.

    Args:
        what: What is done.
        lost: What is lost by it.
        inject: Injects it and looks at what must hold for its own calls.
    """

    what: str
    lost: str
    inject: Callable[[Fault], None]


@dataclass(frozen=True, slots=True)
class Control:
    """What healthy calls, one after the other, are beside the bystander's.

    Args:
        hole: The longest time, in seconds, in which the bystander heard nothing.
        processor_seconds: How long the worker works for each.
    """

    hole: float
    processor_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a fault.

    Args:
        row: Its row of the table.
        problem: What does not hold; empty if everything does.
    """

    row: PendingRow
    problem: str


class Stage:
    """One worker with a bystander's call in it.

    Args:
        server: The LiveKit server.
        folder: For logs, packages and recordings.
        control: What an earlier stage's control has shown; None measures it.
    """

    def __init__(self, server: ServerApi, folder: Path, *, control: Control | None = None) -> None:
        self.api = server
        self.numbers = itertools.count(1)
        self._turn = threading.Lock()
        self.room = f"bystander-{next(_STAGES)}"
        self.health_port = find_free_port(socket.SOCK_STREAM)
        self.packages = folder / "packages"
        for package in PACKAGES:
            package.install_into(self.packages)
        self.events = folder / "events"
        os.mkfifo(self.events)  # a pipe for the worker's events, which nobody reads
        allowed = ",".join(package.name for package in PACKAGES)
        options = ["--allow", allowed, "--port", str(self.health_port), "--metrics-jsonl", str(self.events)]
        options += ["--max-sessions=200", f"--hang-up-seconds={HANG_UP_SECONDS}", f"--break-seconds={BREAK_SECONDS}"]
        self.worker = openrtc_worker(server, folder / "worker.log", *options, folders=[self.packages], piped=True)
        self.callers = CallersProcess(server.url, folder / "callers")
        try:
            self.worker.wait_until_ready()
            self.bystander = self.callers.join("bystander", server.token(self.room, "bystander"), speaks=False)
            self.bystander.wait_for("track_subscribed")
            time.sleep(1.0)
            self._warm_up()
            self.control = self._control() if control is None else control
            self.at_first = ProcessResources.of(self.worker.pid)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the callers and the worker."""
        self.callers.close()
        self.worker.kill()

    def becomes_usable(self) -> bool:
        """Whether the worker takes calls, the bystander's agent is in its room, and no call of a fault is left."""
        until = time.monotonic() + SETTLES_WITHIN  # a worker that has just been busy may take none
        while self.worker.running and time.monotonic() < until:
            if self._is_ready() and self.api.agents_in([self.room])[self.room] and self.live_calls() == 1:
                return True
            time.sleep(POLL)
        return False

    @property
    def allowed(self) -> float:
        """How long a bystander's hole may be, in seconds."""
        return RATIO * max(self.control.hole, LEAST_CONTROL)

    def live_calls(self) -> int:
        """Return how many jobs the worker runs."""
        status, text = self.ask("/worker")
        assert status == 200, text
        return int(json.loads(text).get("active_jobs", 0))

    def ask(self, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
        """Return status and text of an answer of the worker's health server."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.health_port}{path}", headers={"Host": host})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def _is_ready(self) -> bool:
        try:
            return self.ask("/ready")[0] == 200
        except OSError:
            return False

    def hole(self, start: float, end: float) -> float:
        """Return the bystander's longest silence between two times."""
        return silence_between(self.bystander.recordings(), start, end)

    def bystander_hears(self) -> bool:
        """Whether the bystander hears something now."""
        now = time.time()
        time.sleep(1.0)
        return self.hole(now, now + 0.8) < 0.5

    def describe_leak(self) -> str:
        """Return what this stage's worker holds beyond what it held before the first fault; empty for nothing."""
        return describe_leak(self.worker.pid, self.at_first, slack=2 * SLACK)

    @contextmanager
    def fault(self, what: str, *, lost: str, command: str, report: Callable[[Row], None]) -> Iterator[Fault]:
        """Inject a fault in the body; afterwards check everything that must hold after every fault.

        Args:
            what: What is done.
            lost: What is lost by it.
            command: What repeats it.
            report: Is given the row of the table, whether the checks pass or not.
        """
        before = ProcessResources.of(self.worker.pid)
        began = self.worker.log_path.stat().st_size
        fault = Fault(self, what, lost)
        problem = ""
        try:
            try:
                yield fault
            finally:
                fault.hang_up()
            self._check(fault.rooms, began, before)
        except BaseException as error:
            problem = f"{error!r}"
            raise
        finally:
            fault.ended = time.time()
            time.sleep(EDGE)
            outcome = self._outcome(fault, problem, self.bystander.recordings())
            report(outcome.row.row(command, passed=not outcome.problem))
        assert not outcome.problem, outcome.problem

    def inject_side_by_side(self, injections: Mapping[str, Injection]) -> dict[str, Outcome]:
        """Inject faults side by side; check once, after all, what must hold after every fault.

        Args:
            injections: The faults, by name.

        Returns:
            What became of each.
        """
        before = ProcessResources.of(self.worker.pid)
        began = self.worker.log_path.stat().st_size
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tried = dict(zip(injections, pool.map(self._try, injections.values()), strict=True))
        common = ""
        try:
            self._check([room for fault, _ in tried.values() for room in fault.rooms], began, before)
        except AssertionError as error:
            common = f"after {', '.join(tried)}: {error}"
        time.sleep(EDGE)
        heard = self.bystander.recordings()
        return {name: self._outcome(fault, problem or common, heard) for name, (fault, problem) in tried.items()}

    def _try(self, injection: Injection) -> tuple[Fault, str]:
        with self._turn:  # side by side the calls are held, one after the other they begin
            time.sleep(PACE * self.control.processor_seconds)
        fault = Fault(self, injection.what, injection.lost, alone=False)
        problem = ""
        try:
            try:
                injection.inject(fault)
            finally:
                fault.hang_up()
        except Exception as error:  # told by the test of this fault
            problem = "".join(traceback.format_exception(error))
        fault.ended = time.time()
        return fault, problem

    def _outcome(self, fault: Fault, problem: str, heard: list[Recording]) -> Outcome:
        hole = silence_between(heard, fault.began, fault.ended)
        problem = problem or self._why_too_long(hole, fault)
        row = PendingRow(
            fault=fault.what,
            control=self.control.hole,
            hole=hole,
            operator=fault.operator if self.worker.running else f"the worker ended with {self.worker.exit_code}",
            lost=fault.lost if self.worker.running else "the worker, and every call in it",
        )
        return Outcome(row, problem)

    def _why_too_long(self, hole: float, fault: Fault) -> str:
        if hole > CUT_OFF * (fault.ended - fault.began) and not fault.blocked:
            return "the bystander was cut off"
        if hole > fault.blocked + self.allowed:
            return f"the bystander heard nothing for {hole:.2f} s; {fault.blocked + self.allowed:.2f} s are allowed"
        if 0 < fault.blocked <= AHEAD and hole > UNHEARD:
            return f"the bystander heard the block of {fault.blocked:g} s: nothing for {hole:.2f} s"
        if fault.blocked >= AHEAD + SURE and hole < (fault.blocked - AHEAD) / 2:
            return f"the loop was blocked for {fault.blocked:g} s, and the bystander's hole is {hole:.2f} s"
        return ""

    def _check(self, rooms: Sequence[str], began: int, before: ProcessResources) -> None:
        assert self.worker.running, f"the worker ended with {self.worker.exit_code}\n{self.worker.tail()}"
        self.wait_until_idle(rooms)
        left = describe_leak(self.worker.pid, before, within=LEFT_WITHIN)
        assert not left, left
        log = self.log(began)
        assert TRACEBACK not in log, f"a traceback is no line for an operator\n{log}"

    def log(self, began: int) -> str:
        """Return what the worker has logged since its log had so many bytes."""
        with self.worker.log_path.open(errors="replace") as file:
            file.seek(began)
            return file.read()

    def wait_until_idle(self, rooms: Sequence[str], within: float = AGENTS_LEAVE_WITHIN) -> None:
        """Wait until the bystander's call is the only one, and no agent is in ``rooms``."""
        until = time.monotonic() + within
        while (live := self.live_calls()) != 1 and time.monotonic() < until:
            time.sleep(POLL)
        assert live == 1, f"{live} calls are live, the bystander's and {live - 1} more"
        self.wait_until_agents_left(rooms, until - time.monotonic())

    def wait_until_agents_left(self, rooms: Sequence[str], within: float) -> None:
        """Wait until no agent is in ``rooms``."""
        until = time.monotonic() + within
        while any(left := self.api.agents_in(rooms).values()) and time.monotonic() < until:
            time.sleep(POLL)
        assert not any(left), f"an agent stays in its room: {left}"

    def _warm_up(self) -> None:
        # What only the first call of its kind costs is no fault.
        fault = Fault(self, "none", "nothing")
        for agent in ("talker", "alpha"):
            fault.call(agent).wait_for_answer(0.0, quiet=0.3)
        fault.hang_up()
        self.wait_until_idle(fault.rooms)

    def _control(self) -> Control:
        fault = Fault(self, "none", "nothing")
        worked = processor_seconds(self.worker.pid)
        for _ in range(CONTROL_CALLS):
            fault.call("talker").wait_for_answer(0.0, quiet=0.3)
            fault.hang_up()
        self.wait_until_idle(fault.rooms)
        worked = processor_seconds(self.worker.pid) - worked
        time.sleep(EDGE)
        return Control(self.hole(fault.began, time.time() - EDGE), worked / CONTROL_CALLS)


@contextmanager
def tolerate_missing() -> Iterator[None]:
    """Let a room or a participant be gone already."""
    try:
        yield
    except api.TwirpError as error:
        if error.code != api.TwirpErrorCode.NOT_FOUND:
            raise


def has_joined(participant: api.ParticipantInfo) -> bool:
    """Whether this is an agent whose session has started; to connect is not enough."""
    return participant.attributes.get("lk.agent.state", "initializing") != "initializing"


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


def _short(message: str) -> str:
    """Return a message with paths shortened to the file's name."""
    return re.sub(r"(?:/[\w.+-]+)+/([\w.+-]+\.py)", r"\1", message)
