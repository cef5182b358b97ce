"""`RehearsalError`: why a call that is rehearsed is none, in one line."""

from __future__ import annotations

from openrtc.errors import OpenRTCError


class RehearsalError(OpenRTCError):
    """An agent could not be built, failed, or gave no answer."""


class ScriptError(RehearsalError):
    """The script does not foresee what the call came to."""
