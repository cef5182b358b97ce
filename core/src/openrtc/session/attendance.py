"""Knows whether somebody is in a call, and for how long nobody is: not yet, or no more.

A page that is loaded anew leaves its room as somebody who hangs up does. A call therefore waits for its caller for a
while; meanwhile it holds no slot, and it is the first to go when the worker is full or drains.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from livekit import rtc
from livekit.agents import JobContext

from openrtc.model.agents import AgentSpec
from openrtc.model.dispatch_names import HANGS_UP_ATTRIBUTE
from openrtc.runtime.live_call import LiveCall
from openrtc.session.hang_up import HangUp, find_hang_up
from openrtc.session.participant import is_person
from openrtc.settings.config import WorkerSettings

EVERYBODY_LEFT, NOBODY_CAME = "everybody has left", "nobody has come"

RELEASE_SECONDS = 1.0
"""How long a call with nobody in it keeps its slot: a page that is loaded anew is mostly back by then."""

BUSY_LOOK_SECONDS = 0.5
"""How often it is looked whether a tool that keeps the slot has ended."""

AFTER_RESTART_SECONDS = 15.0
"""How long a call waits at least once its agent is connected again, keeps its slot and goes on speaking: callers come
back 4 to 7 s after a server's restart, which would else cut what each agent says."""

REPLACE_SECONDS = 0.5
"""How long a call goes on as if nobody had left when somebody may have been replaced by a new connection of the same
identity, such as a second tab: livekit tells of both in one go."""

_FOR_GOOD = (
    rtc.DisconnectReason.ROOM_DELETED,
    rtc.DisconnectReason.USER_REJECTED,
    rtc.DisconnectReason.PARTICIPANT_REMOVED,
)
"""Who leaves so does not come back: somebody has decided that."""

_MAY_BE_REPLACED = (None, rtc.DisconnectReason.UNKNOWN_REASON, rtc.DisconnectReason.DUPLICATE_IDENTITY)
"""Of the old connection nothing but its end is told to others, without a reason."""

IsCaller = Callable[[rtc.RemoteParticipant], bool]


