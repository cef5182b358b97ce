from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from livekit import rtc
from livekit.agents import (
    AgentStateChangedEvent,
    CloseEvent,
    CloseReason,
    FunctionToolsExecutedEvent,
    ToolExecutionUpdatedEvent,
)
from livekit.agents.llm import FunctionCall, FunctionCallOutput
from livekit.agents.metrics import LLMModelUsage, TTSModelUsage
from livekit.agents.voice.events import ToolCallEnded, ToolCallStarted

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallEnded, CallStarted, Event, ToolCalled, Usage
from openrtc.runtime.live_call import LiveCall
from openrtc.session.ledger import keep_ledger, note_people


def build_emitter(**attributes: Any) -> Any:
    """Return what stands for a session or room: it emits events, and has the attributes."""
    emitter: Any = rtc.EventEmitter[str]()
    for name, value in attributes.items():
        setattr(emitter, name, value)
    return emitter


class Scene:
    """A call with one session, whose events are kept."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        stream = EventStream()
        stream.subscribe(self.events.append)
        self.live = LiveCall(events=stream, job_id="AJ_1", room="r", agent="support", distribution="my-support-agent")
        self.used: list[Any] = []
        self.session = build_emitter(usage=SimpleNamespace(model_usage=self.used))
        keep_ledger(self.session, self.live, "dispatcher")

    def call_tool(self, call_id: str, status: Any, message: str | None, name: str = "find") -> None:
        call = FunctionCall(call_id=call_id, name=name, arguments='{"number": 7}')
        self._update(ToolCallStarted(function_call=call))
        self._update(ToolCallEnded(id=call_id, call_id=call_id, message=message, status=status))

    def _update(self, update: Any) -> None:
        self.session.emit("tool_execution_updated", ToolExecutionUpdatedEvent(update=update))

    def executed(self, call_id: str, output: str, *, is_error: bool, name: str = "find") -> None:
        call = FunctionCall(call_id=call_id, name=name, arguments="{}")
        result = FunctionCallOutput(call_id=call_id, name=name, output=output, is_error=is_error)
        event = FunctionToolsExecutedEvent(function_calls=[call], function_call_outputs=[result])
        self.session.emit("function_tools_executed", event)

    def start(self) -> None:
        event = AgentStateChangedEvent(old_state="initializing", new_state="listening")
        self.session.emit("agent_state_changed", event)

    def close(self) -> None:
        self.session.emit("close", CloseEvent(reason=CloseReason.USER_INITIATED))

    def list_tools(self) -> list[tuple[Any, ...]]:
        tools = [one for one in self.events if isinstance(one, ToolCalled)]
        return [(one.name, one.arguments, one.result, one.error, one.failed, one.member) for one in tools]


def test_a_tool_is_told_with_its_result_or_error() -> None:
    scene = Scene()
    scene.call_tool("1", "done", "on its way")
    scene.executed("1", "on its way", is_error=False)
    scene.call_tool("2", "error", "no such order")
    scene.executed("2", "An internal error occurred", is_error=True)
    scene.call_tool("3", "cancelled", None)
    scene.call_tool("4", "done", None)
    given = '{"number": 7}'
    assert scene.list_tools() == [
        ("find", given, "on its way", "", False, "dispatcher"),
        ("find", given, "", "no such order", True, "dispatcher"),
        ("find", given, "", "cancelled", True, "dispatcher"),
        ("find", given, "", "", False, "dispatcher"),
    ]
    assert scene.live.ledger.tool_calls == 4


def test_a_tool_that_could_not_be_called_is_told_once() -> None:
    scene = Scene()
    for _ in range(2):
        scene.executed("1", "Unknown function: fnd", is_error=True, name="fnd")
    assert scene.list_tools() == [("fnd", "{}", "", "Unknown function: fnd", True, "dispatcher")]


def test_what_a_session_has_used_is_told_when_it_closes_each_time() -> None:
    scene = Scene()
    for tokens in (10, 3):
        scene.used[:] = [LLMModelUsage(provider="acme", model="a-1", input_tokens=tokens, session_duration=0.1)]
        scene.start()
        scene.close()
    scene.used[:] = [TTSModelUsage(provider="acme", model="v", characters_count=9)]  # of a session that never closes
    scene.start()
    scene.live.emit_ended("done")
    scene.close()
    told = [(one.type, one.model, one.counts, one.member) for one in scene.events if isinstance(one, Usage)]
    assert told == [
        ("llm_usage", "a-1", {"input_tokens": 10, "session_duration": 0.1}, "dispatcher"),
        ("llm_usage", "a-1", {"input_tokens": 3, "session_duration": 0.1}, "dispatcher"),
        ("tts_usage", "v", {"characters_count": 9}, "dispatcher"),
    ]
    ended = scene.events[-1]
    assert isinstance(ended, CallEnded)
    assert [one["type"] for one in ended.usage] == ["llm_usage", "tts_usage"]
    assert ended.usage[0]["input_tokens"] == 13


def test_the_end_of_a_call_waits_for_sessions_that_have_started_and_not_closed() -> None:
    scene = Scene()
    assert not scene.live.awaited
    scene.start()
    scene.start()
    (closed,) = scene.live.awaited
    scene.close()
    assert closed.is_set() and not scene.live.awaited


def test_people_are_noted_and_machines_are_not() -> None:
    scene = Scene()
    room = build_emitter(isconnected=lambda: True)
    person, agent = rtc.ParticipantKind.PARTICIPANT_KIND_SIP, rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
    shown = SimpleNamespace(hidden=False)
    there = [
        SimpleNamespace(identity="ann", kind=person, permissions=shown),
        SimpleNamespace(identity="agent-7", kind=agent, permissions=shown),
    ]
    room.remote_participants = {one.identity: one for one in there}
    note_people(room, scene.live)
    room.emit("connection_state_changed", 1)
    for _ in range(2):
        room.emit("participant_connected", SimpleNamespace(identity="bob", kind=person, permissions=shown))
    assert list(scene.live.ledger.people) == ["ann", "bob"]


async def test_the_start_is_told_with_the_person_who_comes_a_moment_later_and_before_all_else() -> None:
    scene = Scene()
    room = build_emitter(isconnected=lambda: False)
    note_people(room, scene.live)
    scene.live.emit_started()
    assert not scene.events
    scene.live.note_person("ann")
    (started,) = scene.events
    assert isinstance(started, CallStarted) and started.identity == "ann"
    scene.live.note_person("bob")
    scene.live.emit_started()
    scene.live.emit_ended("done")
    assert [event.kind() for event in scene.events] == ["call_started", "call_started", "call_ended"]


async def test_the_start_is_told_where_nobody_comes() -> None:
    scene = Scene()
    note_people(build_emitter(isconnected=lambda: False), scene.live)
    scene.live.emit_started()
    scene.live.emit_waiting("nobody_yet", may_be_ended=True)
    assert [event.kind() for event in scene.events] == ["call_started", "call_waiting"]
    assert isinstance(scene.events[0], CallStarted) and scene.events[0].identity == ""
