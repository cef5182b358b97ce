"""Runs the call of a cast: in a LiveKit room, or in text with somebody at a terminal."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import JobContext

from openrtc.cast.cast_session import CastSession
from openrtc.cast.listening import Overhearing
from openrtc.cast.member_session import MemberSession
from openrtc.cast.presence import Presence
from openrtc.cast.rooms import (
    build_room_options,
    connect_ear,
    connect_member,
    disable_pre_connect_audio,
    handle_typed_text,
    update_subscriptions,
    wait_for_audio,
)
from openrtc.catalog.resolved_cast import ResolvedCast
from openrtc.errors import OpenRTCError
from openrtc.model.call import Call
from openrtc.model.dispatch_names import is_held_in_text
from openrtc.observe.events import MemberJoined
from openrtc.runtime.frontend import CastFrontend
from openrtc.runtime.runtime import Runtime
from openrtc.session.attendance import Attendance, Limits
from openrtc.session.guards import hold_handoffs
from openrtc.session.hang_up import find_hang_up
from openrtc.session.participant import wait_for_person
from openrtc.session.pause import Pause
from openrtc.session.profile import build_start_options, without_sound
from openrtc.session.session_host import SessionDoor
from openrtc.upstream.digest import describe_changes
from openrtc.upstream.speech import mute_transcripts, publish_transcripts

SUBSCRIBE_SECONDS = 2.0
"""How long a member that is to listen waits for the person's sound."""
POLL_SECONDS = 0.05
QUIET_POLLS = 3
"""So many polls in a row without anybody who speaks, or is about to, are a rest."""


async def run_cast(context: JobContext, resolved_cast: ResolvedCast, call: Call, runtime: Runtime) -> None:
    """Bring every member of a cast into the job's room, and let them talk until the call ends; or let them write.

    Args:
        context: LiveKit's context of the job.
        resolved_cast: The cast.
        call: The call.
        runtime: What the calls of this process share.

    Raises:
        OpenRTCError: There is no room, and whoever talks to the cast cannot do so without one; or this is a
            livekit-agents whose speech OpenRTC does not know.
    """
    # Agents that are casts take no calls then. This is for several agents that a dispatch has put together.
    if changes := describe_changes("speech"):
        raise OpenRTCError(f"OpenRTC does not know this livekit-agents: {changes}")
    if not context.is_fake_job():
        await RoomCast(context, resolved_cast, call, runtime).run()
    elif isinstance(runtime.frontend, CastFrontend) and runtime.frontend.text_only:
        await TextCast(context, resolved_cast, call, runtime).run(runtime.frontend)
    else:
        raise resolved_cast.why_no_room


