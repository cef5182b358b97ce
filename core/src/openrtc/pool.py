"""`AgentPool`: agents registered in code, and the installed ones, run by one worker."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast
from openrtc.model.builders import check_builder
from openrtc.model.isolation import check_isolation
from openrtc.model.names import find_name_fault
from openrtc.settings.config import Config


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
        agent_name: Name for explicit dispatch; None leaves it to the settings.
        stt: Speech-to-text of agents that set none: a model string or a callable that returns a fresh instance.
        llm: Language model of agents that set none.
        tts: Text-to-speech of agents that set none.
        vad: Voice activity detection of agents that set none.
        turn_detection: Turn detection of agents that set none.
        greeting: Said when a session starts, by agents that do not greet themselves.

    Raises:
        OpenRTCError: ``isolation`` is none of the three.
    """

    def __init__(
        self,
        *,
        isolation: str | None = None,
        router: Callable[..., Any] | None = None,
        max_sessions: int | None = None,
        agent_name: str | None = None,
        stt: Any = None,
        llm: Any = None,
        tts: Any = None,
        vad: Any = None,
        turn_detection: Any = None,
        greeting: str = "",
    ) -> None:
        check_isolation(isolation or "", "AgentPool")
        self._specs: dict[str, AgentSpec] = {}
        self._discovered = False
        self._router = router
        self._worker: dict[str, Any] = {
            "isolation": isolation,
            "max_sessions": max_sessions,
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
        if name in self._specs:
            raise OpenRTCError(f"an agent named {name!r} is registered already", origin="AgentPool.add")
        if fault := find_name_fault(name):
            raise OpenRTCError(f"{name!r}: {fault}", origin="AgentPool.add")
        self._specs[name] = _build_spec(name, agent, options)
        return self

    def discover(self) -> AgentPool:
        """Use the installed agents and plugins too.

        Returns:
            The pool, so that calls can be chained.
        """
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
        return replace(config, defaults=replace(config.defaults, **models)).with_worker_defaults(**given)

    @property
    def runtime_arguments(self) -> dict[str, Any]:
        """Arguments of ``build_runtime``."""
        return {"specs": tuple(self._specs.values()), "discovered": self._discovered, "router": self._router}


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
        raise OpenRTCError(message, origin=f"agent {name!r}", fix="the options are the fields of AgentSpec") from error
