"""Makes the connect of a LiveKit room safe to cancel, and leaves no agent alone in a room that was created anew.

Why ``connect`` is shielded: a cancelled ``rtc.Room.connect`` drops the native library's answer. About 15 seconds later
the library panics for want of it, and livekit's handler of such a panic sends SIGTERM to the whole process, with every
call in it. livekit-agents itself cancels connects, for example when a room is deleted while an agent joins.

Why the room's id is compared: the native library goes on trying to join a deleted room, and the LiveKit server creates
a room for whoever joins. The agent would sit there alone, beside another one that automatic dispatch sends to the new
room.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import api, rtc
from livekit.agents import JobContext

from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.errors import one_line
from openrtc.session.dead_connections import end_dead_connections
from openrtc.session.participant import is_person
from openrtc.session.room_callbacks import contain_callbacks
from openrtc.session.room_sockets import gather_once, joins
from openrtc.session.second_agent import SecondAgent
from openrtc.settings.config import WorkerSettings

logger = logging.getLogger("openrtc.worker")

SID_SECONDS = 2.0
"""How long to wait for a room's id: the server sends it with the join, or a moment later."""

DISCONNECT_SECONDS = 20
"""How long to wait for a disconnect: for a room that was deleted while it joined, the native library takes up to 15."""

GONE_SECONDS = 1.0
"""How often it is asked whether a room is still there that does not connect: most do in 0.2 s. The server answers
nobody who joins a room that is being deleted, and the native library gives up after 15 s."""

ALONE_SECONDS = 5.0
"""How long a room that was created anew waits for somebody to come."""

LATE_ERROR = "timed out"
"""What is in the error of a connect that the server did not answer in time; any other one would come again."""

PROMPT_SECONDS = 0.5
"""How long the track of an agent that has failed, and then its leave, may take before it is removed by the server."""

FIRST_SOUND_SECONDS = 0.1
"""How long after its publication the server gets the first sound of a track, from which on it counts as published."""

# The loop holds tasks weakly: without these sets they could be collected before they are done.
_leaving: set[asyncio.Future[Any]] = set()
_emptying: set[asyncio.Future[Any]] = set()
_publishing: set[asyncio.Future[Any]] = set()

_joins: weakref.WeakKeyDictionary[rtc.Room, asyncio.Future[bool]] = weakref.WeakKeyDictionary()
"""Whether a shielded room was joined, as soon as that is known."""


class RoomGone(RuntimeError):
    """The room of a job was deleted while the agent joined it, or the call has its agent already."""


def shield_join(room: rtc.Room, context: JobContext, worker: WorkerSettings) -> None:
    """Shield a connect to the room of a job; a room created anew by it is deleted when nobody comes.

    Nor does a callback of the agent end the room's own task; see `contain_callbacks`.

    Args:
        room: A room that is not connected yet.
        context: LiveKit's context of the job.
        worker: Where the LiveKit server is.
    """
    if context.is_fake_job():
        return

    def empty_room() -> None:
        emptying = asyncio.create_task(_delete_if_nobody_comes(context.job.room.name, worker), name="leave-new-room")
        _keep(emptying, _emptying)

        async def wait(reason: str) -> None:
            await emptying

        # In a process of its own the job's end is the end of the process.
        context.add_shutdown_callback(wait)

    second = SecondAgent(context, worker)

    def on_joined() -> None:
        shield_publishing(room)
        second.watch()

    contain_callbacks(room)
    shield_connect(
        room,
        context.job.room.sid,
        empty_room,
        on_joined,
        second.why_leave,
        lambda: _is_gone(context.job.room, worker),
    )


async def _find_no_reason() -> str:
    return ""


async def _never() -> bool:
    return False


