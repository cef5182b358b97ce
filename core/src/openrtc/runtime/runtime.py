"""`Runtime`: everything that the calls of one process share."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import Loaded, LoadedAgent, LoadedPlugin
from openrtc.catalog.name_checks import check_agent_names, check_distribution_names
from openrtc.catalog.resolved_cast import ResolvedMember
from openrtc.catalog.rows import loaded_row
from openrtc.discovery.discover import discover
from openrtc.discovery.installed import Installation, find_installed
from openrtc.discovery.loaded_distributions import Drift, LoadedDistributions
from openrtc.errors import OpenRTCError
from openrtc.install_commands import install_command
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call, WorkerInfo
from openrtc.model.call_limits import CallLimits
from openrtc.model.lack import Lack
from openrtc.model.resource import ResourceSpec
from openrtc.model.status import State, Status
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import ResourceLoaded
from openrtc.observe.log_guard import reattach
from openrtc.observe.package_code import note_packages
from openrtc.observe.words import FULL, Words, use_words_in_log
from openrtc.plugins.hooks import Hooks, PluginLike
from openrtc.plugins.lacks import find_lacks
from openrtc.plugins.load import load
from openrtc.plugins.observers import NO_OBSERVERS, Observers
from openrtc.plugins.own_modules import know_distributions, list_packages
from openrtc.plugins.own_pickles import name_own_modules
from openrtc.routing.function_router import FunctionRouter, RouterFunction
from openrtc.routing.router import Router
from openrtc.runtime.frontend import LocalFrontend
from openrtc.runtime.live_call import LiveCall
from openrtc.runtime.live_session import LiveSession
from openrtc.runtime.providers import MODEL_KINDS, OFFLINE, OFFLINE_DISTRIBUTION, OFFLINE_SCHEME, Providers
from openrtc.runtime.resources import Resources
from openrtc.settings.config import Config

logger = logging.getLogger("openrtc.worker")

ALLOW_PII = "LIVEKIT_TELEMETRY_ALLOW_PII"
"""livekit-agents' variable that says whether its spans have what was said."""

HOOK_LIMIT = 10.0
"""Seconds that each implementation of a session hook or of ``openrtc_shutdown`` has: one that hangs must hold back
neither the calls nor the worker's end."""


