"""Which calls the demo makes: one to each agent, and one for each router that answers to its name."""

from __future__ import annotations

import json
from collections.abc import Sequence

from openrtc.conversation.audition import Candidate
from openrtc.conversation.call_record import CallRecord
from openrtc.routing.request import RouteRequest
from openrtc.worker.runtime import Runtime


async def plan_calls(runtime: Runtime, candidates: Sequence[Candidate], *, suffix: str) -> list[CallRecord]:
    """Return the calls to make.

    Rooms are named so that the room's prefix routes, except the second one: that call is routed by its job metadata.

    Args:
        runtime: What the calls share.
        candidates: The agents to call.
        suffix: What the names of the rooms end with.
    """
    calls = [_by_prefix(candidate, suffix) for candidate in candidates]
    if len(calls) > 1:
        calls[1] = _by_metadata(candidates[1], suffix)
    return calls + await _by_routers(runtime, candidates, suffix)


def _by_prefix(candidate: Candidate, suffix: str) -> CallRecord:
    return CallRecord(f"{candidate.name}-call-{suffix}", candidate.name, candidate.questions)


def _by_metadata(candidate: Candidate, suffix: str) -> CallRecord:
    return CallRecord(f"hotline-{suffix}", candidate.name, candidate.questions, json.dumps({"agent": candidate.name}))


async def _by_routers(runtime: Runtime, candidates: Sequence[Candidate], suffix: str) -> list[CallRecord]:
    """Return a call for each router that has an opinion about a room of its own name."""
    by_name = {candidate.name: candidate for candidate in candidates}
    calls = []
    for router in runtime.hooks.implementations("openrtc_route"):
        room = f"{router.plugin.rpartition(':')[2]}-call-{suffix}"
        decision = await runtime.router.route(RouteRequest(room_name=room))
        chosen = by_name.get(decision.agents[0]) if decision.agents else None
        if chosen is not None and decision.rule == router.plugin:
            calls.append(CallRecord(room, chosen.name, chosen.questions[:1]))
    return calls
