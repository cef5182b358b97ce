"""Casts of realtime models through the real plugin, for tests with a stand-in for the paid API."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit.agents import Agent
from livekit.agents.llm import ChatContext, ChatMessage
from livekit.plugins.openai import realtime

from e2e.loud_vad import LoudVAD
from openrtc import AgentSpec, Cast, Member, current_member


class Giver(Agent):
    """Gives the ear away when it has heard something."""

    def __init__(self) -> None:
        super().__init__(instructions="You talk.")

    async def on_user_turn_completed(self, turn_ctx: ChatContext, new_message: ChatMessage) -> None:
        """Give it away."""
        self.giving = asyncio.create_task(current_member().give_ear("driver"))


def member(role: str, name: str, voice: str, **more: Any) -> Member:
    """Return a member that speaks with a voice of the stand-in."""
    spec = AgentSpec(
        name=role,
        agent=lambda: Agent(instructions="You talk."),
        display_name=name,
        llm=lambda: realtime.RealtimeModel(voice=voice),
        vad=LoudVAD,
    )
    return Member(role=role, agent=spec if not more else AgentSpec(**{**vars(spec), **more}))


TIM = member("dispatcher", "Tim", "alloy", greeting="Chris, this is Tim")
CHRIS = member("driver", "Chris", "echo")

rtalone = AgentSpec(
    name="rtalone",
    agent=lambda: Agent(instructions="You talk."),
    llm=lambda: realtime.RealtimeModel(voice="alloy"),
    greeting="Chris, this is Tim",
)
rtaudio = Cast(members=[TIM, CHRIS], hears="audio", turn_budget=2)
rtgives = Cast(members=[member("dispatcher", "Tim", "alloy", agent=Giver, greeting="hello"), CHRIS], turn_budget=1)
