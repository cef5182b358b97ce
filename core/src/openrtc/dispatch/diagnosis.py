"""Explains why no agent has come for a dispatch.

The LiveKit server cannot be asked: it lists no workers, and a dispatch that nobody takes looks like one that waits.
But workers of this user on this machine can be asked, as `openrtc top` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openrtc.dispatch.connection import LiveKitConnection, strip_credentials
from openrtc.dispatch.dispatches import Dispatch
from openrtc.dispatch.local_drift import find_late_agent
from openrtc.model.dispatch_names import AUTOMATIC

_DISPATCH_AGAIN = "LiveKit does not offer it again: fix that, then dispatch again"

_DISPATCH_LATE = "LiveKit does not offer it again: restart that worker, then dispatch again"

Explanation = tuple[str, str]
"""What has happened, and how to fix it."""


def explain_lost_dispatch(dispatch: Dispatch, connection: LiveKitConnection, seconds: float) -> Explanation:
    """Return why no agent has come, and how to fix it, as far as that can be known from here.

    Args:
        dispatch: The dispatch as the server holds it now.
        connection: The server.
        seconds: How long nobody came.
    """
    from openrtc.observe.snapshots import read_snapshots

    return explain_by_workers(dispatch, connection.address, seconds, read_snapshots())


def explain_by_workers(
    dispatch: Dispatch, address: str, seconds: float, workers: Iterable[Mapping[str, Any]]
) -> Explanation:
    """Return why no agent has come, given the workers of this machine as `openrtc top` sees them."""
    if dispatch.jobs:
        job = dispatch.jobs[-1]
        message = f"worker {job.worker_id} took the job {job.id}, but its agent is not in the room after {seconds:g} s"
        return message, f"look for {job.id} in that worker's log"
    here = [worker for worker in workers if _strip_scheme(worker.get("url", "")) == _strip_scheme(address)]
    for worker in here:
        if reason := _find_rejection(worker, dispatch):
            return f"the worker with pid {worker['pid']} on this machine rejected it: {reason}", _DISPATCH_AGAIN
    named = [worker for worker in here if dispatch.agent_name in worker["agent_names"]]
    for worker in named:
        if problem := find_obstacle(worker):
            return f"the worker with pid {worker['pid']} on this machine takes no calls: {problem}", _DISPATCH_AGAIN
    for worker in () if named else here:
        if late := find_late_agent(worker, dispatch.agent or dispatch.agent_name):
            return f"no worker took it in {seconds:g} s; {late} (pid {worker['pid']})", _DISPATCH_LATE
    return _explain_silence(dispatch, address, seconds, here, bool(named))


def find_failure(room: str, address: str) -> str:
    """Return what has ended a call in a room, as far as a worker on this machine knows; empty where none does.

    Args:
        room: Name of the room.
        address: The server's address.
    """
    from openrtc.observe.snapshots import read_snapshots

    here = (one for one in read_snapshots() if _strip_scheme(one.get("url", "")) == _strip_scheme(address))
    found = [failure for one in here for failure in one.get("recent_failures", ()) if failure["room"] == room]
    if not found:
        return ""
    where = f" at {found[-1]['place']}" if found[-1]["place"] else ""
    return f"{found[-1]['error']}{where}"


def _strip_scheme(url: str) -> str:
    """Return an address without its scheme: ws and http lead to the same server."""
    return strip_credentials(url).partition("://")[2]


def _find_rejection(worker: Mapping[str, Any], dispatch: Dispatch) -> str:
    reasons = (
        str(reject["reason"])
        for reject in reversed(worker["recent_rejects"])
        # A second of tolerance: the one time is this machine's, the other the server's.
        if reject["room"] == dispatch.room and reject["time"] >= dispatch.created_at - 1.0
    )
    return next(reasons, "")


def find_obstacle(worker: Mapping[str, Any]) -> str:
    """Return why a worker takes no calls now, given its snapshot; empty where it takes some."""
    if worker["state"] != "ready":
        return str(worker["state"])
    if worker["sessions"] >= worker["max_sessions"]:
        return f"all {worker['max_sessions']} sessions are taken"
    if worker["load"] >= worker["load_limit"]:
        return f"its load is {worker['load']:.2f}, and the server's limit {worker['load_limit']}"
    return ""


def _explain_silence(
    dispatch: Dispatch, address: str, seconds: float, here: list[Mapping[str, Any]], named: bool
) -> Explanation:
    registered = f"as {dispatch.agent_name!r}" if dispatch.agent_name else "for automatic dispatch"
    message = f"no worker took it in {seconds:g} s"
    if named:
        return f"{message}; one on this machine is registered {registered} and was not asked", _DISPATCH_AGAIN
    if here:
        others = "; ".join(f"pid {worker['pid']} as {_list_names(worker)}" for worker in here)
        return (
            f"{message}: on this machine none is registered {registered} at {address}, but {others}",
            "use a name that is registered, with --agent-name or LIVEKIT_AGENT_NAME",
        )
    start = f"openrtc start --agent-name {dispatch.agent_name}" if dispatch.agent_name else "openrtc start"
    return (
        f"{message}: at {address} none is registered {registered}, or those that are rejected it, are full or drain",
        f"start one ({start}), or look into its log; what was dispatched is lost",
    )


def _list_names(worker: Mapping[str, Any]) -> str:
    return ", ".join(name or f"({AUTOMATIC})" for name in worker["agent_names"])
