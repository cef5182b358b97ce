"""`FunctionRouter`: a router function given in code, as a plugin."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from openrtc.model.decision import Decision
from openrtc.model.hookspecs import hookimpl
from openrtc.model.request import RouteRequest

RouterAnswer = str | Decision | None
RouterFunction = Callable[..., RouterAnswer | Awaitable[RouterAnswer]]
"""Takes a `RouteRequest`, and optionally the names of the agents that can be chosen."""


class FunctionRouter:
    """A router function given in code, as a plugin.

    Args:
        function: Sync or async; takes the request, or the request and the agents' names.
    """

    distribution = "this program"

    def __init__(self, function: RouterFunction) -> None:
        self._function = function
        self._takes_agents = len(inspect.signature(function).parameters) > 1
        self.name = f"{self.distribution}:{getattr(function, '__name__', 'router')}"

    @property
    def target(self) -> object:
        """The object with the hook implementations: what a package's plugin has, too."""
        return self

    @hookimpl
    def openrtc_route(self, request: RouteRequest, agents: Sequence[str]) -> Any:
        """Ask the function."""
        return self._function(request, agents) if self._takes_agents else self._function(request)
