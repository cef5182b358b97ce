"""A loop's blocking code runs in threads of whose code it is: nobody's holds up anybody else's."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from livekit.agents import JobContext

from openrtc.model.resource import ResourceSpec
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.implementation import Implementation
from openrtc.runtime.resources import Resources
from openrtc.session import loop_threads
from openrtc.session.containment import run_contained
from openrtc.session.loop_threads import give_threads
from openrtc.speedups.uvloop import new_event_loop
from openrtc.threads import MOST_THREADS, ThreadOwner, current_threads

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, Any]], Any]
SOON = 5.0
"""Seconds: what another one's empty work may take on a busy machine; behind the busy threads it would wait for ever."""


@pytest.fixture(params=[("vad",), ("uvloop",)], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine as a worker does, in each of the loops that it may have."""
    return lambda main: run_contained(main, new_event_loop(request.param))


def start_as(owner: ThreadOwner, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task whose code is an owner's."""
    context = contextvars.copy_context()
    context.run(current_threads.set, owner)
    return asyncio.get_running_loop().create_task(coroutine, context=context)


async def time_of(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def empty() -> None:
    await asyncio.to_thread(int)


async def default_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, int)


async def host_name() -> None:
    await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def peer_name() -> None:
    await asyncio.get_running_loop().getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST)


async def fill(owner: ThreadOwner, until: threading.Event) -> asyncio.Task[Any]:
    """Let an owner wait in more threads than it has."""

    async def wait() -> None:
        await asyncio.gather(*(asyncio.to_thread(until.wait, 20) for _ in range(MOST_THREADS + 3)))

    waiting = start_as(owner, wait())
    await asyncio.sleep(0.02)
    assert len(owner.unfinished) == MOST_THREADS + 3
    return waiting


@pytest.mark.parametrize("work", [empty, default_executor, host_name, peer_name])
def test_nobody_waits_for_the_threads_of_another_call(run: Run, work: Callable[[], Any]) -> None:
    async def main() -> None:
        busy, other, go = ThreadOwner("busy"), ThreadOwner("other"), threading.Event()
        waiting = await fill(busy, go)
        assert await start_as(other, time_of(work)) < SOON
        assert await time_of(work) < SOON, "the worker itself"
        assert await asyncio.create_task(time_of(work), context=contextvars.Context()) < SOON, "nobody's code"
        go.set()
        await waiting
        for one in (busy, other):
            one.close()

    run(main())


@pytest.mark.parametrize("work", [host_name, peer_name])
def test_a_call_looks_up_names_though_all_its_threads_wait(run: Run, work: Callable[[], Any]) -> None:
    async def main() -> None:
        busy, go = ThreadOwner("busy"), threading.Event()
        waiting = await fill(busy, go)
        assert await start_as(busy, time_of(work)) < SOON
        go.set()
        await waiting
        busy.close()

    run(main())


def test_livekit_agents_cleans_up_a_call_though_all_its_threads_wait(run: Run) -> None:
    async def main() -> None:
        busy, go = ThreadOwner("busy"), threading.Event()
        waiting = await fill(busy, go)
        cleaned: list[str] = []
        job: Any = SimpleNamespace(
            _early_log_handler=None,
            _tempdir=SimpleNamespace(cleanup=lambda: cleaned.append("folder")),
            _telemetry_state=None,
            _handlers_with_filter=[],
            job=SimpleNamespace(id="job-1"),
        )

        async def clean_up() -> None:
            cleaning: Any = JobContext._on_cleanup(job)
            if inspect.isawaitable(cleaning):  # livekit-agents 1.8.0 does it at once
                await cleaning

        assert await start_as(busy, time_of(clean_up)) < SOON
        assert cleaned == ["folder"]
        go.set()
        await waiting
        busy.close()

    run(main())


def test_the_end_of_a_loop_waits_for_no_thread_that_hangs(run: Run) -> None:
    never = threading.Event()
    busy = ThreadOwner("busy")

    async def main() -> None:
        waiting = await fill(busy, never)
        waiting.cancel()

    began = time.monotonic()
    run(main())
    assert time.monotonic() - began < 2.0
    never.set()
    busy.close()


@pytest.mark.process
def test_a_thread_that_hangs_keeps_no_process_from_ending() -> None:
    source = (
        "import threading\n"
        "from openrtc.threads import ThreadOwner\n"
        "ThreadOwner('hangs').own.submit(threading.Event().wait)\n"
    )
    subprocess.run([sys.executable, "-c", source], timeout=20, check=True)


def test_context_variables_reach_a_thread_as_they_did(run: Run) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    async def main() -> None:
        variable.set("the caller's")
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(variable.get) == "the caller's"
        assert await loop.run_in_executor(None, variable.get) == "none", "as in asyncio"

    run(main())