class Attended(Protocol):
    """What is done about a call when its last person leaves, comes back or stays away."""

    def pause(self) -> None:
        """Everybody has left: nobody is to be heard or talked to."""

    def resume(self) -> None:
        """Somebody is there again."""

    def link(self, participant: rtc.RemoteParticipant) -> None:
        """Somebody is there: hear somebody, where nobody is heard."""

    def end(self, reason: str) -> None:
        """The call is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """For how many seconds a call without people goes on.

    Args:
        rejoin: After the last person has left.
        nobody: Before the first one has come; 0 for as long as the LiveKit server lets it.
    """

    rejoin: float
    nobody: float

    @classmethod
    def of(cls, room: rtc.Room | object, spec: AgentSpec, worker: WorkerSettings) -> Limits:
        """Return the limits of a call.

        Args:
            room: LiveKit's description of the room, with its own timeouts; they are 0 where these are not known.
            spec: How its agent is built.
            worker: The settings.
        """
        departure, empty = getattr(room, "departure_timeout", 0), getattr(room, "empty_timeout", 0)
        rejoin = float(worker.rejoin_seconds if spec.rejoin_seconds is None else spec.rejoin_seconds)
        nobody = float(empty if worker.nobody_seconds is None else worker.nobody_seconds)
        return cls(rejoin=min(rejoin, departure) if departure else rejoin, nobody=nobody)


class Attendance:
    """Watches who is in a room.

    Args:
        room: The room.
        live: The call.
        hang_up: Knows which of its tools run.
        limits: For how long the call goes on without people; None for a call that ends by itself.
        is_caller: Which participants count.
    """

    def __init__(
        self, room: rtc.Room, live: LiveCall, hang_up: HangUp, limits: Limits | None, is_caller: IsCaller = is_person
    ) -> None:
        self._room = room
        self._live = live
        self.hang_up = hang_up
        self._limits = limits
        self._is_caller = is_caller
        self._attended: Attended | None = None
        self._seen = hang_up.seen_people
        self._since: float | None = None
        self._end_at: float | None = None
        self._released = self._paused = self._reconnecting = self._over = self._let_go = False
        self._ended_because = ""
        self.busy = False
        """Whether something else than a tool keeps the slot."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        if limits is not None:
            hang_up.wait_seconds = limits.rejoin
        room.on("connection_state_changed", lambda _: self.look())
        room.on("participant_connected", self._on_connected)
        room.on("participant_disconnected", self._on_disconnected)
        room.on("reconnecting", self._on_reconnecting)
        room.on("reconnected", self._on_reconnected)
        room.on("disconnected", self._on_room_left)
        self.look()

    @property
    def people(self) -> list[rtc.RemoteParticipant]:
        """Those who are there."""
        return [one for one in self._room.remote_participants.values() if self._is_caller(one)]

    def attend(self, attended: Attended) -> None:
        """Let something be done when people leave and come back.

        Args:
            attended: What does it.
        """
        self._attended = attended
        if self._ended_because:
            attended.end(self._ended_because)
        elif self._paused:
            attended.pause()

    def stop(self) -> None:
        """Pause and end nothing any more; the slot is given back all the same."""
        self._over = True
        for name in ("end", "pause"):
            self._stop_timer(name)

    def _on_room_left(self, _: object) -> None:
        self.stop()
        self._be_alone()

    def let_go(self) -> None:
        """Give the slot back at once, whoever is there: nobody is served any more."""
        self._seen = self._let_go = True
        self._be_alone()
        self._release()

    def look(self) -> None:
        """Look who is there."""
        if not self._room.isconnected() or self._reconnecting:
            return
        if self.people:
            self._be_attended()
        elif self._since is None:
            self._be_alone()

    def _on_connected(self, participant: rtc.RemoteParticipant) -> None:
        if self._is_caller(participant):
            self._be_attended()
            if self._attended and not self._over:
                self._attended.link(participant)

    def _on_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        if not self._is_caller(participant):
            return
        self._seen = True
        is_there = REPLACE_SECONDS if participant.disconnect_reason in _MAY_BE_REPLACED else 0.0
        if self._limits and not self._reconnecting:
            wait = self._limits.rejoin if may_come_back(participant) else 0.0
            self._end_at = max(self._end_at or 0.0, _now() + max(wait, is_there))
        if people := self.people:
            if self._attended and not self._over:
                self._attended.link(people[0])
        elif not self._reconnecting:
            self._be_alone(pause_after=is_there)

    def _on_reconnecting(self) -> None:
        # Until the agent is connected again, it sees neither who leaves nor who comes; livekit then tells it that all
        # have left.
        self._reconnecting = True
        for name in list(self._timers):
            self._stop_timer(name)

    def _on_reconnected(self) -> None:
        self._reconnecting = False
        if self.people:
            self._be_attended()
            return
        self._end_at = None
        self._be_alone(pause_after=AFTER_RESTART_SECONDS, at_least=AFTER_RESTART_SECONDS)

    def _be_attended(self) -> None:
        self._seen, self._since, self._end_at, self._live.left_at = True, None, None, None
        self._let_go = False
        for name in list(self._timers):
            self._stop_timer(name)
        if self._released and not self._over:
            self._released = False
            self._live.emit_attended()
        if self._paused and not self._over:
            self._paused = False
            if self._attended:
                self._attended.resume()

    def _be_alone(self, *, pause_after: float = 0.0, at_least: float = 0.0) -> None:
        if self._since is None:
            self._since = _now()
            self._live.left_at = time.monotonic() if self._seen and self._limits else None
        if not self._released:
            self._start_timer("release", max(RELEASE_SECONDS, pause_after), self._release)
        if self._limits is None or self._over:
            return
        if (seconds := self._count_seconds_left(self._limits, at_least)) is not None:
            if seconds <= 0:
                self._end()
                return
            self._start_timer("end", seconds, self._end)
        if self._seen and not self._paused:
            if pause_after:
                self._start_timer("pause", pause_after, self._pause)
            else:
                self._pause()

    def _count_seconds_left(self, limits: Limits, at_least: float) -> float | None:
        if self._seen:
            end_at = _now() + limits.rejoin if self._end_at is None else self._end_at
            return max(end_at - _now(), at_least)
        return max(limits.nobody, at_least) if limits.nobody else None

    def _pause(self) -> None:
        self._paused = True
        if self._attended:
            self._attended.pause()

    def _end(self) -> None:
        self.stop()
        self.hang_up.stop_waiting()
        self._ended_because = EVERYBODY_LEFT if self._seen else NOBODY_CAME
        if self._attended:
            self._attended.end(self._ended_because)

    def _release(self) -> None:
        if self._live.ended or self._released:
            return
        if self._limits is None and (self.busy or not self._seen):
            self._start_timer("release", BUSY_LOOK_SECONDS, self._release)  # an entrypoint may have work to do, or wait
        elif self.hang_up.runs_tool:
            self._start_timer("release", BUSY_LOOK_SECONDS, self._release)
        else:
            self._released = True
            cause = "closed" if self._let_go else "left" if self._seen else "nobody_yet"
            self._live.emit_waiting(cause, may_be_ended=self._limits is not None or self._let_go)

    def _start_timer(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self._stop_timer(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, call)

    def _stop_timer(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()


class EntrypointSlot:
    """Gives back the slot of a LiveKit entrypoint: when it has returned and everybody has left, or its sessions closed.

    The call ends as livekit-agents ends it: its package may still have something to do, or wait for somebody.

    Args:
        context: LiveKit's context of the job.
        live: The call.
        hang_up: Knows which of its tools run.
    """

    def __init__(self, context: JobContext, live: LiveCall, hang_up: HangUp) -> None:
        self._sessions: set[object] = set()
        self._had_session = False
        self._attendance = Attendance(context.room, live, hang_up, None, self._is_served)
        self._attendance.busy = True

    def note_session(self, session: object) -> None:
        """Keep the slot, or take it again: a session starts."""
        self._sessions.add(session)
        self._had_session = True
        self._attendance.look()

    def note_close(self, session: object) -> None:
        """Note that a session has closed."""
        self._sessions.discard(session)
        self._give_back()

    def note_return(self) -> None:
        """Note that the entrypoint has returned."""
        self._attendance.busy = False
        self._give_back()

    def _give_back(self) -> None:
        if self._is_over():
            self._attendance.let_go()

    def _is_over(self) -> bool:
        return self._had_session and not self._sessions and not self._attendance.busy

    def _is_served(self, participant: rtc.RemoteParticipant) -> bool:
        return not self._is_over() and is_person(participant)


@contextlib.contextmanager
def keep_slot_meanwhile(context: JobContext, live: LiveCall) -> Iterator[EntrypointSlot | None]:
    """Let a call keep its slot while its LiveKit entrypoint runs, and yield what gives it back after that.

    Args:
        context: LiveKit's context of the job.
        live: The call.
    """
    hang_up = find_hang_up(context)
    slot = EntrypointSlot(context, live, hang_up) if hang_up else None
    try:
        yield slot
    finally:
        if slot:
            slot.note_return()


def may_come_back(participant: rtc.RemoteParticipant) -> bool:
    """Whether somebody who has left may be there again in a moment, as far as can be told."""
    if participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP or participant.disconnect_reason in _FOR_GOOD:
        return False
    knows = participant.attributes.get(HANGS_UP_ATTRIBUTE) == "true"
    return not (knows and participant.disconnect_reason == rtc.DisconnectReason.CLIENT_INITIATED)


def _now() -> float:
    return asyncio.get_running_loop().time()