def shield_connect(
    room: rtc.Room,
    sid: str,
    on_recreated: Callable[[], None],
    on_joined: Callable[[], None] = lambda: None,
    why_leave: Callable[[], Awaitable[str]] = _find_no_reason,
    is_gone: Callable[[], Awaitable[bool]] = _never,
) -> None:
    """Let ``room.connect`` finish in the background when its caller is cancelled, and leave the room then.

    The room joins when few enough others do, and opens few sockets (`openrtc.session.room_sockets`); its connection
    to the server ends when that is dead (`openrtc.session.dead_connections`).

    ``room.disconnect`` is waited for only so long, and finishes in the background, too: in a room that is deleted while
    somebody joins, the native library may answer late or never, and the job's slot would stay taken.

    Args:
        room: A room that is not connected yet.
        sid: The server's id of the room that is to be joined; empty when it is not known.
        on_recreated: Called when the room was created anew by this connect.
        on_joined: Called when the room is joined.
        why_leave: Returns, when it is, why it is left again; empty for staying there.
        is_gone: Whether the server has no such room any more; asked while the room does not connect.
    """
    connect, disconnect = room.connect, room.disconnect
    joined: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    _joins[room] = joined
    attempt: asyncio.Future[None] | None = None

    async def shielded_connect(url: str, token: str, options: rtc.RoomOptions | None = None, **more: Any) -> None:
        nonlocal attempt
        try:
            async with joins.wait_for_turn():
                options = gather_once(options or rtc.RoomOptions())
                attempt = asyncio.ensure_future(_connect_patiently(connect, url, token, options, **more))
                await _wait_for(attempt, is_gone)
            if await _is_another_room(room, sid):
                on_recreated()
                await room.disconnect()
                raise RoomGone("the room was deleted while the agent joined")
            end_dead_connections(room, url)
            on_joined()
            if why := await why_leave():
                await room.disconnect()
                raise RoomGone(why)
            _set_joined(joined, True)
        except (asyncio.CancelledError, RoomGone):
            if attempt is not None and not attempt.done():
                _keep(asyncio.create_task(leave_when_connected(attempt), name="leave-cancelled-room"), _leaving)
            raise
        finally:
            _set_joined(joined, False)

    async def leave_when_connected(attempt: asyncio.Future[None]) -> None:
        try:
            await attempt
            if await _is_another_room(room, sid):
                on_recreated()
            await room.disconnect()
        except Exception as error:  # whoever wanted to connect is gone: nobody is left to raise it to
            logger.debug("a cancelled connect ended with: %s", error)

    async def limited_disconnect(*args: Any, **kwargs: Any) -> None:
        leaving = asyncio.ensure_future(disconnect(*args, **kwargs))
        _keep(leaving, _leaving)
        # What still joins is left in the background, where there is a loop for that when the job is over.
        given_up = attempt is not None and not attempt.done() and _outlives_jobs()
        await asyncio.wait({leaving}, timeout=0 if given_up else DISCONNECT_SECONDS)
        if leaving.done():
            leaving.result()
        elif not given_up:
            logger.warning("room %r was not left within %d s: it is left behind", room.name, DISCONNECT_SECONDS)

    # On this one room: livekit-agents has made it already, and calls what it finds on it.
    room.connect = shielded_connect  # type: ignore[method-assign]
    room.disconnect = limited_disconnect  # type: ignore[method-assign]


def shield_publishing(room: rtc.Room) -> None:
    """Let a track be published to its end when nobody waits for that any more: a session that closes cancels it.

    The room would get the event of a publication that it does not know, and log an error with its traceback.

    Args:
        room: A room that is connected.
    """
    participant = room.local_participant
    publish = participant.publish_track

    async def shielded_publish(*args: Any, **kwargs: Any) -> Any:
        publishing = asyncio.ensure_future(publish(*args, **kwargs))
        try:
            return await asyncio.shield(publishing)
        except asyncio.CancelledError:
            _keep(asyncio.create_task(finish(publishing), name="finish-publishing"), _publishing)
            raise

    async def finish(publishing: asyncio.Future[Any]) -> None:
        # A room that is left meanwhile never answers.
        await asyncio.wait({publishing}, timeout=DISCONNECT_SECONDS)
        if not publishing.cancel():
            publishing.exception()  # of no interest any more, and no error that nobody has looked at

    participant.publish_track = shielded_publish  # type: ignore[method-assign]  # on this one


async def wait_until_joined(room: rtc.Room) -> bool:
    """Wait until a shielded room is connected; return whether it is. Any other room counts as connected."""
    joined = _joins.get(room)
    return joined is None or await asyncio.shield(joined)


def leave_promptly(
    room: rtc.Room, context: JobContext, worker: WorkerSettings, leave: Callable[[], object], *, speaks: bool
) -> None:
    """Leave a room in the background in which an agent has failed, so that callers do not wait for it.

    The server tells at once only of those who have published something that they have gone; that somebody else has
    gone, it tells up to 3 s later. So an agent that still joins leaves when its track is there.

    Args:
        room: A shielded room, which may not be connected yet.
        context: LiveKit's context of the job.
        worker: Where the LiveKit server is.
        leave: Begins to close what is in the room, and then to leave it.
        speaks: Whether the agent will publish a track.
    """
    if context.is_fake_job():
        leave()
    else:
        leaving = _leave(room, context.job.room.name, worker, leave, speaks=speaks)
        _keep(asyncio.create_task(leaving, name="leave-promptly"), _leaving)


