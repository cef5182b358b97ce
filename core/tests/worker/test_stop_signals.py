"""What lets a worker stop: signals, and the end of its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from openrtc.worker.control_channel import DRAIN, LEAVE, ControlChannel
from openrtc.worker.stop_signals import StopSignals

Start = Callable[..., StopSignals]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Make one, and let all signals be as before afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    started: list[StopSignals] = []

    def make(channel: ControlChannel | None = None, *, patient: bool = True) -> StopSignals:
        started.append(StopSignals(channel, patient=patient))
        return started[-1]

    yield make
    for stop in started:
        stop.close()
    for number, handler in before.items():
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, handler)


async def receive(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)


async def test_a_hang_up_drains_a_worker_that_is_to_be_replaced_however_often_it_comes(start: Start) -> None:
    stop = start()
    await receive(signal.SIGHUP, signal.SIGHUP)
    assert stop.first.done() and not stop.second.done() and stop.replace


async def test_who_is_asked_to_stop_after_a_hang_up_is_not_replaced_and_a_second_signal_ends_the_calls(
    start: Start,
) -> None:
    stop = start()
    await receive(signal.SIGHUP, signal.SIGTERM)
    assert not stop.replace and not stop.second.done()
    await receive(signal.SIGTERM)
    assert stop.second.done()


async def test_a_signal_after_an_order_to_drain_ends_the_calls(start: Start) -> None:
    stop = start()
    stop.drain()
    await receive(signal.SIGTERM)
    assert stop.second.done()


async def test_a_developer_s_worker_ends_at_once_when_its_terminal_closes(start: Start) -> None:
    stop = start(patient=False)
    await receive(signal.SIGHUP)
    assert stop.first.done() and stop.second.done() and not stop.replace


async def test_a_hang_up_is_ignored_where_nohup_lets_it_be(start: Start) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = start()
    await receive(signal.SIGHUP)
    assert not stop.first.done()


async def test_a_worker_without_its_supervisor_drains_and_heeds_a_second_signal(
    start: Start, ends: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = ends
    stop = start(ControlChannel(theirs))
    await receive(signal.SIGHUP)
    assert not stop.first.done(), "only the supervisor acts on that"
    ours.close()
    await asyncio.wait_for(stop.first, 30.0)
    assert stop.orphaned and not stop.second.done()
    await receive(signal.SIGTERM)  # as a service manager sends it when the supervisor is gone
    assert not stop.second.done()
    await receive(signal.SIGTERM)
    assert stop.second.done()


async def test_a_worker_without_a_health_server_leaves_its_port_by_draining(
    start: Start, ends: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = ends
    stop = start(ControlChannel(theirs))
    ours.send(LEAVE + DRAIN)
    await asyncio.wait_for(stop.first, 30.0)
    asyncio.get_running_loop().remove_reader(theirs)
