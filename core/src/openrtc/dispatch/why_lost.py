"""Says why no agent has come for a dispatch.

The LiveKit server does not tell: it has no list of workers, and a dispatch that nobody takes looks like one that waits.
But workers of this user on this machine can be asked, as `openrtc top` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openrtc.dispatch.connection import LiveKitConnection, shown_address
from openrtc.dispatch.dispatches import Dispatch
from openrtc.worker_names import AUTOMATIC

_AGAIN = "LiveKit does not offer it again: mend that, then dispatch anew"

Explanation = tuple[str, str]
"""What has happened, and what to do."""


def why_lost(dispatch: Dispatch, connection: LiveKitConnection, seconds: float) -> Explanation:
    """Return why no agent has come, and what to do, as far as that can be known from here.

    Args:
        dispatch: The dispatch as the server holds it now.
        connection: The server.
        seconds: For how long nobody came.
    """
    from openrtc.observe.snapshot_client import snapshots

    return explain(dispatch, connection.address, seconds, snapshots())


def explain(dispatch: Dispatch, address: str, seconds: float, workers: Iterable[Mapping[str, Any]]) -> Explanation:
    """Return why no agent has come, given the workers of this machine as `openrtc top` sees them."""
    if dispatch.jobs:
        job = dispatch.jobs[-1]
        message = f"worker {job.worker_id} took the job {job.id}, but its agent is not in the room after {seconds:g} s"
        return message, f"look for {job.id} in that worker's log"
    here = [worker for worker in workers if _place(worker.get("url", "")) == _place(address)]
    for worker in here:
        if reason := _rejection(worker, dispatch):
            return f"the worker with pid {worker['pid']} on this machine rejected it: {reason}", _AGAIN
    named = [worker for worker in here if dispatch.agent_name in worker["agent_names"]]
    for worker in named:
        if problem := _why_it_takes_none(worker):
            return f"the worker with pid {worker['pid']} on this machine takes no calls: {problem}", _AGAIN
    return _nobody(dispatch, address, seconds, here, bool(named))


def _place(url: str) -> str:
    """Return an address without its scheme: ws and http lead to the same server."""
    return shown_address(url).partition("://")[2]


def _rejection(worker: Mapping[str, Any], dispatch: Dispatch) -> str:
    told = (
        str(reject["reason"])
        for reject in reversed(worker["recent_rejects"])
        if reject["room"] == dispatch.room and reject["time"] >= dispatch.created_at - 1.0
    )
    return next(told, "")


def _why_it_takes_none(worker: Mapping[str, Any]) -> str:
    if worker["state"] != "ready":
        return str(worker["state"])
    if worker["sessions"] >= worker["max_sessions"]:
        return f"all {worker['max_sessions']} sessions are taken"
    if worker["load"] >= worker["load_limit"]:
        return f"its load is {worker['load']:.2f}, and the server's limit {worker['load_limit']}"
    return ""


def _nobody(
    dispatch: Dispatch, address: str, seconds: float, here: list[Mapping[str, Any]], named: bool
) -> Explanation:
    wanted = f"as {dispatch.agent_name!r}" if dispatch.agent_name else "for automatic dispatch"
    message = f"no worker took it in {seconds:g} s"
    if named:
        return f"{message}; one on this machine is registered {wanted} and was not asked", _AGAIN
    if here:
        others = "; ".join(f"pid {worker['pid']} as {_names(worker)}" for worker in here)
        return (
            f"{message}: on this machine none is registered {wanted} at {address}, but {others}",
            "use a name that is registered, with --agent-name or LIVEKIT_AGENT_NAME",
        )
    start = f"openrtc start --agent-name {dispatch.agent_name}" if dispatch.agent_name else "openrtc start"
    return (
        f"{message}: at {address} none is registered {wanted}, or those that are have rejected it, are full or drain",
        f"start one ({start}), or look into its log; what was dispatched is lost",
    )


def _names(worker: Mapping[str, Any]) -> str:
    return ", ".join(name or f"({AUTOMATIC})" for name in worker["agent_names"])
