"""SIP dispatch rules: which agent answers the telephone, and in which room.

A server without redis has no SIP; no SIP service is needed to make and list rules.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from openrtc.dispatch.agent_request import AgentRequest, build_room_dispatches, find_requested_agent
from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.dispatch.marks import is_marked_for_rooms
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from livekit import api


@dataclass(frozen=True, slots=True, kw_only=True)
class SipAgent:
    """An agent that comes into the rooms of a rule.

    Args:
        agent_name: The name under which its worker is registered; empty for automatic dispatch.
        agent: The agent; empty where the routing chooses it.
        metadata: Metadata of the job.
        signed: Whether it carries a mark of this API secret, as ``[routing] signed`` wants it.
    """

    agent_name: str
    agent: str
    metadata: str
    signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SipRule:
    """A dispatch rule for calls that come by SIP; its PIN stays on the server.

    Args:
        id: LiveKit's id of the rule.
        name: Its name.
        room: The one room that all its callers come into; empty where each call has its own.
        room_prefix: What the name of each call's own room begins with.
        trunks: Ids of the trunks that it applies to; none for all.
        agents: The agents that come into each new room.
        pin: Whether callers must enter a PIN.
    """

    id: str
    name: str
    room: str
    room_prefix: str
    trunks: tuple[str, ...]
    agents: tuple[SipAgent, ...]
    pin: bool

    def to_json(self) -> dict[str, Any]:
        """Return the rule as JSON-ready values."""
        return asdict(self) | {"trunks": list(self.trunks), "agents": [asdict(agent) for agent in self.agents]}


async def create_sip_rule(
    name: str,
    *,
    agents: Sequence[str | AgentRequest],
    room_prefix: str = "call-",
    room: str = "",
    trunks: Sequence[str] = (),
    pin: str = "",
    attributes: Mapping[str, str] | None = None,
    connection: LiveKitConnection | None = None,
) -> SipRule:
    """Let agents answer calls that come by SIP.

    Args:
        name: Name of the rule.
        agents: Names of agents, or requests with metadata of their own.
        room_prefix: What the name of each call's own room begins with.
        room: The one room for all calls, instead of a room for each.
        trunks: Ids of the trunks that it applies to; none for all.
        pin: What callers must enter.
        attributes: Attributes of the callers' participants.
        connection: The server and the name of its workers; by default those of the settings.

    Raises:
        OpenRTCError: The server has no SIP, cannot be reached or refuses, such as where another rule applies already.
    """
    from livekit import api

    connection = connection or LiveKitConnection.from_settings()
    info = api.SIPDispatchRuleInfo(
        name=name,
        trunk_ids=trunks,
        rule=_build_rule(room, room_prefix, pin),
        attributes=dict(attributes or {}),
        room_config=api.RoomConfiguration(
            agents=build_room_dispatches(agents, connection, room=room, room_prefix=None if room else room_prefix)
        ),
    )
    async with _open_sip(connection) as livekit:
        request = api.CreateSIPDispatchRuleRequest(dispatch_rule=info)
        return _read_rule(await livekit.sip.create_dispatch_rule(request), connection)


async def list_sip_rules(*, connection: LiveKitConnection | None = None) -> tuple[SipRule, ...]:
    """Return all dispatch rules, by name.

    Raises:
        OpenRTCError: The server has no SIP, cannot be reached or refuses.
    """
    from livekit import api

    connection = connection or LiveKitConnection.from_settings()
    async with _open_sip(connection) as livekit:
        found = await livekit.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
    return tuple(sorted((_read_rule(one, connection) for one in found.items), key=lambda one: (one.name, one.id)))


async def delete_sip_rule(rule_id: str, *, connection: LiveKitConnection | None = None) -> SipRule:
    """Delete a dispatch rule and return it.

    Raises:
        OpenRTCError: There is no such rule, or the server has no SIP, cannot be reached or refuses.
    """
    from livekit import api

    connection = connection or LiveKitConnection.from_settings()
    if rule_id not in (rule.id for rule in await list_sip_rules(connection=connection)):
        raise OpenRTCError(f"there is no SIP dispatch rule {rule_id!r}", fix="see openrtc sip rule list")
    async with _open_sip(connection) as livekit:
        request = api.DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=rule_id)
        return _read_rule(await livekit.sip.delete_dispatch_rule(request), connection)


@contextlib.asynccontextmanager
async def _open_sip(connection: LiveKitConnection) -> AsyncIterator[api.LiveKitAPI]:
    try:
        async with open_api(connection) as livekit:
            yield livekit
    except OpenRTCError as error:
        if "redis required" not in error.message:
            raise
        fix = "SIP needs a server that is set up with redis, and the SIP service for real calls"
        raise OpenRTCError(f"{connection.address} has no SIP: it runs without redis", fix=fix) from error


def _build_rule(room: str, room_prefix: str, pin: str) -> api.SIPDispatchRule:
    from livekit import api

    if room:
        return api.SIPDispatchRule(dispatch_rule_direct=api.SIPDispatchRuleDirect(room_name=room, pin=pin))
    individual = api.SIPDispatchRuleIndividual(room_prefix=room_prefix, pin=pin)
    return api.SIPDispatchRule(dispatch_rule_individual=individual)


def _read_rule(info: api.SIPDispatchRuleInfo, connection: LiveKitConnection) -> SipRule:
    direct, own = info.rule.dispatch_rule_direct, info.rule.dispatch_rule_individual
    callee = info.rule.dispatch_rule_callee
    room, prefix = direct.room_name, own.room_prefix or callee.room_prefix

    def read_agent(dispatch: api.RoomAgentDispatch) -> SipAgent:
        return SipAgent(
            agent_name=dispatch.agent_name,
            agent=find_requested_agent(dispatch, connection.names),
            metadata=dispatch.metadata,
            signed=is_marked_for_rooms(dispatch, connection.api_secret, room=room, room_prefix=prefix),
        )

    return SipRule(
        id=info.sip_dispatch_rule_id,
        name=info.name,
        room=room,
        room_prefix=prefix,
        trunks=tuple(info.trunk_ids),
        agents=tuple(map(read_agent, info.room_config.agents)),
        pin=bool(direct.pin or own.pin or callee.pin),
    )
