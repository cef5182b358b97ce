"""`Listening`: what the ear of a cast hears of people, and what that does to the members' turns.

One member listens: with several, each would recognise the same words (and cost as much again), and all would answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from livekit.agents import Agent, AgentSession, StopResponse, UserInputTranscribedEvent, UserStateChangedEvent
from livekit.agents.llm import ChatContext, ChatItem, ChatMessage

from openrtc.cast.member_session import MemberSession
from openrtc.cast.turn import HeardLine, MemberTurn
from openrtc.cast.turn_manager import TurnManager
from openrtc.errors import OpenRTCError

FALSE_ALARM_SECONDS = 2.0
"""After so much silence, a sound in which no words were found was none: whoever was speaking goes on."""
LOST_TURN_SECONDS = 10.0
"""After so much silence the members go on although the words that were heard never became a turn."""
TRANSCRIPT_SECONDS = 5.0
"""How long to wait for the words of a turn that a realtime model has heard."""
STREAM_ANSWER_SECONDS = 120.0
"""How long whoever types over the session stream waits for the end of the answer."""
POLL_SECONDS = 0.05
"""How often `wait_for_silence` looks."""
UNKNOWN_PERSON = "Caller"
UNKNOWN_MEMBER = "Somebody"

OnTurn = Callable[[ChatContext, ChatMessage], Awaitable[None]]


class Listening:
    """Brings what people say into the turns of a cast.

    Args:
        turns: Who speaks next.
    """

    def __init__(self, turns: TurnManager) -> None:
        self._turns = turns
        self._somebody_speaks = False
        self._words_came = False
        self._alarm: asyncio.TimerHandle | None = None
        self._transcript: asyncio.Future[str] | None = None
        self._answering: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen through the first ear, whose session is about to start."""
        self._watch(self._turns.ear.session)
        self._take_turns_of(self._turns.ear.agent)

    async def wait_for_silence(self, seconds: float) -> None:
        """Wait until nobody says anything that has yet to become a turn, but not for ever.

        Args:
            seconds: How long to wait at most.
        """
        until = time.monotonic() + seconds
        # Polled: it depends on two things that change in many places, and is needed only when the ear moves.
        while (self._somebody_speaks or self._answering) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)

    def move(self, previous: MemberSession, ear: MemberSession) -> None:
        """Listen through another member.

        It hears only the rest of a sentence that is under way; that is waited for, but not for long.
        """
        for event, handler in self._handlers.items():
            previous.session.off(event, handler)
        self._watch(ear.session)
        self._take_turns()
        if self._somebody_speaks:
            self._words_came = False
            self._wait_for_turn()

    def on_person_left(self) -> None:
        """Wait no longer for the end of a word that a person who has left may have been in the middle of."""
        if self._turns.floor.closed:
            self._wait_for_turn()

    def stop(self) -> None:
        """Listen no more."""
        self._stop_alarm()
        for task in self._answering:
            task.cancel()

    async def take_text(self, text: str, speaker: str = UNKNOWN_PERSON, turn: MemberTurn | None = None) -> None:
        """Take what a person has typed, and let the right member answer.

        Args:
            text: The words.
            speaker: The person's name.
            turn: The turn of whoever answers.
        """
        turn = turn or MemberTurn("person", silent_since=time.time())
        member = await self._turns.take_human_turn(text, speaker, turn)
        self._turns.ear.hear(HeardLine("", text, verbatim=True))
        self._call(member, turn)

    async def answer_text(self, text: str, speaker: str) -> list[ChatItem]:
        """Take what a person has typed, as `take_text` does, and return what comes of it when it was said.

        Args:
            text: The words.
            speaker: The person's name.

        Raises:
            OpenRTCError: Nobody has answered; says why.
        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        turn = MemberTurn("person", silent_since=time.time(), answer=answer)
        await self.take_text(text, speaker or UNKNOWN_PERSON, turn)
        try:
            await asyncio.wait_for(answer, STREAM_ANSWER_SECONDS)
        except TimeoutError:
            raise OpenRTCError(f"nobody has answered within {STREAM_ANSWER_SECONDS:g} s") from None
        return turn.items

    @property
    def _handlers(self) -> dict[Any, Callable[[Any], None]]:
        return {
            "user_state_changed": self._on_user_state_changed,
            "user_input_transcribed": self._on_transcribed,
            "conversation_item_added": self._take_turns,
        }

    def _watch(self, session: AgentSession[Any]) -> None:
        for event, handler in self._handlers.items():
            session.on(event, handler)

    def _take_turns(self, _: object = None) -> None:
        # An agent that has handed over to another one is not asked any more: wrap the one that runs now.
        self._take_turns_of(self._turns.ear.session.current_agent)

    def _take_turns_of(self, agent: Agent) -> None:
        wrap_turn_completed(agent, self._on_turn_completed, self._go_on)

    def _on_user_state_changed(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._stop_alarm()
            self._words_came, self._somebody_speaks = False, True
            self._turns.floor.close()
            if holder := self._turns.floor.holder:
                # Paused at once, cut when words come: a cough must not end a sentence.
                holder.pause()
        elif event.old_state == "speaking":
            self._take_turns()
            self._wait_for_turn()

    def _on_transcribed(self, event: UserInputTranscribedEvent) -> None:
        if not event.transcript.strip():
            return
        if event.is_final and self._transcript is not None and not self._transcript.done():
            self._transcript.set_result(event.transcript)
        if self._turns.ear.session.user_state == "speaking" or self._alarm is not None:
            # Words: what is said now, and what was about to be said, no longer fits.
            self._words_came = True
            self._turns.floor.cut()
            if self._alarm is not None:
                self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        # Without this alarm, a sound that never becomes a turn would silence the members for the rest of the call.
        self._stop_alarm()
        seconds = LOST_TURN_SECONDS if self._words_came else FALSE_ALARM_SECONDS
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        for member in self._turns.members:
            member.resume()
        self._open_floor()

    def _open_floor(self) -> None:
        self._stop_alarm()
        self._somebody_speaks = False
        self._turns.floor.open()

    def _stop_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = None

    async def _on_turn_completed(self, chat: ChatContext, message: ChatMessage) -> None:
        """Take a turn of a person: return when the ear answers by itself, else raise `StopResponse`."""
        self._stop_alarm()
        turn = _build_turn(message)
        text = message.text_content or ""
        if not text:
            self._answer_later(turn)
            raise StopResponse
        await self._answer(text, turn, chat, message)

    async def _answer(self, text: str, turn: MemberTurn, chat: ChatContext, message: ChatMessage) -> None:
        ear = self._turns.ear
        member = await self._turns.take_human_turn(text, ear.linked_name or UNKNOWN_PERSON, turn)
        if member is ear and not member.realtime:
            # livekit-agents lets the ear answer when this returns: with the lines and the floor that it has by then.
            await member.read(chat)
            member.turn, turn.began = turn, time.monotonic()
            self._turns.floor.reserve(member)
            self._open_floor()
            return
        # The ear may have moved while a package's function chose who answers: then the new one has not heard this.
        if not self._turns.ear.realtime or self._turns.ear is not ear:
            self._turns.ear.hear(HeardLine("", text, message.created_at, verbatim=True))
        self._call(member, turn)
        raise StopResponse

    def _answer_later(self, turn: MemberTurn) -> None:
        # A realtime model has heard the turn; its words come later, if at all.
        self._transcript = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._answer_when_transcribed(turn, self._transcript))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_when_transcribed(self, turn: MemberTurn, transcript: asyncio.Future[str]) -> None:
        speaker = self._turns.ear.linked_name or UNKNOWN_PERSON
        if at_once := self._turns.ear_always_answers:
            self._call(await self._turns.take_human_turn("", speaker, turn), turn)
        try:
            text = await asyncio.wait_for(transcript, TRANSCRIPT_SECONDS)
        except TimeoutError:
            text = ""
        if at_once:
            turn.heard = text
            self._turns.share_human_words(text, speaker)
        else:
            self._call(await self._turns.take_human_turn(text, speaker, turn), turn)

    def _call(self, member: MemberSession, turn: MemberTurn) -> None:
        self._turns.call(member, turn, first=True)
        self._open_floor()


class Overhearing:
    """Takes what a member recognises of the other members' voices; the floor decides when it answers.

    Args:
        member: The member that hears.
    """

    def __init__(self, member: MemberSession) -> None:
        self._member = member
        member.session.on("conversation_item_added", lambda _: self.take_turns_of(member.session.current_agent))

    def take_turns_of(self, agent: Agent) -> None:
        """Let the floor decide when the member's agent answers, unless it listens to people meanwhile."""
        if self._member.hears_members:
            wrap_turn_completed(agent, self._on_turn_completed, self._member.heard.set)

    async def _on_turn_completed(self, chat: ChatContext, message: ChatMessage) -> None:
        # A realtime model has heard the turn itself.
        if not self._member.realtime and (text := message.text_content):
            self._member.hear(HeardLine(self._member.linked_name or UNKNOWN_MEMBER, text, message.created_at))
        self._member.heard.set()
        raise StopResponse


