"""Participants of a room: the agent's own (identity, name, attributes, token), and which of the others are people."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TypedDict

from livekit import api, rtc
from livekit.protocol import agent as proto

from openrtc.catalog.catalog import Catalog
from openrtc.model.decision import Decision
from openrtc.model.dispatch_names import ANSWERING_AGENT_ATTRIBUTE, HOSTED_AGENT_ATTRIBUTE, ROLE_ATTRIBUTE
from openrtc.settings.config import WorkerSettings

READER_SECONDS = 5.0
"""How long a call in text waits for somebody who reads it: the server tells up to 3 s late of who publishes nothing."""

TOKEN_LIFETIME = timedelta(hours=6)
"""As livekit's own default: it limits when the agent may join, not how long it may stay."""

_MACHINES = ("AGENT", "BRIDGE", "EGRESS", "INGRESS")
# The native library and the server's API number kinds differently: CONNECTOR is 5 in one and 7 in the other.
_MACHINES_IN_ROOM = frozenset(rtc.ParticipantKind.Value(f"PARTICIPANT_KIND_{name}") for name in _MACHINES)
_MACHINES_BY_API = frozenset(api.ParticipantInfo.Kind.Value(name) for name in _MACHINES)


class Participant(TypedDict):
    """What other participants see of an agent."""

    name: str
    identity: str
    attributes: dict[str, str]


def build_participant(catalog: Catalog, decision: Decision, job_id: str) -> Participant:
    """Return the job's own participant: the agent, or the member of a cast that listens to people.

    A worker of livekit-agents' own kind looks as it does there, which its front end may count on: it has no name, its
    identity begins with ``agent-``, and its attribute `ANSWERING_AGENT_ATTRIBUTE` is the name in its code. Without one
    in its code, livekit-agents sets the name of the registration.

    Args:
        catalog: The agents.
        decision: Which of them were chosen.
        job_id: LiveKit's id of the job.
    """
    if resolved_cast := catalog.resolve_cast(decision.agents):
        ear = resolved_cast.ear
        return build_member_participant(ear.role, ear.spec.name, ear.display_name, job_id)
    agent = decision.agents[0]
    if worker := catalog.get(agent).worker:
        named = {ANSWERING_AGENT_ATTRIBUTE: worker.agent_name} if worker.agent_name else {}
        attributes = {HOSTED_AGENT_ATTRIBUTE: agent, **named}
        return {"name": "", "identity": build_identity("agent", job_id), "attributes": attributes}
    attributes = {ANSWERING_AGENT_ATTRIBUTE: agent}
    return {"name": catalog.display_name(agent), "identity": build_identity(agent, job_id), "attributes": attributes}


def build_member_participant(role: str, agent: str, name: str, job_id: str) -> Participant:
    """Return the participant of one member of a cast.

    Args:
        role: The member's role.
        agent: Name of its agent.
        name: The name that other participants see.
        job_id: LiveKit's id of the job.
    """
    attributes = {ANSWERING_AGENT_ATTRIBUTE: agent, ROLE_ATTRIBUTE: role}
    return {"name": name, "identity": build_identity(role, job_id), "attributes": attributes}


def build_identity(name: str, job_id: str) -> str:
    """Return the identity of an agent in a job: it starts with the agent's name, or with the member's role."""
    return f"{name}-{job_id}"


def belongs_to_job(identity: str, job_id: str) -> bool:
    """Whether an identity is that of an agent in a job: of the single one, or of a member of a cast."""
    return identity.endswith(f"-{job_id}")


def is_agent_of(identity: str, job: proto.Job) -> bool:
    """Whether an identity is that of an agent in a job, also where its package has chosen it.

    Args:
        identity: The identity.
        job: The job; the admission has noted in it who takes it.
    """
    return identity == job.state.participant_identity or belongs_to_job(identity, job.id)


def build_agent_token(settings: WorkerSettings, room: str, participant: Participant) -> str:
    """Return a token with which an agent joins a room.

    Args:
        settings: API key and secret.
        room: Name of the room.
        participant: As whom it joins.
    """
    token = api.AccessToken(settings.api_key, settings.api_secret)
    grants = api.VideoGrants(room_join=True, room=room, agent=True, can_update_own_metadata=True)
    return (
        token.with_identity(participant["identity"])
        .with_name(participant["name"])
        .with_kind("agent")
        .with_grants(grants)
        .with_attributes(participant["attributes"])
        .with_ttl(TOKEN_LIFETIME)
        .to_jwt()
    )


def is_person(participant: rtc.RemoteParticipant | api.ParticipantInfo) -> bool:
    """Whether a participant is somebody to talk to, as seen from inside the room or by the server's API.

    This decides whether a call goes on: it ends when its last person has left.
    """
    # People: STANDARD (browser, app), SIP (a phone) and CONNECTOR (WhatsApp, Twilio): the kinds that livekit-agents
    # listens to by itself, and kinds that are not known yet, since to hang up on somebody is worse than to wait.
    # Nobody answers behind the machines: agents, EGRESS (recorders), INGRESS (a stream that is played into the room)
    # and BRIDGE (a camera), nor behind a hidden participant, which only looks on. A recorder stays until the room is
    # closed, so that a call that it keeps alive never ends.
    if isinstance(participant, api.ParticipantInfo):
        return participant.kind not in _MACHINES_BY_API and not participant.permission.hidden
    return participant.kind not in _MACHINES_IN_ROOM and not participant.permissions.hidden


async def wait_for_person(room: rtc.Room, seconds: float = READER_SECONDS) -> None:
    """Wait until a person is in a room, but not for long: livekit-agents drops what is written before.

    Args:
        room: The room, which is connected.
        seconds: How long to wait at most.
    """
    there = asyncio.Event()

    def look(participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            there.set()

    room.on("participant_connected", look)
    try:
        for participant in room.remote_participants.values():
            look(participant)
        async with asyncio.timeout(seconds):
            await there.wait()
    except TimeoutError:
        return  # nobody may come at all
    finally:
        room.off("participant_connected", look)
