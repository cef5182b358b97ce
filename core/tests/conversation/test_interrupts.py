"""Signals that end a conversation."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from openrtc.conversation.interrupts import Interrupts


@pytest.mark.parametrize(("number", "count"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGHUP, 2)])
async def test_a_signal_ends_it_and_a_terminal_that_closes_as_if_asked_twice(
    number: signal.Signals, count: int
) -> None:
    before = signal.getsignal(number)
    called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        interrupts = Interrupts(lambda: called.set_result(None))
        os.kill(os.getpid(), number)
        await asyncio.wait_for(called, 30.0)
        assert (interrupts.exit_code, interrupts.count) == (128 + number, count)
    finally:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(one)
        signal.signal(number, before)
