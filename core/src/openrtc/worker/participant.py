"""How an agent stands in its room: identity, name and attributes of its participant, and its token."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypedDict

from livekit import api

from openrtc.catalog.catalog import Catalog
from openrtc.config import WorkerSettings
from openrtc.routing.decision import Decision

AGENT_ATTRIBUTE = "lk.agent.name"
ROLE_ATTRIBUTE = "openrtc.role"
TOKEN_LIFETIME = timedelta(hours=6)


class Participant(TypedDict):
    """What other participants see of an agent."""

    name: str
    identity: str
    attributes: dict[str, str]


def participant_of(catalog: Catalog, decision: Decision, job_id: str) -> Participant:
    """Return the job's own participant: the agent, or the member of a cast that listens to people.

    Args:
        catalog: The agents.
        decision: Which of them were chosen.
        job_id: LiveKit's id of the job.
    """
    if company := catalog.company(decision.agents):
        return member_of(company.ear.role, company.ear.spec.name, company.ear.display_name, job_id)
    agent = decision.agents[0]
    attributes = {AGENT_ATTRIBUTE: agent}
    return {"name": catalog.display_name(agent), "identity": identity_for(agent, job_id), "attributes": attributes}


def member_of(role: str, agent: str, name: str, job_id: str) -> Participant:
    """Return the participant of one member of a cast.

    Args:
        role: The member's role.
        agent: Name of its agent.
        name: The name that other participants see.
        job_id: LiveKit's id of the job.
    """
    attributes = {AGENT_ATTRIBUTE: agent, ROLE_ATTRIBUTE: role}
    return {"name": name, "identity": identity_for(role, job_id), "attributes": attributes}


def identity_for(name: str, job_id: str) -> str:
    """Return the identity of an agent in a job: it starts with the agent's name, or with the member's role."""
    return f"{name}-{job_id}"


def is_of_job(identity: str, job_id: str) -> bool:
    """Whether an identity is that of an agent in a job: of the single one, or of a member of a cast."""
    return identity.endswith(f"-{job_id}")


def agent_token(settings: WorkerSettings, room: str, participant: Participant) -> str:
    """Return a token with which an agent joins a room.

    Args:
        settings: API key and secret.
        room: Name of the room.
        participant: As whom it joins.
    """
    attributes: Mapping[str, str] = participant["attributes"]
    token = api.AccessToken(settings.api_key, settings.api_secret)
    grants = api.VideoGrants(room_join=True, room=room, agent=True, can_update_own_metadata=True)
    return (
        token.with_identity(participant["identity"])
        .with_name(participant["name"])
        .with_kind("agent")
        .with_grants(grants)
        .with_attributes(dict(attributes))
        .with_ttl(TOKEN_LIFETIME)
        .to_jwt()
    )
