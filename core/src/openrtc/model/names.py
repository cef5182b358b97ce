"""Names of agents and distributions."""

from __future__ import annotations

import re

from openrtc.errors import one_line

OWN_DISTRIBUTION = "openrtc-core"

NAMESAKE = "openrtc"
"""A distribution of somebody else's with the import name of OpenRTC."""

LONGEST_NAME = 128
"""Characters of an agent's name: it stands in room names and identities, which LiveKit limits to 256 characters."""

AGENT_NAME = re.compile(r"[A-Za-z0-9._-]+")


def find_name_fault(name: str) -> str | None:
    """Return why ``name`` cannot be an agent's name (it stands in room names and identities), else None."""
    if not name:
        return "the name is empty"
    if len(name) > LONGEST_NAME:
        return f"the name has {len(name)} characters, more than {LONGEST_NAME}"
    if not AGENT_NAME.fullmatch(name):
        return f'"{one_line(name, 60)}" cannot be a name: only letters, digits, "-", "_" and "." can stand in one'
    return None


def normalise_name(name: str) -> str:
    """Return a distribution's name as PEP 503 writes it.

    `packaging.utils.canonicalize_name` does the same, but its import takes 10 to 20 ms, a tenth of ``list-agents``.
    """
    plain = name.replace("_", "-").replace(".", "-").lower()
    # Of a thousand names, this takes a third of the pattern's time.
    return re.sub("-+", "-", plain) if "--" in plain else plain
