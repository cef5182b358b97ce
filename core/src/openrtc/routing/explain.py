"""`explain_route`: which agent would take a call, found without a worker, a server or the agents' own code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.name_checks import check_agent_names
from openrtc.discovery.discover import discover
from openrtc.model.agents import AgentSpec
from openrtc.model.decision import Decision
from openrtc.model.isolation import ISOLATIONS
from openrtc.model.request import RouteRequest
from openrtc.model.status import State
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.load import load_plugins
from openrtc.routing.function_router import FunctionRouter, RouterFunction
from openrtc.routing.router import Router
from openrtc.settings.config import Config


def explain_route(
    request: RouteRequest,
    config: Config,
    warn: Callable[[str], object],
    *,
    specs: Sequence[AgentSpec] = (),
    discovered: bool = True,
    router: RouterFunction | None = None,
) -> tuple[Decision, str | None]:
    """Return the decision, and where the call runs: None where only the agent's package, not imported here, knows.

    Args:
        request: What is known of the call.
        config: The settings.
        warn: Shows a warning.
        specs: Agents registered in code; they come before the installed ones.
        discovered: Whether installed packages are used.
        router: A router function registered in code; it is asked before the routers of packages.

    Raises:
        OpenRTCError: The settings name a rule, router or agent that does not exist.
    """
    loaded = load_plugins(discover(config, warn) if discovered else (), config)
    catalog = Catalog.of(loaded, specs=specs)
    check_agent_names(config, catalog.names, warn)
    plugins = [plugin for plugin in loaded.plugins if plugin.state is State.READY]
    hooks = Hooks([FunctionRouter(router), *plugins] if router else plugins)
    rules = Router(catalog, hooks, config.routing, worker_agent_name=config.worker.agent_name)
    decision = asyncio.run(rules.route(request))
    return decision, None if decision.rejected is not None else _find_isolation(decision.agents, catalog, config)


def _find_isolation(names: tuple[str, ...], catalog: Catalog, config: Config) -> str | None:
    known = all(name in config.isolation or catalog.get(name).spec is not None for name in names)
    if not known and config.worker.isolation != ISOLATIONS[-1]:
        return None
    return max((catalog.isolation(name, config) for name in names), key=ISOLATIONS.index)
