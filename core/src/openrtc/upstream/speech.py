"""Holds back and drops what a session says, and ends what it hears: private names of livekit-agents for casts."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from typing import Any

from livekit.agents import AgentSession


def hold_speech(session: AgentSession[Any]) -> None:
    """Let what a session says from now on wait; it is prepared meanwhile.

    By livekit-agents' own authorisation of playback: whatever the agent's code says and how, nothing of it is heard
    before, where a pause of the audio output would come too late.
    """
    for activity in _get_activities(session):
        activity._pause_authorization()


def release_speech(session: AgentSession[Any]) -> None:
    """Let a session be heard again."""
    for activity in _get_activities(session):
        activity._resume_authorization()


def drop_queued_speech(session: AgentSession[Any]) -> None:
    """Drop what a paused session has handed to its track: livekit-agents would do so only with the next piece.

    Without it, a member speaks on for what its track holds, beside the one who has interrupted it.
    """
    output = session.room_io._audio_output
    if output is not None:
        # Counted as dropped, as livekit-agents does it: where the speech goes on, and what was said, depend on it.
        output._source_discarded_duration += output._audio_source.queued_duration
        output._audio_source.clear_queue()


def keep_waiting_for_listener(session: AgentSession[Any]) -> None:
    """Let a session that has not been subscribed to be heard later on, whatever is interrupted meanwhile.

    What waits for a subscriber waits for one future: an interruption cancels it, and all that is said after that is
    dropped, for the rest of the call, whoever subscribes.
    """
    output = session.room_io._audio_output
    if output is None or output._subscribed_fut.done() or isinstance(output._subscribed_fut, _SharedFuture):
        return
    earlier, output._subscribed_fut = output._subscribed_fut, _SharedFuture()

    def tell_earlier(_: object) -> None:
        if not earlier.done():
            earlier.set_result(None)

    output._subscribed_fut.add_done_callback(tell_earlier)


class _SharedFuture(asyncio.Future[None]):
    """A future that is not cancelled with a task that awaits it."""

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.shield(self).__await__() if not self.done() else super().__await__()


def speak_to_nobody(session: AgentSession[Any]) -> None:
    """Let what a session says pass at once instead of being played: its text is complete as soon as its sound is.

    The text follows the sound, and the history holds what was played: both are as if it had been heard.
    """
    output = session.room_io._audio_output
    if output is not None:
        vars(output._audio_source).update(capture_frame=_drop_frame, wait_for_playout=_yield)


def let_be_heard(session: AgentSession[Any]) -> None:
    """Undo `speak_to_nobody`, from the next sound on."""
    output = session.room_io._audio_output
    if output is not None:
        for name in ("capture_frame", "wait_for_playout"):
            vars(output._audio_source).pop(name, None)


async def _drop_frame(_: object) -> None:
    await _yield()


async def _yield() -> None:
    await asyncio.sleep(0)  # a speech of minutes must not hold the loop


def mute_transcripts(session: AgentSession[Any]) -> None:
    """Let a session that has started publish nothing of what it recognises: of a cast, only the ear does."""
    session.off("user_input_transcribed", session.room_io._on_user_input_transcribed)


def publish_transcripts(session: AgentSession[Any]) -> None:
    """Let a session that has started publish to the room again what it recognises."""
    session.on("user_input_transcribed", session.room_io._on_user_input_transcribed)


def end_user_speech(session: AgentSession[Any]) -> None:
    """Let a session that hears nothing any more take the user to be silent.

    Without it, one that stops hearing within a sentence waits for the end of the sentence for ever.
    """
    for activity in _get_activities(session):
        if session.user_state == "speaking":
            activity.on_end_of_speech(None)


def _get_activities(session: AgentSession[Any]) -> Iterator[Any]:
    # While an agent hands over to another one, both may speak.
    yield from (one for one in (session._activity, session._next_activity) if one is not None)
