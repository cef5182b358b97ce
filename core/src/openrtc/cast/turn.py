"""`Turn`: why a member has the floor, and what comes of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

OPENING, PERSON, MEMBER, ASKED, SENT, HANDED_OVER, ITSELF = (
    "opening",
    "person",
    "member",
    "asked",
    "sent",
    "handed_over",
    "itself",
)


@dataclass(slots=True, eq=False)
class Turn:
    """One turn of a member.

    Args:
        cause: Why it speaks, as in `MemberSpoke`.
        heard: What a person has said, where that is answered.
        silent_since: When the person had fallen silent, in seconds since the epoch, if that is known.
        end_of_turn: Seconds from then until the person's turn was taken to be over.
        tried: Roles of the members that could not answer the person.
        answer: Gets the answer of a member that was asked.
        asker: Role of the member that asked.
        began: When it got the floor, on the monotonic clock.
        first_sound: When it was first heard, in seconds since the epoch.
        said: What it has said, as far as it was heard.
        interrupted: Whether it was cut short.
    """

    cause: str
    heard: str = ""
    silent_since: float | None = None
    end_of_turn: float | None = None
    tried: tuple[str, ...] = ()
    answer: asyncio.Future[str] | None = None
    asker: str = ""
    began: float = field(default_factory=time.monotonic)
    first_sound: float | None = None
    said: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def latency(self) -> float | None:
        """Seconds from the end of the person's speech to the first sound."""
        if self.first_sound is None or self.silent_since is None:
            return None
        return max(0.0, self.first_sound - self.silent_since)
