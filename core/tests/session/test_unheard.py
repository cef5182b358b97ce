from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import SpeechCreatedEvent
from livekit.agents.voice import SpeechHandle

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import Event
from openrtc.runtime.live_call import LiveCall
from openrtc.session import unheard
from openrtc.session.unheard import MOST_KEPT, end_when_unheard, go_on_when_unheard, is_held_back, note_typing
from waiting import wait_until

STANDARD = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP
AGENT = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


class Room(rtc.EventEmitter[str]):
    """A room with some participants."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, Any] = {}
        self.local_participant = SimpleNamespace(identity="agent")
        self.handlers: dict[str, Any] = {}

    def register_text_stream_handler(self, topic: str, handler: Any) -> None:
        self.handlers[topic] = handler

    def unregister_text_stream_handler(self, topic: str) -> None:
        del self.handlers[topic]

    def join(self, kind: Any = STANDARD, **attributes: str) -> None:
        hidden = SimpleNamespace(hidden=False)
        person = SimpleNamespace(kind=kind, permissions=hidden, attributes=attributes)
        self.remote_participants[str(len(self.remote_participants))] = person


class Session(rtc.EventEmitter[str]):
    """A session whose speech waits for a subscriber."""

    def __init__(self) -> None:
        super().__init__()
        source = SimpleNamespace()
        sink = SimpleNamespace(_subscribed_fut=asyncio.get_running_loop().create_future(), _audio_source=source)
        self.source = source
        self.sink = sink
        self.room = Room()

        class RoomIO:
            _audio_output = audio_output = sink
            room = self.room
            subscribed_fut = property(lambda _: sink._subscribed_fut)

        self.room_io = RoomIO()
        self.output = SimpleNamespace(audio=sink, audio_enabled=True)

    def speak(self) -> SpeechHandle:
        speech = SpeechHandle.create()
        self.emit("speech_created", SpeechCreatedEvent(user_initiated=True, source="say", speech_handle=speech))
        return speech


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("COUNT_SECONDS", 0.01), ("TYPED_SECONDS", 0.05), ("UNHEARD_SECONDS", 0.2)):
        monkeypatch.setattr(unheard, name, seconds)


@pytest.fixture
async def session() -> Any:
    return Session()


@pytest.fixture
def emitted() -> list[Event]:
    return []


@pytest.fixture
def live(emitted: list[Event]) -> LiveCall:
    events = EventStream()
    events.subscribe(emitted.append)
    return LiveCall(events=events, job_id="AJ_1", room="r", agent="support", distribution="d")


@pytest.fixture
def context() -> Any:
    reasons: list[str] = []
    return SimpleNamespace(shutdown=reasons.append, reasons=reasons)


async def test_a_call_that_nobody_hears_is_ended_with_one_line(
    session: Any, live: LiveCall, context: Any, emitted: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    end_when_unheard(session, context, live)
    session.room.join()
    with caplog.at_level(logging.WARNING):
        session.speak()
        await asyncio.sleep(0)
        assert context.reasons == []
        await wait_until(lambda: context.reasons)
    assert context.reasons == ["nobody hears the agent"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert len(emitted) == 1
    assert live.failed


async def test_a_pause_between_two_speeches_does_not_begin_the_wait_anew(
    session: Any, live: LiveCall, context: Any
) -> None:
    end_when_unheard(session, context, live)
    session.room.join()
    async with asyncio.timeout(60.0):
        while not context.reasons:
            speech = session.speak()
            await asyncio.sleep(0.05)
            speech._mark_done()


@pytest.mark.parametrize("case", ["nobody", "machine", "ringing", "silent", "subscribed", "avatar", "switched off"])
async def test_no_call_is_ended_while_nobody_could_hear_it(
    session: Any, live: LiveCall, context: Any, case: str
) -> None:
    end_when_unheard(session, context, live)
    if case == "machine":
        session.room.join(AGENT)
    elif case == "ringing":
        session.room.join(SIP, **{"sip.callStatus": "ringing"})
    elif case != "nobody":
        session.room.join()
    if case == "avatar":
        session.output.audio = object()
    if case == "switched off":
        session.output.audio_enabled = False
    if case != "silent":
        session.speak()
    if case == "subscribed":
        session.sink._subscribed_fut.set_result(None)
    await asyncio.sleep(0.4)
    assert context.reasons == []
    session.emit("close", None)


async def test_a_phone_that_was_answered_could_hear(session: Any, live: LiveCall, context: Any) -> None:
    end_when_unheard(session, context, live)
    session.room.join(SIP, **{"sip.callStatus": "active"})
    session.speak()
    await wait_until(lambda: context.reasons)


async def test_a_recorder_before_the_rooms_output_changes_nothing(session: Any, live: LiveCall, context: Any) -> None:
    end_when_unheard(session, context, live)
    session.output.audio = SimpleNamespace(next_in_chain=SimpleNamespace(next_in_chain=session.sink))
    session.room.join()
    session.speak()
    await wait_until(lambda: context.reasons)


async def test_whoever_types_gets_text_at_once_until_somebody_subscribes(
    session: Any, live: LiveCall, context: Any, caplog: pytest.LogCaptureFixture
) -> None:
    note_typing(session.room, live)
    live.listen()
    session.room.register_text_stream_handler("lk.chat", lambda reader, identity: "handled")
    session.room.register_text_stream_handler("other", lambda reader, identity: "other")
    typed = []
    for topic, answer in (("other", "other"), ("lk.chat", "handled")):
        assert session.room.handlers[topic](None, "ann") == answer
        typed.append(live.typed_at is not None)
    assert typed == [False, True]
    end_when_unheard(session, context, live)
    session.room.join()
    with caplog.at_level(logging.WARNING):
        session.speak()
        await wait_until(lambda: not is_held_back(session))
    assert context.reasons == []
    assert "goes out as text" in caplog.text
    await session.source.capture_frame(object())
    await session.source.wait_for_playout()
    session.room.emit("local_track_subscribed", None)
    assert not vars(session.source), "it is heard from now on"


async def test_a_cast_goes_on_in_real_time(session: Any, live: LiveCall, caplog: pytest.LogCaptureFixture) -> None:
    next_one: Any = Session()
    for one in (session, next_one):
        go_on_when_unheard(one, live)
        one.room.join()
    with caplog.at_level(logging.WARNING):
        session.speak()
        await wait_until(lambda: not is_held_back(session))
    assert not vars(session.source)
    assert "the track of 'agent'" in caplog.text
    next_one.speak()
    await wait_until(lambda: not is_held_back(next_one))  # the others need not wait as long once more


async def test_an_interruption_does_not_end_the_wait_of_later_speech(
    session: Any, live: LiveCall, context: Any
) -> None:
    first = session.sink._subscribed_fut
    end_when_unheard(session, context, live)
    session.speak()

    async def wait() -> str:
        await session.sink._subscribed_fut
        return "heard"

    interrupted = asyncio.create_task(wait())
    await asyncio.sleep(0)
    interrupted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await interrupted
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0.02)
    assert is_held_back(session)
    session.sink._subscribed_fut.set_result(None)
    assert await waiting == "heard"
    assert await wait() == "heard"
    await asyncio.sleep(0)
    assert first.done(), "livekit-agents' own session waits for the one that was there first"
    session.emit("close", None)


def test_what_is_typed_before_the_agent_listens_waits_for_it(session: Any, live: LiveCall) -> None:
    took: list[Any] = []
    note_typing(session.room, live)
    session.room.handlers["lk.chat"]("before there is a handler", "ann")
    session.room.register_text_stream_handler("lk.chat", lambda reader, identity: took.append((reader, identity)))
    session.room.handlers["lk.chat"]("before it listens", "bob")
    assert took == [] and live.typed_at is not None
    live.listen()
    session.room.handlers["lk.chat"]("then", "ann")
    assert took == [("before there is a handler", "ann"), ("before it listens", "bob"), ("then", "ann")]


def test_not_everything_is_kept_that_somebody_types_before_the_agent_listens(session: Any, live: LiveCall) -> None:
    took: list[Any] = []
    note_typing(session.room, live)
    for number in range(2 * MOST_KEPT):
        session.room.handlers["lk.chat"](number, "ann")
    session.room.register_text_stream_handler("lk.chat", lambda reader, identity: took.append(reader))
    for number in range(2 * MOST_KEPT):
        session.room.handlers["lk.chat"](number, "ann")
    live.listen()
    assert took == list(range(MOST_KEPT))