@dataclass(kw_only=True)
class Runtime:
    """Everything that the calls of one process share.

    What is ``Final`` stays as it was built, so that the settings never change under somebody who has read them: who
    needs others takes ``dataclasses.replace(runtime, config=…)`` before it is handed to a worker. `catalog` and
    `router` change in `start`, and where code is reloaded with `use`.

    Args:
        config: The settings.
        hooks: The plugins.
        providers: Who builds the models of which scheme.
        resources: What was loaded once.
        catalog: The agents.
        router: Chooses the agent of a call.
        frontend: Talks to agents of jobs without a room, if any. The console and the demo set it, since it needs the
            running worker.
        watch: Called with each session before it starts, if given: the demo shows what happens in it.
        stand_in: Returns what each agent of a call in text has in place of whatever language model it names, if given:
            a rehearsal needs no keys. It neither hears nor speaks then.
        follow: Called with each session whose agent OpenRTC has built, before it starts, if given: edits are taken so.
        served: How many sessions were started.
        events: Where everything that happens is emitted.
        live: The running calls by job id.
        prewarmed: What the ``prewarm`` of each agent has put into ``userdata``, by the agent's name.
        plugins: Every plugin, usable or not.
        observers: The observers of a pool.
        loaded: What was loaded, before it was settled which agent of one name is used.
        specs: The agents registered in code.
        routes: The router function registered in code, if any.
        distributions: What was installed when it was loaded.
        drift: What was found last that is installed otherwise.
        late_agents: By the names of agents that are installed otherwise, what happened; the router reads it.
    """

    config: Final[Config]
    hooks: Final[Hooks]
    providers: Final[Providers]
    resources: Final[Resources]
    catalog: Catalog
    router: Router
    frontend: LocalFrontend | None = None
    watch: Callable[[Call, Any], None] | None = None
    stand_in: Callable[[Call], Any] | None = None
    follow: Callable[[LiveCall, LiveSession], None] | None = None
    served: int = 0
    events: Final[EventStream] = field(default_factory=EventStream)
    live: Final[dict[str, LiveCall]] = field(default_factory=dict)
    prewarmed: Final[dict[str, dict[Any, Any]]] = field(default_factory=dict)
    plugins: tuple[LoadedPlugin, ...] = ()
    observers: Final[Observers] = NO_OBSERVERS
    loaded: Loaded = field(default_factory=Loaded)
    specs: Sequence[AgentSpec] = ()
    routes: Final[RouterFunction | None] = None
    distributions: Final[LoadedDistributions] = field(default_factory=lambda: LoadedDistributions({}))
    drift: Sequence[Drift] = ()
    late_agents: Final[dict[str, str]] = field(default_factory=dict)
    _started: bool = field(default=False, init=False)
    _unservable: dict[str, Status] = field(default_factory=dict, init=False)
    _lacks: dict[str, tuple[Lack, ...]] = field(default_factory=dict, init=False)

    async def start(self, leave_out: Collection[str] = ()) -> None:
        """Load the shared resources; an agent whose resource is missing is no longer ready.

        Args:
            leave_out: The keys of those that are not loaded.
        """
        self.providers.prewarm(self._list_models())
        await self.resources.load(one for one in collect_resources(self.hooks) if one[0].key not in leave_out)
        self._emit_resources()
        # All reasons first: a cast one of whose members is marked broken does not resolve any more, so that nothing
        # would be found missing for the cast itself.
        self._started = True
        ready, catalog = self.catalog.ready, self.catalog
        missing = {name: reason for name in ready if (reason := self._why_resource_missing(name, catalog))}
        if missing:
            self.mark_broken(missing, fix="openrtc plugins")

    async def aclose(self, worker: WorkerInfo) -> None:
        """Run every ``openrtc_shutdown``, then close the resources."""
        await self.hooks.collect("openrtc_shutdown", limit=HOOK_LIMIT, worker=worker)
        await self.resources.aclose()

    def mark_broken(self, reasons: Mapping[str, str], fix: str) -> None:
        """Let agents take no calls, before the worker is registered.

        Args:
            reasons: Why, by the names of the agents.
            fix: What the operator can do about it.
        """
        # No call sees the catalog change. The router is built anew because it keeps the catalog that it was built with.
        for name, reason in reasons.items():
            self._unservable[name] = Status(State.BROKEN, reason, fix)
            self.catalog = self.catalog.with_status(name, self._unservable[name])
            logger.error("agent %r cannot serve: %s", name, reason)
        self.router = _build_router(self.config, self.catalog, self.hooks, self.late_agents)

    def build_catalog(self, loaded: Loaded, renewed: Collection[str] = ()) -> Catalog:
        """Return the catalogue of what was loaded anew in part; what could not be prepared at the start still cannot.

        Args:
            loaded: Everything that is loaded.
            renewed: The agents that were loaded anew, of which only the resources count.
        """
        catalog = Catalog.of(loaded, specs=self.specs)
        for name, status in self._unservable.items():
            if name in catalog.ready and name not in renewed:
                catalog = catalog.with_status(name, status)
        reasons = {name: self._why_resource_missing(name, catalog) for name in (catalog.ready if self._started else ())}
        for name, reason in ((name, reason) for name, reason in reasons.items() if reason):
            catalog = catalog.with_status(name, Status(State.BROKEN, reason, "openrtc plugins"))
        return catalog

    def use(self, loaded: Loaded, catalog: Catalog, renewed: Collection[str]) -> None:
        """Let further calls use other code, and the hooks of its plugins.

        Args:
            loaded: Everything that is loaded.
            catalog: Its agents.
            renewed: The names of the distributions that were loaded anew.
        """
        self.loaded, self.plugins, self.catalog = loaded, loaded.plugins, catalog
        self.hooks.use(_list_called(loaded, self.routes))
        self.providers.renew(self.hooks, renewed)
        self.router = _build_router(self.config, catalog, self.hooks, self.late_agents)
        self._lacks.clear()

    def note_drift(self, found: Sequence[Drift]) -> None:
        """Note what is installed otherwise than it was loaded.

        Args:
            found: All of it.
        """
        self.drift = tuple(found)
        late = {name: drift.tell_since_start() for drift in found for name in drift.agents}
        self.late_agents.update(late)
        for name in self.late_agents.keys() - late:
            del self.late_agents[name]

    def note_session(self, call: LiveCall, session: LiveSession) -> None:
        """Note a session of a call, before it starts."""
        call.sessions.append(session)
        if self.follow is not None:
            self.follow(call, session)

    def get_session_limit(self, agent: str) -> int | None:
        """Return how many sessions at once an agent takes, None for as many as the worker has slots."""
        limits, spec = self.config.limits.get(agent), self.catalog.get(agent).spec
        return limits.sessions if limits and limits.sessions else spec.max_sessions if spec else None

    def list_call_limits(self, agents: Sequence[str]) -> list[CallLimits]:
        """Return the limits that a call of these agents has."""
        limits = self.config.limits
        return [limits[name] for name in sorted(self.catalog.limited_agents(agents)) if name in limits]

    def find_lacks(self, agent: str) -> tuple[Lack, ...]:
        """Return what an agent that is ready lacks to answer, as far as that can be told without building it."""
        if agent not in self._lacks:
            kinds = [kind for kind in MODEL_KINDS if self.providers.why_unavailable(OFFLINE_SCHEME, kind) is None]
            try:
                self._lacks[agent] = find_lacks(
                    self.catalog.get(agent), self.config, offline=kinds, without_keys=self._explain_offline(kinds)
                )
            except Exception as error:  # somebody's source, whatever it holds
                logger.debug("agent %r: it cannot be told what it lacks", agent, exc_info=error)
                self._lacks[agent] = ()
        return self._lacks[agent]

    def describe_agents(self) -> list[dict[str, Any]]:
        """Return a row of each agent, as the health server shows it, with what it is and the members of its cast."""
        return [self._describe_agent(row) for row in self.catalog.rows]

    def _describe_agent(self, row: LoadedAgent) -> dict[str, Any]:
        members: Sequence[ResolvedMember] = ()
        with contextlib.suppress(OpenRTCError):  # one of them cannot be used, which its own row says
            cast = self.catalog.resolve_cast([row.name]) if row.usable else None
            members = cast.members if cast else ()
        lacks = self.find_lacks(row.name) if row.name in self.catalog.ready else ()
        return {
            **loaded_row(replace(row, lacks=lacks), self.config),
            "shape": "livekit" if row.worker else row.shape,
            "members": [{"role": one.role, "name": one.display_name, "agent": one.spec.name} for one in members],
        }

    def _explain_offline(self, kinds: Collection[str]) -> str:
        """Return how to run with the offline models."""
        if kinds:
            return "--offline"
        unusable = _find_unusable_offline(self.plugins)
        return f"{unusable.fix if unusable and unusable.fix else install_command(OFFLINE_DISTRIBUTION)}, then --offline"

    @property
    def is_started(self) -> bool:
        """Whether the resources were loaded."""
        return self._started

    def list_offered_keys(self) -> set[str]:
        """Return the keys of the resources that plugins offer, loaded or not."""
        return {spec.key for spec, _ in collect_resources(self.hooks)}

    def _emit_resources(self) -> None:
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

    def _why_resource_missing(self, name: str, catalog: Catalog) -> str | None:
        keys = (key for spec in self.list_specs(name, catalog) for key in spec.resources)
        return next((reason for key in keys if (reason := self.resources.why_missing(key))), None)

    def list_specs(self, name: str, catalog: Catalog | None = None) -> list[AgentSpec]:
        """Return how an agent is built, and each member of it where it is a cast.

        Args:
            name: The agent.
            catalog: The agents, if not those that are used now.
        """
        catalog = catalog or self.catalog
        spec = catalog.get(name).spec
        cast = catalog.resolve_cast([name]) if catalog.why_unusable(name) is None else None
        return [*([spec] if spec else []), *(member.spec for member in (cast.members if cast else ()))]

    def _list_models(self) -> list[Any]:
        defaults = self.config.defaults
        named: list[Any] = [defaults.stt, defaults.llm, defaults.tts, OFFLINE if defaults.offline else None]
        for name in self.catalog.ready:
            for spec in self.list_specs(name):
                named += [spec.stt, spec.llm, spec.tts]
        return named


