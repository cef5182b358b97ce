"""Calls at the limits of their agents: a polite sentence in place of what is being said, then everybody hangs up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.agent_packages import CAST_AGENTS
from e2e.callers import Caller, CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.tones import who_was_heard
from e2e.worker import WorkerProcess
from waiting import poll_until

TALE, GOODBYE = 440.0, 700.0
SENTENCE = "Our time is over, good bye."

LIMITED = Package(
    name="limited-agents",
    modules={
        "limited_agents.py": """
            import asyncio

            from livekit.agents import Agent, AgentSession, JobContext
            from openrtc import AgentSpec

            from e2e.cast_models import TalkLLM, ToneSTT, ToneTTS
            from tone_agents import tone

            WITH_EARS = {"vad": None, "turn_detection": "stt"}


            class Tale(Agent):
                def __init__(self):
                    super().__init__(instructions="x", stt=ToneSTT(), llm=TalkLLM("T", "teller"), tts=ToneTTS(700.0))

                async def on_enter(self):
                    self.session.say("tale", audio=tone(440.0, 120.0))
                    await asyncio.sleep(3600)  # what the call does not wait for at its end


            async def desk(ctx: JobContext):
                session = AgentSession(**WITH_EARS)
                await session.start(Tale(), room=ctx.room)
                await asyncio.sleep(3600)


            TALE = AgentSpec(agent=Tale, session_options=WITH_EARS, goodbye="Our time is over, good bye.")
            SILENT = AgentSpec(agent=Tale, session_options=WITH_EARS)
        """,
    },
    agents={"tale": "limited_agents:TALE", "silent": "limited_agents:SILENT", "desk": "limited_agents:desk"},
)

SETTINGS = f"""
[defaults]
goodbye = "{SENTENCE}"

[limits]
tale = {{ sessions = 5, minutes = 0.05 }}
desk = {{ minutes = 0.05 }}
lively = {{ minutes = 0.05 }}
silent = {{ silent_seconds = 3 }}

[isolation]
desk = "process"
"""


def wait_for_end(events: Path, room: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the events ``call_started`` and ``call_ended`` of a room."""

    def find() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in events.read_text().splitlines()]
        return [one for one in found if one.get("room") == room and one["event"] in ("call_started", "call_ended")]

    poll_until(lambda: len(find()) == 2, 120.0)
    started, ended = find()
    return started, ended


@pytest.mark.realtime
def test_a_call_ends_politely_at_a_limit_of_its_agent(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    events, settings = tmp_path / "events.jsonl", tmp_path / "limits.toml"
    settings.write_text(SETTINGS)
    for package in (TONE_AGENTS, CAST_AGENTS, LIMITED):
        folder = package.install_into(tmp_path / "packages")
    names = ",".join(package.name for package in (TONE_AGENTS, CAST_AGENTS, LIMITED))
    worker = start_worker(
        *("--config", str(settings), "--allow", names, "--metrics-jsonl", str(events)),
        folders=[folder],
        isolates=True,
    )
    joined: dict[str, Caller] = {
        agent: callers.join(agent, api.token(f"{agent}-1", "ann", hangs_up=False), speaks=False)
        for agent in ("tale", "desk", "lively", "silent")
    }
    joined["silent"].wait_for_agent()
    joined["silent"].wait_for("track_subscribed")
    joined["silent"].send_text("go on")
    for agent, caller in joined.items():
        started, ended = wait_for_end(events, f"{agent}-1")
        reason = "nobody has spoken or typed for 3 s" if agent == "silent" else "its limit of 0.05 minutes is reached"
        assert ended["reason"] == reason
        assert not ended["failed"]
        assert 2.5 <= ended["time"] - started["time"] <= 18.0
        worker.wait_for_log(f"agent '{agent}': {reason}; this call is ended")
        caller.wait_for("disconnected")
        said = [event["text"] for event in caller.events("transcription")]
        assert any(SENTENCE in text for text in said), said
    assert not any(api.agents_in([f"{agent}-1" for agent in joined]).values())
    (heard,) = joined["tale"].recordings()
    assert who_was_heard(heard.sound, {"tale": TALE, "goodbye": GOODBYE}, at_least=0.5) == {"tale", "goodbye"}
    assert worker.records("^agent 'desk': a tool|Traceback|failed") == []
