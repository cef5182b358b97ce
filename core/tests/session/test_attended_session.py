"""Whom a session hears when its callers come and go, how it rests meanwhile, and how it is closed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import io
from livekit.agents.voice.room_io import RoomOptions

from openrtc.session import attended_session as module
from openrtc.session.attended_session import AttendedSession, build_caller_filter, stay_when_callers_leave
from openrtc.session.hang_up import HangUp
from openrtc.session.pause import Pause
from waiting import wait_until

KINDS = rtc.ParticipantKind


def participant(identity: str, kind: int = KINDS.PARTICIPANT_KIND_STANDARD) -> Any:
    return SimpleNamespace(identity=identity, kind=kind, permissions=SimpleNamespace(hidden=False))


class RoomIO:
    """What a session has of a room: whom it hears."""

    def __init__(self) -> None:
        self.linked_participant: Any = None
        self.chosen: list[str] = []

    def set_participant(self, identity: str) -> None:
        self.chosen.append(identity)
        self.linked_participant = participant(identity)


class Heard:
    """A session whose callers come and go."""

    def __init__(self) -> None:
        self.room_io = RoomIO()
        self.room = SimpleNamespace(remote_participants={})
        session: Any = SimpleNamespace(room_io=self.room_io, on=lambda *_: None)
        context: Any = SimpleNamespace(room=self.room)
        self.attended = AttendedSession(session, context, None)  # type: ignore[arg-type]

    def there(self, *identities: str) -> None:
        self.room.remote_participants = dict.fromkeys(identities)


def test_somebody_else_is_heard_until_who_was_heard_is_back() -> None:
    heard = Heard()
    heard.room_io.linked_participant = participant("ann")
    heard.there("bob")
    heard.attended.link(participant("bob"))
    heard.there("bob", "eve")
    heard.attended.link(participant("eve"))
    heard.there("bob", "eve", "ann")
    heard.attended.link(participant("ann"))
    assert heard.room_io.chosen == ["bob", "ann"]


def test_who_comes_to_an_agent_that_hears_nobody_is_heard() -> None:
    heard = Heard()
    heard.there("stranger")
    heard.attended.link(participant("stranger"))
    assert heard.room_io.chosen == ["stranger"]


@pytest.mark.parametrize(
    ("options", "counted"),
    [
        (None, {"ann", "phone"}),
        (RoomOptions(), {"ann", "phone"}),
        (RoomOptions(participant_identity="ann"), {"ann"}),
        (RoomOptions(participant_kinds=[KINDS.PARTICIPANT_KIND_AGENT]), {"agent"}),
    ],
)
def test_a_caller_is_whom_the_package_wants_to_hear(options: RoomOptions | None, counted: set[str]) -> None:
    there = [
        participant("ann"),
        participant("phone", KINDS.PARTICIPANT_KIND_SIP),
        participant("agent", KINDS.PARTICIPANT_KIND_AGENT),
        participant("recorder", KINDS.PARTICIPANT_KIND_EGRESS),
    ]
    assert {one.identity for one in filter(build_caller_filter(options), there)} == counted


def test_other_room_options_stay() -> None:
    options = stay_when_callers_leave(RoomOptions(delete_room_on_close=True))
    assert options.delete_room_on_close
    assert not options.close_on_disconnect


def test_it_is_closed_as_livekit_agents_closes_it_and_else_its_job_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    session: Any = SimpleNamespace(on=lambda *_: None)
    context: Any = SimpleNamespace(shutdown=ended.append)
    attended = AttendedSession(session, context, None)  # type: ignore[arg-type]
    monkeypatch.setattr(module, "close_because_left", lambda session: True)
    attended.end("everybody has left")
    assert ended == []
    attended.end("nobody has come")
    monkeypatch.setattr(module, "close_because_left", lambda session: False)
    attended.end("everybody has left")
    assert ended == ["nobody has come", "everybody has left"]


class Ear(io.AudioInput):
    """Hears nothing."""

    def __init__(self) -> None:
        super().__init__(label="ear")

    async def __anext__(self) -> rtc.AudioFrame:
        await wait_until(lambda: False, 3600)
        raise AssertionError


class Chatty(llm.LLM[str]):
    """Answers, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, **options: Any) -> llm.LLMStream:
        self.asked += 1
        return _Stream(self, chat_ctx=chat_ctx, tools=[], conn_options=DEFAULT_API_CONNECT_OPTIONS)


class _Stream(llm.LLMStream):
    async def _run(self) -> None:
        await wait_until(lambda: False, 3600)


def is_deaf(session: AgentSession[Any]) -> bool:
    return not session.input.audio_enabled


async def test_a_session_that_rests_stops_what_it_says_and_begins_nothing() -> None:
    session: AgentSession[Any] = AgentSession(llm=Chatty(), vad=None)
    ear = Ear()
    session.input.audio = ear
    hang_up = HangUp(rtc.EventEmitter(), 60.0)  # type: ignore[arg-type]
    pause = Pause(session, hang_up)
    async with session:
        await session.start(Agent(instructions="x"))
        speech = session.generate_reply(user_input="hello")
        pause.pause()
        assert speech.interrupted
        assert is_deaf(session)
        later = session.generate_reply(user_input="are you there")
        assert later.interrupted
        pause.resume()
        assert not is_deaf(session)
        again = session.generate_reply(user_input="are you there")
        assert not again.interrupted
        again.interrupt(force=True)


async def test_an_agent_that_was_deaf_before_is_so_afterwards() -> None:
    session: AgentSession[Any] = AgentSession(llm=Chatty(), vad=None)
    session.input.audio = Ear()
    session.input.set_audio_enabled(False)
    pause = Pause(session, HangUp(rtc.EventEmitter(), 60.0))  # type: ignore[arg-type]
    async with session:
        await session.start(Agent(instructions="x"))
        pause.pause()
        pause.resume()
        assert not session.input.audio_enabled


async def test_what_waits_for_a_running_tool_goes_on_until_the_tool_has_ended() -> None:
    session: AgentSession[Any] = AgentSession(llm=Chatty(), vad=None)
    hang_up = HangUp(rtc.EventEmitter(), 60.0)  # type: ignore[arg-type]
    pause = Pause(session, hang_up)
    async with session:
        await session.start(Agent(instructions="x"))
        first = session.generate_reply(user_input="look it up")
        second = session.generate_reply(user_input="and this")
        with hang_up.limit("a tool", 60.0, is_tool=True):
            await wait_until(lambda: session.current_speech is first)
            pause.pause()
            assert first.interrupted
            assert not second.interrupted
        session.emit("function_tools_executed", SimpleNamespace())  # type: ignore[arg-type]
        assert second.interrupted
