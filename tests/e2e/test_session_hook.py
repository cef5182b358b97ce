"""Plugins get the session of each kind of call before it starts, where the call runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from e2e.agent_packages import CAST_AGENTS
from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess
from waiting import poll_until

WATCHER = Package(
    name="session-watcher",
    modules={
        "session_watcher.py": """
            import logging
            import os

            from openrtc import hookimpl

            logger = logging.getLogger("session-watcher")


            def has_started(session):
                try:
                    return session.current_agent is not None
                except RuntimeError:
                    return False


            @hookimpl
            async def openrtc_session(call, session):
                early = "before it starts" if not has_started(session) else "too late"
                logger.info("CASE %s in %s %s", call.agent_name, os.getpid(), early)
                session.on("close", lambda event: logger.info("CASE %s closed", call.agent_name))

                def tell(event):
                    if event.new_state == "listening":
                        logger.info("CASE %s started", call.agent_name)

                session.on("agent_state_changed", tell)
        """
    },
    plugins={"watcher": "session_watcher"},
)


def test_plugins_get_the_session_of_agents_of_casts_and_of_calls_in_processes(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    for package in (TONE_AGENTS, CAST_AGENTS, WATCHER):
        folder = package.install_into(tmp_path / "packages")
    names = ",".join(package.name for package in (TONE_AGENTS, CAST_AGENTS, WATCHER))
    worker = start_worker("--allow", names, "--isolate", "beta=process", folders=[folder], isolates=True)
    joined = [callers.join(room, api.token(room, "ann"), speaks=False) for room in ("alpha-1", "beta-1", "pair-1")]
    worker.wait_for_log(f"CASE alpha in {worker.pid} before it starts")
    worker.wait_for_log(f"CASE beta in (?!{worker.pid} )[0-9]+ before it starts")
    worker.wait_for_log(f"CASE pair in {worker.pid} before it starts")
    # What has not started when its room is deleted is never closed; each member of the cast has a session.
    poll_until(lambda: {one["agent"] for one in worker.records("CASE .* started")} == {"alpha", "beta", "pair"})
    poll_until(lambda: len({one.get("role") for one in worker.records("CASE pair started")}) == 2)
    for caller in joined:
        caller.leave()
    api.delete_all_rooms()
    for agent in ("alpha", "beta", "pair"):
        worker.wait_for_log(f"CASE {agent} closed")
    members = worker.records("CASE pair in")
    assert len(members) == 2, "each member of the cast"
