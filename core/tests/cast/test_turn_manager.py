from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import io

from openrtc import HumanTurn, OpenRTCError
from openrtc.cast.listening import Listening
from openrtc.cast.member_session import MemberSession
from openrtc.cast.turn import MemberTurn
from openrtc.cast.turn_manager import TurnManager
from openrtc.catalog.resolved_cast import ResolvedMember
from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallError, Event, MemberSpoke, TurnCompleted
from openrtc.runtime.live_call import LiveCall
from waiting import wait_until

Answer = Callable[[list[str]], str | None]
"""Returns what a member says when it has read these lines; None for never."""


class Pen(io.TextOutput):
    """Writes down what is said, with the name of who says it.

    Args:
        name: The name.
        page: Where to write.
    """

    def __init__(self, name: str, page: list[str]) -> None:
        super().__init__(label="pen", next_in_chain=None)
        self._name, self._page, self._words = name, page, ""

    async def capture_text(self, text: str) -> None:
        self._words += text

    def flush(self) -> None:
        if self._words:
            self._page.append(f"{self._name}: {self._words}")
        self._words = ""


class Script(llm.LLM[str]):
    """Answers with what a function makes of the lines that were heard.

    Args:
        answer: The function.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        self.read: list[str] = []

    def chat(self, *, chat_ctx: llm.ChatContext, tools: Any = None, **options: Any) -> llm.LLMStream:
        messages = [item for item in chat_ctx.items if item.type == "message" and item.role == "user"]
        self.read = [message.text_content or "" for message in messages]
        return _Stream(
            self, self.answer(self.read), chat_ctx=chat_ctx, tools=[], conn_options=DEFAULT_API_CONNECT_OPTIONS
        )


class _Stream(llm.LLMStream):
    def __init__(self, model: Script, text: str | None, **options: Any) -> None:
        super().__init__(model, **options)
        self._text = text

    async def _run(self) -> None:
        if self._text is None:
            await asyncio.sleep(3600)
        delta = llm.ChoiceDelta(role="assistant", content=self._text)
        self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))


class Talk:
    """A talk with its members, what they have said, and the events."""

    def __init__(self, turns: TurnManager, page: list[str], events: list[Event], lost: list[str]) -> None:
        self.turns = turns
        self.page = page
        self.events = events
        self.lost = lost

    def find_member(self, role: str) -> MemberSession:
        """Return a member."""
        return self.turns.find_member(role)

    def read(self, role: str) -> list[str]:
        """Return what a member's model was given last."""
        model = self.find_member(role).session.llm
        assert isinstance(model, Script)
        return model.read

    async def wait_for(self, lines: int) -> list[str]:
        """Wait until so many lines were said, and a moment longer; return all."""
        await wait_until(lambda: len(self.page) >= lines)
        await asyncio.sleep(0.5)
        return self.page


@asynccontextmanager
async def start_talk(
    said: dict[str, Answer], *, empty: bool = False, greeting: str = "", **options: Any
) -> AsyncIterator[Talk]:
    """Start a session for each member, named in the way of ``Tim``, and let nobody speak yet.

    Args:
        said: What each of them says.
        empty: Whether no person is there.
        greeting: What the first one opens with.
        **options: Of the `Cast`.
    """
    declared = [
        Member(role=name, agent=AgentSpec(agent=lambda: Agent(instructions="x"), display_name=name.title()))
        for name in said
    ]
    cast = Cast(members=declared, **options)
    events, page, lost, members = list[Event](), list[str](), list[str](), list[MemberSession]()
    stream = EventStream()
    stream.subscribe(events.append)
    live = LiveCall(events=stream, job_id="j", room="r", agent="team", distribution="d")
    turns = TurnManager(cast, live, lambda member, why: lost.append(f"{member.role}: {why}"), lambda: empty)
    for place, one in enumerate(declared):
        assert one.spec is not None
        session: AgentSession[Any] = AgentSession(
            llm=Script(said[one.role]), vad=None, turn_handling={"turn_detection": "manual"}
        )
        session.output.transcription = Pen(one.role.title(), page)
        member = MemberSession(
            agent=(agent := Agent(instructions="x")),
            resolved=ResolvedMember(role=one.role, spec=one.spec),
            session=session,
            room=None,
            listens=place == 0,
            realtime=False,
            context=contextvars.copy_context(),
            greeting=greeting if place == 0 else "",
        )
        member.entered.set()
        turns.add(member)
        members.append(member)
        await session.start(agent)
    try:
        yield Talk(turns, page, events, lost)
    finally:
        turns.stop()
        for member in members:
            await member.leave()


