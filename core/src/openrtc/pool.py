"""`AgentPool`: agents registered in code, and the installed ones, run by one worker."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast
from openrtc.model.builders import check_builder
from openrtc.model.isolation import check_isolation
from openrtc.model.names import find_name_fault
from openrtc.model.pool_arguments import translate_arguments
from openrtc.plugins.observers import Observers, check_observer
from openrtc.settings.config import SETTINGS, Config
from openrtc.settings.kinds import Kind

if TYPE_CHECKING:
    from livekit.agents import AgentServer


class AgentPool:
    """Agents registered in code, and optionally the installed ones, run by one worker.

    Example::

        pool = AgentPool(llm="openai/gpt-4.1-mini", stt="deepgram/nova-3", tts="cartesia/sonic-3")
        pool.add("support", SupportAgent, greeting="Hello, how can I help?")
        pool.discover()
        if __name__ == "__main__":
            pool.run()

    Args:
        isolation: ``coroutine`` (all calls in one loop), ``thread`` or ``process`` (one for each call).
        router: Sync or async function that takes a `RouteRequest` (and optionally the agents' names) and returns an
            agent's name, a `Decision` or None. It is asked before the routers of packages.
        max_sessions: How many sessions run at once; None leaves it to the settings.
        limits: How many sessions of one agent run at once, by its name, or a table as in the settings, which outweigh
            it: ``{"sessions": 10, "minutes": 30, "silent_seconds": 60}``.
        memory_limit: Resident memory in MB at which the worker drains and asks to be replaced; None leaves it to the
            settings.
        drain_timeout: Seconds that live calls have to finish after SIGTERM; None leaves it to the settings.
        port: Port of the health server; None leaves it to the settings.
        agent_name: Name for explicit dispatch; None leaves it to the settings.
        stt: Speech-to-text of agents that set none: a model string or a callable that returns a fresh instance.
        llm: Language model of agents that set none.
        tts: Text-to-speech of agents that set none.
        vad: Voice activity detection of agents that set none.
        turn_detection: Turn detection of agents that set none.
        greeting: Said when a session starts, by agents that do not greet themselves.
        agents: Agents to `add`, by their names.
        agent: One agent to `add`, as ``default``.
        observers: Each a `SessionObserver`, which is told of every session.
        deployment_version: What observers are told of this deployment, such as the version of its image.
        **others: Arguments of openrtc 0.20, another project of that name, where they have another name here.

    Raises:
        OpenRTCError: A value is wrong, or there is no such argument; then with what to use in its place.
    """

    def __init__(
        self,
        *,
        isolation: str | None = None,
        router: Callable[..., Any] | None = None,
        max_sessions: int | None = None,
        limits: Mapping[str, int | Mapping[str, float]] | None = None,
        memory_limit: int | None = None,
        drain_timeout: int | None = None,
        port: int | None = None,
        agent_name: str | None = None,
        stt: Any = None,
        llm: Any = None,
        tts: Any = None,
        vad: Any = None,
        turn_detection: Any = None,
        greeting: str = "",
        agents: Mapping[str, Callable[..., Any]] | None = None,
        agent: Callable[..., Any] | None = None,
        observers: Sequence[object] | None = None,
        deployment_version: str | None = None,
        **others: Any,
    ) -> None:
        check_isolation(isolation or "", "AgentPool")
        self._specs: dict[str, AgentSpec] = {}
        self._discovered = False
        self._router = router
        self._worker: dict[str, Any] = {
            "isolation": isolation,
            "max_sessions": max_sessions,
            "memory_limit": memory_limit,
            "drain_timeout": drain_timeout,
            "port": port,
            "agent_name": agent_name,
        }
        self._defaults = {
            "stt": stt,
            "llm": llm,
            "tts": tts,
            "vad": vad,
            "turn_detection": turn_detection,
            "greeting": greeting,
        }
        for name, value in translate_arguments(others, self._worker | self._defaults | {"limits": limits}).items():
            if name == "limits":
                limits = value
            else:
                (self._defaults if name in self._defaults else self._worker)[name] = value
        self._limits: dict[str, Any] = dict(limits or {})
        self._deployment_version = deployment_version
        self._observers: list[object] = []
        for observer in _list_observers(observers):
            self.add_observer(observer)
        self._check_settings()
        if agent is not None and agents is not None:
            raise OpenRTCError("give agent or agents, not both", origin="AgentPool")
        for name, one in ({"default": agent} if agent is not None else agents or {}).items():
            self.add(name, one)

    def add(self, name: str, agent: Callable[..., Any] | AgentSpec | Cast, **options: Any) -> AgentPool:
        """Register an agent.

        Args:
            name: Its name, by which calls are routed to it.
            agent: An ``Agent`` subclass, a factory, an `AgentSpec` or a `Cast`.
            **options: Fields of `AgentSpec`, such as ``greeting`` or ``llm``.

        Returns:
            The pool, so that calls can be chained.

        Raises:
            OpenRTCError: The name is taken, or the agent is none of these.
        """
        if "session_kwargs" in options:  # openrtc 0.20's name for them
            options["session_options"] = options.pop("session_kwargs")
        if name in self._specs:
            raise OpenRTCError(f"an agent named {name!r} is registered already", origin="AgentPool.add")
        if fault := find_name_fault(name):
            raise OpenRTCError(f"{name!r}: {fault}", origin="AgentPool.add")
        self._specs[name] = _build_spec(name, agent, options)
        return self

    def add_observer(self, observer: object) -> None:
        """Let an observer be told of every session.

        Args:
            observer: A `SessionObserver`; it has at least one of its methods.

        Raises:
            OpenRTCError: It has none of them.
        """
        check_observer(observer)
        self._observers.append(observer)

    def discover(self, *folders: object) -> AgentPool:
        """Use the installed agents and plugins too.

        Args:
            *folders: None: agents are found by what packages say of themselves.

        Returns:
            The pool, so that calls can be chained.

        Raises:
            OpenRTCError: There is a folder.
        """
        if folders:
            fix = "install its agents as a package, or add() each; docs/migrating.md"
            raise OpenRTCError("discover() looks into no folder", origin="AgentPool", fix=fix)
        self._discovered = True
        return self

    def remove(self, name: str) -> AgentSpec:
        """Take an agent out that was registered with `add`, and return its spec.

        Raises:
            OpenRTCError: There is none of that name.
        """
        spec = self.get(name)
        del self._specs[name]
        return spec

    def get(self, name: str) -> AgentSpec:
        """Return the spec of an agent that was registered with `add`.

        Raises:
            OpenRTCError: There is none of that name.
        """
        if name not in self._specs:
            known = ", ".join(self._specs) or "none"
            raise OpenRTCError(f"no agent named {name!r} is registered", origin="AgentPool", fix=f"there are: {known}")
        return self._specs[name]

    def list_agents(self) -> list[str]:
        """Return the names of the agents registered with `add`; after `discover`, the usable installed ones too."""
        names = list(self._specs)
        if self._discovered:
            # Here, since agents in code do without reading any metadata.
            from openrtc.discovery.discover import discover
            from openrtc.settings.load import load_config

            names += [e.name for e in discover(load_config()) if e.is_agent and e.usable and e.name not in names]
        return names

    def run(self, argv: Sequence[str] | None = None) -> None:
        """Run a worker with these agents until it is told to stop, then exit with its exit code.

        Args:
            argv: Command and options of the command line ``openrtc``, such as ``["dev"]``; the program's own arguments
                when None, and ``start`` when there are none.

        Raises:
            OpenRTCError: OpenRTC is importing the module that calls this: a package is no program.
        """
        if multiprocessing.parent_process() is not None:
            # A job process imports the program's main module again, which must not start another worker.
            return
        from openrtc.cli.main import program
        from openrtc.plugins.guard.scope import refuse_program

        refuse_program("AgentPool.run()")
        arguments = list(sys.argv[1:] if argv is None else argv) or ["start"]
        program(arguments, pool=self)

    def configure(self, config: Config) -> Config:
        """Return ``config`` with what was given to this pool: for the worker, where the operator has set nothing."""
        given = {key: value for key, value in self._worker.items() if value is not None}
        models = {key: value for key, value in self._defaults.items() if value}
        defaults = replace(config.defaults, **models)
        operators = {name: given.over(self._limits.get(name)) for name, given in config.limits.items()}
        limits = self._limits | operators
        return replace(config, defaults=defaults, limits=limits).with_worker_defaults("AgentPool", **given)

    def _check_settings(self) -> None:
        """Bring what stands for settings into their final form.

        Raises:
            OpenRTCError: A value is wrong.
        """
        kinds = {setting.path: setting.kind for setting in SETTINGS}
        for name, value in self._worker.items():
            if value is not None:
                self._worker[name] = _check(name, kinds[f"worker.{name}"], value)
        self._limits = _check("limits", kinds["limits"], self._limits)

    @cached_property
    def server(self) -> AgentServer:
        """Stands for this pool where the program ``lk``, or livekit-agents' own command line, looks for a server."""
        from openrtc.lk import build_server

        return build_server(self)

    @property
    def runtime_arguments(self) -> dict[str, Any]:
        """Arguments of ``build_runtime``."""
        return {
            "specs": tuple(self._specs.values()),
            "discovered": self._discovered,
            "router": self._router,
            "observers": Observers(tuple(self._observers), self._deployment_version),
        }


_ADD_FIX = "the options are the fields of AgentSpec; those of AgentSession go into session_options={…}"


def _list_observers(given: Any) -> Sequence[object]:
    if given is None or isinstance(given, list | tuple):
        return given or ()
    raise OpenRTCError(f"observers is {given!r:.60}", origin="AgentPool", fix="write a list: observers=[…]")


def _check(name: str, kind: Kind, value: Any) -> Any:
    try:
        return kind.check(value)
    except OpenRTCError as error:
        raise OpenRTCError(f"{name} {error.message}", origin="AgentPool", fix=error.fix) from None


def _build_spec(name: str, agent: Callable[..., Any] | AgentSpec | Cast, options: dict[str, Any]) -> AgentSpec:
    try:
        if isinstance(agent, Cast):
            return AgentSpec(name=name, cast=agent, **options)
        if isinstance(agent, AgentSpec):
            return replace(agent, name=name, **options)
        check_builder(agent)
        return AgentSpec(name=name, agent=agent, **options)
    except TypeError as error:
        message = str(error).replace("AgentSpec.__init__() got", "AgentPool.add got")
        raise OpenRTCError(message, origin=f"agent {name!r}", fix=_ADD_FIX) from error
