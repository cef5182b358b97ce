"""Runs what agents prepare once in each process, and gives each call what its own agent has prepared."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from livekit.agents import JobExecutorType, JobProcess

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.loaded import LoadedAgent
from openrtc.errors import OpenRTCError
from openrtc.observe.process_memory import resident_bytes
from openrtc.plugins.fault import Fault, describe_error
from openrtc.plugins.importing import run_guarded
from openrtc.runtime.runtime import Runtime
from openrtc.session.failure import find_failing_line

logger = logging.getLogger("openrtc.worker")


def prewarm_agents(runtime: Runtime, names: Collection[str] | None = None, *, isolated: bool = False) -> None:
    """Run the ``prewarm`` of each agent whose calls this process holds; an agent whose own fails is no longer ready.

    On the main thread and before the loop runs, as livekit-agents does it: a ``prewarm`` may run a loop of its own, and
    plugins can be registered on the main thread only.

    Args:
        runtime: What the calls of this process share; what has been prewarmed in it is left alone.
        names: The agents; by default all that are ready.
        isolated: Whether this is a process of an isolated call.
    """
    failed: dict[str, str] = {}
    for name in runtime.catalog.ready if names is None else names:
        in_process = runtime.catalog.isolation(name, runtime.config) == "process"
        if in_process is isolated and (reason := _prewarm_one(name, runtime)):
            failed[name] = reason
    if failed:
        runtime.mark_broken(failed, fix="see the package's prewarm")


def prewarm_new(runtime: Runtime, catalog: Catalog, names: Collection[str]) -> dict[str, str]:
    """Run the ``prewarm`` of agents that were not there at the start.

    Args:
        runtime: What the calls of this process share.
        catalog: The agents, with the new ones, which the runtime does not have yet.
        names: The new ones.

    Returns:
        Why it failed, by the names of the agents.
    """
    later = replace(runtime, catalog=catalog)
    here = [name for name in names if catalog.isolation(name, runtime.config) != "process"]
    return {name: reason for name in here if (reason := _prewarm_one(name, later))}


def fill_userdata(process: JobProcess, agents: Sequence[str], runtime: Runtime) -> None:
    """Put into a job's ``userdata`` what its agents have prepared; it is a dict of this job's own.

    Resources of plugins are in it already. A worker of livekit-agents' own kind, which knows nothing of them, has its
    own alone.

    Args:
        process: What livekit-agents has made for this job.
        agents: The agents of the call; of a cast also those that it names are prepared.
        runtime: What the calls of this process share.

    Raises:
        OpenRTCError: An agent whose calls are not expected in this process has failed to prepare only now.
    """
    if runtime.catalog.get(agents[0]).worker:  # what others call as its package does would hide that it lacks something
        process.userdata.clear()
    for name in agents:
        cast = runtime.catalog.get(name).spec
        members = cast.cast.names if cast and cast.cast else ()
        for one in (*members, name):
            if reason := _prewarm_one(one, runtime):
                raise OpenRTCError(reason, origin=f'agent "{one}"')
            process.userdata.update(runtime.prewarmed.get(one, {}))


def _prewarm_one(name: str, runtime: Runtime) -> str | None:
    """Prewarm an agent that has not been yet; return why that failed, if it did."""
    agent = runtime.catalog.get(name)
    prewarm = agent.spec.prewarm if agent.spec else None
    if prewarm is None or name in runtime.prewarmed:
        return None
    if shared := _find_same(prewarm, runtime):  # several agents of one module
        runtime.prewarmed[name] = shared
        return None
    memory, started = resident_bytes(), time.perf_counter()
    process = JobProcess(executor_type=JobExecutorType.THREAD, user_arguments=None, http_proxy=None)
    if reason := _run(agent, lambda: prewarm(process)):
        return f"its prewarm failed: {reason}"
    runtime.prewarmed[name] = process.userdata
    ms, grown = (time.perf_counter() - started) * 1000, max(0, resident_bytes() - memory) / 1e6
    logger.info("agent %r: prewarmed in %.0f ms, %.1f MB", name, ms, grown)
    return None


def _find_same(prewarm: Callable[..., Any], runtime: Runtime) -> dict[Any, Any] | None:
    specs = ((name, runtime.catalog.get(name).spec) for name in runtime.prewarmed)
    return next((runtime.prewarmed[name] for name, spec in specs if spec and spec.prewarm is prewarm), None)


def _run(agent: LoadedAgent, step: Callable[[], Any]) -> str | None:
    """Run an agent's code, guarded as an import is; return what it raised, and where."""
    if agent.entry is None:  # this program's own, which may do to its process what it likes
        try:
            step()
        except (Exception, SystemExit) as error:  # whatever it is: the other agents must be served
            return describe_error(error)
        return None

    def without_exit() -> None:
        try:
            step()
        except SystemExit as error:
            raise Fault(f"it called sys.exit({error.code!r})", "", find_failing_line(error)) from error

    failure = run_guarded(agent.entry, without_exit, f"the prewarm of the agent {agent.name!r}").failure
    return " at ".join(filter(None, (failure.reason, failure.location))) if failure else None