def counting(name: str) -> Any:
    lines = 0

    def answer(read: list[str]) -> str:
        nonlocal lines
        lines += 1
        return f"{name} {lines}"

    return answer


def broken(read: list[str]) -> str:
    raise LookupError("no such deployment")


def never(read: list[str]) -> None:
    return None


async def person(turns: Any, text: str) -> MemberTurn:
    turn = MemberTurn("person")
    turns.call(await turns.take_human_turn(text, "Ann", turn), turn, first=True)
    return turn


async def test_the_lead_opens_and_the_members_take_turns_until_the_budget_is_used_up() -> None:
    async with start_talk(
        {"tim": counting("t"), "chris": counting("c")}, greeting="here is Tim", turn_budget=3
    ) as cast:
        await cast.turns.open()
        assert await cast.wait_for(3) == ["Tim: here is Tim", "Chris: c 1", "Tim: t 1"]
        assert cast.read("chris") == ["[Tim] here is Tim"]
        assert cast.read("tim") == ["[Chris] c 1"]
        spoke = [(one.member, one.cause) for one in cast.events if isinstance(one, MemberSpoke)]
        assert spoke == [("tim", "opening"), ("chris", "member"), ("tim", "member")]


async def test_a_person_renews_the_budget_and_is_answered_by_the_lead_alone() -> None:
    async with start_talk({"tim": counting("t"), "chris": counting("c")}, turn_budget=1) as cast:
        await cast.turns.open()
        await cast.wait_for(1)
        await person(cast.turns, "hello")
        assert await cast.wait_for(2) == ["Tim: t 1", "Tim: t 2"]
        turns = [one for one in cast.events if isinstance(one, TurnCompleted)]
        assert [(one.member, one.heard, one.said, one.answered) for one in turns] == [
            ("tim", "", "t 1", False),
            ("tim", "hello", "t 2", True),
        ]


async def test_an_answer_that_addresses_a_member_lets_it_speak() -> None:
    async with start_talk({"tim": lambda read: "Chris, say it", "chris": counting("c")}, turn_budget=2) as cast:
        cast.turns.floor.open()
        await person(cast.turns, "where is he")
        assert await cast.wait_for(2) == ["Tim: Chris, say it", "Chris: c 1"]
        assert cast.read("chris") == ["[Ann] where is he", "[Tim] Chris, say it"]


async def test_what_a_member_says_by_itself_waits_for_the_floor() -> None:
    async with start_talk({"tim": counting("t"), "chris": counting("c")}, turn_budget=1) as cast:
        for role in ("chris", "tim"):
            cast.find_member(role).session.say(f"{role} by itself")
        await asyncio.sleep(0.3)
        assert cast.page == [], "the floor is closed"
        cast.turns.floor.open()
        assert await cast.wait_for(2) == ["Chris: chris by itself", "Tim: tim by itself"]