def build_runtime(
    config: Config,
    *,
    specs: Sequence[AgentSpec] = (),
    discovered: bool = True,
    router: RouterFunction | None = None,
    observers: Observers = NO_OBSERVERS,
    only: Collection[str] | None = None,
) -> Runtime:
    """Import all agents and plugins, on the calling thread, and put them together.

    Args:
        config: The settings.
        specs: Agents registered in code; they come before the installed ones.
        discovered: Whether installed packages are used.
        router: A router function registered in code; it is asked before the routers of packages.
        observers: Observers registered in code.
        only: The normalised names of the distributions that are used of those that are installed, if not all.

    Raises:
        OpenRTCError: The settings name something that does not exist.
    """
    for line in config.deprecations:
        logger.warning("%s", line)
    if not discovered:
        config = replace(config, policy=replace(config.policy, require=()))  # of what is not looked for
    installation = find_installed() if discovered else Installation()
    if only is not None:  # before anything of another one can be in conflict with one of these
        speaking = [one for one in installation.speaking if one.installed.key in only]
        installation = replace(installation, speaking=speaking)
    entries = discover(config, logger.warning, installation) if discovered else ()
    distributions = LoadedDistributions.from_entries(entries, installation)  # before the imports: they take seconds
    if discovered:  # without, every name in the policy would be unknown
        check_distribution_names(config, entries, logger.warning)
    for entry in sorted(entries, key=lambda one: one.is_agent, reverse=True):
        note_packages(list_packages(entry), plugins=not entry.is_agent, distribution=entry.distribution)
    know_distributions(entries)  # all: one may import modules of another
    name_own_modules()
    loaded = load(entries, config)
    reattach()  # a package may have taken the log out of the root logger's handlers while it was imported
    events = EventStream()
    hooks = Hooks(_list_called(loaded, router), events)
    use_words_in_log(Words(config.observe.words_in_log, hooks.redact))
    if config.observe.words:
        # So livekit-agents' own spans have the same; it reads the variable when a tracer provider is set.
        os.environ[ALLOW_PII] = "1" if config.observe.words == FULL else "0"
    catalog = Catalog.of(loaded, specs=specs)
    note_packages(_list_agent_modules(catalog))
    check_agent_names(config, catalog.names, logger.warning)
    _log_unusable([*catalog.rows, *loaded.plugins])
    providers = Providers(hooks, config.policy.prefer)
    late_agents: dict[str, str] = {}
    if config.defaults.offline:
        _check_offline_models(providers, loaded.plugins)
    return Runtime(
        config=config,
        catalog=catalog,
        hooks=hooks,
        providers=providers,
        router=_build_router(config, catalog, hooks, late_agents),
        resources=Resources(config.policy.prefer),
        events=events,
        plugins=loaded.plugins,
        observers=observers,
        loaded=loaded,
        specs=tuple(specs),
        routes=router,
        distributions=distributions,
        late_agents=late_agents,
    )


