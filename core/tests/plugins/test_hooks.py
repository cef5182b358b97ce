from __future__ import annotations

import asyncio
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from openrtc.model import hookspecs as specs
from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.hookspecs import hookimpl
from openrtc.model.request import RouteRequest
from openrtc.observe.event_stream import EventStream
from openrtc.plugins import loop_hook
from openrtc.plugins.hooks import HUNG_LIMIT, Hooks

REQUEST = RouteRequest(room_name="room-1")


@dataclass
class Plugin:
    name: str
    target: object
    distribution: str = "some-dist"


def plugin(name: str, function: Any, **options: Any) -> Plugin:
    module = ModuleType(name)
    setattr(module, function.__name__, hookimpl(**options)(function) if options else hookimpl(function))
    return Plugin(name, module)


def answering(value: Any) -> Any:
    def openrtc_route(request: RouteRequest) -> Any:
        return value

    return openrtc_route


def route(hooks: Hooks, limit: float = 1.0) -> list[Any]:
    return asyncio.run(hooks.call_all("openrtc_route", limit=limit, request=REQUEST, agents=("a",)))


def test_implementations_are_called_in_the_order_given_with_tryfirst_first_and_trylast_last() -> None:
    hooks = Hooks(
        [
            plugin("one", answering(1), trylast=True),
            plugin("two", answering(2)),
            plugin("three", answering(3)),
            plugin("four", answering(4), tryfirst=True),
        ]
    )
    assert [outcome.value for outcome in route(hooks)] == [4, 2, 3, 1]
    assert [impl.tryfirst for impl in hooks.implementations("openrtc_route")] == [True, False, False, False]


def test_one_that_raises_or_exits_does_not_stop_the_next() -> None:
    def raising(error: BaseException) -> Any:
        def openrtc_route(request: RouteRequest) -> None:
            raise error

        return openrtc_route

    hooks = Hooks(
        [
            plugin("raises", raising(ValueError("boom"))),
            plugin("exits", raising(SystemExit(3))),
            plugin("stops", raising(StopIteration("x"))),
            plugin("interrupts", raising(KeyboardInterrupt())),
            plugin("answers", answering("a")),
        ]
    )
    outcomes = route(hooks)
    assert [type(outcome.error).__name__ for outcome in outcomes] == [
        "ValueError",
        "HookExit",
        "HookExit",
        "HookExit",
        "NoneType",
    ]
    assert outcomes[-1].value == "a"


def test_async_implementations_are_awaited_and_their_exit_is_contained() -> None:
    async def openrtc_route(request: RouteRequest) -> str:
        await asyncio.sleep(0)
        return "slow"

    async def exits(request: RouteRequest) -> str:
        sys.exit(1)

    exits.__name__ = "openrtc_route"
    first, second = route(Hooks([plugin("exits", exits), plugin("awaits", openrtc_route)]))
    assert isinstance(first.error, SystemExit)
    assert second.value == "slow"


def test_an_implementation_gets_only_the_arguments_that_it_names() -> None:
    seen: list[Any] = []

    def openrtc_route(agents: Any) -> None:
        seen.append(agents)

    route(Hooks([plugin("picky", openrtc_route)]))
    assert seen == [("a",)]


@pytest.mark.parametrize("blocking", [True, False])
def test_one_that_hangs_is_left_after_its_limit_and_the_next_answers(blocking: bool) -> None:
    release = threading.Event()

    def blocks(request: RouteRequest) -> None:
        release.wait(10)

    async def sleeps(request: RouteRequest) -> None:
        await asyncio.sleep(10)

    hangs = blocks if blocking else sleeps
    hangs.__name__ = "openrtc_route"
    outcomes = route(Hooks([plugin("hangs", hangs), plugin("answers", answering("a"))]), limit=0.05)
    release.set()
    assert isinstance(outcomes[0].error, TimeoutError)
    assert outcomes[1].value == "a"


def test_one_that_always_hangs_is_left_out_until_it_comes_back() -> None:
    release = threading.Event()
    started: list[int] = []

    def openrtc_route(request: RouteRequest) -> str:
        started.append(1)
        release.wait(10)
        return "a"

    hooks = Hooks([plugin("hangs", openrtc_route)])

    async def scenario() -> tuple[Any, Any]:
        arguments = {"request": REQUEST, "agents": ("a",)}
        for _ in range(HUNG_LIMIT + 2):
            (left_out,) = await hooks.call_all("openrtc_route", limit=0.02, **arguments)
        release.set()
        await asyncio.sleep(0.2)
        (answered,) = await hooks.call_all("openrtc_route", limit=2, **arguments)
        return left_out, answered

    left_out, answered = asyncio.run(scenario())
    assert len(started) == HUNG_LIMIT + 1
    assert "left out" in str(left_out.error)
    assert answered.value == "a"


