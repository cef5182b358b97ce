"""`Company`: the members of a cast with their specs found in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openrtc.cast.declaration import Cast, Member
from openrtc.catalog.casts import why_no_member
from openrtc.catalog.spec import AgentSpec
from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from openrtc.plugins.loaded import LoadedAgent


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
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
class Company:
    """A cast with the specs of all its members.

    Args:
        name: Name of the agent that is the cast; of several agents that a router named, those names with ``+``.
        cast: The declaration.
        parts: The members in their order.
        examples: Sentences that people may say to it.
    """

    name: str
    cast: Cast
    parts: tuple[Part, ...]
    examples: tuple[str, ...] = ()

    @property
    def why_no_room(self) -> OpenRTCError:
        """Why it cannot be talked to without a room."""
        roles = ", ".join(part.role for part in self.parts)
        fix = f"in text: openrtc console {self.name}; in a room: openrtc dev --with-server"
        return OpenRTCError(f"{self.name!r} is a cast of {roles}, which needs a room to be heard in", fix=fix)

    @property
    def ear(self) -> Part:
        """The member that listens to people."""
        return next(part for part in self.parts if part.role == self.cast.ear)


def improvised(names: Sequence[str]) -> Cast:
    """Return the cast of several agents that a router has named: the first one leads."""
    return Cast(members=[Member(role=name, agent=name) for name in names])


def part_of(member: Member, agents: Mapping[str, LoadedAgent]) -> Part:
    """Return a member with its spec.

    Raises:
        OpenRTCError: It names an agent that cannot be a member.
    """
    if member.spec is not None:
        return Part(role=member.role, spec=member.spec)
    name = str(member.agent)
    if problem := why_no_member(name, agents):
        raise OpenRTCError(f"member {member.role!r}: {problem}", origin="Cast")
    spec = agents[name].spec
    assert spec is not None, "a usable agent has a spec"
    return Part(role=member.role, spec=replace(spec, name=name))
