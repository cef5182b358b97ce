"""Checks what livekit-agents needs to know of an agent's tools, before a model asks for them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from typing import Any

from openrtc.errors import OpenRTCError


def check_tools_of_class(agent: type) -> None:
    """Check the tools that are methods of an agent's class.

    Raises:
        OpenRTCError: An argument of one has no type: livekit-agents fails with a bare ``KeyError`` in each answer.
    """
    for _, member in inspect.getmembers_static(agent):
        _check_tool(member, skipped=1)  # its first argument is the agent itself


def check_tools(tools: Iterable[Any]) -> None:
    """Check the tools of an agent.

    Args:
        tools: What it has; what is no function tool of livekit-agents is passed over.

    Raises:
        OpenRTCError: An argument of one has no type.
    """
    for tool in tools:
        _check_tool(tool)


def _check_tool(tool: Any, skipped: int = 0) -> None:
    kind = getattr(sys.modules.get("livekit.agents.llm"), "FunctionTool", None)
    if kind is None or not isinstance(tool, kind):  # one with a schema of its own is another class, and needs no types
        return
    try:
        parameters = list(inspect.signature(tool).parameters.values())[skipped:]
    except (TypeError, ValueError):
        return
    untyped = next((one.name for one in parameters if one.annotation is one.empty), None)
    if untyped:
        reason = f"the tool {tool.info.name} cannot be told to a model: its argument {untyped} has no type"
        raise OpenRTCError(reason, origin=_find_place(tool), fix=f"write {untyped}: str, or whatever it is")


def _find_place(tool: Any) -> str | None:
    code = getattr(inspect.unwrap(tool), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else None
