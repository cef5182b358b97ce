"""What an agent says waits for a listener, but not for ever: nobody subscribes to it, on the real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.agent_packages import CAST_AGENTS
from e2e.callers import Caller, CallersProcess
from e2e.cast_room import events_of
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess

pytestmark = pytest.mark.realtime

UNHEARD, TYPED = 8.0, 7.0
"""Seconds for which what is said waits here for a listener, in the place of half a minute, and where somebody types."""
BUSY = 10.0
"""Seconds that a busy machine may take beyond."""
HURRIED = Package(
    name="hurried",
    modules={
        "hurried.py": f"""
            from openrtc.session import unheard

            unheard.UNHEARD_SECONDS, unheard.TYPED_SECONDS = {UNHEARD}, {TYPED}
        """
    },
    plugins={"hurried": "hurried"},
)


def words(caller: Caller) -> list[str]:
    return [event["text"] for event in caller.events("transcription")]


def wait_for_words(caller: Caller, said: str, timeout: float) -> float:
    """Return after how many seconds an agent's text had come."""
    began = time.monotonic()
    while not any(said in text for text in words(caller)):
        assert time.monotonic() - began < timeout, words(caller)
        time.sleep(0.1)
    return time.monotonic() - began


def test_nobody_subscribes_to_an_agent(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    for package in (CAST_AGENTS, HURRIED):
        folder = package.install_into(tmp_path / "packages")
    options = ["--allow", f"{CAST_AGENTS.name},{HURRIED.name}", "--metrics-jsonl", str(tmp_path / "events.jsonl")]
    worker = start_worker(*options, folders=[folder])
    rooms = {"writer": "tim-unheard-writer", "cast": "pair-unheard-cast"}
    writer, cast = (
        callers.join(name, api.token(room, "ann"), speaks=False, subscribes=False) for name, room in rooms.items()
    )
    for caller in (writer, cast):
        caller.wait_for_agent()

    writer.send_text("hello")
    # The first line interrupts the greeting, and the second one the first answer, before anybody could hear them.
    writer.send_text("hello again")
    wait_for_words(writer, "Tim speaks line 2", TYPED + BUSY)
    writer.send_text("and once more")
    assert wait_for_words(writer, "Tim speaks line 3", TYPED + BUSY) < 5.0, "it is known by then that nobody listens"

    subscribed = time.time()
    writer.subscribe()
    writer.wait_for("track_subscribed")
    time.sleep(0.5)
    assert writer.wait_for_answer(subscribed, timeout=0.1) is None
    writer.send_text("aloud, please")
    assert writer.wait_for_answer(subscribed, timeout=10.0) is not None, "whoever subscribes late hears the agent"
    wait_for_words(writer, "Tim speaks line 4", 10.0)

    wait_for_words(cast, "this is Tim", UNHEARD + BUSY)
    for said in ("Chris speaks", "Tim speaks", "Chris speaks line 2"):
        wait_for_words(cast, said, BUSY)
    assert [event["member"] for event in events_of(worker, rooms["cast"], "member_spoke")][:2] == [
        "dispatcher",
        "driver",
    ]
    assert not events_of(worker, rooms["writer"], "call_ended")
    for caller in (writer, cast):
        caller.leave()
