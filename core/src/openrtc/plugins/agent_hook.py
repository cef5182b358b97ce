"""Collects the agents that a plugin brings through ``openrtc_agents``."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from openrtc.catalog.spec import AgentSpec
from openrtc.discovery.entries import State
from openrtc.discovery.entry_points_file import name_fault
from openrtc.plugins.agent_targets import named_spec
from openrtc.plugins.fault import Fault, place_of
from openrtc.plugins.hook_check import hook_functions
from openrtc.plugins.importing import guarded
from openrtc.plugins.loaded import LoadedAgent, LoadedPlugin

HOOK = "openrtc_agents"
MOST = 1000
"""No package brings more agents; an endless generator must not hang the worker."""


def agents_of(plugin: LoadedPlugin) -> list[LoadedAgent]:
    """Return the agents that a loaded plugin brings, usable or not; what goes wrong is a row, never an exception."""
    outcome = guarded(plugin.entry, lambda: _collect(plugin.target))
    if outcome.fault:
        return [_broken(plugin, plugin.entry.name, outcome.fault)]
    counts = Counter(spec.name for spec in outcome.value or () if isinstance(spec, AgentSpec))
    return [_agent(plugin, spec, counts) for spec in outcome.value or ()]


def _collect(target: object) -> list[object]:
    found: list[object] = []
    for function in hook_functions(target, HOOK):
        result = function()
        if isinstance(result, AgentSpec):
            result = [result]
        if inspect.isawaitable(result) or isinstance(result, str) or not isinstance(result, Iterable):
            kind = type(result).__name__
            raise Fault(f"{HOOK} returned {kind}, not a list of AgentSpec", "return [AgentSpec(…)]", place_of(function))
        found += islice(result, MOST + 1)
        if len(found) > MOST:
            raise Fault(f"{HOOK} returned more than {MOST} agents", "return a list that ends", place_of(function))
    return found


def _agent(plugin: LoadedPlugin, spec: object, counts: Counter[str]) -> LoadedAgent:
    name = spec.name if isinstance(spec, AgentSpec) and isinstance(spec.name, str) else ""
    outcome = guarded(plugin.entry, lambda: _checked(plugin, spec, counts))
    if outcome.fault:
        return _broken(plugin, name or plugin.entry.name, outcome.fault)
    return LoadedAgent(name=name, entry=plugin.entry, spec=outcome.value, load_ms=plugin.load_ms)


def _checked(plugin: LoadedPlugin, spec: object, counts: Counter[str]) -> AgentSpec:
    place = place_of(hook_functions(plugin.target, HOOK)[0])
    if not isinstance(spec, AgentSpec):
        given = spec.__name__ if isinstance(spec, type) else type(spec).__name__
        fix = f'return [AgentSpec(name="my-agent", agent={given})]'
        raise Fault(f"{HOOK} gave {given}, not an AgentSpec", fix, place)
    if fault := name_fault(spec.name):
        raise Fault(
            f"{HOOK} gave an AgentSpec whose name is wrong: {fault}", 'write AgentSpec(name="my-agent", …)', place
        )
    if counts[spec.name] > 1:
        raise Fault(f'{HOOK} gave the name "{spec.name}" more than once', "rename all but one", place)
    return named_spec(spec, spec.name, plugin.entry)


def _broken(plugin: LoadedPlugin, name: str, fault: Fault) -> LoadedAgent:
    return LoadedAgent(
        name=name,
        entry=plugin.entry,
        state=State.BROKEN,
        reason=fault.reason,
        fix=fault.fix,
        location=fault.location,
        load_ms=plugin.load_ms,
    )
