"""Threads and processes instead of coroutines: the same agents, the same calls."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.tones import who_was_heard
from e2e.worker import WorkerProcess


@pytest.mark.realtime
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_two_calls_at_once_reach_their_agents(
    start_worker: Callable[..., WorkerProcess],
    api: ServerApi,
    callers: CallersProcess,
    tmp_path: Path,
    isolation: str,
) -> None:
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    work = tmp_path / "work"
    work.mkdir()
    for name in ("logging", "random", "selectors"):  # no process of the worker may take it for Python's
        (work / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    worker = start_worker("--allow", "tone-agents", "--isolation", isolation, folders=folders, cwd=work)
    rooms = {name: callers.join(name, api.token(f"{name}-{isolation}", "ann")) for name in ("alpha", "gamma")}
    for name, caller in rooms.items():
        assert caller.wait_for_answer(0.0, timeout=40.0) is not None
        (recording,) = caller.recordings()
        assert recording.identity.startswith(f"{name}-")
        # Not shorter: on a busy machine a gap is filled with a sound that is no tone.
        assert who_was_heard(recording.sound, TONES, at_least=0.3) == {name}
    assert bool([child for child in worker.children() if child.is_running()]) == (isolation == "process")
    for caller in rooms.values():
        caller.leave()
