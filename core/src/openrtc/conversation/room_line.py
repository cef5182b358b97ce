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

from openrtc.conversation.callers_main import LONGEST_LINE
from openrtc.conversation.voice import synthesize
from openrtc.errors import OpenRTCError

_LEAVE_SECONDS = 5.0


class RoomLine:
    """Connects a scripted caller, who is in another process, with an agent through a LiveKit room.

    Args:
        call: The call's id.
        orders: Where to send what the caller is to do.
        voice: The caller's voice.
    """

    patience = 0.6

    def __init__(self, call: str, orders: asyncio.StreamWriter, voice: tts.TTS[Any]) -> None:
        self._call = call
        self._orders = orders
        self._voice = voice
        self._events: dict[str, asyncio.Future[float]] = {}
        self._heard_at: list[float] = []

    async def join(self, url: str, token: str) -> None:
        """Join the room.

        Raises:
            OpenRTCError: It cannot be joined.
        """
        await self._order("joined", do="join", url=url, token=token)

    async def reached(self) -> None:
        """Wait until there is an agent's audio in the room: only then it speaks by itself."""
        await self._event("reached")

    async def say(self, question: str) -> float:
        """Speak a sentence."""
        pcm = await synthesize(self._voice, question)
        self._events.pop("spoken", None)
        return await self._order("spoken", do="say", pcm=base64.b64encode(pcm).decode())

    def first_answer_after(self, moment: float) -> float | None:
        """Return when the agent's voice was first heard after a moment."""
        return next((at for at in self._heard_at if at >= moment), None)

    async def aclose(self) -> None:
        """Leave the room."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._order("left", do="leave"), _LEAVE_SECONDS)

    def happened(self, event: dict[str, Any]) -> None:
        """Take what the caller tells."""
        if event["event"] == "heard":
            self._heard_at.append(event["at"])
        elif event["event"] == "failed":
            _settle(self._event("joined"), OpenRTCError(f"the caller could not join the room: {event['why']}"))
        else:
            _settle(self._event(event["event"]), event["at"])

    def lost(self) -> None:
        """The callers' process has ended."""
        for event in self._events.values():
            _settle(event, OpenRTCError("the callers' process has ended"))

    async def _order(self, until: str, **order: str) -> float:
        self._orders.write(json.dumps({"call": self._call, **order}).encode() + b"\n")
        return await self._event(until)

    def _event(self, name: str) -> asyncio.Future[float]:
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
        self._orders, self._told = process.stdin, process.stdout
        self._voice = voice
        self._lines: dict[str, RoomLine] = {}

    def line(self, call: str) -> RoomLine:
        """Return a line for a call."""
        self._lines[call] = RoomLine(call, self._orders, self._voice)
        return self._lines[call]

    async def listen(self) -> None:
        """Pass on what the callers tell."""
        async for told in self._told:
            event = json.loads(told)
            self._lines[event["call"]].happened(event)
        for line in self._lines.values():
            line.lost()


@contextlib.asynccontextmanager
async def callers_process(voice: tts.TTS[Any]) -> AsyncIterator[CallersProcess]:
    """Run the callers' process inside a ``with`` block.

    Args:
        voice: The callers' voice.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openrtc.conversation.callers_main"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        limit=LONGEST_LINE,
    )
    callers = CallersProcess(process, voice)
    listening = asyncio.create_task(callers.listen(), name="callers")
    try:
        yield callers
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _LEAVE_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening


def _settle(future: asyncio.Future[float], outcome: float | OpenRTCError) -> None:
    if future.done():
        return
    if isinstance(outcome, OpenRTCError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
