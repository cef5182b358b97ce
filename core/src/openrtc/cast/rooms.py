"""Brings members into the room, and chooses whose tracks each of them gets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from livekit.agents.voice.room_io import RoomOptions

from openrtc.cast.member_session import MemberSession
from openrtc.catalog.resolved_cast import ResolvedCast
from openrtc.runtime.runtime import Runtime
from openrtc.session.participant import (
    belongs_to_job,
    build_agent_token,
    build_identity,
    build_member_participant,
    is_person,
)
from openrtc.session.room_connect import shield_join
from openrtc.upstream.jobs import get_server_url

TRANSCRIPTION_TOPIC = "lk.transcription"
CHAT_TOPIC = "lk.chat"
POLL_SECONDS = 0.02
"""How often it is looked whether a subscribed track has come."""
KINDS = rtc.ParticipantKind
ANYBODY = [
    KINDS.PARTICIPANT_KIND_STANDARD,
    KINDS.PARTICIPANT_KIND_SIP,
    KINDS.PARTICIPANT_KIND_CONNECTOR,
    KINDS.PARTICIPANT_KIND_AGENT,
]

TrackFilter = Callable[[rtc.RemoteParticipant], bool]


async def connect_ear(member: MemberSession, resolved_cast: ResolvedCast, context: JobContext) -> None:
    """Join the room as the job's own participant."""
    member.room, member.in_jobs_room = context.room, True
    _register_handlers(context.room, build_track_filter(member, resolved_cast, context.job.id))
    # Otherwise the ear would get and decode every member's voice, too.
    await context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    update_subscriptions(member, resolved_cast, context.job.id)


async def connect_member(
    member: MemberSession, resolved_cast: ResolvedCast, context: JobContext, runtime: Runtime
) -> rtc.Room:
    """Join the room as a participant of its own; return its connection.

    With one connection for several sessions, all would be one participant: one identity with several tracks, neither
    of which the other session hears, and transcripts that carry the first one's track.
    """
    job = context.job
    member.room = rtc.Room()
    # What people type is for the ear.
    member.room.register_text_stream_handler(CHAT_TOPIC, _ignore_stream)
    shield_join(member.room, context, runtime.config.worker)
    _register_handlers(member.room, build_track_filter(member, resolved_cast, job.id))
    participant = build_member_participant(member.role, member.resolved.spec.name, member.name, job.id)
    token = build_agent_token(runtime.config.worker, job.room.name, participant)
    await member.room.connect(get_server_url(context), token, rtc.RoomOptions(auto_subscribe=False))
    update_subscriptions(member, resolved_cast, job.id)
    return member.room


def update_subscriptions(member: MemberSession, resolved_cast: ResolvedCast, job_id: str) -> None:
    """Subscribe to the tracks that a member wants of those who are there, and to no others."""
    assert member.room is not None
    wants = build_track_filter(member, resolved_cast, job_id)
    for participant in member.room.remote_participants.values():
        is_wanted = wants(participant)
        for publication in participant.track_publications.values():
            if publication.subscribed or is_wanted:
                publication.set_subscribed(is_wanted)


def build_track_filter(member: MemberSession, resolved_cast: ResolvedCast, job_id: str) -> TrackFilter:
    """Return whether a member wants the tracks of a participant, as things stand when that is asked.

    People are heard by the ear only, and members by each other only where the cast says so. livekit-agents holds back
    what nobody has subscribed to: in a room without people the job's own participant subscribes to the others, and one
    of them to it.
    """
    jobs_own = build_identity(resolved_cast.cast.ear, job_id)
    endless = resolved_cast.cast.ends == "never"
    second = next((one.role for one in resolved_cast.members if one.role != resolved_cast.cast.ear), "")

    def wants(participant: rtc.RemoteParticipant) -> bool:
        if is_person(participant):
            return member.listens
        if participant.kind != KINDS.PARTICIPANT_KIND_AGENT or not belongs_to_job(participant.identity, job_id):
            return False
        heard_by_nobody_else = member.in_jobs_room or (member.role == second and participant.identity == jobs_own)
        return member.hears_members or (endless and heard_by_nobody_else)

    return wants


def build_room_options(member: MemberSession, resolved_cast: ResolvedCast, job_id: str) -> RoomOptions:
    """Return what livekit-agents is to do with the room of a member.

    Args:
        member: The member.
        resolved_cast: The cast.
        job_id: LiveKit's id of the job.
    """
    base = member.resolved.spec.room_options or RoomOptions()
    # The cast decides when the call ends and who gets typed text: not each session for itself.
    changes: dict[str, Any] = {"close_on_disconnect": False, "text_input": False}
    if resolved_cast.cast.ends == "never":
        changes["participant_kinds"] = ANYBODY
    if not member.in_jobs_room:
        changes |= {"video_input": False, "delete_room_on_close": False}
    if member.hears_members:
        # By default livekit-agents ignores agents, and without an identity it links whoever comes first. Any less than
        # these two and close_on_disconnect=False leaves a member that hears nobody, without an error.
        ear = build_identity(resolved_cast.cast.ear, job_id)
        changes |= {"participant_kinds": ANYBODY, "participant_identity": ear}
    return replace(base, **changes)


def disable_pre_connect_audio(options: RoomOptions) -> RoomOptions:
    """Return room options without what a person has said before the agents came: that is for the ear alone."""
    audio = options.get_audio_input_options()
    return options if audio is None else replace(options, audio_input=replace(audio, pre_connect_audio=False))


def handle_typed_text(room: rtc.Room, typed: Callable[[str, str], Coroutine[Any, Any, None]]) -> None:
    """Let ``typed`` get what people type: livekit-agents would take it from the linked participant only.

    Args:
        room: The job's room.
        typed: Takes the text and the name of who has typed it.
    """
    reading: set[asyncio.Task[None]] = set()

    async def read(reader: rtc.TextStreamReader, person: rtc.RemoteParticipant) -> None:
        await typed(await reader.read_all(), person.name or person.identity)

    def on_text(reader: rtc.TextStreamReader, identity: str) -> None:
        person = room.remote_participants.get(identity)
        if person is not None and is_person(person):
            task = asyncio.create_task(read(reader, person), name="read-typed-text")
            reading.add(task)
            task.add_done_callback(reading.discard)

    room.register_text_stream_handler(CHAT_TOPIC, on_text)


async def wait_for_audio(member: MemberSession, identity: str, seconds: float) -> None:
    """Wait until a member gets a person's audio, if there is any.

    Args:
        member: The member, which has subscribed to the person.
        identity: The person's identity.
        seconds: How long to wait at most.
    """
    assert member.room is not None
    until = time.monotonic() + seconds
    while (person := member.room.remote_participants.get(identity)) is not None and time.monotonic() < until:
        tracks = [one for one in person.track_publications.values() if one.kind == rtc.TrackKind.KIND_AUDIO]
        if not tracks or any(one.track is not None for one in tracks):
            return
        await asyncio.sleep(POLL_SECONDS)


def _register_handlers(room: rtc.Room, wants: TrackFilter) -> None:
    # Each participant gets what members write to people: without a handler, every piece of it is a log line.
    room.register_text_stream_handler(TRANSCRIPTION_TOPIC, _ignore_stream)

    def on_published(publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        if wants(participant):
            publication.set_subscribed(True)

    room.on("track_published", on_published)


def _ignore_stream(reader: object, identity: str) -> None:
    """Take a stream that is for somebody else."""
