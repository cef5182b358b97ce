"""`TurnManager`: who speaks next in a cast, who answers people, and what the members hear of each other."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from livekit.agents.voice import SpeechHandle

from openrtc.cast.floor import Floor
from openrtc.cast.member_session import MemberSession
from openrtc.cast.policies import find_addressed_role, find_answering_role, find_next_role
from openrtc.cast.questions import Questions
from openrtc.cast.turn import (
    HeardLine,
    MemberTurn,
    emit_member_spoke,
    emit_turn,
    get_spoken_text,
    get_start_time,
    is_silent,
    report_failed_turn,
)
from openrtc.errors import OpenRTCError, summarize_error
from openrtc.model.agents import Cast, HumanTurn
from openrtc.observe.words import words_of_log
from openrtc.runtime.live_call import LiveCall
from openrtc.session.goodbye import say_goodbye
from openrtc.suggest import did_you_mean

logger = logging.getLogger("openrtc.cast")

OPEN = "Open the conversation."
FAILED_TURNS = 3
"""After so many failed turns in a row a member counts as failed."""
POLICY_SECONDS = 2.0
"""How long a package's ``answers=`` may take: a person waits for the answer meanwhile."""
HEAR_SECONDS = 4.0
"""How long a member that hears voices has to recognise what was said."""


