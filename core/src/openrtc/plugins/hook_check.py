"""Checks a plugin's hook implementations before it is registered, with a hint for every mistake."""

from __future__ import annotations

import functools
import inspect
import logging
import warnings
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import pluggy

from openrtc.discovery.entries import AGENTS_GROUP, Entry
from openrtc.errors import one_line
from openrtc.model import hookspecs as specs
from openrtc.model.agents import AgentSpec
from openrtc.model.builders import is_agent, is_agent_class
from openrtc.model.hookspecs import PROJECT
from openrtc.plugins.fault import Fault
from openrtc.plugins.own_modules import imported_name
from openrtc.suggest import closest

logger = logging.getLogger("openrtc.plugins")

PREFIX = "openrtc_"
MARKER = f"{PROJECT}_impl"
"""What pluggy's decorator sets on a function."""
LISTS = ("openrtc_agents", "openrtc_resources", "openrtc_checks")
"""Hooks that may yield what others return as a list."""
DOCUMENTATION = "docs/hooks.md"
SYNC_ONLY = ("openrtc_agents", "openrtc_resources", "openrtc_providers", "openrtc_redact")
_PLAIN = (type, staticmethod, FunctionType, BuiltinFunctionType, MethodType)
"""Of these `_refuse_undecorated` speaks. Not `inspect.isroutine`, for which a partial function is one since Python
3.14."""
_manager = pluggy.PluginManager(PROJECT)


@functools.cache
def hook_arguments() -> dict[str, tuple[str, ...]]:
    """Return every hook's name and argument names."""
    return {
        name: tuple(inspect.signature(function).parameters)
        for name, function in vars(specs).items()
        if name.startswith(PREFIX) and inspect.isfunction(function)
    }


def find_hookimpls(target: object) -> list[str]:
    """Return the names of the attributes of ``target`` that are decorated with ``@hookimpl``."""
    return [name for name in dir(target) if _options(target, name) is not None]


def build_plugin(target: object, entry: Entry) -> object:
    """Return the object to register: ``target``, or an instance of it when it is a class; raises `Fault`."""
    _refuse_agents(target, entry)
    if not isinstance(target, type):
        return target
    needed = _required_arguments(target)
    if needed:
        fix = "let it take no arguments, or point to an instance"
        raise Fault(f"the plugin class {entry.value} needs the arguments {', '.join(needed)}", fix, at=target)
    return target()


def check_hooks(target: object, entry: Entry) -> tuple[str, ...]:
    """Return the names of the hooks that ``target`` implements, sorted; raises `Fault` for the first mistake.

    Hooks and arguments that are deprecated are logged, one line each.
    """
    hooks = {_check_hook(target, name, entry) for name in find_hookimpls(target)}
    for name in dir(target):
        if _options(target, name) is None:
            _refuse_objects(target, name)
            if name.startswith(PREFIX):
                _refuse_undecorated(target, name, entry)
    found = sorted(hook for hook in hooks if hook)
    if not found:
        raise _explain_no_hooks(target, entry)
    scratch = pluggy.PluginManager(PROJECT)
    scratch.add_hookspecs(specs)
    with warnings.catch_warnings(record=True) as deprecations:
        # Python shows no DeprecationWarning of an imported module, and the others without the plugin's name.
        warnings.simplefilter("always")
        try:
            scratch.register(target)
        except pluggy.PluginValidationError as error:  # of what the checks above do not know
            raise Fault(one_line(str(error)), f"see {DOCUMENTATION}", at=target) from None
    _check_calls(scratch, target)
    for one in deprecations:
        place = f"{one.filename}:{one.lineno}"
        logger.warning("%s %s: %s (%s)", entry.distribution, entry.version, one_line(str(one.message)), place)
    return tuple(found)


def asks_to_be_first(target: object, hook: str) -> bool:
    """Whether an implementation of ``hook`` asks to be called before others (``tryfirst``)."""
    options = [(name, _options(target, name)) for name in find_hookimpls(target)]
    return any(o["tryfirst"] for name, o in options if (o["specname"] or name) == hook and not o["wrapper"])


def find_hook_functions(target: object, hook: str) -> list[Callable[..., Any]]:
    """Return the implementations of ``hook`` in ``target``, without those that wrap others."""
    options = [(name, _options(target, name)) for name in find_hookimpls(target)]
    return [getattr(target, name) for name, o in options if (o["specname"] or name) == hook and not o["wrapper"]]


def _options(target: object, name: str) -> Any:
    return _manager.parse_hookimpl_opts(target, name)


def _check_hook(target: object, name: str, entry: Entry) -> str | None:
    """Return the hook that an attribute implements; None for an optional one that does not exist."""
    options, function = _options(target, name), getattr(target, name)
    hook = options["specname"] or name
    known = hook_arguments()
    if hook not in known:
        if options["optionalhook"]:
            return None
        raise Fault(f'there is no hook "{hook}"', _suggest_hook(hook) or f"there are {', '.join(known)}", at=function)
    _check_generator(name, hook, function, options)
    if hook in SYNC_ONLY and inspect.iscoroutinefunction(function):
        raise Fault(f"{name} is async", "this hook is not awaited: write def, not async def", at=function)
    wrong = [argument for argument in _required_arguments(function) if argument not in known[hook]]
    if wrong:
        takes = f"it may take {', '.join(known[hook])}" if known[hook] else "it takes no arguments"
        near = closest(wrong[0], known[hook])
        raise Fault(f'{name} has the argument "{wrong[0]}"', f'did you mean "{near}"?' if near else takes, at=function)
    return str(hook)