def test_cancelling_the_caller_is_not_taken_for_a_fault_of_the_plugin() -> None:
    async def openrtc_route(request: RouteRequest) -> None:
        await asyncio.sleep(10)

    async def scenario() -> None:
        hooks = Hooks([plugin("sleeps", openrtc_route)])
        task = asyncio.create_task(hooks.call_all("openrtc_route", limit=5, request=REQUEST, agents=()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_every_hook_has_a_worked_example_that_takes_arguments_of_the_hook() -> None:
    hooks = [value for name, value in vars(specs).items() if name.startswith("openrtc_")]
    assert len(hooks) == 11
    for hook in hooks:
        assert "Example::" in (hook.__doc__ or ""), hook.__name__
        assert f"def {hook.__name__}(" in (hook.__doc__ or "")


async def test_each_failure_of_an_implementation_is_an_event() -> None:
    def openrtc_session_ended(call: Any, reason: str) -> None:
        raise ValueError("no such table")

    def openrtc_resources() -> None:
        sys.exit(3)

    told: list[dict[str, Any]] = []
    events = EventStream()
    events.subscribe(lambda event: told.append(event.to_json()))
    hooks = Hooks([plugin("a", openrtc_session_ended), plugin("b", openrtc_resources)], events)
    await hooks.collect("openrtc_session_ended", limit=1, call=None, reason="x")
    hooks.collect_now("openrtc_resources")
    assert [(one["event"], one["plugin"], one["hook"], one["error"]) for one in told] == [
        ("plugin_failed", "a", "openrtc_session_ended", "ValueError: no such table"),
        ("plugin_failed", "b", "openrtc_resources", "SystemExit: 3"),
    ]
    assert {one["distribution"] for one in told} == {"some-dist"}


def test_what_a_hook_changes_at_the_start_is_put_back_and_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    caplog.set_level("WARNING", "openrtc.plugins")
    stdout = sys.stdout

    def openrtc_providers() -> dict[str, Any]:
        os.chdir("/")
        sys.stdout = None
        return {}

    (result,) = Hooks([plugin("a", openrtc_providers)]).collect_now("openrtc_providers")
    assert (result.value, Path.cwd(), sys.stdout) == ({}, tmp_path, stdout)
    (line,) = (line for line in caplog.messages if line.startswith("a: openrtc_providers ("))
    assert line.endswith(") has changed the current folder: put back, since it is everybody's")


async def test_what_a_plugin_records_on_a_call_stands_under_its_distribution_also_later() -> None:
    recorded: list[tuple[str, str, Any]] = []
    listeners: list[Any] = []

    def openrtc_session(call: Call) -> None:
        listeners.append(lambda: call.record("listened", 1))

    def openrtc_session_ended(call: Call) -> None:
        call.record("ended", 2)

    plugins = [plugin("a", openrtc_session), plugin("b", openrtc_session_ended)]
    plugins[0].distribution, plugins[1].distribution = "a-dist", "b-dist"
    call = Call(
        job_id="AJ_1",
        agent_name="support",
        request=REQUEST,
        decision=Decision.to("support"),
        recorder=lambda *record: recorded.append(record),
        recorded_by="support-dist",
    )
    hooks = Hooks(plugins)
    await hooks.collect_on_loop("openrtc_session", limit=1, call=call, session=None)
    await hooks.collect("openrtc_session_ended", limit=1, call=call, reason="x")
    call.record("built", 3)
    for listener in listeners:
        listener()
    assert recorded == [("b-dist", "ended", 2), ("support-dist", "built", 3), ("a-dist", "listened", 1)]


def redacting(function: Any) -> Any:
    def openrtc_redact(text: str) -> Any:
        return function(text)

    return openrtc_redact


def test_texts_are_redacted_by_each_in_turn() -> None:
    def openrtc_redact(text: str) -> Any:
        (left,) = yield
        return [f"<{left}>"]

    plugins = [
        plugin("one", redacting(lambda text: text.replace("4711", "…"))),
        plugin("two", redacting(lambda text: text.replace("…", "[number]"))),
    ]
    assert Hooks(plugins).redact("order 4711") == "order [number]"
    assert Hooks([*plugins, plugin("three", openrtc_redact, wrapper=True)]).redact("4711") == "<<[number]>>"
    assert Hooks().redact("order 4711") is None


@pytest.mark.parametrize("answer", [None, 7, ValueError("4711"), SystemExit("4711"), StopIteration("4711")])
def test_nothing_is_written_where_one_fails_to_redact(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    def redact(text: str) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    events = EventStream()
    failed: list[Any] = []
    events.subscribe(failed.append)
    hooks = Hooks(
        [plugin("good", redacting(str)), plugin("bad", redacting(redact)), plugin("g", redacting(str))], events
    )
    assert hooks.redact("order 4711") is None
    if isinstance(answer, BaseException):
        assert [(one.plugin, one.hook) for one in failed] == [("bad", "openrtc_redact")]
        assert type(answer).__name__ in caplog.text
    assert "4711" not in caplog.text + repr(failed)


def test_one_that_blocks_as_it_redacts_is_left_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_hook, "BLOCK_SECONDS", 0.0)
    hooks = Hooks([plugin("slow", redacting(str))])
    assert [hooks.redact("a"), hooks.redact("b"), hooks.redact("c")] == ["a", "b", None]
    assert "nothing is written of what it would redact" in caplog.messages[1]
