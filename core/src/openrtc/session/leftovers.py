"""Ends what belongs to a call alone when it is over: its tasks, the rooms that it joined, its tracer providers.

In a process of its own they would end with the process. Here a task would run on for as long as the worker does, and a
participant stay in its room. What other calls use as well goes on, though it was made in this one: a task, room or
provider that something holds which outlives the call (`openrtc.session.held`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import CodeType, CoroutineType
from typing import Any

from livekit import agents, rtc
from livekit.agents import Agent, AgentSession, JobContext
from livekit.rtc import audio_mixer
from opentelemetry.trace import TracerProvider

from openrtc.errors import summarize_error
from openrtc.model.call import Call
from openrtc.observe.event_stream import EventStream
from openrtc.observe.package_code import find_code_distribution
from openrtc.session.containment import build_log_fields, find_coroutine, find_job, list_frames
from openrtc.session.failure import is_framework
from openrtc.session.hang_up import find_hang_up
from openrtc.session.held import Held
from openrtc.session.joined_rooms import begin_noting_rooms, end_noting_rooms
from openrtc.session.left_behind import LeftBehind
from openrtc.session.left_threads import list_left_threads
from openrtc.threads import ThreadOwner
from openrtc.upstream.call_providers import forget_call_traces, list_call_providers

logger = logging.getLogger("openrtc.worker")

LEFTOVER_SECONDS = 5.0
"""How long a task may go on when the call that made it has ended."""

CANCEL_SECONDS = 5.0
"""How long a task may take to end when it is cancelled."""

FLUSH_SECONDS = 10.0
"""How long the worker's end waits for spans to be exported: as long as livekit-agents does for its own."""

_UPSTREAM = Path(agents.__file__).parent
_MIXER = audio_mixer.__file__
_ASYNCIO = Path(asyncio.__file__).parent
_OF_CALL = (Agent, AgentSession, JobContext, Call)


