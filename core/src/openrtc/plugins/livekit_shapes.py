"""The shapes in which livekit-agents' own examples are workers, each turned into what OpenRTC runs of it.

This is the one place that knows them. An entry point may point at an `AgentServer`, at ``WorkerOptions``, or at the
function that a job runs; of a function, what its module has registered it with counts as well. livekit is not imported
here: where no package has imported it, nothing can be of its kinds.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.install_commands import install_command
from openrtc.model.agents import AgentSpec
from openrtc.model.builders import is_agent_class, name_of
from openrtc.model.livekit_worker import LiveKitWorker
from openrtc.plugins.fault import Fault
from openrtc.plugins.own_modules import imported_name, plain_name
from openrtc.upstream.digest import describe_changes
from openrtc.upstream.known_code import RELEASES
from openrtc.upstream.registered import read_named_options, read_options, read_server

OPTIONS = ("WorkerOptions", "ServerOptions")
"""The two names of one class."""

_UNKNOWN = object()
"""What an argument is that stands in a script and is neither a constant nor a name of its module."""


def find_livekit_worker(target: object, entry: Entry) -> LiveKitWorker | None:
    """Return the worker of livekit-agents' own kind that an entry point's value is, None where it is none.

    Args:
        target: The value.
        entry: The entry point.

    Raises:
        Fault: It is one that cannot be run, or may be one and it cannot be told.
    """
    if _is_a(target, "AgentServer"):
        return _of_server(target, entry)
    if _is_a(target, *OPTIONS):
        return _build(read_options(target), entry, target)
    if isinstance(target, type) or is_agent_class(target) or not inspect.isroutine(target):
        return None
    return _of_function(target, entry)


def find_agent_server(module: ModuleType) -> str | None:
    """Return the name of an `AgentServer` that a module has, if it has one."""
    return next((name for name, value in vars(module).items() if _is_a(value, "AgentServer")), None)


def note_server_beside(target: object, entry: Entry) -> tuple[str, ...]:
    """Return a note where an agent is a class whose module has a server: its tools may stand in the entrypoint."""
    module = sys.modules.get(imported_name(entry))
    server = find_agent_server(module) if module and is_agent_class(target) else None
    if server is None:
        return ()
    return (f"what {entry.module}:{server} adds to the class counts only where the entry point is {server}",)


def build_worker_spec(worker: LiveKitWorker, summary: str, name: str) -> AgentSpec:
    """Return the spec of an agent that is such a worker."""
    return AgentSpec(
        entrypoint=worker.entrypoint,
        name=name,
        summary=summary,
        prewarm=worker.prewarm,
        on_request=worker.on_request,
        on_session_end=worker.on_session_end,
        on_simulation_end=worker.on_simulation_end,
    )


def _is_a(value: object, *names: str) -> bool:
    agents = sys.modules.get("livekit.agents")
    kinds = tuple(kind for name in names if isinstance(kind := getattr(agents, name, None), type))
    return isinstance(value, kinds)


def _of_server(server: Any, entry: Entry) -> LiveKitWorker:
    if changes := describe_changes("registered"):
        reason = f"OpenRTC does not know this livekit-agents: {changes}"
        raise Fault(
            f"{entry.value} is an AgentServer, and {reason}", install_command(f"livekit-agents=={RELEASES[-1]}")
        )
    read = read_server(server)
    if read["entrypoint"] is None:
        raise Fault(f"{entry.value} is an AgentServer without a session", "register one: @server.rtc_session()")
    return _build(read, entry, server)


def _of_function(function: Callable[..., Any], entry: Entry) -> LiveKitWorker | None:
    module = sys.modules.get(function.__module__)
    for holder in dict.fromkeys((sys.modules.get(imported_name(entry)), module)):
        for server in vars(holder).values() if holder else ():
            if _is_a(server, "AgentServer") and not describe_changes("registered"):
                read = read_server(server)
                if read["entrypoint"] is function:
                    return _build(read, entry, function)
    parameter = _find_only_parameter(function)
    if parameter is None:
        return None
    is_async = inspect.iscoroutinefunction(function)
    annotation = parameter.annotation
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    says_so = kind.endswith("JobContext")
    if says_so and not is_async:
        raise Fault(f"{entry.value} takes a JobContext and is not async", "write async def", at=function)
    if is_async and module and (options := _find_options(function, module)) is not None:
        return _build(options, entry, function)
    if is_async and (says_so or function.__name__ == "entrypoint"):
        prewarm = getattr(module, "prewarm", None)
        takes_process = inspect.isfunction(prewarm) and _find_only_parameter(prewarm) is not None
        read = {"entrypoint": function, "prewarm": prewarm if takes_process else None, "unused": []}
        return _build(read, entry, function)
    if is_async and parameter.name == "ctx" and parameter.annotation is parameter.empty:
        reason = f"{entry.value} is an async function of one ctx: a LiveKit entrypoint, or a factory of agents?"
        fix = "write ctx: JobContext for an entrypoint, or call: Call for a factory"
        raise Fault(reason, fix, at=function)
    return None


def _build(read: dict[str, Any], entry: Entry, at: object) -> LiveKitWorker:
    if inspect.iscoroutinefunction(read.get("prewarm")):
        reason = f"{entry.value}: its prewarm is async, and livekit-agents waits for none"
        raise Fault(reason, "write def, not async def", at=read["prewarm"])
    if not callable(read.get("entrypoint")):
        raise Fault(f"{entry.value} has no entrypoint that can be called", "give async def entrypoint(ctx)", at=at)
    prewarm = read.get("prewarm")
    return LiveKitWorker(**read, prewarmed_by=plain_name(name_of(prewarm)) if prewarm else "")


def _find_only_parameter(function: Any) -> inspect.Parameter | None:
    """Return the parameter of a function that is called with one value; None where it needs more, or none."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # it is written in C
        return None
    needed = [
        one for one in parameters if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    only = needed[0] if len(needed) == 1 else None
    return only if only and only.kind is not only.KEYWORD_ONLY else None


def _find_options(function: Callable[..., Any], module: ModuleType) -> dict[str, Any] | None:
    """Return what the ``WorkerOptions`` say that a module makes of a function, such as below its main guard.

    They are read where they stand: to run the script's own start would be to run a second worker.
    """
    agents = sys.modules.get("livekit.agents")
    for call in _list_options(module):
        given = {one.arg: _evaluate(one.value, module) for one in call.keywords if one.arg}
        if call.args:
            given["entrypoint_fnc"] = _evaluate(call.args[0], module)
        if given.get("entrypoint_fnc") is not function:
            continue
        known = {name: value for name, value in given.items() if value is not _UNKNOWN}
        read = read_named_options(known, getattr(agents, OPTIONS[0]))
        unknown = [f"{name} (at line {call.lineno}, which is computed)" for name in given if name not in known]
        return read | {"unused": [*read["unused"], *unknown]}
    return None


def _list_options(module: ModuleType) -> Iterator[ast.Call]:
    try:
        tree = ast.parse(Path(str(module.__file__)).read_bytes())
    except (OSError, SyntaxError, ValueError):  # it has no source
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in OPTIONS:
            yield node


def _evaluate(node: ast.expr, module: ModuleType) -> Any:
    """Return the value of a constant, or of a name of the module; nothing is called."""
    if isinstance(node, ast.Name):
        return vars(module).get(node.id, _UNKNOWN)
    if isinstance(node, ast.Attribute):
        holder = _evaluate(node.value, module)
        return _UNKNOWN if holder is _UNKNOWN else getattr(holder, node.attr, _UNKNOWN)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return _UNKNOWN
