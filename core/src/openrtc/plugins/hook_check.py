"""Checks a plugin's hook implementations before it is registered, with a hint for every mistake."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pluggy

from openrtc.catalog.build import is_agent, is_agent_class
from openrtc.catalog.spec import AgentSpec
from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.hooks import specs
from openrtc.hooks.markers import PROJECT
from openrtc.plugins.fault import Fault, place_of
from openrtc.suggest import closest

PREFIX = "openrtc_"
SYNC_ONLY = ("openrtc_agents", "openrtc_resources", "openrtc_providers")
_manager = pluggy.PluginManager(PROJECT)


@functools.cache
def hook_arguments() -> dict[str, tuple[str, ...]]:
    """Return every hook's name and argument names."""
    return {
        name: tuple(inspect.signature(function).parameters)
        for name, function in vars(specs).items()
        if name.startswith(PREFIX) and inspect.isfunction(function)
    }


def implemented_names(target: object) -> list[str]:
    """Return the names of the attributes of ``target`` that are decorated with ``@hookimpl``."""
    return [name for name in dir(target) if _options(target, name) is not None]


def plugin_object(target: object, entry: Entry) -> object:
    """Return the object to register: ``target``, or an instance of it when it is a class; raises `Fault`."""
    _refuse_agents(target, entry)
    if not isinstance(target, type):
        return target
    needed = _required(target)
    if needed:
        fix = "let it take no arguments, or point to an instance"
        raise Fault(f"the plugin class {entry.value} needs the arguments {', '.join(needed)}", fix, place_of(target))
    return target()


def checked_hooks(target: object, entry: Entry) -> tuple[str, ...]:
    """Return the names of the hooks that ``target`` implements, sorted; raises `Fault` for the first mistake."""
    hooks = {_checked(target, name, entry) for name in implemented_names(target)}
    for name in dir(target):
        if name.startswith(PREFIX) and _options(target, name) is None:
            _refuse_undecorated(target, name, entry)
    found = sorted(hook for hook in hooks if hook)
    if not found:
        raise _no_hooks(target, entry)
    scratch = pluggy.PluginManager(PROJECT)
    scratch.add_hookspecs(specs)
    scratch.register(target)
    return tuple(found)


def is_first(target: object, hook: str) -> bool:
    """Whether an implementation of ``hook`` asks to be called before others (``tryfirst``)."""
    options = [(name, _options(target, name)) for name in implemented_names(target)]
    return any(o["tryfirst"] for name, o in options if (o["specname"] or name) == hook)


def hook_functions(target: object, hook: str) -> list[Callable[..., Any]]:
    """Return the implementations of ``hook`` in ``target``."""
    options = [(name, _options(target, name)) for name in implemented_names(target)]
    return [getattr(target, name) for name, o in options if (o["specname"] or name) == hook]


def _options(target: object, name: str) -> Any:
    return _manager.parse_hookimpl_opts(target, name)


def _checked(target: object, name: str, entry: Entry) -> str | None:
    """Return the hook that an attribute implements; None for an optional one that does not exist."""
    options, function = _options(target, name), getattr(target, name)
    hook = options["specname"] or name
    place = place_of(function)
    known = hook_arguments()
    if hook not in known:
        if options["optionalhook"]:
            return None
        raise Fault(f'there is no hook "{hook}"', _meant(hook) or f"there are {', '.join(known)}", place)
    if options["hookwrapper"] or options["wrapper"]:
        raise Fault(f"{name} is a hook wrapper", "wrappers are not supported: write a plain @hookimpl", place)
    if hook in SYNC_ONLY and inspect.iscoroutinefunction(function):
        raise Fault(f"{name} is async", "this hook is called at start: write def, not async def", place)
    wrong = [argument for argument in _required(function) if argument not in known[hook]]
    if wrong:
        takes = f"it may take {', '.join(known[hook])}" if known[hook] else "it takes no arguments"
        near = closest(wrong[0], known[hook])
        raise Fault(f'{name} has the argument "{wrong[0]}"', f'did you mean "{near}"?' if near else takes, place)
    return str(hook)


def _required(function: Any) -> list[str]:
    """Return the arguments that a call must give."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _refuse_undecorated(target: object, name: str, entry: Entry) -> None:
    """Refuse a function that was meant as a hook; one imported from another package is not this one's mistake."""
    function = getattr(target, name)
    if not inspect.isroutine(function):
        return
    home = str(getattr(function, "__module__", "")).partition(".")[0]
    if home != entry.value.partition(":")[0].partition(".")[0]:
        return
    if name in hook_arguments():
        fix = "decorate it: from openrtc import hookimpl, then @hookimpl above it"
        raise Fault(f"{name} is not decorated with @hookimpl", fix, place_of(function))
    fix = _meant(name) or "rename it: names that begin with openrtc_ are hooks"
    raise Fault(f'there is no hook "{name}"', fix, place_of(function))


def _meant(hook: str) -> str | None:
    """Return the hint at the hook that was most likely meant; the prefix, which all share, must not make them alike."""
    near = closest(hook.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in hook_arguments()])
    return f'did you mean "{PREFIX}{near}"?' if near else None


def _refuse_agents(target: object, entry: Entry) -> None:
    if is_agent(target) or is_agent_class(target) or isinstance(target, AgentSpec):
        fix = f"put it into the group {AGENTS_GROUP}"
        raise Fault(f"{entry.value} is an agent, not a plugin", fix, place_of(target))


def _no_hooks(target: object, entry: Entry) -> Fault:
    if entry.group == AGENTS_GROUP and isinstance(target, ModuleType):
        agents = [
            name
            for name, value in vars(target).items()
            if isinstance(value, AgentSpec) or (is_agent_class(value) and value.__module__ == target.__name__)
        ]
        reason = f"the module {entry.value} has no hooks, and the entry point names nothing in it"
        choice = " or ".join(f"{entry.value}:{name}" for name in agents[:4]) or f"{entry.value}:ClassName"
        return Fault(reason, f"write {entry.name} = {choice}", place_of(target))
    if inspect.isroutine(target):
        fix = f"point to the module: {entry.name} = {entry.value.partition(':')[0]}"
        return Fault(f"{entry.value} is a function, not a plugin", fix, place_of(target))
    fix = "decorate its openrtc_… functions: from openrtc import hookimpl"
    return Fault(f"{entry.value} implements no hook", fix, place_of(target))
