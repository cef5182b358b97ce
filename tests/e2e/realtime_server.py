"""Speaks OpenAI's realtime protocol on a loopback port: each voice is a tone, each committed sound a known sentence."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from aiohttp import WSMsgType, web

RATE = 24_000
CHUNK = RATE // 10
SECONDS_A_WORD = 0.12
GIVEN_WORDS = re.compile(r"Say these words: (.*)")


USAGE = {
    "total_tokens": 61,
    "input_tokens": 40,
    "output_tokens": 21,
    "input_token_details": {"text_tokens": 10, "audio_tokens": 30, "cached_tokens": 4},
    "output_token_details": {"text_tokens": 5, "audio_tokens": 16},
}
"""What each answer has used."""


class RealtimeServer:
    """A realtime API in a thread of its own.

    Args:
        voices: The tone of each voice, in hertz.
        transcripts: What each sound that is committed says, one after the other.
    """

    def __init__(self, voices: dict[str, float], transcripts: Sequence[str]) -> None:
        self.voices = voices
        self.sessions: list[RealtimeSession] = []
        self.port = 0
        self._transcripts = iter(transcripts)
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """What stands in the place of the provider's address."""
        return f"http://127.0.0.1:{self.port}/v1"

    def next_transcript(self) -> str:
        """Return what the next committed sound says."""
        return next(self._transcripts, "")

    def session(self, voice: str) -> RealtimeSession:
        """Return the session that speaks with a voice."""
        return next(session for session in self.sessions if session.voice == voice)

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/realtime", self._serve_connection)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _serve_connection(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        session = RealtimeSession(self, socket, request.headers.get("Authorization", ""))
        self.sessions.append(session)
        await session.run()
        return socket


class RealtimeSession:
    """One connection.

    Args:
        server: The server.
        socket: The connection.
        authorization: What the client sent as such.
    """

    def __init__(self, server: RealtimeServer, socket: web.WebSocketResponse, authorization: str) -> None:
        self.authorization = authorization
        self.settings: dict[str, Any] = {}
        self.heard: list[str] = []
        self.audio_bytes = 0
        self._server = server
        self._socket = socket
        self._numbers = itertools.count(1)
        self._last_item: str | None = None
        self._lines = 0
        self._response: asyncio.Task[None] | None = None

    @property
    def voice(self) -> str:
        """The voice that the client has asked for."""
        return str(self.settings.get("audio", {}).get("output", {}).get("voice", ""))

    async def run(self) -> None:
        """Obey until the client has gone."""
        await self._tell("session.created", session={"id": "s", "object": "realtime.session", "type": "realtime"})
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                event = json.loads(message.data)
                handler = getattr(self, f"_on_{event['type'].replace('.', '_')}", None)
                if handler is not None:
                    await handler(event)
        if self._response:
            self._response.cancel()

    async def _on_session_update(self, event: dict[str, Any]) -> None:
        self.settings |= event["session"]
        await self._tell("session.updated", session=self.settings)

    async def _on_conversation_item_create(self, event: dict[str, Any]) -> None:
        item = event["item"]
        self.heard += [part["text"] for part in item.get("content", []) if part.get("text") and item["role"] == "user"]
        await self._announce_item(item, event.get("previous_item_id"))

    async def _on_conversation_item_delete(self, event: dict[str, Any]) -> None:
        await self._tell("conversation.item.deleted", item_id=event["item_id"])

    async def _on_input_audio_buffer_append(self, event: dict[str, Any]) -> None:
        self.audio_bytes += len(base64.b64decode(event["audio"]))

    async def _on_input_audio_buffer_commit(self, event: dict[str, Any]) -> None:
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": self._new("item"), "type": "message", "role": "user", "status": "completed", "content": content}
        await self._announce_item(item, self._last_item)
        text = self._server.next_transcript()
        self.heard.append(text)
        usage = {"type": "duration", "seconds": 1}
        values = {"item_id": item["id"], "content_index": 0, "transcript": text, "usage": usage, "logprobs": None}
        await self._tell("conversation.item.input_audio_transcription.completed", **values)

    async def _on_response_create(self, event: dict[str, Any]) -> None:
        self._response = asyncio.create_task(self._respond(event.get("response") or {}))

    async def _on_response_cancel(self, event: dict[str, Any]) -> None:
        if self._response:
            self._response.cancel()

    async def _respond(self, request: dict[str, Any]) -> None:
        response: dict[str, Any] = {
            "id": self._new("resp"),
            "object": "realtime.response",
            "status": "in_progress",
            "output": [],
        }
        response |= {"metadata": request.get("metadata"), "usage": None, "status_details": None}
        await self._tell("response.created", response=response)
        item: dict[str, Any] = {"id": self._new("item"), "type": "message", "role": "assistant"}
        item |= {"status": "in_progress", "content": []}
        place = {"response_id": response["id"], "output_index": 0}
        part = {**place, "item_id": item["id"], "content_index": 0}
        status = "completed"
        try:
            await self._tell("response.output_item.added", **place, item=item)
            await self._announce_item(item, self._last_item)
            await self._tell("response.content_part.added", **part, part={"type": "audio", "transcript": ""})
            await self._speak(self._words(request.get("instructions") or ""), part)
            await self._tell("response.output_audio.done", **part)
        except asyncio.CancelledError:
            status = "cancelled"
        await self._tell("response.output_item.done", **place, item=item | {"status": status})
        await self._tell("response.done", response=response | {"status": status, "usage": USAGE})

    def _words(self, instructions: str) -> str:
        if given := GIVEN_WORDS.search(instructions):
            return given[1]
        self._lines += 1
        return f"{self.voice} says line {self._lines} after {len(self.heard)}"

    async def _speak(self, text: str, part: dict[str, Any]) -> None:
        await self._tell("response.output_audio_transcript.delta", **part, delta=text)
        samples = round(SECONDS_A_WORD * len(text.split()) * RATE)
        sound = np.sin(2 * np.pi * self._server.voices[self.voice] * np.arange(samples) / RATE) * 9000
        for start in range(0, samples, CHUNK):
            chunk = sound[start : start + CHUNK].astype(np.int16).tobytes()
            await self._tell("response.output_audio.delta", **part, delta=base64.b64encode(chunk).decode())
            await asyncio.sleep(0.03)

    async def _announce_item(self, item: dict[str, Any], previous: str | None) -> None:
        previous = None if previous == "root" else previous
        self._last_item = item["id"]
        await self._tell("conversation.item.added", item=item, previous_item_id=previous)

    async def _tell(self, kind: str, **values: Any) -> None:
        if not self._socket.closed:
            await self._socket.send_str(json.dumps({"type": kind, "event_id": self._new("event"), **values}))

    def _new(self, kind: str) -> str:
        return f"{kind}_{next(self._numbers)}"
