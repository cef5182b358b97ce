"""Limits how long what an agent says waits for somebody who hears it.

livekit-agents holds speech back until a participant subscribes to the agent's track, however long that takes: the
agent would stay, silent, with everything that it has to say afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, JobContext, SpeechCreatedEvent
from livekit.agents.types import TOPIC_CHAT
from livekit.agents.voice import SpeechHandle
from livekit.agents.voice.io import AudioOutput

from openrtc.errors import OpenRTCError
from openrtc.runtime.live_call import LiveCall
from openrtc.session.participant import is_person
from openrtc.upstream.digest import find_changes
from openrtc.upstream.speech import keep_waiting_for_listener, let_be_heard, speak_to_nobody

logger = logging.getLogger("openrtc.worker")

UNHEARD_SECONDS = 30.0
"""How long speech waits for a listener while somebody is in the room: a browser subscribes within a second or two."""
TYPED_SECONDS = 10.0
"""The same where somebody types: whoever wants no sound waits for the text of the answer."""
MOST_KEPT = 20
"""So many lines that are typed before the agent listens are kept."""
COUNT_SECONDS = 1.0
"""In such steps the seconds are counted, and only while speech waits."""

CALL_STATUS = "sip.callStatus"
"""Attribute of a phone's participant: one that rings is in the room already, and hears nothing yet."""


def note_typing(room: rtc.Room, live: LiveCall) -> None:
    """Note on a call that somebody has typed, and keep it until the agent listens; call it before the room is joined.

    livekit drops what comes before there is a handler, and a session what comes before it has started.

    Args:
        room: The job's room.
        live: The call.
    """
    register = room.register_text_stream_handler
    early: list[tuple[rtc.TextStreamReader, str]] = []
    keeping = [True]

    def keep(reader: rtc.TextStreamReader, identity: str) -> None:
        if len(early) < MOST_KEPT:
            early.append((reader, identity))

    def register_noting(topic: str, handler: Callable[..., Any]) -> None:
        if topic != TOPIC_CHAT:
            register(topic, handler)
            return

        def noting(reader: rtc.TextStreamReader, identity: str) -> Any:
            live.typed_at = time.monotonic()
            if live.listens:
                return handler(reader, identity)
            if len(live.typed) < MOST_KEPT:
                live.typed.append(partial(handler, reader, identity))
            return None

        if keeping:
            keeping.clear()
            room.unregister_text_stream_handler(TOPIC_CHAT)
        register(topic, noting)
        while early:
            noting(*early.pop(0))

    register(TOPIC_CHAT, keep)
    room.register_text_stream_handler = register_noting  # type: ignore[method-assign]  # of this room only


def is_held_back(session: AgentSession[Any]) -> bool:
    """Whether livekit-agents holds back what a session says, since nobody has subscribed to its track yet."""
    try:
        subscribed = session.room_io.subscribed_fut
    except RuntimeError:
        return False  # it speaks in no room
    return subscribed is not None and not subscribed.done()


def end_when_unheard(session: AgentSession[Any], context: JobContext, live: LiveCall) -> None:
    """End a call whose agent nobody hears; where somebody has typed, what the agent says goes out as text instead.

    Args:
        session: The call's session, before it starts.
        context: LiveKit's context of the job.
        live: The call.
    """

    def give_up() -> None:
        if live.typed_at is not None:
            _answer_in_text(session, live)
            return
        said = f"nobody has heard what it says for {UNHEARD_SECONDS:g} s: no participant subscribes to its track"
        live.emit_error("session", OpenRTCError(said), "", fatal=True)
        logger.error("agent %r: %s; this call is ended", live.agent, said, extra=live.fields)
        context.shutdown("nobody hears the agent")

    _UnheardSpeech(session, live, give_up)


def go_on_when_unheard(session: AgentSession[Any], live: LiveCall) -> None:
    """Let a member of a cast speak though nobody hears it: the others wait for the end of its turn.

    Args:
        session: The member's session, before it starts.
        live: The call.
    """

    def give_up() -> None:
        text = "agent %r: nobody subscribes to the track of %r; the conversation goes on without being heard"
        logger.warning(text, live.agent, session.room_io.room.local_participant.identity, extra=live.fields)
        _release(session)

    _UnheardSpeech(session, live, give_up)


def _release(session: AgentSession[Any]) -> None:
    subscribed = session.room_io.subscribed_fut
    if subscribed is not None and not subscribed.done():
        subscribed.set_result(None)


def _answer_in_text(session: AgentSession[Any], live: LiveCall) -> None:
    room = session.room_io.room
    text = "agent %r: nobody subscribes to its track; what it says goes out as text, until somebody does"
    logger.warning(text, live.agent, extra=live.fields)
    if not find_changes("speech"):  # else it is spoken to nobody in real time, and the text comes as slowly
        speak_to_nobody(session)

        def hear(_: rtc.Track) -> None:
            let_be_heard(session)
            room.off("local_track_subscribed", hear)

        room.on("local_track_subscribed", hear)
    _release(session)


class _UnheardSpeech:
    """Counts the seconds for which speech waits while somebody is in the room; the session's handlers keep it alive."""

    def __init__(self, session: AgentSession[Any], live: LiveCall, give_up: Callable[[], None]) -> None:
        self._session = session
        self._live = live
        self._give_up = give_up
        self._speeches: set[SpeechHandle] = set()
        self._waited = 0.0
        self._timer: asyncio.TimerHandle | None = None
        session.on("speech_created", self._on_speech_created)
        session.on("close", self._on_close)

    def _on_speech_created(self, event: SpeechCreatedEvent) -> None:
        self._speeches.add(event.speech_handle)
        event.speech_handle.add_done_callback(self._speeches.discard)
        if self._timer is None and is_held_back(self._session):
            if not find_changes("speech"):
                keep_waiting_for_listener(self._session)
            self._look_soon()

    def _on_close(self, _: object) -> None:
        if self._timer:
            self._timer.cancel()

    def _look_soon(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(COUNT_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        if not is_held_back(self._session):
            return
        # A pause between two speeches, such as the one that a typed line makes, does not begin the wait anew.
        if self._speeches and self._could_hear():
            self._waited += COUNT_SECONDS
        limit = TYPED_SECONDS if self._live.typed_at is not None else UNHEARD_SECONDS
        # The members of a cast need not wait one after the other.
        if self._waited >= (COUNT_SECONDS if self._live.unheard else limit):
            self._live.unheard = True
            self._give_up()
        else:
            self._look_soon()

    def _could_hear(self) -> bool:
        output, room_io = self._session.output, self._session.room_io
        # An avatar, for example, speaks in the agent's place, and text needs no listener.
        if not _leads_to(output.audio, room_io.audio_output) or not output.audio_enabled:
            return False
        people = filter(is_person, room_io.room.remote_participants.values())
        return any(person.attributes.get(CALL_STATUS, "active") == "active" for person in people)


def _leads_to(output: AudioOutput | None, target: AudioOutput | None) -> bool:
    """Whether an output is another one, or hands its audio on to it: a recorder stands before the room's."""
    while output is not None and output is not target:
        output = getattr(output, "next_in_chain", None)
    return output is target
