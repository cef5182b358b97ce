"""`RoomLine`: the demo's end of a call that a scripted caller makes in a LiveKit room."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

from livekit.agents import tts

from openrtc.child_environment import drop_secrets
from openrtc.conversation.demo.caller import CallLine
from openrtc.conversation.demo.caller_process import LONGEST_LINE
from openrtc.conversation.speech import synthesize
from openrtc.errors import OpenRTCError

_KEPT_BYTES = 4096
_LEAVE_SECONDS = 5.0
"""How long callers have to leave their rooms; then their process is killed, and the server notices by itself."""


class RoomLine(CallLine):
    """Connects a scripted caller, who is in another process, with an agent through a LiveKit room.

    Args:
        call: The call's id.
        orders: Where to send what the caller is to do.
        voice: The caller's voice.
    """

    patience = 0.6  # as in this process, and a moment for the way through the room

    def __init__(self, call: str, orders: asyncio.StreamWriter, voice: tts.TTS[Any]) -> None:
        super().__init__()
        self._call = call
        self._orders = orders
        self._voice = voice
        self._events: dict[str, asyncio.Future[float]] = {}

    async def join(self, url: str, token: str) -> None:
        """Join the room.

        Raises:
            OpenRTCError: It cannot be joined.
        """
        await self._order("joined", do="join", url=url, token=token)

    async def wait_for_audio(self) -> None:
        """Wait until there is an agent's audio in the room: only then it speaks by itself."""
        await self._expect("reached")

    async def say(self, question: str) -> float:
        """Speak a sentence."""
        pcm = await synthesize(self._voice, question)
        self._events.pop("spoken", None)
        return await self._order("spoken", do="say", pcm=base64.b64encode(pcm).decode())

    async def aclose(self) -> None:
        """Leave the room."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._order("left", do="leave"), _LEAVE_SECONDS)

    def receive(self, event: dict[str, Any]) -> None:
        """Take an event of the caller; see `caller_process`."""
        if event["event"] == "heard":
            self.heard_at.append(event["at"])
        elif event["event"] == "failed":
            _resolve(self._expect("joined"), OpenRTCError(f"the caller could not join the room: {event['why']}"))
        else:
            _resolve(self._expect(event["event"]), event["at"])

    def cut_off(self, reason: str) -> None:
        """Fail whatever is waited for: the callers' process has ended."""
        for event in self._events.values():
            _resolve(event, OpenRTCError(f"the callers' process has ended{': ' if reason else ''}{reason}"))

    async def _order(self, until: str, **order: str) -> float:
        self._orders.write(json.dumps({"call": self._call, **order}).encode() + b"\n")
        return await self._expect(until)

    def _expect(self, name: str) -> asyncio.Future[float]:
        if name not in self._events:
            self._events[name] = asyncio.get_running_loop().create_future()
        return self._events[name]


class CallersProcess:
    """The process of the scripted callers.

    Args:
        process: The process.
        voice: The callers' voice.
    """

    def __init__(self, process: asyncio.subprocess.Process, voice: tts.TTS[Any]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._orders, self._events = process.stdin, process.stdout
        self._errors = asyncio.create_task(_read_end(process.stderr), name="callers' errors")
        self._voice = voice
        self._lines: dict[str, RoomLine] = {}

    def open_line(self, call: str) -> RoomLine:
        """Return a line for a call."""
        self._lines[call] = RoomLine(call, self._orders, self._voice)
        return self._lines[call]

    async def pass_on_events(self) -> None:
        """Give each line the events of its caller, until the process ends."""
        async for written in self._events:
            event = json.loads(written)
            self._lines[event["call"]].receive(event)
        last = (await self._errors).decode(errors="replace").strip().splitlines()
        for line in self._lines.values():
            line.cut_off(last[-1] if last else "")


@contextlib.asynccontextmanager
async def start_callers_process(voice: tts.TTS[Any]) -> AsyncIterator[CallersProcess]:
    """Run the callers' process inside a ``with`` block.

    Args:
        voice: The callers' voice.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "openrtc.conversation.demo.caller_process"),
        env=drop_secrets(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=LONGEST_LINE,
    )
    callers = CallersProcess(process, voice)
    listening = asyncio.create_task(callers.pass_on_events(), name="callers")
    try:
        yield callers
    finally:
        assert process.stdin is not None
        process.stdin.close()  # the callers leave their rooms at the end of their input
        try:
            await asyncio.wait_for(process.wait(), _LEAVE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening


async def _read_end(stream: asyncio.StreamReader) -> bytes:
    """Read all that a process says, so that it never waits, and return the end of it."""
    kept = b""
    while read := await stream.read(_KEPT_BYTES):
        kept = (kept + read)[-_KEPT_BYTES:]
    return kept


def _resolve(future: asyncio.Future[float], result: float | OpenRTCError) -> None:
    if future.done():
        return
    if isinstance(result, OpenRTCError):
        future.set_exception(result)
    else:
        future.set_result(result)
