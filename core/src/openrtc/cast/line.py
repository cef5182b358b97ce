"""`Line`: what somebody in the room has said, as the members are told it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody has said.

    Args:
        speaker: The name by which the members know who said it; empty for what is no speech, such as who has left.
        text: The words.
        at: When it was said, in seconds since the epoch.
        verbatim: Whether the words stand for themselves: a person said them to the member that is told.
    """

    speaker: str
    text: str
    at: float = field(default_factory=time.time)
    verbatim: bool = False

    @property
    def tagged(self) -> str:
        """The line as a language model reads it."""
        if self.verbatim:
            return self.text
        return f"[{self.speaker}] {self.text}" if self.speaker else f"({self.text})"
