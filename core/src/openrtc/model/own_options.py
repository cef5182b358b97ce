"""Which options of a session may be one object for all calls, and which are made for each call."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import inspect
import ipaddress
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.builders import check_maker, name_of

MADE_FOR_EACH_CALL = ("userdata", "mcp_servers", "tools")
"""Options that are called for each call where they are callables. The others take callables as they are."""

_ATOMS = (
    *(type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis), type(NotImplemented)),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction),
    *(uuid.UUID, re.Pattern, pathlib.PurePath, ipaddress.IPv4Address, ipaddress.IPv6Address),
)
_DEEPEST = 30
"""Immutable values that are nested deeper than this pass for mutable ones."""


def find_shared_option(spec: AgentSpec) -> OpenRTCError | None:
    """Return what is wrong where calls of an agent would share an object that one of them may change, else None.

    Args:
        spec: How the agent is built; of a cast, the members are looked at that are declared in it.
    """
    for member in spec.cast.members if spec.cast else ():
        if member.spec is not None and (fault := find_shared_option(member.spec)):
            return OpenRTCError(f"member {member.role!r}: {fault.message}", fix=fault.fix)
    for what, make in (("session_options", spec.session_options), ("room_options", spec.room_options)):
        if callable(make) and (fault := _find_fault_of_maker(what, make)):
            return fault
    if fault := _find_fault_of_userdata(spec):
        return fault
    options: object = spec.session_options
    if callable(options):  # what it makes is looked at when there is a call
        return None
    if not isinstance(options, Mapping):
        return OpenRTCError(f"session_options is {_describe(options)}", fix='write session_options={"userdata": …}')
    return next((fault for name in MADE_FOR_EACH_CALL if (fault := _find_fault(name, options.get(name)))), None)


def _find_fault_of_userdata(spec: AgentSpec) -> OpenRTCError | None:
    options: object = spec.session_options
    if spec.userdata is not None and isinstance(options, Mapping) and "userdata" in options:
        return OpenRTCError("userdata is given twice, also in session_options", fix="give it once")
    if callable(spec.userdata):
        return _find_fault_of_maker("userdata", spec.userdata)
    if part := find_mutable_part(spec.userdata):
        make = "make" if part.endswith(" in it") else _suggest(spec.userdata)
        what = f"userdata is one object for all calls, and can be changed: {part}"
        return OpenRTCError(what, fix=f"write userdata={make}, which is called for each call")
    return None


def _find_fault_of_maker(what: str, make: Callable[..., Any]) -> OpenRTCError | None:
    try:
        check_maker(make, what)
    except OpenRTCError as error:
        return error
    return None


def find_mutable_part(value: object, depth: int = 0) -> str | None:
    """Return what about a value can be changed, such as ``a dict``; None where it is immutable through and through."""
    # The names of an object's own attributes: a subclass of int may have some.
    if isinstance(value, _ATOMS) and not getattr(value, "__dict__", None):
        return None
    parts = _list_parts(value) if depth < _DEEPEST else None
    if parts is None:
        return _describe(value)
    found = next((part for one in parts if (part := find_mutable_part(one, depth + 1))), None)
    return found and (found if found.endswith(" in it") else f"{found} in it")


def _list_parts(value: object) -> Iterable[object] | None:
    """Return what a value is made of where that can only be exchanged with the value itself, else None."""
    kind = type(value)
    if isinstance(value, enum.Enum):
        return (value.value,)
    if isinstance(value, tuple | frozenset) and not getattr(value, "__dict__", None):
        return value
    if isinstance(value, types.MappingProxyType):
        return value.values()
    if dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # typeshed
        return [getattr(value, one.name) for one in dataclasses.fields(kind)]
    config = getattr(kind, "model_config", None)  # of a pydantic model
    if isinstance(config, Mapping) and config.get("frozen"):
        return list(vars(value).values())
    return None


def _find_fault(name: str, value: object) -> OpenRTCError | None:
    if callable(value):
        return _why_not_callable(name, value)
    if name == "userdata":
        if part := find_mutable_part(value):
            return _shared(name, part, "make" if part.endswith(" in it") else _suggest(value))
        return None
    # What livekit-agents opens with a session and closes with it: the first call that ends would close it for all.
    toolset = getattr(sys.modules.get("livekit.agents.llm"), "Toolset", ())
    for one in value if isinstance(value, list | tuple) else ():
        if name == "mcp_servers" or isinstance(one, toolset):
            return _shared(name, _describe(one), "lambda: […]")
    return None


def _why_not_callable(name: str, make: Any) -> OpenRTCError | None:
    try:
        inspect.signature(make).bind()
    except TypeError:
        what = f"{name} in session_options is {name_of(make)}, which cannot be called without arguments"
        return OpenRTCError(what, fix="give a function without arguments: it is called for each call")
    except ValueError:  # written in C, without a signature
        return None
    return None


def _shared(name: str, part: str, make: str) -> OpenRTCError:
    what = f"{name} in session_options is one object for all calls, and can be changed: {part}"
    fix = f'write session_options={{"{name}": {make}}}, which is called without arguments for each call'
    return OpenRTCError(what, fix=fix)


def _suggest(value: object) -> str:
    """Return what makes such a value anew."""
    kind = type(value)
    if isinstance(value, dict | list | set) and value:
        return f"lambda: {kind.__name__}(…)"
    try:
        inspect.signature(kind).bind()
    except (TypeError, ValueError):
        return "make" if not isinstance(value, dict | list | set) else kind.__name__
    return kind.__name__


def _describe(value: object) -> str:
    kind = type(value).__qualname__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
