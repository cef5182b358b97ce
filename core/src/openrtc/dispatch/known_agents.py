"""Checks names of agents against those that are installed, without importing any."""

from __future__ import annotations

from collections.abc import Iterable

from openrtc.config import Config
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.errors import OpenRTCError
from openrtc.suggest import did_you_mean

ANYWAY = "--any takes a name as it is"


def require_known_agents(names: Iterable[str], config: Config, *, origin: str, in_code: Iterable[str] = ()) -> None:
    """Raise where an agent is not installed here, or cannot be used.

    Args:
        names: Names of agents.
        config: The settings.
        origin: Where the names stand, such as ``--agent``.
        in_code: Names of agents that are registered in code.

    Raises:
        OpenRTCError: Tells which, and what it may have been meant to be.
    """
    wanted = [name for name in dict.fromkeys(names) if name not in set(in_code)]
    entries = [entry for entry in discover(config) if entry.group == AGENTS_GROUP] if wanted else []
    for name in wanted:
        _require(name, entries, origin)


def _require(name: str, entries: list[Entry], origin: str) -> None:
    found = [entry for entry in entries if entry.is_agent and entry.name == name]
    if any(entry.usable for entry in found):
        return
    if found:
        raise OpenRTCError(f'agent "{name}" is {found[0].state}: {found[0].reason}', origin=origin, fix=ANYWAY)
    known = [entry.name for entry in entries if entry.is_agent and entry.usable]
    packs = [entry.distribution for entry in entries if entry.usable and not entry.is_agent]
    there_are = f"there are {', '.join(known)}" if known else "none is installed here"
    hint = did_you_mean(name, known, there_are)
    unseen = f"; those of {', '.join(packs)} are known to the worker only" if packs else ""
    raise OpenRTCError(f'there is no agent "{name}"', origin=origin, fix=f"{hint}{unseen}; {ANYWAY}")
