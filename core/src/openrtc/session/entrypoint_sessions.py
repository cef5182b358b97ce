"""Guards the sessions that a LiveKit entrypoint makes itself, as those that OpenRTC makes for an agent."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from livekit.agents import Agent, AgentSession, JobContext, get_job_context

from openrtc.session.guards import hold_handoffs
from openrtc.session.session_host import SessionDoor

Guard = Callable[[AgentSession[Any], Agent], None]
Prepare = Callable[[AgentSession[Any]], Awaitable[None]]
BuildDoor = Callable[[AgentSession[Any]], SessionDoor]
Started = Callable[[AgentSession[Any]], None]

_guards: weakref.WeakKeyDictionary[JobContext, Guard] = weakref.WeakKeyDictionary()
_prepare: weakref.WeakKeyDictionary[JobContext, Prepare] = weakref.WeakKeyDictionary()
_doors: weakref.WeakKeyDictionary[JobContext, BuildDoor] = weakref.WeakKeyDictionary()
_started: weakref.WeakKeyDictionary[JobContext, Started] = weakref.WeakKeyDictionary()


def guard_sessions_of(
    context: JobContext,
    guard: Guard,
    prepare: Prepare | None = None,
    *,
    build_door: BuildDoor | None = None,
    started: Started | None = None,
) -> None:
    """Call ``guard`` with each session that this job starts in its room, and with its agent, before it starts.

    Args:
        context: LiveKit's context of a job that runs an entrypoint.
        guard: What guards it.
        prepare: Awaited for each of them before it starts, when it is guarded.
        build_door: Builds what lets each of them be managed, unless the entrypoint says by whom.
        started: Called with the first of them when it has started.
    """
    _guards[context] = guard
    if prepare is not None:
        _prepare[context] = prepare
    if build_door is not None:
        _doors[context] = build_door
    if started is not None:
        _started[context] = started
    if not hasattr(AgentSession.start, "__wrapped__"):
        AgentSession.start = _guard_start(AgentSession.start)  # type: ignore[method-assign]  # the job makes it itself


def _guard_start(start: Any) -> Any:
    @functools.wraps(start)
    async def start_guarded(self: AgentSession[Any], agent: Agent, **options: Any) -> Any:
        context = get_job_context(required=False)
        guard = None if context is None else _guards.get(context)
        if guard is None or context is None or options.get("room") is not context.room:
            return await start(self, agent, **options)
        guard(self, agent)
        if prepare := _prepare.get(context):
            await prepare(self)
        build_door = None if "session_host" in options else _doors.get(context)
        door = build_door(self) if build_door else None
        with hold_handoffs(self):
            result = await start(self, agent, **options, **(door.start_options if door else {}))
        if door:
            await door.open()
        if tell := _started.pop(context, None):
            tell(self)
        return result

    return start_guarded