def _list_called(loaded: Loaded, router: RouterFunction | None) -> list[PluginLike]:
    """Return the plugins that are ready, after the router function that is registered in code."""
    ready = [plugin for plugin in loaded.plugins if plugin.state is State.READY]
    return [FunctionRouter(router), *ready] if router else [*ready]


def _list_agent_modules(catalog: Catalog) -> Iterator[str]:
    """Yield where the code of agents stands that are registered in code, or brought by a plugin."""
    for row in catalog.rows:
        for build in (row.spec.agent, row.spec.entrypoint) if row.spec else ():
            yield str(getattr(build, "__module__", ""))


def _check_offline_models(providers: Providers, plugins: Iterable[LoadedPlugin]) -> None:
    if problem := providers.why_unavailable(OFFLINE_SCHEME):
        if unusable := _find_unusable_offline(plugins):
            problem = f"{unusable.distribution} is {unusable.state}: {unusable.reason}"
            raise OpenRTCError(f"the offline models cannot be used: {problem}", origin="--offline", fix=unusable.fix)
        raise OpenRTCError(
            f"the offline models cannot be used: {problem}",
            origin="--offline",
            fix=install_command(OFFLINE_DISTRIBUTION),
        )
    for kind in MODEL_KINDS:
        if problem := providers.why_unavailable(OFFLINE_SCHEME, kind):
            logger.warning("--offline: no %s where neither the agent nor [defaults] names one: %s", kind, problem)


def _find_unusable_offline(plugins: Iterable[LoadedPlugin]) -> LoadedPlugin | None:
    """Return the plugin with the offline models, where it is installed and cannot be used."""
    name = OFFLINE_DISTRIBUTION.partition("[")[0]
    return next((one for one in plugins if one.distribution == name and one.state is not State.READY), None)


def _build_router(config: Config, catalog: Catalog, hooks: Hooks, late: Mapping[str, str]) -> Router:
    return Router(catalog, hooks, config.routing, worker_agent_name=config.worker.agent_name, late=late)


def _log_unusable(items: Iterable[LoadedAgent | LoadedPlugin]) -> None:
    for item in items:
        if item.state is State.READY:
            continue
        # What the operator switched off is no error.
        level = logging.ERROR if item.state in (State.BROKEN, State.CONFLICT, State.INCOMPATIBLE) else logging.INFO
        where = f" at {item.location}" if item.location else ""
        fix = f" ({item.fix})" if item.fix else ""
        logger.log(level, "%s of %s is %s: %s%s%s", item.name, item.distribution, item.state, item.reason, where, fix)


def collect_resources(hooks: Hooks) -> list[tuple[ResourceSpec, str]]:
    """Return what ``openrtc_resources`` of all plugins offer, each with the distribution that brings it."""
    offered: list[tuple[ResourceSpec, str]] = []
    for result in hooks.collect_now("openrtc_resources"):
        source = result.implementation
        # A plugin may return one spec instead of a list.
        for spec in result.value if isinstance(result.value, Iterable) else [result.value]:
            if isinstance(spec, ResourceSpec):
                offered.append((spec, source.distribution))
            elif spec is not None:
                logger.error("%s: %s returned %s, not a ResourceSpec", source.plugin, source.hook, f"{spec!r:.80}")
    return offered
