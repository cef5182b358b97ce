"""`MemberSession`: one member in a running call, with its room, agent and session."""

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
from livekit.agents import Agent, AgentSession
from livekit.agents.llm import ChatContext, ChatMessage
from livekit.agents.voice import SpeechHandle

from openrtc.cast.turn import HeardLine, MemberTurn
from openrtc.catalog.resolved_cast import ResolvedMember
from openrtc.errors import summarize_error
from openrtc.model.dispatch_names import ROLE_ATTRIBUTE
from openrtc.session.greeting import greet
from openrtc.session.hearing import SpeechInput
from openrtc.session.unheard import is_held_back
from openrtc.upstream.speech import drop_queued_speech, hold_speech, release_speech

ENTER_SECONDS = 5.0
"""How long the opening waits for the lead's ``on_enter``: one that loads something slow must not silence the call."""
POLL_SECONDS = 0.05
"""How often the opening looks whether an ``on_enter`` that still runs has begun to speak."""
CUT_SECONDS = 0.1
"""How long livekit-agents may take to empty the buffer of a speech that was interrupted while it was paused."""
LEAVE_SECONDS = 5.0
"""How long leaving the room may take: a server that does not answer must not hold up the end of the call."""

logger = logging.getLogger("openrtc.cast")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(eq=False, kw_only=True)
class MemberSession:
    """One member in a running call.

    Args:
        resolved: Its role, and how it is built.
        agent: Its agent, with which the session starts; after a hand-off the session runs another one.
        session: Its session.
        room: Its connection to the room. None for a conversation in text, without a room.
        in_jobs_room: Whether that connection is the job's own: it stays until the call is over.
        listens: Whether it listens to people.
        speech_input: What it hears people with; None for a conversation in text.
        hearing_failed: Whether that has failed.
        hears_members: Whether it hears the other members' voices; otherwise it reads their words.
        realtime: Whether a realtime model speaks.
        context: The context variables with which its code runs; they name it as the current member.
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

    resolved: ResolvedMember
    agent: Agent
    session: AgentSession[Any]
    room: rtc.Room | None
    listens: bool
    realtime: bool
    context: Context
    in_jobs_room: bool = False
    speech_input: SpeechInput | None = None
    hearing_failed: bool = False
    hears_members: bool = False
    alive: bool = True
    turn: MemberTurn | None = None
    speeches: set[SpeechHandle] = field(default_factory=set)
    failed_turns: int = 0
    greeting: str = ""
    began: bool = False
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)
    _unread: list[HeardLine] = field(default_factory=list)
    _paused: bool = False
    _leaving: asyncio.Task[None] | None = None

    @property
    def role(self) -> str:
        """Its role."""
        return self.resolved.role

    @property
    def name(self) -> str:
        """The name that others see and call it by."""
        return self.resolved.display_name

    @property
    def identity(self) -> str:
        """Identity of its participant; empty without a room."""
        return self.room.local_participant.identity if self.room else ""

    @property
    def linked(self) -> rtc.RemoteParticipant | None:
        """Whose sound its session takes; None without a room, and when the session is closed."""
        try:
            return self.session.room_io.linked_participant
        except RuntimeError:
            return None

    @property
    def linked_name(self) -> str:
        """The name of that participant, as members know it; empty where there is none."""
        return (self.linked.name or self.linked.identity) if self.linked else ""

    @property
    def can_listen(self) -> bool:
        """Whether it could listen to people."""
        return self.speech_input is not None and self.speech_input.usable and not self.hearing_failed

    @property
    def speaking(self) -> bool:
        """Whether it is being heard now."""
        return self.session.agent_state == "speaking"

    @property
    def has_listeners(self) -> bool:
        """Whether somebody has subscribed to it: before that, livekit-agents holds back what it says."""
        return not is_held_back(self.session)

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function so that what it starts counts as this member's code."""
        # A copy: a context cannot be entered again by what it has started.
        return self.context.copy().run(function, *args, **kwargs)

    def turn_to(self, speaker: MemberSession) -> None:
        """Take the sound of the member that is about to speak, if this one hears members at all."""
        if self.hears_members and self.alive and speaker is not self and speaker.identity:
            with contextlib.suppress(RuntimeError):  # its session may not have started
                self.session.room_io.set_participant(speaker.identity)
            self.heard.clear()

    def hear(self, line: HeardLine) -> None:
        """Note what somebody has said; the language model gets it with `read`."""
        self._unread.append(line)

    async def read(self, besides: ChatContext | None = None) -> str:
        """Give the language model what was heard since the last time.

        Args:
            besides: A further context that gets it, which livekit-agents has copied already.

        Returns:
            What is still to be given with the next reply: a realtime model gets it that way, since it keeps its
            context at the provider.
        """
        unread, self._unread = sorted(self._unread, key=lambda line: line.at), []
        if self.realtime:
            return "\n".join(line.tagged for line in unread)
        if unread:
            agent = self.session.current_agent
            chat = agent.chat_ctx.copy()
            messages = build_messages(unread, after=max((item.created_at for item in chat.items), default=0.0))
            for one in (chat, besides):
                if one is not None:
                    one.insert(list(messages))
            # A tool that is running has no output yet. livekit-agents would drop its call, and the model would
            # neither see its answer nor know that it has asked.
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
        while not self.began and not self.entered.is_set() and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.entered.wait(), POLL_SECONDS)

    def hold(self) -> None:
        """Hold back what it is about to say."""
        hold_speech(self.session)

    def release(self) -> None:
        """Let it be heard."""
        release_speech(self.session)

    def pause(self) -> None:
        """Silence it at once, so that it can go on where it was; end what it says where that cannot be paused."""
        audio = self.session.output.audio
        if audio is None or not audio.can_pause:
            self.cut()
            return
        self._paused = True
        audio.pause()
        if self.room is not None and self.speaking:
            drop_queued_speech(self.session)

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
            # An output that resumes at once would play what it still holds of the speech that was cut.
            asyncio.get_running_loop().call_later(CUT_SECONDS, self.resume)

    async def leave(self) -> None:
        """Close its session and its connection to the room; of the job's own only what it has published.

        The job's own participant stays until the call is over: the LiveKit server ends a job whose participant leaves.
        """
        self.alive = False
        self.started.set()
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave())
        await asyncio.shield(self._leaving)

    async def _leave(self) -> None:
        for closing in (self.session.aclose(), self._leave_room()):
            try:
                await closing
            except Exception as error:  # a session whose models have failed may fail to close; the room must be left
                logger.debug("member %r: while leaving: %s", self.role, summarize_error(error))

    async def _leave_room(self) -> None:
        if self.room is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await (self._unpublish(self.room) if self.in_jobs_room else self.room.disconnect())

    async def _unpublish(self, room: rtc.Room) -> None:
        for track in list(room.local_participant.track_publications):
            await room.local_participant.unpublish_track(track)
        await room.local_participant.set_attributes({ROLE_ATTRIBUTE: ""})


def build_messages(lines: Sequence[HeardLine], after: float) -> list[ChatMessage]:
    """Return lines as the language model reads them.

    Args:
        lines: The lines, in their order.
        after: When the last item was made that it has already, in seconds since the epoch. Lines come after it, also
            where they were said before it: what a tool returned meanwhile must not come last.
    """
    times = [max(line.at, after + (number + 1) * 1e-6) for number, line in enumerate(lines)]
    return [
        ChatMessage(role="user", content=[line.tagged], created_at=at) for line, at in zip(lines, times, strict=True)
    ]
