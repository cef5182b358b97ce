"""What a session hears with: nothing of it is there before it is used, and nothing after."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, llm, stt, vad
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from openrtc.session.hearing import SpeechInput


class Recogniser(stt.STT[str]):
    """Counts its streams."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))
        self.streams = 0

    async def _recognize_impl(self, *args: Any, **options: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, **options: Any) -> Any:
        self.streams += 1
        return _Silent(stt=self, conn_options=DEFAULT_API_CONNECT_OPTIONS, sample_rate=16_000)


class _Silent(stt.RecognizeStream):
    async def _run(self) -> None:
        async for _ in self._input_ch:
            pass


class Detector(vad.VAD):
    """Detects nothing."""

    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.1))

    def stream(self) -> Any:
        raise NotImplementedError("it is not used here")


async def deaf_session(agent: Agent) -> AgentSession[Any]:
    """Return a session that has started and hears nothing."""
    agent.update_options(stt=None, vad=None)
    session: AgentSession[Any] = AgentSession(llm=_Mute(), vad=None, turn_handling={"turn_detection": "manual"})
    await session.start(agent)
    return session


class _Mute(llm.LLM[str]):
    def chat(self, **options: Any) -> llm.LLMStream:
        raise NotImplementedError


def made_once(made: list[Recogniser]) -> Recogniser:
    made.append(Recogniser())
    return made[-1]


async def test_a_session_hears_when_it_is_to_and_nothing_is_made_before() -> None:
    made: list[Recogniser] = []
    agent = Agent(instructions="x")
    options = {"stt": lambda: made_once(made), "vad": None, "turn_handling": {"turn_detection": "stt"}}
    ears = SpeechInput.of(agent, options, realtime=False)
    session = await deaf_session(agent)
    assert made == [] and ears.usable
    ears.open(session)
    await session.aclose()
    assert len(made) == 1 and made[0].streams == 1
    assert session.turn_detection == "stt"


async def test_a_session_that_is_to_hear_no_more_takes_nobody_to_be_speaking() -> None:
    agent = Agent(instructions="x")
    ears = SpeechInput.of(agent, {"stt": Recogniser, "vad": None, "turn_handling": {}}, realtime=False)
    session = await deaf_session(agent)
    ears.open(session)
    session._activity.on_start_of_speech(None, speech_start_time=0.0)  # type: ignore[union-attr]
    assert session.user_state == "speaking"
    ears.close(session)
    assert (session.user_state, session.turn_detection) == ("listening", "manual")
    assert agent.stt is None
    await session.aclose()


@pytest.mark.parametrize(
    ("options", "realtime", "usable"),
    [({}, False, False), ({"stt": Recogniser}, False, True), ({}, True, True)],
)
def test_a_member_can_listen_with_an_stt_or_a_realtime_model(
    options: dict[str, Any], realtime: bool, usable: bool
) -> None:
    assert SpeechInput.of(Agent(instructions="x"), options, realtime=realtime).usable is usable


def test_the_agents_own_models_outweigh_those_of_its_session() -> None:
    own, detector = Recogniser(), Detector()
    agent = Agent(instructions="x", stt=own, vad=detector)
    ears = SpeechInput.of(agent, {"stt": Recogniser, "vad": None}, realtime=False, turn_detection="vad")
    assert (ears.stt(), ears.vad(), ears.turn_detection()) == (own, detector, "vad")
