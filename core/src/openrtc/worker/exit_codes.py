"""How a worker tells by its exit code why it stopped; 0 is an orderly stop, 2 a mistake in the settings."""

from __future__ import annotations

STOPPED_AT_ONCE = 3
"""A second signal: live calls may have been cut off."""
SERVER_LOST = 4
"""The LiveKit server could not be reached any more."""
SUPERVISOR_GONE = 70
"""The process that started the worker has ended; 70 is EX_SOFTWARE of sysexits.h."""
REPLACE_ME = 75
"""The worker has drained by itself and wants a fresh one in its place; 75 is EX_TEMPFAIL of sysexits.h."""
