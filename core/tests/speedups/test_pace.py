"""How fast a voice speaks is what livekit-agents says it is, to the last bit, on real speech."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice.transcription import _speaking_rate
from livekit.agents.voice.transcription._speaking_rate import SpeakingRateDetector, SpeakingRateEvent

from offline_speech import at_rate
from openrtc.speedups import pace
from openrtc.speedups.pace import SpectralFlux
from openrtc.speedups.vad_detector import Samples
from openrtc.upstream.digest import find_changes


@pytest.fixture(autouse=True)
def _upstream_again() -> Iterator[None]:
    yield
    pace.uninstall()


async def run_stream(
    samples: Samples, rate: int, size: int, *, channels: int = 1, kept: bool
) -> list[SpeakingRateEvent]:
    """Return the events of a stream of samples in frames of one size, with a flush in the middle."""
    (pace.install if kept else pace.uninstall)()
    stream = SpeakingRateDetector().stream()
    for at in range(0, len(samples), size):
        part = samples[at : at + size]
        if at // size == len(samples) // size // 2:
            stream.flush()
        both = np.repeat(part, channels)
        stream.push_frame(rtc.AudioFrame(both.tobytes(), rate, channels, len(part)))
    stream.end_input()
    return [event async for event in stream]


def test_this_pace_is_known() -> None:
    assert find_changes("pace") == {}


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
async def test_every_event_is_upstreams_at_each_rate(speech: tuple[Samples, int], rate: int) -> None:
    samples = np.tile(at_rate(*speech, rate), 2)
    upstream = await run_stream(samples, rate, rate // 20, kept=False)
    assert len(upstream) > 20 and any(event.speaking for event in upstream)
    assert await run_stream(samples, rate, rate // 20, kept=True) == upstream


@pytest.mark.parametrize("size", [240, 777, 4800, 60000])
async def test_every_event_is_upstreams_however_the_audio_is_cut(speech: tuple[Samples, int], size: int) -> None:
    samples = at_rate(*speech, 24000)
    quiet = np.zeros(30000, np.int16)  # and with a pause, of which upstream works out nothing
    samples = np.concatenate([samples, quiet, samples])
    assert await run_stream(samples, 24000, size, kept=True) == await run_stream(samples, 24000, size, kept=False)


async def test_two_channels_give_upstreams_events(speech: tuple[Samples, int]) -> None:
    samples = at_rate(*speech, 24000)
    kept, upstream = [await run_stream(samples, 24000, 1200, channels=2, kept=kept) for kept in (True, False)]
    assert kept == upstream


async def test_streams_side_by_side_do_not_mix(speech: tuple[Samples, int]) -> None:
    one, other = at_rate(*speech, 24000), at_rate(*speech, 24000)[::-1].copy()
    upstream = [await run_stream(samples, 24000, 1200, kept=False) for samples in (one, other)]
    assert await asyncio.gather(*(run_stream(samples, 24000, 1200, kept=True) for samples in (one, other))) == upstream


def test_only_what_is_new_is_looked_at(speech: tuple[Samples, int], monkeypatch: pytest.MonkeyPatch) -> None:
    audio = (at_rate(*speech, 24000) / 32767).astype(np.float32)
    looked_at: list[int] = []
    real = pace._compute_changes

    def changes(part: pace.Audio, length: int, hop: int) -> pace.Values:
        looked_at.append(len(part))
        return real(part, length, hop)

    monkeypatch.setattr(pace, "_compute_changes", changes)
    flux = SpectralFlux(2400)
    for begin in (0, 2400, 4800, 4801, 7201):
        flux.compute(audio[begin : begin + 24000], 24000)
    assert looked_at == [24000, 3000, 3000, 24000, 3000]


def test_a_window_shorter_than_two_frames_has_none() -> None:
    assert SpectralFlux(800).compute(np.ones(500, np.float32), 16000) == 0.0


def test_it_stands_in_for_the_function_that_streams_call() -> None:
    pace.install()
    assert _speaking_rate.SpeakingRateStream._spectral_flux is pace._compute_flux
    pace.uninstall()
    assert _speaking_rate.SpeakingRateStream._spectral_flux is not pace._compute_flux
