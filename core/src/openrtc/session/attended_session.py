"""`AttendedSession`: what one session does when its callers leave, come back or stay away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, JobContext
from livekit.agents.utils import is_given
from livekit.agents.voice.room_io import RoomOptions

from openrtc.session.attendance import EVERYBODY_LEFT, IsCaller
from openrtc.session.hang_up import HangUp, close_promptly
from openrtc.session.participant import is_person
from openrtc.session.pause import Pause
from openrtc.upstream.handoffs import close_because_left


def stay_when_callers_leave(options: RoomOptions | None) -> RoomOptions:
    """Return room options with which a session goes on when the one whom it hears leaves: `Attendance` ends it."""
    return replace(options or RoomOptions(), close_on_disconnect=False)


def build_caller_filter(options: RoomOptions | None) -> IsCaller:
    """Return who counts as a caller of a session: people, or whom alone its agent's package wants to hear.

    Args:
        options: The room options of the package.
    """
    kinds = options.participant_kinds if options and is_given(options.participant_kinds) else None
    identity = options.participant_identity if options and is_given(options.participant_identity) else None

    def is_caller(participant: rtc.RemoteParticipant) -> bool:
        if identity is not None and participant.identity != identity:
            return False
        return is_person(participant) if kinds is None else participant.kind in kinds

    return is_caller


class AttendedSession:
    """One session; it is what an `Attendance` calls.

    livekit-agents links one participant to a session, and hears nobody else when that one has left.

    Args:
        session: The session, before it starts.
        context: LiveKit's context of the job.
        hang_up: Knows which of its tools run.
    """

    def __init__(self, session: AgentSession[Any], context: JobContext, hang_up: HangUp) -> None:
        self._session = session
        self._context = context
        self._pause = Pause(session, hang_up)
        self._heard_before = ""

    def pause(self) -> None:
        """Let its models rest."""
        self._pause.pause()

    def resume(self) -> None:
        """Go on."""
        self._pause.resume()

    def link(self, participant: rtc.RemoteParticipant) -> None:
        """Hear somebody where nobody is heard; and whom it has heard before, when that one is back."""
        try:
            room_io = self._session.room_io
        except RuntimeError:
            return  # it has not started: livekit-agents will link somebody itself
        linked = room_io.linked_participant
        if linked is None or linked.identity not in self._context.room.remote_participants:
            self._heard_before = linked.identity if linked else self._heard_before
            room_io.set_participant(participant.identity)
        elif participant.identity == self._heard_before:
            room_io.set_participant(participant.identity)

    def end(self, reason: str) -> None:
        """Close it, as livekit-agents itself does at once when its caller leaves; the job ends with it."""
        if self._pause.paused:
            close_promptly(self._session)  # it has heard nothing for a while
        if reason != EVERYBODY_LEFT or not close_because_left(self._session):
            self._context.shutdown(reason)
