"""Text to speech with the wheel's engine, and the choice of engines and voices."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from livekit.agents import Agent

from openrtc import OpenRTCError, ProviderContext
from openrtc_offline.provider import OfflineProvider
from openrtc_offline.speech.engines import EspeakLoader, Flite, choose_voice, find_engines

FAKE_FLITE = """#!/bin/sh
[ "$1" = -lv ] && echo "Voices available: kal slt rms" && exit 0
exit 1
"""


@pytest.fixture
async def provider() -> AsyncIterator[OfflineProvider]:
    made = OfflineProvider()
    yield made
    await asyncio.to_thread(made.close)


def context(name: str) -> ProviderContext:
    return ProviderContext(agent_name=name, agent=Agent(instructions=""))


@pytest.mark.process
async def test_text_becomes_sound(provider: OfflineProvider) -> None:
    frame = await provider.tts("espeak", context("desk")).synthesize("Hello **there**. How are you?").collect()
    samples = np.frombuffer(frame.data, dtype=np.int16)
    assert frame.num_channels == 1 and frame.duration > 1.0 and np.abs(samples).max() > 3000


async def test_text_without_words_is_silence_and_no_error(provider: OfflineProvider) -> None:
    voice = provider.tts("espeak", context("desk"))
    frame = await voice.synthesize("👍").collect()
    assert frame.duration < 0.1 and not np.frombuffer(frame.data, dtype=np.int16).any()
    assert [audio async for audio in voice.synthesize("")] == []


@pytest.mark.process
async def test_the_first_sentence_of_a_long_text_comes_early(provider: OfflineProvider) -> None:
    voice = provider.tts("espeak", context("desk"))
    stream = voice.synthesize("Yes. " + "This is a sentence that goes on and on. " * 30)
    sizes = [event.frame.duration async for event in stream]
    assert len(sizes) > 5 and sum(sizes) > 30


async def test_agents_sound_different_and_always_the_same(provider: OfflineProvider) -> None:
    names = ["support", "sales", "dispatcher", "driver"]
    voices = [provider.tts("espeak", context(name)).voice for name in names]
    assert len(set(voices)) >= 3
    assert voices == [provider.tts("espeak", context(name)).voice for name in names]


@pytest.mark.process
async def test_two_voices_differ_in_sound(provider: OfflineProvider) -> None:
    sounds = [
        bytes((await provider.tts(model, context("x")).synthesize("Hello").collect()).data)
        for model in ("espeak/en-us", "espeak/en-us+f3")
    ]
    assert sounds[0] != sounds[1]


@pytest.mark.process
async def test_the_engine_comes_back_after_its_process_died(provider: OfflineProvider) -> None:
    voice = provider.tts("espeak", context("desk"))
    await voice.synthesize("One.").collect()
    (pid,) = provider.speakers.pids
    os.kill(pid, signal.SIGKILL)
    frame = await voice.synthesize("Two.").collect()
    assert frame.duration > 0.2 and provider.speakers.pids != [pid]


@pytest.mark.process
def test_programs_on_the_path_come_before_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: OfflineProvider
) -> None:
    flite = tmp_path / "flite"
    flite.write_text(FAKE_FLITE)
    flite.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    engines = find_engines(provider.speakers)
    assert [type(engine) for engine in engines] == [Flite, EspeakLoader]
    assert engines[0].voices == ("slt", "rms")
    assert choose_voice("rms", "desk", engines) == (engines[0], "rms")
    assert choose_voice("en-us+f3", "desk", engines) == (engines[1], "en-us+f3")
    assert choose_voice("espeak", "desk", engines)[0] is engines[1]


@pytest.mark.parametrize("model", ["slt9", "en-us+nobody", "espeak/slt", "festival"])
def test_an_unknown_voice_is_one_line_with_those_that_are_there(
    model: str, monkeypatch: pytest.MonkeyPatch, provider: OfflineProvider
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OpenRTCError, match="espeak \\(en-us") as caught:
        provider.tts(model, context("desk"))
    assert model in str(caught.value)


@pytest.mark.process
async def test_an_engine_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: OfflineProvider
) -> None:
    flite = tmp_path / "flite"
    flite.write_text(FAKE_FLITE)
    flite.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    from livekit.agents import APIConnectionError, APIConnectOptions

    voice = provider.tts("flite", context("desk"))
    with pytest.raises(APIConnectionError, match="flite ended with code 1"):
        await voice.synthesize("Hello", conn_options=APIConnectOptions(max_retry=0)).collect()
