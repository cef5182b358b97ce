"""Threads and processes instead of coroutines: the same agents, the same calls."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.tones import who_was_heard
from e2e.worker import TRACEBACK, WorkerProcess

FAILING = Package(
    name="failing-agents",
    modules={
        "failing_agents.py": """
            import multiprocessing
            import os
            import signal
            from pathlib import Path

            from tone_agents import Gamma

            if multiprocessing.parent_process() is not None and Path("fails").exists():
                os.kill(os.getpid(), signal.SIGKILL)
        """
    },
    agents={"failing": "failing_agents:Gamma"},
)
LATE = Package(
    name="late-agents",
    modules={
        "late_agents/__init__.py": """
            from tone_agents import Beta


            class Late(Beta):
                async def on_enter(self):
                    from late_agents.more import SECONDS

                    self.seconds = SECONDS
                    await super().on_enter()
        """,
        "late_agents/more.py": "SECONDS = 3.0\n",
    },
    agents={"late": "late_agents:Late"},
)
DRIFT = "late-agents 1.1.0 was installed after this worker loaded 1.0.0"
ENDING = "its process was ended by signal 9 before it was ready"


@pytest.mark.realtime
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_two_calls_at_once_reach_their_agents(
    start_worker: Callable[..., WorkerProcess],
    api: ServerApi,
    callers: CallersProcess,
    tmp_path: Path,
    isolation: str,
) -> None:
    """At first no process can be started, which is tried again by itself."""
    folders = [package.install_into(tmp_path / "packages") for package in (TONE_AGENTS, FAILING, LATE)]
    work = tmp_path / "work"
    work.mkdir()
    for name in ("logging", "random", "selectors"):  # no process of the worker may take it for Python's
        (work / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    (work / "fails").touch()
    allowed = "tone-agents,failing-agents,late-agents"
    worker = start_worker("--allow", allowed, "--isolation", isolation, folders=folders, cwd=work)
    if isolation == "process":
        worker.wait_for_log(f"agent 'alpha' is broken: {ENDING}; its calls are rejected until a process starts")
        assert worker.snapshot()["broken"] == dict.fromkeys(
            ("alpha", "beta", "failing", "gamma", "late", "steady"), ENDING
        )
        assert worker.snapshot()["state"] == "no agent is ready"
        callers.join("early", api.token("alpha-early", "ann"), speaks=False)
        worker.wait_for_log(f"room 'alpha-early': rejected: agent 'alpha' is broken: {ENDING}")
        (work / "fails").unlink()
        worker.wait_for_log("agent 'alpha' takes calls again after", 40.0)
        assert worker.snapshot()["broken"] == {} and TRACEBACK not in worker.log()
    rooms = {
        name: callers.join(name, api.token(f"{name}-{isolation}", "ann"), speaks=False) for name in ("alpha", "gamma")
    }
    for name, caller in rooms.items():
        assert caller.wait_for_answer(0.0, timeout=40.0) is not None
        (recording,) = caller.recordings()
        assert recording.identity.startswith(f"{name}-")
        # Not shorter: on a busy machine a gap is filled with a sound that is no tone.
        assert who_was_heard(recording.sound, TONES, at_least=0.3) == {name}
    assert bool([child for child in worker.children() if child.is_running()]) == (isolation == "process")
    shutil.rmtree(folders[0] / "late_agents-1.0.0.dist-info")
    replace(LATE, version="1.1.0").install_into(folders[0])
    if isolation == "process":
        rooms["beta"] = callers.join("beta", api.token("beta-process", "ann"), speaks=False)  # another one is started
        worker.wait_for_log(f"agent 'late' is broken: {DRIFT}; restart or roll it", 60.0)
        assert set(worker.snapshot()["broken"]) == {"late"}, "the others have not been upgraded"
    late = callers.join("late", api.token(f"late-{isolation}", "cleo"), speaks=False)
    if isolation == "process":
        worker.wait_for_log(f"room 'late-process': rejected: agent 'late' is broken: {DRIFT}; restart or roll it")
    else:
        worker.wait_for_log(f"agent 'late': {DRIFT}; new calls go on with the code that is loaded")
        worker.wait_for_log(rf"agent 'late' .*: {DRIFT}; restart or roll it")
        late.wait_for("participant_disconnected", 10.0, kind="AGENT")
    for caller in rooms.values():
        caller.leave()
    assert TRACEBACK not in worker.log()
