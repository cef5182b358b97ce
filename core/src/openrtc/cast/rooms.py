"""Brings members into the room, and chooses whose tracks each of them gets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from livekit.agents.voice.room_io import RoomOptions, TextInputOptions

from openrtc.cast.company import Company
from openrtc.cast.seat import Seat
from openrtc.worker.late_join import shield_join
from openrtc.worker.participant import agent_token, identity_for, member_of
from openrtc.worker.runtime import Runtime
from openrtc.worker.upstream.jobs import url_of

logger = logging.getLogger("openrtc.cast")

TRANSCRIPTION_TOPIC = "lk.transcription"
SESSION_TOPIC = "lk.agent.session"
CHAT_TOPIC = "lk.chat"
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
    seat.room = context.room
    _listen_to(context.room, wanted_by(seat, company, context.job.id))
    await context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    _subscribe_to_those_who_are_there(context.room, wanted_by(seat, company, context.job.id))


async def connect_member(seat: Seat, company: Company, context: JobContext, runtime: Runtime) -> None:
    """Join the room as a participant of its own."""
    job = context.job
    seat.room = rtc.Room()
    seat.room.register_byte_stream_handler(SESSION_TOPIC, _nothing)
    seat.room.register_text_stream_handler(CHAT_TOPIC, _nothing)
    shield_join(seat.room, context, runtime.config.worker)
    _listen_to(seat.room, wanted_by(seat, company, job.id))
    participant = member_of(seat.role, seat.part.spec.name, seat.name, job.id)
    token = agent_token(runtime.config.worker, job.room.name, participant)
    await seat.room.connect(url_of(context), token, rtc.RoomOptions(auto_subscribe=False))
    _subscribe_to_those_who_are_there(seat.room, wanted_by(seat, company, job.id))


def wanted_by(seat: Seat, company: Company, job_id: str) -> Wanted:
    """Return whether a member wants the tracks of a participant.

    People are heard by the ear only, and members by each other only where the cast says so. livekit-agents holds back
    what nobody has subscribed to: in a room without people the ear listens to the others, and one of them to the ear.
    """
    ear = identity_for(company.cast.ear, job_id)
    endless, audio = company.cast.ends == "never", company.cast.hears == "audio"
    second = next((part.role for part in company.parts if part.role != company.cast.ear), "")

    def wanted(participant: rtc.RemoteParticipant) -> bool:
        is_member = participant.kind == KINDS.PARTICIPANT_KIND_AGENT and participant.identity.endswith(f"-{job_id}")
        if seat.is_ear:
            return is_person(participant) or (endless and is_member)
        return (audio and is_member) or (endless and seat.role == second and participant.identity == ear)

    return wanted


def room_options(seat: Seat, company: Company, job_id: str, typed: Callable[..., Any]) -> RoomOptions:
    """Return what livekit-agents is to do with the room of a member.

    Args:
        seat: The member.
        company: The cast.
        job_id: LiveKit's id of the job.
        typed: Takes what people type, for the ear.
    """
    base = seat.part.spec.room_options or RoomOptions()
    changes: dict[str, Any] = {"close_on_disconnect": False}
    if seat.is_ear and base.text_input is not False:
        changes["text_input"] = TextInputOptions(text_input_cb=typed)
    if company.cast.ends == "never":
        changes["participant_kinds"] = ANYBODY
    if not seat.is_ear:
        changes |= {"video_input": False, "text_input": False}
    if seat.hears_members:
        changes |= {"participant_kinds": ANYBODY, "participant_identity": identity_for(company.cast.ear, job_id)}
    elif not seat.is_ear:
        changes["audio_input"] = False
    return replace(base, **changes)


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


def _subscribe_to_those_who_are_there(room: rtc.Room, wanted: Wanted) -> None:
    for participant in room.remote_participants.values():
        for publication in participant.track_publications.values() if wanted(participant) else ():
            publication.set_subscribed(True)


def _nothing(reader: object, identity: str) -> None:
    """Take what a member writes to people."""
