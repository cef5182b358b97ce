"""`Stage`: one worker with a bystander's call in it, and faults one after the other, each with its own window."""

from __future__ import annotations

import itertools
import json
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from livekit import api

from e2e.callers import Caller, CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import TRACEBACK, openrtc_worker
from faults.belongings import SLACK, Belongings, why_left_behind
from faults.failing_agents import BYSTANDER, FAULTY_AGENTS
from faults.failing_hooks import FAULTY_HOOKS
from faults.failing_models import FAULTY_MODELS
from faults.rows import Row
from faults.silence import silence_between
from openrtc.server.settings import free_port

PACKAGES = (TONE_AGENTS, BYSTANDER, FAULTY_AGENTS, FAULTY_MODELS, FAULTY_HOOKS)
VICTIM = "victim"
CONTROL_CALLS = 4
RATIO = 3.0
"""How much longer a bystander's longest hole may be than the control's."""
LEAST_CONTROL = 0.4
"""A control hole shorter than so many seconds counts as so many: the machine is busy at times."""
AGENTS_LEAVE_WITHIN = 25.0
"""livekit-agents itself gives a call that was still connecting 15 s."""
SETTLES_WITHIN = 3.0
AGENT = api.ParticipantInfo.Kind.AGENT
CUT_OFF = 0.9
"""Share of a fault's time from which on a hole means that the bystander heard nothing at all."""
EDGE = 0.3
SURE = 1.0
"""Seconds of a blocked loop that the agent's buffered sound cannot bridge."""


_STAGES = itertools.count(1)


class Fault:
    """One fault while it is injected.

    Args:
        stage: Where.
        what: What is done.
        lost: What is lost by it.
    """

    def __init__(self, stage: Stage, what: str, lost: str) -> None:
        self.stage = stage
        self.what = what
        self.began = time.time()
        self.ended = self.began
        self.lost = lost
        self.operator = ""
        self.blocked = 0.0
        """Seconds for which the fault blocks the loop of all calls: the bystander does have that hole."""
        self.rooms: list[str] = []
        self._open: list[str] = []
        self.victims: list[Caller] = []
        self._log_start = stage.worker.log_path.stat().st_size

    def log(self) -> str:
        """Return what the worker has logged since the fault began."""
        with self.stage.worker.log_path.open(errors="replace") as file:
            file.seek(self._log_start)
            return file.read()

    def room(self, agent: str) -> str:
        """Return the name of a new room for an agent."""
        name = f"{agent}-{next(self.stage.numbers)}"
        self.rooms.append(name)
        self._open.append(name)
        return name

    def call(self, agent: str, *, metadata: str = "") -> Caller:
        """Let a caller join a new room that goes to ``agent``."""
        room = self.room(agent)
        token = self.stage.api.token(room, VICTIM, room_metadata=metadata)
        caller = self.stage.callers.join(room, token, speaks=False)
        self.victims.append(caller)
        return caller

    def saw(self, pattern: str, timeout: float = 10.0, *, told: bool = True) -> str:
        """Wait for a warning or an error in the log; with ``told``, it is what the operator saw.

        Raises:
            AssertionError: There was none in time.
        """
        until = time.monotonic() + timeout
        while True:
            messages = [message for level, message in self.messages() if level != "info"]
            found = next((message for message in messages if re.search(pattern, message)), None)
            if found is not None:
                self.operator = _short(found) if told else self.operator
                return found
            assert self.stage.worker.running, f"the worker has ended\n{self.stage.worker.tail()}"
            assert time.monotonic() < until, f"no line like {pattern!r} in {timeout:g} s\n{self.log()}"
            time.sleep(0.05)

    def is_rejected(self, room: str) -> bool:
        """Whether a room was turned away, which is what the operator saw; else its agent has joined it for good."""
        until = time.monotonic() + 10.0
        while time.monotonic() < until:
            with tolerate_missing():
                if any(is_settled(one) for one in self.stage.api.participants(room)):
                    return False
            if told := [text for _, text in self.messages() if text.startswith(f"room {room!r}: rejected")]:
                self.operator = _short(told[0])
                return True
            time.sleep(0.05)
        raise AssertionError(f"no agent joined room {room!r}, and nobody rejected it\n{self.log()[-2000:]}")

    def messages(self) -> list[tuple[str, str]]:
        """Return level and text of each line that the worker has logged since the fault began."""
        return [(line["level"], line["message"]) for line in _json_lines(self.log())]

    def ended_by_itself(self, within: float = AGENTS_LEAVE_WITHIN) -> None:
        """Wait until no call of this fault is live, though the callers are still there."""
        self.stage.wait_until_idle(self.rooms, within)

    def hang_up(self) -> None:
        """End the calls: their rooms are deleted, which is quicker than that the callers leave.

        Not while an agent is still connecting: livekit-agents then waits 15 s, which is a fault of its own.
        """
        while self._open:
            room = self._open.pop()
            self._wait_until_settled(room)
            with tolerate_missing():
                self.stage.api.delete_room(room)
        self.victims.clear()

    def _wait_until_settled(self, room: str) -> None:
        until = time.monotonic() + SETTLES_WITHIN
        while self.stage.live_calls() > 1 and time.monotonic() < until:
            with tolerate_missing():
                agents = [one for one in self.stage.api.participants(room) if one.kind == AGENT]
                if agents and all(map(is_settled, agents)):
                    return
            time.sleep(0.05)

    def everybody_leaves(self) -> None:
        """Let the callers leave."""
        for victim in self.victims:
            victim.leave()
        self.victims.clear()


