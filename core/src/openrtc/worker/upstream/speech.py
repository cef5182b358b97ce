"""The private names of livekit-agents by which a session's speech waits until it may be heard, and it stops to hear."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from livekit.agents import AgentSession


def hold_speech(session: AgentSession[Any]) -> None:
    """Let what a session says from now on wait; it is prepared meanwhile."""
    for activity in _activities(session):
        activity._pause_authorization()


def release_speech(session: AgentSession[Any]) -> None:
    """Let a session be heard."""
    for activity in _activities(session):
        activity._resume_authorization()


def silence(session: AgentSession[Any]) -> None:
    """Drop what a paused session has handed to its track: livekit-agents would do so only with the next piece."""
    output = session.room_io._audio_output
    if output is not None:
        output._source_discarded_duration += output._audio_source.queued_duration
        output._audio_source.clear_queue()


def keep_transcripts(session: AgentSession[Any]) -> None:
    """Let a session that has started tell nobody in the room what it recognises."""
    session.off("user_input_transcribed", session.room_io._on_user_input_transcribed)


def tell_transcripts(session: AgentSession[Any]) -> None:
    """Let a session that has started tell the room again what it recognises."""
    session.on("user_input_transcribed", session.room_io._on_user_input_transcribed)


def end_user_speech(session: AgentSession[Any]) -> None:
    """Let a session that hears nothing any more take the user to be silent: it would wait for the end for ever."""
    for activity in _activities(session):
        if session.user_state == "speaking":
            activity.on_end_of_speech(None)


def _activities(session: AgentSession[Any]) -> Iterator[Any]:
    # While an agent hands over to another one, both may speak.
    yield from (one for one in (session._activity, session._next_activity) if one is not None)