@pytest.mark.parametrize(
    ("answers", "text", "who"),
    [
        ("addressed", "Pat, are you there", "Pat"),
        ("addressed", "are you there", "Tim"),
        (lambda turn: turn.lead, "hello", "Tim"),
        (lambda turn: list(turn.names)[1], "hello", "Chris"),
        (lambda turn: None, "hello", "Tim"),
        (lambda turn: "nobody", "hello", "Tim"),
        (lambda turn: 1 / 0, "hello", "Tim"),
    ],
)
async def test_the_policy_says_who_answers_and_one_that_fails_leaves_it_to_the_lead(
    answers: Any, text: str, who: str
) -> None:
    members = {"tim": counting("t"), "chris": counting("c"), "pat": counting("p")}
    async with start_talk(members, answers=answers, turn_budget=1) as cast:
        cast.turns.floor.open()
        await person(cast.turns, text)
        assert (await cast.wait_for(1))[0].startswith(who)


async def test_an_async_policy_sees_who_has_spoken_last() -> None:
    seen: list[HumanTurn] = []

    async def last(turn: HumanTurn) -> str:
        seen.append(turn)
        return turn.last_speaker

    async with start_talk({"tim": counting("t"), "chris": counting("c")}, answers=last, turn_budget=2) as cast:
        await cast.turns.open()
        await cast.wait_for(2)
        await person(cast.turns, "go on")
        assert (await cast.wait_for(3))[2] == "Chris: c 2"
        assert (seen[0].text, seen[0].lead, seen[0].last_speaker) == ("go on", "tim", "chris")


async def test_a_member_is_asked_and_its_answer_is_heard_by_all_but_read_by_the_asker_only_as_an_answer() -> None:
    members = {"tim": counting("t"), "chris": counting("c"), "pat": counting("p")}
    async with start_talk(members, turn_budget=1) as cast:
        cast.turns.floor.open()
        answer = await cast.turns.ask(cast.find_member("tim"), "chris", "where are you", 5.0)
        assert answer == "c 1" and cast.page == ["Chris: c 1"]
        assert cast.read("chris") == ["[Tim] where are you"]
        cast.turns.send(cast.find_member("chris"), "tim", "hurry")
        cast.turns.send(cast.find_member("chris"), "pat", "hurry")
        await cast.wait_for(3)
        assert cast.read("tim") == ["[Chris] hurry"]
        assert cast.read("pat")[0] == "[Chris] c 1"


async def test_a_question_that_can_have_no_answer_is_an_error_at_once() -> None:
    async with start_talk({"tim": counting("t"), "chris": never}, turn_seconds=30) as cast:
        cast.turns.floor.open()
        tim, chris = cast.find_member("tim"), cast.find_member("chris")
        with pytest.raises(OpenRTCError, match="asks itself"):
            await cast.turns.ask(tim, "tim", "x", 1.0)
        with pytest.raises(OpenRTCError, match=r'no member .chri. takes part.*did you mean "chris"'):
            await cast.turns.ask(tim, "chri", "x", 1.0)
        asking = asyncio.create_task(cast.turns.ask(tim, "chris", "x", 1.0))
        await asyncio.sleep(0.1)
        with pytest.raises(OpenRTCError, match="itself waits for an answer"):
            await cast.turns.ask(chris, "tim", "y", 1.0)
        with pytest.raises(OpenRTCError, match="has not answered within 1 s"):
            await asking
        asking = asyncio.create_task(cast.turns.ask(tim, "chris", "x", 5.0))
        await asyncio.sleep(0.1)
        cast.turns.remove(chris, "crashed")
        with pytest.raises(OpenRTCError, match="has left: crashed"):
            await asking


async def test_a_turn_that_fails_is_told_and_the_next_member_answers_the_person() -> None:
    async with start_talk({"tim": broken, "chris": counting("c")}, turn_budget=1) as cast:
        cast.turns.floor.open()
        await person(cast.turns, "hello")
        assert await cast.wait_for(1) == ["Chris: c 1"]
        (error,) = [one for one in cast.events if isinstance(one, CallError) and one.where == "turn"]
        assert error.member == "tim" and "no such deployment" in error.error and not error.fatal
        assert cast.lost == []


