"""`CastMember`: what an agent's own code can do as the member of a cast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from openrtc.cast.declaration import Member

ASK_SECONDS = 30.0


class Stage(Protocol):
    """The running cast, as its members' code reaches it."""

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the members that take part."""

    def send(self, sender: str, role: str, text: str) -> None:
        """Tell a member something."""

    async def ask(self, asker: str, role: str, text: str, seconds: float) -> str:
        """Return what a member answers."""

    def broadcast(self, sender: str, text: str) -> None:
        """Tell all members something."""

    def hand_over(self, role: str) -> None:
        """Let a member answer people."""

    async def give_ear(self, role: str) -> None:
        """Let a member listen to people."""

    async def add(self, member: Member) -> None:
        """Let another member join."""

    async def remove(self, role: str) -> None:
        """Let a member leave."""


class CastMember:
    """One member of a running cast, for the code of its agent.

    Args:
        role: Its role.
        stage: The running cast.
    """

    def __init__(self, role: str, stage: Stage) -> None:
        self.role = role
        self._stage = stage

    def __repr__(self) -> str:
        return f"CastMember({self.role!r})"

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of all members that take part, in their order."""
        return self._stage.roles

    def send(self, role: str, text: str) -> None:
        """Tell another member something; it replies aloud when the floor is free.

        Args:
            role: The other member.
            text: What to tell it.

        Raises:
            OpenRTCError: No such member takes part.
        """
        self._other(role, "send()")
        self._stage.send(self.role, role, text)

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
        return await self._stage.ask(self.role, role, text, timeout)

    def broadcast(self, text: str) -> None:
        """Tell all other members something; nobody replies to it at once.

        Args:
            text: What to tell them.
        """
        self._stage.broadcast(self.role, text)

    def hand_over(self, role: str) -> None:
        """Let another member, or this one, answer people from now on, and speak next.

        Args:
            role: The member.

        Raises:
            OpenRTCError: No such member takes part.
        """
        self._stage.hand_over(role)

    async def give_ear(self, role: str) -> None:
        """Let another member, or this one, listen to people from now on, in the place of whoever does.

        Who answers does not change. It waits until nobody is in the middle of a sentence, and returns when that member
        listens.

        Args:
            role: The member.

        Raises:
            OpenRTCError: No such member takes part, or it cannot listen: it has no speech recognition.
        """
        await self._stage.give_ear(role)

    async def add(self, member: Member) -> None:
        """Let another member join the room, the last in the order.

        Args:
            member: The member, declared as in a `Cast`.

        Raises:
            OpenRTCError: Its role is taken, or it cannot be built.
        """
        await self._stage.add(member)

    async def remove(self, role: str) -> None:
        """Let a member leave the room; where it is the ear, another one listens from then on.

        Args:
            role: The member.

        Raises:
            OpenRTCError: No such member takes part, or it is the ear and no other member can listen.
        """
        await self._stage.remove(role)

    def _other(self, role: str, origin: str) -> None:
        if role == self.role:
            raise OpenRTCError(f"{role!r} speaks to itself", origin=origin, fix="name another member")
