"""Builds the members of a running cast, and brings them into the room."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AutoSubscribe, JobContext
from livekit.agents.utils import is_given
from livekit.agents.voice.room_io import RoomOptions, TextInputOptions

from openrtc.call import Call
from openrtc.cast.cast_member import CastMember
from openrtc.cast.company import Company, Part
from openrtc.cast.current import current
from openrtc.cast.seat import Seat
from openrtc.catalog.build import build_agent
from openrtc.worker.greeting import greeting_of
from openrtc.worker.hang_up import limited
from openrtc.worker.models import is_realtime
from openrtc.worker.participant import agent_token, member_of
from openrtc.worker.runtime import Runtime
from openrtc.worker.session import kept_in_its_call
from openrtc.worker.session_options import build_session
from openrtc.worker.shielded_connect import shield_connect
from openrtc.worker.upstream import replace_tool_functions, url_of

logger = logging.getLogger("openrtc.cast")

EVERYBODY = [
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
    rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
    rtc.ParticipantKind.PARTICIPANT_KIND_AGENT,
]

TRANSCRIPTION_TOPIC = "lk.transcription"
SESSION_TOPIC = "lk.agent.session"

HOUSE_RULES = (
    "You are in a call together with others: {others}. What they say is told to you as lines that begin with their "
    "name in brackets, and everybody hears what you say. Answer only for yourself, briefly, and without a name in "
    "brackets."
)


async def build_seat(
    part: Part, member: CastMember, company: Company, call: Call, runtime: Runtime, *, text_only: bool
) -> tuple[Seat, Agent]:
    """Build a member's agent and session; call it in a task of the member's own.

    Args:
        part: What the declaration says of it.
        member: What its code gets.
        company: The cast.
        call: The call.
        runtime: What the calls share.
        text_only: Whether the conversation is held in text.
    """
    current.set(member)
    is_ear = part.role == company.cast.ear
    call = replace(call, agent_name=part.spec.name, cast_member=member)
    async with limited(part.spec.name):
        agent = await build_agent(part.spec, call)
    await _tell_house_rules(agent, part, company)
    replace_tool_functions(agent, kept_in_its_call)
    hearing: Any = "ear" if is_ear else "nobody"
    spec = replace(part.spec, examples=company.examples) if is_ear else part.spec
    session, _ = await build_session(spec, agent, call, runtime, text_only=text_only, hearing=hearing)
    seat = Seat(
        part=part,
        session=session,
        room=None,
        is_ear=is_ear,
        realtime=is_realtime(agent.llm if is_given(agent.llm) else session.llm),
        context=contextvars.copy_context(),
        greeting=greeting_of(part.spec, agent, runtime),
    )
    return seat, agent


async def connect_ear(seat: Seat, context: JobContext) -> None:
    """Join the room as the job's own participant, and hear people only."""
    seat.room = context.room
    context.room.register_text_stream_handler(TRANSCRIPTION_TOPIC, _nothing)
    context.room.on("track_published", _hear_people)
    await context.connect(auto_subscribe=AutoSubscribe.SUBSCRIBE_NONE)
    for participant in context.room.remote_participants.values():
        for publication in participant.track_publications.values():
            _hear_people(publication, participant)


async def connect_member(seat: Seat, context: JobContext, runtime: Runtime) -> None:
    """Join the room as a participant of its own, which hears nobody."""
    seat.room = rtc.Room()
    seat.room.register_text_stream_handler(TRANSCRIPTION_TOPIC, _nothing)
    seat.room.register_byte_stream_handler(SESSION_TOPIC, _nothing)
    sid = context.job.room.sid
    shield_connect(seat.room, sid, lambda other: logger.debug("member %r: the room was made anew", seat.role))
    participant = member_of(seat.role, seat.part.spec.name, seat.name, context.job.id)
    token = agent_token(runtime.config.worker, context.job.room.name, participant)
    await seat.room.connect(url_of(context), token, rtc.RoomOptions(auto_subscribe=False))


def room_options(seat: Seat, typed: Callable[..., Any]) -> RoomOptions:
    """Return what livekit-agents is to do with the room of a member.

    Args:
        seat: The member.
        typed: Takes what people type, for the ear.
    """
    base = seat.part.spec.room_options or RoomOptions()
    changes: dict[str, Any] = {"close_on_disconnect": False}
    if seat.is_ear:
        if base.text_input is not False:
            changes["text_input"] = TextInputOptions(text_input_cb=typed)
    else:
        changes |= {"audio_input": False, "video_input": False, "text_input": False}
    return replace(base, **changes)


def is_person(participant: rtc.RemoteParticipant) -> bool:
    """Whether a participant is neither an agent nor a recorder."""
    kinds = (rtc.ParticipantKind.PARTICIPANT_KIND_AGENT, rtc.ParticipantKind.PARTICIPANT_KIND_EGRESS)
    return participant.kind not in kinds


def _nothing(reader: object, identity: str) -> None:
    """Take what a member writes to people; without that, each piece of it would be a log line."""


def _hear_people(publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
    if is_person(participant):
        publication.set_subscribed(True)


async def _tell_house_rules(agent: Agent, part: Part, company: Company) -> None:
    others = [f"{other.display_name} ({other.role})" for other in company.parts if other.role != part.role]
    if isinstance(agent.instructions, str):
        rules = HOUSE_RULES.format(others=", ".join([*others, "people"]))
        await agent.update_instructions(f"{agent.instructions}\n\n{rules}")
