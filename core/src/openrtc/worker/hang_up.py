"""Ends what an agent's code still does when its call is over.

In a process of its own it would end with the process. Here it would keep a silent agent in the room, or run on for as
long as the worker does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from livekit import agents, rtc
from livekit.agents import get_job_context

from openrtc.errors import OpenRTCError
from openrtc.worker.containment import fields_of, job_of
from openrtc.worker.failure import is_framework

logger = logging.getLogger("openrtc.worker")

BUILD_SECONDS = 10.0
"""How long an agent's factory may take."""

GRACE_SECONDS = 10.0
"""How long ``on_enter`` or a tool may go on when nobody but agents is in the room any more."""

LEFTOVER_SECONDS = 5.0
"""How long a task may go on when the call that made it has ended."""


UPSTREAM = Path(agents.__file__).parent


class CallIsOver(RuntimeError):
    """Everybody has left, and the agent's code did not end by itself."""


@contextlib.asynccontextmanager
async def limited(agent: str) -> AsyncIterator[None]:
    """Give the body, which builds an agent, a limited time.

    Raises:
        OpenRTCError: The time is over.
    """
    deadline = asyncio.timeout(BUILD_SECONDS)
    try:
        async with deadline:
            yield
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise OpenRTCError(f"agent {agent!r} was not built within {BUILD_SECONDS:g} s") from error


@contextlib.contextmanager
def until_everybody_left(what: str) -> Iterator[None]:
    """Cancel the body, which runs in a task of a call, some seconds after the last person has left the room.

    Args:
        what: What the body does, such as ``on_enter``.

    Raises:
        CallIsOver: The body was cancelled for that.
    """
    context, task = get_job_context(required=False), asyncio.current_task()
    if context is None or task is None or context.is_fake_job():
        yield
        return
    watch = _Departures(context.room, task)
    try:
        yield
    except asyncio.CancelledError as cancelled:
        if not watch.gave_up:
            raise
        task.uncancel()
        raise CallIsOver(f"{what} still waited {GRACE_SECONDS:g} s after everybody had left") from cancelled
    finally:
        watch.stop()


class _Departures:
    """Cancels a task some seconds after the last person has left a room, or the agent itself."""

    def __init__(self, room: rtc.Room, task: asyncio.Task[Any]) -> None:
        self._room = room
        self._task = task
        self._timer: asyncio.TimerHandle | None = None
        self.gave_up = False
        room.on("participant_disconnected", self._left)
        room.on("disconnected", self._left)

    def stop(self) -> None:
        self._room.off("participant_disconnected", self._left)
        self._room.off("disconnected", self._left)
        if self._timer:
            self._timer.cancel()

    def _left(self, _: object) -> None:
        if self._timer is None and not any(map(_is_person, self._room.remote_participants.values())):
            self._timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if any(map(_is_person, self._room.remote_participants.values())) and self._room.isconnected():
            self._timer = None  # somebody came back
            return
        self.gave_up = True
        self._task.cancel()


def _is_person(participant: rtc.RemoteParticipant) -> bool:
    return participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


def end_leftovers_soon(job_id: str) -> None:
    """Cancel, after some seconds, the tasks that an ended job has left behind: the agent's and livekit-agents' own.

    livekit-agents leaves all tasks of a session behind whose start it had to cancel, because the room was deleted
    meanwhile; the collector would find them some day, and tell of each.
    """
    asyncio.get_running_loop().call_later(LEFTOVER_SECONDS, _end_leftovers, job_id)


def _end_leftovers(job_id: str) -> None:
    left = [task for task in asyncio.all_tasks() if _job_id_of(task) == job_id]
    agents_own = [task for task in left if not is_framework(_file_of(task))]
    for task in left:
        if task in agents_own or UPSTREAM in Path(_file_of(task)).parents:
            task.cancel()
    if agents_own:
        _tell_leftovers(agents_own)


def _tell_leftovers(tasks: list[asyncio.Task[Any]]) -> None:
    fields = fields_of(job_of(tasks[0]))
    text = "agent %r left %d tasks behind when its call had ended, such as %s: they are cancelled"
    logger.warning(text, fields.get("agent", ""), len(tasks), _place(tasks[0]), extra=fields)


def _job_id_of(task: asyncio.Task[Any]) -> str:
    job = job_of(task)
    return "" if job is None else job.job.id


def _file_of(task: asyncio.Task[Any]) -> str:
    code = getattr(task.get_coro(), "cr_code", None)
    return str(UPSTREAM) if code is None else code.co_filename


def _place(task: asyncio.Task[Any]) -> str:
    code = task.get_coro().cr_code  # type: ignore[union-attr]
    return f"{code.co_name}() at {code.co_filename}:{code.co_firstlineno}"
