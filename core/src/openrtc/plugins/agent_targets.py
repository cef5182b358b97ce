"""Turns what an entry of `openrtc.agents` points at into an `AgentSpec`, or says why it cannot be one."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

from openrtc.discovery.entries import PLUGINS_GROUP, Entry
from openrtc.errors import OpenRTCError, one_line
from openrtc.model.agents import AgentSpec, Cast
from openrtc.model.builders import check_builder, is_agent, is_agent_class, name_of
from openrtc.model.isolation import ISOLATION_ATTRIBUTE
from openrtc.model.livekit_worker import LiveKitWorker
from openrtc.model.metadata import find_model_fault
from openrtc.model.own_options import find_shared_option
from openrtc.plugins.fault import Fault
from openrtc.plugins.hook_check import find_hookimpls
from openrtc.plugins.livekit_shapes import build_worker_spec, find_agent_server, find_livekit_worker
from openrtc.plugins.own_modules import imported_name


def build_spec(target: object, entry: Entry) -> tuple[AgentSpec, LiveKitWorker | None]:
    """Return the spec of the agent ``entry`` points at, and the worker that it is by itself, if any; raises `Fault`."""
    if isinstance(target, AgentSpec):
        return check_spec(target, entry.name, entry), None
    if isinstance(target, Cast):
        return check_spec(AgentSpec(cast=target), entry.name, entry), None
    if worker := find_livekit_worker(target, entry):
        spec = build_worker_spec(worker, summarise(worker.entrypoint) or entry.summary, entry.name)
        return _ask_of_module(spec, entry), worker
    builder = _check_builder(target, entry)
    spec = AgentSpec(agent=builder, name=entry.name, summary=summarise(builder) or entry.summary)
    return _ask_of_module(spec, entry), None


def check_spec(spec: AgentSpec, name: str, entry: Entry) -> AgentSpec:
    """Return ``spec`` under ``name``, with a summary; raises `Fault` when it cannot build agents."""
    if spec.agent is not None:
        _check_builder(spec.agent, entry)
    elif spec.cast is None and not callable(spec.entrypoint):
        raise Fault("AgentSpec entrypoint= is no function", "give async def entrypoint(ctx)")
    if shared := find_shared_option(spec) or find_model_fault(spec):
        raise Fault(shared.message, shared.fix or "", location=_module_file(entry))
    summary = spec.summary or summarise(spec.agent or spec.entrypoint) or _roles(spec) or entry.summary
    return _ask_of_module(replace(spec, name=name, summary=one_line(str(summary), 200)), entry)


def summarise(target: object) -> str:
    """Return the first docstring line of a class or function that is its own, not inherited."""
    if isinstance(target, type):
        text = target.__dict__.get("__doc__")
    else:
        text = target.__doc__ if inspect.isroutine(target) else None
    lines = [line.strip() for line in text.splitlines() if line.strip()] if isinstance(text, str) else []
    return one_line(lines[0], 200) if lines else ""


def _ask_of_module(spec: AgentSpec, entry: Entry) -> AgentSpec:
    """Return ``spec`` with the isolation that its module asks for, where nothing nearer does."""
    names = (imported_name(entry), getattr(spec.entrypoint or spec.agent, "__module__", None))
    modules = [module for name in names if (module := sys.modules.get(str(name)))]
    asked = next((vars(module)[ISOLATION_ATTRIBUTE] for module in modules if ISOLATION_ATTRIBUTE in vars(module)), "")
    return replace(spec, isolation=asked) if asked and not spec.isolation else spec


def _roles(spec: AgentSpec) -> str:
    return f"A cast of {', '.join(spec.cast.roles)}." if spec.cast else ""


def _check_builder(target: object, entry: Entry) -> Callable[..., Any]:
    if isinstance(target, ModuleType):
        fix = f"write {entry.name} = {target.__name__}:{find_agent_server(target) or 'ClassName'}"
        raise Fault(f"{entry.value} is a module, not an agent", fix, at=target)
    if is_agent(target):
        fix = f"write {name_of(type(target))} or a factory"
        raise Fault(f"{entry.value} is an Agent instance: all calls would share it", fix, _module_file(entry))
    if not is_agent_class(target) and find_hookimpls(target):
        fix = f"put it into the group {PLUGINS_GROUP}"
        raise Fault(f"{entry.value} is a plugin, not an agent", fix, at=target)
    if inspect.isabstract(target):
        raise Fault(f"{entry.value} is an abstract class", "point to a class that can be built", at=target)
    try:
        check_builder(target)
    except OpenRTCError as error:
        raise Fault(error.message, error.fix or "", error.origin, at=None if error.origin else target) from None
    builder: Callable[..., Any] = target  # type: ignore[assignment]  # check_builder has seen that it is callable
    return builder


def _module_file(entry: Entry) -> str | None:
    return getattr(sys.modules.get(imported_name(entry)), "__file__", None)