def test_what_a_thread_hands_back_to_the_loop_counts_as_its_owners(run: Run) -> None:
    async def main() -> None:
        owner, loop = ThreadOwner("owner"), asyncio.get_running_loop()

        async def who() -> ThreadOwner | None:
            return current_threads.get()

        def back() -> ThreadOwner | None:
            return asyncio.run_coroutine_threadsafe(who(), loop).result(5)

        async def ask() -> ThreadOwner | None:
            return await loop.run_in_executor(None, back)

        assert await start_as(owner, ask()) is owner
        owner.close()

    run(main())


def test_an_executor_that_a_call_sets_is_that_calls_alone(run: Run) -> None:
    async def main() -> None:
        chooser, other, loop = ThreadOwner("chooser"), ThreadOwner("other"), asyncio.get_running_loop()
        executor = ThreadPoolExecutor(1, thread_name_prefix="chosen")

        async def choose() -> str:
            loop.set_default_executor(executor)
            return (await asyncio.to_thread(threading.current_thread)).name

        async def look() -> str:
            return (await asyncio.to_thread(threading.current_thread)).name

        assert (await start_as(chooser, choose())).startswith("chosen")
        assert await start_as(other, look()) == "other"
        assert await look() == "worker"
        executor.shutdown()
        assert await start_as(other, look()) == "other"
        with pytest.raises(RuntimeError, match="after shutdown"):
            await start_as(chooser, look())
        with pytest.raises(TypeError, match="ThreadPoolExecutor"):
            loop.set_default_executor("no executor")  # type: ignore[arg-type]
        own = await loop.run_in_executor(ThreadPoolExecutor(1, "own"), threading.current_thread)
        assert own.name.startswith("own")
        for one in (chooser, other):
            one.close()

    run(main())


def test_a_call_that_shuts_the_loops_executor_down_does_so_for_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_threads, "END_SECONDS", 0.2)

    async def main() -> None:
        closer, other, go = ThreadOwner("closer"), ThreadOwner("other"), threading.Event()

        async def shut_down() -> None:
            saved: list[str] = []
            loop = asyncio.get_running_loop()

            def save() -> None:
                time.sleep(0.05)
                saved.append("yes")

            loop.run_in_executor(None, save)
            await loop.shutdown_default_executor()
            assert saved == ["yes"], "what was not awaited may end"
            loop.run_in_executor(None, go.wait, 20)
            await loop.shutdown_default_executor()  # does not wait for ever

        await start_as(closer, shut_down())
        assert await start_as(other, time_of(empty)) < SOON
        go.set()
        other.close()

    run(main())


def test_what_is_left_is_named_by_where_it_was_asked_for(run: Run) -> None:
    async def main() -> None:
        owner, go = ThreadOwner("owner"), threading.Event()

        def own_function() -> None:
            go.wait(20)

        async def crm() -> None:
            await asyncio.to_thread(go.wait, 20)

        async def tasks() -> None:
            await asyncio.gather(asyncio.to_thread(own_function), asyncio.to_thread(time.sleep, 0.3))

        waiting = [start_as(owner, crm()), start_as(owner, tasks())]
        await asyncio.sleep(0.05)
        crm_place, own_place, bare = (
            next(work.place for work in owner.unfinished if name in work.place) for name in ("Event", "own", "sleep")
        )
        assert re.fullmatch(rf"threading.Event.wait\(\) at {re.escape(__file__)}:\d+", crm_place)
        assert re.fullmatch(rf".*own_function\(\) at {re.escape(__file__)}:\d+", own_place)
        assert bare == "time.sleep()"
        go.set()
        await asyncio.gather(*waiting)
        owner.close()

    run(main())


def test_a_loop_gets_its_threads_once(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = loop.run_in_executor
        give_threads(loop, ThreadOwner("again"))
        assert loop.run_in_executor == before

    run(main())


def test_hooks_and_resources_use_threads_of_their_packages(run: Run) -> None:
    async def look() -> str:
        return (await asyncio.to_thread(threading.current_thread)).name

    async def main() -> None:
        one = Implementation("openrtc_shutdown", "crm", "crm-plugin", look, (), tryfirst=False)
        assert (await Hooks().call(one, limit=5.0)).value == "worker-crm"
        resources = Resources()
        await resources.load([(ResourceSpec(key="crm", load=look), "crm-plugin")])
        assert resources["crm"] == "worker-crm-plugin"
        assert await look() == "worker", "as before"
        call = ThreadOwner("call")
        assert (await start_as(call, Hooks().call(one, limit=5.0))).value == "call-crm"
        call.close()

    run(main())
