"""What an agent says when its call is ended: in place of everything else, and nothing without a voice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io

from openrtc.session import goodbye as module
from openrtc.session.goodbye import say_goodbye


class Pen(io.TextOutput):
    """Writes down what is said."""

    def __init__(self) -> None:
        super().__init__(label="pen", next_in_chain=None)
        self.written = ""

    async def capture_text(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        """Nothing is held back."""


class Session:
    """A session that a realtime model holds, or one whose agent is not heard yet."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.current_agent = None
        audio = SimpleNamespace(audio=object(), audio_enabled=True, set_audio_enabled=self.note)
        self.input = self.output = audio

    def note(self, value: Any = None, **named: Any) -> Any:
        self.done.append(named or value)
        return self

    interrupt = generate_reply = say = note

    async def wait_for_playout(self) -> None:
        self.done.append("waited")


async def test_the_words_go_out_as_text_where_there_is_no_sound() -> None:
    session: AgentSession[Any] = AgentSession(vad=None)
    pen = Pen()
    await session.start(Agent(instructions="x"))
    session.output.transcription = pen
    await say_goodbye(session, "So long.")
    assert pen.written == "So long."
    await session.aclose()
    with pytest.raises(RuntimeError):  # which whoever ends the call takes for a session without a voice
        await say_goodbye(session, "again")


@pytest.mark.parametrize(
    ("realtime", "held", "can", "done"),
    [
        (True, False, True, [{"instructions": "Say goodbye to the caller with these words: So long."}, "waited"]),
        (False, False, True, [{"allow_interruptions": False}, "waited"]),
        (False, False, False, []),
        (False, True, True, []),
    ],
)
async def test_who_says_it_and_who_is_heard_no_more(
    monkeypatch: pytest.MonkeyPatch, realtime: bool, held: bool, can: bool, done: list[Any]
) -> None:
    session: Any = Session()
    monkeypatch.setattr(module, "has_realtime_model", lambda *_: realtime)
    monkeypatch.setattr(module, "is_held_back", lambda _: held)
    monkeypatch.setattr(module, "can_say", lambda _: can)
    monkeypatch.setattr(module, "TAIL_SECONDS", 0.0)
    await say_goodbye(session, "So long.")
    assert session.done == [{"force": True}, False, *done]
