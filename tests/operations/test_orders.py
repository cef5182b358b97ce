"""An operator pauses an agent, ends a call and lets workers drain, without a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from e2e.callers import CallersProcess
from e2e.cli import run_openrtc
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess
from waiting import poll_until

StartWorker = Callable[..., WorkerProcess]


def test_an_operator_pauses_an_agent_ends_a_call_and_drains_all_workers(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    sockets = tmp_path / "sockets"
    sockets.mkdir(mode=0o700)
    variables = {"XDG_RUNTIME_DIR": str(sockets)}

    def order(*words: str) -> str:
        done = run_openrtc(*words, variables=variables)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    options = ("--allow", "tone-agents", "--agent-name", "ordered", "--processes", "2")
    worker = start_worker(*options, folders=folders, variables=variables)
    poll_until(lambda: len(worker.records("registered worker")) >= 2)

    told = order("pause", "alpha").splitlines()
    assert len(told) == 2 and all("agent 'alpha' takes no new calls" in line for line in told)
    api.dispatch("alpha-paused", "ordered")
    api.dispatch("beta-goes-on", "ordered")
    worker.wait_for_log(r"room 'alpha-paused': rejected: agent 'alpha' is paused \(openrtc resume alpha\)")
    poll_until(lambda: api.agents_in(["beta-goes-on"])["beta-goes-on"])
    assert api.agents_in(["alpha-paused"]) == {"alpha-paused": []}
    order("resume", "alpha")

    ann = callers.join("alpha-ended", api.token("alpha-ended", "ann"), speaks=False)
    api.dispatch("alpha-ended", "ordered")
    ann.wait_for("track_subscribed", 30.0)
    assert "in room 'alpha-ended' is being ended" in order("end", "alpha-ended")
    ann.wait_for("disconnected", 30.0)  # nobody waits in a room without an agent

    told = order("drain", "--worker", "all").splitlines()
    # The supervisor, once told by one, tells the other, which may have ended before it is asked: it has no calls.
    assert told and all("takes no new calls, and ends when its live ones have" in line for line in told)
    worker.wait_for_log("stopping: live calls of 2 workers may finish")
    api.delete_all_rooms()
    assert worker.wait(60.0) == 0
