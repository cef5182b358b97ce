"""Callers in a process of their own: many people in many rooms, who speak, listen and keep what they heard.

Commands are JSON lines on stdin: ``{"id": 1, "do": "join", "caller": "ann", …}``. Each is answered on stdout with
``{"answer": 1, …}``, and what happens in the rooms is reported as ``{"event": …, "caller": …, "at": …}``. All times are
seconds of the wall clock, so that they can be compared between processes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToDict
from livekit import rtc
from livekit.protocol.agent_pb import agent_session as proto

from e2e.energy import LOUD
from e2e.pcm import RATE, Pcm, read_wav, write_wav
from openrtc.session.room_sockets import gather_once
from openrtc.speedups import native

CHUNK_SECONDS = 0.05
CHUNK = round(RATE * CHUNK_SECONDS)
QUEUE_MS = 100
SESSION_TOPIC = "lk.agent.session"


def send(message: dict[str, Any]) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Track:
    """What one audio track of another participant sounded like.

    Args:
        identity: Whose track it is.
        sid: The track's id.
    """

    def __init__(self, identity: str, sid: str) -> None:
        self.identity = identity
        self.sid = sid
        self.chunks: list[Pcm] = []
        self.samples = 0
        self.anchors: list[tuple[int, float]] = []
        self.loud: list[float] = []

    def add(self, chunk: Pcm, now: float) -> None:
        """Append what has just been heard."""
        if not self.chunks:
            self.anchors.append((0, now - len(chunk) / RATE))
        self.chunks.append(chunk)
        self.samples += len(chunk)
        self.anchors.append((self.samples, now))
        if np.sqrt(np.mean(chunk.astype(np.float64) ** 2)) >= LOUD:
            self.loud.append(now)

    def save(self, path: Path) -> dict[str, Any]:
        """Write the sound; return where it is and when its samples were heard."""
        write_wav(path, np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.int16))
        return {"identity": self.identity, "sid": self.sid, "path": str(path), "anchors": self.anchors}


class Microphone:
    """Sends what is said, and silence otherwise, without a break.

    It is there while its caller is: each source has a thread of its own that wakes up a hundred times a second, whether
    it is published or not.
    """

    def __init__(self) -> None:
        self._source: rtc.AudioSource | None = None
        self._waiting: list[tuple[Pcm, asyncio.Future[tuple[float, float]]]] = []

    @property
    def source(self) -> rtc.AudioSource:
        """Where the sound goes; only somebody who speaks has one."""
        assert self._source is not None, "this caller joined without a microphone"
        return self._source

    async def publish(self, room: rtc.Room) -> None:
        """Publish the track in ``room``."""
        self._source = rtc.AudioSource(RATE, 1, queue_size_ms=QUEUE_MS)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", self.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)

    async def close(self) -> None:
        """End it."""
        if self._source is not None:
            await self._source.aclose()

    async def say(self, sound: Pcm) -> tuple[float, float]:
        """Say ``sound``; return when it began and ended."""
        done: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
        self._waiting.append((sound, done))
        return await done

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            if not self._waiting:
                await self._send(np.zeros(CHUNK, np.int16))
                continue
            sound, done = self._waiting.pop(0)
            began = time.time() + self.source.queued_duration
            for start in range(0, len(sound), CHUNK):
                await self._send(sound[start : start + CHUNK])
            if not done.done():
                done.set_result((began, time.time() + self.source.queued_duration))

    async def _send(self, chunk: Pcm) -> None:
        await self.source.capture_frame(rtc.AudioFrame(chunk.tobytes(), RATE, 1, len(chunk)))


class Caller:
    """One person in one room.

    Args:
        name: What the test calls this person.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.room = rtc.Room()
        self.microphone = Microphone()
        self.tracks: list[Track] = []
        self.forgotten = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._watch()

    async def join(self, url: str, token: str, speaks: bool, subscribes: bool) -> None:
        """Join the room; with ``speaks``, publish a microphone that stays open."""
        await self.room.connect(url, token, gather_once(rtc.RoomOptions(auto_subscribe=subscribes)))
        for participant in self.room.remote_participants.values():
            self._participant("participant_connected", participant)
        if speaks:
            await self.microphone.publish(self.room)
            self._spawn(self.microphone.run())

    async def wait_for_answer(self, after: float, quiet: float, limit: float) -> dict[str, float] | None:
        """Return when an answer began and ended: sound later than ``after``, then ``quiet`` seconds of silence.

        None when that has not happened within ``limit`` seconds.
        """
        until = time.time() + limit
        while time.time() < until:
            loud = sorted(at for track in self.tracks for at in track.loud if at - CHUNK_SECONDS >= after)
            if loud and time.time() - loud[-1] >= quiet:
                return {"began": loud[0] - CHUNK_SECONDS, "ended": loud[-1]}
            await asyncio.sleep(CHUNK_SECONDS)
        return None

    async def ask_session(self, kind: str, agent: str, limit: float, text: str) -> dict[str, Any] | None:
        """Send a request to an agent's session; return its answer, None when there is none within ``limit`` seconds."""
        identifier = f"{self.name}-{len(self._asked)}"
        answer = self._asked[identifier] = asyncio.get_running_loop().create_future()
        request = proto.SessionRequest(request_id=identifier)
        getattr(request, kind).SetInParent()
        if text:
            request.run_input.text = text
        message = proto.AgentSessionMessage(request=request).SerializeToString()
        await self.room.local_participant.send_bytes(
            message, name="request", topic=SESSION_TOPIC, destination_identities=[agent]
        )
        try:
            return await asyncio.wait_for(answer, limit)
        except TimeoutError:
            return None

    def save(self, folder: Path) -> list[dict[str, Any]]:
        """Write what was heard so far, a file for each track."""
        return [track.save(folder / f"{self.name}-{number}.wav") for number, track in enumerate(self.tracks)]

    async def leave(self) -> None:
        """Leave the room."""
        self._hang_up()
        await self.room.disconnect()

    def _hang_up(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _watch(self) -> None:
        room = self.room
        for event in ("participant_connected", "participant_disconnected"):
            room.on(event, lambda participant, event=event: self._participant(event, participant))
        room.on("participant_attributes_changed", self._attributes_changed)
        room.on("track_subscribed", self._on_track_subscribed)
        room.on("track_unsubscribed", self._on_track_unsubscribed)
        room.on("data_received", self._data_received)
        room.on("disconnected", self._on_disconnected)
        room.register_text_stream_handler("lk.transcription", self._on_transcription)
        room.register_byte_stream_handler(SESSION_TOPIC, lambda reader, _: self._spawn(self._read_session(reader)))

    def _tell(self, event: str, **values: Any) -> None:
        if not self.forgotten:
            send({"event": event, "caller": self.name, "at": time.time(), **values})

    def _on_disconnected(self, reason: int) -> None:
        self._tell("disconnected", reason=_reason(reason))
        self._hang_up()
        self._spawn(self.microphone.close())

    def _participant(self, event: str, participant: rtc.RemoteParticipant) -> None:
        self._tell(
            event,
            identity=participant.identity,
            name=participant.name,
            kind=rtc.ParticipantKind.Name(participant.kind).removeprefix("PARTICIPANT_KIND_"),
            attributes=dict(participant.attributes),
            reason=_reason(participant.disconnect_reason),
        )

    def _attributes_changed(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        self._tell("attributes", identity=participant.identity, attributes=dict(changed))

    def _on_track_subscribed(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        self._tell("track_subscribed", identity=participant.identity, sid=publication.sid)
        if isinstance(track, rtc.RemoteAudioTrack):
            self._spawn(self._listen(track, Track(participant.identity, publication.sid)))

    def _on_track_unsubscribed(
        self, _track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        self._tell("track_unsubscribed", identity=participant.identity, sid=publication.sid)

    def _data_received(self, packet: rtc.DataPacket) -> None:
        identity = packet.participant.identity if packet.participant else None
        self._tell("data", identity=identity, topic=packet.topic, text=packet.data.decode(errors="replace"))

    def _on_transcription(self, reader: rtc.TextStreamReader, identity: str) -> None:
        self._spawn(self._read_transcription(reader, identity))

    async def _read_transcription(self, reader: rtc.TextStreamReader, identity: str) -> None:
        attributes = reader.info.attributes or {}
        final, track = attributes.get("lk.transcription_final") == "true", attributes.get("lk.transcribed_track_id")
        self._tell("transcription", identity=identity, text=await reader.read_all(), final=final, track=track)

    async def _read_session(self, reader: rtc.ByteStreamReader) -> None:
        message = proto.AgentSessionMessage.FromString(b"".join([chunk async for chunk in reader]))
        if message.HasField("event"):
            self._tell("session_event", what=message.event.WhichOneof("event"))
        elif (asked := self._asked.get(message.response.request_id)) and not asked.done():
            asked.set_result(MessageToDict(message.response, preserving_proto_field_name=True))
        else:
            self._tell("session_answer_to_somebody_else", id=message.response.request_id)

    async def _listen(self, remote: rtc.RemoteAudioTrack, track: Track) -> None:
        self.tracks.append(track)
        stream = rtc.AudioStream(remote, sample_rate=RATE, num_channels=1, frame_size_ms=round(CHUNK_SECONDS * 1000))
        try:
            async for event in stream:
                track.add(np.frombuffer(event.frame.data, np.int16).copy(), time.time())
        finally:
            await stream.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Callers:
    """All callers of this process, and the commands to them."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}

    async def run_command(self, command: dict[str, Any]) -> None:
        """Do what ``command`` says and answer it; what goes wrong is the answer, too."""
        try:
            answer = await getattr(self, f"do_{command['do']}")(command)
            send({"answer": command["id"], "value": answer})
        except (rtc.ConnectError, RuntimeError, OSError, KeyError, ValueError) as error:
            send({"answer": command["id"], "error": f"{type(error).__name__}: {error}"})

    async def do_join(self, command: dict[str, Any]) -> float:
        """Join a room; answer when."""
        caller = self._callers[command["caller"]] = Caller(command["caller"])
        await caller.join(command["url"], command["token"], command["speaks"], command["subscribes"])
        return time.time()

    async def do_subscribe(self, command: dict[str, Any]) -> None:
        """Subscribe to all tracks that are there."""
        for participant in self._callers[command["caller"]].room.remote_participants.values():
            for publication in participant.track_publications.values():
                publication.set_subscribed(True)

    async def do_say(self, command: dict[str, Any]) -> tuple[float, float]:
        """Say a WAV file; answer when it began and ended."""
        return await self._callers[command["caller"]].microphone.say(read_wav(Path(command["path"])))

    async def do_wait_for_answer(self, command: dict[str, Any]) -> dict[str, float] | None:
        """Wait for sound and then silence."""
        caller = self._callers[command["caller"]]
        return await caller.wait_for_answer(command["after"], command["quiet"], command["timeout"])

    async def do_send_text(self, command: dict[str, Any]) -> None:
        """Send a chat message."""
        await self._callers[command["caller"]].room.local_participant.send_text(command["text"], topic="lk.chat")

    async def do_ask_session(self, command: dict[str, Any]) -> dict[str, Any] | None:
        """Send a request to an agent's session; answer what comes back."""
        caller = self._callers[command["caller"]]
        return await caller.ask_session(command["kind"], command["agent"], command["timeout"], command["text"])

    async def do_save(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        """Write what was heard so far."""
        return self._callers[command["caller"]].save(Path(command["folder"]))

    async def do_leave(self, command: dict[str, Any]) -> None:
        """Leave the room; what was heard can still be saved."""
        await self._callers[command["caller"]].leave()

    async def do_forget(self, _command: dict[str, Any]) -> None:
        """Leave all rooms, and tell no more of those who were there."""
        await self.close()
        for caller in self._callers.values():
            caller.forgotten = True
        self._callers.clear()

    async def close(self) -> None:
        """Leave all rooms."""
        await asyncio.gather(*(caller.leave() for caller in self._callers.values()), return_exceptions=True)


def _reason(reason: int | None) -> str | None:
    return None if reason is None else rtc.DisconnectReason.Name(reason)  # type: ignore[arg-type]


async def main(callers: Callers) -> None:
    """Let callers obey until stdin closes."""
    gc.enable()  # in the process from which this one is forked, the collector looks at nothing
    tasks = set[asyncio.Task[None]]()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        task = asyncio.create_task(callers.run_command(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await callers.close()


if __name__ == "__main__":
    native.install()
    asyncio.run(main(Callers()))
