"""Checks names of agents against those that are installed; imports a package only for a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openrtc.discovery.discover import discover
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.errors import OpenRTCError
from openrtc.model.status import Status
from openrtc.settings.config import Config
from openrtc.suggest import did_you_mean

ANY_HINT = "--any takes a name as it is"


def require_known_agents(names: Iterable[str], config: Config, *, origin: str, in_code: Iterable[str] = ()) -> None:
    """Raise where an agent is not installed here, or cannot be used.

    Which agents a hook module brings is known only when it is imported: that is done in a subprocess each, and only
    for a name that no metadata has.

    Args:
        names: Names of agents.
        config: The settings.
        origin: Where the names come from, such as ``--agent``.
        in_code: Names of agents that are registered in code.

    Raises:
        OpenRTCError: One is not known or cannot be used; the message suggests the name that was meant.
    """
    required = [name for name in dict.fromkeys(names) if name not in set(in_code)]
    entries = [entry for entry in discover(config) if entry.group == AGENTS_GROUP] if required else []
    declared = {entry.name: _describe_problem(entry.status) for entry in entries if entry.is_agent}
    if unknown := [name for name in required if name not in declared]:
        declared |= _find_by_import([entry for entry in entries if entry.usable and not entry.is_agent], config)
        for name in unknown:
            _require_declared(name, declared, origin)
    for name in required:
        if problem := declared[name]:
            raise OpenRTCError(f'agent "{name}" {problem}', origin=origin, fix=ANY_HINT)


def _find_by_import(entries: Sequence[Entry], config: Config) -> dict[str, str]:
    if not entries:
        return {}
    from openrtc.plugins.probe.probe import probe_all

    return {agent.name: _describe_problem(agent.status) for agent in probe_all(entries, config)}


def _describe_problem(status: Status) -> str:
    """Return what keeps an agent from being used; empty for nothing."""
    return "" if status.usable else f"is {status.state}: {status.reason}"


def _require_declared(name: str, declared: dict[str, str], origin: str) -> None:
    if name in declared:
        return
    known = [one for one, problem in declared.items() if not problem]
    there_are = f"there are {', '.join(known)}" if known else "none is installed here"
    raise OpenRTCError(
        f'there is no agent "{name}"', origin=origin, fix=f"{did_you_mean(name, known, there_are)}; {ANY_HINT}"
    )
