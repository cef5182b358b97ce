"""The sample cast with realtime models, through the real plugin, against a stand-in for the paid API."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.agent_packages import REALTIME_AGENTS
from e2e.callers import CallersProcess
from e2e.cast_room import HELLO, CastRoom, events_of, overlap
from e2e.ledger_agents import LEDGER, reported_usage, told_usage
from e2e.realtime_server import USAGE, RealtimeServer
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.speech import Voice
from e2e.worker import TRACEBACK, WorkerProcess, openrtc_worker

pytestmark = pytest.mark.realtime

VOICES = {"alloy": 440.0, "echo": 700.0}
TIM, CHRIS = "Tim", "Chris"


@pytest.fixture
def provider() -> Iterator[RealtimeServer]:
    with RealtimeServer(VOICES, ["Chris, where are you now", "and which truck is free"]) as running:
        yield running


@pytest.fixture
def worker(
    api: ServerApi, tmp_path: Path, provider: RealtimeServer, request: pytest.FixtureRequest
) -> Iterator[WorkerProcess]:
    key = {"OPENAI_API_KEY": "sk-of-a-test", "OPENAI_BASE_URL": provider.url}
    with openrtc_worker(api, tmp_path / "worker.log", "--allow", "dispatch-desk", variables=key) as running:
        show_log_on_failure(request.node, running)
        yield running.wait_until_ready()
        running.stop()


@pytest.fixture
def own_worker(
    api: ServerApi, tmp_path: Path, provider: RealtimeServer, request: pytest.FixtureRequest
) -> Iterator[WorkerProcess]:
    key = {"OPENAI_API_KEY": "sk-of-a-test", "OPENAI_BASE_URL": provider.url}
    folders = [package.install_into(tmp_path / "packages") for package in (REALTIME_AGENTS, LEDGER)]
    more: dict[str, Any] = {"variables": key, "folders": folders[:1]}
    options = ["--allow", f"{REALTIME_AGENTS.name},{LEDGER.name}", "--words", "full"]
    options += ["--metrics-jsonl", str(tmp_path / "events.jsonl")]
    with openrtc_worker(api, tmp_path / "worker.log", *options, **more) as running:
        show_log_on_failure(request.node, running)
        yield running.wait_until_ready()
        running.stop()
        assert TRACEBACK not in running.log()


def check_ledger(worker: WorkerProcess, room: CastRoom, agent: str, members: set[str]) -> None:
    """Check what was said in a call that is over, and that its usage is what livekit-agents reports."""
    room.wait_until(lambda: events_of(worker, room.room, "call_ended"), 40.0)
    turns = events_of(worker, room.room, "turn_completed")
    assert {turn["member"] for turn in turns} == members
    assert any(turn["answered"] and "says line" in turn["said"] for turn in turns), turns
    assert any(turn["heard"] for turn in turns), turns
    told, (ended,) = told_usage(worker, room.room), events_of(worker, room.room, "call_ended")
    reported = [one for session in reported_usage(worker, agent) for one in session]
    by_json = functools.partial(json.dumps, sort_keys=True)
    assert sorted(told, key=by_json) == sorted(reported, key=by_json) and told
    tokens = sum(one["input_tokens"] for one in reported if one["type"] == "llm_usage")
    assert [one["input_tokens"] for one in ended["usage"] if one["type"] == "llm_usage"] == [tokens]
    assert tokens > 0 and tokens % USAGE["input_tokens"] == 0


def test_realtime_members_hear_each_other_and_one_is_given_the_ear(
    api: ServerApi, callers: CallersProcess, own_worker: WorkerProcess, provider: RealtimeServer
) -> None:
    room = CastRoom(api, callers, "rtaudio-1")
    speeches = room.wait_for(TIM, CHRIS)
    assert overlap(speeches) <= 0.2
    tim, chris = provider.session("alloy"), provider.session("echo")
    assert chris.audio_bytes > 0 and chris.heard == ["Chris, where are you now"], "what its model made of Tim's voice"
    assert not tim.heard, "nobody has said anything to the ear"
    said = room.say(HELLO)
    room.wait_for(TIM, since=said.ended)
    room.close()
    check_ledger(own_worker, room, "rtaudio", {"dispatcher", "driver"})
    provider.sessions.clear()

    room = CastRoom(api, callers, "rtalone-1")
    room.wait_for(TIM)
    room.wait_for(TIM, since=room.type("Tim, where are you"))
    room.close()
    check_ledger(own_worker, room, "rtalone", {""})
    provider.sessions.clear()

    room = CastRoom(api, callers, "rtgives-1")
    room.wait_for(TIM)
    assert not any(one.audio_bytes for one in provider.sessions if one.voice == "echo"), "it listens to nobody yet"
    said = room.say(HELLO)
    room.wait_for(TIM, since=said.ended)
    room.wait_until(lambda: events_of(own_worker, room.room, "ear_moved"))
    tim, chris = provider.session("alloy"), provider.session("echo")
    time.sleep(0.5)  # what was sent before arrives
    heard = tim.audio_bytes
    said = room.say(HELLO)
    room.wait_for(TIM, since=said.ended)
    assert chris.audio_bytes > 0 and tim.audio_bytes == heard, (chris.audio_bytes, tim.audio_bytes, heard)
    room.close()


def test_each_member_has_a_realtime_session_of_its_own_and_only_the_ear_hears(
    api: ServerApi, callers: CallersProcess, worker: WorkerProcess, provider: RealtimeServer, voice: Voice
) -> None:
    room = CastRoom(api, callers, "dispatch-1")
    speeches = room.wait_for(TIM, CHRIS, TIM)
    assert overlap(speeches) <= 0.2
    assert room.words()[0] == "Chris, this is Tim. What is your position?"
    assert sorted(room.members().values()) == [CHRIS, TIM]
    tim, chris = provider.session("alloy"), provider.session("echo")
    assert tim.authorization == chris.authorization == "Bearer sk-of-a-test"
    assert tim.settings["audio"]["input"]["turn_detection"] is None, "the cast takes the turns"
    assert chris.heard[0] == "[Tim] Chris, this is Tim. What is your position?"

    asked = room.person.say(voice.say("chris where are you now"))
    room.wait_for(CHRIS, since=asked.ended)
    assert chris.heard[-1].splitlines()[-1] == "[ann] Chris, where are you now"

    asked = room.person.say(voice.say("which truck is free"))
    room.wait_for(TIM, since=asked.ended)
    assert tim.audio_bytes > 0 and chris.audio_bytes == 0
    assert len(provider.sessions) == 2
    room.close()
    room.wait_until(lambda: not api.agents_in([room.room])[room.room])
    assert TRACEBACK not in worker.log()
