"""What the operator has switched off, and what may be missing."""

from __future__ import annotations

import re

from openrtc.model.names import normalise_name
from openrtc.model.status import State, Status
from openrtc.settings.config import Policy


def find_switched_off(policy: Policy, key: str, name: str = "") -> Status | None:
    """Return how a distribution, or one agent or plugin of it, was switched off; None where it was not.

    Args:
        policy: The settings.
        key: The distribution's normalised name.
        name: The name of the agent or plugin; empty asks for the whole distribution.
    """
    for denied in (key, f"{key}:{name}"):
        if denied in policy.deny:
            return Status(State.DISABLED, "denied by the operator", f'take "{denied}" out of deny')
    if policy.allow is not None and key not in policy.allow:
        return Status(State.NOT_ALLOWED, "not in the allow list", f'add "{key}" to allow')
    return None


def list_ignored(policy: Policy, key: str) -> frozenset[str]:
    """Return the normalised names of what a distribution may require in vain.

    Args:
        policy: The settings.
        key: The distribution's normalised name.
    """
    parts = (one.rpartition(":") for one in policy.ignore_requirements)
    return frozenset(normalise_name(required) for owner, _, required in parts if owner in ("", key))


def list_relied_on(policy: Policy) -> dict[str, str]:
    """Return the normalised names of the distributions that settings rely on, each with the setting that names it."""
    required = (re.split("[<>=!~]", one)[0] for one in policy.require)
    return {**dict.fromkeys(required, "require"), **dict.fromkeys(policy.allow or (), "allow")}
