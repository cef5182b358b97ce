"""`Talk`: who speaks next in a cast, who answers people, and what the members tell each other."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from livekit.agents.voice import SpeechHandle

from openrtc.cast.asks import Asks
from openrtc.cast.declaration import Cast
from openrtc.cast.floor import Floor
from openrtc.cast.line import Line
from openrtc.cast.policies import HumanTurn, addressed, after, answering
from openrtc.cast.seat import Seat
from openrtc.cast.telling import is_silent, tell_answer, tell_failed_turn, tell_turn, time_of, words_of
from openrtc.cast.turn import ASKED, HANDED_OVER, ITSELF, MEMBER, OPENING, PERSON, SENT, Turn
from openrtc.errors import OpenRTCError, one_line
from openrtc.suggest import did_you_mean
from openrtc.worker.live_call import LiveCall

logger = logging.getLogger("openrtc.cast")

OPEN = "Open the conversation."
FAILED_TURNS = 3
"""After so many failed turns in a row a member counts as failed."""
POLICY_SECONDS = 2.0
HEAR_SECONDS = 4.0
"""How long a member that hears voices has to recognise what was said."""


class Talk:
    """Who speaks next in a running cast.

    The attribute ``ear`` is the member that listens to people.

    Args:
        cast: The declaration.
        live: The call.
        failed: Told of a member that cannot speak any more, and why.
        empty: Returns whether no person is in the room.
    """

    def __init__(
        self, cast: Cast, live: LiveCall, failed: Callable[[Seat, str], None], empty: Callable[[], bool]
    ) -> None:
        self.floor = Floor(self, cast.turn_seconds)
        self.ear: Seat | None = None
        self._cast = cast
        self._live = live
        self._failed = failed
        self._empty = empty
        self._seats: list[Seat] = []
        self._asks = Asks()
        self._front = cast.lead
        self._last_speaker = cast.lead
        self._last: Line | None = None
        self._answered = False
        self._spoken: Line | None = None
        self._turns = 0
        self._over = False

    @property
    def seats(self) -> list[Seat]:
        """The members that take part, in their order."""
        return [seat for seat in self._seats if seat.alive]

    @property
    def names(self) -> dict[str, str]:
        """The name of each member that takes part, by its role."""
        return {seat.role: seat.name for seat in self.seats}

    @property
    def front(self) -> Seat:
        """The member that answers people by default: the lead, or whom it has handed over to."""
        return self._by_role(self._front) or self._by_role(self._cast.lead) or self.seats[0]

    def seat(self, role: str) -> Seat:
        """Return the member with a role.

        Raises:
            OpenRTCError: None has it.
        """
        if (found := self._by_role(role)) is None:
            fix = did_you_mean(role, self.names, f"there are: {', '.join(self.names)}")
            raise OpenRTCError(f"no member {role!r} takes part in this cast", fix=fix)
        return found

    def join(self, seat: Seat) -> None:
        """Let a member take part, the last in the order."""
        self._seats.append(seat)
        self.ear = seat if seat.listens else self.ear
        self.floor.watch(seat)

    def leave(self, seat: Seat, why: str) -> None:
        """Let a member take part no more, and tell the others."""
        seat.alive = False
        self._asks.fail(seat.role, f"{seat.role!r} has left: {why}")
        self.floor.drop(seat)
        self.tell(Line("", f"{seat.name} has left the call"))

    def stop(self) -> None:
        """End everything: the call is over."""
        self._over = True
        self.floor.stop()
        for seat in self._seats:
            self._asks.fail(seat.role, "the call is over")

    async def open(self) -> None:
        """Let the members speak; the lead opens, unless its own code has begun to speak."""
        lead = self.front
        await lead.wait_until_entered()
        if not lead.began:
            self.call(lead, Turn(OPENING), first=True)
        self.floor.open()

    def call(self, seat: Seat, turn: Turn, *, first: bool = False) -> None:
        """Give a member the floor when its turn comes."""
        self.floor.call(seat, partial(self._begin, seat, turn), first=first)

    async def person_said(self, text: str, speaker: str, turn: Turn) -> Seat:
        """Take what a person has said; whatever the members were about to say is dropped.

        Args:
            text: The words.
            speaker: The person's name.
            turn: The turn of whoever answers.

        Returns:
            Who answers.
        """
        turn.heard = text
        self._turns, self._last = 0, None
        self.floor.cut()
        seat = await self._choose(text)
        self.tell_what_was_said(text, speaker)
        logger.debug("%r answers %r", seat.role, text)
        return seat

    @property
    def ear_answers_whatever_is_said(self) -> bool:
        """Whether a person's words need not be known to choose who answers, and it is the ear."""
        policy = self._cast.answers
        role = self.front.role if policy == "lead" else self._present_speaker() if policy == "last_speaker" else ""
        return self.ear is not None and role == self.ear.role

    def tell_what_was_said(self, text: str, speaker: str) -> None:
        """Tell the members that do not listen what a person has said, once it is known."""
        if text:
            self.tell(Line(speaker, text), but=[self.ear] if self.ear else [])

    def send(self, sender: Seat, role: str, text: str) -> None:
        """Tell a member something, to which it replies aloud."""
        seat = self.seat(role)
        seat.hear(Line(sender.name, text))
        self.call(seat, Turn(SENT))

    def tell(self, line: Line, but: Sequence[Seat] = ()) -> None:
        """Tell the members something; nobody replies to it at once.

        Args:
            line: What to tell them.
            but: Who need not be told.
        """
        for seat in self.seats:
            if seat not in but:
                seat.hear(line)

    def hand_over(self, role: str) -> None:
        """Let a member answer people from now on, and speak next."""
        seat = self.seat(role)
        self._front = self._last_speaker = seat.role
        self.call(seat, Turn(HANDED_OVER))

    async def ask(self, asker: Seat, role: str, text: str, seconds: float) -> str:
        """Return what a member answers aloud.

        Raises:
            OpenRTCError: It does not, or could never, since it waits for the asker.
        """
        self._asks.check(asker.role, self.seat(role).role)
        async with self._asks.lock(asker.role):
            seat = self.seat(role)
            self._asks.check(asker.role, role)
            answer = self._asks.begin(asker.role, role)
            try:
                return await asyncio.wait_for(self._asked(asker, seat, text, answer), seconds)
            except TimeoutError:
                raise OpenRTCError(f"{role!r} has not answered within {seconds:g} s", origin="ask()") from None
            finally:
                answer.cancel()

    async def _asked(self, asker: Seat, seat: Seat, text: str, answer: asyncio.Future[str]) -> str:
        await asker.quiet.wait()
        seat.hear(Line(asker.name, text))
        begin = partial(self._begin, seat, Turn(ASKED, answer=answer, asker=asker.role))
        if self.floor.holder is asker:
            self.floor.lend(asker, seat, begin)
        else:
            self.floor.call(seat, begin, first=True)
        return await answer

    async def _begin(self, seat: Seat, turn: Turn) -> None:
        seat.turn, turn.began = turn, time.monotonic()
        if turn.cause == MEMBER and seat.hears_members:
            await self._wait_until_heard(seat)
        if turn.cause != OPENING:
            await seat.reply()
        elif seat.greeting:
            seat.greet()
        else:
            await seat.reply(OPEN)

    async def _wait_until_heard(self, seat: Seat) -> None:
        try:
            await asyncio.wait_for(seat.heard.wait(), HEAR_SECONDS)
        except TimeoutError:
            logger.warning("member %r has not recognised what was said: it is told the words", seat.role)
            if self._spoken:
                seat.hear(self._spoken)

    def spoke(self, seat: Seat, speech: SpeechHandle) -> None:
        """Take what a member has said."""
        turn = seat.turn or Turn(ITSELF)
        text = " ".join(words_of(speech)).strip()
        turn.interrupted = turn.interrupted or speech.interrupted
        if text:
            turn.said.append(text)
            self._tell_what_was_heard(seat, turn, Line(seat.name, text, time_of(speech)))
        if not seat.speeches:
            self._turn_over(seat, turn, speech)

    def _tell_what_was_heard(self, seat: Seat, turn: Turn, line: Line) -> None:
        for other in self.seats:
            # The member that has asked is told by its tool; one that hears voices hears it.
            if other is not seat and other.role != turn.asker and not other.hears_members:
                other.hear(line)

    def too_slow(self, seat: Seat) -> None:
        """Note that a member had the floor and was not heard."""
        turn = seat.turn or Turn(ITSELF)
        self._failed_turn(seat, turn, f"was not heard within {self._cast.turn_seconds:g} s")

    def could_not_speak(self, seat: Seat, error: Exception) -> None:
        """Note that a member could not even begin."""
        turn = seat.turn or Turn(ITSELF)
        seat.turn = None
        self._failed_turn(seat, turn, one_line(f"{type(error).__name__}: {error}"))

    def idle(self) -> None:
        """Let the next member speak, unless the members have had their turns or nothing new was said."""
        line, self._last = self._last, None
        if line is None or self._over or len(self.seats) < 2:
            return
        endless = self._cast.ends == "never" and self._empty()
        if self._turns >= self._cast.turn_budget and not endless:
            return
        others = {role: name for role, name in self.names.items() if role != self._last_speaker}
        called = addressed(line.text, others)
        # A person who was answered is waited for, unless the answer turns to another member.
        role = called if self._answered else called or after(self._last_speaker, tuple(self.names))
        if role is not None:
            self.call(self.seat(role), Turn(MEMBER), first=True)

    def _turn_over(self, seat: Seat, turn: Turn, speech: SpeechHandle) -> None:
        error = speech.exception()
        if not turn.said and not turn.interrupted and (error or (turn.cause != ITSELF and is_silent(speech))):
            why = one_line(f"{type(error).__name__}: {error}") if error else "nothing was said"
            self._failed_turn(seat, turn, why)
            return
        tell_turn(self._live, seat.role, turn)
        if turn.cause == PERSON:
            tell_answer(self._live, seat.role, turn, speech)
        seat.failed_turns = 0
        said = " ".join(turn.said)
        if turn.answer and not turn.answer.done():
            if turn.interrupted:
                turn.answer.set_exception(OpenRTCError(f"{seat.role!r} was interrupted", origin="ask()"))
            else:
                turn.answer.set_result(said)
        if turn.cause != ASKED and said:
            self._turns += 1
            self._last_speaker = seat.role
            self._last = None if turn.interrupted else Line(seat.name, said)
            self._answered = turn.cause == PERSON
            self._spoken = Line(seat.name, said)

    def _failed_turn(self, seat: Seat, turn: Turn, why: str) -> None:
        if self._over or not seat.alive:
            return
        seat.failed_turns += 1
        tell_failed_turn(self._live, seat.role, why)
        if turn.answer and not turn.answer.done():
            turn.answer.set_exception(OpenRTCError(f"{seat.role!r} could not answer: {why}", origin="ask()"))
        if turn.cause == PERSON:
            self._answer_instead(seat, turn)
        if seat.failed_turns >= FAILED_TURNS:
            self._failed(seat, f"{FAILED_TURNS} turns in a row have failed, the last one: {why}")

    def _answer_instead(self, seat: Seat, turn: Turn) -> None:
        tried = (*turn.tried, seat.role)
        for other in self.seats:
            if other.role not in tried:
                again = Turn(PERSON, turn.heard, turn.silent_since, turn.end_of_turn, tried)
                self.call(other, again, first=True)
                return

    async def _choose(self, text: str) -> Seat:
        turn = HumanTurn(text=text, names=self.names, lead=self.front.role, last_speaker=self._present_speaker())
        if not callable(self._cast.answers):
            return self.seat(answering(self._cast.answers, turn))
        try:
            async with asyncio.timeout(POLICY_SECONDS):
                chosen = self._cast.answers(turn)
                role = await chosen if inspect.isawaitable(chosen) else chosen
            return self.front if role is None else self.seat(role)
        except Exception as error:  # whatever the package's function raises
            said = one_line(f"{type(error).__name__}: {error}")
            logger.error("agent %r: its answers= failed: %s; %r answers", self._live.agent, said, self.front.role)
            return self.front

    def _present_speaker(self) -> str:
        return self._last_speaker if self._by_role(self._last_speaker) else self.front.role

    def _by_role(self, role: str) -> Seat | None:
        return next((seat for seat in self.seats if seat.role == role), None)
