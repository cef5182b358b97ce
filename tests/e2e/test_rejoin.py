"""Callers who leave: a page that is loaded anew finds its agent, and nobody else's slot is taken meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.callers import Caller, CallersProcess
from e2e.memory_agents import MEMORY_AGENTS
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess

StartWorker = Callable[..., WorkerProcess]

HANG_UPS = 6
SLOTS = 6
HANG_UP_SECONDS = 0.6
"""Between two of them: as often as a hundred a minute."""
CROWD = 6
AWAY_SECONDS = 3.0


def wait_for_words(caller: Caller, words: str) -> str:
    """Return what was written of the agent's words, as soon as these are among them."""

    def is_it(event: dict[str, Any]) -> bool:
        return event["event"] == "transcription" and event["caller"] == caller.name and words in event["text"]

    return str(caller.process.wait_for(is_it)["text"])


def wait_for_event(path: Path, kind: str, room: str, count: int = 1) -> dict[str, Any]:
    """Return an event of a room from the worker's file, as soon as there are so many of its kind."""
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        events = [json.loads(line) for line in path.read_text().splitlines()]
        found = [one for one in events if one["event"] == kind and one["room"] == room]
        if len(found) >= count:
            return dict(found[count - 1])
        time.sleep(0.1)
    raise AssertionError(f"{len(found)} of {count} {kind} of {room}: {found}")


def ask(people: list[Caller], words: str) -> list[str]:
    """Let people say something in text; return what each agent has answered with the same words."""
    for one in people:
        one.send_text(words)
    return [wait_for_words(one, words) for one in people]


def test_a_page_that_is_loaded_anew_finds_its_agent_and_the_history(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    options = ("--allow", "memory-agents,openrtc-offline", "--offline", "--metrics-jsonl", str(events))
    folders = [MEMORY_AGENTS.install_into(tmp_path / "packages")]
    worker = start_worker(*options, "--rejoin-seconds", "8", folders=folders)
    rooms = ["memory-reload", "pair-reload"]  # an agent, and a cast
    tokens = {room: api.token(room, "ann", hangs_up=False) for room in rooms}

    def join(which: str) -> list[Caller]:
        people = [callers.join(f"{which} of {room}", token) for room, token in tokens.items()]
        for one in people:
            one.wait_for_agent()
        return people

    first = join("first")
    for one in first:
        one.wait_for("track_subscribed")
    ask(first, "my name is Ann")
    agents = {room: sorted(found) for room, found in api.agents_in(rooms).items()}
    asked = worker.log().count("asked the model")

    for one in first:
        one.leave()
    left = time.time()
    for room in rooms:
        wait_for_event(events, "call_waiting", room)
    assert worker.snapshot()["sessions"] == 0
    assert [call["state"] for call in worker.snapshot()["calls"]] == ["waiting", "waiting"]
    time.sleep(max(0.0, left + AWAY_SECONDS - time.time()))

    second = join("second")
    for room in rooms:
        wait_for_event(events, "call_attended", room)
    assert worker.snapshot()["sessions"] == 2
    assert worker.log().count("asked the model") == asked, "it has not talked to nobody"
    now = time.time()
    assert all("my name is Ann" in answer for answer in ask(second, "what is it"))
    assert all(one.wait_for_answer(now) for one in second), "and are heard"

    third = join("third")  # the pages of the second are still there
    for one in second:
        one.wait_for("disconnected")
    time.sleep(1.0)
    assert all("my name is Ann" in answer for answer in ask(third, "and now"))
    assert {room: sorted(found) for room, found in api.agents_in(rooms).items()} == agents

    for one in third:
        one.leave()
    gone = time.time()
    for room in rooms:
        ended = wait_for_event(events, "call_ended", room)
        started = wait_for_event(events, "call_started", room)
        assert ended["time"] - gone >= 7.5
        assert ended["seconds"] <= gone - started["time"] + started["setup_seconds"] + 1.0, "the wait does not count"


def test_callers_who_hang_up_at_once_leave_the_slots_to_others(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    worker = start_worker("--allow", "tone-agents", "--max-sessions", str(SLOTS), folders=folders)
    callers.join("stays", api.token("steady-stays", "ann"), speaks=False).wait_for_agent()
    for number in range(HANG_UPS):
        room = f"alpha-{number}"
        caller = callers.join(room, api.token(room, "ann", hangs_up=False), speaks=False)
        if number % 2:
            caller.wait_for_agent()
        caller.leave()
        time.sleep(HANG_UP_SECONDS)
    until = time.monotonic() + 10.0
    while worker.snapshot()["sessions"] > 1 and time.monotonic() < until:
        time.sleep(0.1)
    assert worker.snapshot()["sessions"] == 1

    crowd = [
        callers.join(f"guest-{number}", api.token("beta-crowd", f"guest-{number}"), speaks=False)
        for number in range(CROWD)
    ]
    free = [f"gamma-{number}" for number in range(SLOTS - 2)]
    others = [callers.join(room, api.token(room, "ann"), speaks=False) for room in free]
    for caller in (crowd[0], *others):
        caller.wait_for_agent()
    crowd[0].leave()  # whom the agent has heard
    assert worker.snapshot()["sessions"] == SLOTS
    rooms = ["steady-stays", "beta-crowd", *free]
    assert {room: len(agents) for room, agents in api.agents_in(rooms).items()} == dict.fromkeys(rooms, 1)

    for caller in others:
        caller.leave()
    until = time.monotonic() + 10.0
    while worker.snapshot()["sessions"] > 2 and time.monotonic() < until:
        time.sleep(0.1)
    # The server has been told at once: it would else think for up to 2.5 s that the worker is full.
    waits = callers.join("waits", api.token("alpha-waits", "ann", hangs_up=False), speaks=False)
    waits.wait_for_agent()
    waits.leave()
    until = time.monotonic() + 10.0
    while worker.snapshot()["waiting"] < 1 and time.monotonic() < until:
        time.sleep(0.1)
    worker.signal()
    worker.wait_for_log("room 'alpha-waits': nobody is there, and the worker drains")
    worker.wait_for_log("draining: 2 live calls may finish")
    until = time.monotonic() + 10.0
    while api.agents_in(["alpha-waits"])["alpha-waits"] and time.monotonic() < until:
        time.sleep(0.1)
    assert not api.agents_in(["alpha-waits"])["alpha-waits"]
    assert worker.running, "it waits for those with somebody in them"
    for caller in crowd[1:]:
        caller.leave()
    api.delete_room("steady-stays")
    assert worker.wait(30.0) == 0


def test_an_agent_to_whom_nobody_comes_leaves(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    options = ("--allow", "tone-agents", "--agent-name", "alone", "--nobody-seconds", "4")
    start_worker(*options, "--metrics-jsonl", str(events), folders=folders)
    api.dispatch("alpha-alone", "alone")
    api.dispatch("alpha-later", "alone")
    wait_for_event(events, "call_started", "alpha-later")
    later = callers.join("later", api.token("alpha-later", "ann"), speaks=False)
    later.wait_for_agent()
    assert wait_for_event(events, "call_ended", "alpha-alone")["reason"] == "nobody has come"
    assert not api.agents_in(["alpha-alone"])["alpha-alone"]
    assert api.agents_in(["alpha-later"])["alpha-later"]
