"""Events of livekit's native library reach those alone that they are for, and whoever is not known gets everything."""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import livekit.rtc
import pytest
from livekit.rtc import audio_source, audio_stream, data_stream, data_track, participant, room, track, video_stream
from livekit.rtc._ffi_client import FfiQueue
from livekit.rtc._proto.ffi_pb2 import FfiEvent, FfiResponse
from livekit.rtc._utils import Queue

import openrtc.speedups.events as speedup
from openrtc.speedups.event_addresses import ANY_ID, Address
from openrtc.speedups.events import RoutedQueue
from openrtc.speedups.registry import install_speedups
from openrtc.upstream.digest import find_changes

MODULES = (audio_source, audio_stream, data_stream, data_track, participant, room, track, video_stream)
TAKES = Address("publish_track", ANY_ID)


def event(kind: str, field: str = "async_id", number: int = 1) -> FfiEvent:
    made = FfiEvent()
    setattr(getattr(made, kind), field, number)
    return made


def in_livekit(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a test of events as one of livekit's own."""
    test.__module__ = "livekit.rtc.room"
    return test


def answer_to(number: int, kind: str = "publish_data") -> Callable[[Any], bool]:
    return in_livekit(lambda e: getattr(e, kind).async_id == number)


async def taken(queue: Queue[FfiEvent]) -> list[str | None]:
    """Return the kinds of what a listener has got."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return [queue.get_nowait().WhichOneof("message") for _ in range(queue.qsize())]


def is_empty(events: RoutedQueue[FfiEvent]) -> bool:
    return not (events._routes or events._by_address or events._subscribers)


def test_this_livekit_is_known() -> None:
    assert find_changes("events") == {}


async def listen_otherwise(self: room.Room) -> None: ...


def test_a_livekit_that_delivers_otherwise_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room.Room, "_listen_task", listen_otherwise)
    before = room.Room._listen_task, livekit.rtc._ffi_client.FfiQueue
    install_speedups(["events"])
    assert (room.Room._listen_task, livekit.rtc._ffi_client.FfiQueue) == before
    assert "speedup 'events' is off, since OpenRTC does not know this livekit-agents" in caplog.text
    assert "livekit.rtc.room:Room._listen_task has changed" in caplog.text


def test_only_publishing_listens_to_what_a_room_passes_on() -> None:
    users = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and "_room_queue.subscribe" in ast.unparse(
                node
            ):
                users.add(node.name)
    assert users == {"publish_track", "unpublish_track"}


def test_a_room_has_one_local_participant_for_each_connection() -> None:
    source = ast.unparse(ast.parse(inspect.getsource(room)))
    assert source.count("self._local_participant = ") == 1
    assert source.count("self._ffi_handle = ") == 1
    assert source.index("self._local_participant = ") < source.index("create_task(self._listen_task())")


def test_each_of_livekits_own_waiters_waits_once_for_an_address_of_its_own() -> None:
    waiting = 0
    for module in MODULES:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("queue.wait_for"):
                continue
            (test,) = node.args
            if isinstance(test, ast.Lambda):
                waiting += 1
                (comparison,) = [part for part in ast.walk(test) if isinstance(part, ast.Compare)]
                assert ast.unparse(test.body) == ast.unparse(comparison)
                assert isinstance(comparison.ops[0], ast.Eq) and "async_id" in ast.unparse(comparison)
            else:
                assert ast.unparse(test) == "self._is_event"
    assert waiting >= 15


def test_the_streams_own_test_is_a_comparison() -> None:
    for stream in (audio_stream.AudioStream, video_stream.VideoStream):
        source = textwrap.dedent(inspect.getsource(stream._is_event))
        assert "stream_handle == self._ffi_handle.handle" in source


async def test_an_answer_reaches_only_who_waits_for_it() -> None:
    events = RoutedQueue[FfiEvent]()
    first, second = events.subscribe(), events.subscribe()
    waiting = [asyncio.create_task(wait(queue, answer_to(n))) for n, queue in ((1, first), (2, second))]
    await asyncio.sleep(0)
    for number in (3, 2):
        events.put(event("publish_data", number=number))
    events.put(event("connect", number=1))
    assert (await waiting[1]).publish_data.async_id == 2
    assert first.qsize() == second.qsize() == 0 and not waiting[0].done()
    events.put(event("publish_data", number=1))
    assert (await waiting[0]).publish_data.async_id == 1
    for queue in (first, second):
        events.unsubscribe(queue)
    assert is_empty(events)


async def wait(queue: Queue[FfiEvent], test: Callable[[Any], bool]) -> FfiEvent:
    return await queue.wait_for(test)


async def test_an_answer_that_comes_before_anybody_waits_is_not_lost() -> None:
    events = RoutedQueue[FfiEvent]()
    queue = events.subscribe()
    events.put(event("publish_data", number=5))
    assert (await asyncio.wait_for(wait(queue, answer_to(5)), 60)).publish_data.async_id == 5
    events.unsubscribe(queue)
    assert is_empty(events)


async def test_a_late_or_second_answer_is_dropped_and_keeps_nothing() -> None:
    events = RoutedQueue[FfiEvent]()
    queue = events.subscribe()
    waiting = asyncio.create_task(wait(queue, answer_to(5)))
    await asyncio.sleep(0)
    for _ in range(2):
        events.put(event("publish_data", number=5))
    await waiting
    events.unsubscribe(queue)
    events.put(event("publish_data", number=5))
    events.unsubscribe(queue)
    assert is_empty(events)


async def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    events = RoutedQueue[FfiEvent]()
    queue = events.subscribe()
    waiting = asyncio.create_task(wait(queue, answer_to(5)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert events._subscribers and not events._routes
    events.unsubscribe(queue)
    assert is_empty(events)


async def test_who_waits_for_two_answers_in_turn_misses_neither() -> None:
    async def both(queue: Queue[FfiEvent]) -> int:
        first = await queue.wait_for(answer_to(1))
        second = await queue.wait_for(answer_to(2))
        return first.publish_data.async_id + second.publish_data.async_id

    events = RoutedQueue[FfiEvent]()
    queue = events.subscribe()
    waiting = asyncio.create_task(both(queue))
    await asyncio.sleep(0)
    for number in (1, 2):  # both before the second wait begins
        events.put(event("publish_data", number=number))
    assert await asyncio.wait_for(waiting, 60) == 3


async def test_somebody_elses_test_of_events_is_not_tried_and_gets_everything() -> None:
    seen: list[Any] = []

    def foreign(one: Any) -> bool:
        seen.append(one)
        return bool(one.publish_data.async_id == 5)

    events = RoutedQueue[FfiEvent]()
    queue = events.subscribe()
    waiting = asyncio.create_task(wait(queue, foreign))
    await asyncio.sleep(0)
    assert seen == [] and events._subscribers
    events.put(event("connect"))
    events.put(event("publish_data", number=5))
    await waiting
    assert len(seen) == 2


async def test_who_names_no_address_gets_everything_that_its_filter_lets_through() -> None:
    events = RoutedQueue[FfiEvent]()
    everything = events.subscribe()
    audio = events.subscribe(filter_fn=lambda e: e.WhichOneof("message") == "audio_stream_event")
    broken = events.subscribe(filter_fn=lambda e: bool(1 / 0))
    events.put(event("audio_stream_event", "stream_handle", 4))
    events.put(event("publish_data"))
    assert await taken(everything) == ["audio_stream_event", "publish_data"]
    assert await taken(audio) == ["audio_stream_event"]
    assert await taken(broken) == ["audio_stream_event", "publish_data"]


async def test_the_reader_of_a_text_stream_gets_its_own_parts_from_the_start() -> None:
    def reads(handle: int) -> Callable[[Any], bool]:
        return in_livekit(
            lambda e: (
                e.WhichOneof("message") == "text_stream_reader_event"
                and e.text_stream_reader_event.reader_handle == handle
            )
        )

    events = RoutedQueue[FfiEvent]()
    one, other = (events.subscribe(filter_fn=reads(handle)) for handle in (1, 2))
    assert events._subscribers == []
    events.put(event("text_stream_reader_event", "reader_handle", 2))
    assert (await taken(one), await taken(other)) == ([], ["text_stream_reader_event"])
    for queue in (one, other):
        events.unsubscribe(queue)
    assert is_empty(events)


async def test_a_stream_gets_what_came_before_it_was_known_in_order() -> None:
    class Stream(audio_stream.AudioStream):
        def __init__(self) -> None:
            pass

        def __del__(self) -> None:
            pass

        _ffi_handle: Any = SimpleNamespace(handle=4)
        got: list[int]

        async def run(self, queue: Queue[FfiEvent], count: int) -> None:
            self.got = []
            while len(self.got) < count:
                heard = await queue.wait_for(self._is_event)
                self.got.append(heard.audio_stream_event.frame_received.frame.info.sample_rate)

    def frame(size: int, stream: int = 4) -> FfiEvent:
        made = event("audio_stream_event", "stream_handle", stream)
        made.audio_stream_event.frame_received.frame.info.sample_rate = size
        return made

    events = RoutedQueue[FfiEvent]()
    queue = events.subscribe(filter_fn=in_livekit(lambda e: e.WhichOneof("message") == "audio_stream_event"))
    other = events.subscribe(filter_fn=in_livekit(lambda e: e.WhichOneof("message") == "audio_stream_event"))
    events.put(frame(1))
    stream = Stream()
    running = asyncio.create_task(stream.run(queue, 3))
    await asyncio.sleep(0)
    assert list(events._by_address) == [Address("audio_stream_event", 4)]
    events.put(frame(300))
    events.put(frame(7, stream=5))
    events.put(frame(70000))
    await running
    assert stream.got == [1, 300, 70000]
    assert len(await taken(other)) == 4  # of whom it is not known yet what is for it
    events.unsubscribe(queue)
    events.unsubscribe(other)
    assert is_empty(events)


async def test_a_room_gets_its_own_events_and_what_it_passes_on_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = RoutedQueue[FfiEvent]()

    def room_of(number: int) -> Any:
        return SimpleNamespace(
            _ffi_queue=events.subscribe(),
            _ffi_handle=SimpleNamespace(handle=number),
            _local_participant=SimpleNamespace(_ffi_handle=SimpleNamespace(handle=100 + number)),
        )

    async def listen(_: Any) -> None:
        """What livekit does is not under test."""

    monkeypatch.setattr(speedup, "_listen_upstream", listen)
    rooms = [room_of(number) for number in (1, 2)]
    events.put(event("room_event", "room_handle", 1))
    for one in rooms:
        await speedup._listen_routed(one)
    assert [await taken(one._ffi_queue) for one in rooms] == [["room_event"]] * 2
    events.put(event("room_event", "room_handle", 1))
    events.put(event("rpc_method_invocation", "local_participant_handle", 102))
    events.put(event("publish_track", number=1))
    events.put(event("unpublish_track", number=2))
    events.put(event("publish_data", number=1))
    events.put(event("audio_stream_event", "stream_handle", 1))
    got = [await taken(one._ffi_queue) for one in rooms]
    assert got == [
        ["room_event", "publish_track", "unpublish_track"],
        ["rpc_method_invocation", "publish_track", "unpublish_track"],
    ]
    for one in rooms:
        events.unsubscribe(one._ffi_queue)
    assert is_empty(events)


async def test_listeners_of_other_loops_are_served_in_their_loops() -> None:
    events = RoutedQueue[FfiEvent]()
    answered: list[int] = []

    async def ask(number: int) -> None:
        queue = events.subscribe()
        answer = await queue.wait_for(answer_to(number))
        answered.append(answer.publish_data.async_id)
        events.unsubscribe(queue)

    threads = [threading.Thread(target=asyncio.run, args=(many(ask, range(n, 201, 4)),)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    async with asyncio.timeout(60):
        while len(events._routes) < 200:  # noqa: ASYNC110 - nothing reports that another thread waits
            await asyncio.sleep(0.01)
    for number in range(1, 201):
        events.put(event("publish_data", number=number))
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert sorted(answered) == list(range(1, 201))
    assert is_empty(events)


async def many(ask: Callable[[int], Any], numbers: range) -> None:
    await asyncio.gather(*(ask(number) for number in numbers))


async def test_a_loop_that_was_closed_does_not_keep_events_from_others(caplog: pytest.LogCaptureFixture) -> None:
    events = RoutedQueue[FfiEvent]()
    gone = asyncio.new_event_loop()
    lost = events.subscribe(loop=gone)
    events.route(lost, TAKES)
    gone.close()
    here = events.subscribe()
    events.route(here, TAKES)
    with caplog.at_level(logging.ERROR, logger="livekit"):
        events.put(event("publish_track"))
    assert await taken(here) == ["publish_track"]
    assert "error putting to queue" in caplog.text


async def test_a_listener_that_leaves_while_an_event_is_given_out_keeps_it_from_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = RoutedQueue[FfiEvent]()
    queues = [events.subscribe() for _ in range(3)]
    for queue in queues:
        events.route(queue, TAKES)
    deliver = speedup._deliver

    def deliver_and_leave(*args: Any) -> None:
        events.unsubscribe(queues[0])  # as the collector may do
        deliver(*args)

    monkeypatch.setattr(speedup, "_deliver", deliver_and_leave)
    events.put(event("publish_track"))
    assert [len(await taken(queue)) for queue in queues] == [1, 1, 1]


async def test_a_route_for_somebody_who_listens_no_more_is_not_kept() -> None:
    events = RoutedQueue[FfiEvent]()
    queue = events.subscribe()
    events.unsubscribe(queue)
    events.route(queue, TAKES)
    events.unroute(queue)
    assert is_empty(events)


async def test_capturing_audio_waits_for_its_own_answer_on_the_real_library(monkeypatch: pytest.MonkeyPatch) -> None:
    client = livekit.rtc._ffi_client.FfiClient.instance
    events = RoutedQueue[FfiEvent]()
    monkeypatch.setattr(client, "_queue", events)
    delivered = 0
    deliver = speedup._deliver

    def counted(*args: Any) -> None:
        nonlocal delivered
        delivered += 1
        deliver(*args)

    monkeypatch.setattr(speedup, "_deliver", counted)
    sources = [livekit.rtc.AudioSource(16000, 1, queue_size_ms=60) for _ in range(8)]
    frame = livekit.rtc.AudioFrame(bytes(640), 16000, 1, 320)

    async def play(source: livekit.rtc.AudioSource) -> None:
        for _ in range(10):
            await source.capture_frame(frame)

    await asyncio.gather(*map(play, sources))
    assert 0 < delivered <= 80
    assert is_empty(events)


def test_routing_begins_with_those_who_listen_already(monkeypatch: pytest.MonkeyPatch) -> None:
    ffi_client = livekit.rtc._ffi_client
    client = ffi_client.FfiClient.instance
    before: FfiQueue[FfiEvent] = FfiQueue()
    monkeypatch.setattr(client, "_queue", before)
    monkeypatch.setattr(ffi_client, "FfiQueue", FfiQueue)
    monkeypatch.setattr(room.Room, "_listen_task", room.Room._listen_task)

    async def listen() -> None:
        queue = before.subscribe()
        speedup.install()
        speedup.install()
        assert isinstance(client.queue, RoutedQueue)
        client.queue.put(event("connect"))
        assert await taken(queue) == ["connect"]
        client.queue.unsubscribe(queue)
        assert is_empty(client.queue)

    asyncio.run(listen())


@pytest.mark.process
def test_routing_can_begin_before_anybody_uses_the_library() -> None:
    code = """
import asyncio
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient
from openrtc.speedups.events import RoutedQueue, install

async def play():
    await rtc.AudioSource(16000, 1).capture_frame(rtc.AudioFrame(bytes(640), 16000, 1, 320))
    assert type(FfiClient.instance.queue) is RoutedQueue

assert FfiClient._instance is None
install()
asyncio.run(play())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


async def published_in(
    events: FfiQueue[FfiEvent], listen: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch, *, cancelled: bool
) -> list[str]:
    """Publish a track in a room that listens to ``events``; returns what the room reports of it."""
    answer = FfiResponse()
    answer.publish_track.async_id = 5
    client = SimpleNamespace(instance=SimpleNamespace(request=lambda request: answer, queue=events))
    monkeypatch.setattr(participant, "FfiClient", client)
    connection: Any = livekit.rtc.Room()
    connection._ffi_queue = events.subscribe(filter_fn=lambda e: True)
    connection._ffi_handle = SimpleNamespace(handle=3)
    me: Any = participant.LocalParticipant.__new__(participant.LocalParticipant)
    me._ffi_handle, me._room_queue = SimpleNamespace(handle=4), connection._room_queue
    me._track_publications, me._open_stream_writers = {}, {}
    connection._local_participant = me
    published: list[str] = []
    connection.on("local_track_published", lambda publication, _: published.append(publication.sid))
    listening = asyncio.create_task(listen(connection))
    track: Any = SimpleNamespace(_ffi_handle=SimpleNamespace(handle=1), _info=SimpleNamespace(), _set_room=print)
    publishing = asyncio.create_task(me.publish_track(track))
    await asyncio.sleep(0)
    if cancelled:
        publishing.cancel()
        await asyncio.sleep(0)
    for one in _events_of_publishing():
        events.put(one)
    await asyncio.wait_for(listening, 60)
    await asyncio.gather(publishing, return_exceptions=True)
    connection._ffi_handle = None
    events.unsubscribe(connection._ffi_queue)
    return published


def _events_of_publishing() -> list[FfiEvent]:
    done, reported, over = event("publish_track", number=5), FfiEvent(), FfiEvent()
    done.publish_track.publication.info.sid = "TR_1"
    for one in (reported, over):
        one.room_event.room_handle = 3
    reported.room_event.local_track_published.track_sid = "TR_1"
    over.room_event.eos.SetInParent()
    return [done, reported, over]


async def test_a_track_is_known_before_the_room_hears_that_it_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    events = RoutedQueue[FfiEvent]()
    assert await published_in(events, speedup._listen_routed, monkeypatch, cancelled=False) == ["TR_1"]
    assert is_empty(events)


async def test_who_gives_up_publishing_sees_what_livekit_shows_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logs = []
    for events, listen in (
        (RoutedQueue[FfiEvent](), speedup._listen_routed),
        (FfiQueue[FfiEvent](), speedup._listen_upstream),
    ):
        caplog.clear()
        assert await published_in(events, listen, monkeypatch, cancelled=True) == []
        logs.append([record.getMessage().splitlines()[0] for record in caplog.records])
    assert logs[0] == logs[1] and "local_track_published" in logs[0][0]
