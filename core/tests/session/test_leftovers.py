"""What belongs to a call alone ends with it; what other calls share goes on."""

from __future__ import annotations

import asyncio
import logging
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import Agent
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.request import RouteRequest
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallLeftBehind, Event
from openrtc.observe.package_code import forget_packages, note_packages
from openrtc.session import containment, held, leftovers
from openrtc.session.build import build_agent, list_holdings
from openrtc.session.containment import contain_exits
from openrtc.session.leftovers import Leftovers
from openrtc.session.loop_threads import give_threads
from openrtc.threads import ThreadOwner, current_threads, watch_started_threads
from waiting import wait_until

CALL = Call(job_id="j", agent_name="desk", request=RouteRequest(room_name="r"), decision=Decision.to("desk"))
PACKAGE = "package_of_calls"
SOURCE = """
import asyncio
import functools
import threading
import weakref

from livekit.agents import Agent

client = reader = queue = release = None
clients, tasks, by_url, agents, EVENT = {}, set(), {}, [], asyncio.Event()
weak, by_agent = weakref.WeakValueDictionary(), {}


class Client:
    def __init__(self):
        self.queue = asyncio.Queue()

    async def run(self):
        while True:
            await self.queue.get()


class Keeping(Client):
    def __init__(self):
        super().__init__()
        self.task = asyncio.create_task(self.run())


async def poll():
    while True:
        await asyncio.sleep(0.01)


async def stay(stop):
    while not stop.is_set():
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass


def that_stays(stop):
    by_agent["task"] = asyncio.create_task(stay(stop))
    by_agent.clear()


async def serve(queue):
    while True:
        await queue.get()


class Desk(Agent):
    shared = None

    def __init__(self):
        super().__init__(instructions="x")

    async def poll(self):
        while True:
            await asyncio.sleep(0.01)


@functools.cache
def get_client():
    return Keeping()


def make_ask():
    made = Keeping()

    def ask():
        return made

    return ask


def in_global():
    global client
    client = Keeping()


def in_registry():
    clients["acme"] = [Keeping()]


def in_class():
    Desk.shared = Keeping()


def in_cache():
    get_client()


def in_closure():
    global client
    client = make_ask()


def in_partial():
    global client
    client = functools.partial(print, Keeping())


def unheld_task_of_a_held_client():
    global client
    client = Client()
    asyncio.create_task(client.run())


def task_of_a_held_client_in_a_set():
    global client
    client = Client()
    tasks.add(asyncio.create_task(client.run()))


def task_in_global():
    global reader
    reader = asyncio.create_task(poll())


def task_by_url():
    by_url["https://acme"] = asyncio.create_task(poll())


def unheld_worker_of_a_held_queue():
    global queue
    queue = queue or asyncio.Queue()
    asyncio.create_task(serve(queue))


def held_by_nobody():
    asyncio.create_task(poll())


def held_by_the_agent(agent):
    agent.task = asyncio.create_task(agent.poll())


def held_by_an_agent_in_a_registry(agent):
    agents.append(agent)
    agent.task = asyncio.create_task(poll())


def of_the_agent_in_a_registry(agent):
    by_url[id(agent)] = asyncio.create_task(agent.poll())


def kept_from_the_collector():
    task = asyncio.create_task(poll())
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def waits_for_a_held_event_with_its_agent(agent):
    async def watch():
        await EVENT.wait()
        print(agent)

    asyncio.create_task(watch())


def client_of_the_agent(agent):
    agent.client = Keeping()


def in_a_registry_of_rooms():
    by_url["support-1"] = asyncio.create_task(poll())


def client_in_a_registry_of_jobs():
    clients["j1"] = Keeping()


def kept_from_the_collector_by_agent():
    by_agent.setdefault("desk", set()).add(asyncio.create_task(poll()))


def hold_thread():
    release.wait(10)


def thread_of_nobody():
    threading.Thread(target=hold_thread, daemon=True).start()


def thread_kept_from_the_collector():
    tasks.add(thread := threading.Thread(target=hold_thread, daemon=True))
    thread.start()


def thread_of_a_held_client():
    global client
    client = Client()
    client.thread = threading.Thread(target=hold_thread, daemon=True)
    client.thread.start()


def work_in_a_thread():
    asyncio.get_running_loop().run_in_executor(None, hold_thread)


def client_in_a_weak_registry(agent):
    agent.client = weak.setdefault("acme", Keeping())
"""
SHARED = [
    "in_global",
    "in_registry",
    "in_class",
    "in_cache",
    "in_closure",
    "in_partial",
    "unheld_task_of_a_held_client",
    "task_of_a_held_client_in_a_set",
    "task_in_global",
    "task_by_url",
    "unheld_worker_of_a_held_queue",
]
OF_CALL = [
    "held_by_nobody",
    "held_by_the_agent",
    "held_by_an_agent_in_a_registry",
    "of_the_agent_in_a_registry",
    "kept_from_the_collector",
    "waits_for_a_held_event_with_its_agent",
    "client_of_the_agent",
    "in_a_registry_of_rooms",
    "client_in_a_registry_of_jobs",
    "kept_from_the_collector_by_agent",
]