async def test_three_failed_turns_in_a_row_lose_the_member() -> None:
    async with start_talk({"tim": counting("t"), "chris": broken}, turn_budget=1) as cast:
        cast.turns.floor.open()

        def has_failed(times: int) -> bool:
            return sum(isinstance(one, CallError) for one in cast.events) == times

        for number in range(1, 4):
            cast.turns.send(cast.find_member("tim"), "chris", "say something")
            await wait_until(partial(has_failed, number))
        await wait_until(lambda: bool(cast.lost))
        assert len(cast.lost) == 1 and "3 turns in a row have failed" in cast.lost[0]


async def test_a_member_that_is_not_heard_in_time_loses_the_floor() -> None:
    async with start_talk({"tim": never, "chris": counting("c")}, turn_budget=1, turn_seconds=0.4) as cast:
        cast.turns.floor.open()
        await person(cast.turns, "hello")
        assert await cast.wait_for(1) == ["Chris: c 1"]
        assert any("was not heard within 0.4 s" in one.error for one in cast.events if isinstance(one, CallError))


async def test_whoever_was_handed_over_to_speaks_next_and_answers_from_then_on() -> None:
    async with start_talk({"tim": counting("t"), "chris": counting("c")}, turn_budget=1) as cast:
        cast.turns.floor.open()
        cast.turns.hand_over("chris")
        await cast.wait_for(1)
        await person(cast.turns, "hello")
        assert await cast.wait_for(2) == ["Chris: c 1", "Chris: c 2"]
        cast.turns.remove(cast.find_member("chris"), "it was removed")
        await person(cast.turns, "hello")
        assert (await cast.wait_for(3))[2] == "Tim: t 1"
        assert "(Chris has left the call)" in cast.read("tim")


async def test_a_person_who_speaks_drops_what_was_about_to_be_said() -> None:
    async with start_talk({"tim": counting("t"), "chris": counting("c")}, turn_budget=9) as cast:
        cast.turns.floor.open()
        cast.turns.send(cast.find_member("tim"), "chris", "x")
        cast.turns.send(cast.find_member("chris"), "tim", "y")
        await person(cast.turns, "stop")
        assert await cast.wait_for(1) == ["Tim: t 1"]


async def test_without_people_an_endless_cast_goes_on_beyond_its_budget() -> None:
    members = {"tim": counting("t"), "chris": counting("c")}
    async with start_talk(members, turn_budget=1, ends="never", empty=True) as cast:
        await cast.turns.open()
        assert len(await cast.wait_for(4)) >= 4


def texts_of(items: Sequence[llm.ChatItem]) -> list[str]:
    return [item.text_content or "" for item in items if isinstance(item, llm.ChatMessage)]


async def test_what_is_typed_over_the_session_stream_is_answered_by_whom_the_cast_chooses_and_told() -> None:
    members = {"tim": counting("t"), "chris": counting("c")}
    async with start_talk(members, answers="addressed", turn_budget=1) as cast:
        typed = Listening(cast.turns)
        items = await typed.answer_text("Chris, where are you", "Ann")
        assert cast.page == ["Chris: c 1"] and texts_of(items) == ["c 1"]
        assert cast.read("chris") == ["[Ann] Chris, where are you"]
        cast.turns.floor.close()
        first = asyncio.create_task(typed.answer_text("Tim, one", ""))
        await asyncio.sleep(0)
        cast.turns.floor.close()
        second = asyncio.create_task(typed.answer_text("Tim, two", ""))
        with pytest.raises(OpenRTCError, match="somebody has said something else meanwhile|was interrupted"):
            await first
        assert texts_of(await second)[-1].startswith("t ")


async def test_who_types_gets_the_answer_of_the_member_that_could_give_one_or_why_none_could() -> None:
    async with start_talk({"tim": broken, "chris": counting("c")}, turn_budget=1) as cast:
        items = await Listening(cast.turns).answer_text("hello", "")
        assert texts_of(items) == ["c 1"]
    async with start_talk({"tim": broken}, turn_budget=1) as cast:
        with pytest.raises(OpenRTCError, match="'tim' could not answer: .*no such deployment"):
            await Listening(cast.turns).answer_text("hello", "")
