"""Real speech through the real processes: what was asked is heard, and leads to the right tool."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import date

import numpy as np
import pytest
import pytest_asyncio
from livekit import rtc
from livekit.agents import Agent, function_tool, stt

from openrtc import ProviderContext
from openrtc_offline.provider import OfflineProvider
from openrtc_offline.recognition.stt import to_pcm
from openrtc_offline.recognition.vocabulary import CurrentVocabulary
from openrtc_offline.rules.conversation import CallTool, Conversation, ConversationItem, Say
from openrtc_offline.toolbox import describe_tools

if sys.version_info >= (3, 14):  # for which it has no wheel; elsewhere it must be there
    pytest.importorskip("pocketsphinx")

# One provider for all tests of this file: starting a recogniser takes a second.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.process]


class Secrets(Agent):
    @function_tool
    async def secret_word(self) -> str:
        """Tell the secret word of the day."""
        return "banana"


class Bank(Agent):
    @function_tool
    async def get_balance(self, account_number: str) -> str:
        """Return the balance of an account number."""
        return f"{account_number} holds nine dollars"

    @function_tool
    async def block_card(self) -> str:
        """Block a lost or stolen credit card."""
        return "blocked"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def provider() -> AsyncIterator[OfflineProvider]:
    made = OfflineProvider()
    yield made
    recognizers = made.recognizers
    await asyncio.to_thread(made.close)
    assert recognizers.pids == []


def context(agent: Agent) -> ProviderContext:
    return ProviderContext(agent_name=type(agent).__name__.lower(), agent=agent)


async def speak(provider: OfflineProvider, text: str, voice: str = "espeak/en-us") -> rtc.AudioFrame:
    frame: rtc.AudioFrame = await provider.tts(voice, context(Agent(instructions=""))).synthesize(text).collect()
    return frame


async def hear(provider: OfflineProvider, agent: Agent, text: str, voice: str = "espeak/en-us") -> str:
    recognition: stt.STT[str] = provider.stt("", context(agent))
    event = await recognition.recognize(await speak(provider, text, voice))
    return event.alternatives[0].text


def decide(agent: Agent, text: str) -> Say | CallTool:
    items = (ConversationItem("user", text),)
    return Conversation(
        name="agent", tools=describe_tools(agent.tools), items=items, today=date(2026, 11, 21)
    ).next_step()


@pytest.mark.parametrize("voice", ["espeak/en-us", "espeak/en-us+f2"])
@pytest.mark.parametrize("question", ["what is the secret word of the day", "can you tell me the secret word"])
async def test_a_spoken_question_calls_the_right_tool(provider: OfflineProvider, question: str, voice: str) -> None:
    heard = await hear(provider, Secrets(instructions=""), question, voice)
    assert decide(Secrets(instructions=""), heard) == CallTool("secret_word"), heard


async def test_an_account_number_is_heard_digit_by_digit(provider: OfflineProvider) -> None:
    bank = Bank(instructions="")
    heard = await hear(provider, bank, "what is the balance of account number three one four")
    assert decide(bank, heard) == CallTool("get_balance", {"account_number": "314"}), heard


@pytest.mark.parametrize("speech", ["the children were playing in the garden", "my neighbor has a very loud dog"])
async def test_speech_about_something_else_calls_no_tool(provider: OfflineProvider, speech: str) -> None:
    for agent in (Secrets(instructions=""), Bank(instructions="")):
        heard = await hear(provider, agent, speech)
        assert isinstance(decide(agent, heard), Say), heard


async def test_silence_is_no_words(provider: OfflineProvider) -> None:
    recognition = provider.stt("", context(Secrets(instructions="")))
    event = await recognition.recognize(rtc.AudioFrame(bytes(2 * 16_000), 16_000, 1, 16_000))
    assert event.alternatives[0].text == ""


async def test_two_agents_are_heard_at_once_each_with_its_own_vocabulary(provider: OfflineProvider) -> None:
    secrets, bank = Secrets(instructions=""), Bank(instructions="")
    heard = await asyncio.gather(
        hear(provider, secrets, "tell me the secret word please"),
        hear(provider, bank, "please block my credit card"),
        hear(provider, secrets, "what is the secret word"),
        hear(provider, bank, "my credit card was stolen"),
    )
    steps = [decide(agent, text) for agent, text in zip((secrets, bank, secrets, bank), heard, strict=True)]
    assert steps == [CallTool("secret_word"), CallTool("block_card")] * 2, heard


async def test_an_utterance_survives_the_death_of_its_recogniser(provider: OfflineProvider) -> None:
    recognition: stt.STT[str] = provider.stt("", context(Secrets(instructions="")))
    frame = await speak(provider, "what is the secret word")
    failures: list[object] = []
    recognition.on("error", failures.append)
    listening = asyncio.create_task(recognition.recognize(frame))
    # More than once: a child that dies before it is asked is replaced without a failure.
    while not failures and not listening.done():
        for pid in provider.recognizers.pids:
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)
    event = await listening
    assert failures and "secret word" in event.alternatives[0].text


async def test_audio_of_any_rate_and_channels_is_made_16_khz_mono() -> None:
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.int16)
    stereo = np.stack([tone, tone], axis=1)
    pcm = np.frombuffer(to_pcm(rtc.AudioFrame(stereo.tobytes(), 48_000, 2, 48_000)), dtype=np.int16)
    assert abs(len(pcm) - 16_000) < 200
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    assert abs(int(spectrum.argmax()) * 16_000 / len(pcm) - 440) < 5


async def test_the_vocabulary_follows_the_agents_tools() -> None:
    agent = Secrets(instructions="")
    vocabulary = CurrentVocabulary(agent, "secrets")
    before = vocabulary()
    assert vocabulary() is before
    await agent.update_tools(Bank(instructions="").tools)
    assert "block card" in vocabulary().actions and "secret word" not in vocabulary().actions
