"""A session that an entrypoint starts in the room of its job is guarded, and no other one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, CloseEvent, CloseReason, ConversationItemAddedEvent
from livekit.agents.llm import ChatMessage

from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.request import RouteRequest
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import TurnCompleted
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.live_call import LiveCall
from openrtc.session import entrypoint_sessions
from openrtc.session.entrypoint_sessions import guard_sessions_of
from openrtc.session.session import watch_own_sessions
from openrtc.settings.config import WorkerSettings

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


async def test_when_the_first_one_has_started_that_is_told_once(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    context: Any = Context(room="the room")
    monkeypatch.setattr(entrypoint_sessions, "get_job_context", lambda required: context)
    guard_sessions_of(context, lambda session, agent: None, started=lambda session: done.append(("told", None)))
    for _ in range(2):
        session: Any = AgentSession()
        await session.start(Agent(instructions="x"), room="the room")
    assert [what for what, _ in done if what != "hand-off"] == ["start", "told", "start"]


async def test_its_turns_are_the_calls(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    events, turns = EventStream(), []
    events.subscribe(lambda event: turns.append(event) if isinstance(event, TurnCompleted) else None)
    live = LiveCall(events=events, job_id="AJ_1", room="r", agent="front", distribution="desks")
    catalog = SimpleNamespace(get=lambda name: SimpleNamespace(spec=None))
    config = SimpleNamespace(worker=WorkerSettings(session_host="all"))
    runtime: Any = SimpleNamespace(
        live={"AJ_1": live},
        watch=None,
        stand_in=None,
        hooks=Hooks(),
        catalog=catalog,
        config=config,
        find_lacks=lambda _: (),
    )
    context: Any = Context(room="the room", is_fake_job=lambda: True, add_shutdown_callback=lambda callback: None)
    monkeypatch.setattr(entrypoint_sessions, "get_job_context", lambda required: context)
    call = Call(job_id="AJ_1", agent_name="front", request=RouteRequest(room_name="r"), decision=Decision.to("front"))
    watch_own_sessions(context, call, runtime)
    session: Any = AgentSession()
    await session.start(Agent(instructions="x"), room="the room")
    for role, text in (("user", "where is my order"), ("assistant", "on its way")):
        item = ChatMessage(role=role, content=[text])  # type: ignore[arg-type]  # both are roles
        session.emit("conversation_item_added", ConversationItemAddedEvent(item=item))
    session.emit("close", CloseEvent(reason=CloseReason.USER_INITIATED))
    assert [(turn.heard, turn.said) for turn in turns] == [("where is my order", "on its way")]
