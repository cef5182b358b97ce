"""Makes the options of a session that are to be no other session's: what one caller tells is not seen in another call.

A package that is loaded has been looked through for objects that all its calls would share
(`openrtc.model.own_options`); what is seen only when a call is there is found here.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from livekit.agents import room_io

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.builders import bind_call, name_of
from openrtc.model.call import Call
from openrtc.model.own_options import MADE_FOR_EACH_CALL, find_mutable_part
from openrtc.session.cleanup import limit_build_time

_last: dict[tuple[str, str], Callable[[], object]] = {}
"""By owner and option, what returns the object that was made for its latest call, or None when that is gone."""


async def settle_options(spec: AgentSpec, call: Call) -> AgentSpec:
    """Return the spec for one call: with the options that functions make of the call, and its userdata among them.

    Args:
        spec: How the agent and its session are built.
        call: The call.

    Raises:
        OpenRTCError: A function made something else, or not in time. What it raises itself passes.
    """
    options, room_options = spec.session_options, spec.room_options
    if callable(options):
        options = await _ask(options, call, Mapping, "session_options", spec.name)
    if callable(room_options):
        room_options = await _ask(room_options, call, room_io.RoomOptions, "room_options", spec.name)
    if spec.userdata is not None:
        own = bind_call(spec.userdata, call) if callable(spec.userdata) else spec.userdata
        options = {**options, "userdata": own}
    return replace(spec, session_options=options, room_options=room_options, userdata=None)


async def _ask(make: Callable[..., Any], call: Call, kind: type, what: str, owner: str) -> Any:
    async with limit_build_time(owner):
        made = bind_call(make, call)()
        if inspect.isawaitable(made):
            made = await made
    if not isinstance(made, kind):
        said = f"{what} {name_of(make)}() returned a {type(made).__qualname__}, not a {kind.__name__}"
        raise OpenRTCError(said, origin=f'agent "{owner}"', fix=f"return a {kind.__name__}")
    return made


async def make_own_options(options: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Return options for one session: what is made for each call is made, and containers are copied.

    Args:
        options: Arguments of ``AgentSession``.
        owner: The agent or plugin that they are of.

    Raises:
        OpenRTCError: What was made is not this call's alone, or it was not made in time. What the callable itself
            raises passes.
    """
    own = {name: _copy_containers(value) for name, value in options.items() if name not in MADE_FOR_EACH_CALL}
    for name in MADE_FOR_EACH_CALL:
        if name in options:
            own[name] = await _make(name, options[name], owner)
    return own


async def _make(name: str, value: Any, owner: str) -> Any:
    if not callable(value):
        made, how = value, "the option"
    else:
        how = f"{name_of(value)}()"
        async with limit_build_time(owner):
            made = value()
            if inspect.isawaitable(made):
                made = await made
    if name != "userdata":  # a list that a session may extend: livekit-agents adds tools of its own
        return _copy_containers(made)
    if find_mutable_part(made):
        _require_new(name, made, owner, how)
    return made


def _require_new(name: str, made: object, owner: str, how: str) -> None:
    key = (owner, name)
    if key in _last and _last[key]() is made:
        same = f"{how} gave the same {type(made).__qualname__} as {name} of two calls"
        what = f"{same}: one would see what the other is told"
        raise OpenRTCError(what, origin=owner, fix="make a new one in every call of the function")
    try:
        _last[key] = weakref.ref(made)
    except TypeError:  # a dict, list or set: it is kept until the next call
        _last[key] = lambda: made


def _copy_containers(value: Any) -> Any:
    # Only livekit's own kinds of options, nested as in `turn_handling`; what stands in them is taken as it is.
    if type(value) is dict:
        return {key: _copy_containers(one) for key, one in value.items()}
    return [_copy_containers(one) for one in value] if type(value) is list else value
