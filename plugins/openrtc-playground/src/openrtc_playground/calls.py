"""Which calls are live, and why each is with its agent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from livekit import api
from livekit.protocol.models import ParticipantInfo

from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.model.dispatch_names import ROLE_ATTRIBUTE, read_answering_agent
from openrtc_playground.agents import list_workers

MOST_ROOMS = 50
"""Of so many calls it is asked who is in them."""


async def list_calls(connection: LiveKitConnection) -> dict[str, Any]:
    """Return the calls of this machine's workers, and what else the server knows: calls of other workers, too.

    Args:
        connection: The LiveKit server.

    Raises:
        OpenRTCError: The server cannot be reached, or refuses.
    """
    workers = await asyncio.to_thread(list_workers, connection)
    async with open_api(connection, accept=("not_found",)) as livekit:
        own = [_describe(call) for worker in workers for call in worker["calls"]]
        known = {call["room"] for call in own}
        found = await livekit.room.list_rooms(api.ListRoomsRequest())
        others = [{"room": one.name, "since": one.creation_time} for one in found.rooms if one.name not in known]
        calls = [*own, *others][:MOST_ROOMS]
        people = await asyncio.gather(*(_list_participants(livekit, call["room"]) for call in calls))
    rejected = [one for worker in workers for one in worker.get("recent_rejects", ())]
    failed = [one for worker in workers for one in worker.get("recent_failures", ())]
    described = [_EMPTY | call | _name_people(there) for call, there in zip(calls, people, strict=True)]
    return {
        "calls": [call for call in described if call["job"] or call["members"]],  # a room without an agent is no call
        "rejected": rejected,
        "failed": failed,
    }


_EMPTY = {"job": "", "agent": "", "distribution": "", "rule": "", "reason": "", "state": ""}


def _describe(call: dict[str, Any]) -> dict[str, Any]:
    return {
        "room": call["room"],
        "job": call["job_id"],
        "agent": call["agent"],
        "distribution": call["distribution"],
        "rule": call["rule"],
        "reason": call.get("reason", ""),
        "state": call["state"],
        "since": round(time.time() - call["age_seconds"], 1),
    }


async def _list_participants(livekit: api.LiveKitAPI, room: str) -> Sequence[ParticipantInfo]:
    try:
        return (await livekit.room.list_participants(api.ListParticipantsRequest(room=room))).participants
    except api.TwirpError:  # the room has just been closed
        return ()


def _name_people(there: Sequence[ParticipantInfo]) -> dict[str, Any]:
    agents = [one for one in there if one.kind == ParticipantInfo.Kind.AGENT]
    named = {"agent": read_answering_agent(agents[0].attributes)} if len(agents) == 1 else {}
    return {
        "participants": [one.identity for one in there if one not in agents and not one.permission.hidden],
        "members": [
            {"identity": one.identity, "name": one.name, "role": one.attributes.get(ROLE_ATTRIBUTE, "")}
            for one in agents
        ],
        **{name: value for name, value in named.items() if value},
    }