class RoomCast(CastSession):
    """A cast in a LiveKit room, where it talks until the call ends.

    Args:
        context: LiveKit's context of the job.
        resolved_cast: The cast.
        call: The call.
        runtime: What the calls of this process share.
    """

    def __init__(self, context: JobContext, resolved_cast: ResolvedCast, call: Call, runtime: Runtime) -> None:
        super().__init__(context, resolved_cast, call, runtime)
        self.text_only = is_held_in_text(call.request.attributes)
        self._by_audio = resolved_cast.cast.hears == "audio" and not self.text_only
        self._overhearing: dict[str, Overhearing] = {}
        self._pauses: list[Pause] = []
        self._resting = False
        endless = resolved_cast.cast.ends == "never"
        self._presence = Presence(context.room, self._on_person_left, endless=endless)
        self._hang_up = find_hang_up(context)
        self._attendance = None if endless else self._watch_attendance()

    async def run(self) -> None:
        """Bring everybody into the room, then let the lead open."""
        if self._attendance:
            self._attendance.attend(self)
        await self.start_members()
        if not self.over:
            self.run_in_background(self._open())
            await self.report_started()

    def is_empty(self) -> bool:
        """Whether no person is in the room."""
        return self._presence.empty

    def on_end(self) -> None:
        """Watch no more who comes and goes."""
        self._presence.stop()
        if self._attendance:
            self._attendance.stop()

    # What its attendance calls: the interface `Attended`.

    def pause(self) -> None:
        """Let everybody rest: no person is there any more."""
        self._resting = True
        self.turns.floor.sleep()
        for pause in self._pauses:
            pause.pause()

    def resume(self) -> None:
        """Go on: a person is there again."""
        self._resting = False
        for pause in self._pauses:
            pause.resume()
        self.turns.floor.wake()

    def link(self, participant: rtc.RemoteParticipant) -> None:
        """Leave it to the presence whom the ear hears."""

    async def start_member(self, member: MemberSession) -> None:
        """Join the room as a participant, and start the member's session there."""
        if member.listens:
            await connect_ear(member, self.resolved_cast, self.context)
            options = member.resolved.spec.room_options
            if options is None or options.text_input is not False:
                handle_typed_text(self.context.room, self.listening.take_text)
        else:
            room = await connect_member(member, self.resolved_cast, self.context, self.runtime)
            room.on("disconnected", partial(self._on_disconnected, member))
        if self._by_audio:
            self._overhearing[member.role] = Overhearing(member)
            self._overhearing[member.role].take_turns_of(member.agent)
        self._let_rest(member)
        await self._start_session(member)
        if member.listens:
            self._presence.set_ear(member)
        if member.hears_members:  # each member writes its own words itself
            mute_transcripts(member.session)
        if member.alive and not self.over:
            self.live.events.emit(MemberJoined(**self.live.fields, member=member.role, identity=member.identity))
        member.started.set()

    async def prepare_to_listen(self, member: MemberSession) -> None:
        """Let a person's sound reach a member that listens to nobody yet."""
        member.listens = True
        update_subscriptions(member, self.resolved_cast, self.call.job_id)
        await wait_for_audio(member, self._presence.listened_to, SUBSCRIBE_SECONDS)

    def start_listening(self, member: MemberSession) -> None:
        """Let a member that is prepared hear people."""
        if member.hears_members:
            member.hears_members = False
            publish_transcripts(member.session)
        member.session.room_io.set_participant(self._presence.listened_to)
        if member.speech_input is not None:
            member.speech_input.open(member.session)
        member.session.input.set_audio_enabled(True)
        self._presence.set_ear(member)

    def stop_listening(self, member: MemberSession) -> None:
        """Let a member hear no more people."""
        member.listens = False
        if self._by_audio:
            member.hears_members = True
            mute_transcripts(member.session)
            self._overhearing[member.role].take_turns_of(member.session.current_agent)
        else:
            member.session.input.set_audio_enabled(False)
            if member.speech_input is not None:
                member.speech_input.close(member.session)
        update_subscriptions(member, self.resolved_cast, self.call.job_id)

    async def _start_session(self, member: MemberSession) -> None:
        assert member.room is not None
        room_options = build_room_options(member, self.resolved_cast, self.call.job_id)
        if self.text_only:
            room_options = without_sound(room_options)
            await wait_for_person(member.room)
        options = build_start_options(self.runtime.config.worker.profile, room_options)
        if not member.in_jobs_room:
            if not member.hears_members:
                member.session.input.set_audio_enabled(False)
            # A job has one primary session, the ear's: any other one that asks to be recorded raises.
            options = {**options, "room_options": disable_pre_connect_audio(options["room_options"]), "record": False}
        door = SessionDoor(member.session, member.room, self.runtime.config.worker, self.listening.answer_text)
        with hold_handoffs(member.session):
            await member.session.start(member.agent, room=member.room, **options | door.start_options)
        await door.open()

    def _watch_attendance(self) -> Attendance | None:
        if self._hang_up is None:
            return None
        spec = self.runtime.catalog.get(self.call.agent_name).spec
        assert spec is not None, "it is an agent that is ready"
        limits = Limits.of(self.context.job.room, spec, self.runtime.config.worker)
        return Attendance(self.context.room, self.live, self._hang_up, limits)

    def _let_rest(self, member: MemberSession) -> None:
        if self._hang_up and self._attendance:
            self._pauses.append(Pause(member.session, self._hang_up))
            if self._resting:
                self._pauses[-1].pause()

    async def _open(self) -> None:
        await self._presence.wait_until_open()
        await self._presence.unlink_members()
        await self.turns.open()

    def _on_person_left(self) -> None:
        if not self.over:
            self.listening.on_person_left()

    def _on_disconnected(self, member: MemberSession, reason: Any) -> None:
        self.fail_member(member, f"its participant is out of the room: {rtc.DisconnectReason.Name(reason)}")


class TextCast(CastSession):
    """A cast that writes with somebody at a terminal. The ear does not move there: everybody reads what is typed."""

    text_only = True

    async def run(self, frontend: CastFrontend) -> None:
        """Hold the conversation.

        Args:
            frontend: Who talks to it.
        """
        self._frontend = frontend
        await self.start_members()
        if self.over:
            return
        await self.report_started()
        await self.turns.open()
        await frontend.with_cast(self.listening.take_text, self._wait_until_quiet)
        self.end("the conversation is over")

    async def start_member(self, member: MemberSession) -> None:
        """Start the member's session without a room."""
        await self._frontend.before_member(self.call, member.session, member.name, is_ear=member.listens)
        with hold_handoffs(member.session):
            await member.session.start(member.agent)
        member.started.set()

    async def _wait_until_quiet(self) -> None:
        quiet = 0
        while quiet < QUIET_POLLS and not self.over:
            quiet = quiet + 1 if self.turns.floor.at_rest else 0
            await asyncio.sleep(POLL_SECONDS)
