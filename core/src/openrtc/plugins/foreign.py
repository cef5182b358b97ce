"""Gives a process for each call to agents whose code counts on one, as livekit-agents gives it to every job."""

from __future__ import annotations

import logging
from dataclasses import replace

from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.entries import Entry
from openrtc.errors import summarize_error
from openrtc.model.agents import AgentSpec
from openrtc.model.isolation import ISOLATIONS, choose_isolation
from openrtc.plugins.module_state import ModuleWrite, find_module_state
from openrtc.settings.config import Config
from openrtc.upstream.digest import describe_changes

logger = logging.getLogger("openrtc.plugins")

_TRACER = "set_tracer_provider()"
"""It writes for the process, but `openrtc.upstream.call_providers` keeps it apart where livekit-agents is known."""


def settle_isolation(agent: LoadedAgent, config: Config) -> LoadedAgent:
    """Return an agent with the isolation that it needs, and with a note on what its calls write into its modules.

    Args:
        agent: The agent; one that is registered in code is this program's own, and knows where it runs.
        config: The settings, of which ``foreign`` says how entrypoints and servers run.
    """
    spec, entry = agent.spec, agent.entry
    if spec is None or entry is None:
        return agent
    foreign = config.worker.foreign if spec.entrypoint is not None else "shared"
    if foreign == "process":
        spec = replace(spec, isolation="process")
    if spec.isolation in (ISOLATIONS[0], "process"):  # it says that its calls may share it, or they do not
        return replace(agent, spec=spec)
    found = _find_writes(spec, entry)
    writes = tuple(one for one in found if one.name != _TRACER or describe_changes("traces"))
    if traced := [one for one in found if one not in writes]:
        agent = replace(agent, notes=(*agent.notes, f"{_TRACER} at {traced[0].location} is each call's own here"))
    if not writes:
        return agent
    what = _describe(writes)
    if foreign == "auto":
        spec = replace(spec, isolation="process")
    kind = choose_isolation(agent.name, spec.isolation, config.isolation, config.worker.isolation)
    if kind != "process":
        note = f'its calls share what they write: {what}; [isolation] {agent.name} = "process" keeps it apart'
    elif agent.name in config.isolation or config.worker.isolation == "process":
        return replace(agent, spec=spec)
    else:
        note = f"a process for each call, since it writes {what}"
    return replace(agent, spec=spec, notes=(*agent.notes, note))


def _find_writes(spec: AgentSpec, entry: Entry) -> tuple[ModuleWrite, ...]:
    members = [member.spec.agent for member in spec.cast.members if member.spec] if spec.cast else []
    runs = (spec.entrypoint, spec.agent, *members, spec.on_session_end, spec.on_simulation_end)
    try:
        return find_module_state([one for one in runs if one is not None], entry)
    except Exception as error:  # somebody's source, whatever it holds, such as thousands of terms: others must load
        text = "agent %r: it cannot be told what it writes into its modules (%s); openrtc_isolation says what it needs"
        logger.warning(text, spec.name, summarize_error(error))
        return ()


def _describe(writes: tuple[ModuleWrite, ...]) -> str:
    first = f"{writes[0].name} at {writes[0].location}"
    return f"{first} and {len(writes) - 1} more" if len(writes) > 1 else first
