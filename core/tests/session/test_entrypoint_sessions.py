"""A session that an entrypoint starts in the room of its job is guarded, and no other one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession

from openrtc.session import entrypoint_sessions
from openrtc.session.entrypoint_sessions import guard_sessions_of

Done = list[tuple[str, Any]]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Done:
    """What happened, in a process in which a session's start asks for a hand-off."""
    seen: Done = []

    async def start(self: Any, agent: Agent, **options: Any) -> str:
        seen.append(("start", agent))
        self.update_agent(agent)
        return "started"

    monkeypatch.setattr(AgentSession, "start", start)
    monkeypatch.setattr(AgentSession, "update_agent", lambda self, agent: seen.append(("hand-off", agent)))
    return seen


class Context(SimpleNamespace):
    """A job's context."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # as livekit-agents' own


async def test_it_is_guarded_before_it_starts_and_a_hand_off_is_made_afterwards(
    done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    context: Any = Context(room="the room")
    monkeypatch.setattr(entrypoint_sessions, "get_job_context", lambda required: context)
    guard_sessions_of(context, lambda session, agent: done.append(("guard", agent)))
    guard_sessions_of(context, lambda session, agent: done.append(("guard", agent)))  # once for all
    agent: Any = Agent(instructions="x")
    session: Any = AgentSession()
    assert await session.start(agent, room="the room") == "started"
    assert done == [("guard", agent), ("start", agent), ("hand-off", agent)]


@pytest.mark.parametrize("room", [None, "another room"])
async def test_a_session_elsewhere_is_left_alone(done: Done, monkeypatch: pytest.MonkeyPatch, room: str | None) -> None:
    context: Any = Context(room="the room")
    guard_sessions_of(context, lambda session, agent: done.append(("guard", agent)))
    session: Any = AgentSession()
    for current in (context, None, Context(room="another room")):
        monkeypatch.setattr(entrypoint_sessions, "get_job_context", lambda required, current=current: current)
        await session.start(Agent(instructions="x"), room=room)
    assert "guard" not in dict(done)
