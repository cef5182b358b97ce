"""Brings members into the room, and chooses whose tracks each of them gets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from livekit.agents.voice.room_io import RoomOptions

from openrtc.cast.company import Company
from openrtc.cast.seat import Seat
from openrtc.worker.late_join import shield_join
from openrtc.worker.participant import agent_token, identity_for, is_of_job, member_of
from openrtc.worker.runtime import Runtime
from openrtc.worker.upstream.jobs import url_of

logger = logging.getLogger("openrtc.cast")

TRANSCRIPTION_TOPIC = "lk.transcription"
SESSION_TOPIC = "lk.agent.session"
CHAT_TOPIC = "lk.chat"
STEP = 0.02
KINDS = rtc.ParticipantKind
ANYBODY = [
    KINDS.PARTICIPANT_KIND_STANDARD,
    KINDS.PARTICIPANT_KIND_SIP,
    KINDS.PARTICIPANT_KIND_CONNECTOR,
    KINDS.PARTICIPANT_KIND_AGENT,
]

Wanted = Callable[[rtc.RemoteParticipant], bool]


async def connect_ear(seat: Seat, company: Company, context: JobContext) -> None:
    """Join the room as the job's own participant."""
    seat.room, seat.in_jobs_room = context.room, True
    _listen_to(context.room, wanted_by(seat, company, context.job.id))
    await context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    subscribe(seat, company, context.job.id)


async def connect_member(seat: Seat, company: Company, context: JobContext, runtime: Runtime) -> rtc.Room:
    """Join the room as a participant of its own; return its connection."""
    job = context.job
    seat.room = rtc.Room()
    seat.room.register_byte_stream_handler(SESSION_TOPIC, _nothing)
    seat.room.register_text_stream_handler(CHAT_TOPIC, _nothing)
    shield_join(seat.room, context, runtime.config.worker)
    _listen_to(seat.room, wanted_by(seat, company, job.id))
    participant = member_of(seat.role, seat.part.spec.name, seat.name, job.id)
    token = agent_token(runtime.config.worker, job.room.name, participant)
    await seat.room.connect(url_of(context), token, rtc.RoomOptions(auto_subscribe=False))
    subscribe(seat, company, job.id)
    return seat.room


def wanted_by(seat: Seat, company: Company, job_id: str) -> Wanted:
    """Return whether a member wants the tracks of a participant, as things stand when that is asked.

    People are heard by the ear only, and members by each other only where the cast says so. livekit-agents holds back
    what nobody has subscribed to: in a room without people the job's own participant subscribes to the others, and one
    of them to it.
    """
    jobs_own = identity_for(company.cast.ear, job_id)
    endless = company.cast.ends == "never"
    second = next((part.role for part in company.parts if part.role != company.cast.ear), "")

    def wanted(participant: rtc.RemoteParticipant) -> bool:
        if is_person(participant):
            return seat.listens
        if participant.kind != KINDS.PARTICIPANT_KIND_AGENT or not is_of_job(participant.identity, job_id):
            return False
        heard_by_nobody_else = seat.in_jobs_room or (seat.role == second and participant.identity == jobs_own)
        return seat.hears_members or (endless and heard_by_nobody_else)

    return wanted


def room_options(seat: Seat, company: Company, job_id: str) -> RoomOptions:
    """Return what livekit-agents is to do with the room of a member.

    Args:
        seat: The member.
        company: The cast.
        job_id: LiveKit's id of the job.
    """
    base = seat.part.spec.room_options or RoomOptions()
    changes: dict[str, Any] = {"close_on_disconnect": False, "text_input": False}
    if company.cast.ends == "never":
        changes["participant_kinds"] = ANYBODY
    if not seat.in_jobs_room:
        changes |= {"video_input": False, "delete_room_on_close": False}
    if seat.hears_members:
        changes |= {"participant_kinds": ANYBODY, "participant_identity": identity_for(company.cast.ear, job_id)}
    return replace(base, **changes)


def without_past(options: RoomOptions) -> RoomOptions:
    """Return room options without what a person has said before the agents came: that is for the ear alone."""
    audio = options.get_audio_input_options()
    return options if audio is None else replace(options, audio_input=replace(audio, pre_connect_audio=False))


def take_typed_text(room: rtc.Room, typed: Callable[[str, str], Coroutine[Any, Any, None]]) -> None:
    """Let ``typed`` get what people type, and who: whoever of the members listens then.

    Args:
        room: The job's room.
        typed: Takes the text and the name of who has typed it.
    """
    reading: set[asyncio.Task[None]] = set()

    async def read(reader: rtc.TextStreamReader, person: rtc.RemoteParticipant) -> None:
        await typed(await reader.read_all(), person.name or person.identity)

    def came(reader: rtc.TextStreamReader, identity: str) -> None:
        person = room.remote_participants.get(identity)
        if person is not None and is_person(person):
            task = asyncio.create_task(read(reader, person), name="read-typed-text")
            reading.add(task)
            task.add_done_callback(reading.discard)

    room.register_text_stream_handler(CHAT_TOPIC, came)


async def wait_until_heard(seat: Seat, identity: str, seconds: float) -> None:
    """Wait until a member gets a person's audio, if there is any.

    Args:
        seat: The member, which has subscribed to the person.
        identity: The person's identity.
        seconds: How long to wait at most.
    """
    assert seat.room is not None
    until = time.monotonic() + seconds
    while (person := seat.room.remote_participants.get(identity)) is not None and time.monotonic() < until:
        tracks = [one for one in person.track_publications.values() if one.kind == rtc.TrackKind.KIND_AUDIO]
        if not tracks or any(one.track is not None for one in tracks):
            return
        await asyncio.sleep(STEP)


def is_person(participant: rtc.RemoteParticipant) -> bool:
    """Whether a participant is neither an agent nor a recorder."""
    return participant.kind not in (KINDS.PARTICIPANT_KIND_AGENT, KINDS.PARTICIPANT_KIND_EGRESS)


def _listen_to(room: rtc.Room, wanted: Wanted) -> None:
    # What members write to people is told to each participant: without a handler, each piece of it is a log line.
    room.register_text_stream_handler(TRANSCRIPTION_TOPIC, _nothing)

    def published(publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        if wanted(participant):
            publication.set_subscribed(True)

    room.on("track_published", published)


def subscribe(seat: Seat, company: Company, job_id: str) -> None:
    """Subscribe to the tracks that a member wants of those who are there, and to no others."""
    assert seat.room is not None
    wanted = wanted_by(seat, company, job_id)
    for participant in seat.room.remote_participants.values():
        is_wanted = wanted(participant)
        for publication in participant.track_publications.values():
            if publication.subscribed or is_wanted:
                publication.set_subscribed(is_wanted)


def _nothing(reader: object, identity: str) -> None:
    """Take what a member writes to people."""
