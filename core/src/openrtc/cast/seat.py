"""`Seat`: one member in a running call, with its room, agent and session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from livekit import rtc
from livekit.agents import AgentSession
from livekit.agents.llm import ChatContext, ChatMessage
from livekit.agents.voice import SpeechHandle

from openrtc.cast.company import Part
from openrtc.cast.line import Line
from openrtc.cast.turn import Turn
from openrtc.errors import one_line
from openrtc.worker.ears import Ears
from openrtc.worker.greeting import greet
from openrtc.worker.participant import ROLE_ATTRIBUTE
from openrtc.worker.upstream.speech import hold_speech, release_speech, silence

ENTER_SECONDS = 5.0

logger = logging.getLogger("openrtc.cast")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(eq=False, kw_only=True)
class Seat:
    """One member in a running call.

    Args:
        part: What the declaration says of it.
        session: Its session.
        room: Its connection to the room. None for a conversation in text, without a room.
        in_jobs_room: Whether that connection is the job's own: it stays until the call is over.
        listens: Whether it listens to people.
        ears: What it hears people with; None for a conversation in text.
        hearing_failed: Whether that has failed.
        hears_members: Whether it hears the other members' voices; otherwise it is told their words.
        realtime: Whether a realtime model speaks.
        context: The context in which its code runs.
        alive: Whether it takes part.
        turn: Why it has the floor or is about to get it; None for what its own code began.
        speeches: What it says or is about to say.
        failed_turns: How many of its turns in a row have failed.
        quiet: Set while it is not heard.
        greeting: What it says when it opens the conversation, if it has fixed words for that.
        began: Whether it has ever begun to speak.
        heard: Set when it has recognised what another member said.
        entered: Set when its agent's ``on_enter`` has ended.
        started: Set when its session has started, or it has left before.
    """

    part: Part
    session: AgentSession[Any]
    room: rtc.Room | None
    listens: bool
    realtime: bool
    context: Context
    in_jobs_room: bool = False
    ears: Ears | None = None
    hearing_failed: bool = False
    hears_members: bool = False
    alive: bool = True
    turn: Turn | None = None
    speeches: set[SpeechHandle] = field(default_factory=set)
    failed_turns: int = 0
    greeting: str = ""
    began: bool = False
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    _unread: list[Line] = field(default_factory=list)
    _paused: bool = False
    _leaving: asyncio.Task[None] | None = None

    @property
    def role(self) -> str:
        """Its role."""
        return self.part.role

    @property
    def name(self) -> str:
        """The name that others see and call it by."""
        return self.part.display_name

    @property
    def identity(self) -> str:
        """Identity of its participant; empty without a room."""
        return self.room.local_participant.identity if self.room else ""

    @property
    def can_listen(self) -> bool:
        """Whether it could listen to people."""
        return self.ears is not None and self.ears.usable and not self.hearing_failed

    @property
    def speaking(self) -> bool:
        """Whether it is being heard now."""
        return self.session.agent_state == "speaking"

    @property
    def listened_to(self) -> bool:
        """Whether somebody listens to it: before that, livekit-agents holds back what it says."""
        try:
            subscribed = self.session.room_io.subscribed_fut
        except RuntimeError:
            return True  # it speaks in no room
        return subscribed is None or subscribed.done()

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function so that what it starts counts as this member's code."""
        return self.context.copy().run(function, *args, **kwargs)

    def listen_to(self, speaker: Seat) -> None:
        """Turn to the member that is about to speak, if it hears members at all."""
        if self.hears_members and self.alive and speaker is not self and speaker.identity:
            with contextlib.suppress(RuntimeError):  # its session may not have started
                self.session.room_io.set_participant(speaker.identity)
            self.heard.clear()

    def hear(self, line: Line) -> None:
        """Note what somebody has said; the language model gets it with `read`."""
        self._unread.append(line)

    async def read(self, besides: ChatContext | None = None) -> str:
        """Give the language model what was heard since the last time.

        Args:
            besides: A further context that gets it, which livekit-agents has copied already.

        Returns:
            What is still to be given with the next reply: a realtime model is told that way.
        """
        unread, self._unread = sorted(self._unread, key=lambda line: line.at), []
        if self.realtime:
            return "\n".join(line.tagged for line in unread)
        if unread:
            agent = self.session.current_agent
            chat = agent.chat_ctx.copy()
            messages = as_messages(unread, after=max((item.created_at for item in chat.items), default=0.0))
            for one in (chat, besides):
                if one is not None:
                    one.insert(list(messages))
            # A tool that is running has no output yet: its call must stay.
            await agent.update_chat_ctx(chat, exclude_invalid_function_calls=False)
        return ""

    async def reply(self, instructions: str = "") -> SpeechHandle:
        """Begin to answer what was heard."""
        text = await self.read()
        options: dict[str, Any] = {"user_input": text} if text else {}
        if instructions:
            options["instructions"] = instructions
        return self.run(self.session.generate_reply, **options)

    def greet(self) -> None:
        """Say its greeting."""
        if self.realtime:
            self.run(self.session.generate_reply, instructions=f"Say these words: {self.greeting}")
        else:
            self.run(greet, self.session, self.greeting)

    async def wait_until_entered(self) -> None:
        """Wait until ``on_enter`` has ended or has begun to speak, but not for long."""
        until = time.monotonic() + ENTER_SECONDS
        while not self.began and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.entered.wait(), 0.05)
            if self.entered.is_set():
                return

    def hold(self) -> None:
        """Hold back what it is about to say."""
        hold_speech(self.session)

    def release(self) -> None:
        """Let it be heard."""
        release_speech(self.session)

    def pause(self) -> None:
        """Silence it at once, so that it can go on where it was."""
        audio = self.session.output.audio
        if audio is not None and audio.can_pause:
            self._paused = True
            audio.pause()
            if self.room is not None and self.speaking:
                silence(self.session)
        else:
            self.cut()

    def resume(self) -> None:
        """Let it go on after `pause`."""
        audio = self.session.output.audio
        if self._paused and audio is not None:
            audio.resume()
        self._paused = False

    def cut(self) -> None:
        """End what it says and is about to say."""
        if self.speeches:
            with contextlib.suppress(RuntimeError):  # the session is closing
                self.session.interrupt(force=True)
        for speech in self.speeches:
            speech.interrupt(force=True)
        if self._paused:
            # Its buffer is empty only when the interruption has been processed.
            asyncio.get_running_loop().call_later(0.1, self.resume)

    async def leave(self) -> None:
        """Close its session and its connection to the room; of the job's own only what it has published."""
        self.alive = False
        self.started.set()
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        await asyncio.shield(self._leaving)

    async def _leave(self) -> None:
        for closing in (self.session.aclose(), self._disconnect()):
            try:
                await closing
            except Exception as error:
                logger.debug("member %r: while leaving: %s", self.role, one_line(str(error)))

    async def _disconnect(self) -> None:
        if self.room is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5.0):
                await (self._fall_silent(self.room.local_participant) if self.in_jobs_room else self.room.disconnect())

    async def _fall_silent(self, participant: rtc.LocalParticipant) -> None:
        for track in list(participant.track_publications):
            await participant.unpublish_track(track)
        await participant.set_attributes({ROLE_ATTRIBUTE: ""})


def as_messages(lines: Sequence[Line], after: float) -> list[ChatMessage]:
    """Return lines as the language model reads them.

    Args:
        lines: The lines, in their order.
        after: When the last thing was that it knows already; what a tool returned meanwhile must not come last.
    """
    times = [max(line.at, after + (number + 1) * 1e-6) for number, line in enumerate(lines)]
    return [
        ChatMessage(role="user", content=[line.tagged], created_at=at) for line, at in zip(lines, times, strict=True)
    ]
