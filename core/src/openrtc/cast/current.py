"""`current_member`: the member of a cast whose code runs now."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from openrtc.errors import OpenRTCError

if TYPE_CHECKING:
    from openrtc.cast.cast_member import CastMember

current: ContextVar[CastMember | None] = ContextVar("openrtc_member", default=None)
"""Set in the tasks of each member; the tasks that these make inherit it."""

NO_CAST = OpenRTCError(
    "this call has one agent only, which is no member of a cast",
    fix="declare a Cast with the agents of the room, or let a router name several",
)


def current_member() -> CastMember:
    """Return the member of a cast whose code runs now: in its tools, ``on_enter``, hooks, and tasks that these make.

    Raises:
        OpenRTCError: The call that runs here, if any, has one agent only.
    """
    if (member := current.get()) is None:
        raise OpenRTCError(NO_CAST.message, origin="current_member()", fix=NO_CAST.fix)
    return member


def current_role() -> str:
    """Return the role of the member whose code runs now; empty outside of casts."""
    member = current.get()
    return member.role if member else ""