async def _leave(
    room: rtc.Room, name: str, worker: WorkerSettings, leave: Callable[[], object], *, speaks: bool
) -> None:
    try:
        joined = await wait_until_joined(room)
        if joined and speaks and room.remote_participants:
            await _wait_until_published(room)
    finally:
        leave()
    if joined and not await _is_emitted(room, "disconnected"):
        await _remove(room.local_participant.identity, name, worker)


async def _wait_until_published(room: rtc.Room) -> None:
    if not room.local_participant.track_publications and await _is_emitted(room, "local_track_published"):
        await asyncio.sleep(FIRST_SOUND_SECONDS)


async def _is_emitted(room: rtc.Room, event: Any) -> bool:
    """Whether a room emits an event in the next `PROMPT_SECONDS`."""
    emitted = asyncio.Event()

    def note(*_: object) -> None:
        emitted.set()

    room.on(event, note)
    try:
        async with asyncio.timeout(PROMPT_SECONDS):
            await emitted.wait()
    except TimeoutError:
        return False
    finally:
        room.off(event, note)
    return True


async def _remove(identity: str, name: str, worker: WorkerSettings) -> None:
    try:
        async with open_api(LiveKitConnection.of(worker)) as server:
            await server.room.remove_participant(api.RoomParticipantIdentity(room=name, identity=identity))
    except Exception as error:  # mostly that it is gone; at worst it is seen until its session has closed
        logger.debug("participant %r is gone already: %s", identity, one_line(str(error)))


async def wait_until_left(limit: float) -> None:
    """Wait until the rooms of this loop's calls are left whose connect was cancelled, or whose agent has failed.

    Args:
        limit: Seconds to wait at most.
    """
    here = asyncio.get_running_loop()
    # A call in a thread has a loop of its own, which may have ended before its room was left.
    if own := {leaving for leaving in list(_leaving) if leaving.get_loop() is here}:
        await asyncio.wait(own, timeout=limit)


async def _connect_patiently(connect: Callable[..., Awaitable[None]], *args: Any, **more: Any) -> None:
    """Connect, once more where the server has not answered in time, as when sixty people come to a room at once.

    The native library tries for 24 s. No other agent would come to the call.
    """
    try:
        await connect(*args, **more)
    except rtc.ConnectError as error:
        if LATE_ERROR not in str(error):
            raise
        logger.warning(
            "the LiveKit server was too busy to let an agent in (%s): it tries once more", one_line(str(error))
        )
        await connect(*args, **more)


async def _wait_for(attempt: asyncio.Future[None], is_gone: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a connect, which goes on when this is cancelled; raises `RoomGone` where there is no room any more."""
    while not (await asyncio.wait({attempt}, timeout=GONE_SECONDS))[0]:
        if await is_gone() and not attempt.done():
            raise RoomGone("the room was deleted while the agent joined")
    attempt.result()


async def _is_gone(room: Any, worker: WorkerSettings) -> bool:
    try:
        async with asyncio.timeout(GONE_SECONDS), open_api(LiveKitConnection.of(worker)) as server:
            found = await server.room.list_rooms(api.ListRoomsRequest(names=[room.name]))
    except Exception as error:  # whatever keeps the server from answering: the room may well be there
        logger.debug("room %r: whether it is still there is not known: %s", room.name, one_line(str(error)))
        return False
    return not any(one.sid == room.sid or not room.sid for one in found.rooms)


def _outlives_jobs() -> bool:
    """Whether this loop goes on after a job: that of all calls does, but not the one of a thread or a process."""
    return threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None


def _set_joined(joined: asyncio.Future[bool], value: bool) -> None:
    if not joined.done():
        joined.set_result(value)


def _keep(task: asyncio.Future[None], tasks: set[asyncio.Future[Any]]) -> None:
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def _is_another_room(room: rtc.Room, sid: str) -> bool:
    """Whether the room that was joined is not the one with the id ``sid``; False where that is not known."""
    if not sid:
        return False
    try:
        return await asyncio.wait_for(room.sid, SID_SECONDS) != sid
    except TimeoutError:
        return False


async def _delete_if_nobody_comes(name: str, worker: WorkerSettings) -> None:
    # Deleted, not only left: automatic dispatch has sent another agent to the new room, perhaps of another worker.
    await asyncio.sleep(ALONE_SECONDS)
    try:
        async with open_api(LiveKitConnection.of(worker)) as server:
            found = await server.room.list_participants(api.ListParticipantsRequest(room=name))
            if not any(map(is_person, found.participants)):
                await server.room.delete_room(api.DeleteRoomRequest(room=name))
    except Exception as error:  # mostly that the room is gone; at worst the server closes it when its agents leave
        logger.debug("room %r is gone already: %s", name, one_line(str(error)))
