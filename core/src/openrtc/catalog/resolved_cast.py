"""`ResolvedCast`: the members of a cast found among the agents of the catalogue, and what is wrong where one is not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from openrtc.catalog.loaded import LoadedAgent
from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.model.status import State, Status
from openrtc.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedMember:
    """One member as it will be built.

    Args:
        role: Its role.
        spec: How its agent and session are built.
    """

    role: str
    spec: AgentSpec

    @property
    def display_name(self) -> str:
        """The name that other participants see."""
        return self.spec.display_name or self.spec.name or self.role


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedCast:
    """A cast with the specs of all its members.

    Args:
        name: Name of the agent that is the cast; of several agents that a router named, those names with ``+``.
        cast: The declaration.
        members: The members in their order.
        examples: Sentences that people may say to it.
    """

    name: str
    cast: Cast
    members: tuple[ResolvedMember, ...]
    examples: tuple[str, ...] = ()

    @property
    def why_no_room(self) -> OpenRTCError:
        """Why it cannot be talked to without a room."""
        roles = ", ".join(member.role for member in self.members)
        fix = f"in text: openrtc console {self.name}; in a room: openrtc dev --with-server"
        return OpenRTCError(f"{self.name!r} is a cast of {roles}, which needs a room to be heard in", fix=fix)

    @property
    def ear(self) -> ResolvedMember:
        """The member that listens to people."""
        return next(member for member in self.members if member.role == self.cast.ear)


def improvise_cast(names: Sequence[str]) -> Cast:
    """Return the cast of several agents that a router has named: the first one leads."""
    return Cast(members=[Member(role=name, agent=name) for name in names])


def resolve_member(member: Member, agents: Mapping[str, LoadedAgent]) -> ResolvedMember:
    """Return a member with its spec.

    Raises:
        OpenRTCError: It names an agent that cannot be a member.
    """
    if member.spec is not None:
        return ResolvedMember(role=member.role, spec=member.spec)
    name = str(member.agent)
    if problem := why_no_member(name, agents):
        raise OpenRTCError(f"member {member.role!r}: {problem}", origin="Cast")
    spec = agents[name].spec
    assert spec is not None, "a usable agent has a spec"
    return ResolvedMember(role=member.role, spec=replace(spec, name=name))


def mark_broken_casts(rows: Sequence[LoadedAgent]) -> tuple[LoadedAgent, ...]:
    """Return ``rows`` with the casts broken that name an agent which cannot be a member."""
    agents = index_by_name(rows)
    return tuple(_check_members(row, agents) for row in rows)


def index_by_name(rows: Iterable[LoadedAgent]) -> dict[str, LoadedAgent]:
    """Return the agent of each name: the usable one, else the first of that name."""
    found: dict[str, LoadedAgent] = {}
    for row in rows:
        if row.name not in found or (row.usable and not found[row.name].usable):
            found[row.name] = row
    return found


def why_no_member(name: str, agents: Mapping[str, LoadedAgent]) -> str | None:
    """Return why the agent of this name cannot be a member of a cast, or None when it can.

    Args:
        name: The agent.
        agents: Every agent by its name.
    """
    found = agents.get(name)
    if found is None:
        return f'there is no agent "{name}"'
    if not found.usable:
        return f'agent "{name}" is {found.state}: {found.reason}'
    if found.shape == "cast":
        return f'agent "{name}" is a cast itself'
    if found.shape == "entrypoint":
        return f'agent "{name}" is a LiveKit entrypoint, which starts its own session'
    return None


def _check_members(row: LoadedAgent, agents: Mapping[str, LoadedAgent]) -> LoadedAgent:
    for name in row.members if row.usable else ():
        if problem := why_no_member(name, agents):
            near = did_you_mean(name, agents, "install it, or take the member out")
            fix = near if name not in agents else agents[name].fix or "give an agent"
            status = Status(State.BROKEN, f"as a member of its cast, {problem}", fix)
            return replace(row, spec=None, status=status)
    return row