class Stage:
    """One worker with a bystander's call in it.

    Args:
        server: The LiveKit server.
        folder: For logs, packages and recordings.
        control: Longest hole of an earlier stage's control; None measures it.
        packages: What is installed.
    """

    def __init__(
        self, server: ServerApi, folder: Path, *, control: float | None = None, packages: Sequence[Package] = PACKAGES
    ) -> None:
        self.api = server
        self.numbers = itertools.count(1)
        self.room = f"bystander-{next(_STAGES)}"
        port = free_port(socket.SOCK_STREAM)
        for package in packages:
            package.install_into(folder / "packages")
        allowed = ",".join(package.name for package in packages)
        options = ("--allow", allowed, "--port", str(port), "--max-sessions", "200")
        self._health = f"http://127.0.0.1:{port}"
        self.worker = openrtc_worker(server, folder / "worker.log", *options, folders=[folder / "packages"])
        self.callers = CallersProcess(server.url, folder / "callers")
        try:
            self.worker.wait_until_ready()
            self.bystander = self.callers.join("bystander", server.token(self.room, "bystander"), speaks=False)
            self.bystander.wait_for("track_subscribed", 20.0)
            time.sleep(1.0)
            self._warm_up()
            self.control = self._control() if control is None else control
            self.at_first = Belongings.of(self.worker.pid)
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

    @property
    def stands(self) -> bool:
        """Whether the worker takes calls and the bystander's agent is in its room."""
        return self.worker.running and self._is_ready() and bool(self.api.agents_in([self.room])[self.room])

    @property
    def allowed(self) -> float:
        """How long a bystander's hole may be, in seconds."""
        return RATIO * max(self.control, LEAST_CONTROL)

    def live_calls(self) -> int:
        """Return how many jobs the worker runs."""
        with urllib.request.urlopen(f"{self._health}/worker", timeout=10) as answer:
            return int(json.load(answer).get("active_jobs", 0))

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._health}/ready", timeout=10):
                return True
        except OSError:
            return False

    def hole(self, start: float, end: float) -> float:
        """Return the bystander's longest silence between two times."""
        return silence_between(self.bystander.recordings(), start, end)

    def bystander_sounds(self) -> bool:
        """Whether the bystander hears something now."""
        now = time.time()
        time.sleep(1.0)
        return self.hole(now, now + 0.8) < 0.5

    def why_more_than_at_first(self) -> str:
        """Return what this stage's worker holds beyond what it held before the first fault; empty for nothing."""
        return why_left_behind(self.worker.pid, self.at_first, slack=2 * SLACK)

    @contextmanager
    def fault(self, what: str, *, lost: str, command: str, report: Callable[[Row], None]) -> Iterator[Fault]:
        """Inject a fault in the body; afterwards check everything that must hold after every fault.

        Args:
            what: What is done.
            lost: What is lost by it.
            command: What repeats it.
            report: Told the row of the table, whether the checks pass or not.
        """
        before = Belongings.of(self.worker.pid)
        fault = Fault(self, what, lost)
        problem: BaseException | None = None
        try:
            try:
                yield fault
            finally:
                fault.hang_up()
            self._check(fault, before)
        except BaseException as error:
            problem = error
            raise
        finally:
            hole = self._hole_of(fault)
            passed = problem is None and self._why_too_long(hole, fault) == ""
            operator = fault.operator if self.worker.running else f"the worker ended with {self.worker.exit_code}"
            report(
                Row(
                    fault=what,
                    control=self.control,
                    hole=hole,
                    operator=operator,
                    lost=fault.lost if self.worker.running else "the worker, and every call in it",
                    command=command,
                    passed=passed,
                )
            )
        assert not (why := self._why_too_long(hole, fault)), why

    def _hole_of(self, fault: Fault) -> float:
        fault.ended = time.time()
        time.sleep(EDGE)
        return self.hole(fault.began, fault.ended)

    def _why_too_long(self, hole: float, fault: Fault) -> str:
        if hole > CUT_OFF * (fault.ended - fault.began) and not fault.blocked:
            return "the bystander was cut off"
        if hole > fault.blocked + self.allowed:
            return f"the bystander heard nothing for {hole:.2f} s; {fault.blocked + self.allowed:.2f} s are allowed"
        if fault.blocked >= SURE and hole < fault.blocked / 2:
            return f"the loop was blocked for {fault.blocked:g} s, and the bystander's hole is {hole:.2f} s"
        return ""

    def _check(self, fault: Fault, before: Belongings) -> None:
        assert self.worker.running, f"the worker ended with {self.worker.exit_code}\n{self.worker.tail()}"
        self.wait_until_idle(fault.rooms)
        left = why_left_behind(self.worker.pid, before)
        assert not left, left
        assert TRACEBACK not in fault.log(), f"a traceback is no line for an operator\n{fault.log()}"

    def wait_until_idle(self, rooms: Sequence[str], within: float = AGENTS_LEAVE_WITHIN) -> None:
        """Wait until the bystander's call is the only one, and no agent is in ``rooms``."""
        until = time.monotonic() + within
        while (live := self.live_calls()) != 1 and time.monotonic() < until:
            time.sleep(0.05)
        assert live == 1, f"{live} calls are live, the bystander's and {live - 1} more"
        while any(left := self.api.agents_in(rooms).values()) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(left), f"an agent stays in its room: {left}"

    def _warm_up(self) -> None:
        # What only the first call of its kind costs is no fault.
        fault = Fault(self, "none", "nothing")
        for agent in ("talker", "alpha"):
            fault.call(agent).wait_for_answer(0.0, quiet=0.3)
        fault.hang_up()
        self.wait_until_idle(fault.rooms)

    def _control(self) -> float:
        fault = Fault(self, "none", "nothing")
        for _ in range(CONTROL_CALLS):
            fault.call("talker").wait_for_answer(0.0, quiet=0.3)
            fault.hang_up()
        self.wait_until_idle(fault.rooms)
        time.sleep(EDGE)
        return self.hole(fault.began, time.time() - EDGE)


@contextmanager
def tolerate_missing() -> Iterator[None]:
    """Let a room or a participant be gone already."""
    try:
        yield
    except api.TwirpError as error:
        if error.code != api.TwirpErrorCode.NOT_FOUND:
            raise


def is_settled(participant: api.ParticipantInfo) -> bool:
    """Whether this is an agent whose session has started; to connect is not enough."""
    return participant.attributes.get("lk.agent.state", "initializing") != "initializing"


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


def _short(message: str) -> str:
    """Return a message with paths shortened to the file's name."""
    return re.sub(r"(?:/[\w.+-]+)+/([\w.+-]+\.py)", r"\1", message)
