"""`Runtime`: everything that the calls of one process share."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from openrtc.call import Call, WorkerInfo
from openrtc.catalog.catalog import Catalog
from openrtc.catalog.isolation import require_known
from openrtc.catalog.spec import AgentSpec
from openrtc.config import Config
from openrtc.discovery.discover import discover, policy_warnings
from openrtc.discovery.entries import State
from openrtc.errors import OpenRTCError
from openrtc.hooks.hooks import Hooks
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import ResourceLoaded
from openrtc.plugins.load import load
from openrtc.plugins.loaded import LoadedAgent, LoadedPlugin
from openrtc.providers.providers import OFFLINE, Providers
from openrtc.resources.resources import Resources
from openrtc.resources.spec import ResourceSpec
from openrtc.routing.router import Router
from openrtc.suggest import did_you_mean
from openrtc.worker.code_router import CodeRouter, RouterFunction
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.worker")

HOOK_LIMIT = 10.0
"""Seconds that each implementation of a session hook or of ``openrtc_shutdown`` has."""


class LocalFrontend(Protocol):
    """Talks to an agent without a LiveKit room: the console and the demo."""

    text_only: bool
    """Whether it neither speaks nor listens: then the session gets a language model and nothing else."""

    async def before_start(self, call: Call, session: Any) -> None:
        """Attach inputs and outputs to an ``AgentSession`` that is about to start."""

    async def after_start(self, call: Call, session: Any) -> None:
        """Hold the conversation; the call ends when this returns."""


@runtime_checkable
class CastFrontend(LocalFrontend, Protocol):
    """A `LocalFrontend` that talks to casts, too."""

    async def before_member(self, call: Call, session: Any, name: str, *, is_ear: bool) -> None:
        """Attach outputs to the ``AgentSession`` of one member that is about to start."""

    async def with_cast(self, say: Callable[[str], Awaitable[None]], quiet: Callable[[], Awaitable[None]]) -> None:
        """Hold the conversation; the call ends when this returns.

        Args:
            say: Says something to the cast.
            quiet: Waits until nobody of the cast speaks or is about to.
        """


@dataclass(kw_only=True)
class Runtime:
    """Everything that the calls of one process share.

    Args:
        config: The settings.
        catalog: The agents.
        hooks: The plugins.
        providers: Who builds the models of which scheme.
        router: Chooses the agent of a call.
        resources: What was loaded once.
        frontend: Talks to agents of jobs without a room, if any.
        watch: Called with each session before it starts, if given: the demo shows what happens in it.
        served: How many sessions were started.
        events: Where everything that happens is told.
        live: The running calls by job id.
        plugins: Every plugin, usable or not.
    """

    config: Config
    catalog: Catalog
    hooks: Hooks
    providers: Providers
    router: Router
    resources: Resources
    frontend: LocalFrontend | None = None
    watch: Callable[[Call, Any], None] | None = None
    served: int = 0
    events: EventStream = field(default_factory=EventStream)
    live: dict[str, LiveCall] = field(default_factory=dict)
    plugins: tuple[LoadedPlugin, ...] = ()

    async def start(self) -> None:
        """Load the shared resources; an agent whose resource is missing is no longer ready."""
        self.providers.prewarm(self._models())
        await self.resources.load(_offered(self.hooks))
        self._tell_resources()
        missing = {name: self._why_missing(name) for name in self.catalog.ready}
        for name, reason in missing.items():
            if reason:
                self._lose(name, reason)

    async def aclose(self, worker: WorkerInfo) -> None:
        """Run every ``openrtc_shutdown``, then close the resources."""
        await self.hooks.collect("openrtc_shutdown", limit=HOOK_LIMIT, worker=worker)
        await self.resources.aclose()

    def session_limit(self, agent: str) -> int | None:
        """Return how many sessions at once an agent takes, None for as many as the worker has slots."""
        limits, spec = self.config.limits, self.catalog.get(agent).spec
        return limits.get(agent, spec.max_sessions if spec else None)

    def offered_keys(self) -> set[str]:
        """Return the keys of the resources that plugins offer, loaded or not."""
        return {spec.key for spec, _ in _offered(self.hooks)}

    def _tell_resources(self) -> None:
        for record in self.resources.records:
            self.events.emit(
                ResourceLoaded(
                    key=record.key,
                    distribution=record.distribution,
                    ready=record.ready,
                    seconds=record.ms / 1000,
                    memory_mb=record.memory_mb,
                    reason=record.reason,
                )
            )

    def _why_missing(self, name: str) -> str | None:
        keys = (key for spec in self._specs_of(name) for key in spec.resources)
        return next((reason for key in keys if (reason := self.resources.why_missing(key))), None)

    def _specs_of(self, name: str) -> list[AgentSpec]:
        """Return how an agent is built, and each member of it where it is a cast."""
        spec = self.catalog.get(name).spec
        company = self.catalog.company([name]) if self.catalog.why_not_ready(name) is None else None
        return [*([spec] if spec else []), *(part.spec for part in (company.parts if company else ()))]

    def _models(self) -> list[Any]:
        defaults = self.config.defaults
        named: list[Any] = [defaults.stt, defaults.llm, defaults.tts, OFFLINE if defaults.offline else None]
        for name in self.catalog.ready:
            for spec in self._specs_of(name):
                named += [spec.stt, spec.llm, spec.tts]
        return named

    def _lose(self, name: str, reason: str) -> None:
        self.catalog = self.catalog.with_state(name, State.BROKEN, reason, "openrtc plugins")
        self.router = Router(
            self.catalog, self.hooks, self.config.routing, worker_agent_name=self.config.worker.agent_name
        )
        logger.error("agent %r cannot serve: %s", name, reason)


def build_runtime(
    config: Config,
    *,
    specs: Sequence[AgentSpec] = (),
    discovered: bool = True,
    router: RouterFunction | None = None,
) -> Runtime:
    """Import all agents and plugins, on the calling thread, and put them together.

    Args:
        config: The settings.
        specs: Agents registered in code; they come before the installed ones.
        discovered: Whether installed packages are used.
        router: A router function registered in code; it is asked before the routers of packages.

    Raises:
        OpenRTCError: The settings name something that does not exist.
    """
    entries = discover(config) if discovered else ()
    for line in policy_warnings(config.policy, entries) if discovered else ():
        logger.warning("%s", line)
    loaded = load(entries, config)
    plugins = [plugin for plugin in loaded.plugins if plugin.state is State.READY]
    events = EventStream()
    hooks = Hooks([CodeRouter(router), *plugins] if router else plugins, events)
    catalog = Catalog.of(loaded, specs=specs)
    _warn_of_unknown(config, catalog)
    report_unusable([*catalog.rows, *loaded.plugins])
    providers = Providers(hooks, config.policy.prefer)
    if config.defaults.offline and (problem := providers.why_unavailable(OFFLINE.rstrip(":"))):
        raise OpenRTCError(
            f"the offline models cannot be used: {problem}",
            origin="--offline",
            fix='pip install "openrtc-offline[espeak]"',
        )
    require_known(config.isolation, catalog.names, str(config.source or ""))
    routes = Router(catalog, hooks, config.routing, worker_agent_name=config.worker.agent_name)
    return Runtime(
        config=config,
        catalog=catalog,
        hooks=hooks,
        providers=providers,
        router=routes,
        resources=Resources(config.policy.prefer),
        events=events,
        plugins=loaded.plugins,
    )


def _warn_of_unknown(config: Config, catalog: Catalog) -> None:
    named: dict[str, Iterable[str]] = {
        "limits": config.limits,
        "prefix_agents": config.routing.prefix_agents or (),
        "room_metadata_agents": config.routing.room_metadata_agents or (),
    }
    for where, names in named.items():
        for name in names:
            if name not in catalog.names:
                hint = did_you_mean(name, catalog.names, f"there are {', '.join(catalog.names)}")
                logger.warning("%s: there is no agent %r; %s", where, name, hint)


def report_unusable(items: Iterable[LoadedAgent | LoadedPlugin]) -> None:
    """Log one line for each agent and plugin that cannot be used, and why."""
    for item in items:
        if item.state is not State.READY:
            _report_one(item)


def _report_one(item: LoadedAgent | LoadedPlugin) -> None:
    level = logging.ERROR if item.state in (State.BROKEN, State.CONFLICT, State.INCOMPATIBLE) else logging.INFO
    where = f" at {item.location}" if item.location else ""
    fix = f" ({item.fix})" if item.fix else ""
    logger.log(level, "%s of %s is %s: %s%s%s", item.name, item.distribution, item.state, item.reason, where, fix)


def _offered(hooks: Hooks) -> list[tuple[ResourceSpec, str]]:
    offered: list[tuple[ResourceSpec, str]] = []
    for outcome in hooks.collect_now("openrtc_resources"):
        made = outcome.implementation
        for spec in outcome.value if isinstance(outcome.value, Iterable) else [outcome.value]:
            if isinstance(spec, ResourceSpec):
                offered.append((spec, made.distribution))
            elif spec is not None:
                logger.error("%s: %s returned %s, not a ResourceSpec", made.plugin, made.hook, f"{spec!r:.80}")
    return offered
