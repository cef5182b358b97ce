"""The program of the scripted callers: a process of its own, since they would take the worker's time.

It reads a JSON object a line: ``{"call": ID, "do": "join", "url": …, "token": …}``, ``{"call": ID, "do": "say", "pcm":
BASE64}`` or ``{"call": ID, "do": "leave"}``. It writes one: ``{"call": ID, "event": …, "at": SECONDS}``, where the
event is ``joined``, ``failed`` (with ``why``), ``left``, or one of a `RoomCaller`. It ends with its input.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import sys
import time
from typing import Any

from livekit import rtc

from openrtc.conversation.room_caller import RoomCaller

LONGEST_LINE = 2**24
"""Bytes of a line at most: a sentence in base64 takes 43 KB a second, where asyncio reads 64 KB by default."""


class Callers:
    """All callers of this process, by the id of the call."""

    def __init__(self) -> None:
        self._callers: dict[str, RoomCaller] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def carry_out(self, order: dict[str, Any]) -> None:
        """Carry out one order."""
        call, what = order["call"], order["do"]
        if what == "say":
            self._callers[call].say(base64.b64decode(order["pcm"]))
            return
        task = asyncio.create_task(self._join(call, order) if what == "join" else self._leave(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def leave_all(self) -> None:
        """Leave every room."""
        await asyncio.gather(*(self._leave(call) for call in list(self._callers)))

    async def _join(self, call: str, order: dict[str, Any]) -> None:
        caller = RoomCaller(lambda event, at: _emit(call, event, at))
        self._callers[call] = caller
        try:
            await caller.join(order["url"], order["token"])
        except rtc.ConnectError as error:
            _emit(call, "failed", time.monotonic(), why=str(error))
        else:
            _emit(call, "joined", time.monotonic())

    async def _leave(self, call: str) -> None:
        caller = self._callers.pop(call, None)
        if caller is not None:
            await caller.leave()
        _emit(call, "left", time.monotonic())


async def main() -> None:
    """Carry out orders until there are no more."""
    orders = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    callers = Callers()
    async for line in orders:
        callers.carry_out(json.loads(line))
    await callers.leave_all()


def _emit(call: str, event: str, at: float, **more: str) -> None:
    print(json.dumps({"call": call, "event": event, "at": at, **more}), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which ends this process
    asyncio.run(main())
    from openrtc.worker.process_exit import exit_process

    exit_process(0)
