"""Checks, before any call, whether a class or factory can build agents."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from openrtc.errors import OpenRTCError
from openrtc.model.tools import check_tools_of_class

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def agent_class() -> type | None:
    """Return livekit's ``Agent`` when livekit was imported, else None: then nothing can be one."""
    return getattr(sys.modules.get("livekit.agents"), "Agent", None)


def is_agent_class(value: object) -> bool:
    """Whether ``value`` is ``Agent`` or a subclass of it."""
    base = agent_class()
    return base is not None and isinstance(value, type) and issubclass(value, base)


def is_agent(value: object) -> bool:
    """Whether ``value`` is an instance of ``Agent``."""
    base = agent_class()
    return base is not None and isinstance(value, base)


def check_builder(builder: object) -> str | None:
    """Check that ``builder`` can build agents: an ``Agent`` subclass or a factory that takes nothing or one `Call`.

    Returns:
        How to hand the call over: ``position``, ``keyword``, or None when it takes none.

    Raises:
        OpenRTCError: It is an instance, another class, no callable, or takes other arguments; or a tool of the class
            cannot be told to a model.
    """
    name = name_of(builder)
    if is_agent(builder):
        fix = "give the class itself, or a factory"
        raise OpenRTCError(f"{name} is an Agent instance: all calls would share it", fix=fix)
    if isinstance(builder, type) and not is_agent_class(builder):
        fix = "derive it from livekit.agents.Agent"
        raise OpenRTCError(f"the class {name} is no Agent", fix=fix)
    if not callable(builder):
        fix = "give an Agent subclass, a factory or an AgentSpec"
        raise OpenRTCError(f"{name} is no Agent class, factory or AgentSpec", fix=fix)
    if isinstance(builder, type):
        check_tools_of_class(builder)
    return _way_of_call(builder, name)


def check_maker(make: Callable[..., Any], what: str) -> str | None:
    """Check that ``make`` takes nothing or one `Call`.

    Args:
        make: Makes something for each call.
        what: What it is, for the error.

    Returns:
        How to hand the call over, as `check_builder` does.

    Raises:
        OpenRTCError: It takes other arguments.
    """
    return _way_of_call(make, f"{what} {name_of(make)}")


def bind_call(make: Callable[..., Any], call: object) -> Callable[[], Any]:
    """Return ``make`` without arguments: where it takes a call, with this one.

    Args:
        make: Takes nothing or one `Call`.
        call: The call.

    Raises:
        OpenRTCError: It takes other arguments.
    """
    takes = _way_of_call(make, name_of(make))
    return partial(make, call=call) if takes == "keyword" else partial(make, call) if takes else make


def name_of(value: object) -> str:
    """Return ``module:qualified name`` of a class or callable, or of an object's type."""
    inner = inspect.unwrap(value) if inspect.isroutine(value) else value
    inner = getattr(inner, "func", inner) if not isinstance(inner, type) else inner
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}:{named.__qualname__}"


def _way_of_call(builder: Callable[..., Any], name: str) -> str | None:
    try:
        parameters = inspect.signature(builder).parameters
    except (TypeError, ValueError):
        return None  # written in C, without a signature: it is called without arguments
    needed = [p for p in parameters.values() if p.default is p.empty and p.kind in (*_POSITIONAL, p.KEYWORD_ONLY)]
    by_position = [p for p in needed if p.kind in _POSITIONAL]
    by_name = [p for p in needed if p.kind is p.KEYWORD_ONLY and p.name != "call"]
    call = parameters.get("call")
    takes_call = call is not None and call.kind in (*_POSITIONAL, call.KEYWORD_ONLY)
    others = [p for p in by_position if p.name != "call"]
    meant_otherwise = is_agent_class(builder) and not all(map(_may_be_call, others))
    if by_name or len(by_position) > 1 or (takes_call and others) or meant_otherwise:
        raise _too_many(name, [p.name for p in needed], isinstance(builder, type))
    if call is not None and takes_call and call.kind is not call.POSITIONAL_ONLY:
        return "keyword"
    return "position" if by_position else None


def _may_be_call(parameter: inspect.Parameter) -> bool:
    """Whether a parameter of an agent's class is there for a call: any other, such as ``shop``, would get it unawares.

    A function that is given as a factory is written for one, and may call its parameter anything.
    """
    typed = parameter.annotation
    if typed is parameter.empty:
        return parameter.name.startswith("_") or parameter.name == "call"
    return getattr(typed, "__name__", str(typed)).partition("[")[0].rpartition(".")[2].strip("'\"") in (
        "Call",
        "Any",
        "object",
    )


def _too_many(name: str, needed: list[str], is_class: bool) -> OpenRTCError:
    arguments = ", ".join(needed)
    fix = "let it take nothing, or one Call, named call; give the others defaults"
    if is_class and needed == ["instructions"]:
        fix = "give it an __init__(self) that calls super().__init__(instructions=…)"
    return OpenRTCError(f"{name} needs the arguments {arguments}", fix=fix)