class Leftovers:
    """Ends what calls leave behind.

    Args:
        list_holders: Returns what outlives every call besides modules, such as the worker's resources.
        events: Where it is told what they leave behind, if given.
    """

    def __init__(
        self, list_holders: Callable[[], Iterable[object]] = lambda: (), events: EventStream | None = None
    ) -> None:
        self._list_holders = list_holders
        self._events = events
        self._waiting: dict[str, tuple[JobContext | None, ThreadOwner | None, asyncio.TimerHandle]] = {}
        self._ending: set[asyncio.Future[None]] = set()
        self._shared_rooms: list[rtc.Room] = []
        self._kept: dict[CodeType, weakref.WeakSet[asyncio.Task[Any]]] = {}

    def begin(self, job_id: str) -> None:
        """Begin to note what a call makes."""
        begin_noting_rooms(job_id)

    def end_soon(self, job_id: str, context: JobContext | None, threads: ThreadOwner | None = None) -> None:
        """End, some seconds from now, what an ended job has left behind: the agent's and livekit-agents' own.

        livekit-agents leaves all tasks of a session behind whose start it had to cancel, because the room was deleted
        meanwhile; the collector would find them some day, and log each.

        Args:
            job_id: LiveKit's id of the job.
            context: Its context; None where it did not come so far.
            threads: Those of the call, if given: nothing can end them, and they are named.
        """
        timer = asyncio.get_running_loop().call_later(LEFTOVER_SECONDS, self._start, job_id)
        self._waiting[job_id] = (context, threads, timer)

    async def aclose(self, limit: float) -> None:
        """End everything now: the worker ends.

        Args:
            limit: Seconds to wait at most, for rooms to be left and spans to be exported.
        """
        for job_id in list(self._waiting):
            context, _, timer = self._waiting[job_id]
            timer.cancel()
            self._waiting[job_id] = (context, None, timer)  # its threads have not had their time, and end now
            self._start(job_id)
        until = time.monotonic() + min(limit, FLUSH_SECONDS)
        await self._wait(until)
        self._leave(room for room in self._shared_rooms if room.isconnected())
        await self._wait(until)

    async def _wait(self, until: float) -> None:
        while self._ending and (left := until - time.monotonic()) > 0:  # what ends may leave rooms
            await asyncio.wait(set(self._ending), timeout=left)

    def _start(self, job_id: str) -> None:
        context, threads, _ = self._waiting.pop(job_id)
        if hang_up := find_hang_up(context):
            hang_up.close()
        self._keep(asyncio.create_task(self._end(job_id, context, threads), name="end-leftovers"))

    def _keep(self, task: asyncio.Future[None]) -> None:
        self._ending.add(task)  # the loop holds tasks weakly
        task.add_done_callback(self._ending.discard)

    async def _end(self, job_id: str, context: JobContext | None, owner: ThreadOwner | None) -> None:
        left = [_LeftTask(task, context) for task in asyncio.all_tasks() if _get_job_id(task) == job_id]
        # OpenRTC's own tasks of a job are left alone: they end by themselves, such as those that leave its room. So are
        # those of livekit's rooms and tracks, but no mixer ends by itself, such as that of a background player.
        tasks = [
            one for one in left if one.is_agents or one.filename == _MIXER or _UPSTREAM in Path(one.filename).parents
        ]
        rooms, providers = end_noting_rooms(job_id), list_call_providers(job_id)
        job = context.job if context else None
        held = Held(self._list_holders(), (job_id, *((job.room.name, job.room.sid) if job else ())))
        threads = list_left_threads(owner) if owner else []
        wanted = [*rooms, *providers, *(one.thread for one in threads if one.thread)]
        wanted += [value for one in tasks for value in one.list_wanted()]
        kept: list[_LeftTask] = []
        try:
            await held.find(wanted, {one.package for one in tasks})
            kept = [one for one in tasks if self._is_shared(one, held)]
            # A shared task that nothing holds itself may hold a room.
            if kept:
                await held.find([*rooms, *providers], also=[find_coroutine(one.task) for one in kept])
        except Exception as error:  # of an object of anybody's that was looked at: what was met so far counts
            logger.debug("what calls share could not be looked through: %s", summarize_error(error))
        left_behind = LeftBehind(
            job_id,
            context,
            [one for one in tasks if one not in kept and one.is_agents and not one.task.done()],
            [one for one in threads if one.runs and (one.thread is None or one.thread not in held)],
            # The job's own is left by the job, where that has not been cut short.
            [room for room in rooms if room not in held and (context is None or room is not context.room)],
        )
        self._end_tasks([one for one in tasks if one not in kept])
        left_behind.log()
        if self._events:
            left_behind.emit(self._events)
        self._report_kept(kept)
        self._leave(room for room in rooms if room not in held)
        shared = [*self._shared_rooms, *(room for room in rooms if room in held)]
        self._shared_rooms = [room for room in shared if room.isconnected()]
        for provider in providers:
            self._close_provider(provider, shared=provider in held)
        if context is not None:
            forget_call_traces(context, shared=any(provider in held for provider in providers))

    def _is_shared(self, one: _LeftTask, held: Held) -> bool:
        if one.is_calls_own:
            return False
        if one.task in held or (one.owner is not None and one.owner in held):
            return True
        # It only waits for something shared, such as a queue of a module: a worker of all calls that nobody holds does
        # so, and as well what each call leaves behind. The former is there once.
        if one.code is None or not any(value in held for value in one.awaited):
            return False
        return all(other.done() for other in self._kept.get(one.code, ()))

    def _end_tasks(self, tasks: list[_LeftTask]) -> None:
        running = [one for one in tasks if not one.task.done()]
        for one in running:
            one.task.cancel()
        if agents_own := [one for one in running if one.is_agents]:
            asyncio.get_running_loop().call_later(CANCEL_SECONDS, _report_undying, agents_own)

    def _report_kept(self, tasks: list[_LeftTask]) -> None:
        for one in tasks:
            if one.code is None:
                continue
            kept = self._kept.setdefault(one.code, weakref.WeakSet())
            kept.add(one.task)
            running = sum(not task.done() for task in kept)
            if running in _TOLD:
                fields, many = one.log_fields, "" if running == 1 else f"; {running} of these run now"
                logger.log(
                    logging.INFO if running == 1 else logging.WARNING,
                    "agent %r: %s goes on after the call that began it, since other calls share it%s",
                    *(fields.get("agent", ""), one.place, many),
                    extra=fields,
                )

    def _leave(self, rooms: Iterable[rtc.Room]) -> None:
        for room in rooms:
            self._keep(asyncio.create_task(_leave(room), name="leave-joined-room"))

    def _close_provider(self, provider: TracerProvider, *, shared: bool) -> None:
        """Let a provider export what it holds: its process does not end with the call."""
        # Not on the loop: it may wait for a collector that does not answer, for 30 s. As a daemon, since the worker's
        # end does not wait for it longer than `FLUSH_SECONDS`.
        close = getattr(provider, "force_flush" if shared else "shutdown", None)
        if close is None:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            try:
                close()
            except Exception as error:  # an exporter's, whatever it is: the call is over
                logger.warning("a tracer provider could not export its spans: %s", summarize_error(error))
            if not loop.is_closed():
                loop.call_soon_threadsafe(done.set_result, None)

        self._keep(done)
        threading.Thread(target=run, name="close-tracer-provider", daemon=True).start()


