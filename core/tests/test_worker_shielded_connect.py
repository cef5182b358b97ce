"""A connect and a disconnect go on when nobody waits for them any more, and a disconnect is not waited for for ever."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc.worker import shielded_connect
from openrtc.worker.shielded_connect import shield_connect, wait_until_left


class Room(SimpleNamespace):
    """Takes as long as it is told to join and to leave."""

    def __init__(self, connects: float = 0.0, disconnects: float = 0.0) -> None:
        super().__init__(name="r")
        self.did: list[str] = []

        async def connect() -> None:
            await asyncio.sleep(connects)
            self.did.append("connected")

        async def disconnect() -> None:
            await asyncio.sleep(disconnects)
            self.did.append("left")

        self.connect, self.disconnect = connect, disconnect
        shield_connect(self, "", lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("what", "did"), [("connect", ["connected", "left"]), ("disconnect", ["left"])])
async def test_one_that_is_cancelled_goes_on_and_the_room_is_left(what: str, did: list[str]) -> None:
    room = Room(**{f"{what}s": 0.1})
    running: asyncio.Task[Any] = asyncio.create_task(getattr(room, what)())
    await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait({running})
    await wait_until_left(2.0)
    assert room.did == did


async def test_a_disconnect_is_waited_for_only_so_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shielded_connect, "DISCONNECT_SECONDS", 0.05)
    room = Room(disconnects=0.3)
    with caplog.at_level(logging.WARNING, "openrtc.worker"):
        await asyncio.wait_for(room.disconnect(), 0.2)
    assert room.did == [] and "'r' was not left within" in caplog.text
    await wait_until_left(2.0)
    assert room.did == ["left"]


async def test_an_error_of_a_disconnect_is_its_callers() -> None:
    room = Room()

    async def fail() -> None:
        raise RuntimeError("no")

    room.disconnect = fail
    shield_connect(room, "", lambda: None)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no"):
        await room.disconnect()
