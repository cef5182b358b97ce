"""The LiveKit server hears at once when a full worker has a free slot again, and not of every event."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from openrtc.observe.events import CallAttended
from openrtc.worker.prompt_status import PromptStatus
from waiting import wait_until

EVENT = CallAttended(job_id="AJ_1", room="r")


class Scene:
    """A worker that is full or not, and what was told."""

    def __init__(self) -> None:
        self.full = False
        self.told: list[bool] = []
        self.fails = False
        self.status = PromptStatus(lambda: self.full, self._send)

    async def _send(self) -> None:
        self.told.append(self.full)
        if self.fails:
            raise ConnectionError("no server")

    def set(self, full: bool) -> None:
        self.full = full
        self.status(EVENT)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.status.watch())
        await asyncio.sleep(0)
        yield
        watching.cancel()


async def test_only_what_has_changed_is_told() -> None:
    scene = Scene()
    scene.set(True)
    scene.set(False)
    async with scene.watched():
        scene.set(False)
        scene.set(True)
        await wait_until(lambda: scene.told == [True])
        scene.set(True)
        scene.set(False)
        await wait_until(lambda: scene.told == [True, False])


async def test_events_of_other_threads_count() -> None:
    scene = Scene()
    async with scene.watched():
        await asyncio.to_thread(scene.set, True)
        await wait_until(lambda: scene.told == [True])


async def test_a_server_that_cannot_be_told_is_told_next_time() -> None:
    scene = Scene()
    scene.fails = True
    async with scene.watched():
        scene.set(True)
        await wait_until(lambda: scene.told == [True])
        scene.set(False)
        await wait_until(lambda: scene.told == [True, False])
