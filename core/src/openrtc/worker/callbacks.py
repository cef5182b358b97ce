"""What livekit-agents calls at the end of each call, which calls on what the agent's package has for it.

A worker of livekit-agents has one callback of each kind; here it finds the agent whose call it is. They are functions
of a module, since a job's process gets them by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from livekit.agents import JobContext

from openrtc.runtime.runtime import Runtime
from openrtc.session.containment import ENDS_WORKER, AgentExit
from openrtc.session.failure import report_callback_failure
from openrtc.worker.entrypoint import find_current_call, find_current_spec


def choose_callbacks(runtime: Runtime) -> dict[str, Callable[[Any], Any]]:
    """Return the callbacks that some agent of the worker needs, by the names that ``rtc_session`` has for them.

    The others would only be a span more in each call's trace.

    Args:
        runtime: What the calls share.
    """
    specs = [runtime.catalog.get(name).spec for name in runtime.catalog.ready]
    ours: dict[str, Callable[[Any], Any]] = {"on_session_end": end_session, "on_simulation_end": end_simulation}
    return {name: ends for name, ends in ours.items() if any(getattr(spec, name, None) for spec in specs)}


async def end_session(context: JobContext) -> None:
    """Call the agent's ``on_session_end``, within the time that livekit-agents has for it."""
    spec, call = find_current_spec(), find_current_call()
    if spec is None or call is None or spec.on_session_end is None:
        return
    try:
        result = spec.on_session_end(context)
        if inspect.isawaitable(result):
            await result
    except (Exception, *ENDS_WORKER) as error:  # the agent's, whatever it is: the rest of the shutdown must follow
        report_callback_failure(call, error, "on_session_end")


async def end_simulation(simulation: Any) -> None:
    """Call the agent's ``on_simulation_end``.

    Args:
        simulation: LiveKit's ``SimulationContext``.

    Raises:
        AgentExit: It called ``sys.exit``. What it raises otherwise passes: livekit-agents tells it to the simulator.
    """
    spec = find_current_spec()
    if spec is None or spec.on_simulation_end is None:
        return
    try:
        result = spec.on_simulation_end(simulation)
        if inspect.isawaitable(result):
            await result
    except ENDS_WORKER as error:
        raise AgentExit(f"on_simulation_end of agent {spec.name!r} raised {error!r:.100}") from error
