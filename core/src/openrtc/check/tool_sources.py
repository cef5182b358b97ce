"""Finds the tools in an agent's source: the rules `typed-tools` and `examples`. Nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openrtc.catalog.loaded import LoadedAgent
from openrtc.check.card import Finding, RuleVerdict
from openrtc.discovery.entries import Entry
from openrtc.plugins.own_sources import OwnSources, walk_used

_DECORATOR = "function_tool"
_DESCRIBING = ("description", "raw_schema")
"""Arguments of the decorator that tell the model what the tool is."""

ToolFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class ToolSource:
    """A tool, as its source has it.

    Args:
        name: The function's name.
        location: ``file:line``.
        untyped: Its arguments without a type.
        is_described: Whether a model is told what it does.
    """

    name: str
    location: str
    untyped: tuple[str, ...]
    is_described: bool


def judge_tool_sources(agents: Iterable[tuple[LoadedAgent, Sequence[Callable[..., Any]]]]) -> Iterator[Finding]:
    """Yield what is found of agents' tools and examples.

    Args:
        agents: Agents that could be loaded, each with what its calls run.
    """
    for agent, roots in agents:
        if agent.spec is None or agent.entry is None:
            continue
        tools = find_tools(roots, agent.entry)
        yield from _check_types(agent.name, tools)
        members = [one.spec for one in agent.spec.cast.members if one.spec] if agent.spec.cast else []
        said = [*agent.spec.examples, *(example for member in members for example in member.examples)]
        described = [tool.name for tool in tools if tool.is_described]
        if said or described:
            what = f"such as {said[0]!r:.80}" if said else f"made of the descriptions of {', '.join(described[:3])}"
            yield Finding("examples", RuleVerdict.PASSED, f"{agent.name}: {what}")
        else:
            fix = "give examples=(…) to its AgentSpec"
            yield Finding("examples", RuleVerdict.FAILED, f"{agent.name}: nothing says what a caller may say", fix)


def find_tools(roots: Iterable[Callable[..., Any]], entry: Entry) -> tuple[ToolSource, ...]:
    """Return the tools among what calls run, in files of their distribution.

    Args:
        roots: What calls run: functions and classes.
        entry: The entry point whose distribution they are of.
    """
    found: dict[str, ToolSource] = {}
    sources = OwnSources(entry)
    for source, node in walk_used(sources, roots):
        for one in ast.walk(node):
            if isinstance(one, ToolFunction) and (decorator := _find_decorator(one)) is not None:
                location = f"{source.file}:{one.lineno}"
                found[location] = _read_tool(one, decorator, location)
    return tuple(found.values())


def _check_types(agent: str, tools: Sequence[ToolSource]) -> Iterator[Finding]:
    for tool in tools:
        if tool.untyped:
            what = f"{agent}: the tool {tool.name} has no type for {', '.join(tool.untyped)}"
            fix = f"write {tool.untyped[0]}: str, or whatever it is"
            yield Finding("typed-tools", RuleVerdict.FAILED, what, fix, tool.location)
        if not tool.is_described:
            what = f"{agent}: the tool {tool.name} has no description"
            yield Finding("typed-tools", RuleVerdict.FAILED, what, "give it a docstring", tool.location)
    if not tools:
        yield Finding("typed-tools", RuleVerdict.NOTHING, f"{agent}: it has no tools")
    elif all(tool.is_described and not tool.untyped for tool in tools):
        yield Finding("typed-tools", RuleVerdict.PASSED, f"{agent}: {', '.join(tool.name for tool in tools)}")


def _find_decorator(function: ToolFunction) -> ast.expr | None:
    for one in function.decorator_list:
        named = one.func if isinstance(one, ast.Call) else one
        if ast.unparse(named).rpartition(".")[2] == _DECORATOR:
            return one
    return None


def _read_tool(function: ToolFunction, decorator: ast.expr, location: str) -> ToolSource:
    given = {one.arg for one in decorator.keywords} if isinstance(decorator, ast.Call) else set()
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    of_method = arguments[:1] if arguments and arguments[0].arg == "self" else []
    untyped = [one.arg for one in arguments if one.annotation is None and one not in of_method]
    return ToolSource(
        function.name,
        location,
        () if "raw_schema" in given else tuple(untyped),
        bool(ast.get_docstring(function) or given & set(_DESCRIBING)),
    )