_TOLD = (1, 100, 1000, 10_000)
"""How many kept tasks of one function are told: one is a client that calls share, many may be forgotten ones."""


class _LeftTask:
    """A task that a call has left.

    Args:
        task: The task.
        context: The context of the call's job.
    """

    def __init__(self, task: asyncio.Task[Any], context: JobContext | None) -> None:
        self.task = task
        self.code: CodeType | None = getattr(find_coroutine(task), "cr_code", None)
        # What has no code of Python's cannot be blamed on an agent: it passes for livekit's and is left alone.
        self.filename = str(_UPSTREAM) if self.code is None else self.code.co_filename
        self.is_agents = not is_framework(self.filename)
        self.log_fields = build_log_fields(find_job(task))
        frames = list(list_frames(task))
        names = dict(frames[0].f_locals) if frames else {}
        module = str(frames[0].f_globals.get("__name__", "")) if frames else ""
        self.package = module.partition(".")[0]
        self.distribution = find_code_distribution(module)
        self.is_calls_own = any(map(_is_calls_own, _list_values(names)))
        """Whether its code works with the agent, session or job of the call: then nobody else has a use for it."""
        self.owner = _find_owner(self.code, names)
        """The object whose method it runs, if any."""
        self.awaited = [
            frame.f_locals["self"]
            for frame in frames[1:]
            if _ASYNCIO in Path(frame.f_code.co_filename).parents and "self" in frame.f_locals
        ]
        """The queues, events and locks that it waits for."""

    @property
    def place(self) -> str:
        """Where its code stands."""
        code = self.code
        return "" if code is None else f"{code.co_name}() at {code.co_filename}:{code.co_firstlineno}"

    def list_wanted(self) -> list[object]:
        """Return what tells, if something holds it, that the task is shared."""
        return [] if self.is_calls_own else [self.task, *([self.owner] if self.owner else []), *self.awaited]


def _report_undying(tasks: list[_LeftTask]) -> None:
    if running := [one for one in tasks if not one.task.done()]:
        text = "agent %r: %d of the tasks that were cancelled go on, such as %s: they catch it, and end with the worker"
        fields = running[0].log_fields
        logger.warning(text, fields.get("agent", ""), len(running), running[0].place, extra=fields)


def _list_values(names: dict[str, Any]) -> Iterator[object]:
    """Return the values of local names, and those of a coroutine among them that is run by this one."""
    for value in names.values():
        yield value
        if type(value) is CoroutineType and value.cr_frame is not None:
            yield from value.cr_frame.f_locals.values()


def _is_calls_own(value: object) -> bool:
    return issubclass(type(value), _OF_CALL) or type(value).__module__.startswith("livekit.agents.voice.")


def _find_owner(code: CodeType | None, names: dict[str, Any]) -> object | None:
    if code is None or not code.co_argcount:
        return None
    owner = names.get(code.co_varnames[0])
    # Not getattr(), which may run code of the class.
    method = next((vars(base)[code.co_name] for base in type(owner).__mro__ if code.co_name in vars(base)), None)
    return owner if getattr(method, "__code__", None) is code else None


async def _leave(room: rtc.Room) -> None:
    try:
        await room.disconnect()
    except Exception as error:  # whatever the native library says: the room may be gone already
        logger.debug("room %r could not be left: %s", room.name, summarize_error(error))


def _get_job_id(task: asyncio.Task[Any]) -> str:
    job = find_job(task)
    return "" if job is None else job.job.id
