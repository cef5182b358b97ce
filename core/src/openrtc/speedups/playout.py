"""Speedup `playout`: what an agent says is given to the native library seconds ahead, which plays it by itself.

livekit-agents gives it 0.2 s, so that whoever is spoken to hears a hole when the loop is blocked for longer. To make
that number larger is not enough: a pause would lose what was given ahead, or not be heard at all. So here a pause and
an interruption take back at once what has not been heard, and the next frames begin with it.

What is given is as much as there is and fits, half a second at once later on: ten times fewer requests to the native
library than livekit-agents makes, which more than pays for the longer queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from livekit import rtc
from livekit.agents.voice.room_io._output import _ParticipantAudioOutput

from openrtc.speedups.stranded_sources import STRANDED_SOURCES

SECONDS = 3.0
"""So much of what an agent has to say is in the native library, where its voice is that far ahead."""
STEP_SECONDS = 0.5
"""So much more is given when no more than `SECONDS` are left: a request costs nearly the same for any length."""

_upstream_init = _ParticipantAudioOutput.__init__
_upstream_pause = _ParticipantAudioOutput.pause
_upstream_clear_buffer = _ParticipantAudioOutput.clear_buffer
_upstream_forward_audio = _ParticipantAudioOutput._forward_audio


def install() -> None:
    """From now on, give what new sessions say to the native library seconds ahead."""
    _ParticipantAudioOutput.__init__ = _init  # type: ignore[method-assign]  # the patch
    _ParticipantAudioOutput.pause = _pause  # type: ignore[method-assign]  # the patch
    _ParticipantAudioOutput.clear_buffer = _clear_buffer  # type: ignore[method-assign]  # the patch
    _ParticipantAudioOutput._forward_audio = _forward_audio  # type: ignore[method-assign]  # the patch


def uninstall() -> None:
    """Undo `install`, for sessions that begin from now on."""
    _ParticipantAudioOutput.__init__ = _upstream_init  # type: ignore[method-assign]  # the patch undone
    _ParticipantAudioOutput.pause = _upstream_pause  # type: ignore[method-assign]  # the patch undone
    _ParticipantAudioOutput.clear_buffer = _upstream_clear_buffer  # type: ignore[method-assign]  # the patch undone
    _ParticipantAudioOutput._forward_audio = _upstream_forward_audio  # type: ignore[method-assign]  # the patch undone


class PendingAudio:
    """What is still to be given to the native library; stands in for the channel in which livekit-agents has it."""

    def __init__(self) -> None:
        self._frames: deque[rtc.AudioFrame] = deque()
        self._filled = asyncio.Event()

    def empty(self) -> bool:
        """Whether there is nothing."""
        return not self._frames

    async def wait(self) -> None:
        """Wait until there is something."""
        await self._filled.wait()

    def send_nowait(self, frame: rtc.AudioFrame) -> None:
        """Add a frame."""
        self._frames.append(frame)
        self._filled.set()

    def recv_nowait(self) -> rtc.AudioFrame:
        """Remove the first frame.

        Raises:
            IndexError: There is none.
        """
        frame = self._frames.popleft()
        if not self._frames:
            self._filled.clear()
        return frame

    def put_back(self, frames: Iterable[rtc.AudioFrame]) -> None:
        """Add frames before all others."""
        self._frames = deque([*frames, *self._frames])
        if self._frames:
            self._filled.set()

    def take(self, seconds: float) -> rtc.AudioFrame:
        """Remove the first frames, as one of at most so many seconds, and the first one in any case.

        Raises:
            IndexError: There is none.
        """
        frames = [self.recv_nowait()]
        room = round((seconds - frames[0].duration) * frames[0].sample_rate)
        while self._frames and self._frames[0].samples_per_channel <= room:
            room -= self._frames[0].samples_per_channel
            frames.append(self.recv_nowait())
        return frames[0] if len(frames) == 1 else rtc.combine_audio_frames(frames)

    def clear(self) -> None:
        """Remove all frames."""
        self._frames.clear()
        self._filled.clear()


class PlayoutSource(rtc.AudioSource):
    """An audio source with seconds of sound, of which what has not been heard can be taken back.

    Frames are captured one after the other, and none while one is on its way. The attribute ``pending`` has what is to
    be captured next.

    Args:
        sample_rate: Samples a second.
        num_channels: Channels.
    """

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        # A step more than is ever queued, so that no frame waits in the native library for its turn.
        super().__init__(sample_rate, num_channels, queue_size_ms=round((SECONDS + 2 * STEP_SECONDS) * 1000))
        self.pending = PendingAudio()
        self._sent: deque[rtc.AudioFrame] = deque()  # references, no copies: what is queued, and a little before it
        self._sent_samples = 0
        self._clears = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = self._is_given_back = False
        self._room: rtc.Room | None = None
        stranded = STRANDED_SOURCES.take(sample_rate, num_channels)
        self._is_stranded = stranded is not None
        if stranded is not None:
            self._ffi_handle.dispose()
            self._info, self._ffi_handle = stranded
            self.clear_queue()

    def follow(self, room: rtc.Room) -> None:
        """Note how the room ends in which this is heard: until then, its native source is not free."""
        self._room = room
        room.on("disconnected", self._on_disconnected)

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        room, self._room = self._room, None
        if room is not None and room.local_participant.track_publications:
            self._is_stranded |= reason != rtc.DisconnectReason.CLIENT_INITIATED
        if self._closed:
            self._give_back()

    @property
    def wait_seconds(self) -> float:
        """After how many seconds more should be captured; 0 for now."""
        return max(self.queued_duration - SECONDS, 0.0)

    @property
    def room_seconds(self) -> float:
        """How much may be captured."""
        return SECONDS + STEP_SECONDS - self.queued_duration

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Let a frame be heard after all that is queued."""
        if self._closed:
            return
        if not self.queued_duration:
            # A loop that was blocked is late with this, and livekit would take the queue for shorter than nothing.
            self._release_waiter()
        self._keep(frame)
        clears = self._clears
        await super().capture_frame(frame)
        if clears != self._clears and not self._closed:
            # The native library takes a frame in a thread of its own: this one may have come after it was cleared.
            self.clear_queue()

    def _keep(self, frame: rtc.AudioFrame) -> None:
        queued = round(self.queued_duration * self.sample_rate)
        while self._sent and self._sent_samples - self._sent[0].samples_per_channel >= queued:
            self._sent_samples -= self._sent.popleft().samples_per_channel
        self._sent.append(frame)
        self._sent_samples += frame.samples_per_channel

    def take_back(self) -> list[rtc.AudioFrame]:
        """Be silent at once, and return what of the queue has not been heard."""
        left = round(self.queued_duration * self.sample_rate)
        sent = self._sent
        self.clear_queue()
        frames: deque[rtc.AudioFrame] = deque()
        while sent and left > 0:
            frames.appendleft(_cut_end(sent.pop(), left))
            left -= frames[0].samples_per_channel
        return list(frames)

    def clear_queue(self) -> None:
        """Be silent at once, and forget what of the queue has not been heard."""
        self._clears += 1
        self._sent, self._sent_samples = deque(), 0
        super().clear_queue()

    async def wait_for_playout(self) -> None:
        """Wait until all is heard that is queued or pending."""
        while self.queued_duration > 0 or not self.pending.empty():
            await self.wait_for_change()

    async def wait_for_change(self, seconds: float | None = None) -> None:
        """Wait until the queue is empty, because it was played or cleared, but at most so many seconds."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.add(waiter)
        timer = None if seconds is None else loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
            if timer is not None:
                timer.cancel()

    def _release_waiter(self) -> None:
        # Called by livekit when the queue should have been played, and when it is cleared.
        super()._release_waiter()
        for waiter in self._waiters:
            _wake(waiter)

    async def aclose(self) -> None:
        """End it, with what is still queued: its room may go on without its session."""
        if self._closed:
            return
        if self.queued_duration > 0:
            self.clear_queue()
        self._closed = True
        if self._room is None:
            self._give_back()

    def _give_back(self) -> None:
        if self._is_given_back:
            return
        self._is_given_back = True
        if self._is_stranded:
            STRANDED_SOURCES.add(self.sample_rate, self.num_channels, (self._info, self._ffi_handle))
        else:
            self._ffi_handle.dispose()


def _init(self: Any, room: rtc.Room, *, sample_rate: int, num_channels: int, **options: Any) -> None:
    _upstream_init(self, room, sample_rate=sample_rate, num_channels=num_channels, **options)
    self._audio_source._ffi_handle.dispose()  # livekit-agents' own, which has a native thread of its own
    self._audio_source = PlayoutSource(sample_rate, num_channels)
    self._audio_source.follow(room)
    self._audio_buf = self._audio_source.pending


def _pause(self: Any) -> None:
    _upstream_pause(self)
    _take_back(self)


def _clear_buffer(self: Any) -> None:
    # Now, and not only when livekit-agents' task for the end of the segment comes to it, which a flush begins.
    _take_back(self)
    _upstream_clear_buffer(self)


def _take_back(self: Any) -> None:
    """Be silent at once; what has not been heard is to come next, as though it had never been given."""
    if not self._source_pushed_duration:
        return
    frames = self._audio_source.take_back()
    self._source_pushed_duration -= sum(frame.duration for frame in frames)
    self._audio_buf.put_back(frames)
    self._report_run(offset=self._source_pushed_duration, ended_at=time.time())


async def _forward_audio(self: Any) -> None:
    source = self._audio_source
    while True:
        await source.pending.wait()
        # Not idle as long as anything is pending: livekit-agents would look for the end of it without a pause.
        self._forwarding_idle.clear()
        try:
            await _forward_next(self, source)
        finally:
            self._forwarding_idle.set()


async def _forward_next(self: Any, source: PlayoutSource) -> None:
    """Give the native library what comes next, or wait; frames stay pending until then, for a pause to keep them."""
    if not self._playback_enabled.is_set():
        await self._playback_enabled.wait()
    elif self._interrupted_event.is_set() or not self._pushed_duration:
        source.pending.clear()  # of a segment that was interrupted, or is over
        if self._interrupted_event.is_set() and self._flush_task:
            await asyncio.wait([self._flush_task])
    elif wait := source.wait_seconds:
        await source.wait_for_change(wait)
    else:
        await _play(self, source, source.pending.take(source.room_seconds))


async def _play(self: Any, source: PlayoutSource, frame: rtc.AudioFrame) -> None:
    if not self._first_frame_event.is_set():
        self._first_frame_event.set()
        self.on_playback_started(created_at=time.time())
    if self._dry_at is not None and time.time() >= self._dry_at:
        # It was silent before this frame came.
        self._report_run(offset=self._source_pushed_duration, ended_at=self._dry_at)
    self._source_pushed_duration += frame.duration
    self._dry_at = time.time() + source.queued_duration + frame.duration
    await source.capture_frame(frame)


def _cut_end(frame: rtc.AudioFrame, samples: int) -> rtc.AudioFrame:
    """Return the last samples of a frame; the frame itself where it has no more."""
    if frame.samples_per_channel <= samples:
        return frame
    data = bytes(frame.data[-samples * frame.num_channels :])
    return rtc.AudioFrame(data, frame.sample_rate, frame.num_channels, samples)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
