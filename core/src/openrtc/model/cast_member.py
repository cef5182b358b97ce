"""`CastMember`: what an agent's own code can do as the member of a cast."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from openrtc.model.agents import Member

ASK_SECONDS = 30.0
"""How long `CastMember.ask` waits by default: the other member may need tools of its own to answer."""


class RunningCast(Protocol):
    """The running cast, as its members' code reaches it."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the members that take part."""

    def send(self, sender: str, role: str, text: str) -> None:
        """Say something to a member, to which it replies aloud."""

    async def ask(self, asker: str, role: str, text: str, seconds: float) -> str:
        """Return what a member answers."""

    def broadcast(self, sender: str, text: str) -> None:
        """Say something to all other members, to which nobody replies at once."""

    def hand_over(self, role: str) -> None:
        """Let a member answer people, and speak next."""

    async def give_ear(self, role: str) -> None:
        """Let a member listen to people."""

    async def add(self, declared: Member) -> None:
        """Let another member join."""

    async def remove(self, role: str) -> None:
        """Let a member leave."""


class CastMember:
    """One member of a running cast, for the code of its agent.

    Args:
        role: Its role.
        cast: The running cast.
    """

    def __init__(self, role: str, cast: RunningCast) -> None:
        self.role = role
        self._cast = cast

    def __repr__(self) -> str:
        return f"CastMember({self.role!r})"

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of all members that take part, in their order."""
        return self._cast.roles

    def send(self, role: str, text: str) -> None:
        """Say something to another member; it replies aloud when the floor is free.

        Args:
            role: The other member.
            text: What to say.

        Raises:
            OpenRTCError: No such member takes part, or it is this one.
        """
        if role == self.role:
            raise OpenRTCError(f"{role!r} speaks to itself", origin="send()", fix="name another member")
        self._cast.send(self.role, role, text)

    # A parameter, not `asyncio.timeout` around it: the error then says who has not answered.
    async def ask(self, role: str, text: str, timeout: float = ASK_SECONDS) -> str:  # noqa: ASYNC109
        """Return what another member answers; people in the room hear the answer, too.

        Args:
            role: The other member.
            text: The question.
            timeout: Seconds to wait at most.

        Raises:
            OpenRTCError: No such member takes part, it has not answered, or it could never, since it waits for this
                one.
        """
        return await self._cast.ask(self.role, role, text, timeout)

    def broadcast(self, text: str) -> None:
        """Say something to all other members; nobody replies to it at once.

        Args:
            text: What to say.
        """
        self._cast.broadcast(self.role, text)

    def hand_over(self, role: str) -> None:
        """Let another member, or this one, answer people from now on, and speak next.

        Args:
            role: The member.

        Raises:
            OpenRTCError: No such member takes part.
        """
        self._cast.hand_over(role)

    async def give_ear(self, role: str) -> None:
        """Let another member, or this one, listen to people from now on, in the place of whoever does.

        Who answers does not change. It waits until nobody is in the middle of a sentence, and returns when that member
        listens.

        Args:
            role: The member.

        Raises:
            OpenRTCError: No such member takes part, or it cannot listen: it has no speech recognition.
        """
        await self._cast.give_ear(role)

    async def add(self, member: Member) -> None:
        """Let another member join the room, the last in the order.

        Args:
            member: The member, declared as in a `Cast`.

        Raises:
            OpenRTCError: Its role is taken, or it cannot be built.
        """
        await self._cast.add(member)

    async def remove(self, role: str) -> None:
        """Let a member leave the room; where it is the ear, another one listens from then on.

        Args:
            role: The member.

        Raises:
            OpenRTCError: No such member takes part, or it is the ear and no other member can listen.
        """
        await self._cast.remove(role)


active_member: ContextVar[CastMember | None] = ContextVar("openrtc_member", default=None)
"""Set in the tasks of each member; the tasks that these make inherit it."""


def current_member() -> CastMember:
    """Return the member of a cast whose code runs now: in its tools, ``on_enter``, hooks, and tasks that these make.

    Raises:
        OpenRTCError: The call that runs here, if any, has one agent only.
    """
    if (member := active_member.get()) is None:
        raise build_no_cast_error("current_member()")
    return member


def current_role() -> str:
    """Return the role of the member whose code runs now; empty outside of casts."""
    member = active_member.get()
    return member.role if member else ""


def build_no_cast_error(origin: str) -> OpenRTCError:
    """Return the error of asking for the member where there is no cast; ``origin`` is what was called."""
    fix = "declare a Cast with the agents of the room, or let a router name several"
    return OpenRTCError("this call has one agent only, which is no member of a cast", origin=origin, fix=fix)
