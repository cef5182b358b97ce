"""Hook wrappers work as pluggy's do, and harm nobody when they fail."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Generator
from types import ModuleType
from typing import Any

import pytest

from openrtc.model.hookspecs import hookimpl
from openrtc.observe.event_stream import EventStream
from openrtc.plugins.hooks import HUNG_LIMIT, Hooks

Wrapper = Callable[..., Generator[None, Any, Any]]


class Plugin:
    def __init__(self, name: str, function: Callable[..., Any], hook: str, **options: Any) -> None:
        self.name = name
        self.distribution = f"dist-{name}"
        self.target = ModuleType(name)
        vars(self.target)[hook] = hookimpl(specname=hook, **options)(function)


def answering(value: Any) -> Any:
    def answer(call: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    return answer


def collect(
    *wrappers: Wrapper, answers: tuple[Any, ...] = (1, None, 2), events: EventStream | None = None
) -> list[Any]:
    """Return what the plugins' ``openrtc_session_options`` give within wrappers: value and plugin of each."""
    name = "openrtc_session_options"
    plugins = [Plugin(f"p{number}", answering(value), name) for number, value in enumerate(answers)]
    plugins += [Plugin(f"w{number}", wrapper, name, wrapper=True) for number, wrapper in enumerate(wrappers)]
    results = asyncio.run(Hooks(plugins, events).collect(name, limit=0.3, call="the call"))
    return [(result.value, result.implementation.plugin) for result in results]


def test_a_wrapper_is_given_the_values_and_returns_those_that_count() -> None:
    seen: list[Any] = []

    def wrap(call: Any) -> Generator[None, Any, Any]:
        seen.append(call)
        results = yield
        seen.append(results)
        return [*results, 3]

    assert collect(wrap) == [(1, "p0"), (2, "p2"), (3, "w0")]
    assert seen == ["the call", [1, 2]]


def test_wrappers_are_within_each_other_the_first_plugin_outermost() -> None:
    order: list[str] = []

    def build(name: str) -> Wrapper:
        def wrap() -> Generator[None, Any, Any]:
            order.append(f"{name} begins")
            results = yield
            order.append(f"{name} ends")
            return [f"{name}({result})" for result in results]

        return wrap

    assert [value for value, _ in collect(build("outer"), build("inner"), answers=(1,))] == ["outer(inner(1))"]
    assert order == ["outer begins", "inner begins", "inner ends", "outer ends"]


def test_a_wrapper_that_only_watches_changes_nothing() -> None:
    def wrap() -> Generator[None, Any, None]:
        yield

    assert collect(wrap) == [(1, "p0"), (None, "p1"), (2, "p2")]


def raises_before(call: Any) -> Generator[None, Any, Any]:
    if call:
        raise LookupError("no such table")
    yield


def raises_after(call: Any) -> Generator[None, Any, Any]:
    yield
    sys.exit(3)


def never_yields(call: Any) -> Generator[None, Any, Any]:
    if call is None:
        yield


def yields_twice(call: Any) -> Generator[None, Any, Any]:
    yield
    yield


def returns_a_word(call: Any) -> Generator[None, Any, Any]:
    yield
    return "sales"


def hangs_before(call: Any) -> Generator[None, Any, Any]:
    threading.Event().wait(2)
    yield


def hangs_after(call: Any) -> Generator[None, Any, Any]:
    yield
    threading.Event().wait(2)


@pytest.mark.parametrize(
    ("wrapper", "line"),
    [
        (raises_before, "LookupError: no such table"),
        (raises_after, "HookExit: raised SystemExit(3)"),
        (never_yields, "RuntimeError: the wrapper has not yielded"),
        (yields_twice, "RuntimeError: the wrapper has yielded twice"),
        (returns_a_word, "TypeError: the wrapper has returned str, not the list of results"),
        (hangs_before, "TimeoutError: no answer within 0.3 s"),
        (hangs_after, "TimeoutError: no answer within 0.3 s"),
    ],
)
def test_a_wrapper_that_fails_is_told_and_loses_nothing(
    wrapper: Wrapper, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[dict[str, Any]] = []
    events = EventStream()
    events.subscribe(lambda event: told.append(event.to_json()))
    assert collect(wrapper, answers=(1, 2), events=events) == [(1, "p0"), (2, "p1")]
    assert [(one["plugin"], one["distribution"], one["error"]) for one in told] == [("w0", "dist-w0", line)]
    assert f"w0: openrtc_session_options failed: {line}" in caplog.messages


def test_an_implementation_that_fails_is_told_to_no_wrapper(caplog: pytest.LogCaptureFixture) -> None:
    def wrap() -> Generator[None, Any, Any]:
        results = yield
        return [len(results)]

    assert collect(wrap, answers=(ValueError("mine"), 2)) == [(1, "w0")]
    assert "p0: openrtc_session_options failed: ValueError: mine" in caplog.messages


def test_a_router_is_asked_within_the_wrappers() -> None:
    def shout(agents: Any) -> Generator[None, Any, Any]:
        answers = yield
        return [answer.upper() for answer in answers]

    def openrtc_route(request: Any) -> Any:
        return request

    def ask(answer: Any) -> tuple[Any, str]:
        route = [Plugin("r", openrtc_route, "openrtc_route"), Plugin("w", shout, "openrtc_route", wrapper=True)]
        hooks = Hooks(route)
        (router,) = hooks.implementations("openrtc_route")
        result = asyncio.run(hooks.ask(router, limit=1, request=answer, agents=()))
        return result.value, result.implementation.plugin

    assert ask("sales") == ("SALES", "w")
    assert ask(None) == (None, "r")


def test_hooks_at_the_start_have_wrappers_too() -> None:
    def wrap() -> Generator[None, Any, Any]:
        (first,) = yield
        return [{"scheme": first}]

    plugins = [
        Plugin("p", lambda: {"other": 1}, "openrtc_providers"),
        Plugin("w", wrap, "openrtc_providers", wrapper=True),
    ]
    (result,) = Hooks(plugins).collect_now("openrtc_providers")
    assert (result.value, result.implementation.plugin) == ({"scheme": {"other": 1}}, "w")


async def test_a_wrapper_that_hangs_again_and_again_is_left_out() -> None:
    free = threading.Event()

    def hangs() -> Generator[None, Any, Any]:
        free.wait(10)
        yield

    hooks = Hooks([Plugin("w", hangs, "openrtc_session_started", wrapper=True)])
    results = [
        (await hooks.call_all("openrtc_session_started", limit=0.02, call=None))[0] for _ in range(HUNG_LIMIT + 1)
    ]
    free.set()
    assert "left out" in str(results[-1].error)
