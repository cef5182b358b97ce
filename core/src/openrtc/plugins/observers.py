"""`Observers`: the objects in ``AgentPool(observers=[…])``, called on the loop of the calls as `openrtc_session` is."""

from __future__ import annotations

import functools
import inspect
import logging
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openrtc.errors import OpenRTCError, one_line, summarize_error
from openrtc.plugins.implementation import Implementation

logger = logging.getLogger("openrtc.hooks")

START, END = "on_session_start", "on_session_end"


@dataclass(frozen=True)
class Observers:
    """The observers of a pool.

    Processes of calls get those that can be pickled.

    Args:
        given: The observers, in the order in which they are called.
        deployment_version: What they are told of this deployment.
    """

    given: tuple[object, ...] = ()
    deployment_version: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"given": tuple(filter(_can_be_pickled, self.given)), "deployment_version": self.deployment_version}

    @functools.cached_property
    def implementations(self) -> dict[str, Sequence[Implementation]]:
        """What is called at the start and at the end of a session."""
        return {
            method: [_describe(one, method) for one in self.given if callable(getattr(one, method, None))]
            for method in (START, END)
        }


NO_OBSERVERS = Observers()
"""Of whoever has no pool."""


def check_observer(observer: object) -> None:
    """Check that an object can be told of sessions.

    Raises:
        OpenRTCError: It has none of the methods, or is a class.
    """
    name = getattr(observer, "__name__", type(observer).__name__)
    if inspect.isclass(observer):
        raise OpenRTCError(f"observers holds the class {name}", origin="AgentPool", fix=f"make one: {name}()")
    if not any(callable(getattr(observer, method, None)) for method in (START, END)):
        fix = f"an observer has {START}(info, session) or {END}(info, outcome), or both"
        raise OpenRTCError(f"{name} is no observer", origin="AgentPool", fix=fix)


def _describe(observer: object, method: str) -> Implementation:
    module = type(observer).__module__

    def call(first: object, second: object) -> Any:
        return getattr(observer, method)(first, second)  # by position: each calls its arguments as it likes

    call.__module__ = module  # by which whoever blocks the loop is named
    name = f"observer {type(observer).__qualname__}"
    return Implementation(method, name, module.partition(".")[0], call, ("first", "second"), False)


def _can_be_pickled(observer: object) -> bool:
    try:
        pickle.dumps(observer)
    except Exception as error:  # whatever its class raises
        text = "observer %s cannot be pickled, and does not see the calls that have a process of their own: %s"
        logger.warning(text, type(observer).__qualname__, one_line(summarize_error(error)))
        return False
    return True
