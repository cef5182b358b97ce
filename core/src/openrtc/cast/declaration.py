"""`Cast` and `Member`: several agents in one room, declared by a package like any other agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from openrtc.cast.policies import ANSWERS, HumanTurn
from openrtc.catalog.build import check_builder
from openrtc.catalog.isolation import KINDS
from openrtc.catalog.spec import AgentSpec
from openrtc.discovery.entry_points_file import name_fault
from openrtc.errors import OpenRTCError
from openrtc.suggest import did_you_mean

HEARS = ("text", "audio")
ON_CRASH = ("continue", "end")
ENDS = ("no_humans", "never")

Answers = str | Callable[[HumanTurn], str | None | Awaitable[str | None]]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One agent of a cast.

    Args:
        role: What the others of the cast call it; its participant's identity starts with it.
        agent: An `AgentSpec`, an ``Agent`` subclass, a factory, or the name of an agent in the catalogue.
    """

    role: str
    agent: AgentSpec | Callable[..., Any] | str

    def __post_init__(self) -> None:
        if fault := name_fault(str(self.role)):
            raise OpenRTCError(f"member {self.role!r}: {fault}", origin="Cast", fix='as in Member(role="driver", …)')
        if isinstance(self.agent, AgentSpec):
            _check_spec(self.role, self.agent)
        elif not isinstance(self.agent, str):
            _check_builder(self.role, self.agent)

    @property
    def spec(self) -> AgentSpec | None:
        """How the agent is built; None when it is the name of an agent in the catalogue."""
        if isinstance(self.agent, str):
            return None
        if isinstance(self.agent, AgentSpec):
            return self.agent if self.agent.name else replace(self.agent, name=self.role)
        return AgentSpec(agent=self.agent, name=self.role)


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Several agents in one room, each with its own participant, voice and transcript.

    Args:
        members: The agents, in the order in which they speak when nobody is addressed.
        lead: Role of the member that opens the conversation; the first one by default.
        ear: Role of the member that listens to people at first; the lead by default. It is the job's own participant.
        answers: Which member answers a person: ``lead``, ``addressed`` (whoever is called by name or role, else the
            lead), ``last_speaker``, or a function, sync or async, from a `HumanTurn` to a role.
        turn_budget: How many turns the members take in a row until a person has spoken again. After the answer to a
            person only a member that this answer addresses goes on.
        hears: How the members other than the ear hear each other: ``text`` (exact, in process) or ``audio``.
        on_crash: When a member fails or is removed: ``continue`` without it, or ``end`` the call. The call always ends
            when no member is left that can listen to people.
        ends: ``no_humans``: the call ends when the last person has left. ``never``: it goes on, and while no person
            is in the room the turn budget does not count.
        turn_seconds: How long a member may have the floor without being heard before the next one gets it.
    """

    members: Sequence[Member]
    lead: str = ""
    ear: str = ""
    answers: Answers = "lead"
    turn_budget: int = 4
    hears: str = "text"
    on_crash: str = "continue"
    ends: str = "no_humans"
    turn_seconds: float = 20.0

    def __post_init__(self) -> None:
        members = tuple(self.members)
        object.__setattr__(self, "members", members)
        _check_members(members)
        object.__setattr__(self, "lead", self.lead or members[0].role)
        object.__setattr__(self, "ear", self.ear or self.lead)
        for option in ("lead", "ear"):
            _check_choice(option, getattr(self, option), self.roles, "the roles are")
        if not callable(self.answers):
            _check_choice("answers", self.answers, ANSWERS, "a function, or one of")
        for option, known in (("hears", HEARS), ("on_crash", ON_CRASH), ("ends", ENDS)):
            _check_choice(option, getattr(self, option), known, "one of")
        for option, least in (("turn_budget", 1), ("turn_seconds", 0.1)):
            if not isinstance(number := getattr(self, option), int | float) or number < least:
                raise OpenRTCError(f"{option}={number!r}", origin="Cast", fix=f"write a number from {least:g}")

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles in their order."""
        return tuple(member.role for member in self.members)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members that are agents of the catalogue."""
        return tuple(member.agent for member in self.members if isinstance(member.agent, str))

    @property
    def isolation(self) -> str:
        """The most that one of the members declared here asks for; empty for nothing."""
        wishes = [member.spec.isolation for member in self.members if member.spec and member.spec.isolation]
        return max(wishes, key=KINDS.index, default="")


def _check_members(members: Sequence[Any]) -> None:
    if not members:
        raise OpenRTCError("a cast needs members", origin="Cast", fix='members=[Member(role="…", agent=…), …]')
    for one in members:
        if not isinstance(one, Member):
            raise OpenRTCError(f"members= holds {one!r:.60}", origin="Cast", fix='write Member(role="…", agent=…)')
    twice = [role for role, times in Counter(member.role for member in members).items() if times > 1]
    if twice:
        raise OpenRTCError(f"the role {twice[0]!r} is given twice", origin="Cast", fix="rename one of them")


def _check_choice(option: str, value: object, known: Sequence[str], lead_in: str) -> None:
    if value not in known:
        fix = did_you_mean(str(value), known, f"{lead_in} {', '.join(known)}")
        raise OpenRTCError(f"{option}={value!r}", origin="Cast", fix=fix)


def _check_spec(role: str, spec: AgentSpec) -> None:
    if spec.agent is None:
        what = "a cast itself" if spec.cast is not None else "a LiveKit entrypoint, which starts its own session"
        raise OpenRTCError(f"member {role!r} is {what}", origin="Cast", fix="give an agent")
    _check_builder(role, spec.agent)


def _check_builder(role: str, builder: object) -> None:
    if isinstance(builder, Cast):
        raise OpenRTCError(f"member {role!r} is a cast itself", origin="Cast", fix="give an agent")
    try:
        check_builder(builder)
    except OpenRTCError as error:
        raise OpenRTCError(f"member {role!r}: {error.message}", origin="Cast", fix=error.fix) from None
