"""Makes the options of a session that are to be no other session's: what one caller tells is not seen in another call.

A package that is loaded has been looked through for objects that all its calls would share
(`openrtc.model.own_options`); what is seen only when a call is there is found here.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from openrtc.errors import OpenRTCError
from openrtc.model.builders import name_of
from openrtc.model.own_options import MADE_FOR_EACH_CALL, find_mutable_part
from openrtc.session.cleanup import limit_build_time

_last: dict[tuple[str, str], Callable[[], object]] = {}
"""By owner and option, what returns the object that was made for its latest call, or None when that is gone."""


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
