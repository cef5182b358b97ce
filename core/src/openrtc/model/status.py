"""`Status`: where an entry point, agent or plugin stands, why, and what fixes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where an entry point, agent or plugin stands."""

    INSTALLED = "installed"
    """Found, not imported yet."""
    READY = "ready"
    """Loaded, can be used."""
    DISABLED = "disabled"
    """Denied by the operator."""
    NOT_ALLOWED = "not-allowed"
    """Missing from the operator's allow list."""
    INCOMPATIBLE = "incompatible"
    """Needs other versions than are installed."""
    BROKEN = "broken"
    """Cannot be read or imported, or is not what it should be."""
    CONFLICT = "conflict"
    """Another distribution brings the same name."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where something stands, and, where it cannot be used, why.

    Args:
        state: Where it stands.
        reason: Why it cannot be used, in one line; None when it can.
        fix: The command or step that fixes it; None when nothing is wrong.
        location: ``file:line`` of the cause, where there is one.
    """

    state: State
    reason: str | None = None
    fix: str | None = None
    location: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it can be used, or at least imported."""
        return self.state in (State.INSTALLED, State.READY)

    @property
    def switched_off(self) -> bool:
        """Whether the operator does not want it, so that it is no problem."""
        return self.state in (State.DISABLED, State.NOT_ALLOWED)

    def to_json(self) -> dict[str, str | None]:
        """Return the four fields as the commands' ``--json`` shows them."""
        return {"state": str(self.state), "reason": self.reason, "fix": self.fix, "location": self.location}


INSTALLED = Status(State.INSTALLED)
READY = Status(State.READY)


class HasStatus:
    """Lets the fields of a `Status` be read from what has one."""

    __slots__ = ()

    status: Status

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.status.state

    @property
    def reason(self) -> str | None:
        """Why it cannot be used; None when it can."""
        return self.status.reason

    @property
    def fix(self) -> str | None:
        """What fixes that."""
        return self.status.fix

    @property
    def location(self) -> str | None:
        """``file:line`` of the cause, where there is one."""
        return self.status.location

    @property
    def usable(self) -> bool:
        """Whether it can be used, or at least imported."""
        return self.status.usable
