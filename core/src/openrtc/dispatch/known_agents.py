"""Checks names of agents against those that are installed; imports a package only for a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openrtc.config import Config
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import AGENTS_GROUP, Entry, State
from openrtc.errors import OpenRTCError
from openrtc.suggest import did_you_mean

ANYWAY = "--any takes a name as it is"


def require_known_agents(names: Iterable[str], config: Config, *, origin: str, in_code: Iterable[str] = ()) -> None:
    """Raise where an agent is not installed here, or cannot be used.

    Hook modules tell their agents only when they are imported: that is done in a subprocess each, and only for a name
    that metadata does not know.

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
    declared = {entry.name: _problem(entry.state, entry.reason) for entry in entries if entry.is_agent}
    if unknown := [name for name in wanted if name not in declared]:
        declared |= _told_by_import([entry for entry in entries if entry.usable and not entry.is_agent], config)
        for name in unknown:
            _require_declared(name, declared, origin)
    for name in wanted:
        if problem := declared[name]:
            raise OpenRTCError(f'agent "{name}" {problem}', origin=origin, fix=ANYWAY)


def _told_by_import(entries: Sequence[Entry], config: Config) -> dict[str, str]:
    if not entries:
        return {}
    from openrtc.catalog.clashes import settle
    from openrtc.plugins.probe import probe_all

    return {
        agent.name: _problem(agent.state, agent.reason) for agent in settle(probe_all(entries), config.policy.prefer)
    }


def _problem(state: State, reason: str | None) -> str:
    """Return what keeps an agent from being used; empty for nothing."""
    return "" if state in (State.READY, State.INSTALLED) else f"is {state}: {reason}"


def _require_declared(name: str, declared: dict[str, str], origin: str) -> None:
    if name in declared:
        return
    known = [one for one, problem in declared.items() if not problem]
    there_are = f"there are {', '.join(known)}" if known else "none is installed here"
    raise OpenRTCError(
        f'there is no agent "{name}"', origin=origin, fix=f"{did_you_mean(name, known, there_are)}; {ANYWAY}"
    )