def wrap_turn_completed(agent: Agent, decide: OnTurn, on_left_alone: Callable[[], None]) -> None:
    """Wrap the agent's ``on_user_turn_completed``, once; what decided before decides no more.

    livekit-agents has no event that may still stop an answer: its own code and `StopResponse` alone can.

    Args:
        agent: The agent.
        decide: Called after the agent's own code.
        on_left_alone: Called instead when that code wants no answer.
    """
    now = agent.on_user_turn_completed
    if getattr(now, "_openrtc_decides", None) == decide:
        return
    own = getattr(now, "_openrtc_own", now)

    async def on_user_turn_completed(turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        try:
            await own(turn_ctx, new_message=new_message)
        except StopResponse:
            on_left_alone()  # no turn comes: without this, the members stay silenced until the alarm
            raise
        await decide(turn_ctx, new_message)

    # Attributes of a function and a method of an instance, neither of which mypy lets be set.
    on_user_turn_completed._openrtc_decides = decide  # type: ignore[attr-defined]
    on_user_turn_completed._openrtc_own = own  # type: ignore[attr-defined]
    agent.on_user_turn_completed = on_user_turn_completed  # type: ignore[method-assign]


def _build_turn(message: ChatMessage) -> MemberTurn:
    metrics: dict[str, Any] = {**message.metrics}
    return MemberTurn(
        "person",
        silent_since=metrics.get("stopped_speaking_at", time.time()),
        end_of_turn=metrics.get("end_of_turn_delay"),
    )