class Context:
    """As much of a job's context as counts here."""

    def __init__(self, job: Any) -> None:
        self.job = job
        self.log_context_fields = {"room": "support-1", "agent": "desk", "distribution": "my-desk"}
        self.room = None


class Calls:
    """Calls that share this loop, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(leftovers, "LEFTOVER_SECONDS", 0.0)
        monkeypatch.setattr(containment, "get_job_context", lambda required: self.current)
        self.current: Any = None
        self.events = EventStream()
        self.told: list[Event] = []
        self.events.subscribe(self.told.append)
        self.leftovers = Leftovers(events=self.events)
        self.count = 0

    async def hold(self, function: Callable[..., Any], *arguments: Any) -> list[asyncio.Task[Any]]:
        """Return the tasks that go on after a call in which a function was called."""
        contain_exits(asyncio.get_running_loop())
        before = asyncio.all_tasks()
        self.count += 1
        job = SimpleNamespace(id=f"j{self.count}", room=SimpleNamespace(name="support-1", sid="RM_1"))
        context = self.current = Context(job)
        owner = ThreadOwner(job.id)
        token = current_threads.set(owner)
        function(*arguments)
        current_threads.reset(token)
        await asyncio.sleep(0)
        self.leftovers.end_soon(context.job.id, context, owner)  # type: ignore[arg-type]  # it stands for one
        self.current = None
        await asyncio.sleep(0)
        while self.leftovers._waiting or self.leftovers._ending:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        return [task for task in asyncio.all_tasks() - before if not task.done()]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package with ways in which its calls make tasks; no other is looked at."""
    module = sys.modules[PACKAGE] = ModuleType(PACKAGE)
    exec(compile(textwrap.dedent(SOURCE), f"/site-packages/{PACKAGE}.py", "exec"), vars(module))
    monkeypatch.setattr(held, "sys", SimpleNamespace(modules={PACKAGE: module}))
    yield module
    del sys.modules[PACKAGE]


def call(package: Any, way: str) -> tuple[Any, ...]:
    function = getattr(package, way)
    return (function, package.Desk()) if function.__code__.co_argcount else (function,)


