from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openrtc.observe import package_code
from openrtc.worker.signal_guard import SignalGuard


@pytest.fixture
async def received() -> AsyncIterator[list[str]]:
    """What the worker's own callback has received."""
    names: list[str] = []
    package_code.note_packages(["my_agent"])
    with contextlib.closing(SignalGuard(lambda number: names.append(number.name), "SIGTERM", "SIGINT")):
        yield names
    package_code.forget_packages()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.remove_signal_handler(number)


async def send(number: int) -> None:
    os.kill(os.getpid(), number)
    await asyncio.sleep(0.05)


def raise_exit() -> None:
    raise SystemExit("as aiohttp's handler")


TAKES: dict[str, Callable[[Any], object]] = {
    "add_signal_handler": lambda loop: loop.add_signal_handler(signal.SIGTERM, lambda: None),
    "add_signal_handler that raises": lambda loop: loop.add_signal_handler(signal.SIGTERM, raise_exit),
    "remove_signal_handler": lambda loop: loop.remove_signal_handler(signal.SIGTERM),
    "signal.signal": lambda _: signal.signal(signal.SIGTERM, lambda *_: None),
    "SIG_DFL": lambda _: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    "SIG_IGN": lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "set_wakeup_fd": lambda _: eval("signal.set_wakeup_fd(-1)", {"signal": signal, "__name__": "my_agent"}),
}


@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
async def test_nobody_takes_the_signals_away(take: Callable[[Any], object], received: list[str]) -> None:
    take(asyncio.get_running_loop())
    await send(signal.SIGTERM)
    await send(signal.SIGINT)
    assert received == ["SIGTERM", "SIGINT"]


async def test_the_handlers_of_agents_are_called_too_and_go_when_they_are_taken_back(received: list[str]) -> None:
    loop, heard = asyncio.get_running_loop(), list[str]()
    loop.add_signal_handler(signal.SIGTERM, heard.append, "loop")
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append("process"))
    await send(signal.SIGTERM)
    assert heard == ["loop", "process"]
    assert loop.remove_signal_handler(signal.SIGTERM) and not loop.remove_signal_handler(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)  # as uvicorn does at its end
    await send(signal.SIGTERM)
    assert heard == ["loop", "process"] and received == ["SIGTERM"] * 2


async def test_other_signals_and_other_threads_are_left_alone(received: list[str]) -> None:
    loop, heard = asyncio.get_running_loop(), list[int]()
    loop.add_signal_handler(signal.SIGUSR1, heard.append, 1)
    await send(signal.SIGUSR1)
    assert loop.remove_signal_handler(signal.SIGUSR1)
    errors: list[BaseException] = []

    def try_in_thread() -> None:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=try_in_thread)
    thread.start()
    thread.join()
    assert heard == [1] and len(errors) == 1
    with pytest.raises(TypeError):
        signal.signal(signal.SIGTERM, "no handler")  # type: ignore[arg-type]  # that is the test


def test_everything_is_as_it_was_afterwards() -> None:
    async def main() -> bool:
        loop = asyncio.get_running_loop()
        before = (signal.signal, signal.set_wakeup_fd)
        SignalGuard(lambda _: None, "SIGTERM").close()
        return (signal.signal, signal.set_wakeup_fd) == before and "add_signal_handler" not in vars(loop)

    assert asyncio.run(main())
