"""Tells the observers of a pool when a session starts and how it ends."""

from __future__ import annotations

import asyncio
import time
import weakref
from typing import Any

from livekit.agents import AgentSession, JobContext

from openrtc.model.call import Call
from openrtc.model.observer import DEFAULT_TENANT, SessionInfo, SessionOutcome, SessionStatus
from openrtc.model.request import RouteRequest
from openrtc.plugins.observers import END, START
from openrtc.runtime.live_call import LiveCall
from openrtc.runtime.runtime import HOOK_LIMIT, Runtime
from openrtc.session.attendance import RELEASE_SECONDS

OBSERVER_SECONDS = 2.0
"""What an observer has at the start, since the greeting waits for it."""

STOPPED = "parent process shutdown"
"""livekit-agents' reason of a shutdown when the worker stops."""


_observed: weakref.WeakValueDictionary[str, Observed] = weakref.WeakValueDictionary()
"""By the job's id; the job's context holds them."""


class Observed:
    """Tells the observers of one call.

    Args:
        call: The call.
        live: The same call, as it runs.
        runtime: What the calls of this process share.
    """

    def __init__(self, call: Call, live: LiveCall, runtime: Runtime) -> None:
        metadata = merge_metadata(call.request)
        self._runtime = runtime
        self._live = live
        self._info = SessionInfo(
            agent_name=call.agent_name,
            room_name=call.room_name,
            job_id=call.job_id,
            metadata=metadata,
            started_at=time.time() - live.age,
            tenant=metadata["tenant"],
            deployment_version=runtime.observers.deployment_version,
        )

    async def tell_start(self, session: Any) -> None:
        """Tell that a session has started, and wait until it is told, but not for long."""
        await self._tell(START, OBSERVER_SECONDS, session)

    async def tell_end(self, reason: str) -> None:
        """Tell how the call has ended.

        Args:
            reason: Why, as the job's shutdown says it.
        """
        now = time.time()
        status, error = judge_end(self._live, reason)
        outcome = SessionOutcome(status, error, now, max(0.0, now - self._info.started_at))
        await self._tell(END, HOOK_LIMIT, outcome)

    async def _tell(self, method: str, limit: float, what: object) -> None:
        observers = self._runtime.observers.implementations[method]
        await self._runtime.hooks.call_observers(observers, limit=limit, first=self._info, second=what)


def watch_observed(context: JobContext, call: Call, live: LiveCall, runtime: Runtime) -> None:
    """Tell the observers of a pool how a call ends, whether its session starts or not.

    Args:
        context: LiveKit's context of the job.
        call: The call.
        live: The same call, as it runs.
        runtime: What the calls of this process share.
    """
    if runtime.observers.given:
        observed = _observed[call.job_id] = Observed(call, live, runtime)
        context.add_shutdown_callback(observed.tell_end)


async def tell_observers_of_start(call: Call, session: AgentSession[Any]) -> None:
    """Tell the observers of a pool that a session has started, and wait until they are told, but not for long."""
    if observed := _observed.get(call.job_id):
        await observed.tell_start(session)


def merge_metadata(request: RouteRequest) -> dict[str, str]:
    """Return the metadata of the room and, before it, of the dispatch, each value as a string, and the tenant."""
    merged = {**(request.room_metadata or {}), **(request.job_metadata or {})}
    metadata = {name: str(value) for name, value in merged.items()}
    return {**metadata, "tenant": metadata.get("tenant") or DEFAULT_TENANT}


def judge_end(live: LiveCall, reason: str) -> tuple[SessionStatus, BaseException | None]:
    """Return how a call has ended, and the error that ended it.

    Args:
        live: The call.
        reason: Why, as the job's shutdown says it.
    """
    if live.failed:
        return SessionStatus.FAILED, live.error or RuntimeError(reason)
    if live.cancelled:
        return SessionStatus.CANCELLED, live.cancelled
    # The agent itself leaves the room just before this, and then sees nobody any more.
    waited = live.left_at is not None and time.monotonic() - live.left_at > RELEASE_SECONDS
    if reason == STOPPED and not waited:
        return SessionStatus.CANCELLED, asyncio.CancelledError(reason)
    return SessionStatus.SUCCESS, None
