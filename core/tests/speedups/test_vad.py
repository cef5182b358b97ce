"""The voice activity detection in the loop gives what livekit-agents' own gives, event by event, on real speech."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import inference, vad
from livekit.agents.metrics import VADMetrics

import openrtc.speedups.vad as speedup
from offline_speech import at_rate
from openrtc.speedups.vad_detector import Samples
from openrtc.upstream.digest import find_changes

SETTLED_SECONDS = 0.05

Step = rtc.AudioFrame | Callable[[vad.VADStream], Any]
"""A frame that is pushed, or what is done to the stream once all before it has been heard."""


@pytest.fixture(autouse=True)
def _upstream_again() -> Iterator[None]:
    yield
    speedup.uninstall()


class Dithering:
    """The native resampler, which dithers: here the same audio gives the same each time."""

    known: ClassVar[dict[bytes, list[rtc.AudioFrame]]] = {}
    make: ClassVar[Any] = rtc.AudioResampler

    def __init__(self, *args: Any, **options: Any) -> None:
        self._pushed = hashlib.sha256(repr((args, sorted(options.items()))).encode())
        self._real = self.make(*args, **options)

    def push(self, frame: rtc.AudioFrame) -> list[rtc.AudioFrame]:
        """Resample a frame, as it was resampled before when everything pushed until now is the same."""
        self._pushed.update(b"%d:" % len(frame.data) + bytes(frame.data))
        resampled = self._real.push(frame)
        return self.known.setdefault(self._pushed.digest(), resampled)


@pytest.fixture(autouse=True)
def _same_dither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtc, "AudioResampler", Dithering)


def call_of(speech: tuple[Samples, int], rate: int, *, noise: int = 0) -> Samples:
    """Return silence, speech, a longer silence and speech again, with noise under all of it."""
    said = at_rate(*speech, rate)
    quiet = np.zeros(int(0.8 * rate), np.int16)
    whole = np.concatenate([quiet, said, quiet, quiet, said, quiet])
    return (whole + np.random.default_rng(1).normal(0, noise, len(whole))).clip(-32768, 32767).astype(np.int16)


def frames_of(samples: Samples, rate: int, *sizes: int) -> list[Step]:
    """Cut samples into frames, with the sizes in turn."""
    frames: list[Step] = []
    at = 0
    while at < len(samples):
        part = samples[at : at + sizes[len(frames) % len(sizes)]]
        frames.append(rtc.AudioFrame(part.tobytes(), rate, 1, len(part)))
        at += len(part)
    return frames


async def run_stream(in_loop: bool, steps: list[Step], **options: Any) -> tuple[list[vad.VADEvent], list[VADMetrics]]:
    """Return the events and metrics of one stream that goes through the steps."""
    (speedup.install if in_loop else speedup.uninstall)()
    detection = inference.VAD(**options)
    metrics: list[VADMetrics] = []
    detection.on("metrics_collected", metrics.append)
    stream = detection.stream()
    assert isinstance(stream, speedup.InLoopStream) is in_loop
    events: list[vad.VADEvent] = []

    async def listen() -> None:
        async for event in stream:
            events.append(event)

    listening = asyncio.create_task(listen())
    for step in steps:
        if isinstance(step, rtc.AudioFrame):
            stream.push_frame(step)
        else:
            await settle(events)
            step(stream)
    stream.end_input()
    await listening
    await stream.aclose()
    return events, metrics


async def settle(events: list[vad.VADEvent]) -> None:
    """Wait until no further event comes."""
    before = -1
    while len(events) != before:
        before = len(events)
        await asyncio.sleep(SETTLED_SECONDS)


def plain(event: vad.VADEvent) -> dict[str, Any]:
    """Return everything of an event but how long the model took."""
    frames = [(bytes(f.data), f.sample_rate, f.num_channels, f.samples_per_channel) for f in event.frames]
    assert event.inference_duration >= 0.0
    return {**vars(event), "frames": frames, "inference_duration": None}


async def assert_equal(steps: list[Step], **options: Any) -> list[vad.VADEvent]:
    wanted, wanted_metrics = await run_stream(False, steps, **options)
    found, found_metrics = await run_stream(True, steps, **options)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert plain(one) == plain(other)
    counts = [(m.label, m.inference_count, m.metadata) for m in found_metrics]
    assert counts == [(m.label, m.inference_count, m.metadata) for m in wanted_metrics]
    return found


def edges(events: list[vad.VADEvent]) -> list[str]:
    return [event.type.value for event in events if event.type is not vad.VADEventType.INFERENCE_DONE]


TWO_UTTERANCES = ["start_of_speech", "end_of_speech"] * 2


def test_this_voice_activity_detection_is_known() -> None:
    assert find_changes("vad") == {}


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000])
async def test_every_event_is_upstreams_at_each_rate(speech: tuple[Samples, int], rate: int) -> None:
    events = await assert_equal(frames_of(call_of(speech, rate), rate, rate // 20))
    assert edges(events)[:2] == TWO_UTTERANCES[:2] and len(edges(events)) >= 4


@pytest.mark.parametrize("sizes", [(160,), (7, 513, 1, 512, 3000), (1024,), (40000,)], ids=str)
@pytest.mark.parametrize("rate", [16000, 24000])
async def test_every_event_is_upstreams_however_the_audio_is_cut(
    speech: tuple[Samples, int], rate: int, sizes: tuple[int, ...]
) -> None:
    assert len(edges(await assert_equal(frames_of(call_of(speech, rate), rate, *sizes)))) >= 3


@pytest.mark.parametrize("noise", [30, 1000, 6000])
async def test_every_event_is_upstreams_with_noise(speech: tuple[Samples, int], noise: int) -> None:
    await assert_equal(frames_of(call_of(speech, 24000, noise=noise), 24000, 1200))


async def test_silence_and_noise_alone_give_upstreams_events() -> None:
    silence = np.zeros(32000, np.int16)
    hiss = np.random.default_rng(2).normal(0, 3000, 32000).astype(np.int16)
    await assert_equal(frames_of(np.concatenate([silence, hiss]), 16000, 800))


@pytest.mark.parametrize("rate", [16000, 48000])
async def test_a_flush_in_the_middle_of_speech_begins_anew_as_upstream_does(
    speech: tuple[Samples, int], rate: int
) -> None:
    frames = frames_of(call_of(speech, rate), rate, rate // 50 + 3)
    middle = next(n for n, _ in enumerate(frames) if n * (rate // 50 + 3) > 1.4 * rate)
    events = await assert_equal([*frames[:middle], lambda stream: stream.flush(), *frames[middle:]])
    assert events[-1].samples_index < sum(1 for e in events if e.type is vad.VADEventType.INFERENCE_DONE) * 512


async def test_a_flush_before_any_audio_and_two_in_a_row_change_nothing(speech: tuple[Samples, int]) -> None:
    def twice(stream: vad.VADStream) -> None:
        stream.flush()
        stream.flush()

    await assert_equal([twice, *frames_of(call_of(speech, 16000), 16000, 800), twice])


async def test_changed_options_count_as_upstreams_do(speech: tuple[Samples, int]) -> None:
    frames = frames_of(call_of(speech, 24000), 24000, 1200)

    def strict(stream: Any) -> None:
        stream.update_options(activation_threshold=0.8, min_silence_duration=0.7, prefix_padding_duration=0.2)

    def longer(stream: Any) -> None:
        stream.update_options(max_buffered_speech=70.0, min_speech_duration=0.2)

    await assert_equal([strict, *frames[:20], longer, *frames[20:90], strict, *frames[90:]], max_buffered_speech=2.0)


async def test_a_vad_passes_its_changed_options_on_to_its_streams(speech: tuple[Samples, int]) -> None:
    frames = frames_of(call_of(speech, 16000), 16000, 800)

    def through_the_vad(stream: Any) -> None:
        stream._vad.update_options(min_silence_duration=1.5)

    events = await assert_equal([*frames[:10], through_the_vad, *frames[10:]])
    assert len(edges(events)) < 4 + len(edges(await assert_equal(frames)))


async def test_speech_longer_than_the_buffer_is_cut_where_upstream_cuts_it(speech: tuple[Samples, int]) -> None:
    frames = frames_of(call_of(speech, 16000), 16000, 800)
    events = await assert_equal(frames, max_buffered_speech=0.6, prefix_padding_duration=0.1)
    assert max(frame.duration for event in events for frame in event.frames) == pytest.approx(0.7)


async def test_a_frame_of_another_rate_is_left_out(speech: tuple[Samples, int]) -> None:
    frames = frames_of(call_of(speech, 16000), 16000, 800)
    other = frames_of(np.zeros(1600, np.int16), 24000, 1600)
    await assert_equal([*frames[:30], *other, *frames[30:]])


async def test_a_buffer_that_shrinks_below_what_it_holds_keeps_what_fits(speech: tuple[Samples, int]) -> None:
    speedup.install()
    stream: Any = inference.VAD().stream()
    frames = frames_of(at_rate(*speech, 16000), 16000, 800)
    for frame in frames[:20]:
        stream.push_frame(frame)
    await asyncio.sleep(SETTLED_SECONDS)
    stream.update_options(max_buffered_speech=0.1, prefix_padding_duration=0.1)
    stream.push_frame(frames_of(np.zeros(16000, np.int16), 16000, 16000)[0])
    stream.end_input()
    ends = [event async for event in stream if event.type is vad.VADEventType.END_OF_SPEECH]
    assert [event.frames[0].duration for event in ends] == [pytest.approx(0.2)]
    await stream.aclose()


async def test_a_closed_stream_gives_nothing_more_and_takes_nothing_more(speech: tuple[Samples, int]) -> None:
    for in_loop in (True, False):
        (speedup.install if in_loop else speedup.uninstall)()
        stream = inference.VAD().stream()
        frame = frames_of(at_rate(*speech, 16000), 16000, 16000)[0]
        assert isinstance(frame, rtc.AudioFrame)
        stream.push_frame(frame)
        await asyncio.sleep(SETTLED_SECONDS)
        await stream.aclose()
        assert [event async for event in stream] == []
        with pytest.raises(RuntimeError, match="input ended"):
            stream.push_frame(frame)
        with pytest.raises(RuntimeError, match="input ended"):
            stream.flush()


async def test_whoever_waits_when_the_stream_is_closed_is_told_so() -> None:
    speedup.install()
    stream = inference.VAD().stream()
    waiting = asyncio.create_task(anext(stream, None))
    await asyncio.sleep(0)
    await stream.aclose()
    assert await asyncio.wait_for(waiting, 60) is None


async def test_an_error_of_the_model_reaches_whoever_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    speedup.install()
    stream = inference.VAD().stream()
    stream.push_frame(rtc.AudioFrame(bytes(4 * 800), 16000, 2, 800))
    with pytest.raises(ValueError, match="mono"):
        await anext(stream)
    await stream.aclose()


async def test_a_backlog_leaves_others_their_turn(speech: tuple[Samples, int]) -> None:
    speedup.install()
    stream = inference.VAD().stream()
    for frame in frames_of(np.zeros(16000 * 20, np.int16), 16000, 16000 * 20):
        assert isinstance(frame, rtc.AudioFrame)
        stream.push_frame(frame)
    stream.end_input()
    turns = 0
    ended = asyncio.create_task(anext(stream))
    while not stream._task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 20 * 16000 / 512 / speedup.WINDOWS_AT_ONCE
    await ended
    await stream.aclose()


async def test_a_vad_with_an_executor_of_its_own_keeps_it() -> None:
    from concurrent.futures import ThreadPoolExecutor

    speedup.install()
    with ThreadPoolExecutor(1) as executor:
        stream = inference.VAD(executor=executor).stream()
        assert not isinstance(stream, speedup.InLoopStream)
        await stream.aclose()