@pytest.mark.parametrize("way", SHARED)
async def test_what_calls_share_goes_on(calls: Calls, package: Any, way: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (task,) = await calls.hold(*call(package, way))
    assert "agent 'desk': " in caplog.text
    assert "goes on after the call that began it, since other calls share it" in caplog.text
    task.cancel()


@pytest.mark.parametrize("way", OF_CALL)
async def test_what_belongs_to_a_call_alone_ends_with_it(
    calls: Calls, package: Any, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await calls.hold(*call(package, way)) == []
    assert "agent 'desk' left 1 tasks behind when its call had ended, such as " in caplog.text


async def test_a_mixer_of_livekits_that_nobody_ends_ends_with_its_call(calls: Calls, package: Any) -> None:
    shared: list[rtc.AudioMixer] = []
    assert await calls.hold(rtc.AudioMixer, 24_000, 1) == []
    package.MIXERS = shared
    (task,) = await calls.hold(lambda: shared.append(rtc.AudioMixer(24_000, 1)))
    task.cancel()


async def test_a_task_that_catches_its_cancellation_is_told(
    calls: Calls, package: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leftovers, "CANCEL_SECONDS", 0.05)
    stop = asyncio.Event()
    (task,) = await calls.hold(package.that_stays, stop)
    await wait_until(lambda: "1 of the tasks that were cancelled go on, such as stay() at" in caplog.text)
    stop.set()
    await task


async def test_what_is_installed_besides_does_no_harm(
    calls: Calls, package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "sys", sys)
    (task,) = await calls.hold(package.in_registry)
    assert await calls.hold(package.held_by_nobody) == []
    task.cancel()


async def test_a_client_of_a_resource_goes_on(calls: Calls, package: Any) -> None:
    resources: dict[str, Any] = {}
    calls.leftovers = Leftovers(lambda: resources.values())
    (task,) = await calls.hold(lambda: resources.update(acme=package.Keeping()))
    task.cancel()


async def test_a_client_that_the_agent_of_another_call_has_goes_on(calls: Calls, package: Any) -> None:
    async def build() -> Any:
        return package.Desk()

    spec = AgentSpec(agent=build, name="desk")
    agent = await build_agent(spec, replace(CALL, job_id="other"))
    calls.leftovers = Leftovers(lambda: list_holdings({"other"}))
    (task,) = await calls.hold(package.client_in_a_weak_registry, agent)
    task.cancel()
    calls.leftovers = Leftovers(lambda: list_holdings({"third"}))
    assert await calls.hold(package.client_of_the_agent, agent) == []


async def test_of_workers_of_one_queue_that_nobody_holds_one_goes_on(calls: Calls, package: Any) -> None:
    (first,) = await calls.hold(package.unheld_worker_of_a_held_queue)
    assert await calls.hold(package.unheld_worker_of_a_held_queue) == []
    assert not first.done()
    first.cancel()


async def test_many_kept_tasks_of_one_function_are_told(
    calls: Calls, package: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING, "openrtc.worker")
    monkeypatch.setattr(leftovers, "_TOLD", (1, 3))

    def one_more() -> None:
        package.by_url[len(package.by_url)] = asyncio.create_task(package.poll())

    kept = [task for _ in range(4) for task in await calls.hold(one_more)]
    assert len(kept) == 4
    assert caplog.text.count("poll() at") == 1
    assert "; 3 of these run now" in caplog.text
    for task in kept:
        task.cancel()


async def test_other_calls_hear_nothing_while_many_objects_are_looked_at(calls: Calls, package: Any) -> None:
    package.data = {number: [{"row": [str(row), []]} for row in range(1_000)] for number in range(20)}
    package.figures = [[] for _ in range(200_000)]
    gaps: list[float] = []

    async def beat() -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(0)
            now = loop.time()
            gaps.append(now - last)
            last = now

    beating = asyncio.create_task(beat())
    assert await calls.hold(package.held_by_nobody) == []
    beating.cancel()
    assert len(gaps) > 10
    assert sorted(gaps)[len(gaps) // 2] < 0.5


@pytest.fixture
def release(package: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Ends the threads of the package's calls; how threads are started is put back."""
    monkeypatch.setattr(threading.Thread, "start", threading.Thread.start)
    watch_started_threads()
    package.release = threading.Event()
    yield package.release
    package.release.set()


@pytest.mark.parametrize("way", ["thread_of_nobody", "thread_kept_from_the_collector", "work_in_a_thread"])
async def test_a_thread_that_a_call_leaves_is_named_with_its_distribution(
    calls: Calls, package: Any, release: threading.Event, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    give_threads(asyncio.get_running_loop(), ThreadOwner("nobody"))
    await calls.hold(*call(package, way))
    assert "agent 'desk' left 1 threads behind when its call had ended, such as " in caplog.text
    (event,) = calls.told
    assert isinstance(event, CallLeftBehind) and "hold_thread() at " in event.place
    assert (event.room, event.agent, event.left_by) == ("support-1", "desk", "my-desk")
    assert (event.tasks, event.threads, event.rooms) == (0, 1, 0)


async def test_the_thread_of_a_client_that_calls_share_is_left_by_nobody(
    calls: Calls, package: Any, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    await calls.hold(package.thread_of_a_held_client)
    assert not calls.told and "behind" not in caplog.text


async def test_what_another_distributions_code_leaves_in_a_call_counts_as_that_ones(
    calls: Calls, package: Any, release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    note_packages([PACKAGE], plugins=True, distribution="my-plugin")
    try:
        await calls.hold(lambda: (package.held_by_nobody(), package.held_by_nobody(), package.thread_of_nobody()))
    finally:
        forget_packages()
    assert "distribution 'my-plugin' left 2 tasks behind when a call of agent 'desk' had ended, such as" in caplog.text
    (event,) = calls.told
    assert isinstance(event, CallLeftBehind) and event.distribution == "my-desk"
    assert (event.left_by, event.tasks, event.threads, event.rooms) == ("my-plugin", 2, 1, 0)


class Room:
    """A room that was joined."""

    name = "staging"
    left = False

    def isconnected(self) -> bool:
        return not self.left

    async def disconnect(self) -> None:
        self.left = True


@pytest.mark.parametrize("shared", [False, True])
async def test_a_room_that_a_call_has_joined_is_left_unless_calls_share_it(
    calls: Calls, package: Any, shared: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room()
    monkeypatch.setattr(leftovers, "end_noting_rooms", lambda job_id: [room])
    package.client = SimpleNamespace(room=room) if shared else None
    await calls.hold(lambda: None)
    assert room.left is not shared
    assert ("agent 'desk' had joined 1 more rooms" in caplog.text) is not shared
    left = [(event.rooms, event.place) for event in calls.told if isinstance(event, CallLeftBehind)]
    assert left == ([] if shared else [(1, "room 'staging'")])

    await calls.leftovers.aclose(10.0)
    assert room.left, "the worker ends"


@pytest.mark.parametrize("shared", [False, True])
async def test_a_tracer_provider_of_a_call_exports_what_it_holds(
    calls: Calls, package: Any, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(leftovers, "list_call_providers", lambda job_id: [provider])
    package.client = {"provider": provider} if shared else None
    await calls.hold(lambda: None)
    provider.get_tracer("x").start_span("later").end()
    assert len(exporter.get_finished_spans()) == shared, "a provider of the call alone is shut down"


def test_an_agent_is_of_the_call() -> None:
    assert leftovers._is_calls_own(Agent(instructions="x"))
