"""`Listening`: what the ear of a cast hears of people, and what that does to the members' talk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from livekit.agents import Agent, AgentSession, StopResponse, UserInputTranscribedEvent, UserStateChangedEvent
from livekit.agents.llm import ChatContext, ChatMessage

from openrtc.cast.line import Line
from openrtc.cast.seat import Seat
from openrtc.cast.talk import Talk
from openrtc.cast.turn import PERSON, Turn

logger = logging.getLogger("openrtc.cast")

FALSE_ALARM_SECONDS = 2.0
"""After so much silence, a sound in which no words were found was none: whoever was speaking goes on."""
LOST_TURN_SECONDS = 10.0
"""After so much silence the members go on although the words that were heard never became a turn."""
TRANSCRIPT_SECONDS = 5.0
"""How long to wait for the words of a turn that a realtime model has heard."""
SOMEBODY = "Caller"
STEP = 0.05


class Listening:
    """Lets people into the talk of a cast.

    Args:
        ear: The member that listens.
        talk: The talk.
    """

    def __init__(self, ear: Seat, talk: Talk) -> None:
        self._ear = ear
        self._talk = talk
        self._somebody_speaks = False
        self._words_came = False
        self._alarm: asyncio.TimerHandle | None = None
        self._transcript: asyncio.Future[str] | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._watch(ear.session)

    def start(self, agent: Agent) -> None:
        """Let the cast decide who answers what the ear's agent hears."""
        before_the_answer(agent, self._turn_completed, self._go_on)

    async def silence(self, seconds: float) -> None:
        """Wait until nobody says anything that has yet to become a turn, but not for ever.

        Args:
            seconds: How long to wait at most.
        """
        until = time.monotonic() + seconds
        while (self._somebody_speaks or self._answering) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(STEP)

    def move(self, ear: Seat) -> None:
        """Listen through another member.

        Of a sentence that somebody is in the middle of it hears only the rest, which is waited for, but not for long.
        """
        for event, handler in self._handlers.items():
            self._ear.session.off(event, handler)
        self._ear = ear
        self._watch(ear.session)
        self._take_turns()
        if self._somebody_speaks:
            self._words_came = False
            self._wait_for_turn()

    def person_left(self) -> None:
        """A person has left, perhaps in the middle of a word, whose end nobody will ever hear."""
        if self._talk.floor.closed:
            self._wait_for_turn()

    def stop(self) -> None:
        """Listen no more."""
        self._stop_alarm()
        for task in self._answering:
            task.cancel()

    async def said(self, text: str, speaker: str = SOMEBODY) -> None:
        """Take what a person has said, and let the right member answer."""
        turn = Turn(PERSON, silent_since=time.time())
        seat = await self._talk.person_said(text, speaker, turn)
        self._ear.hear(Line("", text, verbatim=True))
        self._call(seat, turn)

    @property
    def _handlers(self) -> dict[Any, Callable[[Any], None]]:
        return {
            "user_state_changed": self._state_changed,
            "user_input_transcribed": self._transcribed,
            "conversation_item_added": self._take_turns,
        }

    def _watch(self, session: AgentSession[Any]) -> None:
        for event, handler in self._handlers.items():
            session.on(event, handler)

    def _call(self, seat: Seat, turn: Turn) -> None:
        self._talk.call(seat, turn, first=True)
        self._open_floor()

    def _open_floor(self) -> None:
        self._stop_alarm()
        self._somebody_speaks = False
        self._talk.floor.open()

    def _take_turns(self, _: object = None) -> None:
        # An agent that has handed over to another one is not asked any more.
        self.start(self._ear.session.current_agent)

    def _state_changed(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._stop_alarm()
            self._words_came, self._somebody_speaks = False, True
            self._talk.floor.close()
            if holder := self._talk.floor.holder:
                holder.pause()
        elif event.old_state == "speaking":
            self._take_turns()
            self._wait_for_turn()

    def _transcribed(self, event: UserInputTranscribedEvent) -> None:
        if not event.transcript.strip():
            return
        if event.is_final and self._transcript is not None and not self._transcript.done():
            self._transcript.set_result(event.transcript)
        if self._ear.session.user_state == "speaking" or self._alarm is not None:
            self._words_came = True
            self._talk.floor.cut()
            if self._alarm is not None:
                self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        self._stop_alarm()
        seconds = LOST_TURN_SECONDS if self._words_came else FALSE_ALARM_SECONDS
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        for seat in self._talk.seats:
            seat.resume()
        self._open_floor()

    def _stop_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        self._alarm = None

    async def _turn_completed(self, chat: ChatContext, message: ChatMessage) -> None:
        """Take a turn of a person: return when the ear answers by itself, else raise `StopResponse`."""
        self._stop_alarm()
        turn = _turn_of(message)
        text = message.text_content or ""
        if not text:
            self._answer_later(turn)
            raise StopResponse
        await self._answered_by_ear(text, turn, chat, message)

    async def _answered_by_ear(self, text: str, turn: Turn, chat: ChatContext, message: ChatMessage) -> None:
        ear, speaker = self._ear, self._speaker
        seat = await self._talk.person_said(text, speaker, turn)
        if seat is ear and not seat.realtime:
            await seat.read(chat)
            seat.turn, turn.began = turn, time.monotonic()
            self._talk.floor.reserve(seat)
            self._open_floor()
            return
        if not self._ear.realtime or self._ear is not ear:
            self._ear.hear(Line("", text, message.created_at, verbatim=True))
        self._call(seat, turn)
        raise StopResponse

    def _answer_later(self, turn: Turn) -> None:
        # A realtime model has heard the turn; its words come later, if at all.
        self._transcript = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._answer_when_transcribed(turn, self._transcript))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_when_transcribed(self, turn: Turn, transcript: asyncio.Future[str]) -> None:
        speaker = self._speaker
        if at_once := self._talk.ear_answers_whatever_is_said:
            self._call(await self._talk.person_said("", speaker, turn), turn)
        try:
            text = await asyncio.wait_for(transcript, TRANSCRIPT_SECONDS)
        except TimeoutError:
            text = ""
        if at_once:
            turn.heard = text
            self._talk.tell_what_was_said(text, speaker)
        else:
            self._call(await self._talk.person_said(text, speaker, turn), turn)

    @property
    def _speaker(self) -> str:
        try:
            participant = self._ear.session.room_io.linked_participant
        except RuntimeError:
            return SOMEBODY
        return (participant.name or participant.identity) if participant else SOMEBODY


def _turn_of(message: ChatMessage) -> Turn:
    metrics: dict[str, Any] = {**message.metrics}
    return Turn(
        PERSON,
        silent_since=metrics.get("stopped_speaking_at", time.time()),
        end_of_turn=metrics.get("end_of_turn_delay"),
    )


def before_the_answer(agent: Agent, decide: Any, left_alone: Callable[[], None]) -> None:
    """Let ``decide`` run after the agent's own ``on_user_turn_completed``; ``left_alone`` when that wants no answer."""
    now = agent.on_user_turn_completed
    if getattr(now, "_openrtc_decides", None) == decide:
        return
    own = getattr(now, "_openrtc_own", now)

    async def on_user_turn_completed(turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        try:
            await own(turn_ctx, new_message=new_message)
        except StopResponse:
            left_alone()
            raise
        await decide(turn_ctx, new_message)

    on_user_turn_completed._openrtc_decides = decide  # type: ignore[attr-defined]
    on_user_turn_completed._openrtc_own = own  # type: ignore[attr-defined]
    agent.on_user_turn_completed = on_user_turn_completed  # type: ignore[method-assign]
