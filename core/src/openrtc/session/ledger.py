"""Keeps a session's part of its call's ledger: the tools that it calls, and what its models use."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from livekit import rtc
from livekit.agents import (
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    FunctionToolsExecutedEvent,
    ToolExecutionUpdatedEvent,
)
from livekit.agents.llm import FunctionCall

from openrtc.runtime.live_call import LiveCall
from openrtc.session.participant import is_person


def keep_ledger(session: AgentSession[Any], live: LiveCall, member: str = "") -> None:
    """Emit the tools that a session calls, and what its models have used when it closes.

    Args:
        session: A session of the call, before it starts.
        live: The call.
        member: Role of the member of a cast whose session it is.
    """
    ledger = SessionLedger(session, live, member)
    session.on("tool_execution_updated", ledger.on_tool_updated)
    session.on("function_tools_executed", ledger.on_tools_executed)
    session.on("agent_state_changed", ledger.on_agent_changed)
    session.on("close", ledger.on_close)
    live.at_end.append(ledger.tell_usage)


def note_people(room: rtc.Room, live: LiveCall) -> None:
    """Note on a call who comes.

    Args:
        room: The job's room, before it is connected.
        live: The call.
    """

    def note(participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            live.note_person(participant.identity)

    def look(_: object) -> None:
        if room.isconnected():
            for participant in room.remote_participants.values():
                note(participant)

    live.expects_people = True
    room.on("participant_connected", note)
    room.on("connection_state_changed", look)


class SessionLedger:
    """A session's part of its call's ledger.

    Args:
        session: The session.
        live: The call.
        member: Role of the member of a cast whose session it is.
    """

    def __init__(self, session: AgentSession[Any], live: LiveCall, member: str = "") -> None:
        self._session = session
        self._live = live
        self._member = member
        self._running: dict[str, tuple[FunctionCall, float]] = {}
        self._told: set[str] = set()
        self._usage_told = False
        self._closed: asyncio.Event | None = None

    def on_tool_updated(self, event: ToolExecutionUpdatedEvent) -> None:
        """Take note of a tool that begins, and emit one that has ended."""
        update = event.update
        if update.type == "tool_call_started":
            self._running[update.function_call.call_id] = (update.function_call, time.monotonic())
        elif update.type == "tool_call_ended" and (running := self._running.pop(update.call_id, None)):
            call, began = running
            self._told.add(call.call_id)
            text = update.message or ("cancelled" if update.status == "cancelled" else "")
            self._emit(call, text, failed=update.status != "done", seconds=time.monotonic() - began)

    def on_tools_executed(self, event: FunctionToolsExecutedEvent) -> None:
        """Emit the tools that were asked for and could not be called: there is none of the name, or bad arguments."""
        for call, output in event.zipped():
            if call.call_id not in self._told and call.call_id not in self._running:
                self._told.add(call.call_id)
                self._emit(call, output.output, failed=output.is_error, seconds=0.0)

    def on_agent_changed(self, _: AgentStateChangedEvent) -> None:
        """Let the call's end wait for the end of a session that has started."""
        if self._closed is None:
            self._closed, self._usage_told = asyncio.Event(), False
            self._live.awaited.append(self._closed)

    def on_close(self, _: CloseEvent) -> None:
        """Emit what the session has used; it may start again, and then counts anew."""
        self.tell_usage()
        if self._closed is not None:
            self._closed.set()
            self._live.awaited.remove(self._closed)
            self._closed = None

    def tell_usage(self) -> None:
        """Emit what the session has used, unless that has been done."""
        if self._usage_told or self._live.ledger.closed:
            return
        self._usage_told = True
        for one in self._session.usage.model_usage:
            # As livekit-agents' session report has it.
            counts = one.model_dump(exclude_defaults=True, exclude={"type", "provider", "model"})
            names = {"type": one.type, "provider": one.provider, "model": one.model}
            self._live.emit_usage(**names, counts=counts, member=self._member)

    def _emit(self, call: FunctionCall, text: str, *, failed: bool, seconds: float) -> None:
        self._live.emit_tool(
            call.name,
            arguments=call.arguments,
            result="" if failed else text,
            error=text if failed else "",
            failed=failed,
            seconds=round(seconds, 3),
            member=self._member,
        )
