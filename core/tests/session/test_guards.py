"""Every agent of a session is guarded when it enters, and enters when the room is connected, unless it only speaks."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, get_job_context

from openrtc.session import guards
from openrtc.session.guards import guard_agents, hold_handoffs, only_speaks

HELLO = "hello"


class Plain(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="x")
        self.words = "hello"
        self.number = 3


class Silent(Plain):
    pass


class Says(Plain):
    async def on_enter(self) -> None:
        await self.session.say(f"{HELLO} {self.words}", allow_interruptions=False)


class Replies(Plain):
    async def on_enter(self) -> None:
        self.session.generate_reply(instructions="Greet the caller.")


class Looks(Plain):
    async def on_enter(self) -> None:
        self.session.say(str(get_job_context().room.remote_participants))


class Helps(Plain):
    async def on_enter(self) -> None:
        self.say()

    def say(self) -> None:
        """Look at the room."""


class Counts(Plain):
    async def on_enter(self) -> None:
        self.session.say(self.number)  # type: ignore[arg-type]


class Defines(Plain):
    async def on_enter(self) -> None:
        async def pong() -> str:
            return "pong"

        self.session.say(await pong())


class Parent(Says):
    async def on_enter(self) -> None:
        await super().on_enter()


@pytest.mark.parametrize(
    ("kind", "speaks"),
    [
        (Silent, True),
        (Says, True),
        (Replies, True),
        (Looks, False),
        (Helps, False),
        (Counts, False),
        (Defines, False),
        (Parent, False),
    ],
)
def test_it_is_known_which_on_enter_only_speaks(kind: type[Plain], speaks: bool) -> None:
    assert only_speaks(kind()) is speaks


class Enters(Plain):
    """Does what it is told when it enters."""

    def __init__(self, enter: Any) -> None:
        super().__init__()
        self.enter = enter

    async def on_enter(self) -> None:
        await self.enter()


async def run(first: Agent, *others: Agent) -> list[str]:
    """Let a session change from one agent to the next; return what they have failed in."""
    failed: list[str] = []
    session: AgentSession[Any] = AgentSession(vad=None, turn_handling={"turn_detection": "manual"})
    guard_agents(session, first, lambda what, error: failed.append(f"{what}: {error!r}"))
    await session.start(first)
    for agent in others:
        session.update_agent(agent)
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    await session.aclose()
    return failed


async def fail() -> None:
    raise ValueError("no configuration")


async def leave() -> None:
    sys.exit(3)


async def test_an_agent_that_fails_is_told_whichever_it_is() -> None:
    assert await run(Enters(fail)) == ["failed in on_enter: ValueError('no configuration')"]
    assert await run(Silent(), Enters(fail)) == ["failed in on_enter: ValueError('no configuration')"]
    assert await run(Silent(), Silent(), Enters(leave)) == ["failed in on_enter: SystemExit(3)"]


async def test_an_agent_that_comes_back_is_guarded_once() -> None:
    entered: list[str] = []

    async def enter() -> None:
        entered.append("again")

    agent = Enters(enter)
    assert await run(agent, Silent(), agent) == []
    assert entered == ["again", "again"] and "_guard_methods" in agent.on_enter.__qualname__


@pytest.mark.parametrize(("kind", "entered"), [(Enters, [True]), (Replies, [])])
async def test_an_agent_enters_when_the_room_is_connected(
    kind: Any, entered: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = asyncio.Event()
    seen: list[bool] = []

    async def wait_until_joined(room: Any) -> bool:
        seen.append(True)
        await joined.wait()
        return True

    async def enter() -> None:
        assert joined.is_set()

    context = SimpleNamespace(room="room", is_fake_job=lambda: False)
    monkeypatch.setattr(guards, "get_job_context", lambda required: context)
    monkeypatch.setattr(guards, "find_hang_up", lambda context: None)
    monkeypatch.setattr(guards, "limit_method", lambda name: contextlib.nullcontext())
    monkeypatch.setattr(guards, "wait_until_joined", wait_until_joined)
    asyncio.get_running_loop().call_later(0.02, joined.set)
    agent = Enters(enter) if kind is Enters else kind()
    failed = await run(agent)
    assert seen == entered and all("ValueError" not in line for line in failed)


async def test_a_hand_off_that_comes_while_the_session_starts_is_made() -> None:
    entered: list[str] = []

    class Second(Plain):
        async def on_enter(self) -> None:
            entered.append("second")

    class First(Plain):
        async def on_enter(self) -> None:
            self.session.update_agent(Second())

    session: AgentSession[Any] = AgentSession(vad=None, turn_handling={"turn_detection": "manual"})
    with hold_handoffs(session):
        await session.start(First())
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)
    assert entered == ["second"] and isinstance(session.current_agent, Second)
    await session.aclose()
