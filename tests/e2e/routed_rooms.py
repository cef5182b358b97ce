"""Several rooms in one process, whose events are routed: everything that a room can carry reaches its own room alone.

    python -m e2e.routed_rooms URL KEY SECRET

Each room has a sender and a receiver; one of the rooms lives in a thread and loop of its own. Raises where something
is not as sent, comes from another room, or leaves a listener behind.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Awaitable
from typing import Any, TypeVar

import numpy as np
import pytest
from livekit import api, rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc.data_stream import StreamError

import openrtc.speedups.events as speedup

T = TypeVar("T")

RATE = 48000
CHUNK = RATE // 50
SIZE = 64
ROOMS = 4
LONG_TEXT = "so long that it comes in several parts " * 1500
LIMIT = 20.0

delivered: Counter[str] = Counter()


class Line:
    """A room with somebody who sends and somebody who receives.

    Args:
        number: Which room it is; what is sent names it.
        server: URL, key and secret.
    """

    def __init__(self, number: int, server: tuple[str, str, str]) -> None:
        self.number = number
        self._server = server
        self.sender, self.receiver = rtc.Room(), rtc.Room()
        self.tracks: asyncio.Queue[rtc.Track] = asyncio.Queue()
        self.packets: asyncio.Queue[bytes] = asyncio.Queue()
        self.texts: asyncio.Queue[str] = asyncio.Queue()
        self.files: asyncio.Queue[bytes] = asyncio.Queue()
        self.broken = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def text(self) -> str:
        """What is sent in this room."""
        return f"room {self.number}"

    async def open(self) -> None:
        """Join with both, and listen with the receiver."""
        url, key, secret = self._server
        for room, name in ((self.receiver, "receiver"), (self.sender, "sender")):
            grants = api.VideoGrants(room_join=True, room=f"routed-{self.number}", can_update_own_metadata=True)
            token = api.AccessToken(key, secret).with_identity(name).with_grants(grants).to_jwt()
            await room.connect(url, token)
        self.receiver.on("track_subscribed", lambda track, *_: self.tracks.put_nowait(track))
        self.receiver.on("data_received", lambda packet: self.packets.put_nowait(packet.data))
        self.receiver.register_text_stream_handler("text", lambda reader, _: self._start(self._read_text(reader)))
        self.receiver.register_text_stream_handler("broken", lambda reader, _: self._start(self._read_broken(reader)))
        self.receiver.register_byte_stream_handler("file", lambda reader, _: self._start(self._read_file(reader)))
        self.receiver.local_participant.register_rpc_method("double", self._double)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_text(self, reader: rtc.TextStreamReader) -> None:
        self.texts.put_nowait(await reader.read_all())

    async def _read_broken(self, reader: rtc.TextStreamReader) -> None:
        with pytest.raises(StreamError):
            await reader.read_all()
        self.broken.set()

    async def _read_file(self, reader: rtc.ByteStreamReader) -> None:
        self.files.put_nowait(b"".join([part async for part in reader]))

    async def _double(self, call: rtc.RpcInvocationData) -> str:
        await asyncio.sleep(0.3 if call.payload == "slow" else 0.0)
        return f"{self.number}:{call.payload * 2}"

    async def check(self) -> None:
        """Send everything, and see that it arrives."""
        await asyncio.gather(self._check_audio(), self._check_messages(), self._check_rpc())
        await self._check_video()
        await self._check_attributes()
        await self._check_readers_left_behind()

    async def _check_messages(self) -> None:
        for turn in range(5):
            await self.sender.local_participant.publish_data(f"{self.text} {turn}", reliable=True)
            assert await in_time(self.packets.get()) == f"{self.text} {turn}".encode()
        await self.sender.local_participant.send_text(self.text + LONG_TEXT, topic="text")
        assert await in_time(self.texts.get()) == self.text + LONG_TEXT
        writer = await self.sender.local_participant.stream_bytes(name="x", topic="file")
        for _ in range(20):
            await writer.write(self.text.encode() * 100)
        await writer.aclose()
        assert await in_time(self.files.get()) == self.text.encode() * 2000

    async def _check_rpc(self) -> None:
        async def ask(payload: str) -> str:
            return await self.sender.local_participant.perform_rpc(
                destination_identity="receiver", method="double", payload=payload
            )

        answers = await in_time(asyncio.gather(*(ask(word) for word in ("slow", "a", "b", "slow"))))
        assert answers == [f"{self.number}:{word * 2}" for word in ("slow", "a", "b", "slow")]
        with pytest.raises(rtc.RpcError, match="not supported"):
            await self.sender.local_participant.perform_rpc(destination_identity="receiver", method="no", payload="")

    async def _check_audio(self) -> None:
        source = rtc.AudioSource(RATE, 1, queue_size_ms=200)
        track = rtc.LocalAudioTrack.create_audio_track("tone", source)
        publication = await self.sender.local_participant.publish_track(track)
        self._start(self._play(source))
        stream = rtc.AudioStream(await in_time(self.tracks.get()), sample_rate=RATE, num_channels=1)
        heard = np.concatenate([np.frombuffer((await in_time(anext(stream))).frame.data, np.int16) for _ in range(150)])
        spectrum = np.abs(np.fft.rfft(heard[RATE // 2 :]))
        pitch = np.fft.rfftfreq(len(heard) - RATE // 2, 1 / RATE)[spectrum.argmax()]
        assert abs(pitch - self._pitch) < 20, (self.number, pitch)
        await stream.aclose()
        await self.sender.local_participant.unpublish_track(publication.sid)

    @property
    def _pitch(self) -> float:
        return 400.0 + 200 * self.number

    async def _play(self, source: rtc.AudioSource) -> None:
        for step in range(250):
            times = (np.arange(CHUNK) + step * CHUNK) / RATE
            tone = (np.sin(2 * np.pi * self._pitch * times) * 9000).astype(np.int16)
            await source.capture_frame(rtc.AudioFrame(tone.tobytes(), RATE, 1, CHUNK))

    async def _check_video(self) -> None:
        source = rtc.VideoSource(SIZE, SIZE)
        track = rtc.LocalVideoTrack.create_video_track("grey", source)
        await self.sender.local_participant.publish_track(track)
        level = 40 + 50 * self.number
        picture = rtc.VideoFrame(SIZE, SIZE, rtc.VideoBufferType.RGBA, bytes([level, level, level, 255]) * SIZE * SIZE)
        showing = asyncio.create_task(self._show(source, picture))
        stream = rtc.VideoStream(await in_time(self.tracks.get()), format=rtc.VideoBufferType.RGBA)
        for _ in range(5):
            frame = (await in_time(anext(stream))).frame
            assert abs(np.frombuffer(frame.data, np.uint8).reshape(-1, 4)[:, :3].mean() - level) < 12, self.number
        showing.cancel()
        await stream.aclose()

    async def _show(self, source: rtc.VideoSource, picture: rtc.VideoFrame) -> None:
        while True:
            source.capture_frame(picture)
            await asyncio.sleep(0.05)

    async def _check_attributes(self) -> None:
        changed: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.receiver.on("participant_attributes_changed", lambda new, _: changed.put_nowait(new))
        await self.sender.local_participant.set_attributes({"room": self.text})
        assert await in_time(changed.get()) == {"room": self.text}

    async def _check_readers_left_behind(self) -> None:
        # A waiter that is cancelled, and a text that is still being sent when the room is left.
        waiting = asyncio.create_task(
            self.sender.local_participant.perform_rpc(destination_identity="receiver", method="double", payload="slow")
        )
        await asyncio.sleep(0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        writer = await self.sender.local_participant.stream_text(topic="broken")
        await writer.write("the beginning")
        await asyncio.sleep(0.2)

    async def close(self) -> None:
        """Leave with both."""
        await self.sender.disconnect()
        await in_time(self.broken.wait())
        await self.receiver.disconnect()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def in_time(wanted: Awaitable[T]) -> T:
    """Return what comes within `LIMIT` seconds."""
    return await asyncio.wait_for(wanted, LIMIT)


async def hold(numbers: list[int], server: tuple[str, str, str]) -> None:
    """Open rooms, check them side by side, and close them."""
    lines = [Line(number, server) for number in numbers]
    await asyncio.gather(*(line.open() for line in lines))
    await asyncio.gather(*(line.check() for line in lines))
    await asyncio.gather(*(line.close() for line in lines))


def count_deliveries() -> None:
    """Count how many listeners each event is given to."""
    put, deliver = speedup.RoutedQueue.put, speedup._deliver

    def counted_put(self: Any, item: Any) -> None:
        delivered["events"] += 1
        put(self, item)

    def counted_deliver(*args: Any) -> None:
        delivered["deliveries"] += 1
        deliver(*args)

    speedup.RoutedQueue.put = counted_put  # type: ignore[method-assign]
    speedup._deliver = counted_deliver  # type: ignore[assignment]


def main(url: str, key: str, secret: str) -> None:
    """Hold all rooms but one in this loop, and that one in a loop of another thread."""
    speedup.install()
    count_deliveries()
    assert FfiClient.instance  # livekit makes two of them when two threads want the first one at once
    failed: list[BaseException] = []

    def hold_apart() -> None:
        try:
            asyncio.run(hold([0], (url, key, secret)))
        except BaseException as error:
            failed.append(error)

    apart = threading.Thread(target=hold_apart)
    apart.start()
    asyncio.run(hold(list(range(1, ROOMS)), (url, key, secret)))
    apart.join()
    if failed:
        raise failed[0]
    queue: Any = FfiClient.instance.queue
    assert not queue._routes and not queue._by_address and not queue._subscribers, (queue._routes, queue._subscribers)
    # Without routing it would be several times the events: every room and every waiter got all.
    assert delivered["deliveries"] <= 1.2 * delivered["events"], delivered
    print(dict(delivered), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
