"""Collects the agents that a plugin brings through ``openrtc_agents``."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from openrtc.catalog.loaded import LoadedAgent, LoadedPlugin
from openrtc.model.agents import AgentSpec
from openrtc.model.names import find_name_fault
from openrtc.model.status import READY, Status
from openrtc.plugins.agent_targets import check_spec
from openrtc.plugins.fault import Fault
from openrtc.plugins.hook_check import find_hook_functions
from openrtc.plugins.importing import run_guarded

HOOK = "openrtc_agents"
MOST = 1000
"""No package brings more agents; an endless generator must not hang the worker."""


def collect_agents(plugin: LoadedPlugin) -> list[LoadedAgent]:
    """Return the agents that a loaded plugin brings, usable or not; what goes wrong is a row, never an exception."""
    result = run_guarded(plugin.entry, lambda: _call_hook(plugin.target), HOOK)
    if result.failure:
        return [_agent(plugin, plugin.entry.name, status=result.failure)]
    counts = Counter(spec.name for spec in result.value or () if isinstance(spec, AgentSpec))
    return [_check_agent(plugin, spec, counts) for spec in result.value or ()]


def _call_hook(target: object) -> list[object]:
    found: list[object] = []
    for function in find_hook_functions(target, HOOK):
        result = function()
        if isinstance(result, AgentSpec):
            result = [result]
        if inspect.isawaitable(result) or isinstance(result, str) or not isinstance(result, Iterable):
            kind = type(result).__name__
            raise Fault(f"{HOOK} returned {kind}, not a list of AgentSpec", "return [AgentSpec(…)]", at=function)
        found += islice(result, MOST + 1)
        if len(found) > MOST:
            raise Fault(f"{HOOK} returned more than {MOST} agents", "return a list that ends", at=function)
    return found


def _check_agent(plugin: LoadedPlugin, spec: object, counts: Counter[str]) -> LoadedAgent:
    name = spec.name if isinstance(spec, AgentSpec) and isinstance(spec.name, str) else ""
    result = run_guarded(plugin.entry, lambda: _check_spec(plugin, spec, counts), HOOK)
    if result.failure:
        return _agent(plugin, name or plugin.entry.name, status=result.failure)
    return _agent(plugin, name, spec=result.value)


def _check_spec(plugin: LoadedPlugin, spec: object, counts: Counter[str]) -> AgentSpec:
    function = find_hook_functions(plugin.target, HOOK)[0]
    if not isinstance(spec, AgentSpec):
        given = spec.__name__ if isinstance(spec, type) else type(spec).__name__
        fix = f'return [AgentSpec(name="my-agent", agent={given})]'
        raise Fault(f"{HOOK} gave {given}, not an AgentSpec", fix, at=function)
    if fault := find_name_fault(spec.name):
        reason = f"{HOOK} gave an AgentSpec whose name is wrong: {fault}"
        raise Fault(reason, 'write AgentSpec(name="my-agent", …)', at=function)
    if counts[spec.name] > 1:
        raise Fault(f'{HOOK} gave the name "{spec.name}" more than once', "rename all but one", at=function)
    return check_spec(spec, spec.name, plugin.entry)


def _agent(plugin: LoadedPlugin, name: str, *, spec: AgentSpec | None = None, status: Status = READY) -> LoadedAgent:
    return LoadedAgent(name=name, entry=plugin.entry, spec=spec, status=status, load_ms=plugin.load_ms)
