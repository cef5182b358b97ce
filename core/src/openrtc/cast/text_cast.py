"""`TextCast`: a cast that writes, without a room."""

from __future__ import annotations

import asyncio

from livekit.agents import Agent

from openrtc.cast.running import RunningCast
from openrtc.cast.seat import Seat
from openrtc.worker.runtime import CastFrontend

STEP = 0.05
RESTS = 3
"""So many steps without anybody who speaks, or is about to, are a rest."""


class TextCast(RunningCast):
    """A cast that writes with somebody at a terminal."""

    text_only = True

    async def run(self, frontend: CastFrontend) -> None:
        """Hold the conversation.

        Args:
            frontend: Who talks to it.
        """
        self._frontend = frontend
        await self.gather_members()
        if self.over:
            return
        await self.tell_started()
        await self.talk.open()
        await frontend.with_cast(self._say, self._quiet)
        self.end("the conversation is over")

    async def start_seat(self, seat: Seat, agent: Agent) -> None:
        """Start the member's session without a room."""
        await self._frontend.before_member(self.call, seat.session, seat.name, is_ear=seat.listens)
        await seat.session.start(agent)
        seat.started.set()

    async def _say(self, text: str) -> None:
        await self.listening.said(text)

    async def _quiet(self) -> None:
        resting = 0
        while resting < RESTS and not self.over:
            resting = resting + 1 if self.talk.floor.at_rest else 0
            await asyncio.sleep(STEP)
