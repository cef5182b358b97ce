"""The event emitter that remembers signatures does what livekit's own does, callback by callback."""

from __future__ import annotations

import functools
import gc
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from livekit.rtc import EventEmitter

from openrtc.speedups import signatures
from openrtc.upstream.digest import find_changes

got: list[Any] = []


class Listener:
    def none(self) -> None:
        got.append(())

    def one(self, a: Any) -> None:
        got.append((a,))

    def __call__(self, a: Any, b: Any) -> None:
        got.append((a, b))


def two(a: Any, b: Any = 0, *, key: int = 1) -> None:
    got.append((a, b, key))


def fails(a: Any) -> None:
    raise ValueError("no")


def mistaken(a: Any, b: Any, c: Any) -> None:
    got.append((a, b, c))


@functools.wraps(two)
def wrapped(*args: Any) -> None:
    got.append(args)


CALLBACKS: list[Callable[..., Any]] = [
    Listener().none,
    Listener().one,
    Listener.one,
    Listener(),
    two,
    lambda *all_of_them: got.append(all_of_them),
    lambda: got.append(()),
    functools.partial(two, 7),
    fails,
    mistaken,
    wrapped,
    got.append,
    print,
    dict,
]


@pytest.fixture(autouse=True)
def _upstream_again() -> Iterator[None]:
    yield
    signatures.uninstall()


def emit_thrice(callback: Callable[..., Any], keep: bool, caplog: pytest.LogCaptureFixture, *args: Any) -> list[Any]:
    """Return what three events do: what the callback got, what was raised and what was logged."""
    (signatures.install if keep else signatures.uninstall)()
    emitter: EventEmitter[str] = EventEmitter()
    emitter.on("event", callback)
    got.clear()
    caplog.clear()
    raised = []
    for _ in range(3):
        try:
            emitter.emit("event", *args)
        except Exception as error:
            raised.append(repr(error))
    emitter.emit("nobody listens", 1)
    return [list(got), raised, [record.getMessage() for record in caplog.records]]


def test_this_event_emitter_is_known() -> None:
    assert find_changes("signatures") == {}


@pytest.mark.parametrize("args", [(), ("a",), ("a", "b"), ("a", "b", "c")], ids=len)
@pytest.mark.parametrize("callback", CALLBACKS, ids=[str(number) for number in range(len(CALLBACKS))])
def test_each_callback_gets_what_livekit_gives_it(
    callback: Callable[..., Any], args: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert emit_thrice(callback, True, caplog, *args) == emit_thrice(callback, False, caplog, *args)


def test_a_callback_that_removes_itself_and_one_that_is_added_meanwhile_count_as_in_livekit() -> None:
    signatures.install()
    emitter: EventEmitter[str] = EventEmitter()
    heard: list[str] = []

    def once() -> None:
        heard.append("once")
        emitter.on("event", lambda: heard.append("later"))

    emitter.once("event", once)
    emitter.emit("event")
    emitter.emit("event")
    assert heard == ["once", "later"]


def test_a_function_that_is_gone_is_not_remembered() -> None:
    signatures.install()
    emitter: EventEmitter[str] = EventEmitter()
    gc.collect()
    before = len(signatures._counts)

    def listen_for_a_moment() -> None:
        def listener(a: Any) -> None:
            got.append(a)

        emitter.on("event", listener)
        emitter.emit("event", 1)
        emitter.off("event", listener)

    listen_for_a_moment()
    gc.collect()
    assert len(signatures._counts) == before