class TurnManager:
    """Who speaks next in a running cast.

    Args:
        cast: The declaration.
        live: The call.
        on_member_failed: Called with a member that cannot speak any more, and why.
        is_empty: Returns whether no person is in the room.
    """

    ear: MemberSession
    """The member that listens to people; set as soon as it is added."""

    def __init__(
        self,
        cast: Cast,
        live: LiveCall,
        on_member_failed: Callable[[MemberSession, str], None],
        is_empty: Callable[[], bool],
    ) -> None:
        self.floor = Floor(self, cast.turn_seconds)
        self._cast = cast
        self._live = live
        self._on_member_failed = on_member_failed
        self._is_empty = is_empty
        self._members: list[MemberSession] = []
        self._questions = Questions()
        self._front = cast.lead
        self._last_speaker = cast.lead
        self._unanswered: HeardLine | None = None
        self._answered_person = False
        self._last_line: HeardLine | None = None
        self._turns_taken = 0
        self._person_turn: MemberTurn | None = None
        self._over = False

    @property
    def members(self) -> list[MemberSession]:
        """The members that take part, in their order."""
        return [member for member in self._members if member.alive]

    @property
    def names(self) -> dict[str, str]:
        """The name of each member that takes part, by its role."""
        return {member.role: member.name for member in self.members}

    @property
    def front(self) -> MemberSession:
        """The member that answers people by default: the lead, or whom it has handed over to."""
        return self._find(self._front) or self._find(self._cast.lead) or self.members[0]

    def find_member(self, role: str) -> MemberSession:
        """Return the member with a role.

        Raises:
            OpenRTCError: None has it.
        """
        if (found := self._find(role)) is None:
            fix = did_you_mean(role, self.names, f"there are: {', '.join(self.names)}")
            raise OpenRTCError(f"no member {role!r} takes part in this cast", fix=fix)
        return found

    def add(self, member: MemberSession) -> None:
        """Let a member take part, the last in the order."""
        self._members.append(member)
        if member.listens:
            self.ear = member
        self.floor.watch(member)

    def remove(self, member: MemberSession, why: str) -> None:
        """Let a member take part no more; the others hear that it has left."""
        member.alive = False
        self._questions.fail(member.role, f"{member.role!r} has left: {why}")
        self.floor.drop(member)
        self.broadcast(HeardLine("", f"{member.name} has left the call"))

    def stop(self) -> None:
        """End everything: the call is over."""
        self._over = True
        self.floor.stop()
        if self._person_turn is not None:
            self._person_turn.fail_answer("the call is over")
        for member in self._members:
            self._questions.fail(member.role, "the call is over")

    async def open(self) -> None:
        """Let the members speak; the lead opens, unless its own code has begun to speak."""
        lead = self.front
        await lead.wait_until_entered()
        if not lead.began:
            self.call(lead, MemberTurn("opening"), first=True)
        self.floor.open()

    async def say_goodbye(self, words: str) -> None:
        """Break off what is said, and return when the member that answers people has said some last words.

        Args:
            words: The words.
        """
        member, said = self.front, asyncio.Event()
        self.stop()

        async def begin() -> None:
            try:
                saying = say_goodbye(member.session, words)
                await asyncio.create_task(saying, name="say-goodbye", context=member.context.copy())
            finally:
                said.set()

        if self.ear.session.input.audio is not None:
            self.ear.session.input.set_audio_enabled(False)  # nobody is answered any more
        self.floor.cut()
        self.floor.open()
        self.floor.call(member, begin, first=True)
        await said.wait()

    def call(self, member: MemberSession, turn: MemberTurn, *, first: bool = False) -> None:
        """Give a member the floor when its turn comes."""
        self.floor.call(member, partial(self._begin, member, turn), first=first)

    # What people and members say.

    async def take_human_turn(self, text: str, speaker: str, turn: MemberTurn) -> MemberSession:
        """Take what a person has said; whatever the members were about to say is dropped.

        Args:
            text: The words.
            speaker: The person's name.
            turn: The turn of whoever answers.

        Returns:
            Who answers.
        """
        turn.heard = text
        self._turns_taken, self._unanswered = 0, None
        self.floor.cut()  # before the choice, which may take a while: nobody may talk on meanwhile
        dropped, self._person_turn = self._person_turn, turn
        if dropped is not None and all(member.turn is not dropped for member in self.members):
            dropped.fail_answer("somebody has said something else meanwhile")
        member = await self._choose_who_answers(text)
        self.share_human_words(text, speaker)
        logger.debug("%r answers %r", member.role, words_of_log().clean(text))
        return member

    @property
    def ear_always_answers(self) -> bool:
        """Whether the ear answers, whatever a person has said: then nobody need wait for the words."""
        policy = self._cast.answers
        role = self.front.role if policy == "lead" else self._present_speaker() if policy == "last_speaker" else ""
        return role == self.ear.role

    def share_human_words(self, text: str, speaker: str) -> None:
        """Let the members that do not listen hear what a person has said, once it is known."""
        if text:
            self.broadcast(HeardLine(speaker, text), but=[self.ear])

    def send(self, sender: MemberSession, role: str, text: str) -> None:
        """Let a member hear something, to which it replies aloud."""
        member = self.find_member(role)
        member.hear(HeardLine(sender.name, text))
        self.call(member, MemberTurn("sent"))

    def broadcast(self, line: HeardLine, but: Sequence[MemberSession] = ()) -> None:
        """Let the members hear something; nobody replies to it at once.

        Args:
            line: What they hear.
            but: Who does not.
        """
        for member in self.members:
            if member not in but:
                member.hear(line)

    def hand_over(self, role: str) -> None:
        """Let a member answer people from now on, and speak next."""
        member = self.find_member(role)
        self._front = self._last_speaker = member.role
        self.call(member, MemberTurn("handed_over"))

    async def ask(self, asker: MemberSession, role: str, text: str, seconds: float) -> str:
        """Return what a member answers aloud.

        Raises:
            OpenRTCError: It does not, or could never, since it waits for the asker.
        """
        self._questions.check_can_answer(asker.role, self.find_member(role).role)
        async with self._questions.lock(asker.role):
            # While this question waited for an earlier one, the other member may have left, or asked in turn.
            member = self.find_member(role)
            self._questions.check_can_answer(asker.role, role)
            answer = self._questions.add(asker.role, role)
            try:
                return await asyncio.wait_for(self._put_question(asker, member, text, answer), seconds)
            except TimeoutError:
                raise OpenRTCError(f"{role!r} has not answered within {seconds:g} s", origin="ask()") from None
            finally:
                answer.cancel()

    async def _put_question(
        self, asker: MemberSession, member: MemberSession, text: str, answer: asyncio.Future[str]
    ) -> str:
        await asker.quiet.wait()  # it may have said "one moment" before it called the tool
        member.hear(HeardLine(asker.name, text))
        begin = partial(self._begin, member, MemberTurn("asked", answer=answer, asker=asker.role))
        if self.floor.holder is asker:
            self.floor.lend(asker, member, begin)
        else:
            self.floor.call(member, begin, first=True)
        return await answer

    # What happens on the floor: the interface `FloorEvents`.

    def on_speech_ended(self, member: MemberSession, speech: SpeechHandle) -> None:
        """Take what a member has said."""
        turn = member.turn or MemberTurn("itself")
        turn.interrupted = turn.interrupted or speech.interrupted
        turn.items += [item for item in speech.chat_items if getattr(item, "role", "") != "user"]
        if text := get_spoken_text(speech):
            turn.said.append(text)
            # The member that has asked gets it from its tool; one that hears voices hears it.
            excluded = [one for one in self.members if one.role == turn.asker or one.hears_members]
            self.broadcast(HeardLine(member.name, text, get_start_time(speech)), but=[member, *excluded])
        if not member.speeches:
            self._end_turn(member, turn, speech)

    def on_turn_failed(self, member: MemberSession, why: str) -> None:
        """Report a turn that failed; where a person was to be answered, let another member do it."""
        turn, member.turn = member.turn or MemberTurn("itself"), None
        if self._over or not member.alive:
            return
        member.failed_turns += 1
        report_failed_turn(self._live, member.role, why)
        if turn.cause != "person" or not self._let_another_answer(member, turn):
            turn.fail_answer(f"{member.role!r} could not answer: {why}")
        if member.failed_turns >= FAILED_TURNS:
            self._on_member_failed(member, f"{FAILED_TURNS} turns in a row have failed, the last one: {why}")

    def on_idle(self) -> None:
        """Let the next member speak, unless the members have had their turns or nothing new was said."""
        line, self._unanswered = self._unanswered, None
        if line is None or self._over or len(self.members) < 2:
            return
        endless = self._cast.ends == "never" and self._is_empty()
        if self._turns_taken >= self._cast.turn_budget and not endless:
            return
        others = {role: name for role, name in self.names.items() if role != self._last_speaker}
        addressed = find_addressed_role(line.text, others)
        # A person who was answered speaks next, unless the answer turns to another member.
        role = addressed or (None if self._answered_person else find_next_role(self._last_speaker, tuple(self.names)))
        if role is not None:
            self.call(self.find_member(role), MemberTurn("member"), first=True)

    # How a turn begins and ends.

    async def _begin(self, member: MemberSession, turn: MemberTurn) -> None:
        member.turn, turn.began = turn, time.monotonic()
        if turn.cause == "member" and member.hears_members:
            await self._wait_until_recognised(member)
        if turn.cause != "opening":
            await member.reply()
        elif member.greeting:
            member.greet()
        else:
            await member.reply(OPEN)

    async def _wait_until_recognised(self, member: MemberSession) -> None:
        try:
            await asyncio.wait_for(member.heard.wait(), HEAR_SECONDS)
        except TimeoutError:
            logger.warning("member %r has not recognised what was said: it is given the words", member.role)
            if self._last_line:
                member.hear(self._last_line)

    def _end_turn(self, member: MemberSession, turn: MemberTurn, speech: SpeechHandle) -> None:
        # A turn that fails emits no event of livekit-agents: only the speech itself knows.
        error = speech.exception()
        if not turn.said and not turn.interrupted and (error or (turn.cause != "itself" and is_silent(speech))):
            why = summarize_error(error) if error else "nothing was said"
            self.on_turn_failed(member, why)
            return
        emit_member_spoke(self._live, member.role, turn)
        emit_turn(self._live, member.role, turn, speech)
        member.failed_turns = 0
        if turn.interrupted:
            turn.fail_answer(f"{member.role!r} was interrupted")
        else:
            turn.resolve_answer()
        if turn.cause != "asked" and turn.said:
            self._turns_taken += 1
            self._last_speaker = member.role
            self._last_line = HeardLine(member.name, turn.text)
            self._unanswered = None if turn.interrupted else self._last_line
            self._answered_person = turn.cause == "person"

    def _let_another_answer(self, member: MemberSession, turn: MemberTurn) -> bool:
        tried = (*turn.tried, member.role)
        other = next((one for one in self.members if one.role not in tried), None)
        if other is None:
            return False
        again = MemberTurn(
            "person", turn.heard, turn.silent_since, turn.end_of_turn, tried, turn.answer, items=turn.items
        )
        self._person_turn = again
        self.call(other, again, first=True)
        return True

    async def _choose_who_answers(self, text: str) -> MemberSession:
        turn = HumanTurn(text=text, names=self.names, lead=self.front.role, last_speaker=self._present_speaker())
        if not callable(self._cast.answers):
            return self.find_member(find_answering_role(self._cast.answers, turn))
        try:
            async with asyncio.timeout(POLICY_SECONDS):
                chosen = self._cast.answers(turn)
                role = await chosen if inspect.isawaitable(chosen) else chosen
            return self.front if role is None else self.find_member(role)
        except Exception as error:  # whatever the package's function raises, the person must get an answer
            said = summarize_error(error)
            logger.error("agent %r: its answers= failed: %s; %r answers", self._live.agent, said, self.front.role)
            return self.front

    def _present_speaker(self) -> str:
        return self._last_speaker if self._find(self._last_speaker) else self.front.role

    def _find(self, role: str) -> MemberSession | None:
        return next((member for member in self.members if member.role == role), None)
