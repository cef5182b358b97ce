"""Seconds of speech are given ahead, and a pause, an interruption and their positions are exact all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.voice.room_io import _output
from livekit.rtc import audio_source

from openrtc.speedups import playout
from openrtc.speedups.playout import SECONDS, STEP_SECONDS, PendingAudio, PlayoutSource
from openrtc.speedups.stranded_sources import StrandedSources
from openrtc.upstream.digest import find_changes

RATE = 24_000


class Clock:
    """Time that passes while the loop waits, and not while a busy machine keeps it from going on.

    Args:
        loop: The loop, which has this time from now on.
    """

    def __init__(self, loop: Any) -> None:
        self._now: float = loop.time()
        self._select = loop._selector.select
        loop.time = self.time
        loop._selector.select = self._wait

    def time(self) -> float:
        """Return the time."""
        return self._now

    monotonic = time

    def _wait(self, seconds: float | None) -> Any:
        began = time.monotonic()
        events = self._select(seconds)
        self.sleep(min(time.monotonic() - began, seconds or 0.0))
        return events

    def sleep(self, seconds: float) -> None:
        """Let time pass, in which the loop does nothing else."""
        self._now += seconds


@pytest.fixture(autouse=True)
async def clock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clock]:
    """The time of the output, of the source and of the loop."""
    clock = Clock(asyncio.get_running_loop())
    for module in (_output, audio_source, playout):
        monkeypatch.setattr(module, "time", clock)
    yield clock
    playout.uninstall()


def frames_of(seconds: float, first: int = 0, channels: int = 1) -> list[rtc.AudioFrame]:
    """Return frames of 50 ms whose samples count up from ``first``."""
    size = RATE // 20
    starts = range(first, first + round(seconds * RATE), size)
    return [rtc.AudioFrame(_count(start, size, channels), RATE, channels, size) for start in starts]


def _count(first: int, size: int, channels: int) -> bytes:
    return np.repeat((np.arange(first, first + size) % 30_000).astype(np.int16), channels).tobytes()


def samples_of(frames: list[rtc.AudioFrame]) -> list[int]:
    """Return the samples of frames, one after the other."""
    return [sample for frame in frames for sample in frame.data]


class Output:
    """An output as a session has it, in no room, and what it tells."""

    def __init__(self, clock: Clock, *, ahead: bool) -> None:
        (playout.install if ahead else playout.uninstall)()
        options = rtc.TrackPublishOptions()
        self.output: Any = _output._ParticipantAudioOutput(
            rtc.Room(), sample_rate=RATE, num_channels=1, track_publish_options=options
        )
        self._clock = clock
        self.output._subscribed_fut.set_result(None)
        self.output._forwarding_task = asyncio.create_task(self.output._forward_audio())
        self.runs: list[Any] = []
        self.run_starts: list[float] = []
        self.started: list[float] = []
        self.output.on("playback_started", lambda _: self.started.append(clock.time()))
        self.output.on("playback_progressed", lambda event: self.runs.append((event.offset, event.duration)))
        self.output.on("playback_progressed", lambda event: self.run_starts.append(event.started_at))

    @property
    def heard(self) -> float:
        """Seconds for which the segment has been heard, where nothing has paused it."""
        return self._clock.time() - self.started[-1]

    async def give(self, seconds: float) -> None:
        """Give a part of a segment."""
        for frame in frames_of(seconds):
            await self.output.capture_frame(frame)
        await asyncio.sleep(0.02)

    async def say(self, seconds: float) -> None:
        """Give a segment."""
        await self.give(seconds)
        self.output.flush()


@pytest.fixture
async def ahead(clock: Clock) -> AsyncIterator[Output]:
    output = Output(clock, ahead=True)
    yield output
    await output.output.aclose()


def test_this_output_is_known() -> None:
    assert find_changes("playout") == {}


@pytest.mark.parametrize("on", [True, False])
async def test_a_segment_is_told_as_upstream_tells_it_and_not_before_it_is_heard(clock: Clock, on: bool) -> None:
    output = Output(clock, ahead=on)
    for seconds in (0.5, 0.1):
        output.runs.clear()
        began = clock.time()
        await output.give(seconds / 2)  # in two steps
        await output.give(seconds / 2)
        output.output.flush()
        event = await output.output.wait_for_playout()
        assert clock.time() - began >= seconds - 0.01
        assert (event.interrupted, event.playback_position) == (False, pytest.approx(seconds))
        assert sum(duration for _, duration in output.runs) == pytest.approx(seconds)
    assert len(output.started) == 2
    await output.output.aclose()


async def test_all_that_there_is_is_given_ahead_but_no_more_than_that(ahead: Output) -> None:
    await ahead.give(2.0)
    there_is = ahead.output._pushed_duration  # livekit-agents 1.8.0 keeps what does not fill a frame until more comes
    assert there_is == pytest.approx(2.0, abs=0.05)
    assert ahead.output._audio_source.queued_duration == pytest.approx(there_is - ahead.heard)
    assert ahead.output._audio_buf.empty()
    await ahead.give(4.0)
    while ahead.output._audio_source.queued_duration < SECONDS:  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(0.01)  # until the native library has what came first
    assert ahead.output._audio_source.queued_duration <= SECONDS + STEP_SECONDS
    await asyncio.sleep(0.05)
    assert SECONDS <= ahead.output._audio_source.queued_duration <= SECONDS + STEP_SECONDS


async def test_a_pause_keeps_what_was_not_heard_and_nothing_is_told_meanwhile(ahead: Output, clock: Clock) -> None:
    await ahead.say(0.8)
    await asyncio.sleep(0.2)
    expected = ahead.heard
    ahead.output.pause()
    heard = ahead.output._source_pushed_duration
    assert heard == pytest.approx(expected)
    assert ahead.runs == [(0.0, pytest.approx(heard))]
    assert ahead.output._audio_source.queued_duration == 0.0
    await asyncio.sleep(0.7)
    assert ahead.output._pending_playback_count == 1, "it would be over now without the pause"
    resumed = clock.time()
    ahead.output.resume()
    event = await ahead.output.wait_for_playout()
    assert clock.time() - resumed >= 0.8 - heard - 0.02
    assert (event.interrupted, event.playback_position) == (False, pytest.approx(0.8))
    assert ahead.runs == [(0.0, pytest.approx(heard)), (pytest.approx(heard), pytest.approx(0.8 - heard))]
    # By this livekit-agents' recorder knows where in the call each run belongs.
    assert ahead.run_starts == [pytest.approx(ahead.started[0]), pytest.approx(resumed)]


@pytest.mark.parametrize("pauses", [True, False])
async def test_an_interruption_ends_at_once_where_it_was_also_after_a_pause(ahead: Output, pauses: bool) -> None:
    await ahead.say(3.0)
    await asyncio.sleep(0.2)
    expected = ahead.heard
    if pauses:
        ahead.output.pause()
        await asyncio.sleep(0.1)
    ahead.output.clear_buffer()
    assert ahead.output._audio_source.queued_duration == 0.0, "not only when the segment's task comes to it"
    event = await ahead.output.wait_for_playout()
    assert event.interrupted and event.playback_position == pytest.approx(expected)
    assert ahead.runs == [(0.0, pytest.approx(event.playback_position))]
    ahead.output.resume()
    await ahead.say(0.2)
    assert (await ahead.output.wait_for_playout()).playback_position == pytest.approx(0.2)


async def test_what_comes_after_an_interruption_and_before_the_end_of_its_segment_is_dropped(ahead: Output) -> None:
    await ahead.give(0.05)
    ahead.output.clear_buffer()
    await ahead.give(1.0)
    assert ahead.output._audio_source.queued_duration == 0.0
    ahead.output.flush()
    assert (await ahead.output.wait_for_playout()).interrupted


async def test_a_loop_that_is_blocked_for_longer_than_the_queue_tells_no_end_before_it(
    ahead: Output, clock: Clock
) -> None:
    await ahead.give(0.2)
    clock.sleep(0.4)
    began = clock.time()
    await ahead.say(0.4)
    await ahead.output.wait_for_playout()
    assert clock.time() - began >= 0.35, "livekit counts the block against what comes after it"


async def test_a_frame_that_is_on_its_way_is_taken_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    source = PlayoutSource(RATE, 1)
    clears: list[rtc.AudioSource] = []
    clear = rtc.AudioSource.clear_queue

    def note(self: rtc.AudioSource) -> None:
        clears.append(self)
        clear(self)

    monkeypatch.setattr(rtc.AudioSource, "clear_queue", note)
    frame = rtc.combine_audio_frames(frames_of(1.0))
    giving = asyncio.create_task(source.capture_frame(frame))
    await asyncio.sleep(0)
    assert samples_of(source.take_back())[-100:] == samples_of([frame])[-100:]
    assert len(clears) == 1 and not giving.done()
    await giving
    assert len(clears) == 2 and source.queued_duration == 0.0
    await source.aclose()


@pytest.mark.parametrize("channels", [1, 2])
async def test_what_is_taken_back_is_the_end_of_what_was_given_to_the_sample(channels: int) -> None:
    source = PlayoutSource(RATE, channels)
    given = frames_of(1.0, channels=channels)
    for frame in given:
        await source.capture_frame(frame)
    await asyncio.sleep(0.13)
    back = samples_of(source.take_back())
    everything = samples_of(given)
    assert back == everything[-len(back) :] and len(back) < len(everything) - 0.1 * RATE * channels
    assert source.take_back() == []
    await source.aclose()


def test_pending_frames_are_taken_in_steps_and_put_back_before_the_others() -> None:
    pending = PendingAudio()
    for frame in frames_of(0.4):
        pending.send_nowait(frame)
    first = pending.take(0.12)
    assert first.samples_per_channel == RATE // 10, "whole frames, in their order"
    assert pending.take(0.01).samples_per_channel == RATE // 20, "one at least"
    pending.put_back([first])
    assert pending.take(9.0).data[0] == 0 and pending.empty()
    with pytest.raises(IndexError):
        pending.recv_nowait()


@pytest.fixture
def stranded(monkeypatch: pytest.MonkeyPatch) -> Iterator[StrandedSources]:
    """What rooms have not given back, with nothing of other tests, and free at once."""
    monkeypatch.setattr("openrtc.speedups.stranded_sources.LEFT_ALONE_SECONDS", 0.0)
    sources = StrandedSources()
    monkeypatch.setattr(playout, "STRANDED_SOURCES", sources)
    yield sources
    while (native := sources.take(RATE, 1)) is not None:
        native[1].dispose()


class PublishedRoom(rtc.EventEmitter[str]):
    """A room in which something is published."""

    def __init__(self) -> None:
        super().__init__()
        self.local_participant = SimpleNamespace(track_publications={"TR_1": "its agent's voice"})


async def end_room(
    reason: rtc.DisconnectReason.ValueType, *, session_first: bool, unpublished: bool = False
) -> tuple[PlayoutSource, Any]:
    """Let a session and its room end; return its source, and the native one."""
    source, room = PlayoutSource(RATE, 1), PublishedRoom()
    native = source._ffi_handle
    followed: Any = room
    source.follow(followed)
    if unpublished:
        room.local_participant.track_publications.clear()
    if session_first:
        await source.aclose()
        assert not native.disposed, "it is still published"
    room.emit("disconnected", reason)
    room.emit("disconnected", reason)  # as livekit does where both sides end it
    await source.aclose()
    return source, native


@pytest.mark.parametrize("session_first", [False, True])
async def test_a_room_that_the_server_ends_leaves_its_native_source_to_the_next_call(
    stranded: StrandedSources, session_first: bool
) -> None:
    ended, native = await end_room(rtc.DisconnectReason.ROOM_DELETED, session_first=session_first)
    await ended.capture_frame(frames_of(0.05)[0])
    assert ended.queued_duration == 0.0, "nothing of an ended call is heard in the next one"

    other = PlayoutSource(RATE, 2)
    assert other._ffi_handle is not native, "it has another number of channels"
    await other.aclose()
    again = PlayoutSource(RATE, 1)
    assert again._ffi_handle is native
    assert PlayoutSource(RATE, 1)._ffi_handle is not native, "one call has it"
    await again.capture_frame(frames_of(0.05)[0])
    assert again.queued_duration > 0
    await again.aclose()
    assert not native.disposed, "the room that stranded it still has it, however the later one ended"
    assert stranded.take(RATE, 1)[1] is native


@pytest.mark.parametrize("session_first", [False, True])
async def test_a_room_that_its_agent_leaves_frees_the_native_source(
    stranded: StrandedSources, session_first: bool
) -> None:
    _, native = await end_room(rtc.DisconnectReason.CLIENT_INITIATED, session_first=session_first)
    assert native.disposed
    assert stranded.take(RATE, 1) is None


@pytest.mark.parametrize("session_first", [False, True])
async def test_what_was_unpublished_before_the_server_ended_the_room_is_freed(
    stranded: StrandedSources, session_first: bool
) -> None:
    deleted = rtc.DisconnectReason.ROOM_DELETED
    _, native = await end_room(deleted, session_first=session_first, unpublished=True)
    assert native.disposed
    assert stranded.take(RATE, 1) is None


async def test_a_stranded_source_is_left_alone_for_a_while(stranded: StrandedSources) -> None:
    kept = StrandedSources()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("openrtc.speedups.stranded_sources.LEFT_ALONE_SECONDS", 60.0)
        kept.add(RATE, 1, "native")
    assert kept.take(RATE, 1) is None, "what was on its way into it must not be heard by somebody else"