def _check_generator(name: str, hook: str, function: Any, options: Mapping[str, Any]) -> None:
    """Refuse a generator where a value is expected, and a wrapper that is none."""
    generates = inspect.isgeneratorfunction(function)
    if options["hookwrapper"]:
        fix = "write @hookimpl(wrapper=True), results = yield, and return results"
        raise Fault(f"{name} is an old-style hook wrapper", fix, at=function)
    if options["wrapper"] and hook == "openrtc_agents":
        fix = "write a plain @hookimpl"
        raise Fault(f"{name} is a hook wrapper, but each package's agents are its own", fix, at=function)
    if options["wrapper"] and not generates:
        fix = "write def, and yield once in it: results = yield"
        raise Fault(f"{name} is a hook wrapper, but no generator", fix, at=function)
    if inspect.isasyncgenfunction(function) or (generates and not options["wrapper"] and hook not in LISTS):
        raise Fault(f"{name} is a generator", "return the value, or write @hookimpl(wrapper=True)", at=function)


def _check_calls(manager: pluggy.PluginManager, target: object) -> None:
    """Refuse functions that cannot be called as hooks are: by the names of their arguments."""
    for caller in manager.get_hookcallers(target) or ():
        for impl in caller.get_hookimpls():
            names = ", ".join(impl.argnames)
            try:
                inspect.signature(impl.function, follow_wrapped=False).bind(**dict.fromkeys(impl.argnames))
            except TypeError as error:
                reason = f"{caller.name} cannot be called with {names or 'no arguments'}: {error}"
                fix = f"write def {caller.name}({', '.join(hook_arguments()[caller.name])})"
                raise Fault(reason, f"{fix}, or leave arguments out", at=impl.function) from None
            except ValueError:  # its signature cannot be read: the call will show
                continue


def _required_arguments(function: Any) -> list[str]:
    """Return the arguments that a call must give."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _refuse_objects(target: object, name: str) -> None:
    """Refuse what is meant as a hook and can be called, but is no function: pluggy leaves it out without a word."""
    value = inspect.getattr_static(target, name, None)
    decorated = isinstance(inspect.getattr_static(value, MARKER, None), dict)
    if decorated or (name in hook_arguments() and callable(value) and not isinstance(value, _PLAIN)):
        kind = type(value)
        what = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.").replace("_lru_cache_wrapper", "cache")
        place = value if inspect.isfunction(inspect.unwrap(value)) else target  # else it would be the class's own
        raise Fault(f"{name} is a {what}, not a function", f"write a function: def {name}(…), which calls it", at=place)


def _refuse_undecorated(target: object, name: str, entry: Entry) -> None:
    """Refuse a function that was meant as a hook; one imported from another package is not this one's mistake."""
    function = getattr(target, name)
    if not inspect.isroutine(function):
        return
    home = str(getattr(function, "__module__", "")).partition(".")[0]
    if home != imported_name(entry).partition(".")[0]:
        return
    if name in hook_arguments():
        fix = "decorate it: from openrtc import hookimpl, then @hookimpl above it"
        raise Fault(f"{name} is not decorated with @hookimpl", fix, at=function)
    fix = _suggest_hook(name) or "rename it: names that begin with openrtc_ are hooks"
    raise Fault(f'there is no hook "{name}"', fix, at=function)


def _suggest_hook(hook: str) -> str | None:
    """Return the hint at the hook that was most likely meant; the prefix, which all share, must not make them alike."""
    near = closest(hook.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in hook_arguments()])
    return f'did you mean "{PREFIX}{near}"?' if near else None


def _refuse_agents(target: object, entry: Entry) -> None:
    if is_agent(target) or is_agent_class(target) or isinstance(target, AgentSpec):
        fix = f"put it into the group {AGENTS_GROUP}"
        raise Fault(f"{entry.value} is an agent, not a plugin", fix, at=target)


def _explain_no_hooks(target: object, entry: Entry) -> Fault:
    if entry.group == AGENTS_GROUP and isinstance(target, ModuleType):
        agents = [
            name
            for name, value in vars(target).items()
            if isinstance(value, AgentSpec) or (is_agent_class(value) and value.__module__ == target.__name__)
        ]
        reason = f"the module {entry.value} has no hooks, and the entry point names nothing in it"
        choice = " or ".join(f"{entry.value}:{name}" for name in agents[:4]) or f"{entry.value}:ClassName"
        return Fault(reason, f"write {entry.name} = {choice}", at=target)
    if inspect.isroutine(target):
        fix = f"point to the module: {entry.name} = {entry.value.partition(':')[0]}"
        return Fault(f"{entry.value} is a function, not a plugin", fix, at=target)
    fix = "decorate its openrtc_… functions: from openrtc import hookimpl"
    return Fault(f"{entry.value} implements no hook", fix, at=target)
