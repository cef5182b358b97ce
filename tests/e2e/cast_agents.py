"""Casts for tests: members that speak in tones, and do what people type."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from livekit.agents import Agent, function_tool

from e2e.agent_packages import ROLES, TONES
from e2e.cast_models import BrokenSTT, TalkLLM, ToneSTT, ToneTTS
from openrtc import AgentSpec, Cast, HumanTurn, Member, RouteRequest, current_member, hookimpl

TURNS = {
    "vad": None,
    "turn_handling": {
        "turn_detection": "stt",
        "endpointing": {"min_delay": 0.1, "max_delay": 0.5},
        "interruption": {"mode": "vad", "min_duration": 0.3, "resume_false_interruption": False},
    },
    "user_away_timeout": None,
    "aec_warmup_duration": None,
}


class Talker(Agent):
    """Has a tool for everything that a member can do."""

    def __init__(self) -> None:
        super().__init__(instructions="You talk.")

    @function_tool
    async def ask(self, words: list[str]) -> str:
        """Ask a member."""
        return await current_member().ask(words[0], words[1])

    @function_tool
    async def send(self, words: list[str]) -> str:
        """Tell a member."""
        current_member().send(words[0], words[1])
        return "sent"

    @function_tool
    async def broadcast(self, words: list[str]) -> str:
        """Tell all."""
        current_member().broadcast(words[0])
        return "told"

    @function_tool
    async def hand_over(self, words: list[str]) -> str:
        """Hand over."""
        current_member().hand_over(words[0])
        return "handed over"

    @function_tool
    async def give_ear(self, words: list[str]) -> str:
        """Let a member listen."""
        await current_member().give_ear(words[0])
        return "given"

    @function_tool
    async def add(self, words: list[str]) -> str:
        """Add a member."""
        await current_member().add(Member(role=words[0], agent=PAT))
        return "added"

    @function_tool
    async def remove(self, words: list[str]) -> str:
        """Remove a member."""
        await current_member().remove(words[0])
        return "removed"

    @function_tool
    async def wait(self, words: list[str]) -> str:
        """Wait."""
        await asyncio.sleep(float(words[0]))
        return "done"

    @function_tool
    async def close(self, words: list[str]) -> None:
        """Leave."""
        self.session.shutdown(drain=False)


class Faulty(Talker):
    """Cannot even begin."""

    async def on_enter(self) -> None:
        """Fail."""
        raise KeyError("no truck")


class Monologue(Agent):
    """Talks without a break, as long as both members of a cast together."""

    def __init__(self) -> None:
        super().__init__(instructions="You talk.")

    async def on_enter(self) -> None:
        """Begin."""
        self.talking = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        while True:
            await self.session.generate_reply(user_input="go on")
            await asyncio.sleep(0.25)


def spec(
    name: str, agent: type[Agent] = Talker, greeting: str = "", stt: Callable[[], Any] | None = ToneSTT
) -> AgentSpec:
    """Return a member that speaks in its tone."""
    return AgentSpec(
        name=name.lower(),
        display_name=name,
        agent=agent,
        stt=stt,
        llm=lambda: TalkLLM(name, ROLES[name]),
        tts=lambda: ToneTTS(TONES[name]),
        greeting=greeting,
        session_options=TURNS,
    )


TIM, CHRIS, PAT = (
    spec("Tim", greeting="this is Tim at the dispatch desk"),
    spec("Chris"),
    spec("Pat"),
)
DISPATCHER = Member(role="dispatcher", agent=TIM)
DRIVER = Member(role="driver", agent=CHRIS)
PORTER = Member(role="porter", agent=PAT)


def pat_answers(turn: HumanTurn) -> str:
    """Let the last member of the cast answer."""
    return list(turn.names)[-1]


pair = Cast(members=[DISPATCHER, DRIVER])
quiet = Cast(members=[DISPATCHER, DRIVER], turn_budget=1, answers="addressed")
trio = Cast(members=[DISPATCHER, DRIVER, PORTER], turn_budget=3, answers=pat_answers)
strict = Cast(members=[DISPATCHER, DRIVER], turn_budget=1, on_crash="end", answers="addressed")
slow = Cast(members=[DISPATCHER, DRIVER], turn_budget=1, answers="addressed", turn_seconds=1.0)
faulty = Cast(members=[DISPATCHER, Member(role="driver", agent=spec("Chris", Faulty)), PORTER], turn_budget=2)
voices = Cast(members=[DISPATCHER, DRIVER], hears="audio", turn_budget=2)
never = Cast(members=[DISPATCHER, DRIVER], ends="never", turn_budget=1)
faultyear = Cast(members=[Member(role="dispatcher", agent=spec("Tim", Faulty)), DRIVER, PORTER], turn_budget=1)
brokenear = Cast(members=[Member(role="dispatcher", agent=spec("Tim", stt=BrokenSTT)), DRIVER], turn_budget=1)
onlyear = Cast(members=[DISPATCHER, Member(role="driver", agent=spec("Chris", stt=None))], turn_budget=1)
apart = Cast(members=[DISPATCHER, Member(role="driver", agent=replace(CHRIS, isolation="process"))])

lively = Cast(members=[DISPATCHER, DRIVER], turn_budget=1000)
alone = spec("Tim", Monologue)


@hookimpl
def openrtc_route(request: RouteRequest, agents: object) -> list[str] | None:
    """Send two agents, which know nothing of each other, to the rooms of this name."""
    return ["tim", "chris"] if request.room_name.startswith("both-") else None
